//! Injected faults: ways to break claims on purpose, so that each privacy test can be shown to fail on one.
//!
//! A fault is chosen for the current thread. Outside tests `fault!(...)` is the constant `false`.

pub(crate) use dpx_schema::fault;

#[cfg(test)]
dpx_schema::faults! {
    /// A way to break it.
    pub(crate) enum Fault {
        /// A row claims the first of its mechanisms alone (rule 47).
        FirstMechanismAlone,
        /// The guarantee follows from the target of the row (rule 48).
        GuaranteeByTarget,
        /// Only replicates with a figure count in the joint claim (rule 49).
        ScoredReplicatesAlone,
        /// Claims are made at the largest delta of the study (rule 60).
        LargestDelta,
    }
}
