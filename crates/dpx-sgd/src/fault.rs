//! Injected faults: ways to break the engine on purpose, so that each privacy test can be shown to fail on one.
//!
//! A fault is chosen for the current thread and read where a step begins, never on a worker thread. Outside tests
//! `fault!(...)` is the constant `false`.

/// Whether the engine is to be broken in this way; always `false` outside tests.
macro_rules! fault {
    ($fault:ident) => {{
        #[cfg(any(test, feature = "fault-injection"))]
        let broken = $crate::fault::is($crate::fault::Fault::$fault);
        #[cfg(not(any(test, feature = "fault-injection")))]
        let broken = false;
        broken
    }};
}
pub(crate) use fault;

#[cfg(any(test, feature = "fault-injection"))]
dpx_schema::faults! {
    /// A way to break the engine.
    pub enum Fault {
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
        /// Micro-batches have the shape of what is in them.
        BareMicroBatches,
        /// The allowance for rounding is that of a batch of one row.
        AllowanceOfOneRow,
        /// The records of a person are bounded one by one.
        RecordsClippedApart,
        /// Records have coins of their own where people are to be sampled.
        CoinsOfRecords,
        /// One of several devices leaves out a micro-batch.
        MicroBatchDropped,
    }
}

/// The place that `TensorOutOfNorm` forgets unless another is chosen.
#[cfg(any(test, feature = "fault-injection"))]
const SECOND: usize = 1;

#[cfg(any(test, feature = "fault-injection"))]
thread_local! {
    static LEFT_OUT: std::cell::Cell<usize> = const { std::cell::Cell::new(SECOND) };
}

/// The parameter, by its place in the registry, that `TensorOutOfNorm` forgets; the second one unless chosen otherwise.
#[cfg(any(test, feature = "fault-injection"))]
pub fn left_out() -> usize {
    LEFT_OUT.get()
}

/// Runs `test` with one parameter left out of the norm.
#[cfg(test)]
pub(crate) fn leaving_out<R>(place: usize, test: impl FnOnce() -> R) -> R {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            LEFT_OUT.set(SECOND);
        }
    }
    LEFT_OUT.set(place);
    let _reset = Reset;
    with(Fault::TensorOutOfNorm, test)
}
