//! Norms of per-example gradients of every family against what PyTorch computed, and of adapters against examples alone.

use super::models::fill_adapters;
use super::{Clipping, clipped_sum, flat, norm};
use dpx_nn::model::{load_causal, load_classifier};
use dpx_nn::{Batch, Network, Selection, Sequence};
use dpx_schema::Device;
use serde_json::Value;
use std::path::PathBuf;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures")
        .join(name)
}

fn expected(name: &str) -> Value {
    let text = std::fs::read_to_string(folder(name).join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The token ids of a fixture without their padding.
fn sequences(expected: &Value) -> Vec<Vec<u32>> {
    let rows =
        |key: &str| -> Vec<Vec<u32>> { serde_json::from_value(expected[key].clone()).unwrap() };
    let lengths = rows("attention_mask")
        .into_iter()
        .map(|mask| mask.iter().sum::<u32>());
    let ids = rows("input_ids").into_iter().zip(lengths);
    ids.map(|(ids, length)| ids[..length as usize].to_vec())
        .collect()
}

fn close(name: &str, found: &[f64], wanted: &Value) {
    let wanted: Vec<f64> = serde_json::from_value(wanted.clone()).unwrap();
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(
            (found - wanted).abs() <= 2e-4 * wanted,
            "{name}: {found} where PyTorch has {wanted}"
        );
    }
}

const CAUSAL: [&str; 12] = [
    "gpt2-tiny",
    "llama-tiny",
    "llama-tiny-untied",
    "llama3-rope-tiny",
    "mistral-tiny",
    "qwen2-tiny",
    "qwen3-tiny",
    "smollm3-tiny",
    "phi3-tiny",
    "olmo2-tiny",
    "gpt-neox-tiny",
    "gemma3-tiny",
];

#[test]
fn norms_of_language_models_are_those_of_pytorch() {
    for name in CAUSAL {
        let expected = expected(name);
        let sequences = sequences(&expected);
        let whole: Vec<_> = sequences.iter().map(|ids| Sequence::whole(ids)).collect();
        let model = load_causal(folder(name), Device::Cpu).unwrap();
        let tape = model.forward_backward(&Batch::causal(&whole)).unwrap();
        let sum = clipped_sum(model.parameters(), tape, Clipping::Flat, 1.0).unwrap();
        close(name, &sum.norms, &expected["grad_norm_of_mean_loss"]);
    }
}

#[test]
fn norms_of_classifiers_are_those_of_pytorch() {
    for name in [
        "bert-tiny-classifier",
        "roberta-tiny-classifier",
        "distilbert-tiny-classifier",
        "electra-tiny-classifier",
        "deberta-v2-tiny-classifier",
        "modernbert-tiny-classifier",
    ] {
        let expected = expected(name);
        let sequences = sequences(&expected);
        let slices: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        let labels: Vec<u32> = serde_json::from_value(expected["labels"].clone()).unwrap();
        let model = load_classifier(folder(name), Device::Cpu).unwrap();
        let batch = Batch::classification(&slices, &labels);
        let tape = model.forward_backward(&batch).unwrap();
        let sum = clipped_sum(model.parameters(), tape, Clipping::Flat, 1.0).unwrap();
        close(name, &sum.norms, &expected["grad_norm"]);
    }
}

#[test]
fn norms_of_adapters_are_those_of_examples_alone_and_merging_changes_no_loss() {
    for name in CAUSAL {
        let sequences = sequences(&expected(name));
        let whole: Vec<_> = sequences.iter().map(|ids| Sequence::whole(ids)).collect();
        let batch = Batch::causal(&whole);
        let mut model = load_causal(folder(name), Device::Cpu).unwrap();
        model.add_lora(3, 6.0, 1);
        fill_adapters(model.parameters_mut());
        model.parameters_mut().select(Selection::Lora);
        let tape = model.forward_backward(&batch).unwrap();
        let sum = clipped_sum(model.parameters(), tape, Clipping::Flat, 1.0).unwrap();
        for (sequence, found) in whole.iter().zip(&sum.norms) {
            let tape = model
                .forward_backward(&Batch::causal(&[*sequence]))
                .unwrap();
            let alone = clipped_sum(model.parameters(), tape, Clipping::None, 1.0).unwrap();
            let wanted = norm(&flat(&alone));
            assert!(
                (found - wanted).abs() <= 1e-4 * wanted,
                "{name}: {found} where {wanted} is right"
            );
        }
        let before = model.forward_loss(&batch).unwrap();
        let after = model.merge_lora().forward_loss(&batch).unwrap();
        for (before, after) in before.iter().zip(after) {
            assert!((before - after).abs() < 1e-4, "{name}: {before} {after}");
        }
    }
}
