//! What `tokenizer_config.json` and `added_tokens.json` say beside a `tokenizer.json`, where it counts for more.

use super::classes;
use serde_json::{Map, Value, json};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Tokenizer};

/// Classes of `transformers` that make their normalizer of their own arguments, whatever `tokenizer.json` says.
const BERT_CLASSES: [&str; 5] = ["Bert", "DistilBert", "Electra", "MPNet", "LayoutLM"];
/// Classes that do so with the space before a text.
const BYTE_LEVEL_CLASSES: [&str; 2] = ["GPT2", "Roberta"];

/// Changes a `tokenizer.json` as the configuration, and the class of `transformers` that reads it, ask for.
///
/// # Errors
/// What the configuration asks for and the tokenizer has no place for, by key.
pub(super) fn apply(
    tokenizer: &mut Value,
    config: &Map<String, Value>,
    class: &str,
) -> Result<(), String> {
    if class == "Qwen2" {
        let spaced = flag(config, "add_prefix_space")?;
        classes::qwen2(tokenizer, spaced.unwrap_or(false));
    }
    normalizer(tokenizer, config, BERT_CLASSES.contains(&class))?;
    prefix_space(tokenizer, config, BYTE_LEVEL_CLASSES.contains(&class))
}

fn flag(config: &Map<String, Value>, key: &str) -> Result<Option<bool>, String> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(format!("`{key}` is `{other}`, expected true or false")),
    }
}

/// Every part of a type within a component that may be a sequence of parts.
fn parts<'a>(component: &'a mut Value, list: &str, kind: &str) -> Vec<&'a mut Value> {
    if component.get("type").and_then(Value::as_str) == Some(kind) {
        return vec![component];
    }
    let inner = component.get_mut(list).and_then(Value::as_array_mut);
    inner
        .into_iter()
        .flatten()
        .filter(|part| part.get("type").and_then(Value::as_str) == Some(kind))
        .collect()
}

/// `do_lower_case`, `strip_accents`, `tokenize_chinese_chars`.
fn normalizer(
    tokenizer: &mut Value,
    config: &Map<String, Value>,
    by_class: bool,
) -> Result<(), String> {
    let component = &mut tokenizer["normalizer"];
    let mut has = |kind: &str| !parts(component, "normalizers", kind).is_empty();
    // Precompiled rules of sentencepiece may lower the case.
    let lowers = has("BertNormalizer") || has("Lowercase") || has("Precompiled");
    if flag(config, "do_lower_case")? == Some(true) && !lowers {
        return Err(
            "`do_lower_case` is `true`, but the normalizer of `tokenizer.json` lowers no case"
                .into(),
        );
    }
    for (key, field, default) in [
        ("do_lower_case", "lowercase", Value::Bool(true)),
        (
            "tokenize_chinese_chars",
            "handle_chinese_chars",
            Value::Bool(true),
        ),
        // Null: accents go where the case is lowered.
        ("strip_accents", "strip_accents", Value::Null),
    ] {
        let wanted = match flag(config, key)? {
            Some(given) => Value::Bool(given),
            None if by_class => default,
            None => continue,
        };
        for part in parts(component, "normalizers", "BertNormalizer") {
            part[field] = wanted.clone();
        }
    }
    Ok(())
}

/// `add_prefix_space`.
fn prefix_space(
    tokenizer: &mut Value,
    config: &Map<String, Value>,
    by_class: bool,
) -> Result<(), String> {
    let wanted = match flag(config, "add_prefix_space")? {
        Some(wanted) => wanted,
        None if by_class => false,
        None => return Ok(()),
    };
    for part in parts(
        &mut tokenizer["pre_tokenizer"],
        "pretokenizers",
        "ByteLevel",
    ) {
        part["add_prefix_space"] = json!(wanted);
    }
    Ok(())
}

/// Adds the tokens that the configuration, or an `added_tokens.json`, names and the tokenizer lacks, in the order of their ids.
///
/// # Errors
/// A token that would get another id than the one that is written down.
pub(super) fn add_tokens(
    tokenizer: &mut Tokenizer,
    config: &Map<String, Value>,
    added: &Map<String, Value>,
) -> Result<(), String> {
    let mut tokens: Vec<(u64, AddedToken, &str)> = Vec::new();
    let decoder = config
        .get("added_tokens_decoder")
        .and_then(Value::as_object);
    for (id, value) in decoder.into_iter().flatten() {
        let id = id.parse().map_err(|_| {
            format!("`added_tokens_decoder` has the key `{id}`, expected a token number")
        })?;
        tokens.push((
            id,
            token(value, "added_tokens_decoder")?,
            "added_tokens_decoder",
        ));
    }
    for (content, id) in added {
        let id = id
            .as_u64()
            .ok_or_else(|| format!("`added_tokens.json` gives `{content}` the number `{id}`"))?;
        let known = tokens.iter().any(|(_, token, _)| token.content == *content);
        if !known {
            let token = AddedToken::from(content.as_str(), false);
            tokens.push((id, token, "added_tokens.json"));
        }
    }
    tokens.sort_by_key(|(id, ..)| *id);
    for (id, token, place) in tokens {
        let content = token.content.clone();
        if tokenizer.token_to_id(&content).is_none() {
            add(tokenizer, token)?;
        }
        let found = tokenizer.token_to_id(&content);
        if found.map(u64::from) != Some(id) {
            return Err(format!(
                "`{place}` gives `{content}` the number {id}, but the tokenizer has it as {}",
                found.map_or_else(|| "none".to_owned(), |found| found.to_string())
            ));
        }
    }
    for key in ["additional_special_tokens", "extra_special_tokens"] {
        let list: Vec<&Value> = match config.get(key) {
            Some(Value::Array(list)) => list.iter().collect(),
            Some(Value::Object(table)) => table.values().collect(),
            _ => continue,
        };
        for value in list {
            let mut token = token(value, key)?;
            token.special = true;
            if tokenizer.token_to_id(&token.content).is_none() {
                add(tokenizer, token)?;
            }
        }
    }
    Ok(())
}

/// Puts begin and end tokens where `add_bos_token` and `add_eos_token` say so.
///
/// # Errors
/// When such a token is asked for and none has the role.
pub(super) fn begin_and_end(
    tokenizer: &mut Tokenizer,
    config: &Map<String, Value>,
) -> Result<(), String> {
    let given = [
        flag(config, "add_bos_token")?,
        flag(config, "add_eos_token")?,
    ];
    if given == [None, None] {
        return Ok(());
    }
    let wanted = given.map(|given| given.unwrap_or(false));
    let mut tokens = Vec::new();
    for (key, wanted) in ["bos_token", "eos_token"].into_iter().zip(wanted) {
        let content = config.get(key).and_then(|value| {
            let content = value.as_str().or_else(|| value.get("content")?.as_str());
            content.map(str::to_owned)
        });
        let id = content
            .as_deref()
            .and_then(|content| tokenizer.token_to_id(content));
        if wanted && id.is_none() {
            return Err(format!("`add_{key}` is `true`, but there is no `{key}`"));
        }
        tokens.push(content.zip(id));
    }
    let encoding = tokenizer
        .encode_fast("a", true)
        .map_err(|error| error.to_string())?;
    let ids = encoding.get_ids();
    let found = [ids.first(), ids.last()];
    let same = tokens
        .iter()
        .zip(found)
        .zip(wanted)
        .all(|((token, found), wanted)| {
            token
                .as_ref()
                .is_none_or(|(_, id)| (found == Some(id)) == wanted)
        });
    if same {
        return Ok(());
    }
    let [begin, end] = [0, 1].map(|place| tokens[place].clone().filter(|_| wanted[place]));
    let piece =
        |token: &Option<(String, u32)>| token.as_ref().map(|(content, _)| format!("{content}:0"));
    let template: Vec<String> = [piece(&begin), Some("$A:0".to_owned()), piece(&end)]
        .into_iter()
        .flatten()
        .collect();
    let processor = TemplateProcessing::builder()
        .try_single(template)?
        .special_tokens([begin, end].into_iter().flatten().collect::<Vec<_>>())
        .build()
        .map_err(|error| error.to_string())?;
    tokenizer.with_post_processor(Some(processor));
    Ok(())
}

fn add(tokenizer: &mut Tokenizer, token: AddedToken) -> Result<(), String> {
    let added = if token.special {
        tokenizer.add_special_tokens([token])
    } else {
        tokenizer.add_tokens([token])
    };
    added.map(|_| ()).map_err(|error| error.to_string())
}

/// A token, written as a string or as an object with `content` and flags.
fn token(value: &Value, key: &str) -> Result<AddedToken, String> {
    let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
    if let Value::String(content) = value {
        Ok(AddedToken::from(content.as_str(), true))
    } else {
        let content = value.get("content").and_then(Value::as_str);
        let content = content.ok_or_else(|| format!("`{key}` holds a token without `content`"))?;
        let special = flag("special");
        let token = AddedToken::from(content, special)
            .lstrip(flag("lstrip"))
            .rstrip(flag("rstrip"))
            .single_word(flag("single_word"));
        let normalized = value.get("normalized").and_then(Value::as_bool);
        Ok(token.normalized(normalized.unwrap_or(!special)))
    }
}

#[cfg(test)]
mod tests {
    use crate::text::Tokenizer;
    use serde_json::{Value, json};
    use tokenizers::models::wordpiece::WordPiece;
    use tokenizers::normalizers::BertNormalizer;
    use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

    /// A cased `tokenizer.json` beside a configuration.
    fn tokenizer(config: &Value) -> Result<Tokenizer, String> {
        let folder = tempfile::tempdir().unwrap();
        let words = ["[UNK]", "zoe", "Zoe", "zoë", "你好", "你", "好"];
        let vocabulary = folder.path().join("vocab.txt");
        std::fs::write(&vocabulary, words.join("\n")).unwrap();
        let model = WordPiece::from_file(&vocabulary.to_string_lossy())
            .unk_token("[UNK]".into())
            .build()
            .unwrap();
        let mut inner = tokenizers::Tokenizer::new(model);
        let normalizer = BertNormalizer::new(true, false, Some(false), false);
        inner.with_normalizer(Some(normalizer)).unwrap();
        inner.with_pre_tokenizer(Some(BertPreTokenizer));
        inner
            .save(folder.path().join("tokenizer.json"), false)
            .unwrap();
        let path = folder.path().join("tokenizer_config.json");
        std::fs::write(path, config.to_string()).unwrap();
        Tokenizer::load(folder.path()).map_err(|error| error.to_string())
    }

    /// The ids of a text by that tokenizer.
    fn ids(config: &Value, text: &str) -> Result<Vec<u32>, String> {
        let ids = tokenizer(config)?.encode(text);
        ids.map_err(|error| error.to_string())
    }

    #[test]
    fn the_configuration_counts_for_more_than_the_normalizer() {
        let text = "Zoe 你好";
        assert_eq!(ids(&json!({}), text).unwrap(), [2, 4]);
        assert_eq!(ids(&json!({"do_lower_case": true}), text).unwrap(), [1, 4]);
        assert_eq!(
            ids(&json!({"tokenize_chinese_chars": true}), text).unwrap(),
            [2, 5, 6]
        );
        let accents = |strip: Value| json!({"do_lower_case": true, "strip_accents": strip});
        assert_eq!(ids(&accents(json!(false)), "Zoë").unwrap(), [3]);
        assert_eq!(ids(&accents(json!(true)), "Zoë").unwrap(), [1]);
        // The class lowers the case where nothing else is said.
        assert_eq!(
            ids(&json!({"tokenizer_class": "BertTokenizerFast"}), text).unwrap(),
            [1, 5, 6]
        );
        assert!(
            ids(&json!({"do_lower_case": "yes"}), text)
                .unwrap_err()
                .contains("`do_lower_case`")
        );
    }

    #[test]
    fn begin_and_end_tokens_stand_where_the_configuration_says() {
        let config = |begin: bool, end: bool| json!({"bos_token": "zoe", "eos_token": {"content": "好"}, "add_bos_token": begin, "add_eos_token": end});
        let with_special = |config: &Value| {
            let folder = tempfile::tempdir().unwrap();
            let words = ["[UNK]", "zoe", "Zoe", "[CLS]", "[SEP]", "好"];
            std::fs::write(folder.path().join("vocab.txt"), words.join("\n")).unwrap();
            let path = folder.path().join("tokenizer_config.json");
            std::fs::write(path, config.to_string()).unwrap();
            let tokenizer = Tokenizer::load(folder.path()).map_err(|error| error.to_string())?;
            let ids = tokenizer.encode_with_special("Zoe").unwrap();
            Ok::<_, String>((ids, tokenizer.starts_with_bos()))
        };
        let cased = |mut config: Value| {
            config["do_lower_case"] = false.into();
            with_special(&config)
        };
        assert_eq!(cased(config(true, false)).unwrap(), (vec![1, 2], true));
        assert_eq!(cased(config(true, true)).unwrap(), (vec![1, 2, 5], true));
        let error = cased(json!({"add_bos_token": true})).unwrap_err();
        assert!(error.contains("`add_bos_token`"), "{error}");
        // `tokenizer.json` counts for more.
        let own = tokenizer(&config(true, true)).unwrap();
        assert_eq!(own.encode_with_special("Zoe").unwrap(), [2]);
        assert!(!own.starts_with_bos());
    }

    #[test]
    fn tokens_are_added_under_their_numbers() {
        let config = |id: &str| {
            json!({"added_tokens_decoder": {id: {"content": "<x>", "special": true}},
                "additional_special_tokens": ["<y>"]})
        };
        assert_eq!(ids(&config("7"), "Zoe<x><y>").unwrap(), [2, 7, 8]);
        let error = ids(&config("9"), "Zoe").unwrap_err();
        assert!(error.contains("`<x>` the number 9"), "{error}");
    }
}
