//! The public schema: all that a generator may know of the private data.

use super::SchemaError;
use super::conversation::ChatTemplate;
use super::params::Attribute;
use super::{LabelIntegration, PeopleBounds, Population, Prompt, PublicInputs};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the schema in a `preprocess` artifact.
pub const SCHEMA_FILE: &str = "schema.json";
/// Name of the schema in a model folder.
pub const MODEL_SCHEMA_FILE: &str = "dpx_schema.json";

/// What is declared, hence public, about a dataset. It holds nothing computed from a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicSchema {
    /// [`PublicSchema::VERSION`] of the program that wrote it.
    pub version: u32,
    /// The declared labels, in order; empty for a dataset without labels.
    pub labels: Vec<String>,
    /// Template that joins label and text.
    pub prompt: String,
    /// How labels stand in the prompt.
    pub label_integration: LabelIntegration,
    /// The declared number of training examples, or of people where these are protected.
    pub examples: u64,
    /// Whether the model beside it was trained on private texts, with a guarantee or without: no folder says what that was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trained_on_private: bool,
    /// How records belong to people, where these are protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<PeopleBounds>,
    /// Of people the number of their records: public only where records are sampled, and taken out elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// Several columns of labels, of which `labels` holds every combination; none where there is one column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
    /// Whether a text is a conversation ([`Conversation`](crate::conversation::Conversation)).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub conversations: bool,
    /// How a model writes conversations where it does not write their text as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<ChatTemplate>,
    /// What a reader of a claim has to know of the public inputs of the model beside it, wherever its folder is taken.
    #[serde(default, skip_serializing_if = "PublicInputs::is_empty")]
    pub public_inputs: PublicInputs,
}

impl PublicSchema {
    /// The version that this program writes.
    pub const VERSION: u32 = 1;

    /// A schema of the current version.
    pub fn new(
        labels: Vec<String>,
        prompt: impl Into<String>,
        label_integration: LabelIntegration,
        examples: u64,
    ) -> Self {
        Self {
            version: Self::VERSION,
            labels,
            prompt: prompt.into(),
            label_integration,
            examples,
            trained_on_private: false,
            people: None,
            records: None,
            attributes: Vec::new(),
            conversations: false,
            chat_template: None,
            public_inputs: PublicInputs::default(),
        }
    }

    /// How large the data set is that it speaks of.
    pub fn population(&self) -> Population {
        Population {
            units: self.examples,
            records: self.people.map_or(Some(self.examples), |_| self.records),
            people: self.people,
        }
    }

    /// The same without what is not public where people are sampled: the number of their records.
    #[must_use]
    pub fn without_records(mut self) -> Self {
        self.records = None;
        self
    }

    /// Reads a schema.
    ///
    /// # Errors
    /// When the file is missing, is no schema, or is of a later version.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, SchemaError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| SchemaError::File {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let malformed = |message| SchemaError::Malformed {
            path: path.to_owned(),
            message,
        };
        let schema: Self =
            serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        if schema.version > Self::VERSION {
            return Err(malformed(format!(
                "it is of version {}, this dpx knows version {}: use a newer dpx",
                schema.version,
                Self::VERSION
            )));
        }
        Ok(schema)
    }

    /// Writes the schema.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SchemaError> {
        let path = path.as_ref();
        let mut text = serde_json::to_string_pretty(self).expect("strings and numbers serialise");
        text.push('\n');
        std::fs::write(path, text).map_err(|source| SchemaError::File {
            action: "write",
            path: path.to_owned(),
            source,
        })
    }

    /// The parsed prompt.
    ///
    /// # Errors
    /// When the template cannot work.
    pub fn parsed_prompt(&self) -> Result<Prompt, SchemaError> {
        Prompt::parse_with(&self.prompt, self.label_integration, &self.attributes)
    }

    /// The place of a label in the list.
    ///
    /// # Errors
    /// When it is not declared.
    pub fn label_index(&self, label: &str) -> Result<usize, SchemaError> {
        self.labels
            .iter()
            .position(|known| known == label)
            .ok_or_else(|| SchemaError::UnknownLabel {
                label: label.to_owned(),
                declared: self.labels.clone(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_round_trip_and_refuses_the_future() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SCHEMA_FILE);
        let schema = PublicSchema::new(
            vec!["joy".into(), "fear".into()],
            "{label}: {text}",
            LabelIntegration::Prefix,
            16000,
        );
        schema.save(&path).unwrap();
        assert_eq!(PublicSchema::load(&path).unwrap(), schema);
        assert_eq!(schema.label_index("fear").unwrap(), 1);
        let error = schema.label_index("love").unwrap_err().to_string();
        assert!(error.contains("`joy`, `fear`"), "{error}");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"version\": 1", "\"version\": 9")).unwrap();
        let error = PublicSchema::load(&path).unwrap_err().to_string();
        assert!(error.contains("version 9"), "{error}");
    }
}
