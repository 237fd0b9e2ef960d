//! The devices of this machine.

use super::{Device, cuda, wgpu};

/// A device that tensors can live on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The device.
    pub device: Device,
    /// Its name, kind and interface, for people.
    pub description: String,
    /// Whether it is no GPU but a program that stands in for one: correct, slow, and never chosen by itself.
    pub software: bool,
}

/// A class of devices that cannot be used here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// `wgpu` or `cuda`.
    pub class: &'static str,
    /// Why.
    pub reason: String,
}

/// What there is and what there is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Devices {
    /// What can be used, the best first: CUDA, then real GPUs through wgpu, then the processor, then software rasterisers.
    pub found: Vec<Found>,
    /// What cannot.
    pub missing: Vec<Missing>,
}

impl Devices {
    /// What `auto` stands for.
    pub fn best(&self) -> Device {
        self.found.first().map_or(Device::Cpu, |best| best.device)
    }

    /// Whether a device can be used; why not, where its class cannot be used at all.
    pub fn check(&self, device: Device) -> Result<(), Option<&str>> {
        if self.found.iter().any(|found| found.device == device) {
            return Ok(());
        }
        let missing = self
            .missing
            .iter()
            .find(|missing| missing.class == device.class());
        Err(missing.map(|missing| missing.reason.as_str()))
    }

    fn sorted(processor: Found, classes: [(&'static str, Result<Vec<Found>, String>); 2]) -> Self {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (class, list) in classes {
            match list {
                Ok(list) => found.extend(list),
                Err(reason) => missing.push(Missing { class, reason }),
            }
        }
        let software = found
            .iter()
            .filter(|one| one.software)
            .cloned()
            .collect::<Vec<_>>();
        found.retain(|one| !one.software);
        found.push(processor);
        found.extend(software);
        Self { found, missing }
    }
}

/// Looks for devices. The first call may take a moment, as it asks the drivers.
pub fn devices() -> Devices {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let processor = Found {
        device: Device::Cpu,
        description: format!("processor, {threads} threads"),
        software: false,
    };
    Devices::sorted(
        processor,
        [("cuda", cuda::found()), ("wgpu", wgpu::found())],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(device: Device, software: bool) -> Found {
        Found {
            device,
            description: "a device".into(),
            software,
        }
    }

    fn best(cuda: Result<Vec<Found>, String>, wgpu: Result<Vec<Found>, String>) -> Device {
        Devices::sorted(found(Device::Cpu, false), [("cuda", cuda), ("wgpu", wgpu)]).best()
    }

    #[test]
    fn cuda_comes_before_wgpu_before_the_processor_before_a_rasteriser() {
        let none = || Err("not here".to_owned());
        let cuda = || {
            Ok(vec![
                found(Device::Cuda(0), false),
                found(Device::Cuda(1), false),
            ])
        };
        let both = || {
            Ok(vec![
                found(Device::Wgpu(0), false),
                found(Device::Wgpu(1), true),
            ])
        };
        let rasteriser = || Ok(vec![found(Device::Wgpu(0), true)]);
        assert_eq!(best(cuda(), both()), Device::Cuda(0));
        assert_eq!(best(none(), both()), Device::Wgpu(0));
        assert_eq!(best(none(), rasteriser()), Device::Cpu);
        assert_eq!(best(none(), none()), Device::Cpu);
    }

    #[test]
    fn what_is_missing_has_a_reason() {
        let devices = Devices::sorted(
            found(Device::Cpu, false),
            [
                ("cuda", Err("no driver".into())),
                ("wgpu", Ok(vec![found(Device::Wgpu(0), true)])),
            ],
        );
        assert_eq!(devices.check(Device::Wgpu(0)), Ok(()));
        assert_eq!(devices.check(Device::Wgpu(1)), Err(None));
        assert_eq!(devices.check(Device::Cuda(0)), Err(Some("no driver")));
    }
}
