//! `config.json` of the supported architectures, checked: what cannot be computed faithfully is refused by name.

mod deberta;
mod decoder;
mod encoder;
mod family;
mod fields;
mod gpt2;
mod layers;
mod llama;
mod modernbert;
mod neox;
mod rotary;

pub use deberta::Relative;
pub use decoder::{Activation, Biases, DecoderConfig, LayerKind, QueryKeyNorm, Sizes};
pub use encoder::EncoderConfig;
pub use family::Family;
pub use rotary::Rotary;

use super::ModelError;
use super::weights::StoredAs;
use crate::{IS_POINTER, LFS_POINTER, gguf};
use fields::Fields;
pub(super) use fields::INSTEAD_OF_QUANTIZED;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What the body of a model computes, with its sizes.
#[derive(Debug, Clone, PartialEq)]
pub enum Architecture {
    /// Blocks with norms before their layers.
    Decoder(DecoderConfig),
    /// Blocks with norms behind their layers.
    Encoder(EncoderConfig),
    /// A vector for each token (model2vec).
    Static(StaticConfig),
}

/// The sizes of a table of static embeddings: a vector for each token, and no layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticConfig {
    /// Numbers of an embedding.
    pub hidden: usize,
}

impl StaticConfig {
    /// Longest text in tokens, as model2vec reads it.
    const MAX_TOKENS: usize = 512;
}

/// What stands on top of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// Logits of the next token.
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
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct ModelConfig {
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
    /// Reads and checks `FOLDER/config.json`, or the metadata of a GGUF file in its place.
    ///
    /// # Errors
    /// When it is missing, no JSON, or names an architecture or variant that is not supported.
    pub fn read(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("config.json");
        let adapter = folder.join("adapter_config.json");
        if adapter.is_file() {
            return Err(ModelError::unsupported(
                adapter,
                "a PEFT adapter lies beside the model, and `transformers` would load both; merge it (merge_and_unload, \
                 save_pretrained), or take the file away to use the base model alone",
            ));
        }
        let file = gguf::find(folder).map_err(|problem| ModelError::malformed(folder, problem))?;
        if let Some(file) = file {
            let raw = gguf::Gguf::read(&file)
                .and_then(|found| gguf::config(Some(&file), &found))
                .map_err(|problem| ModelError::unsupported(&file, problem))?;
            return Self::parse(raw, &file);
        }
        let text = std::fs::read(&path).map_err(|error| ModelError::read(&path, error))?;
        if text.starts_with(LFS_POINTER) {
            return Err(ModelError::malformed(&path, format!("it {IS_POINTER}")));
        }
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
                return Err(
                    fields.unsupported(format!("`model_type` is missing; supported are {}", all()))
                );
            }
        };
        fields.refuse_quantized()?;
        // Null, too, makes `transformers` look both ways.
        if family.is_causal() && raw.get("is_causal").is_some_and(|flag| *flag != true) {
            return Err(fields.unsupported(format!(
                "`is_causal` is `{}`, by which every token would see those behind it; only `true` is supported in models that write text",
                raw["is_causal"]
            )));
        }
        let architecture = match family {
            Family::Gpt2 => Architecture::Decoder(gpt2::parse(&fields)?),
            Family::GptNeox => Architecture::Decoder(neox::parse(&fields)?),
            Family::Llama
            | Family::Mistral
            | Family::Qwen2
            | Family::Qwen3
            | Family::SmolLm3
            | Family::Phi3
            | Family::Olmo2
            | Family::Gemma3 => Architecture::Decoder(llama::parse(&fields, family)?),
            Family::ModernBert => Architecture::Decoder(modernbert::parse(&fields)?),
            Family::Model2Vec => Architecture::Static(StaticConfig {
                hidden: fields.size("hidden_dim")?,
            }),
            Family::Bert
            | Family::Roberta
            | Family::XlmRoberta
            | Family::DistilBert
            | Family::Electra
            | Family::Mpnet => Architecture::Encoder(EncoderConfig::parse(&fields, family)?),
            Family::DebertaV2 => Architecture::Encoder(deberta::parse(&fields)?),
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

    /// The architecture, as `model_type` of config.json names it.
    pub const fn family(&self) -> Family {
        match &self.architecture {
            Architecture::Decoder(config) => config.family,
            Architecture::Encoder(config) => config.family,
            Architecture::Static(_) => Family::Model2Vec,
        }
    }

    /// `model_type` as the file has it.
    pub const fn model_type(&self) -> &'static str {
        self.family().model_type()
    }

    /// Number of tokens that have an embedding; 0 where the weights alone tell ([`StaticTable`](super::StaticTable)).
    pub const fn vocabulary(&self) -> usize {
        match &self.architecture {
            Architecture::Decoder(config) => config.sizes.vocabulary,
            Architecture::Encoder(config) => config.vocabulary,
            Architecture::Static(_) => 0,
        }
    }

    /// Width of the hidden states, or of static embeddings.
    pub const fn hidden(&self) -> usize {
        match &self.architecture {
            Architecture::Decoder(config) => config.sizes.hidden,
            Architecture::Encoder(config) => config.hidden,
            Architecture::Static(config) => config.hidden,
        }
    }

    /// Blocks, and attention heads of each.
    pub const fn depth(&self) -> (usize, usize) {
        match &self.architecture {
            Architecture::Decoder(config) => (config.sizes.layers, config.sizes.heads),
            Architecture::Encoder(config) => (config.layers, config.heads),
            Architecture::Static(_) => (0, 0),
        }
    }

    /// Most tokens that a text may have.
    pub const fn max_positions(&self) -> usize {
        match &self.architecture {
            Architecture::Decoder(config) => config.sizes.max_positions,
            Architecture::Encoder(config) => config.max_positions(),
            Architecture::Static(_) => StaticConfig::MAX_TOKENS,
        }
    }

    /// Prefix of the body's tensors in files that hold a head too.
    pub const fn prefix(&self) -> &'static str {
        self.family().prefix()
    }

    /// The same body with a classification head over `labels`, as it is written.
    #[must_use]
    pub(crate) fn with_classes(&self, head: Head, labels: &[String]) -> Self {
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
        raw.insert(
            "architectures".into(),
            vec![self.family().class_name(head)].into(),
        );
        config
    }

    /// Writes `FOLDER/config.json`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), ModelError> {
        self.write_as(folder, StoredAs::F32)
    }

    /// Writes `FOLDER/config.json` of a model whose weights are stored in some way.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write_as(&self, folder: &Path, stored_as: StoredAs) -> Result<(), ModelError> {
        let path: PathBuf = folder.join("config.json");
        let mut raw = self.raw.clone();
        raw.insert(
            "architectures".into(),
            vec![self.family().class_name(self.head)].into(),
        );
        raw.insert("vocab_size".into(), self.vocabulary().into());
        // `_name_or_path` is where somebody once read another model from.
        for key in ["torch_dtype", "dtype", "_name_or_path"] {
            raw.remove(key);
        }
        raw.insert("dtype".into(), stored_as.dtype().into());
        let text = format!("{:#}\n", Value::Object(raw));
        std::fs::write(&path, text).map_err(|error| ModelError::write(&path, error))
    }
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
    let classifies =
        name.ends_with("ForSequenceClassification") || name.ends_with("ForTokenClassification");
    if classifies && family == Family::Model2Vec {
        return Err(fields.unsupported(format!(
            "`architectures` names `{name}`; static embeddings have no such head"
        )));
    }
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

#[cfg(test)]
mod tests;
