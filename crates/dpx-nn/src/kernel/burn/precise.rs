//! Products and sums on which a clipping bound rests: of f32 accuracy on every device.
//!
//! Every device but CUDA multiplies f32 as f32. On CUDA burn may choose tensor cores, which round factors to TF32's eleven
//! bits; there factors are split into three parts of eight bits, whose products lose nothing.

use crate::device::Tensor;
use burn::tensor::DType;
use burn_dispatch::DispatchDevice;

/// Most values that are added up in f32 in one go: the error of such a sum is at most this multiple of the unit roundoff times
/// the sum of the sizes.
const RUN: usize = 64;

/// Whether plain products of a device may round their factors.
fn rounds(device: &DispatchDevice) -> bool {
    #[cfg(feature = "cuda")]
    if matches!(device, DispatchDevice::Cuda(_)) {
        return true;
    }
    let _ = device;
    false
}

/// `a b` of f32 accuracy.
pub(crate) fn matmul<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    if rounds(&a.device()) {
        split_matmul(a, b)
    } else {
        a.matmul(b)
    }
}

/// Three parts of eight bits each that add up to the values: exact but for the last bits of values near zero.
pub(super) fn split<const D: usize>(x: Tensor<D>) -> [Tensor<D>; 3] {
    let leading = |x: Tensor<D>| x.cast(DType::BF16).cast(DType::F32);
    let high = leading(x.clone());
    let rest = x - high.clone();
    let middle = leading(rest.clone());
    let low = rest - middle.clone();
    [high, middle, low]
}

/// A product whose factors survive rounding to eleven bits; what it leaves out is below 2^-23 of each term.
pub(super) fn split_matmul<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    let ([a0, a1, a2], [b0, b1, b2]) = (split(a), split(b));
    let smallest = a0.clone().matmul(b2) + a2.matmul(b0.clone()) + a1.clone().matmul(b1.clone());
    let small = a0.clone().matmul(b1) + a1.matmul(b0.clone());
    smallest + small + a0.matmul(b0)
}

/// The values of each row added up, in f64 on the host after runs of at most [`RUN`] on the device.
pub(crate) struct RowSums {
    /// `[rows, runs]`.
    pub(crate) partial: Tensor<2>,
    /// Bound of the error as a share of the sum of the sizes.
    pub(crate) error: f64,
}

impl RowSums {
    /// Sums of the rows of `x`.
    pub(crate) fn of(mut x: Tensor<2>) -> Self {
        let mut levels = 0;
        while x.dims()[1] > RUN {
            levels += 1;
            let [rows, width] = x.dims();
            let runs = width / RUN;
            let whole = x.clone().narrow(1, 0, runs * RUN);
            let whole = whole.reshape([rows * runs, RUN]).sum_dim(1);
            let whole = whole.reshape([rows, runs]);
            let rest = width - runs * RUN;
            x = if rest == 0 {
                whole
            } else {
                let rest = x.narrow(1, runs * RUN, rest).sum_dim(1);
                Tensor::cat(vec![whole, rest], 1)
            };
        }
        Self {
            partial: x,
            error: f64::from(levels) * RUN as f64 * f64::from(f32::EPSILON) / 2.0,
        }
    }
}
