//! `sample`: synthetic texts from a model.
//!
//! The stage sees the model's folder alone: the public schema in it says which labels there are and how a prompt looks. A
//! text depends on the seed, its label, its number among the texts of the label and its attempt, never on the batch in
//! which it was written.

mod counts;
mod report;
mod write;

use super::params::{LabelCounts, SampleParams, SamplePerformance, TeacherPolicy};
use super::{Kind, StageContext, StageError};
use crate::model::{CausalLm, CausalModel, load_causal};
use crate::text::{MODEL_SCHEMA_FILE, Prompt, PublicSchema, Tokenizer};
use write::Writer;

/// A generator with all that it may know.
struct Generator {
    model: CausalLm,
    tokenizer: Tokenizer,
    schema: PublicSchema,
    prompt: Prompt,
}

/// Writes `synthetic.csv` (text, label) and `sample.json` (what was asked, written, retried, dropped).
///
/// # Errors
/// When the model cannot be read, declares no labels, or a parameter asks for what is not there.
pub(super) fn run(context: &StageContext<'_>) -> Result<(), StageError> {
    let params: SampleParams = context.params()?;
    let performance: SamplePerformance = context.performance()?;
    check(context, &params)?;
    let generator = Generator::load(context)?;
    let counts = counts::by_label(&params.labels, params.count, &generator.schema.labels)?;
    let mut writer = Writer::new(&generator, &params, context, performance.generation_batch);
    let written = writer.write(&counts)?;
    report::save(
        context,
        &params,
        &generator.schema.labels,
        &counts,
        &written,
    )
}

/// Refuses what this stage cannot do with what it is given.
fn check(context: &StageContext<'_>, params: &SampleParams) -> Result<(), StageError> {
    let lacks = |kind: Kind| context.input_of(kind).is_none();
    let refuse = |message: &str| Err(StageError::new(message));
    if params.keywords {
        return refuse(
            "`keywords = true` needs the noisy keywords of a `counts` stage, which `sample` cannot read yet: leave it out",
        );
    }
    if params.labels == LabelCounts::Private {
        return refuse(
            "`labels = \"private\"` needs the noisy counts of a `counts` stage, which `sample` cannot read yet: use `uniform` or a table",
        );
    }
    let teacher = match params.teacher {
        TeacherPolicy::None => false,
        TeacherPolicy::Auto => !lacks(Kind::Teacher),
        TeacherPolicy::Relabel | TeacherPolicy::Agree => true,
    };
    if teacher {
        return refuse(
            "a teacher cannot choose among the texts yet: set `teacher = \"none\"` or take the `teacher` stage out of `needs`",
        );
    }
    if params.oversample > 1.0 {
        return refuse(
            "`oversample` writes more texts for a teacher to choose from, but there is none: leave it at 1",
        );
    }
    Ok(())
}

impl Generator {
    fn load(context: &StageContext<'_>) -> Result<Self, StageError> {
        let input = match context.input_of(Kind::Train) {
            Some((_, input)) => input,
            None => context.require(Kind::Pretrain)?,
        };
        let folder = input.path.join("model");
        let failed = |error: &dyn std::fmt::Display| StageError::new(error.to_string());
        let schema =
            PublicSchema::load(folder.join(MODEL_SCHEMA_FILE)).map_err(|error| failed(&error))?;
        if schema.labels.is_empty() {
            return Err(StageError::new(
                "the model's `dpx_schema.json` declares no labels, so that there is nothing to ask it for: train it on labelled texts",
            ));
        }
        let prompt = schema.parsed_prompt().map_err(|error| failed(&error))?;
        let tokenizer = Tokenizer::load(&folder).map_err(|error| failed(&error))?;
        let model = load_causal(&folder).map_err(|error| failed(&error))?;
        if tokenizer.vocabulary_size() > model.vocabulary() {
            return Err(StageError::new(format!(
                "the tokenizer has {} tokens, the model embeds {}: they do not belong together",
                tokenizer.vocabulary_size(),
                model.vocabulary()
            )));
        }
        Ok(Self {
            model,
            tokenizer,
            schema,
            prompt,
        })
    }

    /// Tokens that end a text.
    fn end_tokens(&self) -> Vec<u32> {
        let mut tokens = self.model.config().end_tokens.clone();
        tokens.extend(self.tokenizer.end());
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }

    /// Tokens that no text holds: roles other than the end, labels' own tokens, and rows of the embedding without a token.
    fn suppressed_tokens(&self) -> Vec<u32> {
        let ends = self.end_tokens();
        let special = self.tokenizer.special();
        let roles = [
            special.bos,
            special.pad,
            special.unk,
            special.cls,
            special.sep,
            special.mask,
        ];
        let labels = self.prompt.special_tokens(&self.schema.labels);
        let labels = labels.iter().filter_map(|label| self.tokenizer.id(label));
        let nameless = self.tokenizer.vocabulary_size() as u32..self.model.vocabulary() as u32;
        let mut tokens: Vec<u32> = roles
            .into_iter()
            .flatten()
            .chain(labels)
            .chain(nameless)
            .filter(|token| !ends.contains(token))
            .collect();
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }
}

#[cfg(test)]
mod tests;
