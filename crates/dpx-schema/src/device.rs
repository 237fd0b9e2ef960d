//! Names of devices.

use std::fmt;
use std::str::FromStr;

/// What computes: the processor, or one GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Device {
    /// The processor, with all of its cores.
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

/// What stands between devices where several are named in one line.
const BETWEEN: &str = ", ";

/// The devices of one worker as a record names them: one, or those that a training is divided over.
pub fn device_list(devices: &[Device]) -> String {
    let names: Vec<String> = devices.iter().map(Device::to_string).collect();
    names.join(BETWEEN)
}

/// The names in such a list.
pub fn device_names(list: &str) -> impl Iterator<Item = &str> {
    list.split(BETWEEN)
}

/// The devices that a training is divided over. One that is named several times computes as several.
///
/// # Errors
/// In words: a name is none, or they are not of one class, so that the bits of an example would depend on who computes it.
pub fn divided_devices<S: AsRef<str>>(names: &[S]) -> Result<Vec<Device>, String> {
    let devices: Vec<Device> = names
        .iter()
        .map(|name| name.as_ref().parse())
        .collect::<Result<_, _>>()?;
    let unlike = devices
        .iter()
        .find(|device| device.class() != devices[0].class());
    match unlike {
        Some(other) => Err(format!(
            "a training cannot be divided over `{}` and `{other}`: expected devices of one class",
            devices[0]
        )),
        None => Ok(devices),
    }
}

/// What is told of a device that failed.
pub fn device_failure(words: &str) -> String {
    format!(
        "{words}\n\
         if its memory ran out, lower `micro_batch_tokens`, `micro_batch_size` or `generation_batch` of the stage, or \
         `--device-slots`; if it is gone, see `dpx devices`, or go on with `--device cpu`"
    )
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
    fn a_training_is_divided_over_devices_of_one_class() {
        let devices = divided_devices(&["cuda:1", "cuda"]).unwrap();
        assert_eq!(device_list(&devices), "cuda:1, cuda:0");
        let names: Vec<&str> = device_names("cuda:1, cuda:0").collect();
        assert_eq!(divided_devices(&names), Ok(devices));
        assert_eq!(divided_devices(&["cpu", "cpu"]).unwrap().len(), 2);
        for (names, told) in [
            (["cpu", "cuda:0"], "`cpu` and `cuda:0`"),
            (["cpu", "auto"], "`auto` is no device"),
        ] {
            let refused = divided_devices(&names).unwrap_err();
            assert!(refused.contains(told), "{refused}");
        }
    }

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
