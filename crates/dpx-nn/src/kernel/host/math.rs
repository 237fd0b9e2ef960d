//! Scalar functions and reductions that the compiler turns into vector instructions wherever they are inlined.
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined is compiled for the baseline"
)]

use super::level::multiversion;

/// Number of independent partial sums: the widest vector has 16 lanes.
const LANES: usize = 16;

/// e^x with a relative error below 3e-7 on [-60, 60]; clamped outside. NaN stays NaN.
///
/// The range ends where a quotient or product with it would become a subnormal number, which costs Intel processors some
/// hundred cycles; beside 1 the ends are zero and infinity.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding and taking it away rounds to an integer
    let clamped = x.clamp(-60.0, 60.0);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4_f32;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let y = p * r * r + r + 1.0;
    // The low bits of `shifted` hold the integer; NaN's are harmless, as y is NaN then.
    let power = f32::from_bits((shifted.to_bits().wrapping_add(127)) << 23);
    y * power
}

/// `x`, or zero where it is too small to matter beside values near one. Products with subnormal numbers (below 1.2e-38) take
/// Intel processors some hundred cycles each: those that GELU and softmax leave made a training step five times as long.
#[inline(always)]
pub(crate) fn flushed(x: f32) -> f32 {
    if x.abs() < 1e-25 { 0.0 } else { x }
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The error function, absolute error below 1e-6 in f32 (Abramowitz and Stegun 7.1.26).
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let p = 1.061_405_4_f32;
    let p = p * t - 1.453_152;
    let p = p * t + 1.421_413_7;
    let p = p * t - 0.284_496_74;
    let p = p * t + 0.254_829_6;
    (1.0 - p * t * exp(-a * a)).copysign(x)
}

/// Sum of products.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (a_rest, b_rest) = (a_chunks.remainder(), b_chunks.remainder());
    for (x, y) in a_chunks.zip(b_chunks) {
        for i in 0..LANES {
            lanes[i] += x[i] * y[i];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    lanes.iter().sum::<f32>() + rest
}

/// Sum of products, in f64.
#[inline(always)]
pub(crate) fn dot_f64(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0_f64; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let (a_rest, b_rest) = (a_chunks.remainder(), b_chunks.remainder());
    for (x, y) in a_chunks.zip(b_chunks) {
        for i in 0..8 {
            lanes[i] += f64::from(x[i]) * f64::from(y[i]);
        }
    }
    let rest: f64 = a_rest
        .iter()
        .zip(b_rest)
        .map(|(x, y)| f64::from(*x) * f64::from(*y))
        .sum();
    lanes.iter().sum::<f64>() + rest
}

#[inline(always)]
pub(crate) fn sum(a: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let chunks = a.chunks_exact(LANES);
    let rest = chunks.remainder();
    for x in chunks {
        for i in 0..LANES {
            lanes[i] += x[i];
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// Largest value; NaN is passed over.
#[inline(always)]
pub(crate) fn max(a: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = a.chunks_exact(LANES);
    let rest = chunks.remainder();
    for x in chunks {
        for i in 0..LANES {
            lanes[i] = if x[i] > lanes[i] { x[i] } else { lanes[i] };
        }
    }
    rest.iter()
        .chain(&lanes)
        .fold(f32::NEG_INFINITY, |a, &b| a.max(b))
}

multiversion! {
    /// `out = e^((x - highest) / temperature)`, zero below 1e-25 and where `x` is not a number; their sum.
    pub(crate) fn weights(x: &[f32], highest: f32, temperature: f32, out: &mut [f32]) -> f64 {
        let weight = |x: f32| {
            let weight = flushed(exp((x - highest) / temperature));
            if weight.is_nan() { 0.0 } else { weight }
        };
        let mut lanes = [0.0_f64; LANES];
        let mut outputs = out.chunks_exact_mut(LANES);
        let mut inputs = x.chunks_exact(LANES);
        for (x, y) in (&mut inputs).zip(&mut outputs) {
            for i in 0..LANES {
                y[i] = weight(x[i]);
                lanes[i] += f64::from(y[i]);
            }
        }
        let mut total: f64 = lanes.iter().sum();
        for (x, y) in inputs.remainder().iter().zip(outputs.into_remainder()) {
            *y = weight(*x);
            total += f64::from(*y);
        }
        total
    }
}

multiversion! {
    /// Sum of the values that are `min` or more.
    pub(crate) fn sum_from(x: &[f32], min: f32) -> f64 {
        let value = |x: f32| f64::from(if x >= min { x } else { 0.0 });
        let mut lanes = [0.0_f64; LANES];
        let chunks = x.chunks_exact(LANES);
        let rest = chunks.remainder();
        for x in chunks {
            for i in 0..LANES {
                lanes[i] += value(x[i]);
            }
        }
        lanes.iter().sum::<f64>() + rest.iter().map(|x| value(*x)).sum::<f64>()
    }
}

/// Softmax of `scale * row` in place, without subnormal numbers.
#[inline(always)]
pub(crate) fn softmax(row: &mut [f32], scale: f32) {
    let largest = max(row) * scale;
    for x in row.iter_mut() {
        *x = exp(*x * scale - largest);
    }
    let inverse = 1.0 / sum(row);
    for x in row {
        *x = flushed(*x * inverse);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_to_libm() {
        let mut x = -60.0_f32;
        while x < 60.0 {
            let (got, want) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(
                ((got - want) / want).abs() < 4e-7,
                "exp({x}) = {got}, {want}"
            );
            x += 0.0137;
        }
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(f32::NEG_INFINITY) < 1e-26 && exp(f32::INFINITY) > 1e26);
    }

    #[test]
    fn erf_is_close_to_libm() {
        let mut x = -6.0_f32;
        while x < 6.0 {
            let want = libm::erf(f64::from(x));
            assert!((f64::from(erf(x)) - want).abs() < 1e-6, "erf({x})");
            x += 0.0031;
        }
    }

    #[test]
    fn reductions_take_in_the_remainder() {
        let a: Vec<f32> = (0..37).map(|i| i as f32).collect();
        assert_eq!(sum(&a), 666.0);
        assert_eq!(dot(&a, &a), 16206.0);
        assert_eq!(dot_f64(&a, &a), 16206.0);
        assert_eq!(max(&a), 36.0);
        assert_eq!(sum_from(&a, 2.5), 663.0);
    }

    #[test]
    fn weights_are_exponentials_and_their_sum() {
        let x: Vec<f32> = (0..21).map(|i| -0.7 * i as f32).collect();
        let mut out = vec![f32::NAN; x.len()];
        let total = weights(&x, 0.0, 0.5, &mut out);
        let want: Vec<f64> = x.iter().map(|x| (2.0 * f64::from(*x)).exp()).collect();
        for (got, want) in out.iter().zip(&want) {
            assert!((f64::from(*got) - want).abs() < 1e-6 * want);
        }
        assert!((total - want.iter().sum::<f64>()).abs() < 1e-6);
        let mut out = [1.0; 4];
        let total = weights(
            &[f32::NAN, f32::NEG_INFINITY, 3.0, -90.0],
            3.0,
            1.0,
            &mut out,
        );
        assert_eq!((out, total), ([0.0, 0.0, 1.0, 0.0], 1.0));
    }

    #[test]
    fn softmax_of_peaked_scores_leaves_no_subnormal_numbers() {
        let mut row: Vec<f32> = (0..37).map(|i| -8.0 * i as f32).collect();
        softmax(&mut row, 0.5);
        assert!(row.iter().all(|x| *x == 0.0 || x.is_normal()), "{row:?}");
        assert!(row[10] > 0.0 && row[36] == 0.0);
        assert!((sum(&row) - 1.0).abs() < 1e-6);
    }
}
