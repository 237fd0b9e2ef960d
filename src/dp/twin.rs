//! Broken twins: ways to break the engine on purpose, so that each privacy test can be shown to fail on one.
//!
//! A twin is chosen for the current thread and read where a step begins, never on a worker thread. Outside tests
//! `twin!(...)` is the constant `false`.

/// Whether the engine is to be broken in this way; always `false` outside tests.
macro_rules! twin {
    ($twin:ident) => {{
        #[cfg(test)]
        let broken = $crate::dp::twin::is($crate::dp::twin::Twin::$twin);
        #[cfg(not(test))]
        let broken = false;
        broken
    }};
}
pub(crate) use twin;

/// Declares the twins, and a list of all of them.
#[cfg(test)]
macro_rules! twins {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// A way to break the engine.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Twin {
            $($(#[$meta])* $name,)*
        }

        impl Twin {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

#[cfg(test)]
twins! {
    /// Gradients are summed as they are.
    NoClip,
    /// Norms are bounded by twice the bound.
    ClipAtTwice,
    /// The norm of a tied embedding without its cross term.
    TiedCrossDropped,
    /// One tensor does not count in the norm.
    TensorOutOfNorm,
    /// Vectors count twice in the squared norm.
    BiasSquaredTwice,
    /// A gradient that is not finite is multiplied by zero.
    NanByMultiplication,
    /// Padding tokens count in the loss.
    PaddingInLoss,
    /// Noise of 0.95 times its standard deviation.
    NoiseTooSmall,
    /// Noise added to the sum in f32, off the grid.
    SingleAddition,
    /// Noise only where the sum is not zero.
    TouchedOnly,
    /// One noise stream for all tensors.
    OneStream,
    /// Noise from uniforms of 24 bits.
    CoarseUniforms,
    /// Noise with every micro-batch instead of once per step.
    NoisePerMicroBatch,
    /// Division by the size of the batch that was drawn.
    RealisedDivisor,
    /// Division by floor(q N) instead of the configured batch size.
    FloorDivisor,
    /// A pass in order instead of coins.
    Shuffle,
    /// A batch of fixed size instead of coins.
    FixedSize,
    /// Batches cut at their expected size.
    CappedBatch,
    /// An empty batch is no step.
    SkippedEmpty,
    /// The key of a seeded run does not depend on its instance.
    OneKeyForAll,
    /// Coins from a seed although the noise is secret.
    SeededCoins,
    /// A key is kept although the inputs changed.
    UnboundKey,
    /// The transform's rounding is left out of the upper bound.
    FftErrorOmitted,
    /// The worse direction is taken for every step instead of after composing.
    DirectionsMaxed,
    /// A series ends at a term that is small in itself, not next to the sum.
    EarlyStoppedRdp,
    /// Noise is calibrated to the lower bound of epsilon.
    CalibratedToLower,
}

#[cfg(test)]
const SECOND: usize = 1;

#[cfg(test)]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Twin>> = const { std::cell::Cell::new(None) };
    static LEFT_OUT: std::cell::Cell<usize> = const { std::cell::Cell::new(SECOND) };
}

/// Whether this twin is chosen on the current thread.
#[cfg(test)]
pub(crate) fn is(twin: Twin) -> bool {
    ACTIVE.get() == Some(twin)
}

/// Runs `test` with the engine broken in one way.
#[cfg(test)]
pub(crate) fn with<R>(twin: Twin, test: impl FnOnce() -> R) -> R {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            ACTIVE.set(None);
            LEFT_OUT.set(SECOND);
        }
    }
    ACTIVE.set(Some(twin));
    let _reset = Reset;
    test()
}

/// The parameter, by its place in the registry, that `TensorOutOfNorm` forgets; the second one unless chosen otherwise.
#[cfg(test)]
pub(crate) fn left_out() -> usize {
    LEFT_OUT.get()
}

/// Runs `test` with one parameter left out of the norm.
#[cfg(test)]
pub(crate) fn leaving_out<R>(place: usize, test: impl FnOnce() -> R) -> R {
    LEFT_OUT.set(place);
    with(Twin::TensorOutOfNorm, test)
}
