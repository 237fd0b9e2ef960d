//! Steps over people: one coin for each, a public number of records, one bound.

use super::tests::{People, distance, mechanism, network, people, settings, texts};
use super::*;
use crate::fault::{self, Fault};
use crate::optimizer::Averaging;

const RATE: f64 = 0.2;

fn trainer(rate: f64, max_rows: usize) -> Trainer {
    let network = network();
    let source = KeySource::Seeded(Key::seeded(4, "people"));
    let at_once = MicroBatches {
        max_rows,
        max_tokens: 1000,
    };
    let settings = settings(3.0, Averaging::None);
    Trainer::new(
        network.parameters(),
        mechanism(rate, 0.7),
        settings,
        at_once,
        source,
    )
    .unwrap()
}

/// Over 2,000 steps everybody takes part at the accounted rate, whether they have one record or five, with at most three
/// records. With alpha = 1e-6 this detects a rate of 0.22 for 0.2; coins of records would give 0.67 for five of them.
pub(crate) fn people_take_part_as_one() -> bool {
    let examples = people(15, 3);
    let mut trainer = trainer(RATE, 8);
    let mut seen = [0_u32; 5];
    let mut within = true;
    for _ in 0..2000 {
        for rows in trainer.draw(&examples) {
            within &= rows.len() <= 3;
            let owner = (0..5).find(|&unit| examples.1.rows(unit).contains(&rows[0]));
            seen[owner.unwrap()] += 1;
        }
        trainer.key = trainer.key.ratchet();
    }
    let expected = 2000.0 * RATE;
    let spread = 4.9 * (expected * (1.0 - RATE)).sqrt();
    within
        && seen
            .iter()
            .all(|&found| (f64::from(found) - expected).abs() < spread)
}

#[test]
fn people_take_part_as_one_by_the_accounted_rate() {
    assert!(people_take_part_as_one());
    assert!(!fault::with(Fault::CoinsOfRecords, people_take_part_as_one));
}

/// However many records the busiest person has, a step computes no more of them than the public bound.
#[test]
fn memory_does_not_grow_with_the_busiest_person() {
    let busiest = |count: usize| {
        let mut members: Vec<Vec<usize>> = (0..9).map(|row| vec![row]).collect();
        members.push((9..9 + count).collect());
        let examples = People(texts(9 + count), Units::new(members, 3));
        let drawn = trainer(1.0, 8).draw(&examples);
        assert_eq!(drawn.len(), 10);
        drawn.concat().len()
    };
    assert_eq!(busiest(3), 12);
    assert_eq!(busiest(1000), 12);
}

/// Micro-batches are a matter of memory alone.
#[test]
fn the_sum_is_the_same_whatever_the_micro_batches() {
    let examples = people(20, 3);
    let sum = |max_rows| {
        let (mut network, mut trainer) = (network(), trainer(0.9, max_rows));
        trainer.step(&mut network, &examples).unwrap();
        trainer.optimizer.recorded.sum.concat()
    };
    let whole = sum(256);
    for max_rows in [1, 4, 7] {
        let parts = sum(max_rows);
        let apart = distance(std::slice::from_ref(&whole), &[parts]);
        assert!(apart < 1e-5, "{max_rows}: {apart}");
    }
}

/// With one record each, people are rows: the same coins, the same sum.
#[test]
fn people_with_one_record_are_rows() {
    let plain = texts(20);
    let members = (0..20).map(|row| vec![row]).collect();
    let people = People(plain.clone(), Units::new(members, 1));
    let sum = |examples: &dyn Examples| {
        let (mut network, mut trainer) = (network(), trainer(0.5, 8));
        trainer.step(&mut network, examples).unwrap();
        trainer.optimizer.recorded.clone()
    };
    assert_eq!(sum(&plain), sum(&people));
}

/// Records that are sampled one by one are accounted as the group that a person's are.
#[test]
fn records_of_people_are_accounted_as_groups() {
    let network = network();
    let mechanism = mechanism(RATE, 0.7).of_records(5).unwrap();
    let mut trainer = Trainer::new(
        network.parameters(),
        mechanism,
        settings(3.0, Averaging::None),
        MicroBatches {
            max_rows: 8,
            max_tokens: 100,
        },
        KeySource::Seeded(Key::seeded(4, "people")),
    )
    .unwrap();
    trainer.step(&mut network.clone(), &texts(12)).unwrap();
    let event = DpEvent::poisson_sampled_records(mechanism.sampling_rate(), 0.7, 1, 5).unwrap();
    assert_eq!(trainer.executed(), event);
}
