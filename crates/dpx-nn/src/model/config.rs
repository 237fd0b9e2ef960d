//! `config.json` of the supported architectures, checked: what cannot be computed faithfully is refused by name.

mod decoder;
mod encoder;
mod family;
mod gpt2;
mod llama;
mod rotary;

pub use decoder::{Activation, Biases, DecoderConfig, LayerKind, NormKind, Sizes};
pub use encoder::EncoderConfig;
pub use family::Family;
pub use rotary::Rotary;

use super::ModelError;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The architecture and its sizes.
#[derive(Debug, Clone, PartialEq)]
pub enum Architecture {
    /// Blocks with norms before their layers.
    Decoder(DecoderConfig),
    /// Blocks with norms behind their layers.
    Encoder(EncoderConfig),
}

/// What stands on top of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// Next-token prediction.
    CausalLm,
    /// Nothing: hidden states, pooled by who uses them.
    Encoder,
    /// One label for a text.
    SequenceClassification,
    /// One label for each token.
    TokenClassification,
}

/// A model's `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The architecture and its sizes.
    pub architecture: Architecture,
    /// What stands on top, by `architectures`.
    pub head: Head,
    /// Names of the classes of a classification head, in order; empty without one.
    pub labels: Vec<String>,
    /// The token that fills up short rows.
    pub pad_token: Option<u32>,
    /// The token that opens a text.
    pub begin_token: Option<u32>,
    /// Tokens that end a text.
    pub end_tokens: Vec<u32>,
    /// The file as it was read; what is written back keeps keys that dpx does not know.
    pub raw: Map<String, Value>,
}

impl ModelConfig {
    /// Reads and checks `FOLDER/config.json`.
    ///
    /// # Errors
    /// When it is missing, no JSON, or names an architecture or variant that is not supported.
    pub fn read(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("config.json");
        let text = std::fs::read(&path).map_err(|error| ModelError::read(&path, error))?;
        let raw: Map<String, Value> = serde_json::from_slice(&text)
            .map_err(|error| ModelError::malformed(&path, format!("no JSON object: {error}")))?;
        Self::parse(raw, &path)
    }

    /// Checks an object read from `path`, which is only named in messages.
    ///
    /// # Errors
    /// When it names an architecture or variant that is not supported.
    pub fn parse(raw: Map<String, Value>, path: &Path) -> Result<Self, ModelError> {
        let fields = Fields { raw: &raw, path };
        let all = || Family::list(|_| true);
        let family = match fields.text("model_type")? {
            Some(name) => Family::of(name).ok_or_else(|| {
                fields.unsupported(format!("`model_type` is `{name}`; supported are {}", all()))
            })?,
            None => {
                return Err(fields.unsupported(format!(
                    "`model_type` is missing; supported are {}",
                    all()
                )));
            }
        };
        let architecture = match family {
            Family::Gpt2 => Architecture::Decoder(gpt2::parse(&fields)?),
            Family::Llama => Architecture::Decoder(llama::parse(&fields)?),
            Family::Bert | Family::Mpnet => {
                Architecture::Encoder(EncoderConfig::parse(&fields, family)?)
            }
        };
        let head = head(&fields, family)?;
        let labels = match head {
            Head::SequenceClassification | Head::TokenClassification => labels(&fields)?,
            Head::CausalLm | Head::Encoder => Vec::new(),
        };
        Ok(Self {
            head,
            labels,
            pad_token: fields.token("pad_token_id")?,
            begin_token: fields.token("bos_token_id")?,
            end_tokens: end_tokens(&fields)?,
            architecture,
            raw,
        })
    }

    /// The family.
    pub const fn family(&self) -> Family {
        match &self.architecture {
            Architecture::Decoder(config) => config.family,
            Architecture::Encoder(config) => config.family,
        }
    }

    /// The name in `model_type`.
    pub const fn model_type(&self) -> &'static str {
        self.family().model_type()
    }

    /// Number of tokens that have an embedding.
    pub const fn vocabulary(&self) -> usize {
        match &self.architecture {
            Architecture::Decoder(config) => config.sizes.vocabulary,
            Architecture::Encoder(config) => config.vocabulary,
        }
    }

    /// Width of the hidden states.
    pub const fn hidden(&self) -> usize {
        match &self.architecture {
            Architecture::Decoder(config) => config.sizes.hidden,
            Architecture::Encoder(config) => config.hidden,
        }
    }

    /// Blocks, and attention heads of each.
    pub const fn depth(&self) -> (usize, usize) {
        match &self.architecture {
            Architecture::Decoder(config) => (config.sizes.layers, config.sizes.heads),
            Architecture::Encoder(config) => (config.layers, config.heads),
        }
    }

    /// Most tokens that a text may have.
    pub const fn max_positions(&self) -> usize {
        match &self.architecture {
            Architecture::Decoder(config) => config.sizes.max_positions,
            Architecture::Encoder(config) => config.max_positions(),
        }
    }

    /// Prefix of the body's tensors in files that hold a head too.
    pub const fn prefix(&self) -> &'static str {
        self.family().prefix()
    }

    /// The same body with a classification head over `labels`, as it is written.
    #[must_use]
    pub fn with_classes(&self, head: Head, labels: &[String]) -> Self {
        let mut config = self.clone();
        config.head = head;
        config.labels = labels.to_vec();
        let numbered = || labels.iter().enumerate();
        let id2label = numbered().map(|(id, label)| (id.to_string(), label.as_str().into()));
        let label2id = numbered().map(|(id, label)| (label.clone(), id.into()));
        // Without a padding token `transformers` cannot find the last token of a padded row.
        if config.pad_token.is_none() {
            config.pad_token = config.end_tokens.first().copied();
        }
        let raw = &mut config.raw;
        raw.insert("pad_token_id".into(), config.pad_token.into());
        raw.insert("id2label".into(), Value::Object(id2label.collect()));
        raw.insert("label2id".into(), Value::Object(label2id.collect()));
        raw.insert("architectures".into(), vec![class_name(self, head)].into());
        config
    }

    /// Writes `FOLDER/config.json`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), ModelError> {
        let path: PathBuf = folder.join("config.json");
        let mut raw = self.raw.clone();
        raw.insert(
            "architectures".into(),
            vec![class_name(self, self.head)].into(),
        );
        raw.insert("vocab_size".into(), self.vocabulary().into());
        for key in ["torch_dtype", "dtype"] {
            raw.remove(key);
        }
        raw.insert("dtype".into(), "float32".into());
        let text = format!("{:#}\n", Value::Object(raw));
        std::fs::write(&path, text).map_err(|error| ModelError::write(&path, error))
    }
}

/// The class of `transformers` for an architecture and head.
fn class_name(config: &ModelConfig, head: Head) -> String {
    let family = config.family();
    let suffix = match head {
        Head::CausalLm => family.causal_suffix(),
        Head::Encoder => "Model",
        Head::SequenceClassification => "ForSequenceClassification",
        Head::TokenClassification => "ForTokenClassification",
    };
    format!("{}{suffix}", family.class())
}

fn head(fields: &Fields<'_>, family: Family) -> Result<Head, ModelError> {
    let default = if family.is_causal() {
        Head::CausalLm
    } else {
        Head::Encoder
    };
    let Some(list) = fields.get("architectures").and_then(Value::as_array) else {
        return Ok(default);
    };
    let Some(name) = list.first().and_then(Value::as_str) else {
        return Ok(default);
    };
    if name.ends_with("ForSequenceClassification") {
        Ok(Head::SequenceClassification)
    } else if name.ends_with("ForTokenClassification") {
        if family.is_causal() {
            return Err(fields.unsupported(format!(
                "`architectures` names `{name}`; token classification is supported for {}",
                Family::list(|family| !family.is_causal())
            )));
        }
        Ok(Head::TokenClassification)
    } else {
        // Heads for pretraining (masked words, next sentence) are left out of an encoder; their tensors are skipped by name.
        Ok(default)
    }
}

fn labels(fields: &Fields<'_>) -> Result<Vec<String>, ModelError> {
    if let Some(table) = fields.get("id2label").and_then(Value::as_object) {
        let mut labels = Vec::with_capacity(table.len());
        for id in 0..table.len() {
            let label = table.get(&id.to_string()).and_then(Value::as_str);
            labels.push(
                label
                    .ok_or_else(|| {
                        fields.malformed(format!(
                            "`id2label` has {} entries, but none for `{id}`",
                            table.len()
                        ))
                    })?
                    .to_owned(),
            );
        }
        return Ok(labels);
    }
    // The default of `transformers` is two classes.
    let count = fields.size_or("num_labels", 2)?;
    Ok((0..count).map(|id| format!("LABEL_{id}")).collect())
}

fn end_tokens(fields: &Fields<'_>) -> Result<Vec<u32>, ModelError> {
    match fields.get("eos_token_id") {
        Some(Value::Array(list)) => list
            .iter()
            .map(|value| {
                let token = value.as_u64().and_then(|token| u32::try_from(token).ok());
                token.ok_or_else(|| fields.wrong("eos_token_id", "token numbers"))
            })
            .collect(),
        _ => Ok(fields.token("eos_token_id")?.into_iter().collect()),
    }
}

/// Typed access to the fields of a `config.json`.
pub(super) struct Fields<'a> {
    raw: &'a Map<String, Value>,
    path: &'a Path,
}

impl Fields<'_> {
    /// A field that is there and not null.
    fn get(&self, key: &str) -> Option<&Value> {
        self.raw.get(key).filter(|value| !value.is_null())
    }

    fn malformed(&self, problem: String) -> ModelError {
        ModelError::malformed(self.path, problem)
    }

    fn unsupported(&self, problem: String) -> ModelError {
        ModelError::unsupported(self.path, problem)
    }

    fn wrong(&self, key: &str, expected: &str) -> ModelError {
        let found = self.raw.get(key).unwrap_or(&Value::Null);
        self.malformed(format!("`{key}` is `{found}`, expected {expected}"))
    }

    fn text(&self, key: &str) -> Result<Option<&str>, ModelError> {
        self.get(key)
            .map(|value| value.as_str().ok_or_else(|| self.wrong(key, "a string")))
            .transpose()
    }

    /// A size: at least 1, and small enough that products of a few of them do not overflow.
    fn size(&self, key: &str) -> Result<usize, ModelError> {
        let value = self
            .get(key)
            .ok_or_else(|| self.malformed(format!("`{key}` is missing")))?;
        match value.as_u64() {
            Some(size @ 1..=16_777_216) => Ok(size as usize),
            _ => Err(self.wrong(key, "a whole number from 1 to 16777216")),
        }
    }

    fn size_or(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        match self.get(key) {
            Some(_) => self.size(key),
            None => Ok(default),
        }
    }

    fn number_or(&self, key: &str, default: f64) -> Result<f64, ModelError> {
        match self.get(key) {
            Some(value) => value
                .as_f64()
                .filter(|number| number.is_finite() && *number > 0.0)
                .ok_or_else(|| self.wrong(key, "a number above 0")),
            None => Ok(default),
        }
    }

    fn flag_or(&self, key: &str, default: bool) -> Result<bool, ModelError> {
        match self.get(key) {
            Some(value) => value
                .as_bool()
                .ok_or_else(|| self.wrong(key, "true or false")),
            None => Ok(default),
        }
    }

    fn token(&self, key: &str) -> Result<Option<u32>, ModelError> {
        self.get(key)
            .map(|value| {
                // Some files write -1 for "none".
                if value.as_i64() == Some(-1) {
                    return Ok(None);
                }
                let token = value.as_u64().and_then(|token| u32::try_from(token).ok());
                token
                    .map(Some)
                    .ok_or_else(|| self.wrong(key, "a token number"))
            })
            .transpose()
            .map(Option::flatten)
    }

    /// Refuses a flag that is set otherwise than the one way that is supported.
    fn require_flag(&self, key: &str, only: bool) -> Result<(), ModelError> {
        if self.flag_or(key, only)? == only {
            Ok(())
        } else {
            Err(self.unsupported(format!(
                "`{key}` is `{}`; only `{only}` is supported",
                !only
            )))
        }
    }

    /// Refuses a word that is none of the supported ones; the first is the default.
    fn require_word(&self, key: &str, supported: &[&str]) -> Result<(), ModelError> {
        match self.text(key)? {
            None => Ok(()),
            Some(word) if supported.contains(&word) => Ok(()),
            Some(word) => Err(self.unsupported(format!(
                "`{key}` is `{word}`; supported: `{}`",
                supported.join("`, `")
            ))),
        }
    }

    /// Refuses sizes of which one must be a multiple of the other and is not.
    fn divides(&self, whole: (&str, usize), part: (&str, usize)) -> Result<(), ModelError> {
        if whole.1.is_multiple_of(part.1) {
            Ok(())
        } else {
            Err(self.malformed(format!(
                "`{}` ({}) is no multiple of `{}` ({})",
                whole.0, whole.1, part.0, part.1
            )))
        }
    }
}

#[cfg(test)]
mod tests;
