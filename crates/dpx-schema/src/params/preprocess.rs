//! Parameters of `preprocess`.

use super::labels::DeclaredLabels;
pub use crate::prompt::LabelIntegration;
use crate::{Population, Unit};
use schemars::JsonSchema;
use serde::de::value::SeqAccessDeserializer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Reads a dataset, scrubs personal data, declares labels and prompt, writes train, validation and test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreprocessParams {
    /// Where the texts come from: `builtin:emotions`, `hf:owner/name@revision` (`hf:owner/name/config@revision` for one of its configurations), or a path (csv, tsv, jsonl, parquet; a file, or a folder with train/validation/test).
    pub dataset: String,
    /// Column that holds the text.
    #[serde(default = "text")]
    pub text_column: String,
    /// Column that holds the label; empty: the texts have none.
    #[serde(default = "label")]
    pub label_column: String,
    /// The declared labels, in order; public. A table declares several columns of labels, `{ intent = ["refund", "other"], mood = ["calm", "angry"] }`: a text then bears a value of each. May be left out for a built-in dataset, and where `label_column` is empty.
    #[serde(default)]
    pub labels: DeclaredLabels,
    /// Column that holds conversations instead of texts: a list of turns as OpenAI (`role`, `content`) or ShareGPT (`from`, `value`) writes them, a list of strings by two speakers in turn, or one of these as JSON in a string. One conversation is one record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<String>,
    /// Whose turns those of other roles are: `{ customer = "user", agent = "assistant", note = "ignore" }`. Known without it are `system`, `developer`, `user`, `human`, `assistant`, `gpt`, `bot`, `model`, and turns of tools, which are left out and counted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, RoleOf>,
    /// How numbers in the label column are understood: `name` (a label called `1` is written 1, 1.0 or "1") or `index` (place in `labels`, from 0). Left out: by name; by index only where none of `labels` is a number. Names that the dataset stores itself (ClassLabel) come first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels_by: Option<LabelsBy>,
    /// Quotation marks in csv and tsv: `double` (fields may stand in quotation marks, one inside is doubled) or `none` (quotation marks are part of the text). Left out: `double`, and for tab-separated files what fits the whole file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoting: Option<Quoting>,
    /// The character before a quotation mark, delimiter or line break that belongs to the text, in csv and tsv; MySQL and Spark write a backslash. Left out: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escape: Option<char>,
    /// The character between fields. Left out: a tab in .tsv files, `;` in .txt files, in .csv files what the header has most of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// What removes personal data, in order: `none`, `rules`, `hf:owner/name`, a model folder, or a list of these.
    #[serde(default)]
    pub scrub: Scrub,
    /// How label and text become one training text; must hold `{label}` and `{text}`. Where `labels` is a table, `{label}` stands for all values (`refund, angry`), or each column is named: `{intent}, {mood}: {text}`.
    #[serde(default = "prompt")]
    pub prompt: String,
    /// Whether labels are written as words or added to the vocabulary as special tokens.
    #[serde(default)]
    pub label_integration: LabelIntegration,
    /// With `[privacy] unit = "user"` the column that says whose record each row is: a name, a number, or in JSON a list of several people (`participants`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_column: Option<String>,
    /// Most training records of one person, a public bound. Which ones stay is decided by a hash of the record alone; how many were left out is told, and internal. Left out: 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub max_per_unit: Option<u64>,
    /// The declared, public number of training examples, or of people where these are protected; checked against the data. Left out: the number found, declared public.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub examples: Option<u64>,
    /// Share of the rows that becomes the validation split where the dataset has none.
    #[serde(default = "tenth")]
    #[schemars(range(min = 0.0, max = 0.5))]
    pub validation_share: f64,
    /// Share of the rows that becomes the test split where the dataset has none.
    #[serde(default = "tenth")]
    #[schemars(range(min = 0.0, max = 0.5))]
    pub test_share: f64,
    /// Made-up facts to plant in training texts of their own, so that `score` can tell how many texts have to state a fact until synthetic ones do. These texts are examples like any other. Left out: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1800))]
    pub facts: Option<u64>,
    /// Texts that state a fact; where there are several numbers the facts take turns. Left out: `[1, 4, 16, 64]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fact_copies: Option<Vec<u64>>,
    /// Keep at most so many rows of each split, chosen by a keyed hash of the row number, or so many people with all of their rows where these are protected (rows, where some belong to several people); for quick trials.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub limit: Option<u64>,
}

/// Most records of one person where nothing is said.
const MAX_PER_UNIT: u64 = 16;

/// Numbers of texts that state a fact where nothing is said.
const FACT_COPIES: [u64; 4] = [1, 4, 16, 64];

/// Most texts that state one fact.
pub const MOST_COPIES: u64 = 10_000;

impl PreprocessParams {
    /// Numbers of texts that state a made-up fact.
    pub fn fact_copies(&self) -> &[u64] {
        self.fact_copies.as_deref().unwrap_or(&FACT_COPIES)
    }

    /// The public bound on the records of one person; none where each record is a unit of its own.
    pub fn max_per_unit(&self) -> Option<u64> {
        self.unit_column
            .as_ref()
            .map(|_| self.max_per_unit.unwrap_or(MAX_PER_UNIT))
    }

    /// Whether `examples` declares as many training examples, or people, as were found.
    ///
    /// # Errors
    /// It declares another number.
    pub fn check_examples(&self, population: Population) -> Result<(), String> {
        match self.examples {
            Some(declared) if declared != population.units => Err(format!(
                "`examples` declares {declared} {}, `{}` has {}: correct the declaration",
                match population.unit() {
                    Unit::Example => "training examples",
                    Unit::User => "people",
                },
                self.dataset,
                population.units
            )),
            _ => Ok(()),
        }
    }
}

/// Whose turns those of a role are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RoleOf {
    /// Instructions before the conversation.
    System,
    /// The one who asks.
    User,
    /// The one who answers.
    Assistant,
    /// Nobody's: the turns are left out and counted.
    Ignore,
}

/// How numbers in the label column are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LabelsBy {
    /// As the names of labels.
    Name,
    /// As places in the list of declared labels, counted from 0.
    Index,
}

/// What quotation marks mean in files with delimiters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Quoting {
    /// A field may stand in quotation marks; a quotation mark inside is doubled.
    Double,
    /// They are characters like any other.
    None,
}

fn text() -> String {
    "text".into()
}

fn label() -> String {
    "label".into()
}

fn prompt() -> String {
    "{label}: {text}".into()
}

const fn tenth() -> f64 {
    0.1
}

/// One scrubber or several in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrub(pub Vec<String>);

impl Default for Scrub {
    fn default() -> Self {
        Self(vec!["rules".into()])
    }
}

impl Serialize for Scrub {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Scrub {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Vec<String>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("\"none\", \"rules\", a model, or a list of these")
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Self::Value, E> {
                Ok(vec![value.into()])
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                sequence: A,
            ) -> Result<Self::Value, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(sequence))
            }
        }
        let mut list = deserializer.deserialize_any(Visitor)?;
        list.retain(|item| item != "none");
        Ok(Self(list))
    }
}

impl JsonSchema for Scrub {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scrub".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "\"none\", \"rules\", a model, or a list of these",
            "oneOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        })
    }
}
