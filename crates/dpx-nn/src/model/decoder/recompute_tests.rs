//! Activation checkpointing, the output layer in parts, and frozen matrices in fewer bits: the same bits as without, or the same
//! numbers as with rounded weights in f32.

use super::*;
use crate::device::DeviceExt;
use crate::model::causal_lm::CausalLm;
use crate::model::{load_causal, load_frozen};
use crate::{Initializer, Role, RoundedMatrix, Selection, Sequence};
use dpx_schema::params::BasePrecision;
use std::path::PathBuf;

/// A family each of norms before and after, gates, fused and interleaved projections, tied and untied tables, both layouts.
const FAMILIES: [&str; 6] = [
    "gpt2-tiny",
    "llama-tiny-untied",
    "phi3-tiny",
    "olmo2-tiny",
    "gpt-neox-tiny",
    "gemma3-tiny",
];

fn folder(name: &str) -> PathBuf {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    fixtures.join(name)
}

fn sequences(vocabulary: usize) -> Vec<Vec<u32>> {
    let token = |at: usize| ((at * 7919 + at / 3) % vocabulary) as u32;
    let lengths = [9, 2, 14, 1, 11, 7, 12, 13];
    let of = |number: usize, length: usize| -> Vec<u32> {
        (0..length).map(|at| token(31 * number + at)).collect()
    };
    let numbered = lengths.into_iter().enumerate();
    numbered
        .map(|(number, length)| of(number, length))
        .collect()
}

fn batch(vocabulary: usize) -> Batch {
    let sequences = sequences(vocabulary);
    let whole: Vec<_> = sequences.iter().map(|ids| Sequence::whole(ids)).collect();
    Batch::causal(&whole)
}

/// Adapters with something in both of their matrices.
fn add_adapters(model: &mut CausalLm) {
    model.add_lora(3, 6.0, 5);
    let mut random = Initializer::new(4);
    for (_, parameter) in model.parameters_mut().iter_mut() {
        if parameter.name.ends_with("lora_B.weight") {
            let device = parameter.value.device();
            let value = random.normal(parameter.value.shape(), 0.3);
            parameter.value = value.on(device);
        }
    }
    model.parameters_mut().select(Selection::Lora);
}

fn bits(array: &Array) -> Vec<u32> {
    array.to_vec().into_iter().map(f32::to_bits).collect()
}

/// All that a sample is made of, by parameter.
fn made_of(samples: &[GradSample]) -> Vec<(usize, Vec<u32>)> {
    let mut all: Vec<_> = samples
        .iter()
        .map(|sample| {
            let mut values = Vec::new();
            match sample {
                GradSample::Linear {
                    input, gradient, ..
                } => {
                    values.extend(bits(input));
                    values.extend(bits(gradient));
                }
                GradSample::Embedding { ids, gradient, .. } => {
                    values.extend(ids.iter());
                    values.extend(bits(gradient));
                }
                GradSample::PerExample { gradient, .. } => values.extend(bits(gradient)),
            }
            (sample.parameter().index(), values)
        })
        .collect();
    all.sort();
    all
}

fn losses(losses: &[f64]) -> Vec<u64> {
    losses.iter().map(|loss| loss.to_bits()).collect()
}

#[test]
fn activations_computed_anew_have_the_same_bits_and_are_not_kept() {
    for name in FAMILIES {
        for device in Device::all_under_test() {
            for lora in [false, true] {
                let mut kept = load_causal(folder(name), device).unwrap();
                if lora {
                    add_adapters(&mut kept);
                }
                let mut anew = kept.clone();
                anew.set_activation_checkpointing(true);
                let batch = batch(kept.config().vocabulary());
                let wanted = kept.forward_backward(&batch).unwrap();
                let found = anew.forward_backward(&batch).unwrap();
                assert_eq!(losses(&found.losses), losses(&wanted.losses), "{name}");
                let of_wanted = made_of(&wanted.grad_samples);
                assert!(of_wanted == made_of(&found.grad_samples), "{name} {lora}");
                assert_eq!((kept.recomputes(), anew.recomputes()), (false, true));
                // In parts: all of it in each pass, and a block at a time.
                let mut passes = [Vec::new(), Vec::new()];
                let mut largest = 0;
                let in_parts = anew.backward_in_parts(&batch, 2, &mut |pass, samples| {
                    largest = largest.max(samples.len());
                    passes[pass].extend(samples);
                });
                assert_eq!(losses(&in_parts.unwrap()), losses(&wanted.losses));
                for pass in &passes {
                    assert!(of_wanted == made_of(pass), "{name} {lora}");
                }
                if lora {
                    assert!(
                        largest <= 14 && largest < passes[0].len(),
                        "{name}: {largest}"
                    );
                }
            }
        }
    }
}

#[test]
fn nothing_but_inputs_is_kept_of_blocks_that_are_computed_anew() {
    let (mut model, _) = tests::fixture();
    let kinds = |model: &Decoder| {
        let rows = PackedLayout::from_lengths([3]);
        let (_, saved) = model.body(&[1, 2, 3], &rows);
        let inputs = saved.blocks.iter();
        inputs.filter(|kept| matches!(kept, Kept::Input(_))).count()
    };
    assert_eq!(kinds(&model), 0);
    model.set_activation_checkpointing(true);
    assert_eq!(kinds(&model), model.blocks.len());
}

#[test]
fn the_output_layer_in_parts_gives_the_same_bits() {
    let (mut model, _) = tests::fixture();
    model.parameters.select(Selection::Bias);
    let long: Vec<Vec<u32>> = (0..40)
        .map(|number| (0..12).map(|at| (number * 5 + at * 3) % 40).collect())
        .collect();
    let whole: Vec<_> = long.iter().map(|ids| Sequence::whole(ids)).collect();
    let batch = Batch::causal(&whole);
    let wanted = model.forward_backward(&batch).unwrap();
    let alone = model.forward_loss(&batch).unwrap();
    assert_eq!(model.parts_of_head(440).len(), 1);
    model.logits_at_once = 1;
    let parts = model.parts_of_head(440);
    assert_eq!(parts.len(), 3);
    assert!(parts.iter().all(|part| part.len() >= LEAST_TARGETS));
    let found = model.forward_backward(&batch).unwrap();
    assert_eq!(losses(&found.losses), losses(&wanted.losses));
    assert!(made_of(&found.grad_samples) == made_of(&wanted.grad_samples));
    assert_eq!(losses(&model.forward_loss(&batch).unwrap()), losses(&alone));
}

/// The size of each array that the samples are made of.
fn magnitudes(tape: &Tape) -> Vec<f64> {
    let size = |array: &Array| {
        let squares = array
            .to_vec()
            .into_iter()
            .map(|value| f64::from(value).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let samples = tape.grad_samples.iter();
    samples
        .flat_map(|sample| match sample {
            GradSample::Linear {
                input, gradient, ..
            } => vec![size(input), size(gradient)],
            GradSample::Embedding { gradient, .. } | GradSample::PerExample { gradient, .. } => {
                vec![size(gradient)]
            }
        })
        .collect()
}

/// Within the tolerance that models have on devices: roundings of products grow through adapters of this size.
fn close(name: &str, found: &[f64], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        let apart = (found - wanted).abs();
        let most = 2e-4 * wanted.abs().max(1e-3);
        assert!(apart <= most, "{name}: {found} where f32 has {wanted}");
    }
}

/// The weights of a model rounded by themselves, as f32.
fn rounded_in_f32(name: &str, device: Device, precision: BasePrecision) -> CausalLm {
    let mut model = load_causal(folder(name), device).unwrap();
    for (_, parameter) in model.parameters_mut().iter_mut() {
        if let &[rows, width] = parameter.value.shape() {
            let mut matrix = RoundedMatrix::with_capacity(precision, rows, width).unwrap();
            matrix.push_rows(&parameter.value.to_vec());
            let wide = Array::rounded(matrix).widened();
            assert_ne!(
                wide.to_vec(),
                parameter.value.to_vec(),
                "rounding changes something"
            );
            parameter.value = wide.on(device);
        }
    }
    model
}

#[test]
fn frozen_matrices_in_fewer_bits_compute_as_their_rounded_values_do() {
    for name in FAMILIES {
        for device in Device::all_under_test() {
            for precision in [BasePrecision::Bf16, BasePrecision::Int8] {
                let mut found = load_frozen(folder(name), device, precision).unwrap();
                let mut wanted = rounded_in_f32(name, device, precision);
                for (_, parameter) in found.parameters().iter() {
                    let is_matrix = parameter.value.shape().len() == 2;
                    assert_eq!(
                        parameter.value.is_rounded(),
                        is_matrix,
                        "{}",
                        parameter.name
                    );
                    assert_eq!(parameter.value.device(), device);
                }
                assert_eq!(found.base_precision(), precision);
                for model in [&mut found, &mut wanted] {
                    add_adapters(model);
                }
                let batch = batch(found.config().vocabulary());
                let (ours, theirs) = (
                    found.forward_backward(&batch).unwrap(),
                    wanted.forward_backward(&batch).unwrap(),
                );
                let (alone, other) = (
                    found.forward_loss(&batch).unwrap(),
                    wanted.forward_loss(&batch).unwrap(),
                );
                if device == Device::Cpu {
                    assert_eq!(losses(&ours.losses), losses(&theirs.losses), "{name}");
                    assert_eq!(losses(&alone), losses(&other), "{name}");
                    let same = made_of(&ours.grad_samples) == made_of(&theirs.grad_samples);
                    assert!(same, "{name} {precision:?}");
                } else {
                    // Blocks are products of other shapes, whose sums a device may round otherwise.
                    close(name, &ours.losses, &theirs.losses);
                    close(name, &alone, &other);
                    close(name, &magnitudes(&ours), &magnitudes(&theirs));
                }
                // Merged: what they were rounded to, plus the adapter, in f32.
                let (merged, wanted) = (found.merge_lora(), wanted.merge_lora());
                for ((_, one), (_, other)) in
                    merged.parameters().iter().zip(wanted.parameters().iter())
                {
                    assert!(!one.value.is_rounded() && one.role != Role::Lora);
                    assert_eq!(bits(&one.value), bits(&other.value), "{name} {}", one.name);
                }
            }
        }
    }
}

fn table(model: &CausalLm) -> Array {
    let id = model
        .parameters()
        .find("model.embed_tokens.weight")
        .unwrap();
    model.parameters().value(id).clone()
}

#[test]
fn a_vocabulary_grows_in_the_same_bits_of_a_row() {
    for device in Device::all_under_test() {
        for precision in [BasePrecision::Bf16, BasePrecision::Int8] {
            let name = "llama-tiny-untied";
            let mut model = load_frozen(folder(name), device, precision).unwrap();
            let before = table(&model).to_vec();
            let count = model.config().vocabulary();
            model.resize_vocabulary(count + 2).unwrap();
            let table = table(&model);
            assert!(table.is_rounded() && table.device() == device);
            let after = table.to_vec();
            assert_eq!(after[..before.len()], before);
            assert_eq!(after.len(), before.len() / count * (count + 2));
            assert!(after[before.len()..].iter().any(|value| *value != 0.0));
        }
    }
}

#[test]
#[should_panic(expected = "which only frozen parameters are")]
fn a_rounded_matrix_is_never_trained() {
    let name = folder("gpt2-tiny");
    let mut model = load_frozen(name, Device::Cpu, BasePrecision::Bf16).unwrap();
    model.parameters_mut().select(Selection::All);
}
