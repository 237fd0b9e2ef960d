//! Whether a device computes what the guarantee rests on: made-up examples there and on the host, before a private run.
//!
//! A driver or a compiler of kernels that computes wrongly could break the bound of a gradient without a word. No private
//! text has a part in the check, so that what it says is public.

use super::clip::{ClipError, ClippedSum, Clipping, clipped_sum};
use super::micro_batch::{self, Limits, MicroBatches};
use super::replicas::Replicas;
use super::trainer::Examples;
use dpx_nn::{Array, GradSample, Network};
use dpx_schema::Device;

/// By how much of the bound the norm of a clipped gradient may exceed it: roundings of f32, which the noise is made for.
const OVER_BOUND: f64 = 1e-4;

/// Why a device is not to be trusted with a private run.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum DeviceCheckError {
    /// The model refused the examples.
    #[error(transparent)]
    Network(#[from] dpx_nn::Error),
    /// The gradient cannot be bounded.
    #[error(transparent)]
    Clip(#[from] ClipError),
    /// A clipped gradient is longer than its bound.
    #[error("a clipped gradient has a norm of {norm:e}, above its bound of {bound:e}")]
    AboveBound {
        /// Norm of the gradient, computed on the host.
        norm: f64,
        /// The norm that clipping promises at most.
        bound: f64,
    },
    /// The gradient of an example depends on the others of its batch.
    #[error("the sum over examples differs from that of each alone by {difference:.2} of its size")]
    NotASum {
        /// Norm of the difference over that of the sum.
        difference: f64,
    },
    /// The same example is computed otherwise among others.
    #[error("the gradient of an example changes with the other examples of its micro-batch")]
    Mates,
    /// Which device computes an example depends on the others of its batch.
    #[error("the gradient of an example on `{other}` is not that on `{first}`, to the last bit")]
    Devices { first: Device, other: Device },
    /// The device's gradients are not the processor's.
    #[error(
        "a clipped gradient differs from the processor's by {difference:.2} of its size, where roundings explain {most}"
    )]
    Differs {
        /// Norm of the difference over that of the gradient.
        difference: f64,
        most: f64,
    },
}

/// Computes every example alone and among others, in the micro-batches of a private run and on each of its devices: its loss,
/// the bound of its norm and everything that its gradient is made of must be the same to the last bit. The sensitivity that noise
/// is made for is that of one example: another one's gradient may not change with it, and which device computes that follows from
/// who else is in the batch.
///
/// # Errors
/// [`DeviceCheckError::Mates`] when a bit changes on one device, [`DeviceCheckError::Devices`] when two of them differ.
pub fn check_mates(
    network: &dyn Network,
    replicas: &Replicas,
    clipping: Clipping,
    examples: &dyn Examples,
    micro_batches: MicroBatches,
    expected_rows: f64,
) -> Result<(), DeviceCheckError> {
    let limits = Limits {
        micro_batches,
        expected_rows,
        bounded: true,
    };
    let checked = replicas.each(network, |network| {
        let alone = checked_on(network, clipping, examples, limits)?;
        Ok((network.parameters().device(), alone))
    });
    let checked: Result<Vec<_>, DeviceCheckError> = checked.into_iter().collect();
    let mut checked = checked?.into_iter();
    let Some((first, alone)) = checked.next() else {
        return Ok(());
    };
    match checked.find(|(_, there)| *there != alone) {
        Some((other, _)) => Err(DeviceCheckError::Devices { first, other }),
        None => Ok(()),
    }
}

/// The bits of each example on one device, where they do not depend on its mates.
fn checked_on(
    network: &dyn Network,
    clipping: Clipping,
    examples: &dyn Examples,
    limits: Limits,
) -> Result<Vec<Vec<u64>>, DeviceCheckError> {
    let all = micro_batch::everybody(examples);
    let bits = |units: &[Vec<usize>], wanted: &Vec<usize>| {
        let parts = micro_batch::plan(network.parameters(), examples, units, limits);
        let part = parts.iter().find(|part| part.units.contains(wanted));
        let part = part.expect("every unit is in a micro-batch");
        let index = part.units.iter().position(|unit| unit == wanted);
        let index = index.expect("the micro-batch was chosen for it");
        let tape = network.forward_backward(&part.batch(examples))?;
        let loss = tape.losses[index].to_bits();
        let mut bits = made_of(&tape.grad_samples, index);
        bits.push(loss);
        let clipped = clipped_sum(network.parameters(), tape, clipping, 1.0)?;
        bits.push(clipped.norms[index].to_bits());
        Ok::<Vec<u64>, DeviceCheckError>(bits)
    };
    let each = all.iter().enumerate().map(|(place, unit)| {
        let alone = bits(std::slice::from_ref(unit), unit)?;
        for among in [&all[..], &all[place..]] {
            if bits(among, unit)? != alone {
                return Err(DeviceCheckError::Mates);
            }
        }
        Ok(alone)
    });
    each.collect()
}

/// The bits of what the gradient of an example is made of.
fn made_of(samples: &[GradSample], index: usize) -> Vec<u64> {
    let mut bits = Vec::new();
    let mut add = |array: &Array, rows: std::ops::Range<usize>| {
        let width = array.width();
        let values = array.to_vec();
        let own = &values[rows.start * width..rows.end * width];
        bits.extend(own.iter().map(|value| u64::from(value.to_bits())));
    };
    for sample in samples {
        match sample {
            GradSample::Linear {
                rows,
                input,
                gradient,
                ..
            } => {
                add(input, rows.range(index));
                add(gradient, rows.range(index));
            }
            GradSample::Embedding { rows, gradient, .. } => add(gradient, rows.range(index)),
            GradSample::PerExample { gradient, .. } => add(gradient, index..index + 1),
        }
    }
    bits
}

/// Computes the clipped gradients of all examples on the networks, which have the same weights: one `there`, on the device, one
/// `here`, on the host. The greatest relative difference that was found; more than `most` of it is an error.
///
/// # Errors
/// When a clipped gradient exceeds its bound, when an example's part depends on another, or when device and host differ.
pub fn check_device(
    there: &dyn Network,
    here: &dyn Network,
    clipping: Clipping,
    examples: &dyn Examples,
    most: f64,
) -> Result<f64, DeviceCheckError> {
    let all = micro_batch::everybody(examples);
    let sum = |network: &dyn Network, units: &[Vec<usize>], bound: f64| {
        let tape = network.forward_backward(&micro_batch::bare(examples, units))?;
        Ok::<ClippedSum, DeviceCheckError>(clipped_sum(
            network.parameters(),
            tape,
            clipping,
            bound,
        )?)
    };
    // Half the smallest norm, so that the bound is felt.
    let norms = sum(here, &all, 1.0)?.norms;
    let smallest = norms.into_iter().filter(|norm| norm.is_finite());
    let bound = 0.5 * smallest.fold(f64::INFINITY, f64::min);
    let bound = if bound > 0.0 && bound.is_finite() {
        bound
    } else {
        1.0
    };
    let mut total: Vec<f64> = Vec::new();
    let mut greatest: f64 = 0.0;
    for unit in &all {
        let unit = std::slice::from_ref(unit);
        let ours = values(&sum(here, unit, bound)?);
        let theirs = values(&sum(there, unit, bound)?);
        let norm = length(theirs.iter().copied());
        if norm.is_nan() || norm > clipping.sensitivity(bound) * (1.0 + OVER_BOUND) {
            return Err(DeviceCheckError::AboveBound { norm, bound });
        }
        let difference = difference(&theirs, &ours);
        if difference.is_nan() || difference > most {
            return Err(DeviceCheckError::Differs { difference, most });
        }
        greatest = greatest.max(difference);
        total.resize(theirs.len(), 0.0);
        for (total, value) in total.iter_mut().zip(theirs) {
            *total += value;
        }
    }
    let difference = difference(&values(&sum(there, &all, bound)?), &total);
    if difference.is_nan() || difference > most {
        return Err(DeviceCheckError::NotASum { difference });
    }
    Ok(greatest.max(difference))
}

/// The norms of the gradients of all examples, after their clipped sum was computed in one batch: the work of a private step
/// before its noise, for whoever measures it.
///
/// # Errors
/// The model refuses the examples, or a gradient cannot be bounded.
pub fn clipped_norms(
    network: &dyn Network,
    clipping: Clipping,
    examples: &dyn Examples,
    max_grad_norm: f64,
) -> Result<Vec<f64>, DeviceCheckError> {
    let all = micro_batch::everybody(examples);
    let tape = network.forward_backward(&micro_batch::bare(examples, &all))?;
    let sum = clipped_sum(network.parameters(), tape, clipping, max_grad_norm)?;
    // Read back, so that the device has finished.
    drop(values(&sum));
    Ok(sum.norms)
}

fn values(sum: &ClippedSum) -> Vec<f64> {
    let arrays = Array::all_on_host(&sum.gradients);
    arrays
        .iter()
        .flat_map(Array::host)
        .map(|x| f64::from(*x))
        .collect()
}

fn length(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

/// Norm of the difference over the norm of `of`; zero where both are zero.
fn difference(other: &[f64], of: &[f64]) -> f64 {
    let apart = length(other.iter().zip(of).map(|(a, b)| a - b));
    if apart == 0.0 {
        return 0.0;
    }
    apart / length(of.iter().copied())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fault::{Fault, with};
    use crate::micro_batch::Idle;
    use crate::trainer::tests::{People, network_on, people, texts, whole};
    use dpx_nn::device::DeviceExt;
    use dpx_nn::model::Decoder;
    use dpx_nn::{Batch, Error, Parameters, Tape};

    const MAX_DIFFERENCE: f64 = 1e-3;

    fn check(there: &dyn Network, clipping: Clipping) -> Result<f64, DeviceCheckError> {
        check_device(
            there,
            &network_on(Device::Cpu),
            clipping,
            &texts(3),
            MAX_DIFFERENCE,
        )
    }

    #[test]
    fn a_device_that_computes_as_the_host_passes() {
        let there = network_on(Device::under_test());
        for clipping in [Clipping::Flat, Clipping::Automatic, Clipping::PerLayer] {
            let difference = check(&there, clipping).unwrap();
            assert!(difference < 1e-4, "{clipping:?}: {difference}");
        }
    }

    /// Rule 56.
    pub(crate) fn mates_are_not_felt() -> bool {
        let sizes = MicroBatches {
            max_rows: 7,
            max_tokens: 60,
        };
        let clippings = [Clipping::Flat, Clipping::Automatic, Clipping::PerLayer];
        [Device::Cpu, Device::under_test()]
            .into_iter()
            .all(|device| {
                let network = network_on(device);
                let cases: [&dyn Examples; 2] = [&texts(9), &people(14, 3)];
                clippings.into_iter().all(|clipping| {
                    cases.into_iter().all(|examples| {
                        let found = check_mates(
                            &network,
                            &Replicas::none(),
                            clipping,
                            examples,
                            sizes,
                            24.0,
                        );
                        if let Err(error) = &found {
                            eprintln!("{device}, {clipping:?}: {error}");
                        }
                        found.is_ok()
                    })
                })
            })
    }

    #[test]
    fn an_example_is_the_same_to_the_bit_whatever_its_mates() {
        assert!(mates_are_not_felt());
        assert!(!with(Fault::BareMicroBatches, mates_are_not_felt));
    }

    /// Computes as the network does, all losses a bit larger.
    struct Otherwise(Decoder);

    impl Network for Otherwise {
        fn parameters(&self) -> &Parameters {
            self.0.parameters()
        }

        fn parameters_mut(&mut self) -> &mut Parameters {
            self.0.parameters_mut()
        }

        fn forward_backward(&self, batch: &Batch) -> Result<Tape, Error> {
            let mut tape = self.0.forward_backward(batch)?;
            for loss in &mut tape.losses {
                *loss = f64::from_bits(loss.to_bits() + 1);
            }
            Ok(tape)
        }

        fn forward_loss(&self, batch: &Batch) -> Result<Vec<f64>, Error> {
            self.0.forward_loss(batch)
        }
    }

    /// Rule 56, over devices: who computes an example follows from its mates.
    #[test]
    fn devices_that_differ_in_one_bit_are_found() {
        let sizes = MicroBatches {
            max_rows: 7,
            max_tokens: 60,
        };
        for device in [Device::Cpu, Device::under_test()] {
            let network = network_on(device);
            let check = |others: Vec<Box<dyn Network>>| {
                let replicas = Replicas::new(network.parameters(), others).unwrap();
                check_mates(&network, &replicas, Clipping::Flat, &texts(9), sizes, 24.0)
            };
            let copy = || Box::new(network_on(device));
            assert!(check(vec![copy(), copy()]).is_ok(), "{device}");
            let found = check(vec![copy(), Box::new(Otherwise(network_on(device)))]);
            assert!(
                matches!(found, Err(DeviceCheckError::Devices { .. })),
                "{found:?}"
            );
        }
    }

    #[test]
    fn examples_without_a_gradient_pass() {
        let there = network_on(Device::under_test());
        let here = network_on(Device::Cpu);
        let nothing = whole(vec![vec![3], vec![5]]);
        let found = check_device(&there, &here, Clipping::Flat, &nothing, MAX_DIFFERENCE);
        assert_eq!(found.unwrap(), 0.0);
    }

    /// The records of a person are one gradient, on the device as on the host.
    #[test]
    fn people_pass_and_records_bounded_apart_are_found() {
        let there = network_on(Device::under_test());
        let here = network_on(Device::Cpu);
        let alike = People(
            whole(vec![vec![4, 9, 2, 7]; 3]),
            crate::units::Units::new(vec![vec![0, 1, 2]], 3),
        );
        let check = |examples: &dyn Examples| {
            check_device(&there, &here, Clipping::Flat, examples, MAX_DIFFERENCE)
        };
        assert!(check(&people(9, 3)).unwrap() < 1e-4);
        assert!(check(&alike).is_ok());
        let found = with(Fault::RecordsClippedApart, || check(&alike));
        assert!(
            matches!(found, Err(DeviceCheckError::AboveBound { .. })),
            "{found:?}"
        );
    }

    #[test]
    fn a_bound_that_does_not_hold_is_found() {
        let there = network_on(Device::under_test());
        for fault in [Fault::ClipAtTwice, Fault::NoClip, Fault::TensorOutOfNorm] {
            let found = with(fault, || check(&there, Clipping::Flat));
            assert!(
                matches!(found, Err(DeviceCheckError::AboveBound { norm, bound }) if norm > bound),
                "{fault:?}: {found:?}"
            );
        }
    }

    #[test]
    fn other_weights_are_found() {
        let mut there = network_on(Device::Cpu);
        let id = there.parameters().trainable_ids()[2];
        for weight in there.parameters_mut().value_mut(id).host_mut() {
            *weight *= 1.5;
        }
        let found = check(&there, Clipping::Flat);
        assert!(
            matches!(found, Err(DeviceCheckError::Differs { .. })),
            "{found:?}"
        );
    }

    /// Computes other examples where it is given several.
    struct Mixing(Decoder);

    impl Network for Mixing {
        fn parameters(&self) -> &Parameters {
            self.0.parameters()
        }

        fn parameters_mut(&mut self) -> &mut Parameters {
            self.0.parameters_mut()
        }

        fn forward_backward(&self, batch: &Batch) -> Result<Tape, Error> {
            if batch.len() == 1 {
                return self.0.forward_backward(batch);
            }
            let rows: Vec<usize> = (1..=batch.len()).collect();
            self.0
                .forward_backward(&texts(rows.len() + 1).batch(&rows, Idle::NONE))
        }

        fn forward_loss(&self, batch: &Batch) -> Result<Vec<f64>, Error> {
            self.0.forward_loss(batch)
        }
    }

    #[test]
    fn examples_that_reach_each_other_are_found() {
        let found = check(&Mixing(network_on(Device::Cpu)), Clipping::Flat);
        assert!(
            matches!(found, Err(DeviceCheckError::NotASum { .. })),
            "{found:?}"
        );
    }
}
