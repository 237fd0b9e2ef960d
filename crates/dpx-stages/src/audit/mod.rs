//! `audit`: how much the trained model gives away of its canaries, as a lower bound of epsilon.
//!
//! Each canary was planted by a fair coin. Its score is the log-likelihood that training gave it: its loss under the public
//! model less its loss under the trained one. The surest canaries are guessed; [`dpx_accounting::audit`] turns the number of
//! right guesses into a bound. Everything here is internal: it is computed from the secret coins.

#[cfg(test)]
mod tests;

use super::losses::{LONGEST, text_losses};
use super::train::Canary;
use dpx_accounting::audit::{guess, one_run};
use dpx_nn::model::{CausalModel, load_causal};
use dpx_nn::text::Tokenizer;
use dpx_schema::Device;
use dpx_schema::params::{AuditParams, Delta};
use dpx_schema::{Kind, StageContext, StageError};
use dpx_schema::{MODEL_SCHEMA_FILE, PublicSchema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// The file that the stage writes.
const AUDIT_FILE: &str = "audit.json";
/// Most tokens (padding included) computed at once.
const MICRO_BATCH_TOKENS: usize = 8192;

/// What `audit.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Found {
    /// Epsilon is not below this, at `confidence`.
    epsilon_lower: f64,
    /// The bound that all guesses being right would have given.
    largest_possible: f64,
    /// The certified upper bound; none for a model without a guarantee.
    epsilon_certified: Option<f64>,
    /// The failure probability at which both are meant.
    delta: f64,
    /// One minus the probability that the lower bound is wrong.
    confidence: f64,
    /// Canaries drawn, planted or not.
    canaries: u64,
    /// Guesses made.
    guesses: u64,
    /// Guesses that were right.
    right: u64,
    /// How canaries were scored.
    score: Score,
    /// Whether the lower bound is not above the certified one.
    consistent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Score {
    /// Loss under the public model less that under the trained one.
    LossDifference,
    /// Minus the loss under the trained model: not every canary has a loss under the public one.
    Loss,
}

/// What the stage needs of a `privacy.json`.
struct Guarantee {
    epsilon: Option<f64>,
    delta: Option<f64>,
}

/// Runs the stage.
///
/// # Errors
/// When the artifact of `train` has no canaries, cannot be read, or gives losses that are no numbers.
pub(super) fn run(context: &StageContext<'_>) -> Result<(), StageError> {
    let params: AuditParams = context.params()?;
    let folder = &context.require(Kind::Train)?.path;
    let guarantee = guarantee(&folder.join("privacy.json"))?;
    let model = folder.join("model");
    let schema = PublicSchema::load(model.join(MODEL_SCHEMA_FILE)).map_err(told)?;
    let canaries = canaries(&folder.join("canaries.json"), &guarantee)?;
    let (scores, score) = scores(&model, context.device, &schema, &canaries)?;
    let included: Vec<bool> = canaries.iter().map(|canary| canary.included).collect();
    let count = canaries.len() as u64;
    let wanted = (params.guesses * count as f64).round() as u64;
    let (guesses, right) = guess(&scores, &included, wanted);
    let delta = guarantee
        .delta
        .unwrap_or_else(|| Delta::Auto.resolve(schema.examples + count));
    let bound = one_run(count, guesses, right, delta, params.confidence);
    let found = Found {
        epsilon_lower: bound.epsilon_lower,
        largest_possible: bound.largest_possible,
        epsilon_certified: guarantee.epsilon,
        delta,
        confidence: params.confidence,
        canaries: count,
        guesses,
        right,
        score,
        consistent: guarantee
            .epsilon
            .is_none_or(|certified| bound.epsilon_lower <= certified),
    };
    if !found.consistent {
        context.progress.log(
            "the audited lower bound of epsilon is above the certified upper bound: one of the two is wrong, release nothing",
        );
    }
    let text = serde_json::to_string_pretty(&found).map_err(told)?;
    Ok(std::fs::write(
        context.output_path(AUDIT_FILE),
        text + "\n",
    )?)
}

fn told(error: impl std::fmt::Display) -> StageError {
    StageError::new(error.to_string())
}

fn guarantee(path: &Path) -> Result<Guarantee, StageError> {
    let unfit = |error: &dyn std::fmt::Display| StageError::new(format!("privacy.json: {error}"));
    let text = std::fs::read(path).map_err(|error| unfit(&error))?;
    let value: Value = serde_json::from_slice(&text).map_err(|error| unfit(&error))?;
    let epsilon = match (&value["epsilon_certified"], &value["epsilon"]) {
        (Value::Number(epsilon), _) | (_, Value::Number(epsilon)) => epsilon.as_f64(),
        _ => None,
    };
    Ok(Guarantee {
        epsilon,
        delta: value["delta"]
            .as_f64()
            .or_else(|| value["audit_delta"].as_f64()),
    })
}

/// The canaries; none where nothing was learnt, since nothing was planted either.
fn canaries(path: &Path, guarantee: &Guarantee) -> Result<Vec<Canary>, StageError> {
    match std::fs::read(path) {
        // No message quotes what the file holds.
        Ok(text) => serde_json::from_slice(&text)
            .map_err(|_| StageError::new("canaries.json: expected a list of canaries")),
        Err(_) if guarantee.epsilon == Some(0.0) => Ok(Vec::new()),
        Err(error) => Err(StageError::new(format!(
            "there are no canaries to look for ({error}): add `canaries = 1000` to the `train` stage"
        ))),
    }
}

/// How much likelier than chance each canary is to have been planted: the higher, the likelier.
fn scores(
    model: &Path,
    device: Device,
    schema: &PublicSchema,
    canaries: &[Canary],
) -> Result<(Vec<f64>, Score), StageError> {
    let network = load_causal(model, device).map_err(told)?;
    let tokenizer = Tokenizer::load(model).map_err(told)?;
    let texts: Vec<(&str, &str)> = canaries
        .iter()
        .map(|canary| (canary.label.as_str(), canary.text.as_str()))
        .collect();
    let prompt = schema.parsed_prompt().map_err(told)?;
    let longest = network.context().min(LONGEST);
    let losses = text_losses(
        &network,
        &tokenizer,
        Some(&prompt),
        longest,
        MICRO_BATCH_TOKENS,
        &texts,
    )?;
    if losses.iter().any(|loss| loss.nats.is_nan()) {
        return Err(StageError::new(
            "the trained model gives losses that are no numbers: it diverged, and nothing can be audited",
        ));
    }
    let base: Option<Vec<f64>> = canaries.iter().map(|canary| canary.base_loss).collect();
    Ok(match base {
        Some(base) => {
            let pairs = base.iter().zip(&losses);
            (
                pairs.map(|(base, loss)| base - loss.nats).collect(),
                Score::LossDifference,
            )
        }
        None => (losses.iter().map(|loss| -loss.nats).collect(), Score::Loss),
    })
}
