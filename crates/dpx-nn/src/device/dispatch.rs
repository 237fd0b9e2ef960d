//! Devices as burn's Dispatch backend knows them.

use super::{DeviceError, cuda, wgpu};
use burn::tensor::DType;
use burn::tensor::backend::Backend;
use burn_dispatch::{Dispatch, DispatchDevice};
use dpx_schema::Device;

/// A tensor of any backend; the device it was made on decides.
pub type Tensor<const D: usize, K = burn::tensor::Float> = burn::tensor::Tensor<Dispatch, D, K>;

/// The same device for burn. The host is none of burn's: its kernels work on slices.
pub(crate) fn to_dispatch(device: Device) -> Result<DispatchDevice, DeviceError> {
    match device {
        Device::Wgpu(index) => wgpu::dispatch(index),
        Device::Cuda(index) => cuda::dispatch(index),
        #[cfg(feature = "flex")]
        Device::Flex => Ok(DispatchDevice::Flex(burn_flex::FlexDevice)),
        _ => Err(DeviceError::NotCompiled { device }),
    }
}

pub(super) fn multiplies_bf16(device: Device) -> Result<bool, DeviceError> {
    Ok(Dispatch::supports_dtype(&to_dispatch(device)?, DType::BF16))
}

pub(super) fn synchronize(device: Device) -> Result<(), String> {
    let dispatch = to_dispatch(device).map_err(|error| error.to_string())?;
    Dispatch::sync(&dispatch).map_err(|error| format!("{error:?}"))
}
