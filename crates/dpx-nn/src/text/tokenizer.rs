//! The tokenizer: text to ids and back, as the crate `tokenizers` does it.

use super::passage::Renamed;
use super::special::{ROLES, SpecialTokens};
use super::{TextError, classes, load, rules};
use rayon::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tokenizers::{AddedToken, Encoding, PostProcessor, TruncationDirection};

/// A tokenizer in the layout of Hugging Face, with the roles of its special tokens.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    special: SpecialTokens,
    /// What `tokenizer_config.json` said, kept so that saving loses nothing.
    config: Map<String, Value>,
    starts_with_bos: bool,
    /// Tokens that stand for something else than their letters.
    control: BTreeSet<u32>,
    /// Made when the first text spells one of them.
    renamed: OnceLock<Arc<Renamed>>,
}

/// The tokens of a text with their places in it, special tokens of the model included.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct AlignedEncoding {
    pub ids: Vec<u32>,
    /// Bytes of the original text that each token covers; empty ranges for special tokens.
    pub offsets: Vec<(usize, usize)>,
    /// Number of the word each token is a piece of; none for special tokens.
    pub words: Vec<Option<u32>>,
    /// Whether the token was added by the tokenizer.
    pub special: Vec<bool>,
}

impl Tokenizer {
    /// Reads the tokenizer of a model folder: `tokenizer.json`, or `vocab.json` with `merges.txt` (also under the names
    /// `encoder.json` and `vocab.bpe`), or `tokenizer.model` of sentencepiece, or `vocab.txt`, or that of a GGUF file.
    ///
    /// # Errors
    /// Where none of these is there or one cannot be understood.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, TextError> {
        let folder = folder.as_ref();
        let (inner, config) = load::from_folder(folder)?;
        Ok(Self::new(inner, config))
    }

    /// Reads a tokenizer from the bytes of its `tokenizer.json` and, where there is one, `tokenizer_config.json`.
    ///
    /// # Errors
    /// When they cannot be understood.
    pub fn from_bytes(tokenizer: &[u8], config: Option<&[u8]>) -> Result<Self, TextError> {
        let name = Path::new("tokenizer.json");
        let inner = load::parse(tokenizer, name)?;
        let config = match config {
            Some(bytes) => load::parse_config(bytes, Path::new("tokenizer_config.json"))?,
            None => Map::new(),
        };
        Ok(Self::new(inner, config))
    }

    /// Wraps a tokenizer; `config` is the content of its `tokenizer_config.json`. Truncation and padding are switched off:
    /// callers do both themselves.
    pub(super) fn new(mut inner: tokenizers::Tokenizer, config: Map<String, Value>) -> Self {
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .expect("switching truncation off is always possible");
        let special = SpecialTokens::find(&config, |token| inner.token_to_id(token));
        let starts_with_bos = special.bos.is_some()
            && guarded(|| inner.encode_fast("a", true))
                .is_ok_and(|encoding| encoding.get_ids().first() == special.bos.as_ref());
        Self {
            control: control(&inner, &special),
            renamed: OnceLock::new(),
            inner,
            special,
            config,
            starts_with_bos,
        }
    }

    /// Whether a token stands for something else than its letters: one that is added as special, or has a role.
    pub(super) fn is_control(&self, id: u32) -> bool {
        self.control.contains(&id)
    }

    /// The copy that knows special tokens under other names.
    pub(super) fn renamed(&self) -> Result<&Renamed, TextError> {
        if let Some(renamed) = self.renamed.get() {
            return Ok(renamed);
        }
        let made = Arc::new(Renamed::of(self, super::passage::NAMES)?);
        Ok(self.renamed.get_or_init(|| made))
    }

    /// The tokenizer as its `tokenizer.json`.
    pub(super) fn json(&self) -> Result<Value, TextError> {
        serde_json::to_value(&self.inner).map_err(|error| failed(error.into()))
    }

    /// A text as tokens with their places.
    pub(super) fn with_offsets(&self, text: &str) -> Result<Encoding, TextError> {
        with_offsets(&self.inner, text)
    }

    /// What `tokenizer_config.json` said.
    pub(super) const fn config(&self) -> &Map<String, Value> {
        &self.config
    }

    /// The tokens that are no words: begin, end, padding and the like.
    pub const fn special(&self) -> &SpecialTokens {
        &self.special
    }

    /// The token that ends a generated text: the end token, or where there is none the separator.
    pub fn end(&self) -> Option<u32> {
        self.special.eos.or(self.special.sep)
    }

    /// The token that fills up a batch: the padding token, or where there is none the end token, or 0. It carries no weight.
    pub fn pad(&self) -> u32 {
        self.special.pad.or_else(|| self.end()).unwrap_or(0)
    }

    /// Makes [`Tokenizer::pad`] the padding token by role too, where there is none yet, so that it is written down.
    pub fn settle_pad(&mut self) {
        self.special.pad = Some(self.pad());
        // An explicit null would hide the role.
        if self.config.get("pad_token").is_some_and(Value::is_null) {
            self.config.remove("pad_token");
        }
    }

    /// Whether the model expects its begin token before every sequence (Llama 2 and 3; not GPT-2, not SmolLM2).
    pub(crate) const fn starts_with_bos(&self) -> bool {
        self.starts_with_bos
    }

    /// Size of the vocabulary, added tokens included: one more than the largest id.
    pub fn vocabulary_size(&self) -> usize {
        self.inner
            .get_vocab(true)
            .values()
            .max()
            .map_or(0, |largest| *largest as usize + 1)
    }

    /// The id of a token as the vocabulary spells it.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The spelling of a token, in the tokenizer's own alphabet.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The ids of a text, without any added begin or end.
    ///
    /// # Errors
    /// When the tokenizer cannot represent it (no unknown token in the vocabulary).
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TextError> {
        let encoding = guarded(|| self.inner.encode_fast(text, false))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The ids of a text with the special tokens that the model expects, such as `[CLS] ... [SEP]`.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_with_special(&self, text: &str) -> Result<Vec<u32>, TextError> {
        let encoding = guarded(|| self.inner.encode_fast(text, true))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The same, cut to a number of tokens before special ones are added, which so all stay, and how many tokens there was no room for.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_within(
        &self,
        text: &str,
        max_seq_len: usize,
    ) -> Result<(Vec<u32>, usize), TextError> {
        let processor = self.inner.get_post_processor();
        let around = processor.map_or(0, |processor| processor.added_tokens(false));
        let room = max_seq_len.saturating_sub(around);
        guarded(|| {
            let mut encoding = self.inner.encode_fast(text, false)?;
            let cut = encoding.len().saturating_sub(room);
            encoding.truncate(room, 0, TruncationDirection::Right);
            drop(encoding.take_overflowing());
            let encoding = self.inner.post_process(encoding, None, true)?;
            let mut ids = encoding.get_ids().to_vec();
            // Where not even the special tokens fit.
            ids.truncate(max_seq_len);
            Ok((ids, cut))
        })
    }

    /// [`Tokenizer::encode`] of many texts in parallel, in order.
    ///
    /// # Errors
    /// The first error by position.
    pub fn encode_all<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
    ) -> Result<Vec<Vec<u32>>, TextError> {
        texts
            .par_iter()
            .map(|text| self.encode(text.as_ref()))
            .collect()
    }

    /// The tokens of a text with special tokens and places (bytes of `text`).
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_aligned(&self, text: &str) -> Result<AlignedEncoding, TextError> {
        let encoding = guarded(|| self.inner.encode(text, true))?;
        Ok(AlignedEncoding {
            ids: encoding.get_ids().to_vec(),
            offsets: encoding.get_offsets().to_vec(),
            words: encoding.get_word_ids().to_vec(),
            special: encoding
                .get_special_tokens_mask()
                .iter()
                .map(|flag| *flag == 1)
                .collect(),
        })
    }

    /// The text of ids; special tokens are left out where `skip_special`.
    ///
    /// # Errors
    /// When the decoder fails.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, TextError> {
        guarded(|| self.inner.decode(ids, skip_special))
    }

    /// Adds special tokens to the vocabulary where they are missing and returns the id of each, in order.
    ///
    /// # Errors
    /// When the tokenizer refuses one.
    pub fn add_special_tokens<T: AsRef<str>>(
        &mut self,
        tokens: &[T],
    ) -> Result<Vec<u32>, TextError> {
        self.inner
            .add_special_tokens(
                tokens
                    .iter()
                    .map(|token| AddedToken::from(token.as_ref(), true)),
            )
            .map_err(failed)?;
        self.control = control(&self.inner, &self.special);
        self.renamed = OnceLock::new();
        tokens
            .iter()
            .map(|token| {
                self.id(token.as_ref()).ok_or_else(|| {
                    TextError::Tokenizer(format!("`{}` could not be added", token.as_ref()))
                })
            })
            .collect()
    }

    /// Writes `tokenizer.json`, `tokenizer_config.json` and `special_tokens_map.json`, from which `AutoTokenizer` of
    /// `transformers` loads it. `max_seq_len` is the longest sequence that the model takes.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(
        &self,
        folder: impl AsRef<Path>,
        max_seq_len: Option<usize>,
    ) -> Result<(), TextError> {
        let folder = folder.as_ref();
        let tokenizer = self.inner.to_string(true).map_err(failed)?;
        let mut config = self.config.clone();
        // Where somebody once read another tokenizer from.
        config.remove("name_or_path");
        let mut roles = Map::new();
        for ((key, _), id) in ROLES.iter().zip(self.special.by_role()) {
            if let Some(token) = id.and_then(|id| self.token(id)) {
                config
                    .entry(*key)
                    .or_insert_with(|| Value::String(token.clone()));
                roles.insert((*key).to_owned(), Value::String(token));
            }
        }
        let parts: Value = serde_json::from_str(&tokenizer).unwrap_or_default();
        let class = classes::class_of(&config, &Map::new());
        // A class that cuts texts in its own way would read other tokens than were trained on.
        if !config.contains_key("tokenizer_class") || !rules::reads_alike(&class, &parts, &config) {
            config.insert("tokenizer_class".into(), json!("PreTrainedTokenizerFast"));
        }
        // `tokenizer.json` holds all added tokens; a list of its own would hide those that came later.
        config.remove("added_tokens_decoder");
        config
            .entry("clean_up_tokenization_spaces")
            .or_insert_with(|| json!(false));
        if let Some(max_seq_len) = max_seq_len {
            config.insert("model_max_length".into(), json!(max_seq_len));
        }
        write(&folder.join("tokenizer.json"), &tokenizer)?;
        write(&folder.join("tokenizer_config.json"), &pretty(&config))?;
        write(&folder.join("special_tokens_map.json"), &pretty(&roles))
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "`map_err` hands the error over"
)]
fn failed(error: tokenizers::Error) -> TextError {
    TextError::Tokenizer(error.to_string())
}

/// A text as tokens with their places, by the tokenizer as it is.
pub(super) fn with_offsets(
    inner: &tokenizers::Tokenizer,
    text: &str,
) -> Result<Encoding, TextError> {
    guarded(|| inner.encode(text, false))
}

/// The added tokens that are special, or have a role other than standing for the unknown.
fn control(inner: &tokenizers::Tokenizer, special: &SpecialTokens) -> BTreeSet<u32> {
    let roles = SpecialTokens {
        unk: None,
        ..*special
    };
    let roles = roles.by_role();
    let added = inner.get_added_tokens_decoder();
    let is_control = |(id, token): &(&u32, &AddedToken)| {
        !token.content.is_empty()
            && !token.single_word
            && (token.special || roles.contains(&Some(**id)))
    };
    added.iter().filter(is_control).map(|(id, _)| *id).collect()
}

/// Runs code that panics with some damaged tokenizers.
fn guarded<T>(run: impl FnOnce() -> Result<T, tokenizers::Error>) -> Result<T, TextError> {
    match dpx_schema::guard(run) {
        Some(result) => result.map_err(failed),
        None => Err(TextError::Tokenizer(
            "the files of the tokenizer are damaged: the library that reads them gave up".into(),
        )),
    }
}

fn pretty(map: &Map<String, Value>) -> String {
    serde_json::to_string_pretty(map).expect("a JSON map is always serialisable")
}

fn write(path: &Path, content: &str) -> Result<(), TextError> {
    std::fs::write(path, content).map_err(|source| TextError::File {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
