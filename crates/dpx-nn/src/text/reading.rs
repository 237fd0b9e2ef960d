//! What a key of the cache has to say of a tokenizer beside the content of its folder: by which rules this program reads it, where
//! these are not those of the file. What was computed by the file's own rules, as earlier programs did, then has another key.

use super::{load, overrides, rules};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Files that tell how a tokenizer is read, beside `config.json`; the last one is large, and asked for only where [`has_rules`].
pub const TOKENIZER_FILES: [&str; 3] = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
];

/// Whether the class that reads the tokenizer of a folder replaces the rules of its `tokenizer.json`, by the small files beside it.
pub fn has_rules(folder: &Path) -> bool {
    class(folder).is_some()
}

/// The class that reads the tokenizer of a folder and a digest of its rules, where these cut texts otherwise than the folder's
/// `tokenizer.json` says; none elsewhere, and none of what cannot be read, which the stage that needs it tells.
pub fn reading(folder: &Path) -> Option<String> {
    let class = class(folder)?;
    let content = std::fs::read(folder.join("tokenizer.json")).ok()?;
    let mut tokenizer: Value = serde_json::from_slice(&content).ok()?;
    if class == "Llama" && rules::byte_level(&tokenizer) {
        return None;
    }
    let mut config = load::configuration(folder).ok()?;
    for (key, token) in rules::default_roles(&class) {
        config.entry(key).or_insert(token);
    }
    let of_file = essence(&tokenizer);
    overrides::apply(&mut tokenizer, &config, &class).ok()?;
    let of_class = essence(&tokenizer);
    (of_class != of_file).then(|| {
        let digest = blake3::hash(of_class.to_string().as_bytes()).to_hex();
        format!("{class}Tokenizer, rules {}", &digest[..16])
    })
}

fn class(folder: &Path) -> Option<String> {
    let config = load::configuration(folder).ok()?;
    let class = super::classes::class_of(&config, &load::of_model(folder));
    rules::REPLACED.contains(&class.as_str()).then_some(class)
}

/// Everything but the vocabulary that decides how texts become tokens and tokens texts, written in one way.
fn essence(tokenizer: &Value) -> Value {
    let model = &tokenizer["model"];
    let text = |key: &str| match &model[key] {
        Value::String(text) if text.is_empty() => Value::Null,
        other => other.clone(),
    };
    let flag = |key: &str| Value::Bool(model[key] == true);
    json!({
        "normalizer": plain(&tokenizer["normalizer"]),
        "pre_tokenizer": plain(&tokenizer["pre_tokenizer"]),
        "decoder": decoder(&tokenizer["decoder"]),
        "unk_token": text("unk_token"),
        "unk_id": model["unk_id"],
        "prefix": text("continuing_subword_prefix"),
        "suffix": text("end_of_word_suffix"),
        "dropout": model["dropout"],
        "fuse_unk": flag("fuse_unk"),
        "byte_fallback": flag("byte_fallback"),
        "ignore_merges": flag("ignore_merges"),
    })
}

/// A component without what changes no token (offsets, settings of a decoder of bytes, a sequence of one), in the words of newer files.
fn plain(component: &Value) -> Value {
    const LISTS: [&str; 3] = ["normalizers", "pretokenizers", "decoders"];
    let Value::Object(fields) = component else {
        return component.clone();
    };
    let mut kept = Map::new();
    for (key, value) in fields {
        match value {
            Value::Array(parts) if LISTS.contains(&key.as_str()) => {
                if let ("Sequence", [one]) = (component["type"].as_str().unwrap_or(""), &parts[..])
                {
                    return plain(one);
                }
                kept.insert(key.clone(), parts.iter().map(plain).collect());
            }
            _ if matches!(key.as_str(), "trim_offsets" | "str_rep") => {}
            other => {
                kept.insert(key.clone(), other.clone());
            }
        }
    }
    if component["type"] == "Metaspace" {
        let spaced = kept.remove("add_prefix_space");
        let scheme = if spaced == Some(false.into()) {
            "never"
        } else {
            "always"
        };
        kept.entry("prepend_scheme").or_insert(scheme.into());
        kept.entry("split").or_insert(true.into());
    }
    Value::Object(kept)
}

/// A decoder; that of bytes has settings of its kind alone, which it does not read.
fn decoder(component: &Value) -> Value {
    if component["type"] == "ByteLevel" {
        return "ByteLevel".into();
    }
    plain(component)
}
