//! Adam against its textbook form, schedules, averages, and what may not move the weights.

use super::*;
use crate::key::Key;
use crate::privatize::{NoiseSpec, privatize};
use crate::sum::GradientSum;

fn key() -> Key {
    Key::seeded(5, "optimizer")
}

fn gradient_sum(values: &[f32]) -> GradientSum {
    let mut sum = GradientSum::new(&[values.len()]);
    sum.add([values].into_iter());
    sum
}

#[test]
fn a_few_steps_equal_the_textbook() {
    let settings = AdamSettings {
        weight_decay: 0.1,
        ..AdamSettings::default()
    };
    let gradients = [[0.3f32, -1.2, 1e-4], [0.1, 2.0, 0.0], [-0.5, 0.7, 1e-3]];
    let mut adam = Adam::new(settings, &[3]);
    let mut weights = vec![1.0f32, -2.0, 0.5];
    let (mut expected, mut first, mut second) = ([1.0f64, -2.0, 0.5], [0.0f64; 3], [0.0f64; 3]);
    for (step, gradient) in gradients.iter().enumerate() {
        let sum = gradient_sum(gradient);
        let key = key();
        let privatized = privatize(&sum, &NoiseSpec::None, &key, 1.0);
        adam.update(
            [(weights.as_mut_slice(), true)].into_iter(),
            &privatized,
            0.01,
        );
        let t = step as i32 + 1;
        for i in 0..3 {
            let g = f64::from(gradient[i]);
            first[i] = 0.9 * first[i] + 0.1 * g;
            second[i] = 0.999 * second[i] + 0.001 * g * g;
            let m = first[i] / (1.0 - 0.9f64.powi(t));
            let v = second[i] / (1.0 - 0.999f64.powi(t));
            expected[i] -= 0.01 * (m / (v.sqrt() + 1e-8) + 0.1 * expected[i]);
        }
    }
    for (weight, expected) in weights.iter().zip(expected) {
        assert!(
            (f64::from(*weight) - expected).abs() < 1e-5,
            "{weight} {expected}"
        );
    }
}

/// With no gradient and no noise, weights move by weight decay alone.
#[test]
fn nothing_but_the_privatized_gradient_moves_the_weights() {
    let settings = AdamSettings {
        weight_decay: 0.5,
        ..AdamSettings::default()
    };
    let sum = GradientSum::new(&[2, 2]);
    let mut adam = Adam::new(settings, &[2, 2]);
    let (mut matrix, mut bias) = (vec![1.0f32, 2.0], vec![1.0f32, 2.0]);
    for _ in 0..2 {
        let key = key();
        let privatized = privatize(&sum, &NoiseSpec::None, &key, 7.0);
        let tensors = [(matrix.as_mut_slice(), true), (bias.as_mut_slice(), false)];
        adam.update(tensors.into_iter(), &privatized, 0.1);
    }
    assert_eq!(bias, [1.0, 2.0]);
    assert_eq!(matrix, [0.9025, 1.805]);
}

/// The optimizer's result does not depend on the number of threads.
#[test]
fn threads_do_not_change_a_bit() {
    let length = 3 * CHUNK + 17;
    let values: Vec<f32> = (0..length).map(|i| (i as f32).sin()).collect();
    let protection = NoiseSpec::Gaussian {
        noise_multiplier: 1.0,
        sensitivity: 1.0,
        rounding_allowance: 0.0,
    };
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let sum = gradient_sum(&values);
            let mut weights = values.clone();
            let mut adam = Adam::new(AdamSettings::default(), &[length]);
            let key = key();
            let privatized = privatize(&sum, &protection, &key, 10.0);
            adam.update(
                [(weights.as_mut_slice(), true)].into_iter(),
                &privatized,
                0.1,
            );
            weights
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn schedules_rise_and_fall() {
    let rate = |schedule, step| LearningRate::new(2.0, schedule, 0.1, 100).at(step);
    for schedule in [Schedule::Constant, Schedule::Linear, Schedule::Cosine] {
        assert_eq!(rate(schedule, 0), 0.2);
        assert_eq!(rate(schedule, 9), 2.0);
        assert_eq!(rate(schedule, 10), 2.0);
    }
    assert_eq!(rate(Schedule::Constant, 99), 2.0);
    assert!((rate(Schedule::Linear, 55) - 1.0).abs() < 1e-12);
    assert!((rate(Schedule::Cosine, 55) - 1.0).abs() < 1e-12);
    assert!(rate(Schedule::Cosine, 99) < 0.01 && rate(Schedule::Linear, 99) > 0.0);
    assert_eq!(LearningRate::new(2.0, Schedule::Linear, 0.0, 1).at(0), 2.0);
    assert_eq!(LearningRate::new(2.0, Schedule::Linear, 1.0, 4).at(3), 2.0);
}

#[test]
fn averages_are_what_they_are_called() {
    let run = |kind, steps: u64| {
        let mut averager = Averager::new(kind, steps, &[1]);
        for step in 0..steps {
            averager.observe(step, [[step as f32].as_slice()].into_iter());
        }
        averager.result().map(|average| average[0][0])
    };
    assert_eq!(run(Averaging::None, 10), None);
    assert!((run(Averaging::Tail, 10).unwrap() - 7.0).abs() < 1e-5);
    assert!((run(Averaging::Tail, 1).unwrap()).abs() < 1e-5);
    // Lags behind the last iterate by about the window of ten steps.
    let lag = 99.0 - run(Averaging::Ema, 100).unwrap();
    assert!((lag - 9.0).abs() < 0.1, "{lag}");
}
