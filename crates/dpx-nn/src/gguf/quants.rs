//! How GGUF stores numbers: plain, or in blocks of small whole numbers with their scales, as ggml defines them.

use half::f16;

/// How the numbers of a tensor are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quant {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4K,
    Q5K,
    Q6K,
}

/// Every type that is read: its number, its name, the numbers of a block, and its bytes.
const TYPES: [(u32, Quant, &str, u64, u64); 11] = [
    (0, Quant::F32, "F32", 1, 4),
    (1, Quant::F16, "F16", 1, 2),
    (30, Quant::Bf16, "BF16", 1, 2),
    (2, Quant::Q4_0, "Q4_0", 32, 18),
    (3, Quant::Q4_1, "Q4_1", 32, 20),
    (6, Quant::Q5_0, "Q5_0", 32, 22),
    (7, Quant::Q5_1, "Q5_1", 32, 24),
    (8, Quant::Q8_0, "Q8_0", 32, 34),
    (12, Quant::Q4K, "Q4_K", 256, 144),
    (13, Quant::Q5K, "Q5_K", 256, 176),
    (14, Quant::Q6K, "Q6_K", 256, 210),
];

/// Types that are known by name.
const OTHERS: [(u32, &str); 14] = [
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (29, "IQ1_M"),
    (39, "MXFP4"),
];

impl Quant {
    pub(crate) fn of(kind: u32) -> Option<Self> {
        let mut types = TYPES.iter();
        types
            .find(|(number, ..)| *number == kind)
            .map(|(_, quant, ..)| *quant)
    }

    /// What a type is called, whether it is read or not.
    pub(crate) fn name_of(kind: u32) -> String {
        let read = TYPES.iter().map(|(number, _, name, ..)| (*number, *name));
        let mut all = read.chain(OTHERS);
        all.find(|(number, _)| *number == kind)
            .map_or_else(|| format!("type {kind}"), |(_, name)| name.to_owned())
    }

    /// The names of all that are read.
    pub(crate) fn list() -> String {
        TYPES.map(|(_, _, name, ..)| name).join(", ")
    }

    fn entry(self) -> &'static (u32, Self, &'static str, u64, u64) {
        TYPES
            .iter()
            .find(|(_, quant, ..)| *quant == self)
            .expect("every type stands in the table")
    }

    pub(crate) fn name(self) -> &'static str {
        self.entry().2
    }

    /// Numbers of a block, and its bytes.
    pub(crate) fn block(self) -> (u64, u64) {
        let entry = self.entry();
        (entry.3, entry.4)
    }

    /// The numbers of whole blocks.
    pub(crate) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let (numbers, size) = self.block();
        let mut values = Vec::with_capacity(bytes.len() / size as usize * numbers as usize);
        for block in bytes.chunks_exact(size as usize) {
            match self {
                Self::F32 => {
                    values.push(f32::from_le_bytes([block[0], block[1], block[2], block[3]]));
                }
                Self::F16 => values.push(half_at(block, 0)),
                Self::Bf16 => values.push(half::bf16::from_le_bytes([block[0], block[1]]).to_f32()),
                Self::Q4_0 => small(block, 2, None, &mut values, |scale, _, q| scale * (q - 8.0)),
                Self::Q4_1 => small(block, 4, None, &mut values, |scale, least, q| {
                    scale * q + least
                }),
                Self::Q5_0 => small(block, 6, Some(2), &mut values, |scale, _, q| {
                    scale * (q - 16.0)
                }),
                Self::Q5_1 => small(block, 8, Some(4), &mut values, |scale, least, q| {
                    scale * q + least
                }),
                Self::Q8_0 => {
                    let scale = half_at(block, 0);
                    let whole = |byte: &u8| f32::from(i8::from_le_bytes([*byte])) * scale;
                    values.extend(block[2..].iter().map(whole));
                }
                Self::Q4K => super_block(block, 16, None, &mut values),
                Self::Q5K => super_block(block, 48, Some(16), &mut values),
                Self::Q6K => six_bits(block, &mut values),
            }
        }
        values
    }
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// A block of 32 numbers of 4 bits, from `from` on, the lower halves of all bytes before the upper ones; where there is a fifth
/// bit, from `high` on.
fn small(
    block: &[u8],
    from: usize,
    high: Option<usize>,
    values: &mut Vec<f32>,
    value: impl Fn(f32, f32, f32) -> f32,
) {
    let scale = half_at(block, 0);
    let least = half_at(block, 2);
    for number in 0..32 {
        let byte = block[from + number % 16];
        let low = if number < 16 { byte & 15 } else { byte >> 4 };
        let fifth = high.map_or(0, |high| (block[high + number / 8] >> (number % 8)) & 1);
        values.push(value(scale, least, f32::from(low | fifth << 4)));
    }
}

/// Scale and least value, of 6 bits each, of one of the eight parts of a block.
const fn scale_and_least(scales: &[u8], part: usize) -> (u8, u8) {
    if part < 4 {
        (scales[part] & 63, scales[part + 4] & 63)
    } else {
        let both = scales[part + 4];
        (
            (both & 15) | ((scales[part - 4] >> 6) << 4),
            (both >> 4) | ((scales[part] >> 6) << 4),
        )
    }
}

/// A block of 256 numbers of 4 bits in eight parts; where there is a fifth bit, from `high` on.
fn super_block(block: &[u8], from: usize, high: Option<usize>, values: &mut Vec<f32>) {
    let (scale, least) = (half_at(block, 0), half_at(block, 2));
    for part in 0..8 {
        let (own, minimum) = scale_and_least(&block[4..16], part);
        let (own, minimum) = (scale * f32::from(own), least * f32::from(minimum));
        for number in 0..32 {
            let byte = block[from + part / 2 * 32 + number];
            let low = if part % 2 == 0 { byte & 15 } else { byte >> 4 };
            let fifth = high.map_or(0, |high| (block[high + number] >> part) & 1);
            values.push(own * f32::from(low | fifth << 4) - minimum);
        }
    }
}

/// A block of 256 numbers of 6 bits in sixteen parts.
fn six_bits(block: &[u8], values: &mut Vec<f32>) {
    let scale = half_at(block, 208);
    for number in 0..256 {
        let (half, within) = (number / 128, number % 128);
        let (quarter, at) = (within / 32, within % 32);
        let byte = block[half * 64 + quarter % 2 * 32 + at];
        let low = if quarter < 2 { byte & 15 } else { byte >> 4 };
        let high = (block[128 + half * 32 + at] >> (2 * quarter)) & 3;
        let own = scale * f32::from(i8::from_le_bytes([block[192 + number / 16]]));
        values.push(own * (f32::from(low | high << 4) - 32.0));
    }
}
