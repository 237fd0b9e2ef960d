//! Choice of vector instructions at run time: one source, compiled for several instruction sets.

#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

/// Instruction sets that a kernel is compiled for.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Level {
    /// What every processor of the architecture has.
    Baseline,
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
}

#[cfg(target_arch = "x86_64")]
static LEVEL: LazyLock<Level> = LazyLock::new(|| {
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
    {
        Level::Avx512
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        Level::Avx2
    } else {
        Level::Baseline
    }
});

/// The best instruction set of this processor.
#[cfg(target_arch = "x86_64")]
pub(crate) fn level() -> Level {
    *LEVEL
}

/// Compiles a function once for every [`Level`] and calls the best one that the processor has.
/// Helpers that it calls must be `#[inline(always)]`, or they are compiled for the baseline.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[cfg_attr(
            target_arch = "x86_64",
            expect(unsafe_code, reason = "a function with target features is called after detecting them")
        )]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn generic($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    generic($($arg),*)
                }
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    generic($($arg),*)
                }
                match $crate::kernel::host::level::level() {
                    // SAFETY: `level` has found all the features that the function is compiled for.
                    $crate::kernel::host::level::Level::Avx512 => unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::kernel::host::level::Level::Avx2 => unsafe { avx2($($arg),*) },
                    $crate::kernel::host::level::Level::Baseline => generic($($arg),*),
                }
            }
            #[cfg(not(target_arch = "x86_64"))]
            generic($($arg),*)
        }
    };
}
pub(crate) use multiversion;
