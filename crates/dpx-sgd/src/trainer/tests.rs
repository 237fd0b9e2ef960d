//! The private step: micro-batches, empty batches, divisor, noise per step, epsilon = infinity, resume, keys at rest.

use super::*;
use crate::checkpoint;
use crate::fault::{self, Fault};
use crate::optimizer::{AdamSettings, Averaging, Denoising, LearningRate, Schedule};
use crate::whole_texts::WholeTexts;
use dpx_accounting::Adjacency;
use dpx_nn::model::Decoder;
use dpx_nn::model::config::{DecoderConfig, Sizes};

pub(super) const MAX_SEQ_LEN: usize = 16;
const VOCABULARY: usize = 24;

/// Texts that may have [`MAX_SEQ_LEN`] tokens, or as many as the longest has.
pub(crate) fn whole(ids: Vec<Vec<u32>>) -> WholeTexts {
    let longest = ids.iter().map(Vec::len).max().unwrap_or(0);
    WholeTexts {
        ids,
        max_seq_len: longest.max(MAX_SEQ_LEN),
    }
}

pub(crate) struct People(pub(crate) WholeTexts, pub(crate) Units);

impl Examples for People {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn length(&self, row: usize) -> usize {
        self.0.length(row)
    }

    fn batch(&self, rows: &[usize], idle: Idle<'_>) -> Batch {
        self.0.batch(rows, idle)
    }

    fn inputs(&self, row: usize) -> Vec<usize> {
        self.0.inputs(row)
    }

    fn max_seq_len(&self) -> usize {
        self.0.max_seq_len()
    }

    fn units(&self) -> Option<&Units> {
        Some(&self.1)
    }
}

/// So many texts of people with 1, 2, 3, ... of them, over and over up to 5; at most `per_step` of each in a step.
pub(crate) fn people(count: usize, per_step: usize) -> People {
    let mut members: Vec<Vec<usize>> = Vec::new();
    let mut next = 0;
    while next < count {
        let own = (1 + members.len() % 5).min(count - next);
        members.push((next..next + own).collect());
        next += own;
    }
    People(texts(count), Units::new(members, per_step))
}

pub(crate) fn texts(count: usize) -> WholeTexts {
    let mut state = 12345u32;
    let mut next = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let text = |length, next: &mut dyn FnMut(u32) -> u32| {
        (0..length).map(|_| next(VOCABULARY as u32)).collect()
    };
    whole(
        (0..count)
            .map(|_| {
                let length = 2 + next(MAX_SEQ_LEN as u32 - 4);
                text(length, &mut next)
            })
            .collect(),
    )
}

pub(super) fn network() -> Decoder {
    network_on(Device::Cpu)
}

pub(crate) fn network_on(device: Device) -> Decoder {
    let config = DecoderConfig::gpt2(Sizes {
        vocabulary: VOCABULARY,
        max_positions: MAX_SEQ_LEN,
        hidden: 8,
        intermediate: 16,
        layers: 1,
        heads: 2,
        kv_heads: 2,
        head_dim: 4,
        norm_epsilon: 1e-5,
    });
    Decoder::new_gpt2(config, 3, device)
}

pub(super) fn settings(expected_batch_size: f64, averaging: Averaging) -> TrainerSettings {
    TrainerSettings {
        optimizer: DpOptimizerSettings {
            adam: AdamSettings::default(),
            learning_rate: LearningRate::new(0.01, Schedule::Linear, 0.25, 8),
            averaging,
            denoising: Denoising::None,
        },
        clipping: Clipping::Flat,
        expected_batch_size,
        expected_rows: expected_batch_size,
        max_seq_len: MAX_SEQ_LEN,
    }
}

pub(super) fn mechanism(sampling_rate: f64, noise_multiplier: f64) -> Mechanism {
    Mechanism::new(
        sampling_rate,
        noise_multiplier,
        0.5,
        8,
        1e-5,
        Adjacency::ZeroOut,
    )
    .unwrap()
}

const ALL: MicroBatches = MicroBatches {
    max_rows: usize::MAX,
    max_tokens: usize::MAX,
};

fn rows_at_once(max_rows: usize) -> MicroBatches {
    MicroBatches { max_rows, ..ALL }
}

fn seeded() -> KeySource {
    KeySource::Seeded(Key::seeded(1, "trainer"))
}

fn trainer(
    network: &Decoder,
    mechanism: Mechanism,
    expected: f64,
    at_once: MicroBatches,
) -> Trainer {
    let settings = settings(expected, Averaging::None);
    Trainer::new(network.parameters(), mechanism, settings, at_once, seeded()).unwrap()
}

fn weights(network: &Decoder) -> Vec<u32> {
    network
        .parameters()
        .iter()
        .flat_map(|(_, parameter)| parameter.value.to_vec())
        .map(f32::to_bits)
        .collect()
}

/// One step over all rows; what it did.
fn recorded(
    mechanism: Mechanism,
    expected: f64,
    at_once: MicroBatches,
) -> crate::dp_optimizer::Recorded {
    let mut network = network();
    let mut trainer = trainer(&network, mechanism, expected, at_once);
    trainer.step(&mut network, &texts(16)).unwrap();
    trainer.optimizer.recorded
}

fn norm(tensors: &[Vec<f64>]) -> f64 {
    tensors
        .iter()
        .flatten()
        .map(|value| value * value)
        .sum::<f64>()
        .sqrt()
}

pub(super) fn distance(one: &[Vec<f64>], other: &[Vec<f64>]) -> f64 {
    let squares = one.iter().flatten().zip(other.iter().flatten());
    squares.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn the_sum_is_the_same_for_every_micro_batch_size() {
    let reference = recorded(mechanism(1.0, 1.0), 16.0, ALL).sum;
    assert!(norm(&reference) > 0.1);
    for at_once in [
        rows_at_once(1),
        rows_at_once(3),
        rows_at_once(15),
        MicroBatches {
            max_rows: 100,
            max_tokens: 20,
        },
    ] {
        let sum = recorded(mechanism(1.0, 1.0), 16.0, at_once).sum;
        assert!(
            distance(&sum, &reference) < 1e-5 * norm(&reference),
            "{at_once:?}"
        );
    }
}

/// Standard deviation of the noise over its accounted value, for micro-batches of one row. About 3,000 draws tell 1 from 4
/// (noise with each of 16 micro-batches) by hundreds of standard errors.
pub(crate) fn noise_is_added_once() -> bool {
    let step = recorded(mechanism(1.0, 2.0), 16.0, rows_at_once(1));
    let (mut squares, mut count) = (0.0, 0.0);
    for (noised, sum) in step.noised.iter().flatten().zip(step.sum.iter().flatten()) {
        squares += (f64::from(*noised) * step.divisor - sum).powi(2);
        count += 1.0;
    }
    let sigma: f64 = f64::sqrt(squares / count) / 0.5;
    (sigma / 2.0 - 1.0).abs() < 4.9 / f64::sqrt(2.0 * count)
}

#[test]
fn noise_comes_once_per_step() {
    assert!(noise_is_added_once());
    assert!(!fault::with(Fault::NoisePerMicroBatch, noise_is_added_once));
}

/// Batches of none, of all, and in between are divided by the same configured number.
pub(crate) fn divisor_is_constant() -> bool {
    [0.0, 0.5, 1.0].iter().all(|&rate| {
        let mut network = network();
        let mut trainer = trainer(&network, mechanism(rate, 1.0), 2.5, ALL);
        trainer.step(&mut network, &texts(16)).unwrap();
        trainer.optimizer.recorded.divisor == 2.5
    })
}

#[test]
fn the_divisor_is_the_configured_batch_size() {
    assert!(divisor_is_constant());
    assert!(!fault::with(Fault::RealisedDivisor, divisor_is_constant));
    assert!(!fault::with(Fault::FloorDivisor, divisor_is_constant));
}

/// A batch without rows moves every weight by noise and is counted.
pub(crate) fn empty_batch_is_a_step() -> bool {
    let mut network = network();
    let before = weights(&network);
    let mut trainer = trainer(&network, mechanism(0.0, 1.0), 4.0, ALL);
    let telemetry = trainer.step(&mut network, &texts(16)).unwrap();
    let moved = weights(&network)
        .iter()
        .zip(&before)
        .filter(|(a, b)| a != b)
        .count();
    telemetry.batch_size == 0 && trainer.step_number() == 1 && moved + 10 > before.len()
}

#[test]
fn an_empty_batch_is_a_step_of_noise() {
    assert!(empty_batch_is_a_step());
    assert!(!fault::with(Fault::SkippedEmpty, empty_batch_is_a_step));
}

/// A batch of one text of two tokens: every row of both embeddings gets noise, of the same variance whether its token
/// occurs or not. 4.9 standard errors of 192 and 128 draws: a variance off by two thirds is found.
#[test]
fn rows_of_tokens_that_do_not_occur_get_the_same_noise() {
    let mut network = network();
    let mut trainer = trainer(&network, mechanism(1.0, 2.0), 1.0, ALL);
    trainer
        .step(&mut network, &whole(vec![vec![5, 23]]))
        .unwrap();
    let step = &trainer.optimizer.recorded;
    for name in ["transformer.wte.weight", "transformer.wpe.weight"] {
        let id = network.parameters().find(name).unwrap();
        let width = network.parameters().value(id).width();
        let noise: Vec<f64> = step.noised[id.index()]
            .iter()
            .zip(&step.sum[id.index()])
            .map(|(noised, sum)| f64::from(*noised) * step.divisor - sum)
            .collect();
        assert!(noise.iter().all(|noise| *noise != 0.0));
        let variance = |values: &[f64]| {
            values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64
        };
        let whole = variance(&noise);
        assert!((whole.sqrt() / (2.0 * 0.5) - 1.0).abs() < 4.9 / (2.0 * noise.len() as f64).sqrt());
        for row in noise.chunks_exact(width) {
            // Chi-squared with 8 degrees of freedom: outside with probability 1e-7 a row.
            let share = variance(row) / whole;
            assert!((0.01..7.0).contains(&share), "{name}: a row of {share}");
        }
    }
}

/// With the order fixed, a step repeats bit for bit, and the noise cancels exactly on the grid.
#[test]
fn a_step_repeats_bit_for_bit() {
    let (one, other) = (
        recorded(mechanism(0.5, 1.0), 8.0, rows_at_once(3)),
        recorded(mechanism(0.5, 1.0), 8.0, rows_at_once(3)),
    );
    assert!(one == other);
}

/// Noise that is drawn a step ahead is the noise that would be drawn: the weights after eight steps have the same bits,
/// also where it does not fit 32 bits and where a run goes on in the middle.
#[test]
fn noise_drawn_ahead_changes_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let run = |noise_multiplier, ahead: bool, from: Option<&Path>| {
        let mut network = network();
        let mut trainer = trainer(&network, mechanism(0.5, noise_multiplier), 8.0, ALL);
        trainer.draw_noise_ahead(ahead);
        if let Some(path) = from {
            let found = checkpoint::read(path, &BINDING).unwrap().whole();
            trainer
                .restore(network.parameters_mut(), Some(&found.unwrap()))
                .unwrap();
        }
        let mut noised = Vec::new();
        while trainer.step_number() < 8 {
            trainer.step(&mut network, &texts(16)).unwrap();
            noised.push(trainer.optimizer.recorded.noised.clone());
            if trainer.step_number() == 3 && from.is_none() {
                let path = folder.path().join(format!("{noise_multiplier}-{ahead}"));
                trainer
                    .checkpoint(network.parameters(), &path, &BINDING, &[])
                    .unwrap();
            }
        }
        (noised, weights(&network))
    };
    for noise_multiplier in [0.3, 1.0, 5.0, 40.0] {
        let (plain, ahead) = (
            run(noise_multiplier, false, None),
            run(noise_multiplier, true, None),
        );
        assert!(plain == ahead, "noise multiplier {noise_multiplier}");
        let path = folder.path().join(format!("{noise_multiplier}-false"));
        let resumed = run(noise_multiplier, true, Some(&path));
        assert!(resumed.1 == plain.1 && resumed.0 == plain.0[3..]);
    }
    // Steps have noise of their own.
    let (noised, _) = run(1.0, true, None);
    assert!(noised.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn every_field_of_the_mechanism_is_felt() {
    let base = recorded(mechanism(1.0, 1.0), 16.0, ALL);
    let more_noise = recorded(mechanism(1.0, 3.0), 16.0, ALL);
    assert_eq!(base.sum, more_noise.sum);
    let noise = |step: &crate::dp_optimizer::Recorded| {
        let flat = step.noised.iter().flatten().zip(step.sum.iter().flatten());
        flat.map(|(noised, sum)| (f64::from(*noised) * step.divisor - sum).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    assert!((noise(&more_noise) / noise(&base) - 3.0).abs() < 1e-3);
    let tiny = Mechanism::new(1.0, 1.0, 1e-4, 8, 1e-5, Adjacency::ZeroOut).unwrap();
    assert!(norm(&recorded(tiny, 16.0, ALL).sum) <= 16.0 * 1e-4 * (1.0 + 1e-5));
    let none = recorded(mechanism(0.0, 1.0), 16.0, ALL);
    assert_eq!(norm(&none.sum), 0.0);
}

#[test]
fn without_privacy_the_same_loop_sums_whole_gradients() {
    let step = recorded(mechanism(1.0, 0.0), 16.0, ALL);
    let clipped = recorded(mechanism(1.0, 1.0), 16.0, ALL);
    assert!(norm(&step.sum) > 1.2 * norm(&clipped.sum));
    for (noised, sum) in step.noised.iter().flatten().zip(step.sum.iter().flatten()) {
        assert_eq!(*noised, (sum / 16.0) as f32);
    }
}

#[test]
fn training_lowers_the_loss() {
    let mut network = network();
    let examples = whole(vec![vec![1, 2, 3, 4, 5, 6]; 32]);
    let mut trainer = trainer(&network, mechanism(0.5, 0.5), 16.0, ALL);
    let losses: Vec<f64> = (0..8)
        .map(|_| trainer.step(&mut network, &examples).unwrap().loss)
        .collect();
    assert!(losses[7] < losses[0] - 0.1, "{losses:?}");
}

const BINDING: [u8; 32] = [9; 32];

/// A worker that is killed after `killed_after` steps, having written a checkpoint every `every` steps, then one that goes
/// on to the end.
fn interrupted(folder: &Path, killed_after: u64, every: u64, secure: bool) -> Vec<u32> {
    let state = folder.join("state.bin");
    let mut last = Vec::new();
    for limit in [killed_after, 8] {
        let mut network = network();
        let source = if secure {
            KeySource::Secure(
                KeyFile::open(&folder.join("secrets"), "train", BINDING)
                    .unwrap()
                    .0,
            )
        } else {
            seeded()
        };
        let settings = settings(8.0, Averaging::Ema);
        let parameters = network.parameters();
        let mut trainer =
            Trainer::new(parameters, mechanism(0.5, 1.0), settings, ALL, source).unwrap();
        let found = checkpoint::read(&state, &BINDING).unwrap().whole();
        trainer
            .restore(network.parameters_mut(), found.as_ref())
            .unwrap();
        while trainer.step_number() < limit {
            trainer.step(&mut network, &texts(16)).unwrap();
            if trainer.step_number().is_multiple_of(every) {
                trainer
                    .checkpoint(network.parameters(), &state, &BINDING, &[])
                    .unwrap();
            }
        }
        if limit == 8 {
            if let Some(key) = trainer.finish(network.parameters_mut()) {
                key.destroy().unwrap();
            }
            last = weights(&network);
        }
    }
    last
}

#[test]
fn a_killed_run_goes_on_bit_for_bit_from_every_step() {
    let whole = interrupted(tempfile::tempdir().unwrap().path(), 0, 100, false);
    for killed_after in 0..8 {
        for every in [1, 3, 100] {
            let folder = tempfile::tempdir().unwrap();
            let resumed = interrupted(folder.path(), killed_after, every, false);
            assert!(
                resumed == whole,
                "killed after {killed_after}, checkpoint every {every}"
            );
        }
    }
}

#[test]
fn a_secure_run_repeats_its_noise_and_leaves_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let _resumed = interrupted(folder.path(), 5, 2, true);
    assert!(!folder.path().join("secrets/train.key").exists());
    // The same key again: a copy of the key file made at the start replays to the same weights.
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(KeyFile::open(&one.path().join("secrets"), "train", BINDING).unwrap());
    std::fs::create_dir(other.path().join("secrets")).unwrap();
    std::fs::copy(
        one.path().join("secrets/train.key"),
        other.path().join("secrets/train.key"),
    )
    .unwrap();
    let uninterrupted = interrupted(one.path(), 0, 100, true);
    assert!(interrupted(other.path(), 5, 2, true) == uninterrupted);
}

#[test]
fn a_checkpoint_older_than_the_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (state, old) = (
        folder.path().join("state.bin"),
        folder.path().join("old.bin"),
    );
    let open = || KeyFile::open(folder.path(), "train", BINDING).unwrap().0;
    let mut network = network();
    let start = |network: &Decoder| {
        let source = KeySource::Secure(open());
        let settings = settings(8.0, Averaging::None);
        Trainer::new(
            network.parameters(),
            mechanism(0.5, 1.0),
            settings,
            ALL,
            source,
        )
        .unwrap()
    };
    let mut trainer = start(&network);
    for step in 1..=4 {
        trainer.step(&mut network, &texts(16)).unwrap();
        trainer
            .checkpoint(network.parameters(), &state, &BINDING, &[])
            .unwrap();
        if step == 2 {
            std::fs::copy(&state, &old).unwrap();
        }
    }
    drop(trainer);
    let mut trainer = start(&network);
    let at = |path: &Path| checkpoint::read(path, &BINDING).unwrap().whole();
    let refused = trainer.restore(network.parameters_mut(), at(&old).as_ref());
    assert!(matches!(refused, Err(TrainerError::KeyIsGone(_))));
    let missing = trainer.restore(network.parameters_mut(), at(Path::new("none")).as_ref());
    assert!(matches!(missing, Err(TrainerError::KeyIsGone(_))));
    trainer
        .restore(network.parameters_mut(), at(&state).as_ref())
        .unwrap();
    assert_eq!(trainer.step_number(), 4);
    // A step beyond the last, as a checkpoint of a longer run has it: refused before a key is derived.
    let mut longer = network_on(Device::Cpu);
    let far = DpOptimizer::new(
        longer.parameters(),
        settings(8.0, Averaging::None).optimizer,
    );
    far.save_at(longer.parameters(), &old, &BINDING, u64::MAX / 2);
    let refused = trainer.restore(longer.parameters_mut(), at(&old).as_ref());
    assert!(matches!(refused, Err(TrainerError::NoFit)));
}

/// No file of a run's state holds a key that the run has used: raw, hexadecimal or base64.
#[test]
fn keys_stand_in_no_state_file() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets");
    let state = folder.path().join("state.bin");
    let file = KeyFile::open(&secrets, "train", BINDING).unwrap().0;
    let mut keys = vec![file.key().clone()];
    let mut network = network();
    let settings = settings(8.0, Averaging::Tail);
    let source = KeySource::Secure(file);
    let mut trainer = Trainer::new(
        network.parameters(),
        mechanism(0.5, 1.0),
        settings,
        ALL,
        source,
    )
    .unwrap();
    let mut printed = String::new();
    for _ in 0..5 {
        let telemetry = trainer.step(&mut network, &texts(16)).unwrap();
        printed.push_str(&[format!("{telemetry:?}"), format!("{trainer:?}")].concat());
        keys.push(keys[keys.len() - 1].ratchet());
    }
    trainer
        .checkpoint(network.parameters(), &state, &BINDING, &[])
        .unwrap();
    let mut written = std::fs::read(&state).unwrap();
    written.extend_from_slice(printed.as_bytes());
    let key_file = std::fs::read(secrets.join("train.key")).unwrap();
    let found = |content: &[u8], needle: &[u8]| content.windows(needle.len()).any(|w| w == needle);
    for (step, key) in keys.iter().enumerate() {
        let hexadecimal = blake3::Hash::from_bytes(*key.bytes()).to_hex();
        for needle in [
            key.bytes().as_slice(),
            hexadecimal.as_bytes(),
            &base64(key.bytes()),
        ] {
            assert!(!found(&written, needle), "key of step {step} in the state");
            assert!(
                !found(&key_file, needle) || step == 5,
                "key of step {step} at rest"
            );
        }
    }
    assert!(
        found(&key_file, keys[5].bytes()),
        "the search finds a key where one is"
    );
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .filter(|chunk| chunk.len() == 3)
        .flat_map(|chunk| {
            let word = u32::from(chunk[0]) << 16 | u32::from(chunk[1]) << 8 | u32::from(chunk[2]);
            [18, 12, 6, 0].map(|shift| DIGITS[(word >> shift & 63) as usize])
        })
        .collect()
}

/// Rule 18: the allowance is for the rows that a batch has on average, whatever sums are divided by.
pub(crate) fn allowance_follows_the_rows() -> bool {
    let network = network();
    let allowance = |expected_rows: f64, expected_batch_size: f64| {
        let settings = TrainerSettings {
            expected_rows,
            ..settings(expected_batch_size, Averaging::None)
        };
        let parameters = network.parameters();
        let trainer = Trainer::new(parameters, mechanism(0.5, 1.0), settings, ALL, seeded());
        trainer.unwrap().protection().rounding_allowance()
    };
    allowance(4000.0, 10.0) == allowance(4000.0, 4000.0)
        && allowance(4000.0, 10.0) > allowance(40.0, 10.0)
}

#[test]
fn the_allowance_follows_the_expected_rows() {
    assert!(allowance_follows_the_rows());
    assert!(!fault::with(
        Fault::AllowanceOfOneRow,
        allowance_follows_the_rows
    ));
}
