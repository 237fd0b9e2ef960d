//! Injected faults: ways to break the comparison of public with private texts on purpose, so that each privacy test can be shown to fail on one.
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
    /// Pieces that a line break cuts are not looked for (rule 54).
    LinesAlone,
    /// Texts of 8 to 12 words that a line break cuts are not looked for (rule 54).
    ShortLinesAlone,
    /// Texts of fewer than 13 words are not looked for (rule 54).
    ShortTextsIgnored,
}

#[cfg(test)]
impl Fault {
    pub(crate) const ALL: &[Self] = &[
        Self::LinesAlone,
        Self::ShortLinesAlone,
        Self::ShortTextsIgnored,
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
