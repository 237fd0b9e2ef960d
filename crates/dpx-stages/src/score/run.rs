//! The stage: reads the artifacts, computes, writes `scores.json`.

use super::compute::{LmScorer, Models, Texts, compared, compute};
use super::models::LanguageModel;
use super::read::LabelledTexts;
use super::scores::Compared;
use super::student::held_out_perplexity;
use super::{SCORES_FILE, conversations, read};
use crate::losses::{MAX_CONVERSATION, MAX_SEQ_LEN};
use crate::metric::choose::choose;
use crate::metric::perplexity::Perplexity;
use crate::metric::planted::Planted;
use crate::model_source::ModelSource;
use crate::preprocess::FACTS_FILE;
use crate::text_encoder::TextEncoder;
use dpx_data::Fact;
use dpx_schema::params::{ScoreParams, ScorePerformance};
use dpx_schema::{Context, Kind, StageContext, StageError};
use dpx_schema::{MODEL_SCHEMA_FILE, PublicSchema};
use std::path::Path;

/// Runs the stage.
///
/// # Errors
/// When an artifact cannot be read or a model fails.
pub fn run(context: &StageContext<'_>) -> Result<(), StageError> {
    let params: ScoreParams = context.params()?;
    let performance: ScorePerformance = context.performance()?;
    let most = performance.micro_batch_tokens as usize;
    let declared = schema(&context.require(Kind::Preprocess)?.path)?;
    let longest = if declared.conversations {
        MAX_CONVERSATION
    } else {
        MAX_SEQ_LEN
    };
    let source = ModelSource::find(&params.encoder)?;
    let encoder = TextEncoder::load(source.path(), context.device, most)?;
    let (mut trained, mut base) = (None, None);
    if params.perplexity {
        if let Some((_, input)) = context.input_of(Kind::Train) {
            let folder = input.path.join("model");
            let own = PublicSchema::load(folder.join(MODEL_SCHEMA_FILE))?;
            let schema = PublicSchema {
                chat_template: own.chat_template,
                ..declared.clone()
            };
            trained = Some(LanguageModel::load(
                &folder,
                Some(&schema),
                context.device,
                most,
                longest,
            )?);
        }
        base = base_model(context, &params.base, source.path(), (most, longest))?;
    }
    let fresh = || base_model(context, &params.base, source.path(), (most, longest));
    let student = Student {
        epochs: params.student_epochs,
        fresh: &fresh,
    };
    let models = Models {
        embedder: Some(&encoder),
        trained: trained.as_ref().map(|model| model as &dyn LmScorer),
        base: base.as_ref().map(|model| model as &dyn LmScorer),
    };
    with_models(context, &params, &models, Some(&student))
}

/// A language model that learns from texts.
pub(super) struct Student<'a> {
    epochs: f64,
    /// The public model as it is.
    fresh: &'a dyn Fn() -> Result<Option<LanguageModel>, StageError>,
}

impl Student<'_> {
    /// The perplexity of held-out texts after learning from the synthetic ones; the ceiling after as many real ones.
    fn figures(
        &self,
        context: &StageContext<'_>,
        params: &ScoreParams,
        texts: &Texts,
    ) -> Result<Option<Compared<Perplexity>>, StageError> {
        if self.epochs == 0.0 {
            return Ok(None);
        }
        let most = params.max_texts as usize;
        let pick = |set: &LabelledTexts, most: usize, purpose: &str| {
            set.select(&choose(set.len(), most, context.seed, purpose))
        };
        let synthetic = pick(&texts.synthetic, most, "student synthetic");
        let real = pick(&texts.training, synthetic.len(), "student real");
        let held_out = pick(&texts.held_out, most, "held out");
        let pairs: Vec<(&str, &str)> = held_out
            .texts
            .iter()
            .map(|text| ("", text.as_str()))
            .collect();
        let learns = |set: &LabelledTexts| {
            let Some(model) = (self.fresh)()? else {
                return Ok(None);
            };
            held_out_perplexity(
                model,
                &set.texts,
                &pairs,
                self.epochs,
                context.seed,
                context.progress,
            )
        };
        context
            .progress
            .log("trains the public model on synthetic, then on real texts");
        let synthetic = learns(&synthetic)?;
        Ok(compared(synthetic, learns(&real)?))
    }
}

/// The public model that fluency is measured with: the one that `train` started from; where no `train` is known, the encoder
/// if it is a language model, else `builtin:base`.
fn base_model(
    context: &StageContext<'_>,
    name: &str,
    encoder: &Path,
    (most, longest): (usize, usize),
) -> Result<Option<LanguageModel>, StageError> {
    if name.is_empty() {
        return LanguageModel::base(encoder, context.device, most, longest);
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
    LanguageModel::load(folder, None, context.device, most, longest).map(Some)
}

fn schema(data: &Path) -> Result<PublicSchema, StageError> {
    Ok(PublicSchema::load(data.join("schema.json"))?)
}

/// The stage with models at hand.
pub(super) fn with_models(
    context: &StageContext<'_>,
    params: &ScoreParams,
    models: &Models<'_>,
    student: Option<&Student<'_>>,
) -> Result<(), StageError> {
    let data = &context.require(Kind::Preprocess)?.path;
    let sample = &context.require(Kind::Sample)?.path;
    let declared = schema(data)?;
    let labels = declared.labels;
    let texts = Texts {
        synthetic: read::synthetic(&sample.join("synthetic.csv"), &labels)?,
        training: read::split(&data.join("train.jsonl"), &labels)?,
        held_out: read::split(&data.join("test.jsonl"), &labels)?,
        planted: planted(&data.join("planted.json"))?,
        facts: facts(&data.join(FACTS_FILE))?,
        labels,
    };
    let mut scores = compute(&texts, params, context.seed, models, context.progress)?;
    if declared.conversations {
        let sides = [&texts.synthetic, &texts.held_out, &texts.training];
        let found = conversations::compute(sides, params, context.seed, models.embedder)?;
        scores.conversations = Some(found);
    }
    if let Some(student) = student {
        scores.student = student.figures(context, params, &texts)?;
    }
    let mut json = serde_json::to_vec_pretty(&scores)
        .context(format_args!("could not write `{SCORES_FILE}`"))?;
    json.push(b'\n');
    std::fs::write(context.output_path(SCORES_FILE), json)?;
    Ok(())
}

/// The made-up facts that were planted in the training texts.
fn facts(path: &Path) -> Result<Vec<Fact>, StageError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    serde_json::from_slice(&std::fs::read(path)?)
        .map_err(|_| StageError::new(format!("{FACTS_FILE}: expected a list of facts")))
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
