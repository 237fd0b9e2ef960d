//! What the stage leaves: the texts and what happened on the way to them.

use super::keywords::Keywords;
use super::teacher::{Choice, TeacherFilter};
use super::write::{Length, Text, Written};
use crate::score::read::probability_column;
use crate::truncation::percent;
use dpx_schema::conversation::Conversation;
use dpx_schema::params::{Attribute, SampleParams, TeacherPolicy, combined, values_at};
use dpx_schema::{Context, StageContext, StageError, counted};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Name of the report in the artifact.
pub const SAMPLE_FILE: &str = "sample.json";
/// Column of conversations in `synthetic.csv`: turns as JSON in the layout of OpenAI.
pub const MESSAGES_COLUMN: &str = "messages";

/// What happened while the texts were written: the content of `sample.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleReport {
    /// Texts in the artifact.
    pub texts: u64,
    /// Texts asked for and written of each label.
    pub by_label: BTreeMap<String, AskedAndWritten>,
    /// Empty texts, and what became of them.
    pub empty: Handled,
    /// Texts that equal an earlier one, and what became of them.
    pub duplicates: Handled,
    /// Texts with bytes that are no text (U+FFFD): none leaves the stage.
    #[serde(default)]
    pub undecodable: Option<Handled>,
    /// Share of the texts that ended before the limit of tokens, where a model wrote them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_share: Option<f64>,
    /// Tokens of a text, where a model wrote them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_tokens: Option<f64>,
    /// The keywords that texts were asked to be about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keywords: Option<Value>,
    /// What bags of words were drawn from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bags_of_words: Option<Value>,
    /// What a private teacher relabelled or left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<Value>,
    /// How votes of a `select` stage drew the texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub votes: Option<Value>,
    /// Several columns of labels, where there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
    /// What became of conversations, where the texts are such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversations: Option<ConversationReport>,
}

/// Counts of texts that are to be conversations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversationReport {
    /// Turns of all conversations that are left.
    pub turns: u64,
    /// Texts that were no conversations, and what became of them.
    pub unparsed: Handled,
    /// Conversations without an end that were cut at their last whole turn.
    pub cut_at_a_turn: u64,
    /// Conversations in which, `system` turns aside, `user` and `assistant` do not speak in turn, beginning with `user`: the chat
    /// templates of some models refuse them.
    #[serde(default)]
    pub out_of_turn: u64,
}

impl SampleReport {
    /// Texts that were asked for, of all labels.
    pub fn asked(&self) -> u64 {
        self.by_label.values().map(|label| label.asked).sum()
    }

    /// Texts that were written and left out, whatever the reason, but for those that a teacher left out.
    pub fn dropped(&self) -> u64 {
        let undecodable = self.undecodable.as_ref();
        let conversations = self.conversations.as_ref();
        self.empty.dropped
            + self.duplicates.dropped
            + undecodable.map_or(0, |texts| texts.dropped)
            + conversations.map_or(0, |found| found.unparsed.dropped)
    }

    /// What to tell the user about texts that were left out and texts that never end, a line each.
    pub fn messages(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(found) = self
            .undecodable
            .as_ref()
            .filter(|found| found.retried + found.dropped > 0)
        {
            lines.push(format!(
                "{} attempts held bytes that are no text (U+FFFD): written again, or left out after the last one ({})",
                found.retried + found.dropped,
                counted(found.dropped, "text")
            ));
        }
        for (found, what) in [
            (&self.empty, "empty texts"),
            (&self.duplicates, "texts that stood there already"),
        ] {
            if found.dropped > 0 {
                lines.push(format!("{} {what} were left out", found.dropped));
            }
        }
        lines.extend(self.of_votes());
        lines.extend(self.of_conversations());
        lines.extend(self.endless());
        lines
    }

    fn of_votes(&self) -> Vec<String> {
        let Some(votes) = &self.votes else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        let labels = votes["by_label"].as_object();
        let public: Vec<&str> = labels
            .into_iter()
            .flatten()
            .filter(|(_, label)| label["votes"] == "public")
            .map(|(name, _)| name.as_str())
            .collect();
        if !public.is_empty() {
            lines.push(format!(
                "no private vote draws the texts of {}: none stands out of the noise, or none was cast; the pool voted for itself",
                public.join(", ")
            ));
        }
        if self.duplicates.kept > 0 {
            lines.push(format!(
                "{} of {} texts stand there more than once: a larger pool has more texts that are voted for",
                self.duplicates.kept, self.texts
            ));
        }
        lines
    }

    fn endless(&self) -> Option<String> {
        let share = self.ended_share.filter(|share| *share < ENDS)?;
        let ended = (share * self.texts as f64).round() as u64;
        let line = if ended == 0 {
            "no text ends by itself: all were cut at `max_new_tokens`; the model did not learn to end its texts".to_owned()
        } else {
            format!(
                "{ended} of {} texts ({}) end by themselves; the others were cut at `max_new_tokens`",
                self.texts,
                percent(ended, self.texts)
            )
        };
        Some(line)
    }

    fn of_conversations(&self) -> Vec<String> {
        let Some(found) = &self.conversations else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        let broken = found.unparsed.retried + found.unparsed.dropped;
        if broken > 0 {
            lines.push(format!(
                "{broken} attempts gave no conversation: {} were made again, {} texts dropped",
                found.unparsed.retried, found.unparsed.dropped
            ));
        }
        if found.cut_at_a_turn > 0 {
            lines.push(format!(
                "{} of {} conversations had no end after `max_new_tokens`: they were cut at their last whole turn",
                found.cut_at_a_turn, self.texts
            ));
        }
        if found.out_of_turn > 0 {
            lines.push(format!(
                "{} of {} conversations do not go from `user` to `assistant` in turn: some chat templates refuse such ones",
                found.out_of_turn, self.texts
            ));
        }
        lines
    }
}

/// Share of texts that end by themselves, below which the user is told.
const ENDS: f64 = 0.9;

/// Numbers of texts of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct AskedAndWritten {
    pub asked: u64,
    /// In the artifact.
    pub written: u64,
}

/// What was done with texts of some sort.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Handled {
    /// The policy of the experiment file.
    pub policy: Value,
    pub retried: u64,
    #[serde(default)]
    pub kept: u64,
    pub dropped: u64,
}

/// What the stage was asked for, by label, and with which keywords.
pub(super) struct Asked<'a> {
    pub(super) params: &'a SampleParams,
    pub(super) labels: &'a [String],
    pub(super) counts: &'a [u64],
    pub(super) keywords: &'a Keywords,
    /// What bags of words are drawn from; nothing where a model writes.
    pub(super) words: Option<Value>,
    pub(super) form: TextForm,
}

/// What texts are besides a text and a label.
#[derive(Default)]
pub(super) struct TextForm {
    /// Several columns of labels.
    pub(super) attributes: Vec<Attribute>,
    pub(super) conversations: bool,
}

impl TextForm {
    /// Columns between the label and the probabilities, for a text.
    fn columns(
        &self,
        text: &Text,
        label: &str,
        combined: &[String],
    ) -> Result<Vec<String>, StageError> {
        let place = combined.iter().position(|other| other == label);
        let mut columns: Vec<String> = match place {
            Some(place) => values_at(&self.attributes, place)
                .into_iter()
                .zip(&self.attributes)
                .map(|(value, attribute)| attribute.values[value].clone())
                .collect(),
            None => vec![String::new(); self.attributes.len()],
        };
        if self.conversations {
            let turns = Conversation::parse(&text.content).unwrap_or_default();
            columns.push(serde_json::to_string(&turns)?);
        }
        Ok(columns)
    }
}

/// Writes `synthetic.csv` and `sample.json`. The texts of `written` are those that are left.
pub(super) fn save(
    context: &StageContext<'_>,
    asked: &Asked<'_>,
    written: &Written,
    teacher: Option<&Value>,
    votes: Option<&Value>,
) -> Result<(), StageError> {
    let path = context.output_path("synthetic.csv");
    let writing = format!("cannot write `{}`", path.display());
    let mut file = csv::Writer::from_path(&path).context(&writing)?;
    let soft = written
        .texts
        .iter()
        .any(|text| text.probabilities.is_some());
    let columns = asked.labels.iter().filter(|_| soft);
    let form = &asked.form;
    let mut header = ["text", "label"].map(str::to_owned).to_vec();
    header.extend(
        form.attributes
            .iter()
            .map(|attribute| attribute.name.clone()),
    );
    header.extend(form.conversations.then(|| MESSAGES_COLUMN.to_owned()));
    header.extend(columns.map(|label| probability_column(label)));
    file.write_record(&header).context(&writing)?;
    let combined = combined(&form.attributes);
    for text in &written.texts {
        let label = &asked.labels[text.label];
        let names = [text.content.clone(), label.clone()];
        let probabilities = text.probabilities.iter().flatten();
        let record = names
            .into_iter()
            .chain(form.columns(text, label, &combined)?)
            .chain(probabilities.map(|probability| format!("{probability:.6}")));
        file.write_record(record).context(&writing)?;
    }
    file.flush()?;
    let kept = by_label(&written.texts, asked.labels.len());
    let by_label = asked
        .labels
        .iter()
        .zip(asked.counts.iter().zip(&kept))
        .map(|(label, (&asked, &written))| (label.clone(), AskedAndWritten { asked, written }))
        .collect();
    let texts = written.texts.len() as u64;
    let lengths: Option<Vec<Length>> = written.texts.iter().map(|text| text.length).collect();
    let share = |sum: f64| sum / texts as f64;
    let report = SampleReport {
        texts,
        by_label,
        empty: Handled {
            policy: serde_json::to_value(asked.params.empty)?,
            retried: written.empty_retried,
            kept: 0,
            dropped: written.empty_dropped,
        },
        duplicates: Handled {
            policy: serde_json::to_value(asked.params.duplicates)?,
            retried: written.duplicates_retried,
            kept: written.duplicates_kept,
            dropped: written.duplicates_dropped,
        },
        undecodable: Some(Handled {
            policy: "retry".into(),
            retried: written.undecodable_retried,
            kept: 0,
            dropped: written.undecodable_dropped,
        }),
        ended_share: lengths
            .as_ref()
            .map(|lengths| share(lengths.iter().filter(|length| length.ended).count() as f64)),
        mean_tokens: lengths
            .as_ref()
            .map(|lengths| share(lengths.iter().map(|length| length.tokens).sum::<u64>() as f64)),
        keywords: asked.keywords.report(asked.labels),
        bags_of_words: asked.words.clone(),
        teacher: teacher.cloned(),
        votes: votes.cloned(),
        attributes: form.attributes.clone(),
        conversations: form
            .conversations
            .then(|| of_conversations(asked.params, written))
            .transpose()?,
    };
    for line in report.messages() {
        context.progress.log(&line);
    }
    let json = serde_json::to_string_pretty(&report)?;
    std::fs::write(context.output_path(SAMPLE_FILE), json + "\n")?;
    Ok(())
}

fn of_conversations(
    params: &SampleParams,
    written: &Written,
) -> Result<ConversationReport, StageError> {
    let (mut turns, mut out_of_turn) = (0, 0);
    for text in &written.texts {
        if let Ok(found) = Conversation::parse(&text.content) {
            turns += found.turns.len() as u64;
            out_of_turn += u64::from(!found.takes_turns());
        }
    }
    Ok(ConversationReport {
        turns,
        out_of_turn,
        unparsed: Handled {
            policy: serde_json::to_value(params.unparsed)?,
            retried: written.unparsed_retried,
            kept: 0,
            dropped: written.unparsed_dropped,
        },
        cut_at_a_turn: written.cut_at_a_turn,
    })
}

/// What the teacher did; `choice` is missing where it had no say.
pub(super) fn of_teacher(
    asked: &Asked<'_>,
    filter: &TeacherFilter,
    choice: Option<&Choice>,
) -> Value {
    let mut report = json!({
        "asked": asked.params.teacher,
        "applied": filter.policy,
        // Infinity has no number in JSON.
        "epsilon": filter.epsilon,
        "oversample": asked.params.oversample,
    });
    let Some(choice) = choice else {
        report["reason"] = json!("the teacher learned nothing (epsilon 0)");
        return report;
    };
    let all: u64 = choice.confusion.iter().flatten().sum();
    let agreed: u64 = (0..asked.labels.len())
        .map(|label| choice.confusion[label][label])
        .sum();
    let kept = by_label(&choice.texts, asked.labels.len());
    let missing: u64 = if filter.policy == TeacherPolicy::Soft {
        let asked: u64 = asked.counts.iter().sum();
        asked.saturating_sub(choice.texts.len() as u64)
    } else {
        asked
            .counts
            .iter()
            .zip(&kept)
            .map(|(asked, kept)| asked.saturating_sub(*kept))
            .sum()
    };
    let more = [
        ("order", json!(asked.params.order)),
        ("generated", json!(all)),
        ("agreement", json!(agreed as f64 / all.max(1) as f64)),
        ("labels", json!(asked.labels)),
        ("generator_by_teacher", json!(choice.confusion)),
        ("dropped_disagreeing", json!(choice.disagreed)),
        ("dropped_surplus", json!(choice.surplus)),
        ("missing", json!(missing)),
    ];
    for (name, value) in more {
        report[name] = value;
    }
    report
}

fn by_label(texts: &[Text], labels: usize) -> Vec<u64> {
    let mut counts = vec![0; labels];
    for text in texts {
        counts[text.label] += 1;
    }
    counts
}
