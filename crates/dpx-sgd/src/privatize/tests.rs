//! What leaves the noise step: on the grid, of the right size, on every coordinate, and divided by a constant.

use super::*;
use crate::fault::{self, Fault};

const SIGMA: f64 = 1.5;

fn gaussian(noise_multiplier: f64, sensitivity: f64) -> NoiseSpec {
    NoiseSpec::Gaussian {
        noise_multiplier,
        sensitivity,
        rounding_allowance: 0.0,
    }
}

fn sum_of(tensors: &[Vec<f32>]) -> GradientSum {
    let lengths: Vec<usize> = tensors.iter().map(Vec::len).collect();
    let mut sum = GradientSum::new(&lengths);
    sum.add(tensors.iter().map(Vec::as_slice));
    sum
}

fn key() -> Key {
    Key::seeded(3, "privatise")
}

fn deviation(values: &[f32]) -> f64 {
    (values
        .iter()
        .map(|value| f64::from(*value).powi(2))
        .sum::<f64>()
        / values.len() as f64)
        .sqrt()
}

/// The measured sigma; 4e5 draws tell 0.95 from 1 by 44 standard errors (alpha = 1e-6 takes 4.9).
fn measured_sigma() -> f64 {
    let sum = sum_of(&[vec![0.0; 400_000]]);
    deviation(&privatize(&sum, &gaussian(SIGMA, 2.0), &key(), 1.0).to_vec(0)) / 2.0
}

pub(crate) fn sigma_is_right() -> bool {
    (measured_sigma() / SIGMA - 1.0).abs() < 4.9 / (2.0f64 * 400_000.0).sqrt()
}

#[test]
fn the_noise_has_the_accounted_size() {
    assert!(sigma_is_right(), "{}", measured_sigma());
    assert!(!fault::with(Fault::NoiseTooSmall, sigma_is_right));
}

#[test]
fn the_rounding_allowance_widens_the_noise() {
    let sum = sum_of(&[vec![0.0; 1000]]);
    let exact = privatize(&sum, &gaussian(1.0, 1.0), &key(), 1.0).to_vec(0);
    let wider = NoiseSpec::Gaussian {
        noise_multiplier: 1.0,
        sensitivity: 1.0,
        rounding_allowance: 0.25,
    };
    let wide = privatize(&sum, &wider, &key(), 1.0).to_vec(0);
    assert!((deviation(&wide) / deviation(&exact) - 1.25).abs() < 1e-5);
}

/// Every value is a multiple of the grid's step for contributions 0, C, C / sqrt(d) and just around 0.
pub(crate) fn all_on_the_grid() -> bool {
    let bound = 0.7;
    let step = Grid::for_bound(bound).step();
    [0.0, bound as f32, (bound / 1000.0) as f32, 1e-12, -1e-12]
        .iter()
        .all(|&contribution| {
            let sum = sum_of(&[vec![contribution; 200_000]]);
            privatize(&sum, &gaussian(0.01, bound), &key(), 1.0)
                .to_vec(0)
                .iter()
                .all(|&value| (f64::from(value) / step).fract() == 0.0)
        })
}

#[test]
fn every_coordinate_lies_on_the_grid() {
    assert!(all_on_the_grid());
    assert!(!fault::with(Fault::SingleAddition, all_on_the_grid));
}

pub(crate) fn every_coordinate_moves() -> bool {
    let mut values = vec![0.0; 50_000];
    values[77] = 1.0;
    let sum = sum_of(&[values]);
    let noised = privatize(&sum, &gaussian(1.0, 1.0), &key(), 1.0).to_vec(0);
    noised.iter().filter(|value| **value == 0.0).count() < 3
}

#[test]
fn untouched_coordinates_get_noise() {
    assert!(every_coordinate_moves());
    assert!(!fault::with(Fault::TouchedOnly, every_coordinate_moves));
}

pub(crate) fn tensors_have_streams_of_their_own() -> bool {
    let sum = sum_of(&[vec![0.0; 5000], vec![0.0; 5000]]);
    let key = key();
    let privatized = privatize(&sum, &gaussian(1.0, 1.0), &key, 1.0);
    let (one, other) = (privatized.to_vec(0), privatized.to_vec(1));
    one.iter().zip(&other).filter(|(a, b)| a == b).count() < 3
}

#[test]
fn no_two_tensors_share_their_noise() {
    assert!(tensors_have_streams_of_their_own());
    assert!(!fault::with(
        Fault::OneStream,
        tensors_have_streams_of_their_own
    ));
}

#[test]
fn the_divisor_is_the_given_constant() {
    let sum = sum_of(&[vec![0.0; 2000]]);
    let whole = privatize(&sum, &gaussian(1.0, 1.0), &key(), 1.0).to_vec(0);
    let eighth = privatize(&sum, &gaussian(1.0, 1.0), &key(), 8.0).to_vec(0);
    assert!(whole.iter().zip(&eighth).all(|(a, b)| *a == b * 8.0));
}

#[test]
fn without_noise_the_mean_is_exact() {
    let mut sum = sum_of(&[vec![1.0, -3.0, 0.5]]);
    sum.add([[1.0f32, 1.0, 1.0].as_slice()].into_iter());
    assert_eq!(
        privatize(&sum, &NoiseSpec::None, &key(), 2.0).to_vec(0),
        [1.0, -1.0, 0.75]
    );
    sum.clear();
    assert_eq!(
        privatize(&sum, &NoiseSpec::None, &key(), 2.0).to_vec(0),
        [0.0; 3]
    );
}

#[test]
fn noise_that_the_grid_cannot_hold_is_refused() {
    for bad in [0.0, -1.0, f64::NAN, 2e6, f64::INFINITY] {
        assert!(gaussian(bad, 1.0).check().is_err(), "{bad}");
    }
    assert!(gaussian(0.3, 1.0).check().is_ok());
}
