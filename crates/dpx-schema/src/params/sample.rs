//! Parameters of `sample`.

use super::Precision;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Samples synthetic texts from a model; without one, bags of words from the noisy keywords of a `counts` stage; or chooses among the texts of another `sample` stage by a teacher or by the votes of a `select` stage. Sees these alone, never a private text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleParams {
    /// Texts in all, spread over the labels by `labels`.
    #[serde(default = "count")]
    #[schemars(range(min = 1))]
    pub count: u64,
    /// How many of each label: `uniform`, `private` (noisy counts of a `counts` stage among the needs), or a table of exact counts, which then replaces `count`.
    #[serde(default)]
    pub labels: LabelCounts,
    /// Divides the logits; 0 takes the likeliest token.
    #[serde(default = "temperature")]
    #[schemars(range(min = 0.0, max = 10.0))]
    pub temperature: f64,
    /// Keep only so many likeliest tokens; 0 keeps all.
    #[serde(default)]
    pub top_k: u64,
    /// Keep the likeliest tokens that together reach this probability.
    #[serde(default = "top_p")]
    #[schemars(range(min = 0.01, max = 1.0))]
    pub top_p: f64,
    /// Divides the logits of tokens already written (Keskar et al. 2019); 1 leaves them.
    #[serde(default = "one")]
    #[schemars(range(min = 1.0, max = 10.0))]
    pub repetition_penalty: f64,
    /// Steers each text away from another label (one of the others in turn) by so many times the difference of the logits: classifier-free guidance with a negative prompt (Sanchez et al. 2023). Post-processing; doubles the time. 0 leaves it out.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 20.0))]
    pub guidance: f64,
    /// Longest text in tokens; of a bag of words, in words.
    #[serde(default = "max_new_tokens")]
    #[schemars(range(min = 1, max = 4096))]
    pub max_new_tokens: u64,
    /// What happens to a text without a visible character.
    #[serde(default)]
    pub empty: EmptyPolicy,
    /// What happens to a text that the artifact already holds. Of texts chosen by votes, `keep` draws each as often as its votes say, `retry` each once while there are others, `drop` each at most once.
    #[serde(default)]
    pub duplicates: DuplicatePolicy,
    /// What happens to a text that is no conversation, where the data are such. One that has no end at `max_new_tokens` is cut at its last whole turn.
    #[serde(default, skip_serializing_if = "UnparsedPolicy::is_retry")]
    pub unparsed: UnparsedPolicy,
    /// Condition each text on a keyword of its label: `private` draws from the noisy histogram of a `counts` stage among the needs (a label without a keyword that stands out goes without), `public` from the label's words in `builtin:feelings` by the root of their public frequency, at no cost in privacy.
    #[serde(default)]
    pub keywords: KeywordSource,
    /// The `counts` stage among the needs whose noisy word counts the texts match: each word is made likelier or rarer until it occurs in as many texts of a label as the histogram says. Post-processing; takes 1,500 texts of each label that are not kept.
    #[serde(default)]
    pub match_words: String,
    /// Write so many times more texts than asked for, for a teacher to choose from.
    #[serde(default = "one")]
    #[schemars(range(min = 1.0, max = 100.0))]
    pub oversample: f64,
    /// Votes of a `select` stage among the needs below this many standard deviations of their noise (2 where nothing is said) count as none.
    #[serde(default = "vote_threshold", skip_serializing_if = "is_usual_threshold")]
    #[schemars(range(min = 0.0, max = 10.0))]
    pub vote_threshold: f64,
    /// Whether clusters that speak for one label count more than those that all labels vote for.
    #[serde(default, skip_serializing_if = "Contrast::is_auto")]
    pub contrast: Contrast,
    /// What a `teacher` stage among the needs does with the texts.
    #[serde(default)]
    pub teacher: TeacherPolicy,
    /// Which of a label's texts are kept where a teacher leaves more than were asked for.
    #[serde(default)]
    pub order: ChoiceOrder,
    /// Arithmetic of the model's products; attention and the choice of tokens are always f32.
    #[serde(default)]
    pub precision: Precision,
}

/// What only changes speed or memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SamplePerformance {
    /// Texts written at once.
    #[serde(default = "generation_batch")]
    #[schemars(range(min = 1))]
    pub generation_batch: u64,
}

impl Default for SamplePerformance {
    fn default() -> Self {
        Self {
            generation_batch: generation_batch(),
        }
    }
}

/// Whether votes for clusters are contrasted between labels; post-processing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Contrast {
    /// `on` without a teacher, `off` with one, which tells the labels apart itself.
    #[default]
    Auto,
    /// The share of a label's votes that a cluster has is multiplied by the label's part of all labels' shares of it.
    On,
    /// The share of a label's votes alone.
    Off,
}

impl Contrast {
    /// Whether the usual is done.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(crate) const fn is_auto(&self) -> bool {
        matches!(self, Self::Auto)
    }
}

const fn vote_threshold() -> f64 {
    2.0
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_usual_threshold(threshold: &f64) -> bool {
    *threshold == vote_threshold()
}
const fn count() -> u64 {
    6000
}
const fn temperature() -> f64 {
    1.0
}
const fn top_p() -> f64 {
    0.95
}
const fn one() -> f64 {
    1.0
}
const fn max_new_tokens() -> u64 {
    48
}
const fn generation_batch() -> u64 {
    128
}

/// How many texts of each label.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LabelCounts {
    /// The same number of each.
    #[default]
    Uniform,
    /// In proportion to noisy counts that were paid for.
    Private,
    /// Exact counts.
    Table(BTreeMap<String, u64>),
}

impl Serialize for LabelCounts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Uniform => serializer.serialize_str("uniform"),
            Self::Private => serializer.serialize_str("private"),
            Self::Table(table) => table.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for LabelCounts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = LabelCounts;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("\"uniform\", \"private\", or a table of counts by label")
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Self::Value, E> {
                match value {
                    "uniform" => Ok(LabelCounts::Uniform),
                    "private" => Ok(LabelCounts::Private),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(value), &self)),
                }
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<Self::Value, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(LabelCounts::Table)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for LabelCounts {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LabelCounts".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "\"uniform\", \"private\", or a table of counts by label",
            "oneOf": [
                { "enum": ["uniform", "private"] },
                { "type": "object", "additionalProperties": { "type": "integer", "minimum": 0 } },
            ],
        })
    }
}

/// Where the keywords of texts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeywordSource {
    /// No keywords.
    #[default]
    None,
    /// The noisy histogram of a `counts` stage.
    Private,
    /// A public list.
    Public,
}

/// What happens to an empty text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EmptyPolicy {
    /// It is written again, with the next random numbers, up to ten times; then dropped and counted.
    #[default]
    Retry,
    /// It stays.
    Keep,
    /// It is dropped and counted.
    Drop,
}

/// What happens to a text that is no conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnparsedPolicy {
    /// It is written again, with the next random numbers, up to ten times; then dropped and counted.
    #[default]
    Retry,
    /// It is dropped and counted.
    Drop,
}

impl UnparsedPolicy {
    /// Whether it is written again.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(crate) const fn is_retry(&self) -> bool {
        matches!(self, Self::Retry)
    }
}

/// What happens to a repeated text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DuplicatePolicy {
    /// It stays.
    Keep,
    /// It is written again, with the next random numbers, up to ten times; then kept and counted.
    #[default]
    Retry,
    /// It is dropped and counted.
    Drop,
}

/// What a teacher does with the generator's texts; all of it is post-processing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TeacherPolicy {
    /// `relabel` up to epsilon 8, `agree` above and where a `select` stage chooses too; `none` without a teacher, or with one that was not trained (epsilon 0).
    #[default]
    Auto,
    /// Nothing: the generator's labels stand.
    None,
    /// The teacher's label replaces the generator's.
    Relabel,
    /// As `relabel`, with the probability of each label beside it (columns `p_LABEL`) for a classifier to learn from: soft labels, knowledge distillation (Hinton et al. 2015). Keeps `count` texts whatever their labels: no mix has to be held.
    Soft,
    /// Only texts for which both agree are kept.
    Agree,
}

/// Which texts of a label are kept when there are more than were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChoiceOrder {
    /// In the order in which they were written: the mix within a label stays as the generator made it.
    #[default]
    FirstCome,
    /// Those with the highest probability by the teacher: fewer wrong labels, less variety.
    Likeliest,
}
