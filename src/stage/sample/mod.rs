//! `sample`: synthetic texts from a model.
//!
//! The stage sees the model's folder alone: the public schema in it says which labels there are and how a prompt looks. A
//! text depends on the seed, its label, its number among the texts of the label and its attempt, never on the batch in
//! which it was written. Noisy counts and a private teacher among the needs have been paid for: what is drawn from the one
//! and chosen by the other is post-processing.

mod counts;
mod keywords;
mod match_words;
mod report;
mod teacher;
mod write;

use super::counts::NoisyCounts;
use super::params::{KeywordSource, SampleParams, SamplePerformance, TeacherPolicy};
use super::{Kind, StageContext, StageError};
use crate::model::{CausalLm, CausalModel, load_causal};
use crate::text::{MODEL_SCHEMA_FILE, Prompt, PublicSchema, Tokenizer};
use keywords::Keywords;
use match_words::Matching;
use report::Asked;
use teacher::Chooser;
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
    let generator = Generator::load(context)?;
    let labels = &generator.schema.labels;
    let (private, words) = released_counts(context, &params)?;
    let keywords = match (&private, params.keywords) {
        (_, KeywordSource::None) => Keywords::none(),
        (_, KeywordSource::Public) => Keywords::public(labels)?,
        (Some(private), KeywordSource::Private) => Keywords::of(private, labels)?,
        (None, KeywordSource::Private) => {
            return Err(StageError::new(
                "`keywords = \"private\"` needs the noisy keywords of a `counts` stage: add one to `needs`",
            ));
        }
    };
    let counts = counts::by_label(&params.labels, params.count, labels, private.as_ref())?;
    let chooser = Chooser::load(context, &params, labels)?;
    let asked = Asked {
        params: &params,
        labels,
        counts: &counts,
        keywords: &keywords,
    };
    let choosing = chooser
        .as_ref()
        .filter(|chooser| chooser.policy != TeacherPolicy::None);
    // Without anybody to choose among them, more texts would be thrown away unseen.
    let oversample = choosing.map_or(1.0, |_| params.oversample);
    let more: Vec<u64> = counts
        .iter()
        .map(|count| (*count as f64 * oversample).ceil() as u64)
        .collect();
    let mut writer = Writer::new(
        &generator,
        &keywords,
        &params,
        context,
        performance.generation_batch,
    );
    if let Some(words) = &words
        && let Some(mut matching) = Matching::new(words, &generator)?
    {
        matching.run(&mut writer)?;
    }
    let mut written = writer.write(&more)?;
    let choice = choosing
        .map(|chooser| {
            let texts = std::mem::take(&mut written.texts);
            chooser.choose(texts, &counts)
        })
        .transpose()?;
    let told = chooser
        .as_ref()
        .map(|chooser| report::of_teacher(&asked, chooser, choice.as_ref()));
    if let Some(choice) = choice {
        written.texts = choice.texts;
    }
    if written.texts.is_empty() {
        return Err(StageError::new(
            "the teacher agrees with the generator on no text: raise `oversample`, or set `teacher = \"relabel\"`",
        ));
    }
    let asked_for: u64 = counts.iter().sum();
    if (written.texts.len() as u64) < asked_for {
        context.progress.log(&format!(
            "{} of the {asked_for} texts asked for are left: `sample.json` says where the others went",
            written.texts.len()
        ));
    }
    report::save(context, &asked, &written, told.as_ref())
}

/// The noisy counts that labels and keywords are drawn from, and those whose words are matched: where there are no others,
/// the same.
fn released_counts(
    context: &StageContext<'_>,
    params: &SampleParams,
) -> Result<(Option<NoisyCounts>, Option<NoisyCounts>), StageError> {
    let (mut drawn, mut matched) = (None, None);
    for (stage, input) in &context.inputs {
        if input.kind == Kind::Counts {
            let counts = super::counts::load(&input.path)?;
            if *stage == params.match_words {
                matched = Some(counts);
            } else {
                drawn = drawn.or(Some(counts));
            }
        }
    }
    if matched.is_none() && !params.match_words.is_empty() {
        return Err(StageError::new(format!(
            "`match_words = \"{}\"` names no `counts` stage among the needs: add it",
            params.match_words
        )));
    }
    Ok((drawn.or_else(|| matched.clone()), matched))
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
        let model = load_causal(&folder, context.device).map_err(|error| failed(&error))?;
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
