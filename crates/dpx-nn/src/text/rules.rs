//! The rules that classes of `transformers` 5 make of a vocabulary, whatever the rest of its `tokenizer.json` says.

use super::classes::QWEN2_WORDS;
use super::overrides::{flag, role};
use serde_json::{Map, Value, json};

/// Classes that read a `tokenizer.json` as it is.
const FILE_ALONE: [&str; 4] = ["", "PreTrained", "TokenizersBackend", "Bloom"];
/// Classes of word pieces.
pub(super) const BERT: [&str; 5] = ["Bert", "DistilBert", "Electra", "MPNet", "LayoutLM"];
/// Classes of byte-level pieces, of which dpx takes the words of the file (docs/models.md#architectures).
pub(super) const BYTE_LEVEL: [&str; 3] = ["GPT2", "GPTNeoX", "Roberta"];
/// Classes that replace all that is not the vocabulary.
pub(super) const REPLACED: [&str; 5] = ["Qwen2", "Llama", "Gemma", "XLMRoberta", "DebertaV2"];

/// What to do about a class that does not fit.
const INSTEAD: &str =
    "if `tokenizer.json` holds all rules of the tokenizer, write `PreTrainedTokenizerFast` there";

/// Gives a `tokenizer.json` the rules of a class.
///
/// # Errors
/// For a class whose rules are not known, or that is not one of such a vocabulary.
pub(super) fn apply(
    tokenizer: &mut Value,
    config: &Map<String, Value>,
    class: &str,
) -> Result<(), String> {
    if FILE_ALONE.contains(&class) {
        return Ok(());
    }
    let known = || BERT.into_iter().chain(BYTE_LEVEL).chain(REPLACED);
    if !known().any(|known| known == class) {
        let known: Vec<String> = known().map(|class| format!("`{class}Tokenizer`")).collect();
        return Err(format!(
            "`tokenizer_class` is `{}Tokenizer`, whose rules dpx does not know; known are {} and `PreTrainedTokenizerFast`; {INSTEAD}",
            class.escape_debug(),
            known.join(", ")
        ));
    }
    let fits = match class {
        _ if BERT.contains(&class) => {
            // Older files do not name the kind of their model.
            (is(&tokenizer["model"], "WordPiece") || tokenizer["model"]["type"].is_null())
                && has(&tokenizer["normalizer"], "normalizers", "BertNormalizer")
                && is(&tokenizer["pre_tokenizer"], "BertPreTokenizer")
        }
        _ if BYTE_LEVEL.contains(&class) => {
            is(&tokenizer["model"], "BPE")
                && has(&tokenizer["pre_tokenizer"], "pretokenizers", "ByteLevel")
        }
        "XLMRoberta" | "DebertaV2" => is(&tokenizer["model"], "Unigram"),
        "Qwen2" => is(&tokenizer["model"], "BPE"),
        _ => is(&tokenizer["model"], "BPE") && !byte_level(tokenizer),
    };
    if !fits {
        return Err(format!(
            "`tokenizer_class` is `{class}Tokenizer`, but `tokenizer.json` holds a tokenizer of another kind; {INSTEAD}"
        ));
    }
    match class {
        "Qwen2" => qwen2(tokenizer, config),
        "Llama" => llama(tokenizer, config),
        "Gemma" => gemma(tokenizer, config),
        "XLMRoberta" => xlm_roberta(tokenizer, config),
        "DebertaV2" => deberta(tokenizer, config),
        _ => Ok(()),
    }
}

/// Whether a folder that names a class, and holds this `tokenizer.json`, is read by the file.
pub(super) fn reads_alike(class: &str, tokenizer: &Value, config: &Map<String, Value>) -> bool {
    if FILE_ALONE.contains(&class) {
        return true;
    }
    let words = &tokenizer["pre_tokenizer"];
    let set = |key: &str| config.get(key).filter(|value| !value.is_null()).cloned();
    let or = |key: &str, default: bool| set(key).unwrap_or(Value::Bool(default));
    if BERT.contains(&class) {
        let rules = &tokenizer["normalizer"];
        return is(rules, "BertNormalizer")
            && rules["clean_text"] == true
            && rules["lowercase"] == or("do_lower_case", true)
            && rules["handle_chinese_chars"] == or("tokenize_chinese_chars", true)
            && rules["strip_accents"] == set("strip_accents").unwrap_or(Value::Null)
            && is(words, "BertPreTokenizer");
    }
    let normalizer = match class {
        "GPT2" | "Roberta" => Value::Null,
        "GPTNeoX" => "NFC".into(),
        _ => return false,
    };
    is(words, "ByteLevel")
        && words["use_regex"] != false
        && words["add_prefix_space"] == or("add_prefix_space", false)
        && tokenizer["normalizer"]["type"] == normalizer
}

fn is(component: &Value, kind: &str) -> bool {
    component["type"] == kind
}

/// Whether a component is of a kind, or a sequence that holds one.
fn has(component: &Value, list: &str, kind: &str) -> bool {
    let inner = component[list].as_array();
    is(component, kind) || inner.is_some_and(|parts| parts.iter().any(|part| has(part, list, kind)))
}

/// Whether a tokenizer reads bytes under other letters: of such a file `transformers` does not believe that it is Llama's.
pub(super) fn byte_level(tokenizer: &Value) -> bool {
    has(&tokenizer["pre_tokenizer"], "pretokenizers", "ByteLevel")
        || has(&tokenizer["decoder"], "decoders", "ByteLevel")
}

/// The options of BPE that the classes set.
fn bpe(tokenizer: &mut Value, unknown: Value, fuse_unknown: bool, byte_fallback: bool) {
    for (key, value) in [
        ("dropout", Value::Null),
        ("unk_token", unknown),
        ("continuing_subword_prefix", Value::Null),
        ("end_of_word_suffix", Value::Null),
        ("fuse_unk", fuse_unknown.into()),
        ("byte_fallback", byte_fallback.into()),
        ("ignore_merges", false.into()),
    ] {
        tokenizer["model"][key] = value;
    }
}

fn sequence(kind: &str, parts: &[Value]) -> Value {
    json!({"type": "Sequence", kind: parts})
}

fn metaspace(scheme: &str, split: bool) -> Value {
    json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split})
}

fn qwen2(tokenizer: &mut Value, config: &Map<String, Value>) -> Result<(), String> {
    let spaced = flag(config, "add_prefix_space")?.unwrap_or(false);
    bpe(tokenizer, Value::Null, false, false);
    tokenizer["normalizer"] = json!({"type": "NFC"});
    tokenizer["pre_tokenizer"] = sequence(
        "pretokenizers",
        &[
            json!({"type": "Split", "pattern": {"Regex": QWEN2_WORDS}, "behavior": "Isolated", "invert": false}),
            json!({"type": "ByteLevel", "add_prefix_space": spaced, "trim_offsets": true, "use_regex": false}),
        ],
    );
    tokenizer["decoder"] = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
    Ok(())
}

/// A space stands before the first piece of a text, or before every one (`legacy`), or before none.
fn llama(tokenizer: &mut Value, config: &Map<String, Value>) -> Result<(), String> {
    let spaced = flag(config, "add_prefix_space")?.unwrap_or(true);
    let legacy = flag(config, "legacy")?.unwrap_or(false);
    bpe(tokenizer, Value::Null, true, true);
    tokenizer["normalizer"] = Value::Null;
    tokenizer["pre_tokenizer"] = metaspace(
        match (spaced, legacy) {
            (false, _) => "never",
            (true, true) => "always",
            (true, false) => "first",
        },
        false,
    );
    let mut decoders = fused();
    if spaced {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    tokenizer["decoder"] = sequence("decoders", &decoders);
    Ok(())
}

fn gemma(tokenizer: &mut Value, config: &Map<String, Value>) -> Result<(), String> {
    let unknown = role(config, "unk_token")?.unwrap_or("<unk>").to_owned();
    bpe(tokenizer, unknown.into(), true, true);
    tokenizer["normalizer"] =
        json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    tokenizer["pre_tokenizer"] = json!({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false});
    tokenizer["decoder"] = sequence("decoders", &fused());
    Ok(())
}

/// Spaces for their sign, and bytes in one text.
fn fused() -> Vec<Value> {
    vec![
        json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ]
}

fn xlm_roberta(tokenizer: &mut Value, config: &Map<String, Value>) -> Result<(), String> {
    let spaced = flag(config, "add_prefix_space")?.unwrap_or(true);
    let rules = &tokenizer["normalizer"];
    let parts = rules["normalizers"].as_array();
    let all = parts.map_or(std::slice::from_ref(rules), Vec::as_slice);
    let precompiled = all.iter().find(|rule| is(rule, "Precompiled")).cloned();
    tokenizer["normalizer"] = precompiled.unwrap_or(Value::Null);
    tokenizer["model"]["unk_id"] = 3.into();
    tokenizer["model"]["byte_fallback"] = false.into();
    let spaces = metaspace(if spaced { "always" } else { "never" }, true);
    tokenizer["decoder"] = spaces.clone();
    tokenizer["pre_tokenizer"] = sequence(
        "pretokenizers",
        &[json!({"type": "WhitespaceSplit"}), spaces],
    );
    Ok(())
}

fn deberta(tokenizer: &mut Value, config: &Map<String, Value>) -> Result<(), String> {
    let spaced = flag(config, "add_prefix_space")?.unwrap_or(true);
    let unknown = role(config, "unk_token")?.unwrap_or("[UNK]");
    let vocabulary = tokenizer["model"]["vocab"].as_array();
    let place = vocabulary.and_then(|pieces| {
        let is_it = |piece: &Value| piece[0] == unknown && piece[1].as_f64() == Some(0.0);
        pieces.iter().position(is_it)
    });
    tokenizer["model"]["unk_id"] = place.unwrap_or(1).into();
    tokenizer["model"]["byte_fallback"] = false.into();
    let mut rules = Vec::new();
    if flag(config, "do_lower_case")? == Some(true) {
        rules.push(json!({"type": "Lowercase"}));
    }
    rules
        .push(json!({"type": "Replace", "pattern": {"Regex": r"\s{2,}|[\n\r\t]"}, "content": " "}));
    rules.push(json!({"type": "NFC"}));
    rules.push(json!({"type": "Strip", "strip_left": false, "strip_right": true}));
    tokenizer["normalizer"] = sequence("normalizers", &rules);
    let spaces = metaspace(if spaced { "always" } else { "first" }, true);
    let mut words = Vec::new();
    if flag(config, "split_by_punct")? == Some(true) {
        words.push(json!({"type": "Punctuation", "behavior": "Isolated"}));
    }
    words.push(spaces.clone());
    tokenizer["pre_tokenizer"] = sequence("pretokenizers", &words);
    tokenizer["decoder"] = spaces;
    Ok(())
}

/// The tokens that a class puts before and behind every text, whatever the file says; by role.
pub(super) fn around(class: &str) -> Option<[&'static str; 2]> {
    match class {
        "XLMRoberta" => Some(["bos_token", "eos_token"]),
        "Roberta" | "DebertaV2" => Some(["cls_token", "sep_token"]),
        _ => BERT.contains(&class).then_some(["cls_token", "sep_token"]),
    }
}

/// The tokens that a class gives the roles that a configuration does not name.
pub(super) fn default_roles(class: &str) -> Map<String, Value> {
    let text_ends = [("bos_token", "<s>"), ("eos_token", "</s>")];
    let classified = [("cls_token", "<s>"), ("sep_token", "</s>")];
    let others = [("pad_token", "<pad>"), ("mask_token", "<mask>")];
    let of_bert = [
        ("unk_token", "[UNK]"),
        ("sep_token", "[SEP]"),
        ("pad_token", "[PAD]"),
        ("cls_token", "[CLS]"),
        ("mask_token", "[MASK]"),
    ];
    let unknown = ("unk_token", "<unk>");
    let end = "<|endoftext|>";
    let of_gpt2 = [("unk_token", end), ("bos_token", end), ("eos_token", end)];
    let roles: Vec<(&str, &str)> = match class {
        "GPT2" => of_gpt2.to_vec(),
        "GPTNeoX" => [&of_gpt2[..], &[("pad_token", "<|padding|>")]].concat(),
        "Qwen2" => vec![("unk_token", end), ("eos_token", end), ("pad_token", end)],
        "Llama" => [&text_ends[..], &[unknown]].concat(),
        "Gemma" => [
            &[("bos_token", "<bos>"), ("eos_token", "<eos>"), unknown][..],
            &others,
        ]
        .concat(),
        "Roberta" | "XLMRoberta" => [&text_ends[..], &classified, &others, &[unknown]].concat(),
        "MPNet" => [
            &text_ends[..],
            &classified,
            &others,
            &[("unk_token", "[UNK]")],
        ]
        .concat(),
        "DebertaV2" => [
            &of_bert[..],
            &[("bos_token", "[CLS]"), ("eos_token", "[SEP]")],
        ]
        .concat(),
        _ if BERT.contains(&class) => of_bert.to_vec(),
        _ => Vec::new(),
    };
    let token = |(key, token): (&str, &str)| (key.to_owned(), Value::from(token));
    roles.into_iter().map(token).collect()
}
