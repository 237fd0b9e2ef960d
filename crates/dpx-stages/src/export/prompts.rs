//! How to ask an exported model for a text of each label: exactly what training wrote before the texts.

use crate::sample::end_tokens;
use dpx_nn::model::ModelConfig;
use dpx_nn::text::{EncodePrompt, Tokenizer};
use dpx_schema::{MODEL_SCHEMA_FILE, PublicSchema, StageError};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the prompts in the folder of an exported model.
pub const LABEL_PROMPTS_FILE: &str = "label_prompts.json";

/// What stands for a word in [`Prompts::with_keyword`].
const KEYWORD: &str = "KEYWORD";

/// The content of `label_prompts.json`: what a model is to be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompts {
    /// The prompt template of the experiment, which joins label and text.
    pub template: String,
    /// The prompt of each label, in the declared order.
    pub labels: Vec<LabelPrompt>,
    /// The first label's prompt with a keyword in it; only models that were trained with `keywords` know such prompts.
    pub with_keyword: Option<String>,
    /// What the model writes between prompt and text.
    pub before_text: String,
    /// Ids of the tokens that end a text.
    pub end_tokens: Vec<u32>,
    /// Whether texts are conversations: turns as the chat template writes them, or where there is none as `User: ...`, a line a turn.
    pub conversations: bool,
}

/// What to ask for a text of one label with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct LabelPrompt {
    pub label: String,
    /// The prompt; no space behind it.
    pub prompt: String,
    /// Its tokens, the model's begin token included where it expects one.
    pub input_ids: Vec<u32>,
}

impl Prompts {
    /// The prompts of the model whose public schema lies in a folder.
    ///
    /// # Errors
    /// The schema cannot be read, or the tokenizer fails.
    pub(super) fn of(
        folder: &Path,
        tokenizer: &Tokenizer,
        config: &ModelConfig,
    ) -> Result<Self, StageError> {
        let schema = PublicSchema::load(folder.join(MODEL_SCHEMA_FILE))?;
        Ok(Self {
            end_tokens: end_tokens(&schema, tokenizer, config),
            ..Self::without_end(&schema, tokenizer)?
        })
    }

    /// What follows from the public schema and the tokenizer in a folder: all but [`Prompts::end_tokens`].
    ///
    /// # Errors
    /// Either cannot be read.
    pub fn read(folder: &Path) -> Result<Self, StageError> {
        let schema = PublicSchema::load(folder.join(MODEL_SCHEMA_FILE))?;
        Self::without_end(&schema, &Tokenizer::load(folder)?)
    }

    fn without_end(schema: &PublicSchema, tokenizer: &Tokenizer) -> Result<Self, StageError> {
        let prompt = schema.parsed_prompt()?;
        let labels = schema.labels.iter().map(|label| {
            let text = prompt.prefix(label);
            Ok(LabelPrompt {
                label: label.clone(),
                input_ids: prompt.encode_prefix(tokenizer, &text)?,
                prompt: text,
            })
        });
        let first = schema.labels.first();
        Ok(Self {
            template: schema.prompt.clone(),
            labels: labels.collect::<Result<_, StageError>>()?,
            with_keyword: first.map(|label| prompt.prefix_with_keyword(label, KEYWORD)),
            before_text: prompt.gap().to_owned(),
            end_tokens: Vec::new(),
            conversations: schema.conversations,
        })
    }

    /// The bytes of [`LABEL_PROMPTS_FILE`].
    ///
    /// # Errors
    /// None for strings and numbers; the serializer's own.
    pub fn to_json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}
