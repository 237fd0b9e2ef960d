//! Every architecture against what PyTorch and `transformers` computed from the same weights (tests/fixtures).

use super::generate::greedy;
use super::*;
use crate::device::DeviceExt;
use crate::seed::Stream;
use crate::{Arithmetic, Batch, GradSample, Network, Parameters, Sequence, Tape};
use dpx_schema::Device;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures")
        .join(name)
}

struct Expected(Value);

impl Expected {
    fn of(name: &str) -> Self {
        let text = std::fs::read_to_string(folder(name).join("expected.json")).unwrap();
        Self(serde_json::from_str(&text).unwrap())
    }

    fn numbers(&self, key: &str) -> Vec<f64> {
        serde_json::from_value(self.0[key].clone()).unwrap()
    }

    fn rows(&self, key: &str) -> Vec<Vec<f64>> {
        serde_json::from_value(self.0[key].clone()).unwrap()
    }

    fn tokens(&self, key: &str) -> Vec<Vec<u32>> {
        serde_json::from_value(self.0[key].clone()).unwrap()
    }

    /// The token ids without their padding.
    fn sequences(&self) -> Vec<Vec<u32>> {
        let masks = self.tokens("attention_mask");
        let ids = self.tokens("input_ids");
        ids.into_iter()
            .zip(masks)
            .map(|(ids, mask)| ids[..mask.iter().sum::<u32>() as usize].to_vec())
            .collect()
    }
}

fn slices(sequences: &[Vec<u32>]) -> Vec<&[u32]> {
    sequences.iter().map(Vec::as_slice).collect()
}

fn close(found: &[f32], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        let difference = (f64::from(*found) - wanted).abs();
        assert!(
            difference <= tolerance,
            "{found} where PyTorch has {wanted}"
        );
    }
}

/// Norm of each example's gradient, from gradients made in full: slow and obvious.
fn gradient_norms(parameters: &Parameters, tape: &Tape) -> Vec<f64> {
    let mut gradients: Vec<BTreeMap<usize, Vec<f64>>> = vec![BTreeMap::new(); tape.batch()];
    for sample in &tape.grad_samples {
        let id = sample.parameter();
        let shape = parameters.value(id).shape().to_vec();
        let zeros = || vec![0.0; shape.iter().product()];
        for (example, gradients) in gradients.iter_mut().enumerate() {
            let sum = gradients.entry(id.index()).or_insert_with(zeros);
            match sample {
                GradSample::Linear {
                    layout,
                    rows,
                    input,
                    gradient,
                    ..
                } => {
                    for row in rows.range(example) {
                        let (inputs, outputs) = (input.width(), gradient.width());
                        for i in 0..inputs {
                            for o in 0..outputs {
                                let place = match layout {
                                    crate::Layout::InOut => i * outputs + o,
                                    crate::Layout::OutIn => o * inputs + i,
                                };
                                sum[place] += f64::from(input.host()[row * inputs + i])
                                    * f64::from(gradient.host()[row * outputs + o]);
                            }
                        }
                    }
                }
                GradSample::Embedding {
                    rows,
                    ids,
                    gradient,
                    ..
                } => {
                    let width = gradient.width();
                    for row in rows.range(example) {
                        for column in 0..width {
                            sum[ids[row] as usize * width + column] +=
                                f64::from(gradient.host()[row * width + column]);
                        }
                    }
                }
                GradSample::PerExample { gradient, .. } => {
                    let width = gradient.width();
                    let own = &gradient.host()[example * width..(example + 1) * width];
                    for (sum, value) in sum.iter_mut().zip(own) {
                        *sum += f64::from(*value);
                    }
                }
            }
        }
    }
    let norm = |gradients: &BTreeMap<usize, Vec<f64>>| {
        gradients
            .values()
            .flatten()
            .map(|g| g * g)
            .sum::<f64>()
            .sqrt()
    };
    gradients.iter().map(norm).collect()
}

/// All fixtures that write text.
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

fn check_causal(name: &str) {
    for device in Device::all_under_test() {
        check_causal_on(name, device);
    }
}

fn check_causal_on(name: &str, device: Device) {
    let (model, expected) = (
        load_causal(folder(name), device).unwrap(),
        Expected::of(name),
    );
    let sequences = expected.sequences();
    let logits = model.logits(&slices(&sequences)).unwrap().on(Device::Cpu);
    let (first, last) = (expected.rows("logits_first"), expected.rows("logits_last"));
    let row = |index: usize| &logits.host()[index * logits.width()..(index + 1) * logits.width()];
    let mut start = 0;
    for (example, ids) in sequences.iter().enumerate() {
        close(row(start), &first[example], 1e-4);
        start += ids.len();
        close(row(start - 1), &last[example], 1e-4);
    }
    let whole: Vec<Sequence<'_>> = sequences.iter().map(|ids| Sequence::whole(ids)).collect();
    let batch = Batch::causal(&whole);
    let tape = model.forward_backward(&batch).unwrap().on_host();
    let losses = expected.numbers("loss_mean_per_token");
    let single = |values: &[f64]| values.iter().map(|v| *v as f32).collect::<Vec<_>>();
    close(&single(&tape.losses), &losses, 1e-5);
    close(&single(&model.forward_loss(&batch).unwrap()), &losses, 1e-5);
    let norms = gradient_norms(model.parameters(), &tape);
    close(
        &single(&norms),
        &expected.numbers("grad_norm_of_mean_loss"),
        1e-4,
    );
    for batch in [1, 3, 4] {
        let tokens = greedy(&model, &sequences, 12, batch).unwrap();
        assert_eq!(tokens, expected.tokens("greedy_12"));
    }
}

#[test]
fn gpt2_is_that_of_transformers() {
    check_causal("gpt2-tiny");
}

#[test]
fn llama_with_grouped_queries_is_that_of_transformers() {
    check_causal("llama-tiny");
}

#[test]
fn llama_with_an_output_layer_of_its_own_is_that_of_transformers() {
    check_causal("llama-tiny-untied");
}

#[test]
fn llama_with_scaled_rotary_embeddings_is_that_of_transformers() {
    check_causal("llama3-rope-tiny");
}

#[test]
fn mistral_with_a_window_is_that_of_transformers() {
    check_causal("mistral-tiny");
}

#[test]
fn qwen2_is_that_of_transformers() {
    check_causal("qwen2-tiny");
}

#[test]
fn qwen3_is_that_of_transformers() {
    check_causal("qwen3-tiny");
}

#[test]
fn smollm3_is_that_of_transformers() {
    check_causal("smollm3-tiny");
}

#[test]
fn phi3_is_that_of_transformers() {
    check_causal("phi3-tiny");
}

#[test]
fn olmo2_is_that_of_transformers() {
    check_causal("olmo2-tiny");
}

#[test]
fn gpt_neox_is_that_of_transformers() {
    check_causal("gpt-neox-tiny");
}

#[test]
fn gemma3_is_that_of_transformers() {
    check_causal("gemma3-tiny");
}

/// In bfloat16 logits are near those of f32, and what is written is, to f32, as good as the likeliest.
#[test]
fn texts_in_bfloat16_are_near_those_in_f32() {
    let device = Device::under_test();
    if !device.multiplies_bf16().unwrap() {
        return;
    }
    for name in ["gpt2-tiny", "llama-tiny", "llama-tiny-untied"] {
        let exact = load_causal(folder(name), device).unwrap();
        let mut rounded = exact.clone();
        rounded.parameters_mut().compute_in(Arithmetic::Bf16);
        let sequences = Expected::of(name).sequences();
        let logits = |model: &CausalLm, sequences: &[Vec<u32>]| {
            model.logits(&slices(sequences)).unwrap().on(Device::Cpu)
        };
        let (wanted, found) = (logits(&exact, &sequences), logits(&rounded, &sequences));
        let size = wanted
            .host()
            .iter()
            .fold(0.0f32, |size, x| size.max(x.abs()));
        let pairs = wanted.host().iter().zip(found.host());
        let worst = pairs.fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs())) / size;
        assert!(worst > 1e-4 && worst < 5e-2, "{name}: {worst}");

        let texts = greedy(&rounded, &sequences, 12, 3).unwrap();
        for (prompt, text) in sequences.iter().zip(texts) {
            let whole = [prompt.clone(), text.clone()].concat();
            let logits = logits(&exact, &[whole]);
            let rows = logits.host().chunks_exact(logits.width());
            for (row, token) in rows.skip(prompt.len() - 1).zip(&text) {
                let best = row.iter().fold(f32::MIN, |best, x| best.max(*x));
                let behind = (best - row[*token as usize]) / size;
                assert!(behind < 5e-2, "{name}: {behind}");
            }
        }
    }
}

fn check_classifier(name: &str) {
    for device in Device::all_under_test() {
        let (model, expected) = (
            load_classifier(folder(name), device).unwrap(),
            Expected::of(name),
        );
        let sequences = expected.sequences();
        let logits = model.logits(&slices(&sequences)).unwrap().on(Device::Cpu);
        close(logits.host(), &expected.rows("logits").concat(), 1e-4);
        let labels: Vec<u32> = serde_json::from_value(expected.0["labels"].clone()).unwrap();
        let batch = Batch::classification(&slices(&sequences), &labels);
        let tape = model.forward_backward(&batch).unwrap().on_host();
        let single = |values: &[f64]| values.iter().map(|v| *v as f32).collect::<Vec<_>>();
        close(&single(&tape.losses), &expected.numbers("loss"), 1e-5);
        close(
            &single(&model.forward_loss(&batch).unwrap()),
            &expected.numbers("loss"),
            1e-5,
        );
        let norms = gradient_norms(model.parameters(), &tape);
        close(&single(&norms), &expected.numbers("grad_norm"), 1e-4);
    }
}

#[test]
fn bert_classifier_is_that_of_transformers() {
    check_classifier("bert-tiny-classifier");
}

#[test]
fn roberta_classifier_is_that_of_transformers() {
    check_classifier("roberta-tiny-classifier");
}

#[test]
fn distilbert_classifier_is_that_of_transformers() {
    check_classifier("distilbert-tiny-classifier");
}

#[test]
fn electra_classifier_is_that_of_transformers() {
    check_classifier("electra-tiny-classifier");
}

#[test]
fn modernbert_classifier_is_that_of_transformers() {
    check_classifier("modernbert-tiny-classifier");
}

#[test]
fn bert_token_classifier_is_that_of_transformers() {
    for device in Device::all_under_test() {
        let name = "bert-tiny-ner";
        let (model, expected) = (
            load_classifier(folder(name), device).unwrap(),
            Expected::of(name),
        );
        let sequences = expected.sequences();
        let logits = model.logits(&slices(&sequences)).unwrap().on(Device::Cpu);
        let rows: Vec<&[f32]> = logits.host().chunks_exact(logits.width()).collect();
        let best = |row: &[f32]| {
            (0..row.len() as u32)
                .max_by(|a, b| row[*a as usize].total_cmp(&row[*b as usize]))
                .unwrap()
        };
        let mut start = 0;
        for (example, ids) in sequences.iter().enumerate() {
            close(rows[start], &expected.rows("logits_first")[example], 1e-4);
            let found: Vec<u32> = rows[start..start + ids.len()]
                .iter()
                .map(|row| best(row))
                .collect();
            assert_eq!(found, expected.tokens("argmax")[example]);
            start += ids.len();
        }
    }
}

#[test]
fn bert_encoder_is_that_of_transformers() {
    check_encoder("bert-tiny-encoder");
}

#[test]
fn xlm_roberta_encoder_is_that_of_transformers() {
    check_encoder("xlm-roberta-tiny-encoder");
}

/// Its padding token is 0, and a text holds token 1: positions count as if that were padding.
#[test]
fn mpnet_encoder_is_that_of_transformers() {
    check_encoder("mpnet-tiny-encoder");
}

#[test]
fn modernbert_encoder_is_that_of_transformers() {
    check_encoder("modernbert-tiny-encoder");
}

#[test]
fn deberta_encoder_is_that_of_transformers() {
    check_encoder("deberta-v2-tiny-encoder");
}

fn check_encoder(name: &str) {
    for device in Device::all_under_test() {
        let (model, expected) = (
            load_encoder(folder(name), device).unwrap(),
            Expected::of(name),
        );
        let sequences = expected.sequences();
        let pooled = model.mean_pooled(&slices(&sequences)).unwrap();
        close(pooled.host(), &expected.rows("mean_pooled").concat(), 1e-4);
        for most in [1, 12, 100] {
            let embedded = model.embed(&sequences, most).unwrap();
            // Each alone is the same to the bit, whatever it was computed with.
            let each = model.embed_each(&sequences, most).unwrap();
            for (ids, among) in sequences.iter().zip(&each) {
                let alone = model.embed_each(std::slice::from_ref(ids), most).unwrap();
                let bits = |row: &[f32]| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&alone[0]), bits(among));
            }
            close(
                &embedded.concat(),
                &expected.rows("mean_pooled").concat(),
                1e-4,
            );
        }
        let (hidden, rows) = model.hidden(&slices(&sequences)).unwrap();
        let hidden = hidden.on(Device::Cpu);
        for (example, wanted) in expected.rows("cls").iter().enumerate() {
            let start = rows.range(example).start * hidden.width();
            close(&hidden.host()[start..start + hidden.width()], wanted, 1e-4);
        }
    }
}

/// Directional derivative of the summed loss along the recorded gradient against a central difference.
fn check_gradient(mut model: Classifier, sequences: &[Vec<u32>], classes: &[u32]) {
    let batch = Batch::classification(&slices(sequences), classes);
    let tape = model.forward_backward(&batch).unwrap().on_host();
    let ids: Vec<_> = model.parameters().trainable_ids();
    let touched: std::collections::BTreeSet<_> = tape
        .grad_samples
        .iter()
        .map(|sample| sample.parameter().index())
        .collect();
    assert_eq!(touched.len(), ids.len(), "every parameter is recorded");
    // One example: its gradient is the sum, and its norm the derivative along the normalized gradient.
    let norms = gradient_norms(model.parameters(), &tape);
    let one = Batch::classification(&slices(&sequences[..1]), &classes[..1]);
    let alone = model.forward_backward(&one).unwrap().on_host();
    let norm = gradient_norms(model.parameters(), &alone)[0];
    assert!(
        (norm - norms[0]).abs() < 1e-5 * norm,
        "no example depends on another"
    );
    // Along one random direction.
    let mut stream = Stream::new(3, "direction", &[]);
    let directions: Vec<Vec<f32>> = ids
        .iter()
        .map(|id| {
            (0..model.parameters().value(*id).len())
                .map(|_| stream.normal() as f32)
                .collect()
        })
        .collect();
    let along = {
        let mut sum = 0.0;
        for sample in &alone.grad_samples {
            let place = ids.iter().position(|id| *id == sample.parameter()).unwrap();
            sum += directional(sample, &directions[place]);
        }
        sum
    };
    let mut loss_at = |step: f32| {
        for (id, direction) in ids.iter().zip(&directions) {
            let value = model.parameters_mut().value_mut(*id);
            let device = value.device();
            value.move_to(Device::Cpu);
            for (value, direction) in value.host_mut().iter_mut().zip(direction) {
                *value += step * direction;
            }
            value.move_to(device);
        }
        model.forward_loss(&one).unwrap()[0]
    };
    let step = 2e-4;
    let above = loss_at(step);
    let below = loss_at(-2.0 * step);
    let difference = (above - below) / (2.0 * f64::from(step));
    assert!(
        (difference - along).abs() < 0.02 * along.abs().max(0.5),
        "recorded {along}, differenced {difference}"
    );
}

fn directional(sample: &GradSample, direction: &[f32]) -> f64 {
    let product = |place: usize, value: f32| f64::from(direction[place]) * f64::from(value);
    match sample {
        GradSample::Linear {
            layout,
            input,
            gradient,
            ..
        } => {
            let (inputs, outputs) = (input.width(), gradient.width());
            let mut sum = 0.0;
            for row in 0..input.rows() {
                for i in 0..inputs {
                    for o in 0..outputs {
                        let place = match layout {
                            crate::Layout::InOut => i * outputs + o,
                            crate::Layout::OutIn => o * inputs + i,
                        };
                        sum += product(place, input.host()[row * inputs + i])
                            * f64::from(gradient.host()[row * outputs + o]);
                    }
                }
            }
            sum
        }
        GradSample::Embedding { ids, gradient, .. } => {
            let width = gradient.width();
            (0..gradient.len())
                .map(|at| {
                    product(
                        ids[at / width] as usize * width + at % width,
                        gradient.host()[at],
                    )
                })
                .sum()
        }
        GradSample::PerExample { gradient, .. } => (0..gradient.len())
            .map(|at| product(at, gradient.host()[at]))
            .sum(),
    }
}

fn labels() -> Vec<String> {
    ["a", "b", "c"].map(String::from).to_vec()
}

#[test]
fn classifiers_on_every_body_have_the_right_gradient_and_survive_saving() {
    let folders = [
        folder("gpt2-tiny"),
        folder("llama-tiny"),
        folder("llama-tiny-untied"),
        folder("bert-tiny-encoder"),
        folder("mpnet-tiny-encoder"),
        folder("qwen3-tiny"),
        folder("phi3-tiny"),
        folder("olmo2-tiny"),
        folder("gpt-neox-tiny"),
        folder("gemma3-tiny"),
        folder("roberta-tiny-classifier"),
        folder("xlm-roberta-tiny-encoder"),
        folder("distilbert-tiny-classifier"),
        folder("electra-tiny-classifier"),
        folder("deberta-v2-tiny-classifier"),
        folder("deberta-v2-tiny-encoder"),
        folder("modernbert-tiny-encoder"),
    ];
    let sequences = Expected::of("gpt2-tiny").sequences();
    let devices = Device::all_under_test();
    for (folder, device) in folders.iter().flat_map(|folder| {
        let devices = devices.iter();
        devices.map(move |device| (folder, *device))
    }) {
        let model = classifier_from(folder, &labels(), 7, device).unwrap();
        let saved = tempfile::tempdir().unwrap();
        model.save(saved.path(), weights::StoredAs::F32).unwrap();
        let loaded = load_classifier(saved.path(), device).unwrap();
        assert_eq!(loaded.labels(), labels());
        let logits = model.logits(&slices(&sequences)).unwrap().on(Device::Cpu);
        assert_eq!(
            logits.to_vec(),
            loaded.logits(&slices(&sequences)).unwrap().to_vec()
        );
        check_gradient(model, &sequences, &[0, 2, 1, 1]);
    }
}

#[test]
fn a_language_model_survives_saving_and_growing() {
    for name in CAUSAL {
        let mut model = load_causal(folder(name), Device::Cpu).unwrap();
        let sequences = Expected::of(name).sequences();
        let before = model.logits(&slices(&sequences)).unwrap();
        model.resize_vocabulary(99).unwrap();
        let saved = tempfile::tempdir().unwrap();
        model.save(saved.path(), weights::StoredAs::F32).unwrap();
        let loaded = load_causal(saved.path(), Device::Cpu).unwrap();
        assert_eq!(loaded.config().vocabulary(), 99);
        let after = loaded.logits(&slices(&sequences)).unwrap();
        for (before, after) in before.host().chunks(97).zip(after.host().chunks(99)) {
            close(
                &after[..97],
                &before.iter().map(|x| f64::from(*x)).collect::<Vec<_>>(),
                1e-5,
            );
            // A new row is the mean of the rows, so its logit is the mean of the logits.
            let mean: f32 = before.iter().sum::<f32>() / 97.0;
            close(&after[97..], &[f64::from(mean); 2], 1e-4);
        }
    }
}

#[test]
fn the_wrong_kind_of_model_is_refused() {
    let error = load_causal(folder("bert-tiny-encoder"), Device::Cpu)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`bert`") && error.contains("`gpt2`"),
        "{error}"
    );
    let error = load_classifier(folder("bert-tiny-encoder"), Device::Cpu)
        .unwrap_err()
        .to_string();
    assert!(error.contains("ForSequenceClassification"), "{error}");
    let model = load_encoder(folder("bert-tiny-encoder"), Device::Cpu).unwrap();
    assert!(model.mean_pooled(&[&[]]).is_err());
    assert!(model.mean_pooled(&[&[97]]).is_err());
}
