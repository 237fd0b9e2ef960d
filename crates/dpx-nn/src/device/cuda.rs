//! NVIDIA GPUs through CUDA.

#[cfg(feature = "cuda")]
mod toolkit;

#[cfg(feature = "burn")]
use super::DeviceError;
#[cfg(feature = "burn")]
use burn_dispatch::DispatchDevice;
#[cfg(feature = "burn")]
use dpx_schema::Device;

#[cfg(feature = "cuda")]
pub(super) use with::{dispatch, found};
#[cfg(all(feature = "burn", not(feature = "cuda")))]
pub(super) use without::dispatch;
#[cfg(not(feature = "cuda"))]
pub(super) use without::found;

#[cfg(feature = "cuda")]
mod with {
    use super::{Device, DeviceError, DispatchDevice, toolkit};
    use crate::device::Found;
    use cudarc::driver::{CudaContext, result, sys};
    use std::sync::LazyLock;

    /// Name and memory of each GPU, or why none can be used. Asked for once.
    static LISTED: LazyLock<Result<Vec<(String, u64)>, String>> = LazyLock::new(list);

    #[expect(
        unsafe_code,
        reason = "the driver's library is looked for by loading it, and asked through its C interface"
    )]
    fn list() -> Result<Vec<(String, u64)>, String> {
        // SAFETY: loading the driver's library runs its initializers, as every program that uses CUDA does.
        if !unsafe { sys::is_culib_present() } {
            return Err("the NVIDIA driver is not installed (no library `cuda`)".to_owned());
        }
        let told = |error: result::DriverError| format!("the NVIDIA driver says: {error}");
        let count = CudaContext::device_count().map_err(told)?;
        if count > 0 {
            // Without it the first kernel would end the program: burn takes for granted that it is there.
            toolkit::check()?;
        }
        (0..count)
            .map(|index| {
                let device = result::device::get(index).map_err(told)?;
                let name = result::device::get_name(device).map_err(told)?;
                // SAFETY: the device is one that the driver has just returned.
                let bytes = unsafe { result::device::total_mem(device) }.map_err(told)?;
                Ok((name, bytes as u64))
            })
            .collect()
    }

    pub(in crate::device) fn dispatch(index: usize) -> Result<DispatchDevice, DeviceError> {
        let reason = match LISTED.as_ref() {
            Ok(listed) if index < listed.len() => {
                return Ok(DispatchDevice::Cuda(burn_cuda::CudaDevice::new(index)));
            }
            Ok(listed) => format!("the NVIDIA driver counts {} GPUs", listed.len()),
            Err(reason) => reason.clone(),
        };
        Err(DeviceError::Absent {
            device: Device::Cuda(index),
            reason,
        })
    }

    pub(in crate::device) fn found() -> Result<Vec<Found>, String> {
        let listed = LISTED.clone()?;
        if listed.is_empty() {
            return Err("the NVIDIA driver counts no GPU".to_owned());
        }
        let found = listed
            .into_iter()
            .enumerate()
            .map(|(index, (description, bytes))| Found {
                device: Device::Cuda(index),
                description,
                memory: Some(bytes),
                software: false,
            });
        Ok(found.collect())
    }
}

#[cfg(not(feature = "cuda"))]
mod without {
    #[cfg(feature = "burn")]
    use super::{Device, DeviceError, DispatchDevice};
    use crate::device::{Found, not_compiled};

    #[cfg(feature = "burn")]
    pub(in crate::device) const fn dispatch(index: usize) -> Result<DispatchDevice, DeviceError> {
        Err(DeviceError::NotCompiled {
            device: Device::Cuda(index),
        })
    }

    pub(in crate::device) fn found() -> Result<Vec<Found>, String> {
        Err(not_compiled("cuda"))
    }
}
