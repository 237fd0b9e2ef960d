//! Runs that protect people: coins, batches, canaries and the record count them, never their records.

use super::*;
use crate::members::members;
use dpx_data::Owner;
use dpx_schema::{PeopleBounds, Unit, UnitBounds, UnitSampling};
use dpx_sgd::trainer::Examples;

const MAX_PER_UNIT: u64 = 4;

/// 60 texts of 20 people, three of each.
fn of_people(params: Value) -> Place {
    let place = Place::new(params);
    let path = place.path("preprocess").join(SCHEMA_FILE);
    let schema = PublicSchema {
        examples: 20,
        people: Some(PeopleBounds {
            max_per_unit: MAX_PER_UNIT,
            several_owners: false,
        }),
        records: Some(ROWS as u64),
        ..PublicSchema::load(&path).unwrap()
    };
    schema.save(&path).unwrap();
    let rows = Rows::read(place.path("preprocess/train.jsonl")).unwrap();
    place.write(&owned(rows, |row| row % 20));
    place
}

fn owned(rows: Vec<Row>, owner: impl Fn(usize) -> usize) -> Vec<Row> {
    let rows = rows.into_iter().enumerate();
    rows.map(|(place, row)| Row {
        owners: vec![Owner::named(&owner(place).to_string())],
        ..row
    })
    .collect()
}

impl Place {
    fn write(&self, rows: &[Row]) {
        Rows::write(self.path("preprocess/train.jsonl"), rows).unwrap();
    }
}

#[test]
fn a_run_over_people_counts_people() {
    let place = of_people(
        json!({"batch_size": 5, "examples_per_unit": 2, "canaries": 4, "max_grad_norm": 0.1}),
    );
    place.run("out", &NoProgress).unwrap();
    let privacy = place.privacy("out");
    assert_eq!(
        (privacy.unit, privacy.examples, privacy.canaries),
        (Unit::User, 24, 4)
    );
    assert_eq!(privacy.delta, dpx_accounting::default_delta(24));
    assert_eq!(privacy.expected_batch_size, Some(5));
    assert_eq!(
        privacy.bounds,
        Some(UnitBounds {
            max_per_unit: 4,
            examples_per_unit: Some(2),
            unit_sampling: Some(UnitSampling::Users),
            records: None,
            several_owners: false,
        })
    );
    let rate = dpx_accounting::quantized_rate(5.0 / 24.0);
    let DpEvent::PoissonSampledGaussian {
        sampling_rate,
        records_per_unit,
        steps,
        ..
    } = privacy.event
    else {
        panic!("{:?}", privacy.event);
    };
    assert_eq!((sampling_rate, records_per_unit, steps), (rate, 1, 10));
    let log = std::fs::read_to_string(place.path("out/internal/steps.jsonl")).unwrap();
    for line in log.lines() {
        let step: Value = serde_json::from_str(line).unwrap();
        assert!(step["batch_size"].as_u64().unwrap() <= 24, "{line}");
    }
    let text = std::fs::read_to_string(place.path("out/statement.txt")).unwrap();
    for part in ["one person", "at most 4 records", "People: 24"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let schema = PublicSchema::load(place.path("out/model/dpx_schema.json")).unwrap();
    assert_eq!(
        schema.records, None,
        "how many records there are is not public"
    );
    assert_eq!(place.spent(), 1);
}

#[test]
fn records_of_people_are_accounted_as_groups() {
    let place = of_people(json!({"unit_sampling": "examples", "canaries": 3}));
    place.run("out", &NoProgress).unwrap();
    let privacy = place.privacy("out");
    assert_eq!((privacy.unit, privacy.examples), (Unit::User, 23));
    let DpEvent::PoissonSampledGaussian {
        sampling_rate,
        records_per_unit,
        ..
    } = privacy.event
    else {
        panic!("{:?}", privacy.event);
    };
    // A canary is a person with as many records as anybody may have.
    let records = ROWS as f64 + 3.0 * 4.0;
    assert_eq!(
        sampling_rate,
        dpx_accounting::quantized_rate(15.0 / records)
    );
    assert_eq!(records_per_unit, 4);
    assert_eq!(privacy.bounds.unwrap().records, Some(ROWS as u64));
    let epsilon = privacy.claim().unwrap().epsilon().value();
    assert!(epsilon <= 3.0 && epsilon > 2.99, "{epsilon}");
    let schema = PublicSchema::load(place.path("out/model/dpx_schema.json")).unwrap();
    assert_eq!(schema.records, None);
}

/// More records of one person than the bound says would not be covered: refused before anything is spent.
#[test]
fn records_beyond_the_bound_are_refused() {
    for sampling in ["users", "examples"] {
        let place = of_people(json!({"unit_sampling": sampling}));
        let rows = Rows::read(place.path("preprocess/train.jsonl")).unwrap();
        place.write(&owned(rows, |row| if row < 5 { 0 } else { row }));
        let error = place.run("out", &NoProgress).unwrap_err().to_string();
        assert!(error.contains("max_per_unit"), "{error}");
        assert_eq!(place.spent(), 0);
    }
}

fn encode<T>(place: &Place, sampled: Sampled, look: impl FnOnce(&Encoder<'_>, Encoded) -> T) -> T {
    let (params, start, rows, prompt) = place.read();
    let encoder = Encoder {
        prompt: &prompt,
        tokenizer: &start.tokenizer,
        keywords: None,
        max_seq_len: 20,
        max_length: 20,
        context: 32,
        loss_on: params.loss_on,
        mismatch: None,
        conversations: None,
        sampled,
    };
    let people = PeopleBounds {
        max_per_unit: MAX_PER_UNIT,
        several_owners: false,
    };
    let encoded = encoder.encode(&rows).unwrap();
    let encoded = encoder.people(members(&rows, people).unwrap(), encoded);
    look(&encoder, encoded)
}

#[test]
fn canaries_are_people_with_as_many_records_as_anybody_brings() {
    let place = of_people(json!({}));
    let labels = ["joy", "fear"].map(str::to_owned);
    let canaries = examples::draw(&Key::seeded(3, "canaries"), 30, &labels);
    encode(&place, Sampled::People(3), |encoder, encoded| {
        let planted = encoder.plant(&canaries, encoded).unwrap();
        let people = planted.units().unwrap();
        assert_eq!((people.len(), planted.rows()), (50, ROWS + 30));
        for (place, canary) in canaries.iter().enumerate() {
            let rows = people.rows(20 + place);
            assert_eq!(rows, [ROWS + place; 3]);
            assert_eq!(planted.length(rows[0]) > 0, canary.included);
        }
    });
    encode(&place, Sampled::RecordsOfPeople(4), |encoder, encoded| {
        let planted = encoder.plant(&canaries, encoded).unwrap();
        assert!(planted.units().is_none());
        assert_eq!(planted.rows(), ROWS + 4 * 30);
    });
}

/// Whose a record is decides what it is bounded with: noise must not be used again after that has changed.
#[test]
fn the_key_is_bound_to_whose_the_records_are() {
    let place = of_people(json!({}));
    let digest = |place: &Place| {
        encode(place, Sampled::People(2), |_, encoded| {
            let mut hasher = blake3::Hasher::new();
            encoded.hash(&mut hasher);
            hasher.finalize()
        })
    };
    let before = digest(&place);
    assert_eq!(before, digest(&place));
    let rows = Rows::read(place.path("preprocess/train.jsonl")).unwrap();
    place.write(&owned(rows, |row| if row == 7 { 8 } else { row % 20 }));
    assert_ne!(before, digest(&place));
}

/// The texts that a device is checked on are of people with one record, some, and as many as take part in a step.
#[test]
fn made_up_people_have_one_record_some_and_all() {
    let place = of_people(json!({}));
    let labels = ["joy", "fear"].map(str::to_owned);
    for few in [1, 2, 7] {
        encode(&place, Sampled::People(few), |encoder, _| {
            let made_up = encoder.made_up(&labels).unwrap();
            let people = made_up.units().unwrap();
            let sizes: Vec<usize> = (0..people.len())
                .map(|unit| people.rows(unit).len())
                .collect();
            assert_eq!(sizes, [1, few.min(2), few]);
            assert_eq!(made_up.rows(), 3);
        });
    }
}
