//! Which class of `transformers` 5 reads a tokenizer.

use serde_json::{Map, Value};

/// How Qwen2's class cuts a text into words.
pub(crate) const QWEN2_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Types of models that have a class of their own where none is named, or the one that is named is left alone.
const OWN_CLASSES: [(&str, &str); 11] = [
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
    ("deberta-v2", "DebertaV2"),
];
/// Types of models whose `tokenizer.json` is read as it is, whatever class is named.
const FILE_ALONE: [&str; 5] = ["mistral", "phi3", "olmo2", "modernbert", "model2vec"];

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
    match class.trim_end_matches("Fast").trim_end_matches("Tokenizer") {
        "PreTrained" | "TokenizersBackend" | "Bloom" => String::new(),
        // Another name of the same class.
        "Bart" => "Roberta".to_owned(),
        class => class.to_owned(),
    }
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
            ("deberta-v2", None, None, "DebertaV2"),
            ("llama", Some("LlamaTokenizerFast"), None, "Llama"),
            ("mistral", Some("LlamaTokenizer"), None, ""),
            ("model2vec", Some("BertTokenizer"), None, ""),
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
}
