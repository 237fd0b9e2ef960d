//! Typed access to the fields of a `config.json`.

use crate::model::ModelError;
use serde_json::{Map, Value};
use std::path::Path;

/// What to do about quantized weights.
pub(in crate::model) const INSTEAD_OF_QUANTIZED: &str = "give the model that they were made from, or dequantize it with \
     `transformers` (model.dequantize(), save_pretrained), or give a GGUF file of it";

/// Typed access to the fields of a `config.json`.
pub(super) struct Fields<'a> {
    pub(super) raw: &'a Map<String, Value>,
    pub(super) path: &'a Path,
}

impl Fields<'_> {
    /// A field that is there and not null.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.raw.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn malformed(&self, problem: String) -> ModelError {
        ModelError::malformed(self.path, problem)
    }

    pub(super) fn unsupported(&self, problem: String) -> ModelError {
        ModelError::unsupported(self.path, problem)
    }

    pub(super) fn wrong(&self, key: &str, expected: &str) -> ModelError {
        let found = self.raw.get(key).unwrap_or(&Value::Null);
        self.malformed(format!("`{key}` is `{found}`, expected {expected}"))
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, ModelError> {
        self.get(key)
            .map(|value| value.as_str().ok_or_else(|| self.wrong(key, "a string")))
            .transpose()
    }

    /// A size: at least 1, and small enough that products of a few of them do not overflow.
    pub(super) fn size(&self, key: &str) -> Result<usize, ModelError> {
        let value = self
            .get(key)
            .ok_or_else(|| self.malformed(format!("`{key}` is missing")))?;
        match value.as_u64() {
            Some(size @ 1..=16_777_216) => Ok(size as usize),
            _ => Err(self.wrong(key, "a whole number from 1 to 16777216")),
        }
    }

    pub(super) fn size_or(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        match self.get(key) {
            Some(_) => self.size(key),
            None => Ok(default),
        }
    }

    /// A whole number that may be 0.
    pub(super) fn count_or(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        match self.get(key) {
            Some(Value::Number(number)) if number.as_u64() == Some(0) => Ok(0),
            Some(_) => self.size(key),
            None => Ok(default),
        }
    }

    pub(super) fn number_or(&self, key: &str, default: f64) -> Result<f64, ModelError> {
        match self.get(key) {
            Some(value) => value
                .as_f64()
                .filter(|number| number.is_finite() && *number > 0.0)
                .ok_or_else(|| self.wrong(key, "a number above 0")),
            None => Ok(default),
        }
    }

    pub(super) fn flag_or(&self, key: &str, default: bool) -> Result<bool, ModelError> {
        match self.get(key) {
            Some(value) => value
                .as_bool()
                .ok_or_else(|| self.wrong(key, "true or false")),
            None => Ok(default),
        }
    }

    pub(super) fn token(&self, key: &str) -> Result<Option<u32>, ModelError> {
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

    /// Refuses weights that are not stored as plain numbers.
    pub(super) fn refuse_quantized(&self) -> Result<(), ModelError> {
        let Some(table) = self.get("quantization_config") else {
            return Ok(());
        };
        let text = |key: &str| table.get(key).and_then(Value::as_str);
        let set = |key: &str| table.get(key).and_then(Value::as_bool) == Some(true);
        let method = match text("quant_method") {
            Some("bitsandbytes") | None if set("load_in_4bit") => "bitsandbytes, 4 bits",
            Some("bitsandbytes") | None if set("load_in_8bit") => "bitsandbytes, 8 bits",
            Some(method) => method,
            None => "no `quant_method` is named",
        };
        Err(self.unsupported(format!(
            "`quantization_config` says that the weights are quantized ({method}); {INSTEAD_OF_QUANTIZED}"
        )))
    }

    /// Refuses a key that is set, unless it is null or one of the values that change nothing.
    pub(super) fn refuse(&self, key: &str, harmless: &[Value]) -> Result<(), ModelError> {
        match self.get(key) {
            Some(value) if !harmless.contains(value) => Err(self.unsupported(format!(
                "`{key}` is `{value}`, which changes what the model computes in a way that dpx does not know"
            ))),
            _ => Ok(()),
        }
    }

    /// A size where the key may be missing (the default of the family) or null (`otherwise`).
    pub(super) fn size_or_null(
        &self,
        key: &str,
        default: Option<usize>,
        otherwise: usize,
    ) -> Result<usize, ModelError> {
        match self.raw.get(key) {
            None => Ok(default.unwrap_or(otherwise)),
            Some(Value::Null) => Ok(otherwise),
            Some(_) => self.size(key),
        }
    }

    /// Refuses a flag that is set otherwise than the one way that is supported.
    pub(super) fn require_flag(&self, key: &str, only: bool) -> Result<(), ModelError> {
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
    pub(super) fn require_word(&self, key: &str, supported: &[&str]) -> Result<(), ModelError> {
        match self.text(key)? {
            None => Ok(()),
            Some(word) if supported.contains(&word) => Ok(()),
            Some(word) => Err(self.unsupported(format!(
                "`{key}` is `{word}`; supported: `{}`",
                supported.join("`, `")
            ))),
        }
    }

    /// `hidden_size`, and `num_attention_heads`, which divides it.
    pub(super) fn hidden_and_heads(&self) -> Result<(usize, usize), ModelError> {
        let hidden = self.size("hidden_size")?;
        let heads = self.size("num_attention_heads")?;
        self.divides(("hidden_size", hidden), ("num_attention_heads", heads))?;
        Ok((hidden, heads))
    }

    /// Refuses sizes of which one must be a multiple of the other and is not.
    pub(super) fn divides(
        &self,
        whole: (&str, usize),
        part: (&str, usize),
    ) -> Result<(), ModelError> {
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
