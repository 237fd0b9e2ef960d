//! What `tokenizer_config.json` and `added_tokens.json` say beside a `tokenizer.json`, where it counts for more.

use super::rules;
use super::special::{self, ROLES};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Tokenizer};

/// Changes a `tokenizer.json` as the class of `transformers` that reads it asks for. Only classes with rules of their own heed the
/// keys of the configuration that tell of rules.
///
/// # Errors
/// What the configuration asks for and the tokenizer has no place for, by key.
pub(super) fn apply(
    tokenizer: &mut Value,
    config: &Map<String, Value>,
    class: &str,
) -> Result<(), String> {
    rules::apply(tokenizer, config, class)?;
    if rules::BERT.contains(&class) {
        normalizer(tokenizer, config)?;
        if let Some(unknown) = role(config, "unk_token")? {
            tokenizer["model"]["unk_token"] = unknown.into();
        }
    }
    if rules::BYTE_LEVEL.contains(&class) {
        prefix_space(tokenizer, config)?;
    }
    Ok(())
}

pub(super) fn flag(config: &Map<String, Value>, key: &str) -> Result<Option<bool>, String> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(format!("`{key}` is `{other}`, expected true or false")),
    }
}

/// The token of a role, where one is named.
pub(super) fn role<'a>(
    config: &'a Map<String, Value>,
    key: &str,
) -> Result<Option<&'a str>, String> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => special::content(value)
            .map(Some)
            .ok_or_else(|| format!("`{key}` is `{value}`, expected a token")),
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
fn normalizer(tokenizer: &mut Value, config: &Map<String, Value>) -> Result<(), String> {
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
        let wanted = flag(config, key)?.map_or(default, Value::Bool);
        for part in parts(
            &mut tokenizer["normalizer"],
            "normalizers",
            "BertNormalizer",
        ) {
            part[field] = wanted.clone();
        }
    }
    Ok(())
}

/// `add_prefix_space`.
fn prefix_space(tokenizer: &mut Value, config: &Map<String, Value>) -> Result<(), String> {
    let wanted = flag(config, "add_prefix_space")?.unwrap_or(false);
    for part in parts(
        &mut tokenizer["pre_tokenizer"],
        "pretokenizers",
        "ByteLevel",
    ) {
        part["add_prefix_space"] = json!(wanted);
    }
    Ok(())
}

/// Adds the tokens that the configuration, or an `added_tokens.json`, names and the tokenizer lacks or reads otherwise: those with
/// numbers in their order, then those with a role, then other special ones.
///
/// # Errors
/// A token that would get another id than the one that is written down, and tokens whose order is not known.
pub(super) fn add_tokens(
    tokenizer: &mut Tokenizer,
    config: &Map<String, Value>,
    added: &Map<String, Value>,
) -> Result<(), String> {
    if flag(config, "split_special_tokens")? == Some(true) {
        return Err(
            "`split_special_tokens` is `true`: prompts could not hold special tokens; only `false` is supported".into(),
        );
    }
    let special = special_tokens(config)?;
    let numbered = numbered(config, added, &special)?;
    let known: HashMap<String, AddedToken> = tokenizer
        .get_added_tokens_decoder()
        .into_values()
        .map(|token| (token.content.clone(), token))
        .collect();
    let mut tokens: Vec<AddedToken> = numbered
        .iter()
        .map(|(_, token, _)| token)
        .filter(|token| known.get(&token.content) != Some(token))
        .cloned()
        .collect();
    let mut own: Option<String> = None;
    for (key, token) in special {
        let content = &token.content;
        let there =
            known.contains_key(content) || tokens.iter().any(|other| other.content == *content);
        if there || content.is_empty() {
            continue;
        }
        if key == Key::Own && tokenizer.token_to_id(content).is_none() {
            // Their order in the file, by which they get their numbers, is not kept.
            if let Some(other) = own.replace(content.clone()) {
                return Err(format!(
                    "it names the tokens `{other}` and `{content}`, which are not in the vocabulary, under keys of their own: \
                     write them to `tokenizer.json` (AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER))"
                ));
            }
        }
        tokens.push(token);
    }
    if !tokens.is_empty() {
        tokenizer
            .add_tokens(tokens)
            .map_err(|error| error.to_string())?;
    }
    for (id, token, place) in &numbered {
        let found = tokenizer.token_to_id(&token.content);
        if found.map(u64::from) != Some(*id) {
            return Err(format!(
                "`{place}` gives `{}` the number {id}, but the tokenizer has it as {}",
                token.content,
                found.map_or_else(|| "none".to_owned(), |found| found.to_string())
            ));
        }
    }
    Ok(())
}

/// The tokens of `added_tokens_decoder`, or where there is none of an `added_tokens.json`, in the order of their numbers, each with
/// the place that names it.
fn numbered(
    config: &Map<String, Value>,
    added: &Map<String, Value>,
    special: &[(Key, AddedToken)],
) -> Result<Vec<(u64, AddedToken, &'static str)>, String> {
    const DECODER: &str = "added_tokens_decoder";
    let is_special = |content: &str| {
        special
            .iter()
            .any(|(key, token)| *key != Key::Own && token.content == content)
    };
    let has_role = |content: &str| {
        special
            .iter()
            .any(|(key, token)| *key != Key::Listed && token.content == content)
    };
    let mut tokens = Vec::new();
    if let Some(decoder) = config.get(DECODER).and_then(Value::as_object) {
        for (id, value) in decoder {
            let id = id
                .parse()
                .map_err(|_| format!("`{DECODER}` has the key `{id}`, expected a token number"))?;
            let mut token = token(value, DECODER)?;
            token.special |= has_role(&token.content);
            tokens.push((id, token, DECODER));
        }
    } else {
        for (content, id) in added {
            let id = id.as_u64().ok_or_else(|| {
                format!("`added_tokens.json` gives `{content}` the number `{id}`")
            })?;
            let token = AddedToken::from(content.as_str(), is_special(content));
            tokens.push((id, token, "added_tokens.json"));
        }
    }
    tokens.sort_by_key(|(id, ..)| *id);
    Ok(tokens)
}

/// Where a special token is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Role,
    /// By a key of its own, such as `image_token`.
    Own,
    /// In `additional_special_tokens` or the like.
    Listed,
}

/// The special tokens that a configuration names, in the order in which `transformers` adds them.
fn special_tokens(config: &Map<String, Value>) -> Result<Vec<(Key, AddedToken)>, String> {
    let mut tokens = Vec::new();
    let order = [
        "bos_token",
        "eos_token",
        "unk_token",
        "sep_token",
        "pad_token",
        "cls_token",
        "mask_token",
    ];
    for key in order {
        if role(config, key)?.is_some() {
            tokens.push((Key::Role, special_token(&config[key], key)?));
        }
    }
    // The older key counts where the newer one is empty.
    let lists = ["extra_special_tokens", "additional_special_tokens"];
    let is_filled = |value: &&Value| match value {
        Value::Array(list) => !list.is_empty(),
        Value::Object(table) => !table.is_empty(),
        _ => false,
    };
    let list = lists
        .into_iter()
        .find_map(|key| Some((key, config.get(key).filter(is_filled)?)));
    let is_own = |key: &str| key.ends_with("_token") && !ROLES.iter().any(|(role, _)| *role == key);
    let is_token = |value: &Value| special::content(value).is_some();
    let own = config
        .iter()
        .filter(|(key, value)| is_own(key) && is_token(value));
    for (key, value) in own {
        tokens.push((Key::Own, special_token(value, key)?));
    }
    match list {
        Some((key, Value::Object(table))) => {
            for value in table.values() {
                tokens.push((Key::Own, special_token(value, key)?));
            }
        }
        Some((key, Value::Array(list))) => {
            for value in list {
                tokens.push((Key::Listed, special_token(value, key)?));
            }
        }
        _ => {}
    }
    Ok(tokens)
}

/// Refuses a tokenizer that puts other tokens before or behind a text than its class does.
pub(super) fn check_around(
    tokenizer: &Tokenizer,
    config: &Map<String, Value>,
    class: &str,
) -> Result<(), String> {
    let Some(keys) = rules::around(class) else {
        return Ok(());
    };
    let encoding = tokenizer
        .encode_fast("a", true)
        .map_err(|error| error.to_string())?;
    let ids = encoding.get_ids();
    for (key, found) in keys.into_iter().zip([ids.first(), ids.last()]) {
        let Some(token) = role(config, key)? else {
            continue;
        };
        if tokenizer.token_to_id(token).as_ref() != found {
            let found = found.and_then(|id| tokenizer.id_to_token(*id));
            return Err(format!(
                "`{class}Tokenizer` of `transformers` puts the `{key}` `{token}` around every text, the tokenizer `{}`; name the token \
                 that the model was trained with, or the class `PreTrainedTokenizerFast`",
                found.unwrap_or_default()
            ));
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

/// The same, as a special one.
fn special_token(value: &Value, key: &str) -> Result<AddedToken, String> {
    let mut token = token(value, key)?;
    if value.get("normalized").is_none() {
        token.normalized = false;
    }
    token.special = true;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use crate::text::Tokenizer;
    use serde_json::{Value, json};
    use tokenizers::models::wordpiece::WordPiece;
    use tokenizers::normalizers::BertNormalizer;
    use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
    use tokenizers::processors::bert::BertProcessing;

    /// A cased `tokenizer.json` beside a configuration.
    fn tokenizer(config: &Value) -> Result<Tokenizer, String> {
        let folder = tempfile::tempdir().unwrap();
        let words = ["[UNK]", "zoe", "Zoe", "zoë", "你好", "你", "好"];
        let around = ["[CLS]", "[SEP]"];
        // Classes of BERT read files alone that put these around a text.
        let by_class = config.get("tokenizer_class").is_some();
        let words: Vec<&str> = words
            .into_iter()
            .chain(around.into_iter().filter(|_| by_class))
            .collect();
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
        if by_class {
            let [begin, end] = [("[CLS]", 7), ("[SEP]", 8)].map(|(token, id)| (token.into(), id));
            inner.with_post_processor(Some(BertProcessing::new(end, begin)));
        }
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
        let by_class = |mut config: Value| {
            config["tokenizer_class"] = "BertTokenizer".into();
            config
        };
        let cased = by_class(json!({"do_lower_case": false, "tokenize_chinese_chars": false}));
        assert_eq!(ids(&cased, text).unwrap(), [2, 4]);
        assert_eq!(
            ids(&by_class(json!({"do_lower_case": false})), text).unwrap(),
            [2, 5, 6]
        );
        let accents = |strip: Value| by_class(json!({"strip_accents": strip}));
        assert_eq!(ids(&accents(json!(false)), "Zoë").unwrap(), [3]);
        assert_eq!(ids(&accents(json!(true)), "Zoë").unwrap(), [1]);
        // The class lowers the case where nothing else is said.
        assert_eq!(
            ids(&json!({"tokenizer_class": "BertTokenizerFast"}), text).unwrap(),
            [1, 5, 6]
        );
        assert!(
            ids(&by_class(json!({"do_lower_case": "yes"})), text)
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
