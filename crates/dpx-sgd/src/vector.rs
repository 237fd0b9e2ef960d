//! Runs a loop with the widest vector instructions that the processor has.

/// Runs `operation` compiled for AVX-512, for AVX2 with FMA, or for the baseline. Its body must be inlined (`#[inline(always)]`
/// functions on slices). The bits are the same on every path: neither `mul_add` nor products and sums written apart change with it.
#[inline]
pub fn vectorized<F: pulp::NullaryFnOnce>(operation: F) -> F::Output {
    #[cfg(target_arch = "x86_64")]
    {
        use pulp::Simd;
        if let Some(simd) = pulp::x86::V4::try_new() {
            return Simd::vectorize(simd, operation);
        }
        if let Some(simd) = pulp::x86::V3::try_new() {
            return Simd::vectorize(simd, operation);
        }
    }
    operation.call()
}
