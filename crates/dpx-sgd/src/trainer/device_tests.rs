//! The private step on the device under test against the same step on the host.

use super::tests::{distance, mechanism, network_on, settings, texts};
use super::*;
use crate::clip::clipped_sum;
use crate::dp_optimizer::Recorded;
use crate::optimizer::Averaging;
use dpx_nn::device::DeviceExt;
use dpx_nn::model::Decoder;
use dpx_nn::{Arithmetic, Array};
use dpx_schema::Device;

const EVERYTHING: MicroBatches = MicroBatches {
    max_rows: 5,
    max_tokens: 60,
};
const BINDING: [u8; 32] = [4; 32];

fn trainer(network: &Decoder, clipping: Clipping, noise_multiplier: f64) -> Trainer {
    let settings = TrainerSettings {
        clipping,
        ..settings(8.0, Averaging::Ema)
    };
    let source = KeySource::Seeded(Key::seeded(5, "device"));
    let mechanism = mechanism(0.7, noise_multiplier);
    Trainer::new(
        network.parameters(),
        mechanism,
        settings,
        EVERYTHING,
        source,
    )
    .unwrap()
}

/// Two steps: what the last one did, its telemetry, and the weights after it.
fn steps(
    device: Device,
    clipping: Clipping,
    noise_multiplier: f64,
) -> (Recorded, Telemetry, Vec<f32>) {
    let mut network = network_on(device);
    let mut trainer = trainer(&network, clipping, noise_multiplier);
    let examples = texts(12);
    trainer.step(&mut network, &examples).unwrap();
    let telemetry = trainer.step(&mut network, &examples).unwrap();
    assert_eq!(network.parameters().device(), device);
    (
        trainer.optimizer.recorded.clone(),
        telemetry,
        weights(&network),
    )
}

fn weights(network: &Decoder) -> Vec<f32> {
    let parameters = network.parameters().iter();
    parameters
        .flat_map(|(_, parameter)| parameter.value.to_vec())
        .collect()
}

/// Sums agree as far as f32 goes, the noise to the last bit: it is drawn and added on the host.
#[test]
fn a_step_is_that_of_the_host() {
    let device = Device::under_test();
    for (clipping, noise_multiplier) in [
        (Clipping::Flat, 1.0),
        (Clipping::Automatic, 1.0),
        (Clipping::PerLayer, 1.0),
        (Clipping::Flat, 0.0),
    ] {
        let (here, here_told, here_weights) = steps(Device::Cpu, clipping, noise_multiplier);
        let (there, there_told, there_weights) = steps(device, clipping, noise_multiplier);
        let zeros: Vec<Vec<f64>> = here.sum.iter().map(|sum| vec![0.0; sum.len()]).collect();
        let size = distance(&here.sum, &zeros);
        assert!(size > 0.1);
        assert!(
            distance(&here.sum, &there.sum) < 2e-5 * size,
            "{clipping:?}: {} of {size}",
            distance(&here.sum, &there.sum)
        );
        assert_eq!(here_told.batch_size, there_told.batch_size);
        assert!((here_told.loss - there_told.loss).abs() < 1e-5);
        assert!((here_told.gradient_norm - there_told.gradient_norm).abs() < 1e-4);
        let noise = |step: &Recorded| -> Vec<Vec<f64>> {
            let tensors = step.noised.iter().zip(&step.sum);
            tensors
                .map(|(noised, sum)| {
                    let values = noised.iter().zip(sum);
                    let noise = |(x, sum): (&f32, &f64)| f64::from(*x) * step.divisor - sum;
                    values.map(noise).collect()
                })
                .collect()
        };
        let apart = distance(&noise(&here), &noise(&there));
        assert!(apart < 1e-4, "{clipping:?}: noise {apart}");
        // Adam divides by the root of squares: only noise keeps tiny gradients from deciding a sign.
        if noise_multiplier > 0.0 {
            for (here, there) in here_weights.iter().zip(&there_weights) {
                assert!((here - there).abs() < 1e-3, "{clipping:?}: {here} {there}");
            }
        }
    }
}

#[test]
fn a_killed_run_goes_on_bit_for_bit_on_a_device() {
    let device = Device::under_test();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.bin");
    let examples = texts(12);
    let mut finished = Vec::new();
    for killed in [false, true] {
        let mut network = network_on(device);
        let mut first = trainer(&network, Clipping::Flat, 1.0);
        for step in 0..4 {
            if killed && step == 2 {
                first
                    .checkpoint(network.parameters(), &state, &BINDING, &[])
                    .unwrap();
                network = network_on(device);
                first = trainer(&network, Clipping::Flat, 1.0);
                let found = crate::checkpoint::read(&state, &BINDING).unwrap();
                first
                    .restore(network.parameters_mut(), Some(&found.whole().unwrap()))
                    .unwrap();
            }
            first.step(&mut network, &examples).unwrap();
        }
        drop(first.finish(network.parameters_mut()));
        finished.push(weights(&network));
    }
    let bits = |weights: &[f32]| weights.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert!(bits(&finished[0]) == bits(&finished[1]));
}

/// What an example adds is made of f32 records whatever arithmetic made them, so its norm stays within the bound.
#[test]
fn the_bound_holds_in_bfloat16() {
    let device = Device::under_test();
    if !device.multiplies_bf16().unwrap() {
        return;
    }
    let mut network = network_on(device);
    network.parameters_mut().compute_in(Arithmetic::Bf16);
    let examples = texts(6);
    for row in 0..6 {
        let tape = network
            .forward_backward(&examples.batch(&[row], Idle::NONE))
            .unwrap();
        let bound = 1e-3;
        let clipped = clipped_sum(network.parameters(), tape, Clipping::Flat, bound).unwrap();
        assert!(clipped.norms[0] > bound, "the example is clipped");
        let values = clipped.gradients.iter().flat_map(Array::to_vec);
        let norm = values.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        assert!(norm <= bound * (1.0 + 1e-5) && norm > 0.9 * bound, "{norm}");
    }
    // The weights themselves stay f32 through an update.
    let mut trainer = trainer(&network, Clipping::Flat, 1.0);
    trainer.step(&mut network, &examples).unwrap();
    let id = network.parameters().trainable_ids()[0];
    let value = network.parameters().value(id);
    assert_eq!(value.arithmetic(), Arithmetic::Bf16);
    let coarse = |x: &f32| x.to_bits().trailing_zeros() >= 16;
    assert!(!value.to_vec().iter().all(coarse));
}
