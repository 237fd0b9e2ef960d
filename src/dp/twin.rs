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

/// A way to break the engine.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twin {
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
}

#[cfg(test)]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Twin>> = const { std::cell::Cell::new(None) };
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
        }
    }
    ACTIVE.set(Some(twin));
    let _reset = Reset;
    test()
}
