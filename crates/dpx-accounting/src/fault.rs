//! Injected faults: ways to break the accountants on purpose, so that each privacy test can be shown to fail on one.
//!
//! A fault is chosen for the current thread and read where a step begins, never on a worker thread. Outside tests
//! `fault!(...)` is the constant `false`.

/// Whether the engine is to be broken in this way; always `false` outside tests.
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

/// Declares the faults, and a list of all of them.
#[cfg(test)]
macro_rules! faults {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// A way to break the engine.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Fault {
            $($(#[$meta])* $name,)*
        }

        impl Fault {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

#[cfg(test)]
faults! {
    /// The transform's rounding is left out of the upper bound.
    FftErrorOmitted,
    /// The worse direction is taken for every step instead of after composing.
    DirectionsMaxed,
    /// A series ends at a term that is small in itself, not next to the sum.
    EarlyStoppedRdp,
    /// Noise is calibrated to the lower bound of epsilon.
    CalibratedToLower,
    /// Weights of a group are powers, which vanish for a large one.
    VanishingWeights,
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

/// Runs `test` with the engine broken in one way.
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
