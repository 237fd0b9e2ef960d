//! GPT-2 against figures that PyTorch computed for a tiny model.

use super::*;
use crate::Sequence;
use crate::model::{Architecture, ModelConfig, Weights};
use dpx_schema::Device;
use serde_json::Value;
use std::path::PathBuf;

pub(super) fn fixture() -> (Decoder, Value) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/gpt2-tiny");
    let config = ModelConfig::read(&folder).unwrap();
    let Architecture::Decoder(config) = config.architecture else {
        panic!("a GPT-2 fixture")
    };
    let mut weights = Weights::open(&folder, "").unwrap();
    let model = Decoder::build(config, Device::Cpu, |name, _, shape| {
        Ok::<_, crate::model::ModelError>(Array::from_vec(weights.take(name, shape)?, shape))
    })
    .unwrap();
    let expected = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    (model, serde_json::from_str(&expected).unwrap())
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect()
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(numbers).collect()
}

/// Token ids of the fixture without padding.
fn sequences(expected: &Value) -> Vec<Vec<u32>> {
    rows(&expected["input_ids"])
        .into_iter()
        .zip(rows(&expected["attention_mask"]))
        .map(|(ids, mask)| {
            let length = mask.iter().sum::<f64>() as usize;
            ids[..length].iter().map(|&id| id as u32).collect()
        })
        .collect()
}

fn close(got: f64, want: f64, tolerance: f64) {
    assert!(
        (got - want).abs() <= tolerance * want.abs().max(1.0),
        "{got} where PyTorch has {want}"
    );
}

#[test]
fn losses_and_logits_are_pytorchs() {
    let (model, expected) = fixture();
    let sequences = sequences(&expected);
    let whole: Vec<_> = sequences.iter().map(|ids| Sequence::whole(ids)).collect();
    let batch = Batch::causal(&whole);
    let tape = model.forward_backward(&batch).unwrap();
    let losses = model.forward_loss(&batch).unwrap();
    let wanted = numbers(&expected["loss_mean_per_token"]);
    for ((taped, forward), want) in tape.losses.iter().zip(&losses).zip(&wanted) {
        close(*taped, *want, 1e-5);
        close(*forward, *want, 1e-5);
    }
    let slices: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
    let logits = model.logits(&slices).unwrap();
    let mut start = 0;
    let (first, last) = (
        rows(&expected["logits_first"]),
        rows(&expected["logits_last"]),
    );
    for (example, ids) in sequences.iter().enumerate() {
        let width = logits.width();
        let row = |r: usize| &logits.host()[r * width..(r + 1) * width];
        for (got, want) in row(start).iter().zip(&first[example]) {
            close(f64::from(*got), *want, 1e-4);
        }
        start += ids.len();
        for (got, want) in row(start - 1).iter().zip(&last[example]) {
            close(f64::from(*got), *want, 1e-4);
        }
    }
}

#[test]
fn gradient_norms_are_pytorchs() {
    let (model, expected) = fixture();
    let sequences = sequences(&expected);
    let whole: Vec<_> = sequences.iter().map(|ids| Sequence::whole(ids)).collect();
    let wanted = numbers(&expected["grad_norm_of_mean_loss"]);
    // Alone and in a batch; the norm that PyTorch has is of each example's own mean loss.
    let tape = model.forward_backward(&Batch::causal(&whole)).unwrap();
    assert_eq!(tape.batch(), wanted.len());
    for (sequence, want) in whole.iter().zip(&wanted) {
        let tape = model
            .forward_backward(&Batch::causal(&[*sequence]))
            .unwrap();
        let mut total = 0.0;
        for sample in &tape.grad_samples {
            total += match sample {
                GradSample::PerExample { gradient, .. } => {
                    kernel::row_squared_norms(gradient).now()[0].value
                }
                GradSample::Linear {
                    rows,
                    input,
                    gradient,
                    ..
                } => kernel::linear_squared_norms(rows, input, gradient).now()[0].value,
                GradSample::Embedding {
                    rows,
                    ids,
                    gradient,
                    ..
                } => kernel::embedding_squared_norms(rows, ids, gradient).now()[0].value,
            };
        }
        // All but the cross term of the tied embedding.
        total += 2.0 * tied_cross_term(&tape);
        close(total.sqrt(), *want, 1e-4);
    }
}

fn tied_cross_term(tape: &Tape) -> f64 {
    let tied = tape.grad_samples.first().zip(tape.grad_samples.last());
    let Some((
        GradSample::Linear {
            rows: linear_rows,
            input,
            gradient: logits_gradient,
            ..
        },
        GradSample::Embedding {
            rows: embedding_rows,
            ids,
            gradient: embedding_gradient,
            ..
        },
    )) = tied
    else {
        panic!("the head comes first, the token embedding last")
    };
    kernel::tied_products(kernel::Tied {
        linear_rows,
        input,
        logits_gradient,
        embedding_rows,
        ids,
        embedding_gradient,
    })
    .now()[0]
        .value
}

#[test]
fn greedy_continuations_are_pytorchs() {
    let (model, expected) = fixture();
    let sequences = sequences(&expected);
    let slices: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
    let (mut cache, mut logits) = model.prefill(&slices, 32).unwrap();
    let mut texts = vec![Vec::new(); slices.len()];
    for step in 0..12 {
        let next: Vec<u32> = logits
            .host()
            .chunks(logits.width())
            .map(|row| {
                (0..row.len())
                    .max_by(|&a, &b| row[a].total_cmp(&row[b]))
                    .unwrap() as u32
            })
            .collect();
        for (text, &token) in texts.iter_mut().zip(&next) {
            text.push(f64::from(token));
        }
        if step < 11 {
            logits = model.decode(&mut cache, &next).unwrap();
        }
    }
    assert_eq!(texts, rows(&expected["greedy_12"]));
}

#[test]
fn rows_of_a_cache_can_be_dropped() {
    let (model, expected) = fixture();
    let sequences = sequences(&expected);
    let slices: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
    let (cache, _) = model.prefill(&slices, 20).unwrap();
    let tokens = [3, 4, 5, 6];
    let all = model.decode(&mut cache.clone(), &tokens).unwrap();
    let width = all.width();
    for kept in [vec![2, 0], vec![0, 2], vec![1, 2, 3], vec![3]] {
        let mut cache = cache.clone();
        cache.keep(&kept);
        let next: Vec<u32> = kept.iter().map(|&row| tokens[row]).collect();
        let some = model.decode(&mut cache, &next).unwrap();
        for (got, &row) in some.host().chunks_exact(width).zip(&kept) {
            for (got, want) in got.iter().zip(&all.host()[row * width..]) {
                close(f64::from(*got), f64::from(*want), 1e-6);
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let (model, _) = fixture();
    let long = vec![1; 33];
    assert!(matches!(model.logits(&[&long]), Err(Error::TooLong { .. })));
    assert!(matches!(
        model.logits(&[&[97]]),
        Err(Error::TokenOutOfRange { .. })
    ));
    let (mut cache, _) = model.prefill(&[&[1, 2]], 3).unwrap();
    model.decode(&mut cache, &[3]).unwrap();
    assert!(matches!(
        model.decode(&mut cache, &[3]),
        Err(Error::TooLong { .. })
    ));
    let batch = Batch::inference(&[&[1, 2]]);
    assert!(matches!(
        model.forward_backward(&batch),
        Err(Error::WrongTargets { .. })
    ));
}
