//! Where tensors live: the processor, or a GPU through burn's Dispatch backend; and which devices there are.

mod cuda;
mod found;
mod wgpu;

pub use found::{Devices, Found, Missing, devices};

use burn::tensor::DType;
use burn::tensor::backend::Backend;
use burn_dispatch::{Dispatch, DispatchDevice};
use std::fmt;
use std::str::FromStr;

/// A tensor of any backend; the device it was made on decides.
pub type Tensor<const D: usize, K = burn::tensor::Float> = burn::tensor::Tensor<Dispatch, D, K>;

/// Where tensors live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU through wgpu, by index.
    Wgpu(usize),
    /// An NVIDIA GPU through CUDA, by index.
    Cuda(usize),
    /// burn's backend on the processor, on which the kernels for devices are compared with those for the host.
    #[cfg(test)]
    Flex,
}

/// Why tensors cannot live on a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// This program was built without it.
    #[error("`{device}` cannot be used: {}", not_compiled(.device.class()))]
    NotCompiled {
        /// The device.
        device: Device,
    },
    /// There is no such device.
    #[error("`{device}` cannot be used: {reason}")]
    Absent {
        /// The device.
        device: Device,
        /// What is missing.
        reason: String,
    },
}

fn not_compiled(class: &str) -> String {
    format!(
        "this dpx was built without {class}; build one with `cargo build --release --features {class}`"
    )
}

impl Device {
    /// `cpu`, `wgpu` or `cuda`: two devices of one class are expected to give the same bits.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu(_) => "wgpu",
            Self::Cuda(_) => "cuda",
            #[cfg(test)]
            Self::Flex => "flex",
        }
    }

    /// The same device for burn. The processor is burn's own backend there, which serves tests alone: the kernels for
    /// [`Device::Cpu`] work on slices.
    ///
    /// # Errors
    /// When this program was built without the device, or there is none of that number.
    pub fn to_dispatch(self) -> Result<DispatchDevice, DeviceError> {
        match self {
            Self::Cpu => Ok(DispatchDevice::Flex(burn_flex::FlexDevice)),
            Self::Wgpu(index) => wgpu::dispatch(index),
            Self::Cuda(index) => cuda::dispatch(index),
            #[cfg(test)]
            Self::Flex => Ok(DispatchDevice::Flex(burn_flex::FlexDevice)),
        }
    }

    /// Whether it multiplies bfloat16. The processor is not asked to: without instructions of its own it is far slower so.
    ///
    /// # Errors
    /// When the device cannot be used.
    pub fn multiplies_bf16(self) -> Result<bool, DeviceError> {
        if self == Self::Cpu {
            return Ok(false);
        }
        Ok(Dispatch::supports_dtype(&self.to_dispatch()?, DType::BF16))
    }

    /// Waits until the device has done all that it was given; for measurements.
    ///
    /// # Errors
    /// When the device cannot be used, or something that it was given failed.
    pub fn synchronise(self) -> Result<(), String> {
        if self == Self::Cpu {
            return Ok(());
        }
        let dispatch = self.to_dispatch().map_err(|error| error.to_string())?;
        Dispatch::sync(&dispatch).map_err(|error| format!("{error:?}"))
    }

    /// The device that tests of kernels run on: what `DPX_TEST_DEVICE` names, or burn's backend on the processor.
    #[cfg(test)]
    pub(crate) fn under_test() -> Self {
        Self::named_for_tests().unwrap_or(Self::Flex)
    }

    /// The devices that models are tested on: the one that `DPX_TEST_DEVICE` names, or the host and burn's backend there.
    #[cfg(test)]
    pub(crate) fn all_under_test() -> Vec<Self> {
        Self::named_for_tests().map_or_else(|| vec![Self::Cpu, Self::Flex], |named| vec![named])
    }

    #[cfg(test)]
    fn named_for_tests() -> Option<Self> {
        let name = std::env::var("DPX_TEST_DEVICE").ok()?;
        Some(name.parse().expect("`DPX_TEST_DEVICE` names a device"))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => formatter.write_str("cpu"),
            Self::Wgpu(index) => write!(formatter, "wgpu:{index}"),
            Self::Cuda(index) => write!(formatter, "cuda:{index}"),
            #[cfg(test)]
            Self::Flex => formatter.write_str("flex"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (class, index) = text.split_once(':').unwrap_or((text, "0"));
        match (class, index.parse()) {
            _ if text == "cpu" => Ok(Self::Cpu),
            ("wgpu", Ok(index)) => Ok(Self::Wgpu(index)),
            ("cuda", Ok(index)) => Ok(Self::Cuda(index)),
            #[cfg(test)]
            _ if text == "flex" => Ok(Self::Flex),
            _ => Err(format!(
                "`{text}` is no device: expected `auto`, `cpu`, `wgpu`, `wgpu:N`, `cuda` or `cuda:N`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_printed() {
        for (text, device) in [
            ("cpu", Device::Cpu),
            ("wgpu", Device::Wgpu(0)),
            ("wgpu:1", Device::Wgpu(1)),
            ("cuda:12", Device::Cuda(12)),
        ] {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        for text in ["", "gpu", "CUDA", "cpu:0", "wgpu:", "cuda:x", "cuda:-1"] {
            let refused = text.parse::<Device>().unwrap_err();
            assert!(
                refused.starts_with(&format!("`{text}` is no device")),
                "{refused}"
            );
        }
    }
}
