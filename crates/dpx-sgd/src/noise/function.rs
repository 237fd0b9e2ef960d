//! Uniforms, logarithm, sine and cosine without branches.
#![expect(
    clippy::inline_always,
    reason = "the callers' vector instructions reach only what is inlined"
)]
#![expect(
    clippy::excessive_precision,
    reason = "the coefficients stand as fdlibm prints them"
)]

const TWO_52: f64 = 4_503_599_627_370_496.0;

/// An integer below 2^52 as a float, without the scalar conversion instruction.
#[inline(always)]
fn small(integer: u64) -> f64 {
    f64::from_bits(0x4330_0000_0000_0000 | integer) - TWO_52
}

/// (word + 1/2) / 2^64, rounded to the nearest float below 1: between 2^-65 and 1 - 2^-53, never 0 and never 1.
#[inline(always)]
pub(super) fn open_uniform(word: u64) -> f64 {
    const HIGH: f64 = 1.0 / 4_294_967_296.0;
    let (high, low) = (small(word >> 32), small(word & 0xffff_ffff));
    let uniform = (low + 0.5).mul_add(HIGH * HIGH, high * HIGH);
    const LARGEST: f64 = 1.0 - f64::EPSILON / 2.0;
    if uniform < LARGEST { uniform } else { LARGEST }
}

/// Natural logarithm of a normal float between 2^-1000 and 2 (fdlibm `e_log.c`).
#[inline(always)]
pub(super) fn ln(x: f64) -> f64 {
    const LN2_HIGH: f64 = 6.931_471_803_691_238_164_90e-01;
    const LN2_LOW: f64 = 1.908_214_929_270_587_700_02e-10;
    const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    const ONE: u64 = 0x3ff0_0000_0000_0000;
    // x = 2^exponent (1 + f) with 1 + f between sqrt(1/2) and sqrt(2).
    let shifted = x.to_bits().wrapping_add(ONE - ROOT_HALF);
    let exponent = small(shifted >> 52) - 1023.0;
    let f = f64::from_bits((shifted & 0x000f_ffff_ffff_ffff) + ROOT_HALF) - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let even = w * w
        .mul_add(1.531_383_769_920_937_332e-01, 2.222_219_843_214_978_396e-01)
        .mul_add(w, 3.999_999_999_940_941_908e-01);
    let odd = z * w
        .mul_add(1.479_819_860_511_658_591e-01, 1.818_357_216_161_805_012e-01)
        .mul_add(w, 2.857_142_874_366_239_149e-01)
        .mul_add(w, 6.666_666_666_666_735_130e-01);
    let half_square = 0.5 * f * f;
    let tail = s.mul_add(half_square + (odd + even), exponent * LN2_LOW);
    exponent.mul_add(LN2_HIGH, f - (half_square - tail))
}

/// Cosine and sine of a uniform angle: the top two bits choose the quarter turn, the other 62 the place in it.
#[inline(always)]
pub(super) fn angle(word: u64) -> (f64, f64) {
    const HIGH: f64 = 1.0 / 4_294_967_296.0;
    let (high, low) = (small((word >> 32) & 0x3fff_ffff), small(word & 0xffff_ffff));
    // Between -1/2 and 1/2 of a quarter turn.
    let place = ((low + 0.5).mul_add(HIGH, high)).mul_add(4.0 * HIGH, -0.5);
    let x = place * std::f64::consts::FRAC_PI_2;
    let z = x * x;
    let sine = z
        .mul_add(
            1.589_690_995_211_550_102_21e-10,
            -2.505_076_025_340_686_341_95e-08,
        )
        .mul_add(z, 2.755_731_370_707_006_767_89e-06)
        .mul_add(z, -1.984_126_982_985_794_931_34e-04)
        .mul_add(z, 8.333_333_333_322_489_461_24e-03)
        .mul_add(z, -1.666_666_666_666_663_243_48e-01);
    let sine = (x * z).mul_add(sine, x);
    let cosine = z
        .mul_add(
            -1.135_964_755_778_819_482_65e-11,
            2.087_572_321_298_174_827_90e-09,
        )
        .mul_add(z, -2.755_731_435_139_066_330_35e-07)
        .mul_add(z, 2.480_158_728_947_672_941_78e-05)
        .mul_add(z, -1.388_888_888_887_410_957_49e-03)
        .mul_add(z, 4.166_666_666_666_660_190_37e-02);
    let cosine = (z * z).mul_add(cosine, z.mul_add(-0.5, 1.0));
    // Quarter turns 0..4: (c, s), (-s, c), (-c, -s), (s, -c).
    let swap = word & (1 << 62) != 0;
    let (a, b) = if swap { (sine, cosine) } else { (cosine, sine) };
    let sign = 1u64 << 63;
    let flip_a = (word ^ (word << 1)) & sign;
    let flip_b = word & sign;
    (
        f64::from_bits(a.to_bits() ^ flip_a),
        f64::from_bits(b.to_bits() ^ flip_b),
    )
}
