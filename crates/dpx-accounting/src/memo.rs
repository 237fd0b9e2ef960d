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

/// Whatever the accountants compute is another with another version of them.
const VERSION: &str = concat!("dpx-accounting ", env!("CARGO_PKG_VERSION"));

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
    let Ok(event_json) = serde_json::to_string(event) else {
        return compute();
    };
    // Bits, since text may round.
    let key = format!("{:016x} {records} {event_json}", delta.to_bits());
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

/// Everything that is known, for [`remember`] in a later process.
pub fn remembered() -> String {
    serde_json::json!({ "version": VERSION, "bounds": *known() }).to_string()
}

/// Takes over what an earlier process knew, of the same version; anything else counts for nothing. Whoever keeps the text sees to
/// it that nobody else has written it.
pub fn remember(text: &str) {
    #[derive(serde::Deserialize)]
    struct Text {
        version: String,
        bounds: BTreeMap<String, Certified>,
    }
    if let Ok(text) = serde_json::from_str::<Text>(text)
        && text.version == VERSION
    {
        let mut known = known();
        for (key, found) in text.bounds {
            insert(&mut known, key, found);
        }
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
    fn what_one_process_knew_another_takes_over_unless_its_accountants_differ() {
        let event = DpEvent::gaussian(1.0).unwrap();
        let bound = event.certified(1e-5).unwrap();
        insert(&mut known(), "key".into(), bound);
        let text = remembered();
        known().clear();
        remember(&text.replace("dpx-accounting ", "another "));
        remember("no json");
        assert_eq!(number(), 0);
        remember(&text);
        assert_eq!(known().get("key"), Some(&bound));
        // In tests nothing is remembered by itself: faults are seen.
        certified(&event, 1e-5, 2).unwrap();
        assert_eq!(number(), 1);
    }
}
