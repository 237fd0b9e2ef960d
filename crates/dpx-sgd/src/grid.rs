//! The public power-of-two grid on which sums and noise are added, and what rounding costs.
//!
//! Adding f32 noise to an f32 sum leaves the lattice of the sum visible in the result (Mironov 2012; Haney et al. 2022).
//! So the sum is rounded to multiples of a public step h, the noise, drawn in f64, to multiples of the same h, and both are
//! added as integers. The result lies on one lattice whatever the data are.

/// Integers up to this size are made from floats, and back, without loss.
const LARGEST: f64 = 1_125_899_906_842_624.0; // 2^50
/// 1.5 x 2^52: adding it to a float of at most 2^51 in size leaves the nearest integer in the low bits.
const MAGIC: f64 = 6_755_399_441_055_744.0;

/// The multiples of a power of two, on which sums and noise lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    exponent: i32,
}

impl Grid {
    /// The grid for a bound on the norm: its step is the largest power of two that is at most 2^-24 times the bound.
    pub(crate) fn for_bound(max_grad_norm: f64) -> Self {
        Self {
            exponent: max_grad_norm.log2().floor() as i32 - 24,
        }
    }

    /// The distance h between neighboring points, a power of two.
    pub fn step(self) -> f64 {
        f64::from(self.exponent).exp2()
    }

    /// 1 / h, exact.
    pub(super) fn inverse(self) -> f64 {
        f64::from(-self.exponent).exp2()
    }
}

/// Rounds to the nearest integer, ties to even. What lies beyond 2^50, or is not a number, becomes 0: clipped sums never do.
#[inline]
pub(super) fn round(value: f64) -> i64 {
    let kept = if value.abs() <= LARGEST { value } else { 0.0 };
    ((kept + MAGIC).to_bits() as i64).wrapping_sub(MAGIC.to_bits() as i64)
}

/// An integer of at most 2^51 in size as a float, exact.
#[inline]
pub(super) fn to_float(integer: i64) -> f64 {
    f64::from_bits((MAGIC.to_bits() as i64).wrapping_add(integer) as u64) - MAGIC
}

/// Most examples whose gradients are summed in f32 before f64 takes over.
pub(crate) const MAX_ROWS: usize = 256;

/// Bound tau on what rounding adds to the sensitivity, as a share of it: the noise is sigma C (1 + tau), so that the reported
/// sigma holds for the arithmetic that runs.
///
/// Three parts: (a) the clipped norm itself may exceed C by 1e-5; (b) two neighbours' sums are rounded to the grid, each
/// coordinate by at most h/2: sqrt(values) h / C together; (c) adding an example may regroup all others, whose f32 sums are
/// then rounded otherwise. A sum over k terms in f32 errs by about sqrt(k) u times its size (Higham and Mary 2019, u =
/// 2^-24); sums of at most [`MAX_ROWS`] examples have norm at most `MAX_ROWS` x C, their squares add up over the batch,
/// f64 errs nowhere near: sqrt(batch x tokens) u min(batch, `MAX_ROWS`). Part (c) is a bound for independent roundings, at
/// the worst case that all gradients are parallel; measured distances are far below it.
pub fn rounding_allowance(
    values: usize,
    max_grad_norm: f64,
    expected_batch_size: f64,
    max_seq_len: usize,
) -> f64 {
    let [clipping, lattice] = of_any_sum(values, max_grad_norm);
    let batch = expected_batch_size.max(1.0);
    let sums = (batch * max_seq_len as f64).sqrt() * f64::from(f32::EPSILON) / 2.0
        * batch.min(MAX_ROWS as f64);
    clipping + lattice + sums
}

/// The same for a sum in f64 over all of `rows` examples, which is regrouped by one more of them: sqrt(rows) 2^-53 rows.
pub fn f64_rounding_allowance(values: usize, max_grad_norm: f64, rows: u64) -> f64 {
    let rows = rows.max(1) as f64;
    let sums = rows.sqrt() * rows * f64::EPSILON / 2.0;
    of_any_sum(values, max_grad_norm).iter().sum::<f64>() + sums
}

/// Parts (a) and (b): by which the clipped norm may exceed its bound, and the lattice.
fn of_any_sum(values: usize, max_grad_norm: f64) -> [f64; 2] {
    let lattice = (values as f64).sqrt() * Grid::for_bound(max_grad_norm).step() / max_grad_norm;
    [1e-5, lattice]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_is_a_power_of_two_about_2_to_the_minus_24_of_the_bound() {
        for bound in [1e-6, 0.1, 0.999, 1.0, 1.7, 3e5] {
            let step = Grid::for_bound(bound).step();
            assert!(step <= bound * 2f64.powi(-24) && step > bound * 2f64.powi(-25));
            assert_eq!(step.to_bits() << 12, 0, "no mantissa");
            assert_eq!(step * Grid::for_bound(bound).inverse(), 1.0);
        }
    }

    #[test]
    fn rounding_is_exact_and_total() {
        for (value, expected) in [
            (0.0, 0),
            (0.5, 0),
            (1.5, 2),
            (-0.5, 0),
            (-1.5, -2),
            (0.49999999999999994, 0),
            (1e15, 1_000_000_000_000_000),
            (-1e15, -1_000_000_000_000_000),
            (f64::NAN, 0),
            (f64::INFINITY, 0),
            (f64::NEG_INFINITY, 0),
            (1e300, 0),
        ] {
            assert_eq!(round(value), expected, "{value}");
        }
        for integer in [0, 1, -1, 1 << 50, -(1 << 50), 123_456_789_012_345] {
            assert_eq!(to_float(integer), integer as f64);
        }
    }

    /// Sums of random vectors of norm 1 over many rows, forwards and backwards.
    #[test]
    fn sums_in_f64_stay_within_their_allowance() {
        for rows in [1_000u64, 100_000] {
            let value = |row: u64| ((row * 7919) as f64).sin();
            let forwards: f64 = (0..rows).map(value).sum();
            let backwards: f64 = (0..rows).rev().map(value).sum();
            let sums = f64_rounding_allowance(1, 1.0, rows) - f64_rounding_allowance(1, 1.0, 1);
            assert!((forwards - backwards).abs() < sums, "{rows}");
        }
        assert!(f64_rounding_allowance(6 * 5_000, 1.0, 1_000_000) < 1e-4);
    }

    #[test]
    fn the_allowance_stays_small_at_realistic_sizes() {
        let gpt2 = rounding_allowance(124_439_808, 1.0, 1024.0, 128);
        assert!(gpt2 > 6.6e-4 && gpt2 < 0.01, "{gpt2}");
        let small = rounding_allowance(5_000_000, 1.0, 256.0, 64);
        assert!(small < 0.003, "{small}");
    }
}
