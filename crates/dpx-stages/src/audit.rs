//! `audit`: how much the trained model gives away of its canaries, as a lower bound of epsilon.
//!
//! Each canary was planted by a fair coin. Its score is the log-likelihood that training gave it: its loss under the public
//! model less its loss under the trained one. The surest canaries are guessed; [`dpx_accounting::audit`] turns the number of
//! right guesses into a bound. Everything here is internal: it is computed from the secret coins.

#[cfg(test)]
mod tests;

use super::losses::{Given, MAX_SEQ_LEN, text_losses};
use super::train::{CANARIES_FILE, Canary};
use dpx_accounting::audit::{guess, one_run};
use dpx_nn::model::{CausalModel, load_causal};
use dpx_nn::text::Tokenizer;
use dpx_schema::Device;
use dpx_schema::params::{AuditParams, Delta};
use dpx_schema::{INTERNAL_FOLDER, MODEL_SCHEMA_FILE, PrivacyRecord, PublicSchema};
use dpx_schema::{Kind, StageContext, StageError};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file that the stage writes.
pub const AUDIT_FILE: &str = "audit.json";
/// Most tokens (padding included) computed at once.
const MICRO_BATCH_TOKENS: usize = 8192;

/// The content of `audit.json`: what auditing one training run found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct AuditReport {
    /// Epsilon is not below this, at `confidence`.
    pub epsilon_lower: f64,
    /// The bound that all guesses being right would have given.
    pub largest_possible: f64,
    /// The certified upper bound; none for a model without a guarantee.
    pub epsilon_certified: Option<f64>,
    /// The failure probability at which both are meant.
    pub delta: f64,
    /// One minus the probability that the lower bound is wrong.
    pub confidence: f64,
    /// Canaries drawn, planted or not.
    pub canaries: u64,
    /// How many canaries were guessed to be planted or not; of the others nothing was said.
    pub guesses: u64,
    /// How many of the guesses were right.
    pub right: u64,
    pub score: CanaryScore,
    /// Whether the lower bound is not above the certified one.
    pub consistent: bool,
}

/// By what canaries are ordered: the higher, the rather they are guessed to be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CanaryScore {
    /// Loss under the public model less that under the trained one.
    LossDifference,
    /// Minus the loss under the trained model: not every canary has a loss under the public one.
    Loss,
}

/// Runs the stage.
///
/// # Errors
/// When the artifact of `train` has no canaries, cannot be read, or gives losses that are no numbers.
pub(super) fn run(context: &StageContext<'_>) -> Result<(), StageError> {
    let params: AuditParams = context.params()?;
    let folder = &context.require(Kind::Train)?.path;
    let record = PrivacyRecord::load(folder)?;
    let model = folder.join("model");
    let schema = PublicSchema::load(model.join(MODEL_SCHEMA_FILE))?;
    let canaries = canaries(&folder.join(INTERNAL_FOLDER).join(CANARIES_FILE), &record)?;
    let (scores, score) = scores(&model, context.device, &schema, &canaries)?;
    let included: Vec<bool> = canaries.iter().map(|canary| canary.included).collect();
    let count = canaries.len() as u64;
    let wanted = (params.guesses * count as f64).round() as u64;
    let (guesses, right) = guess(&scores, &included, wanted);
    let delta = match &record {
        PrivacyRecord::Private(run) => run.delta,
        _ => Delta::Auto.resolve(schema.examples + count),
    };
    let certified = match &record {
        PrivacyRecord::Private(run) => Some(run.claim()?.epsilon().value()),
        PrivacyRecord::Public { .. } | PrivacyRecord::Untouched(_) => Some(0.0),
        PrivacyRecord::NotPrivate => None,
    };
    let bound = one_run(count, guesses, right, delta, params.confidence);
    let found = AuditReport {
        epsilon_lower: bound.epsilon_lower,
        largest_possible: bound.largest_possible,
        epsilon_certified: certified,
        delta,
        confidence: params.confidence,
        canaries: count,
        guesses,
        right,
        score,
        consistent: certified.is_none_or(|certified| bound.epsilon_lower <= certified),
    };
    if !found.consistent {
        context.progress.log(
            "the audited lower bound of epsilon is above the certified upper bound: one of the two is wrong, release nothing",
        );
    }
    let text = serde_json::to_string_pretty(&found)?;
    Ok(std::fs::write(
        context.output_path(AUDIT_FILE),
        text + "\n",
    )?)
}

/// The canaries; none where nothing was learnt, since nothing was planted either.
fn canaries(path: &Path, record: &PrivacyRecord) -> Result<Vec<Canary>, StageError> {
    match std::fs::read(path) {
        // No message quotes what the file holds.
        Ok(text) => serde_json::from_slice(&text)
            .map_err(|_| StageError::new("canaries.json: expected a list of canaries")),
        Err(_) if matches!(record, PrivacyRecord::Untouched(_)) => Ok(Vec::new()),
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
) -> Result<(Vec<f64>, CanaryScore), StageError> {
    let network = load_causal(model, device)?;
    let tokenizer = Tokenizer::load(model)?;
    let texts: Vec<(&str, &str)> = canaries
        .iter()
        .map(|canary| (canary.label.as_str(), canary.text.as_str()))
        .collect();
    let prompt = schema.parsed_prompt()?;
    let max_seq_len = network.context().min(MAX_SEQ_LEN);
    let losses = text_losses(
        &network,
        &tokenizer,
        Given {
            prompt: Some(&prompt),
            template: None,
        },
        max_seq_len,
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
                CanaryScore::LossDifference,
            )
        }
        None => (
            losses.iter().map(|loss| -loss.nats).collect(),
            CanaryScore::Loss,
        ),
    })
}
