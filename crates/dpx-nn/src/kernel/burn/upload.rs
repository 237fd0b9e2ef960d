//! Small things that a kernel brings along from the host: indices, factors, masks.

use crate::device::Tensor;
use burn::tensor::{Bool, Int, TensorData};
use burn_dispatch::DispatchDevice;

/// Indices of rows or ids.
pub(super) fn indices(
    values: impl IntoIterator<Item = usize>,
    device: &DispatchDevice,
) -> Tensor<1, Int> {
    let values: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

/// One value a row, `[rows, 1]`.
pub(super) fn column(values: Vec<f32>, device: &DispatchDevice) -> Tensor<2> {
    let dims = [values.len(), 1];
    Tensor::from_data(TensorData::new(values, dims), device)
}

pub(super) fn mask<const D: usize>(
    values: Vec<bool>,
    dims: [usize; D],
    device: &DispatchDevice,
) -> Tensor<D, Bool> {
    Tensor::from_data(TensorData::new(values, dims), device)
}

/// Rows times a factor each; zeros where there is none, whatever the row holds.
pub(super) fn scaled(x: Tensor<2>, factors: &[Option<f32>]) -> Tensor<2> {
    let (device, dims) = (x.device(), x.dims());
    let kept = if factors.iter().all(Option::is_some) {
        x
    } else {
        let removed = factors.iter().map(Option::is_none).collect();
        let removed = mask(removed, [dims[0], 1], &device);
        x.mask_fill(removed.expand(dims), 0.0)
    };
    let factors = factors.iter().map(|factor| factor.unwrap_or(0.0)).collect();
    kept * column(factors, &device)
}
