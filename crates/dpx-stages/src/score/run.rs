//! The stage: reads the artifacts, computes, writes `scores.json`.

use super::compute::{Models, Surprise, Texts, compute};
use super::models::LanguageModel;
use super::{SCORES_FILE, read};
use crate::metric::planted::Planted;
use crate::model_source::ModelSource;
use crate::text_encoder::TextEncoder;
use dpx_schema::PublicSchema;
use dpx_schema::params::{ScoreParams, ScorePerformance};
use dpx_schema::{Kind, StageContext, StageError};
use std::path::Path;

/// Runs the stage.
///
/// # Errors
/// When an artifact cannot be read or a model fails.
pub fn run(context: &StageContext<'_>) -> Result<(), StageError> {
    let params: ScoreParams = context.params()?;
    let performance: ScorePerformance = context.performance()?;
    let most = performance.micro_batch_tokens as usize;
    let source = ModelSource::find(&params.encoder)?;
    let encoder = TextEncoder::load(source.path(), context.device, most)?;
    let (mut trained, mut base) = (None, None);
    if params.perplexity {
        if let Some((_, input)) = context.input_of(Kind::Train) {
            let schema = schema(&context.require(Kind::Preprocess)?.path)?;
            trained = Some(LanguageModel::load(
                &input.path.join("model"),
                Some(&schema),
                context.device,
                most,
            )?);
        }
        base = base_model(context, &params.base, source.path(), most)?;
    }
    let models = Models {
        embedder: Some(&encoder),
        trained: trained.as_ref().map(|model| model as &dyn Surprise),
        base: base.as_ref().map(|model| model as &dyn Surprise),
    };
    with_models(context, &params, &models)
}

/// The public model that fluency is measured with: the one that `train` started from; where no `train` is known, the encoder
/// if it is a language model, else `builtin:base`.
fn base_model(
    context: &StageContext<'_>,
    name: &str,
    encoder: &Path,
    most: usize,
) -> Result<Option<LanguageModel>, StageError> {
    if name.is_empty() {
        return LanguageModel::base(encoder, context.device, most);
    }
    let made;
    let found;
    let folder = if let Some(stage) = name.strip_prefix("stage:") {
        let input = context.inputs.get(stage).ok_or_else(|| {
            StageError::new(format!("`{}` has no input `{stage}`", context.instance))
        })?;
        made = input.path.join("model");
        &made
    } else {
        found = ModelSource::find(name)?;
        found.path()
    };
    LanguageModel::load(folder, None, context.device, most).map(Some)
}

fn schema(data: &Path) -> Result<PublicSchema, StageError> {
    Ok(PublicSchema::load(data.join("schema.json"))?)
}

/// The stage with models at hand.
pub(super) fn with_models(
    context: &StageContext<'_>,
    params: &ScoreParams,
    models: &Models<'_>,
) -> Result<(), StageError> {
    let data = &context.require(Kind::Preprocess)?.path;
    let sample = &context.require(Kind::Sample)?.path;
    let labels = schema(data)?.labels;
    let texts = Texts {
        synthetic: read::synthetic(&sample.join("synthetic.csv"), &labels)?,
        training: read::split(&data.join("train.jsonl"), &labels)?,
        held_out: read::split(&data.join("test.jsonl"), &labels)?,
        planted: planted(&data.join("planted.json"))?,
        labels,
    };
    let scores = compute(&texts, params, context.seed, models, context.progress)?;
    let mut json = serde_json::to_vec_pretty(&scores)
        .map_err(|error| StageError::new(format!("could not write `{SCORES_FILE}`: {error}")))?;
    json.push(b'\n');
    std::fs::write(context.output_path(SCORES_FILE), json)?;
    Ok(())
}

/// The pieces of personal data known to have stood in the training texts: pairs of kind and piece.
fn planted(path: &Path) -> Result<Vec<Planted>, StageError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let pairs: Vec<(String, String)> = serde_json::from_slice(&std::fs::read(path)?)
        .map_err(|_| StageError::new("planted.json: expected a list of pairs of kind and piece"))?;
    Ok(pairs
        .into_iter()
        .map(|(kind, value)| Planted { kind, value })
        .collect())
}
