//! What running workers share: places on the machine, and slots on its devices.

use crate::plan::DeviceNeed;
use dpx_schema::Device;

/// Places and slots that are free.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    jobs: usize,
    devices: Vec<(Device, usize)>,
}

/// What one worker holds while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// A place alone.
    Place,
    /// A slot of one device, by its position.
    One(usize),
    /// A slot of every device.
    All,
}

impl Slots {
    pub(super) fn new(jobs: usize, devices: &[Device], per_device: usize) -> Self {
        Self {
            jobs,
            devices: devices.iter().map(|device| (*device, per_device)).collect(),
        }
    }

    /// Whether a worker could start now.
    pub(super) fn fits(&self, need: DeviceNeed) -> bool {
        let mut free = self.devices.iter().map(|(_, free)| *free > 0);
        self.jobs > 0
            && match need {
                DeviceNeed::None => true,
                DeviceNeed::One => free.any(|free| free),
                DeviceNeed::All => free.all(|free| free),
            }
    }

    /// Takes a place, and a slot of the device with the most free slots, or of each, where they are needed.
    pub(super) fn take(&mut self, need: DeviceNeed) -> Option<Held> {
        if !self.fits(need) {
            return None;
        }
        let held = match need {
            DeviceNeed::None => Held::Place,
            DeviceNeed::One => Held::One(self.freest()?),
            DeviceNeed::All => Held::All,
        };
        self.jobs -= 1;
        for slots in self.of(held) {
            *slots -= 1;
        }
        Some(held)
    }

    fn freest(&self) -> Option<usize> {
        (0..self.devices.len())
            .rev()
            .max_by_key(|&index| self.devices[index].1)
    }

    pub(super) fn give_back(&mut self, held: Held) {
        self.jobs += 1;
        for slots in self.of(held) {
            *slots += 1;
        }
    }

    /// The free slots of the devices that a worker holds.
    fn of(&mut self, held: Held) -> impl Iterator<Item = &mut usize> {
        let holds = move |index| match held {
            Held::Place => false,
            Held::One(own) => own == index,
            Held::All => true,
        };
        let slots = self.devices.iter_mut().enumerate();
        slots.filter_map(move |(index, (_, free))| holds(index).then_some(free))
    }

    /// The devices that a worker holds.
    pub(super) fn devices(&self, held: Held) -> Vec<Device> {
        let all = self.devices.iter().map(|(device, _)| *device);
        match held {
            Held::Place => Vec::new(),
            Held::One(index) => vec![self.devices[index].0],
            Held::All => all.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeviceNeed::{All, None as Nothing, One};

    #[test]
    fn a_device_holds_one_worker_and_others_run_beside_it() {
        let mut slots = Slots::new(2, &[Device::Cpu], 1);
        let train = slots.take(One).unwrap();
        assert_eq!(slots.devices(train), [Device::Cpu]);
        assert_eq!(slots.take(One), None, "the device is taken");
        let preprocess = slots.take(Nothing).unwrap();
        assert_eq!(slots.devices(preprocess), []);
        assert!(!slots.fits(Nothing), "both places are taken");
        slots.give_back(train);
        assert!(slots.fits(One));
    }

    #[test]
    fn workers_spread_over_devices() {
        let mut slots = Slots::new(9, &[Device::Cuda(0), Device::Cuda(1)], 2);
        let taken: Vec<_> = (0..4)
            .map(|_| {
                let held = slots.take(One).unwrap();
                slots.devices(held)[0].to_string()
            })
            .collect();
        assert_eq!(taken, ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]);
        assert!(!slots.fits(One) && slots.fits(Nothing));
    }

    #[test]
    fn a_divided_training_holds_every_device_once() {
        let devices = [Device::Cuda(0), Device::Cuda(1)];
        let mut slots = Slots::new(9, &devices, 1);
        let train = slots.take(All).unwrap();
        assert_eq!(slots.devices(train), devices);
        assert!(!slots.fits(One) && !slots.fits(All) && slots.fits(Nothing));
        slots.give_back(train);
        let sample = slots.take(One).unwrap();
        assert!(slots.fits(One) && !slots.fits(All), "one is taken");
        slots.give_back(sample);
        assert!(slots.fits(All));
    }
}
