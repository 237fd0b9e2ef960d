//! One step over several devices: the bits of one, whoever is first, and an error wherever one of them is not whole.

use super::tests::{mechanism, network_on, people, settings, texts};
use super::*;
use crate::dp_optimizer::Recorded;
use crate::fault::{self, Fault};
use crate::optimizer::Averaging;
use crate::replicas::ReplicaError;
use dpx_nn::device::DeviceExt;
use dpx_nn::model::Decoder;
use dpx_nn::{Error, Tape};
use std::sync::{Arc, Mutex};

const SMALL: MicroBatches = MicroBatches {
    max_rows: 2,
    max_tokens: 60,
};

fn trainer(network: &Decoder, clipping: Clipping, noise_multiplier: f64) -> Trainer {
    let settings = TrainerSettings {
        clipping,
        ..settings(8.0, Averaging::Ema)
    };
    let source = KeySource::Seeded(Key::seeded(5, "devices"));
    let mechanism = mechanism(0.7, noise_multiplier);
    Trainer::new(network.parameters(), mechanism, settings, SMALL, source).unwrap()
}

/// A copy whose weights are of no account: the first device's are.
fn copy(device: Device) -> Box<dyn Network> {
    let mut network = network_on(device);
    let id = network.parameters().trainable_ids()[0];
    let zeros = Array::zeros(network.parameters().value(id).shape());
    network.parameters_mut().value_mut(id).copy_from(&zeros);
    Box::new(network)
}

/// Everything that three steps leave behind: telemetry, what the last one did, and the bits of the weights.
fn steps(
    device: Device,
    others: Vec<Box<dyn Network>>,
    clipping: Clipping,
    noise_multiplier: f64,
    examples: &dyn Examples,
) -> Result<(Vec<Telemetry>, Recorded, Vec<u32>), TrainerError> {
    let mut network = network_on(device);
    let mut trainer = trainer(&network, clipping, noise_multiplier);
    trainer.divide_over(Replicas::new(network.parameters(), others).unwrap());
    let told: Result<Vec<_>, _> = (0..3)
        .map(|_| trainer.step(&mut network, examples))
        .collect();
    Ok((told?, trainer.optimizer.recorded.clone(), bits(&network)))
}

fn bits(network: &Decoder) -> Vec<u32> {
    let parameters = network.parameters().iter();
    parameters
        .flat_map(|(_, parameter)| parameter.value.to_vec())
        .map(f32::to_bits)
        .collect()
}

fn on_pool<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(work)
}

pub(crate) fn devices_sum_as_one() -> bool {
    let examples = texts(12);
    let of = |count: usize| {
        let others = (1..count).map(|_| copy(Device::Cpu)).collect();
        steps(Device::Cpu, others, Clipping::Flat, 1.0, &examples)
    };
    let one = of(1).unwrap();
    (2..4).all(|count| of(count).is_ok_and(|several| several == one))
}

/// The same bits of sum, noise, weights and telemetry from one, two, three and seven devices (more than there are
/// micro-batches), whatever threads they share, for every way of clipping, with and without noise, rows and people.
#[test]
fn devices_together_sum_what_one_sums() {
    assert!(devices_sum_as_one());
    let cases = [
        (Clipping::Flat, 1.0),
        (Clipping::Automatic, 1.0),
        (Clipping::PerLayer, 1.0),
        (Clipping::Flat, 0.0),
    ];
    for device in [Device::Cpu, Device::under_test()] {
        for (clipping, noise_multiplier) in cases {
            let (rows, owners) = (texts(12), people(14, 3));
            for examples in [&rows as &dyn Examples, &owners] {
                let of = |count: usize| {
                    let others = (1..count).map(|_| copy(device)).collect();
                    steps(device, others, clipping, noise_multiplier, examples).unwrap()
                };
                let one = of(1);
                assert!(one.1.sum.iter().flatten().any(|value| *value != 0.0));
                for (threads, count) in [(1, 2), (2, 2), (3, 2), (4, 3), (2, 7)] {
                    let several = on_pool(threads, || of(count));
                    assert!(several == one, "{device}, {clipping:?}, {count} devices");
                }
            }
        }
    }
}

/// A dropped micro-batch is no smaller sum.
#[test]
fn a_device_that_leaves_out_a_micro_batch_is_an_error() {
    let found = fault::with(Fault::MicroBatchDropped, || {
        let others = vec![copy(Device::Cpu)];
        steps(Device::Cpu, others, Clipping::Flat, 1.0, &texts(12))
    });
    assert!(matches!(found, Err(TrainerError::Miscounted)), "{found:?}");
}

/// What goes wrong on a device.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Breaks {
    Refuses,
    Panics,
    /// Computes all examples of a micro-batch but the last.
    Shortens,
    Never,
}

/// A network that goes wrong while that is wished.
struct Breaking {
    network: Decoder,
    how: Arc<Mutex<Breaks>>,
}

impl Network for Breaking {
    fn parameters(&self) -> &Parameters {
        self.network.parameters()
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        self.network.parameters_mut()
    }

    fn forward_backward(&self, batch: &Batch) -> Result<Tape, Error> {
        let how = *self.how.lock().unwrap();
        match how {
            Breaks::Refuses => Err(Error::TooLong {
                length: 99,
                context: 16,
            }),
            Breaks::Panics => panic!("out of memory"),
            Breaks::Shortens => {
                let rows: Vec<usize> = (0..batch.examples() - 1).collect();
                let fewer = texts(rows.len()).batch(&rows, Idle::NONE);
                self.network.forward_backward(&fewer)
            }
            Breaks::Never => self.network.forward_backward(batch),
        }
    }

    fn forward_loss(&self, batch: &Batch) -> Result<Vec<f64>, Error> {
        self.network.forward_loss(batch)
    }
}

/// A failure on any device is one of the step, which names the device and leaves nothing behind: the same step again, on
/// devices that work, has the bits of an undisturbed run.
#[test]
fn a_device_that_fails_fails_the_step_and_leaves_nothing_in_the_sum() {
    let examples = texts(12);
    let undisturbed = steps(Device::Cpu, Vec::new(), Clipping::Flat, 1.0, &examples).unwrap();
    for how in [Breaks::Refuses, Breaks::Panics, Breaks::Shortens] {
        for place in 0..2 {
            let mut network = network_on(Device::Cpu);
            let switch = Arc::new(Mutex::new(how));
            let breaking = Breaking {
                network: network_on(Device::Cpu),
                how: Arc::clone(&switch),
            };
            let mut others = vec![copy(Device::Cpu)];
            others.insert(place, Box::new(breaking));
            let mut trainer = trainer(&network, Clipping::Flat, 1.0);
            trainer.divide_over(Replicas::new(network.parameters(), others).unwrap());
            let failed = trainer.step(&mut network, &examples).unwrap_err();
            let told = failed.to_string();
            assert!(
                told.starts_with("`cpu`, one of several devices, failed"),
                "{told}"
            );
            match how {
                Breaks::Panics => assert!(told.contains("out of memory"), "{told}"),
                Breaks::Shortens => assert!(told.contains("exactly once"), "{told}"),
                Breaks::Refuses | Breaks::Never => assert!(told.contains("99"), "{told}"),
            }
            assert_eq!(trainer.step_number(), 0);
            *switch.lock().unwrap() = Breaks::Never;
            for _ in 0..3 {
                trainer.step(&mut network, &examples).unwrap();
            }
            assert!(bits(&network) == undisturbed.2, "{how:?}, device {place}");
        }
    }
}

/// The first device alone fails in the same way.
#[test]
fn one_device_that_computes_fewer_examples_is_an_error_too() {
    let mut network = Breaking {
        network: network_on(Device::Cpu),
        how: Arc::new(Mutex::new(Breaks::Shortens)),
    };
    let mut trainer = trainer(&network_on(Device::Cpu), Clipping::Flat, 1.0);
    let found = trainer.step(&mut network, &texts(12));
    assert!(matches!(found, Err(TrainerError::Miscounted)), "{found:?}");
}

#[test]
fn devices_of_another_class_and_other_models_are_refused() {
    let network = network_on(Device::Cpu);
    let found = Replicas::new(network.parameters(), vec![copy(Device::Flex)]);
    assert!(
        matches!(found, Err(ReplicaError::Class { .. })),
        "{found:?}"
    );
    let mut frozen = network_on(Device::Cpu);
    frozen.parameters_mut().select(dpx_nn::Selection::Bias);
    let found = Replicas::new(network.parameters(), vec![Box::new(frozen)]);
    assert!(
        matches!(found, Err(ReplicaError::Model { .. })),
        "{found:?}"
    );
}

/// A killed run goes on from its checkpoint with another number of devices, bit for bit.
#[test]
fn a_run_goes_on_with_another_number_of_devices() {
    let examples = texts(12);
    let whole = steps(Device::Cpu, Vec::new(), Clipping::Flat, 1.0, &examples).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.bin");
    let binding = [7; 32];
    let mut network = network_on(Device::Cpu);
    let mut first = trainer(&network, Clipping::Flat, 1.0);
    let replicas = Replicas::new(network.parameters(), vec![copy(Device::Cpu)]);
    first.divide_over(replicas.unwrap());
    first.step(&mut network, &examples).unwrap();
    first
        .checkpoint(network.parameters(), &path, &binding, &[])
        .unwrap();
    let mut network = network_on(Device::Cpu);
    let mut second = trainer(&network, Clipping::Flat, 1.0);
    let others = vec![copy(Device::Cpu), copy(Device::Cpu)];
    second.divide_over(Replicas::new(network.parameters(), others).unwrap());
    let found = crate::checkpoint::read(&path, &binding).unwrap().whole();
    second
        .restore(network.parameters_mut(), found.as_ref())
        .unwrap();
    for _ in 0..2 {
        second.step(&mut network, &examples).unwrap();
    }
    assert!(bits(&network) == whole.2);
}
