//! `sample`: synthetic texts from a model, or from released counts alone.
//!
//! The stage sees the model's folder alone: the public schema in it says which labels there are and how a prompt looks. A
//! text depends on the seed, its label, its number among the texts of the label and its attempt, never on the batch in
//! which it was written. Noisy counts and a private teacher among the needs have been paid for: what is drawn from the one
//! and chosen by the other is post-processing. Where there are counts and no model, the texts are bags of words.

mod bags;
mod conversation;
mod counts;
mod generator;
mod keywords;
mod match_words;
mod prompted;
mod relabel;
mod report;
mod systematic;
mod teacher;
mod voted;
mod write;

use super::counts::NoisyCounts;
use bags::Bags;
use dpx_schema::params::{KeywordSource, SampleParams, SamplePerformance};
use dpx_schema::{Kind, StageContext, StageError};
use generator::Generator;
pub(crate) use generator::end_tokens;
use keywords::Keywords;
use match_words::Matching;
use prompted::Prompted;
use report::{Asked, TextForm};
pub use report::{
    AskedAndWritten, ConversationReport, Handled, MESSAGES_COLUMN, SAMPLE_FILE, SampleReport,
};
use std::collections::HashSet;
use teacher::TeacherFilter;
use voted::Draw;
use write::{Source, Written, write};

/// Where the texts come from.
#[derive(Clone, Copy)]
enum Author<'a> {
    Model(&'a Generator),
    /// No model: bags of words.
    Counts(&'a NoisyCounts),
}

/// Writes `synthetic.csv` (text, label; with soft labels a teacher's probability of each as `p_LABEL`) and `sample.json` (what was asked, written, retried, dropped).
///
/// # Errors
/// When the model cannot be read, declares no labels, or a parameter asks for what is not there.
pub(super) fn run(context: &StageContext<'_>) -> Result<(), StageError> {
    let params: SampleParams = context.params()?;
    if let Some((_, texts)) = context.input_of(Kind::Sample) {
        return relabel::run(context, &params, &texts.path);
    }
    let performance: SamplePerformance = context.performance()?;
    let generator = Generator::load(context, params.precision)?;
    let (private, matched) = released_counts(context, &params)?;
    let author = match (&generator, &private) {
        (Some(generator), _) => Author::Model(generator),
        (None, Some(private)) => Author::Counts(private),
        (None, None) => {
            return Err(StageError::new(format!(
                "`{}` has nothing to draw from: add a stage of kind `train` or `pretrain`, or one of kind `counts`, to its `needs`",
                context.instance
            )));
        }
    };
    let labels = match author {
        Author::Model(generator) => &generator.schema.labels,
        Author::Counts(private) => &private.labels,
    };
    let keywords = match (author, params.keywords) {
        (Author::Counts(_), _) | (_, KeywordSource::None) => Keywords::none(),
        (_, KeywordSource::Public) => Keywords::public(labels)?,
        (_, KeywordSource::Private) => {
            let private = private.as_ref().ok_or_else(|| {
                StageError::new(
                    "`keywords = \"private\"` needs the noisy keywords of a `counts` stage: add one to `needs`",
                )
            })?;
            Keywords::of(private, labels)?
        }
    };
    let counts = counts::by_label(&params.labels, params.count, labels, private.as_ref())?;
    let filter = TeacherFilter::load(context, &params, labels)?;
    let choosing = filter.as_ref().filter(|filter| filter.chooses());
    // Without anybody to choose among them, more texts would be thrown away unseen.
    let oversample = choosing.map_or(1.0, |_| params.oversample);
    let more: Vec<u64> = counts
        .iter()
        .map(|count| (*count as f64 * oversample).ceil() as u64)
        .collect();
    let (mut source, words): (Box<dyn Source + '_>, _) = match author {
        Author::Counts(private) => {
            let bags = Bags::new(private, labels, params.max_new_tokens, context)?;
            let words = bags.report();
            (Box::new(bags), Some(words))
        }
        Author::Model(generator) => {
            let batch = performance.generation_batch;
            let mut prompted = Prompted::new(generator, &keywords, &params, context, batch);
            if let Some(matched) = &matched
                && let Some(mut matching) = Matching::new(matched, generator)?
            {
                matching.run(&mut prompted)?;
            }
            (Box::new(prompted), None)
        }
    };
    let asked = Asked {
        params: &params,
        labels,
        counts: &counts,
        keywords: &keywords,
        words,
        form: match author {
            Author::Model(generator) => TextForm {
                attributes: generator.schema.attributes.clone(),
                conversations: generator.schema.conversations,
            },
            Author::Counts(private) => TextForm {
                attributes: private
                    .combinations
                    .as_ref()
                    .map_or_else(Vec::new, |found| found.attributes.clone()),
                conversations: false,
            },
        },
    };
    let written = write(&mut *source, &params, &more)?;
    finish(context, &asked, filter.as_ref(), None, written)
}

/// Texts drawn as bags of words from counts, as many of each label, with their labels' places; for a comparison, never released.
///
/// # Errors
/// When the counts hold no words, or nothing but empty texts was drawn.
pub(crate) fn bags_of_words(
    counts: &NoisyCounts,
    texts: u64,
    context: &StageContext<'_>,
) -> Result<Vec<(String, usize)>, StageError> {
    let labels = &counts.labels;
    let params: SampleParams = serde_json::from_value(serde_json::json!({ "count": texts }))?;
    let by_label = counts::by_label(&params.labels, texts, labels, None)?;
    let mut bags = Bags::new(counts, labels, params.max_new_tokens, context)?;
    let written = write(&mut bags, &params, &by_label)?;
    let texts = written.texts.into_iter();
    Ok(texts.map(|text| (text.content, text.label)).collect())
}

/// Lets the teacher choose, if there is one with a say, and votes draw, if there are any; saves what is left.
fn finish(
    context: &StageContext<'_>,
    asked: &Asked<'_>,
    filter: Option<&TeacherFilter>,
    draw: Option<&Draw>,
    mut written: Written,
) -> Result<(), StageError> {
    let choice = filter
        .filter(|filter| filter.chooses())
        .map(|filter| {
            let texts = std::mem::take(&mut written.texts);
            filter.choose(texts, asked.counts, draw)
        })
        .transpose()?;
    let told = filter.map(|filter| report::of_teacher(asked, filter, choice.as_ref()));
    let votes = match (choice, draw) {
        (Some(choice), _) => {
            written.texts = choice.texts;
            choice.votes
        }
        (None, Some(draw)) => {
            let drawn = draw.draw(std::mem::take(&mut written.texts), asked.counts);
            written.texts = drawn.texts;
            Some(drawn.told)
        }
        (None, None) => None,
    };
    if votes.is_some() {
        let different: HashSet<&str> = written
            .texts
            .iter()
            .map(|text| text.content.as_str())
            .collect();
        written.duplicates_kept = (written.texts.len() - different.len()) as u64;
    }
    if written.texts.is_empty() {
        return Err(StageError::new(
            "the teacher agrees with the generator on no text: raise `oversample`, or set `teacher = \"relabel\"` or `\"soft\"`",
        ));
    }
    let asked_for: u64 = asked.counts.iter().sum();
    if (written.texts.len() as u64) < asked_for {
        context.progress.log(&format!(
            "{} of the {asked_for} texts asked for are left: `sample.json` says where the others went",
            written.texts.len()
        ));
    }
    report::save(context, asked, &written, told.as_ref(), votes.as_ref())
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

#[cfg(test)]
mod tests;
