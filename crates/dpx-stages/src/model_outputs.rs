//! What a model computes, named and shaped as other implementations' figures are kept in tests/fixtures.

use dpx_nn::model::generate::greedy;
use dpx_nn::model::{
    CausalModel, Head, MODULES_FILE, ModelConfig, ModelError, load_causal, load_classifier,
    load_encoder,
};
use dpx_nn::{Array, Batch, Network, Sequence, Tape};
use dpx_schema::Device;
use dpx_sgd::clip::{Clipping, clipped_sum};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Token sequences without padding, with a class each where they are given.
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Inputs {
    pub sequences: Vec<Vec<u32>>,
    pub labels: Option<Vec<u32>>,
}

/// Runs the model of a folder by its kind.
///
/// # Errors
/// A sequence without tokens, or a model that cannot be loaded or run.
pub fn model_outputs(
    folder: &Path,
    config: &ModelConfig,
    inputs: &Inputs,
) -> Result<Map<String, Value>, ModelError> {
    if let Some(row) = inputs.sequences.iter().position(Vec::is_empty) {
        return Err(ModelError::Input(format!(
            "row {row} has no token: give at least one"
        )));
    }
    let results = match config.head {
        Head::CausalLm => causal(folder, inputs)?,
        Head::SequenceClassification => classifier(folder, inputs)?,
        Head::TokenClassification => token_classifier(folder, inputs)?,
        Head::Encoder => encoder(folder, inputs)?,
    };
    let Value::Object(mut results) = results else {
        return Ok(Map::new());
    };
    // A language model that sentence-transformers makes an encoder of.
    if config.head == Head::CausalLm
        && folder.join(MODULES_FILE).is_file()
        && let Value::Object(encoded) = encoder(folder, inputs)?
    {
        results.extend(encoded);
    }
    Ok(results)
}

fn slices(inputs: &Inputs) -> Vec<&[u32]> {
    inputs.sequences.iter().map(Vec::as_slice).collect()
}

/// Six decimals, as the kept figures have them.
fn rounded(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let round = |value: f64| (value * 1e6).round() / 1e6;
    values.into_iter().map(round).collect()
}

fn row(array: &Array, row: usize) -> Vec<f64> {
    let width = array.width();
    let values = &array.host()[row * width..(row + 1) * width];
    rounded(values.iter().copied().map(f64::from))
}

fn rows(array: &Array) -> Vec<Vec<f64>> {
    (0..array.rows()).map(|index| row(array, index)).collect()
}

/// Norm of each example's gradient, by the engine that clips private training.
fn gradient_norms(network: &dyn Network, tape: Tape) -> Result<Vec<f64>, ModelError> {
    let sum = clipped_sum(
        network.parameters(),
        tape,
        Clipping::Flat,
        f64::from(f32::MAX),
    )
    .map_err(|error| ModelError::Input(error.to_string()))?;
    Ok(rounded(sum.norms))
}

fn causal(folder: &Path, inputs: &Inputs) -> Result<Value, ModelError> {
    let model = load_causal(folder, Device::Cpu)?;
    let logits = model.logits(&slices(inputs))?;
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let mut start = 0;
    for ids in &inputs.sequences {
        first.push(row(&logits, start));
        start += ids.len();
        last.push(row(&logits, start - 1));
    }
    drop(logits);
    let sequences: Vec<Sequence<'_>> = inputs
        .sequences
        .iter()
        .map(|ids| Sequence::whole(ids))
        .collect();
    let tape = model.forward_backward(&Batch::causal(&sequences))?;
    let losses = rounded(tape.losses.iter().copied());
    let norms = gradient_norms(&model, tape)?;
    let greedy = greedy(&model, &inputs.sequences, 12, 16)?;
    Ok(json!({
        "logits_last": last,
        "logits_first": first,
        "loss_mean_per_token": losses,
        "grad_norm_of_mean_loss": norms,
        "greedy_12": greedy,
    }))
}

fn classifier(folder: &Path, inputs: &Inputs) -> Result<Value, ModelError> {
    let model = load_classifier(folder, Device::Cpu)?;
    let logits = model.logits(&slices(inputs))?;
    let mut results = json!({
        "logits": rows(&logits),
        "argmax": (0..logits.rows()).map(|index| argmax(&logits, index)).collect::<Vec<_>>(),
    });
    if let Some(labels) = &inputs.labels {
        let batch = Batch::classification(&slices(inputs), labels);
        let tape = model.forward_backward(&batch)?;
        results["loss"] = json!(rounded(tape.losses.iter().copied()));
        results["grad_norm"] = json!(gradient_norms(&model, tape)?);
    }
    Ok(results)
}

fn token_classifier(folder: &Path, inputs: &Inputs) -> Result<Value, ModelError> {
    let logits = load_classifier(folder, Device::Cpu)?.logits(&slices(inputs))?;
    let (mut first, mut classes) = (Vec::new(), Vec::new());
    let mut start = 0;
    for ids in &inputs.sequences {
        first.push(row(&logits, start));
        let end = start + ids.len();
        classes.push(
            (start..end)
                .map(|index| argmax(&logits, index))
                .collect::<Vec<_>>(),
        );
        start = end;
    }
    Ok(json!({"argmax": classes, "logits_first": first}))
}

fn argmax(logits: &Array, row: usize) -> usize {
    let width = logits.width();
    let values = &logits.host()[row * width..(row + 1) * width];
    let mut best = 0;
    for (class, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = class;
        }
    }
    best
}

fn encoder(folder: &Path, inputs: &Inputs) -> Result<Value, ModelError> {
    /// Changes speed alone.
    const TOKENS_AT_ONCE: usize = 8192;
    let model = load_encoder(folder, Device::Cpu)?;
    let embeddings = model.embed(&inputs.sequences, TOKENS_AT_ONCE)?;
    let embeddings = embeddings
        .into_iter()
        .map(|row| rounded(row.into_iter().map(f64::from)));
    let mut results = json!({
        "modules": model.modules(),
        "prompt": model.prompt(),
        "embedding": embeddings.collect::<Vec<_>>(),
    });
    // A table of static embeddings has no hidden states.
    if model.reads_plain_tokens() {
        return Ok(results);
    }
    let pooled = rows(&model.mean_pooled(&slices(inputs))?);
    let normalized: Vec<Vec<f64>> = pooled
        .iter()
        .map(|row| {
            let norm = row.iter().map(|value| value * value).sum::<f64>().sqrt();
            rounded(row.iter().map(|value| value / norm.max(1e-12)))
        })
        .collect();
    let (hidden, grouping) = model.hidden(&slices(inputs))?;
    let first: Vec<Vec<f64>> = (0..grouping.batch())
        .map(|example| row(&hidden, grouping.range(example).start))
        .collect();
    results["mean_pooled"] = json!(pooled);
    results["mean_pooled_normalised"] = json!(normalized);
    results["cls"] = json!(first);
    Ok(results)
}
