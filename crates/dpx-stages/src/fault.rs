//! Injected faults: ways to break the private stages on purpose, so that each privacy test can be shown to fail on one.
//!
//! A fault is chosen for the current thread. Outside tests `fault!(...)` is the constant `false`.

/// Whether the code is to be broken in this way; always `false` outside tests.
macro_rules! fault {
    ($fault:ident) => {{
        #[cfg(test)]
        let broken = $crate::fault::is($crate::fault::Fault::$fault);
        #[cfg(not(test))]
        let broken = false;
        broken
    }};
}
pub(crate) use fault;

/// A way to break it.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

#[cfg(test)]
impl Fault {
    pub(crate) const ALL: &[Self] = &[
        Self::SiblingCanariesForgotten,
        Self::ProvenanceForgotten,
        Self::DeltaCheckedInTrainAlone,
        Self::MixedAdjacency,
        Self::RecordsCountApart,
        Self::VotesCountInFull,
    ];
}

#[cfg(test)]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

/// Whether this fault is chosen on the current thread.
#[cfg(test)]
pub(crate) fn is(fault: Fault) -> bool {
    ACTIVE.get() == Some(fault)
}

/// Runs `test` with the code broken in one way.
#[cfg(test)]
pub(crate) fn with<R>(fault: Fault, test: impl FnOnce() -> R) -> R {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            ACTIVE.set(None);
        }
    }
    ACTIVE.set(Some(fault));
    let _reset = Reset;
    test()
}
