//! What a model is, from its `config.json`, the headers of its weights and its tokenizer.

use dpx_data::Resolved;
use dpx_nn::model::{Embedding, Head, MODULES_FILE, ModelConfig, ModelError, Weights, is_buffer};
use dpx_nn::text::Tokenizer;
use serde_json::{Map, Value, json};
use std::path::Path;

/// The description as a JSON object.
pub(super) fn json(
    name: &str,
    source: &Resolved,
    config: &ModelConfig,
    tokenizer: Option<&Tokenizer>,
) -> Result<Map<String, Value>, ModelError> {
    let weights = Weights::open(&source.path, config.prefix())?;
    let (layers, heads) = config.depth();
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    put("model", name.into());
    put("architecture", config.model_type().into());
    put("head", head(config).into());
    put(
        "parameters",
        weights.value_count(|name| is_buffer(config, name)).into(),
    );
    put("layers", layers.into());
    put("heads", heads.into());
    put("hidden", config.hidden().into());
    put("vocabulary", config.vocabulary().into());
    put("context", config.max_positions().into());
    put("labels", config.labels.clone().into());
    if let Some(embedding) = embedding(&source.path, config)? {
        put("modules", embedding.modules.into());
        put("prompt", embedding.prompt.into());
        put("longest_text", embedding.max_seq_len.into());
    }
    put(
        "licence",
        licence(source.card_folder()).map_or(Value::Null, Value::from),
    );
    put(
        "tokenizer",
        tokenizer.map_or(Value::Null, |tokenizer| {
            let special = tokenizer.special();
            json!({
                "vocabulary": tokenizer.vocabulary_size(),
                "begin": special.bos,
                "end": tokenizer.end(),
                "padding": tokenizer.pad(),
            })
        }),
    );
    Ok(object)
}

pub(super) fn text(
    name: &str,
    source: &Resolved,
    config: &ModelConfig,
    tokenizer: Option<&Tokenizer>,
) -> Result<String, ModelError> {
    let weights = Weights::open(&source.path, config.prefix())?;
    let parameters = weights.value_count(|name| is_buffer(config, name));
    let (layers, heads) = config.depth();
    let mut lines = vec![
        ("model", name.to_owned()),
        (
            "architecture",
            format!("{}, {}", config.model_type(), head(config)),
        ),
        (
            "size",
            format!(
                "{} parameters: {layers} layers x {}, {heads} heads",
                grouped(parameters),
                config.hidden()
            ),
        ),
        ("context", format!("{} tokens", config.max_positions())),
        (
            "vocabulary",
            format!("{} tokens", grouped(config.vocabulary())),
        ),
    ];
    let spell = |tokenizer: &Tokenizer, id: Option<u32>| {
        id.and_then(|id| tokenizer.token(id).map(|token| format!("{token} ({id})")))
            .unwrap_or_else(|| "none".to_owned())
    };
    lines.push((
        "tokenizer",
        match tokenizer {
            Some(tokenizer) => format!(
                "{} tokens; begin {}, end {}, padding {}",
                grouped(tokenizer.vocabulary_size()),
                spell(tokenizer, tokenizer.special().bos),
                spell(tokenizer, tokenizer.end()),
                spell(tokenizer, Some(tokenizer.pad())),
            ),
            None => "none in the folder".to_owned(),
        },
    ));
    if let Some(embedding) = embedding(&source.path, config)? {
        lines.push((
            "embedding",
            format!(
                "{}; the first {} tokens of a text{}",
                embedding.modules.join(", "),
                grouped(embedding.max_seq_len),
                if embedding.prompt.is_empty() {
                    String::new()
                } else {
                    format!(" behind the prompt {:?}", embedding.prompt)
                }
            ),
        ));
    }
    if !config.labels.is_empty() {
        lines.push(("labels", config.labels.join(", ")));
    }
    lines.push((
        "licence",
        licence(source.card_folder()).unwrap_or_else(|| "not stated in the folder".to_owned()),
    ));
    let lines: Vec<String> = lines
        .into_iter()
        .map(|(key, value)| format!("{key:<13} {value}"))
        .collect();
    Ok(lines.join("\n"))
}

/// How the model serves as an encoder, where it is meant as one.
fn embedding(folder: &Path, config: &ModelConfig) -> Result<Option<Embedding>, ModelError> {
    let is_meant = config.head == Head::Encoder || folder.join(MODULES_FILE).is_file();
    is_meant.then(|| Embedding::of(folder, config)).transpose()
}

const fn head(config: &ModelConfig) -> &'static str {
    match config.head {
        Head::CausalLm => "causal language model",
        Head::Encoder => "encoder",
        Head::SequenceClassification => "text classifier",
        Head::TokenClassification => "token classifier",
    }
}

/// What the model card, or a file of the name, says of the licence.
fn licence(folder: &Path) -> Option<String> {
    let stated = dpx_data::stated_license(folder);
    let file = stated.files.first();
    stated
        .name
        .or(stated.id)
        .or_else(|| file.map(|name| format!("see `{name}` in the folder")))
}

pub(super) fn grouped(number: usize) -> String {
    dpx_schema::grouped(number as u64)
}
