//! Which instances could start, kept up to date instance by instance.

use crate::plan::InstanceId;
use std::collections::BTreeSet;
use std::ops::Bound;

/// What could start, and what still has to run on a device.
#[derive(Debug)]
pub(super) struct Ready {
    /// Whether each instance needs a device.
    uses_device: Vec<bool>,
    on_device: BTreeSet<InstanceId>,
    elsewhere: BTreeSet<InstanceId>,
    /// Instances on a device that are asked for and not over, whether or not they could start.
    unfinished: BTreeSet<InstanceId>,
}

impl Ready {
    pub(super) fn new(uses_device: Vec<bool>) -> Self {
        Self {
            uses_device,
            on_device: BTreeSet::new(),
            elsewhere: BTreeSet::new(),
            unfinished: BTreeSet::new(),
        }
    }

    /// Says whether an instance could start, and whether it is still to be run at all.
    pub(super) fn set(&mut self, id: InstanceId, ready: bool, unfinished: bool) {
        let set = if self.uses_device[id] {
            &mut self.on_device
        } else {
            &mut self.elsewhere
        };
        put(set, id, ready);
        put(&mut self.unfinished, id, unfinished && self.uses_device[id]);
    }

    /// The first instance behind another that could start; without a free device only those that need none.
    pub(super) fn next(
        &self,
        behind: Option<InstanceId>,
        device_is_free: bool,
    ) -> Option<InstanceId> {
        let start = behind.map_or(Bound::Unbounded, Bound::Excluded);
        let first =
            |set: &BTreeSet<InstanceId>| set.range((start, Bound::Unbounded)).next().copied();
        let elsewhere = first(&self.elsewhere);
        let on_device = device_is_free.then(|| first(&self.on_device)).flatten();
        match (elsewhere, on_device) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// Instances that need a device, are not over, and neither are this one nor wait for it, given who reads whom.
    pub(super) fn beside<'a>(
        &self,
        id: InstanceId,
        users: impl Fn(InstanceId) -> &'a [InstanceId],
    ) -> usize {
        let mut waits = BTreeSet::from([id]);
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            open.extend(users(next).iter().filter(|&&user| waits.insert(user)));
        }
        let waiting = waits.iter().filter(|&id| self.unfinished.contains(id));
        self.unfinished.len() - waiting.count()
    }
}

fn put(set: &mut BTreeSet<InstanceId>, id: InstanceId, inside: bool) {
    if inside {
        set.insert(id);
    } else {
        set.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_of_the_plan_goes_first_and_a_taken_device_is_passed_over() {
        let mut ready = Ready::new(vec![true, false, true, false]);
        for id in 0..4 {
            ready.set(id, true, true);
        }
        assert_eq!(ready.next(None, true), Some(0));
        assert_eq!(ready.next(None, false), Some(1));
        assert_eq!(ready.next(Some(1), true), Some(2));
        assert_eq!(ready.next(Some(1), false), Some(3));
        assert_eq!(ready.next(Some(3), true), None);
        ready.set(0, false, true);
        assert_eq!(ready.next(None, true), Some(1));
    }

    #[test]
    fn whoever_waits_for_an_instance_does_not_run_beside_it() {
        let mut ready = Ready::new(vec![true; 5]);
        for id in 0..4 {
            ready.set(id, false, true);
        }
        // 0 is read by 1, which is read by 2; 3 reads nothing, and 4 is over.
        let users: [&[usize]; 5] = [&[1], &[2], &[], &[], &[]];
        let beside = |id| ready.beside(id, |id| users[id]);
        assert_eq!([beside(0), beside(1), beside(3)], [1, 2, 3]);
    }
}
