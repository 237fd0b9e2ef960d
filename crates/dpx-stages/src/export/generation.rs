//! `generation_config.json` of an exported model: the public model's, with the tokens of this one and the settings of the study.

use super::Prompts;
use dpx_nn::text::Tokenizer;
use dpx_schema::StageError;
use dpx_schema::params::SampleParams;
use serde_json::{Map, Value, json};
use std::path::Path;

const FILE: &str = "generation_config.json";

/// How the study sampled from the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Generation {
    temperature: f64,
    top_k: u64,
    top_p: f64,
    repetition_penalty: f64,
    max_new_tokens: u64,
}

impl From<&SampleParams> for Generation {
    fn from(params: &SampleParams) -> Self {
        Self {
            temperature: params.temperature,
            top_k: params.top_k,
            top_p: params.top_p,
            repetition_penalty: params.repetition_penalty,
            max_new_tokens: params.max_new_tokens,
        }
    }
}

pub(super) fn write(
    generation: Option<Generation>,
    base: Option<&Path>,
    tokenizer: &Tokenizer,
    prompts: &Prompts,
    to: &Path,
) -> Result<(), StageError> {
    let base = base.map(|folder| folder.join(FILE));
    let mut config: Map<String, Value> = match base.filter(|file| file.is_file()) {
        Some(file) => serde_json::from_slice(&std::fs::read(file)?)?,
        None => Map::new(),
    };
    // What the public model is meant to be asked with is not what this one was trained for.
    for key in ["max_length", "min_length", "_from_model_config"] {
        config.remove(key);
    }
    if let Some(begin) = tokenizer.special().bos {
        config.insert("bos_token_id".into(), begin.into());
    }
    let end = match prompts.end_tokens.as_slice() {
        [one] => json!(one),
        several => json!(several),
    };
    if !prompts.end_tokens.is_empty() {
        config.insert("eos_token_id".into(), end);
    }
    config.insert("pad_token_id".into(), tokenizer.pad().into());
    if let Some(asked) = generation {
        let sampling = asked.temperature > 0.0;
        config.insert("do_sample".into(), sampling.into());
        for (key, value) in [
            ("temperature", json!(asked.temperature)),
            // 0 keeps all; left out, `transformers` keeps 50.
            ("top_k", json!(asked.top_k)),
            ("top_p", json!(asked.top_p)),
        ] {
            if sampling {
                config.insert(key.into(), value);
            } else {
                config.remove(key);
            }
        }
        config.insert("repetition_penalty".into(), asked.repetition_penalty.into());
        config.insert("max_new_tokens".into(), asked.max_new_tokens.into());
    }
    let text = format!("{:#}\n", Value::Object(config));
    Ok(std::fs::write(to.join(FILE), text)?)
}
