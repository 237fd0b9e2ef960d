//! Products in bfloat16, and with frozen matrices that are held in fewer bits.

use crate::Arithmetic;
use crate::device::{RoundedTensor, Tensor};
use crate::kernel::{Factor, Side};
use burn::tensor::DType;

/// About as many values of a frozen matrix as are widened at once on a device.
const ON_DEVICE: usize = if cfg!(test) { 1 << 6 } else { 1 << 25 };

/// Whether a factor asks for bfloat16.
pub(super) fn in_bf16(a: Factor<'_>, b: Factor<'_>) -> bool {
    let factors = [a, b].map(|factor| factor.array.arithmetic());
    factors.contains(&Arithmetic::Bf16)
}

/// The product, in bfloat16 or in f32.
pub(super) fn multiplied(x: Tensor<2>, y: Tensor<2>, in_bf16: bool) -> Tensor<2> {
    if in_bf16 {
        let product = x.cast(DType::BF16).matmul(y.cast(DType::BF16));
        return product.cast(DType::F32);
    }
    x.matmul(y)
}

/// The product of `x`, which is the tensor of `a`, with a frozen matrix, which is `b`: widened by as many columns of the product at
/// once as there are in a block.
pub(super) fn product(
    a: Factor<'_>,
    b: Factor<'_>,
    matrix: &RoundedTensor,
    x: Tensor<2>,
    [k, n]: [usize; 2],
) -> Tensor<2> {
    let (x, in_bf16) = (a.sided(x), in_bf16(a, b));
    let count = (n * k / ON_DEVICE).clamp(1, n);
    let mut parts = Vec::with_capacity(count);
    for block in 0..count {
        let columns = block * n / count..(block + 1) * n / count;
        let wide = match b.side {
            Side::Plain => matrix.columns(&columns),
            Side::Transposed => matrix.rows(&columns).transpose(),
        };
        parts.push(multiplied(x.clone(), wide, in_bf16));
    }
    if parts.len() == 1 {
        return parts.swap_remove(0);
    }
    Tensor::cat(parts, 1)
}
