//! Denoising changes what the optimizer sees, and nothing of what is promised.

use super::tests::{mechanism, network, settings, texts};
use super::*;
use crate::optimizer::{Averaging, Denoising};

/// What three steps lead to, with the noised gradients of the last.
fn run(noise_multiplier: f64, denoising: Denoising) -> (DpEvent, Vec<Vec<u32>>, Vec<u32>, Trainer) {
    let mut network = network();
    let mut settings = settings(16.0, Averaging::None);
    settings.optimizer.denoising = denoising;
    let mut trainer = Trainer::new(
        network.parameters(),
        mechanism(1.0, noise_multiplier),
        settings,
        MicroBatches {
            max_rows: usize::MAX,
            max_tokens: usize::MAX,
        },
        KeySource::Seeded(Key::seeded(1, "trainer")),
    )
    .unwrap();
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
    let mut first = Vec::new();
    for step in 0..3 {
        trainer.step(&mut network, &texts(16)).unwrap();
        if step == 0 {
            let noised = &trainer.optimizer.recorded.noised;
            first = noised.iter().map(|tensor| bits(tensor)).collect();
        }
    }
    let weights = network
        .parameters()
        .iter()
        .flat_map(|(_, parameter)| parameter.value.to_vec())
        .map(f32::to_bits)
        .collect();
    (trainer.executed(), first, weights, trainer)
}

#[test]
fn the_event_and_the_noise_are_those_without_it() {
    let (event, noised, weights, trainer) = run(0.01, Denoising::None);
    let (shrunk_event, shrunk_noised, shrunk_weights, shrunk) =
        run(0.01, Denoising::SingularValues);
    assert_eq!(event, shrunk_event);
    assert_eq!(trainer.step_event(), shrunk.step_event());
    assert_eq!(trainer.protection(), shrunk.protection());
    assert_eq!(noised, shrunk_noised, "the same sum, coins and noise");
    assert_ne!(
        weights, shrunk_weights,
        "with so little noise gradients stand above it"
    );
    assert_eq!(run(0.01, Denoising::SingularValues).2, shrunk_weights);
}

/// Where there is nothing but noise, or none at all, nothing is done.
#[test]
fn it_does_nothing_where_nothing_is_to_be_found() {
    for noise_multiplier in [1e4, 0.0] {
        let plain = run(noise_multiplier, Denoising::None);
        let shrunk = run(noise_multiplier, Denoising::SingularValues);
        assert_eq!(plain.2, shrunk.2, "{noise_multiplier}");
    }
}
