//! Names of devices.

use std::fmt;
use std::str::FromStr;

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
    /// burn's backend on the processor, on which tests compare the kernels for devices with those for the host.
    Flex,
}

impl Device {
    /// `cpu`, `wgpu` or `cuda`: two devices of one class are expected to give the same bits.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu(_) => "wgpu",
            Self::Cuda(_) => "cuda",
            Self::Flex => "flex",
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => formatter.write_str("cpu"),
            Self::Wgpu(index) => write!(formatter, "wgpu:{index}"),
            Self::Cuda(index) => write!(formatter, "cuda:{index}"),
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
