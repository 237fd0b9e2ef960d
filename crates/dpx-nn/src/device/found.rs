//! The devices of this machine.

use super::{cuda, wgpu};
use dpx_schema::Device;
use std::path::Path;

/// A device that tensors can live on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What `[run] device` calls it.
    pub device: Device,
    /// Its name, kind and interface, for people.
    pub description: String,
    /// All of its memory in bytes, where that can be found out.
    pub memory: Option<u64>,
    /// Whether it is no GPU but a program that stands in for one: correct, slow, and never chosen by itself.
    pub software: bool,
}

/// A class of devices that cannot be used here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The class: `wgpu` or `cuda`.
    pub class: &'static str,
    /// Why not, such as that this program was built without it.
    pub reason: String,
}

/// What there is and what there is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Devices {
    /// What can be used, the best first: CUDA, then real GPUs through wgpu, then the processor, then software rasterizers.
    pub found: Vec<Found>,
    /// Classes of devices that cannot be used here.
    pub missing: Vec<Missing>,
}

impl Devices {
    /// What `device = "auto"` stands for: the first that was found.
    pub fn best(&self) -> Device {
        self.found.first().map_or(Device::Cpu, |best| best.device)
    }

    /// Whether a device can be used.
    ///
    /// # Errors
    /// Why not: its class cannot be used at all, or has no device of that number.
    pub fn check(&self, device: Device) -> Result<(), String> {
        if self.found.iter().any(|found| found.device == device) {
            return Ok(());
        }
        let mut missing = self.missing.iter();
        if let Some(missing) = missing.find(|missing| missing.class == device.class()) {
            return Err(missing.reason.clone());
        }
        let own = self.found.iter().map(|found| found.device);
        let own = own.filter(|found| found.class() == device.class());
        let own: Vec<String> = own.map(|found| format!("`{found}`")).collect();
        Err(format!("of its class there is {}", own.join(", ")))
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
        memory: system_memory(),
        software: false,
    };
    Devices::sorted(
        processor,
        [("cuda", cuda::found()), ("wgpu", wgpu::found())],
    )
}

/// The memory that this program may use in bytes, as Linux tells it: that of the machine, or what its control group allows.
fn system_memory() -> Option<u64> {
    let lines = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = lines
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = total.split_whitespace().next()?.parse().ok()?;
    let total = kibibytes * 1024;
    let allowed = std::fs::read_to_string("/proc/self/cgroup").ok();
    let allowed = allowed.and_then(|groups| allowed_by(&groups, Path::new("/sys/fs/cgroup")));
    Some(allowed.map_or(total, |allowed| allowed.min(total)))
}

/// The least `memory.max` of the control group in `groups` (the text of `/proc/self/cgroup`) and those above it.
fn allowed_by(groups: &str, root: &Path) -> Option<u64> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let own = Path::new(own.trim().trim_start_matches('/'));
    let limits = own.ancestors().filter_map(|group| {
        let limit = std::fs::read_to_string(root.join(group).join("memory.max")).ok()?;
        // The word `max` is no limit.
        limit.trim().parse().ok()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(device: Device, software: bool) -> Found {
        Found {
            device,
            description: "a device".into(),
            memory: None,
            software,
        }
    }

    fn best(cuda: Result<Vec<Found>, String>, wgpu: Result<Vec<Found>, String>) -> Device {
        Devices::sorted(found(Device::Cpu, false), [("cuda", cuda), ("wgpu", wgpu)]).best()
    }

    #[test]
    fn cuda_comes_before_wgpu_before_the_processor_before_a_rasterizer() {
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
        let rasterizer = || Ok(vec![found(Device::Wgpu(0), true)]);
        assert_eq!(best(cuda(), both()), Device::Cuda(0));
        assert_eq!(best(none(), both()), Device::Wgpu(0));
        assert_eq!(best(none(), rasterizer()), Device::Cpu);
        assert_eq!(best(none(), none()), Device::Cpu);
    }

    #[test]
    fn the_least_limit_of_the_control_groups_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |group: &str, limit: &str| {
            let folder = root.path().join(group);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("memory.max"), limit).unwrap();
        };
        let allowed = |groups: &str| allowed_by(groups, root.path());
        assert_eq!(allowed("0::/job/step\n"), None);
        write("job/step", "max\n");
        write("job", "2000000000\n");
        assert_eq!(allowed("1:cpu:/x\n0::/job/step\n"), Some(2_000_000_000));
        write("job/step", "1000000000\n");
        assert_eq!(allowed("0::/job/step\n"), Some(1_000_000_000));
        assert_eq!(allowed("0::/\n"), None);
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
        assert_eq!(
            devices.check(Device::Wgpu(1)),
            Err("of its class there is `wgpu:0`".into())
        );
        assert_eq!(devices.check(Device::Cuda(0)), Err("no driver".into()));
    }
}
