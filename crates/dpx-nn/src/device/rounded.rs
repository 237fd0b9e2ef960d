//! Frozen matrices in bfloat16 or 8 bits on a device, where it stores such numbers; else the same rounded values in f32.

use super::dispatch::Tensor;
use crate::rounded::{RoundedMatrix, Stored};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Int, TensorCreationOptions, TensorData};
use burn_dispatch::{Dispatch, DispatchDevice};
use dpx_schema::params::BasePrecision;
use std::ops::Range;

/// A matrix `[rows, width]`; what comes out of it is f32, and the same numbers as on the host.
#[derive(Clone)]
pub(crate) struct RoundedTensor {
    precision: BasePrecision,
    held: Held,
}

#[derive(Clone)]
enum Held {
    /// bfloat16, or f32 where the device has none.
    Float(Tensor<2>),
    /// Whole numbers and the scale of each row, `[rows, 1]`.
    Int8 {
        values: Tensor<2, Int>,
        scales: Tensor<2>,
    },
}

impl RoundedTensor {
    /// Copies a matrix from the host.
    pub(crate) fn upload(matrix: &RoundedMatrix, device: &DispatchDevice) -> Self {
        let dims = matrix.dims();
        let stores = |dtype| Dispatch::supports_dtype(device, dtype);
        let of = |dtype| TensorCreationOptions::new(device.clone()).with_dtype(dtype);
        let held = match matrix.stored() {
            Stored::Bf16(bits) if stores(DType::BF16) => {
                let values = bits.iter().map(|&bits| half::bf16::from_bits(bits));
                let data = TensorData::new(values.collect::<Vec<_>>(), dims);
                Held::Float(Tensor::from_data(data, of(DType::BF16)))
            }
            Stored::Int8 { values, scales } if stores(DType::I8) => {
                let data = TensorData::new(values.clone(), dims);
                let scales = TensorData::new(scales.clone(), [dims[0], 1]);
                Held::Int8 {
                    values: Tensor::from_data(data, of(DType::I8)),
                    scales: Tensor::from_data(scales, device),
                }
            }
            Stored::Bf16(_) | Stored::Int8 { .. } => {
                let mut wide = Vec::with_capacity(dims[0] * dims[1]);
                matrix.visit(|block| wide.extend_from_slice(block));
                Held::Float(Tensor::from_data(TensorData::new(wide, dims), device))
            }
        };
        Self {
            precision: matrix.precision(),
            held,
        }
    }

    pub(crate) const fn precision(&self) -> BasePrecision {
        self.precision
    }

    pub(crate) fn device(&self) -> DispatchDevice {
        match &self.held {
            Held::Float(values) => values.device(),
            Held::Int8 { values, .. } => values.device(),
        }
    }

    pub(crate) fn whole(&self) -> Tensor<2> {
        match &self.held {
            Held::Float(values) => values.clone().cast(DType::F32),
            Held::Int8 { values, scales } => values.clone().float() * scales.clone(),
        }
    }

    pub(crate) fn rows(&self, rows: &Range<usize>) -> Tensor<2> {
        let (from, count) = (rows.start, rows.len());
        match &self.held {
            Held::Float(values) => values.clone().narrow(0, from, count).cast(DType::F32),
            Held::Int8 { values, scales } => {
                let values = values.clone().narrow(0, from, count);
                values.float() * scales.clone().narrow(0, from, count)
            }
        }
    }

    pub(crate) fn columns(&self, columns: &Range<usize>) -> Tensor<2> {
        let (from, count) = (columns.start, columns.len());
        match &self.held {
            Held::Float(values) => values.clone().narrow(1, from, count).cast(DType::F32),
            Held::Int8 { values, scales } => {
                values.clone().narrow(1, from, count).float() * scales.clone()
            }
        }
    }

    /// The named rows, in order.
    pub(crate) fn select(&self, rows: Tensor<1, Int>) -> Tensor<2> {
        match &self.held {
            Held::Float(values) => values.clone().select(0, rows).cast(DType::F32),
            Held::Int8 { values, scales } => {
                let scales = scales.clone().select(0, rows.clone());
                values.clone().select(0, rows).float() * scales
            }
        }
    }
}
