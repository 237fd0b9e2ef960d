//! Which class of `transformers` 5 reads a tokenizer, and what such a class makes itself, whatever `tokenizer.json` says.

use serde_json::{Map, Value, json};

/// How Qwen2's class cuts a text into words.
pub(crate) const QWEN2_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Types of models that have a class of their own where none is named, or the one that is named is left alone.
const OWN_CLASSES: [(&str, &str); 10] = [
    ("bert", "Bert"),
    ("distilbert", "Bert"),
    ("electra", "Bert"),
    ("mpnet", "MPNet"),
    ("roberta", "Roberta"),
    ("xlm-roberta", "XLMRoberta"),
    ("gpt2", "GPT2"),
    ("gpt_neox", "GPTNeoX"),
    ("qwen3", "Qwen2"),
    ("gemma3_text", "Gemma"),
];
/// Types of models whose `tokenizer.json` is read as it is, whatever class is named.
const FILE_ALONE: [&str; 4] = ["mistral", "phi3", "olmo2", "modernbert"];

/// The class, without `Tokenizer` and `Fast` at its end; empty where `tokenizer.json` counts as it is. `config` is the content of
/// `tokenizer_config.json`, `model` that of `config.json`.
pub(super) fn class_of(config: &Map<String, Value>, model: &Map<String, Value>) -> String {
    let text = |table: &Map<String, Value>, key: &str| {
        table.get(key).and_then(Value::as_str).map(str::to_owned)
    };
    let model_type = text(model, "model_type").unwrap_or_default();
    // The class of every such model, since that which the Hub's files name is often wrong.
    if model_type == "qwen2" {
        return "Qwen2".into();
    }
    if FILE_ALONE.contains(&model_type.as_str()) {
        return String::new();
    }
    let named = text(config, "tokenizer_class").or_else(|| text(model, "tokenizer_class"));
    let Some(class) = named else {
        let own = OWN_CLASSES.iter().find(|(kind, _)| *kind == model_type);
        return own.map_or_else(String::new, |(_, class)| (*class).to_owned());
    };
    let class = class.trim_end_matches("Fast").trim_end_matches("Tokenizer");
    if matches!(class, "PreTrained" | "TokenizersBackend") {
        String::new()
    } else {
        class.to_owned()
    }
}

/// Gives a byte-level tokenizer the parts that Qwen2's class gives it; another kind is left as it is.
pub(super) fn qwen2(tokenizer: &mut Value, prefix_space: bool) {
    if tokenizer["model"]["type"] != "BPE" {
        return;
    }
    for (key, value) in [
        ("dropout", Value::Null),
        ("unk_token", Value::Null),
        ("fuse_unk", false.into()),
        ("byte_fallback", false.into()),
        ("ignore_merges", false.into()),
    ] {
        tokenizer["model"][key] = value;
    }
    tokenizer["normalizer"] = json!({"type": "NFC"});
    tokenizer["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": QWEN2_WORDS}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": prefix_space, "trim_offsets": true, "use_regex": false},
    ]});
    tokenizer["decoder"] = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
}

/// Whether a class would cut texts otherwise than the file does, so that a folder that names it is read otherwise than it was written.
pub(super) fn cuts_otherwise(class: &str, tokenizer: &Value) -> bool {
    let normalizer = match class {
        "GPT2" | "Roberta" => Value::Null,
        "GPTNeoX" => "NFC".into(),
        _ => return false,
    };
    let words = &tokenizer["pre_tokenizer"];
    let plain = words["type"] == "ByteLevel" && words["use_regex"] != false;
    !plain || tokenizer["normalizer"]["type"] != normalizer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_that_transformers_takes() {
        let class = |model: &str, named: Option<&str>, in_model: Option<&str>| {
            let table = |class: Option<&str>| -> Map<String, Value> {
                class
                    .map(|class| ("tokenizer_class".to_owned(), class.into()))
                    .into_iter()
                    .collect()
            };
            let mut config = table(in_model);
            config.insert("model_type".into(), model.into());
            class_of(&table(named), &config)
        };
        // type(AutoTokenizer.from_pretrained(...)) of transformers 5.24.
        for (model, named, in_model, wanted) in [
            ("qwen2", Some("PreTrainedTokenizerFast"), None, "Qwen2"),
            ("qwen2", None, None, "Qwen2"),
            ("qwen3", Some("TokenizersBackend"), None, ""),
            ("qwen3", None, None, "Qwen2"),
            ("llama", Some("GPT2TokenizerFast"), None, "GPT2"),
            ("llama", Some("PreTrainedTokenizerFast"), None, ""),
            ("llama", None, None, ""),
            ("phi3", Some("GPT2Tokenizer"), None, ""),
            ("modernbert", Some("BertTokenizer"), None, ""),
            ("bert", None, None, "Bert"),
            ("bert", None, Some("PreTrainedTokenizerFast"), ""),
            ("electra", None, Some("DistilBertTokenizer"), "DistilBert"),
        ] {
            assert_eq!(
                class(model, named, in_model),
                wanted,
                "{model} {named:?} {in_model:?}"
            );
        }
    }

    #[test]
    fn cuts_of_the_file_and_of_the_class_are_compared() {
        let plain = json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": true});
        let digits = json!({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}, plain]});
        let with = |words: &Value, normalizer: Value| json!({"pre_tokenizer": words, "normalizer": normalizer});
        assert!(!cuts_otherwise("GPT2", &with(&plain, Value::Null)));
        assert!(cuts_otherwise("GPT2", &with(&digits, Value::Null)));
        assert!(cuts_otherwise(
            "GPT2",
            &with(&plain, json!({"type": "NFC"}))
        ));
        assert!(!cuts_otherwise(
            "GPTNeoX",
            &with(&plain, json!({"type": "NFC"}))
        ));
        assert!(!cuts_otherwise("", &with(&digits, Value::Null)));
    }
}
