//! The tensor alias and the choice of backend.

use std::fmt;
use std::str::FromStr;

/// A tensor of any backend; the device it was made on decides.
pub type Tensor<const D: usize, K = burn::tensor::Float> =
    burn::tensor::Tensor<burn_dispatch::Dispatch, D, K>;

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
}

impl Device {
    /// `cpu`, `wgpu` or `cuda`: two devices of one class are expected to give the same bits.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu(_) => "wgpu",
            Self::Cuda(_) => "cuda",
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => formatter.write_str("cpu"),
            Self::Wgpu(index) => write!(formatter, "wgpu:{index}"),
            Self::Cuda(index) => write!(formatter, "cuda:{index}"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (class, index) = text.split_once(':').unwrap_or((text, "0"));
        let index = index.parse().map_err(|_| {
            format!("`{text}` is no device: expected `cpu`, `wgpu`, `wgpu:N`, `cuda` or `cuda:N`")
        })?;
        match class {
            "cpu" => Ok(Self::Cpu),
            "wgpu" => Ok(Self::Wgpu(index)),
            "cuda" => Ok(Self::Cuda(index)),
            _ => Err(format!(
                "`{text}` is no device: expected `cpu`, `wgpu`, `wgpu:N`, `cuda` or `cuda:N`"
            )),
        }
    }
}
