//! Which texts the classifier learns from.

use crate::score::read::{self, LabelledTexts};
use dpx_schema::params::ClassifyParams;
use dpx_schema::{Kind, StageContext, StageError};

/// The texts of `train_on`; left out, those of the `sample` stage if there is one, else the real training texts.
pub(super) fn training_texts(
    context: &StageContext<'_>,
    params: &ClassifyParams,
    labels: &[String],
) -> Result<LabelledTexts, StageError> {
    let input = match &params.train_on {
        Some(name) => context.inputs.get(name).ok_or_else(|| {
            let known: Vec<&str> = context.inputs.keys().map(String::as_str).collect();
            StageError::new(format!(
                "`train_on` is `{name}`, which is none of the needs: `{}`",
                known.join("`, `")
            ))
        })?,
        None => match context.input_of(Kind::Sample) {
            Some((_, input)) => input,
            None => context.require(Kind::Preprocess)?,
        },
    };
    let mut texts = match input.kind {
        Kind::Sample => read::synthetic(&input.path.join("synthetic.csv"), labels)?,
        Kind::Preprocess => read::split(&input.path.join("train.jsonl"), labels)?,
        other => {
            return Err(StageError::new(format!(
                "`train_on` names a stage of kind `{other}`, which holds no texts: expected `sample` or `preprocess`"
            )));
        }
    };
    if !params.soft_labels {
        texts.probabilities = None;
    }
    if texts.is_empty() {
        return Err(StageError::new("there is no text to train on"));
    }
    Ok(texts)
}
