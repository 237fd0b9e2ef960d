//! Bounds of claims that were certified before: a report states the same event in many places, and a study has few different ones.
//!
//! [`Claim::compose`](crate::Claim::compose) and [`Claim::group`](crate::Claim::group) ask here first;
//! [`Claim::recheck`](crate::Claim::recheck), and so every check of a release, computes anew. In tests of this crate nothing is
//! remembered, since they break accountants on purpose.

use crate::{AccountantError, Certified, DpEvent};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Bounds that are kept; beyond that the memo begins anew.
const MOST: usize = 20_000;

static KNOWN: Mutex<BTreeMap<String, Certified>> = Mutex::new(BTreeMap::new());

/// The bound of an event for a group at `delta`, computed once.
pub(crate) fn certified(
    event: &DpEvent,
    delta: f64,
    records: u32,
) -> Result<Certified, AccountantError> {
    let compute = || {
        if records == 1 {
            event.certified(delta)
        } else {
            event.group(delta, records)
        }
    };
    if cfg!(test) {
        return compute();
    }
    // Debug text of a number is exact.
    let key = format!("{delta:?} {records} {event:?}");
    if let Some(found) = known().get(&key) {
        return Ok(*found);
    }
    let found = compute()?;
    insert(&mut known(), key, found);
    Ok(found)
}

fn known() -> std::sync::MutexGuard<'static, BTreeMap<String, Certified>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn insert(known: &mut BTreeMap<String, Certified>, key: String, found: Certified) {
    if known.len() >= MOST {
        known.clear();
    }
    known.insert(key, found);
}

/// Everything that is known, for [`remember`] in a later process of the same version.
pub fn remembered() -> BTreeMap<String, Certified> {
    known().clone()
}

/// Takes over what an earlier process of the same version knew. Whoever keeps the bounds sees to it that nobody else has written
/// them.
pub fn remember(bounds: BTreeMap<String, Certified>) {
    let mut known = known();
    for (key, found) in bounds {
        insert(&mut known, key, found);
    }
}

/// How many bounds are known.
pub fn number() -> usize {
    known().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_process_knew_another_takes_over() {
        let event = DpEvent::gaussian(1.0).unwrap();
        let bound = event.certified(1e-5).unwrap();
        insert(&mut known(), "key".into(), bound);
        let bounds = remembered();
        known().clear();
        assert_eq!(number(), 0);
        remember(bounds);
        assert_eq!(known().get("key"), Some(&bound));
        // In tests nothing is remembered by itself: faults are seen.
        certified(&event, 1e-5, 2).unwrap();
        assert_eq!(number(), 1);
    }
}
