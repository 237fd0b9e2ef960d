//! Neighbour replay (after arXiv 2602.17454): a step on D and on D without one record, with the same coins and noise. The sums may differ by C (1 + tau), nothing else may differ at all.

use super::tests::{
    MAX_SEQ_LEN, People, distance, mechanism, network, network_on, settings, texts, whole,
};
use super::*;
use crate::dp_optimizer::Recorded;
use crate::fault::{self, Fault};
use crate::optimizer::Averaging;
use dpx_nn::device::DeviceExt;
use dpx_nn::model::Decoder;
use dpx_schema::Device;

const RATE: f64 = 0.6;

/// One step from the same weights with the coins and the noise of step `step`.
fn replay(
    network: &Decoder,
    examples: &dyn Examples,
    step: u64,
    at_once: usize,
) -> (Recorded, NoiseSpec, u64) {
    let mut network = network.clone();
    let source = KeySource::Seeded(Key::seeded(8, "replay").ratchet_to(step).unwrap());
    let at_once = MicroBatches {
        max_rows: at_once,
        max_tokens: 100,
    };
    let settings = settings(7.3, Averaging::None);
    let parameters = network.parameters();
    let mut trainer =
        Trainer::new(parameters, mechanism(RATE, 1.2), settings, at_once, source).unwrap();
    trainer.step(&mut network, examples).unwrap();
    (
        trainer.optimizer.recorded.clone(),
        trainer.protection,
        trainer.step_number(),
    )
}

/// Position 14 multiplies what it touches beyond f32, position 15 makes it not a number: records that long are extreme.
fn treacherous(device: Device) -> Decoder {
    let mut network = network_on(device);
    let id = network.parameters().find("transformer.wpe.weight").unwrap();
    let value = network.parameters_mut().value_mut(id);
    value.move_to(Device::Cpu);
    let table = value.host_mut();
    let width = table.len() / MAX_SEQ_LEN;
    table[13 * width] = 1e30;
    table[14 * width] = f32::NAN;
    value.move_to(device);
    network
}

/// Records that have broken somebody's engine, each by name.
fn records() -> Vec<(&'static str, Vec<u32>)> {
    vec![
        ("ordinary", vec![3, 9, 2, 7, 7]),
        ("one token", vec![5]),
        ("two tokens", vec![5, 23]),
        ("all tokens equal", vec![11; 9]),
        ("a duplicate", texts(1).ids.remove(0)),
        ("huge activations", vec![4; 15]),
        ("not a number", vec![4; 16]),
    ]
}

/// Whether every record moves the sum by at most C (1 + tau), and nothing else.
pub(crate) fn neighbours_are_close() -> bool {
    neighbours_are_close_on(Device::Cpu)
}

fn neighbours_are_close_on(device: Device) -> bool {
    let network = treacherous(device);
    records().into_iter().all(|(name, record)| {
        let mut with = texts(10);
        with.ids.push(record);
        // Neighbours of both adjacencies: the record replaced by nothing, and the record not there at all.
        let mut zeroed = with.clone();
        zeroed.ids[10].clear();
        let neighbours: [&dyn Examples; 2] = [&zeroed, &texts(10)];
        stays_within_the_bound(&network, name, &with, neighbours)
    })
}

/// Whether the sums of a data set and of its neighbours differ by at most C (1 + tau) at every step, and nothing else differs.
fn stays_within_the_bound(
    network: &Decoder,
    name: &str,
    with: &dyn Examples,
    neighbours: [&dyn Examples; 2],
) -> bool {
    (0..6).all(|step| {
        let (one, protection, steps) = replay(network, with, step, 4);
        let without = neighbours[step as usize % 2];
        let (other, other_protection, other_steps) = replay(network, without, step, 4);
        let NoiseSpec::Gaussian {
            sensitivity,
            rounding_allowance,
            ..
        } = protection
        else {
            return false;
        };
        let finite = one.sum.iter().flatten().all(|value| value.is_finite());
        let bound = sensitivity * (1.0 + rounding_allowance);
        let far = distance(&one.sum, &other.sum);
        let close = finite && far <= bound;
        let rest = (one.divisor, one.rate, protection, steps)
            == (other.divisor, other.rate, other_protection, other_steps);
        if !(close && rest) {
            eprintln!("{name}, step {step}: distance {far}, bound {bound}");
        }
        close && rest
    })
}

#[test]
fn no_record_moves_more_than_the_bound_on_a_device() {
    assert!(neighbours_are_close_on(Device::under_test()));
}

#[test]
fn no_record_moves_more_than_the_bound() {
    assert!(neighbours_are_close());
    for broken in [
        Fault::NoClip,
        Fault::ClipAtTwice,
        Fault::RealisedDivisor,
        Fault::NanByMultiplication,
    ] {
        assert!(!fault::with(broken, neighbours_are_close), "{broken:?}");
    }
}

/// A whole person, with everything that they ever wrote.
fn persons() -> Vec<(&'static str, Vec<Vec<u32>>)> {
    let all = records();
    let records = |names: &[&str]| {
        let known = &all;
        let of = |name: &&str| {
            let found = known.iter().find(|(own, _)| own == name);
            found.unwrap().1.clone()
        };
        names.iter().map(of).collect()
    };
    vec![
        ("one record", records(&["ordinary"])),
        ("the same record four times", vec![vec![3, 9, 2, 7, 7]; 4]),
        (
            "one that is not a number among others",
            records(&["ordinary", "not a number", "two tokens"]),
        ),
        (
            "huge activations, twice",
            records(&["huge activations", "ordinary", "huge activations"]),
        ),
        ("more than a step takes", texts(40).ids),
        (
            "nothing to learn from",
            records(&["one token", "one token"]),
        ),
    ]
}

/// Whether every person moves the sum by at most C (1 + tau), with all of their records, and nothing else.
pub(crate) fn people_are_close() -> bool {
    people_are_close_on(Device::Cpu)
}

fn people_are_close_on(device: Device) -> bool {
    let network = treacherous(device);
    persons().into_iter().all(|(name, person)| {
        let mut members: Vec<Vec<usize>> =
            vec![vec![0], vec![1, 2, 3], vec![4, 5], vec![6, 7, 8, 9]];
        let without = People(texts(10), Units::new(members.clone(), 4));
        let mut with = texts(10).ids;
        with.extend(person);
        members.push((10..with.len()).collect());
        let mut zeroed = with.clone();
        zeroed[10..].iter_mut().for_each(Vec::clear);
        // Neighbours of both adjacencies: all of the person's records replaced by nothing, and the person not there at all.
        let units = || Units::new(members.clone(), 4);
        let zeroed = People(whole(zeroed), units());
        let with = People(whole(with), units());
        let neighbours: [&dyn Examples; 2] = [&zeroed, &without];
        stays_within_the_bound(&network, name, &with, neighbours)
    })
}

#[test]
fn no_person_moves_more_than_the_bound() {
    assert!(people_are_close());
    for broken in [
        Fault::NoClip,
        Fault::ClipAtTwice,
        Fault::RealisedDivisor,
        Fault::NanByMultiplication,
        Fault::RecordsClippedApart,
    ] {
        assert!(!fault::with(broken, people_are_close), "{broken:?}");
    }
}

#[test]
fn no_person_moves_more_than_the_bound_on_a_device() {
    assert!(people_are_close_on(Device::under_test()));
}

/// With noise recorded, the noised sums differ by what the records contributed: the grid, not the data, decides the rest.
#[test]
fn recorded_noise_cancels() {
    let network = network();
    let mut with = texts(10);
    with.ids.push(vec![1, 2, 3, 4]);
    let mut without = with.clone();
    without.ids[10].clear();
    let (one, ..) = replay(&network, &with, 0, 4);
    let (other, ..) = replay(&network, &without, 0, 4);
    let noised = |step: &Recorded| -> Vec<Vec<f64>> {
        let scaled = |values: &Vec<f32>| {
            values
                .iter()
                .map(|v| f64::from(*v) * step.divisor)
                .collect()
        };
        step.noised.iter().map(scaled).collect()
    };
    let sums = distance(&one.sum, &other.sum);
    let noised = distance(&noised(&one), &noised(&other));
    assert!((sums - noised).abs() < 1e-4, "{sums} {noised}");
}

/// 1e4 rows, another grouping and another order: the sums agree far within the rounding allowance.
#[test]
fn regrouping_ten_thousand_rows_costs_less_than_the_allowance() {
    let network = network();
    let examples = texts(10_000);
    let (one, protection, _) = replay(&network, &examples, 0, 256);
    let (other, ..) = replay(&network, &examples, 0, 17);
    let NoiseSpec::Gaussian { sensitivity, .. } = protection else {
        panic!("a private run")
    };
    let allowance = rounding_allowance(1, sensitivity, 6000.0, MAX_SEQ_LEN);
    assert!(distance(&one.sum, &other.sum) < 0.1 * allowance * sensitivity);
}
