//! Injected faults: ways to break the private stages on purpose, so that each privacy test can be shown to fail on one.
//!
//! A fault is chosen for the current thread. Outside tests `fault!(...)` is the constant `false`.

pub(crate) use dpx_schema::fault;

#[cfg(test)]
dpx_schema::faults! {
    /// A way to break it.
    pub(crate) enum Fault {
        /// Siblings of a budget reckon without a stage's canaries (rule 46).
        SiblingCanariesForgotten,
        /// A public model's corpus is forgotten by what is trained from it (rules 54, 55).
        ProvenanceForgotten,
        /// Delta is checked in `train` alone (rule 57).
        DeltaCheckedInTrainAlone,
        /// Mechanisms of one budget may hold under different adjacencies (rule 58).
        MixedAdjacency,
        /// Every record of a person counts in full.
        RecordsCountApart,
        /// A vote that is divided counts in full for each of its texts.
        VotesCountInFull,
    }
}
