//! Where tensors live: the processor, or a GPU through burn's Dispatch backend; and which devices there are.

mod cuda;
#[cfg(feature = "burn")]
mod dispatch;
mod found;
#[cfg(feature = "burn")]
mod rounded;
mod tensor;
mod wgpu;

pub use found::{Devices, Found, Missing, devices};

use dpx_schema::Device;

#[cfg(feature = "burn")]
pub use dispatch::Tensor;
#[cfg(feature = "burn")]
pub(crate) use dispatch::to_dispatch;
#[cfg(feature = "burn")]
pub(crate) use rounded::RoundedTensor;
pub(crate) use tensor::DeviceTensor;

/// Why tensors cannot live on a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum DeviceError {
    /// This program was built without it.
    #[error("`{device}` cannot be used: {}", not_compiled(.device.class()))]
    NotCompiled { device: Device },
    /// It is not on this machine, or cannot be used here.
    #[error("`{device}` cannot be used: {reason}")]
    Absent { device: Device, reason: String },
}

fn not_compiled(class: &str) -> String {
    format!(
        "this dpx was built without {class}; build one with `cargo build --release --features {class}`"
    )
}

/// What can be done with a device.
pub trait DeviceExt: Sized {
    /// Whether arrays can live there.
    ///
    /// # Errors
    /// When this program was built without the device, or there is none of that number.
    fn usable(self) -> Result<(), DeviceError>;

    /// Whether it multiplies bfloat16. The processor is not asked to: without instructions of its own it is far slower so.
    ///
    /// # Errors
    /// When the device cannot be used.
    fn multiplies_bf16(self) -> Result<bool, DeviceError>;

    /// Waits until the device has done all that it was given; for measurements.
    ///
    /// # Errors
    /// When the device cannot be used, or something that it was given failed.
    fn synchronize(self) -> Result<(), String>;

    /// The device that tests of kernels run on: what `DPX_TEST_DEVICE` names, or burn's backend on the processor.
    #[cfg(feature = "flex")]
    fn under_test() -> Self;

    /// The devices that models are tested on: the one that `DPX_TEST_DEVICE` names, or the host and burn's backend there.
    #[cfg(feature = "flex")]
    fn all_under_test() -> Vec<Self>;
}

impl DeviceExt for Device {
    #[cfg(feature = "burn")]
    fn usable(self) -> Result<(), DeviceError> {
        if self == Self::Cpu {
            return Ok(());
        }
        to_dispatch(self).map(|_| ())
    }

    #[cfg(not(feature = "burn"))]
    fn usable(self) -> Result<(), DeviceError> {
        match self {
            Self::Cpu => Ok(()),
            _ => Err(DeviceError::NotCompiled { device: self }),
        }
    }

    fn multiplies_bf16(self) -> Result<bool, DeviceError> {
        self.usable()?;
        #[cfg(feature = "burn")]
        if self != Self::Cpu {
            return dispatch::multiplies_bf16(self);
        }
        Ok(false)
    }

    fn synchronize(self) -> Result<(), String> {
        self.usable().map_err(|error| error.to_string())?;
        #[cfg(feature = "burn")]
        if self != Self::Cpu {
            return dispatch::synchronize(self);
        }
        Ok(())
    }

    #[cfg(feature = "flex")]
    fn under_test() -> Self {
        named_for_tests().unwrap_or(Self::Flex)
    }

    #[cfg(feature = "flex")]
    fn all_under_test() -> Vec<Self> {
        named_for_tests().map_or_else(|| vec![Self::Cpu, Self::Flex], |named| vec![named])
    }
}

#[cfg(feature = "flex")]
fn named_for_tests() -> Option<Device> {
    let name = std::env::var("DPX_TEST_DEVICE").ok()?;
    Some(name.parse().expect("`DPX_TEST_DEVICE` names a device"))
}
