//! What running workers share: places on the machine, and slots on its devices.

use dpx_schema::Device;

/// Places and slots that are free.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    jobs: usize,
    devices: Vec<(Device, usize)>,
}

/// What one worker holds while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    device: Option<usize>,
}

impl Slots {
    pub(super) fn new(jobs: usize, devices: &[Device], per_device: usize) -> Self {
        Self {
            jobs,
            devices: devices.iter().map(|device| (*device, per_device)).collect(),
        }
    }

    /// Whether a worker could start now.
    pub(super) fn fits(&self, uses_device: bool) -> bool {
        self.jobs > 0 && (!uses_device || self.devices.iter().any(|(_, free)| *free > 0))
    }

    /// Takes a place, and a slot of the device with the most free slots where one is needed.
    pub(super) fn take(&mut self, uses_device: bool) -> Option<Held> {
        if !self.fits(uses_device) {
            return None;
        }
        let device = uses_device.then(|| self.freest()).flatten();
        if let Some(index) = device {
            self.devices[index].1 -= 1;
        }
        self.jobs -= 1;
        Some(Held { device })
    }

    fn freest(&self) -> Option<usize> {
        (0..self.devices.len())
            .rev()
            .max_by_key(|&index| self.devices[index].1)
    }

    pub(super) fn give_back(&mut self, held: Held) {
        self.jobs += 1;
        if let Some(index) = held.device {
            self.devices[index].1 += 1;
        }
    }

    /// The device that a worker holds.
    pub(super) fn device(&self, held: Held) -> Option<Device> {
        held.device.map(|index| self.devices[index].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_holds_one_worker_and_others_run_beside_it() {
        let mut slots = Slots::new(2, &[Device::Cpu], 1);
        let train = slots.take(true).unwrap();
        assert_eq!(slots.device(train), Some(Device::Cpu));
        assert_eq!(slots.take(true), None, "the device is taken");
        let preprocess = slots.take(false).unwrap();
        assert_eq!(slots.device(preprocess), None);
        assert!(!slots.fits(false), "both places are taken");
        slots.give_back(train);
        assert!(slots.fits(true));
    }

    #[test]
    fn workers_spread_over_devices() {
        let mut slots = Slots::new(9, &[Device::Cuda(0), Device::Cuda(1)], 2);
        let taken: Vec<_> = (0..4)
            .map(|_| {
                let held = slots.take(true).unwrap();
                slots.device(held).unwrap().to_string()
            })
            .collect();
        assert_eq!(taken, ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]);
        assert!(!slots.fits(true) && slots.fits(false));
    }
}
