//! The tokenizer in a GGUF file: byte-level BPE (`gpt2`) and pieces of sentencepiece (`llama`).

use super::{Gguf, Problem};
use crate::text::classes::QWEN2_WORDS;
use crate::text::sentencepiece::{Kind, Piece, Pieces};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Where a tokenizer is not read: what to do.
const INSTEAD: &str = "put the `tokenizer.json` of the original model, with its tokenizer_config.json, into the folder of the GGUF file, and give the folder";

/// How byte-level tokenizers cut texts into words, by `tokenizer.ggml.pre`.
struct Words {
    names: &'static [&'static str],
    normalizer: Option<&'static str>,
    /// Before the byte level; none: as GPT-2.
    split: Option<&'static str>,
    digits: bool,
    /// A word that is a token is never put together by merges.
    ignore_merges: bool,
    begins: bool,
}

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const WORDS: [Words; 6] = [
    Words {
        names: &["gpt-2"],
        normalizer: None,
        split: None,
        digits: false,
        ignore_merges: false,
        begins: false,
    },
    // GPT-NeoX's tokenizer, which Pythia and OLMo share.
    Words {
        names: &["olmo", "mpt"],
        normalizer: Some("NFC"),
        split: None,
        digits: false,
        ignore_merges: false,
        begins: false,
    },
    Words {
        names: &["smollm"],
        normalizer: None,
        split: None,
        digits: true,
        ignore_merges: false,
        begins: false,
    },
    Words {
        names: &["llama-bpe", "llama3", "llama-v3"],
        normalizer: None,
        split: Some(LLAMA3),
        digits: false,
        ignore_merges: true,
        begins: true,
    },
    Words {
        names: &["dbrx"],
        normalizer: None,
        split: Some(LLAMA3),
        digits: false,
        ignore_merges: false,
        begins: false,
    },
    Words {
        names: &["qwen2", "deepseek-r1-qwen"],
        normalizer: Some("NFC"),
        split: Some(QWEN2_WORDS),
        digits: false,
        ignore_merges: false,
        begins: false,
    },
];

/// The content of a `tokenizer.json` and of a `tokenizer_config.json`.
///
/// # Errors
/// When the kind of tokenizer is not supported, or the vocabulary is damaged.
pub(crate) fn tokenizer(gguf: &Gguf) -> Result<(Value, Map<String, Value>), Problem> {
    let kind = gguf.text("tokenizer.ggml.model")?.ok_or_else(|| {
        format!("it holds no tokenizer (`tokenizer.ggml.model` is missing): {INSTEAD}")
    })?;
    let pieces = pieces(gguf)?;
    let mut config = roles(gguf, &pieces)?;
    let flag = |key: &str| gguf.flag(&format!("tokenizer.ggml.{key}"));
    let (tokenizer, begins) = match kind {
        "llama" => (sentencepiece(gguf, pieces)?, true),
        "gpt2" => byte_level(gguf, pieces)?,
        other => {
            return Err(format!(
                "`tokenizer.ggml.model` is `{}`; read are `llama` and `gpt2`: {INSTEAD}",
                other.escape_debug()
            ));
        }
    };
    let begins = flag("add_bos_token")?.unwrap_or(begins) && config.contains_key("bos_token");
    let ends = flag("add_eos_token")?.unwrap_or(false) && config.contains_key("eos_token");
    config.insert("add_bos_token".into(), begins.into());
    config.insert("add_eos_token".into(), ends.into());
    Ok((tokenizer, config))
}

/// Tokens with scores and kinds.
fn pieces(gguf: &Gguf) -> Result<Vec<Piece>, Problem> {
    let tokens = gguf.texts("tokenizer.ggml.tokens")?;
    let types = gguf.numbers("tokenizer.ggml.token_type")?;
    let scores = gguf.numbers("tokenizer.ggml.scores")?;
    let types =
        types.ok_or_else(|| format!("`tokenizer.ggml.token_type` is missing: {INSTEAD}"))?;
    if types.len() != tokens.len() || scores.is_some_and(|scores| scores.len() != tokens.len()) {
        return Err(format!(
            "it has {} tokens and {} types of tokens: it is damaged",
            tokens.len(),
            types.len()
        ));
    }
    let mut known = BTreeMap::new();
    tokens
        .iter()
        .enumerate()
        .map(|(id, text)| {
            if let Some(first) = known.insert(text, id) {
                return Err(format!(
                    "tokens {first} and {id} are the same: which one a text has cannot be told"
                ));
            }
            let kind = Kind::of(types[id] as u64).ok_or_else(|| {
                format!(
                    "token {id} is of the unknown type {}: it is damaged",
                    types[id]
                )
            })?;
            let score = scores.map_or(0.0, |scores| scores[id] as f32);
            if !score.is_finite() {
                return Err(format!("token {id} has the score {score}: it is damaged"));
            }
            Ok(Piece {
                text: text.clone(),
                score,
                kind,
            })
        })
        .collect()
}

/// Tokens with a role, and the chat template.
fn roles(gguf: &Gguf, pieces: &[Piece]) -> Result<Map<String, Value>, Problem> {
    let mut config = Map::new();
    for (key, role) in [
        ("bos_token_id", "bos_token"),
        ("eos_token_id", "eos_token"),
        ("padding_token_id", "pad_token"),
        ("unknown_token_id", "unk_token"),
    ] {
        let key = format!("tokenizer.ggml.{key}");
        if let Some(id) = gguf.whole(&key)? {
            let piece = usize::try_from(id).ok().and_then(|id| pieces.get(id));
            let piece = piece.ok_or_else(|| {
                format!("`{key}` is {id} of {} tokens: it is damaged", pieces.len())
            })?;
            config.insert(role.into(), piece.text.clone().into());
        }
    }
    config.insert("tokenizer_class".into(), "PreTrainedTokenizerFast".into());
    config.insert("clean_up_tokenization_spaces".into(), false.into());
    if let Some(template) = gguf.text("tokenizer.chat_template")? {
        config.insert("chat_template".into(), template.into());
    }
    Ok(config)
}

fn sentencepiece(gguf: &Gguf, pieces: Vec<Piece>) -> Result<Value, Problem> {
    if gguf.numbers("tokenizer.ggml.scores")?.is_none() {
        return Err(format!("`tokenizer.ggml.scores` is missing: {INSTEAD}"));
    }
    let flag = |key: &str, default: bool| {
        let found = gguf.flag(&format!("tokenizer.ggml.{key}"));
        found.map(|found| found.unwrap_or(default))
    };
    let unknown = pieces.iter().position(|piece| piece.kind == Kind::Unknown);
    let found = Pieces {
        unknown: unknown.ok_or_else(|| format!("no token stands for the unknown: {INSTEAD}"))?,
        byte_fallback: pieces.iter().any(|piece| piece.kind == Kind::Byte),
        unigram: false,
        dummy_prefix: flag("add_space_prefix", true)?,
        remove_extra_whitespaces: flag("remove_extra_whitespaces", false)?,
        escape_whitespaces: true,
        charsmap: Vec::new(),
        user_defined_added: true,
        vocabulary: pieces,
    };
    found.tokenizer(&Map::new())
}

fn byte_level(gguf: &Gguf, mut pieces: Vec<Piece>) -> Result<(Value, bool), Problem> {
    let pre = gguf.text("tokenizer.ggml.pre")?;
    let words = WORDS
        .iter()
        .find(|words| pre.is_some_and(|pre| words.names.contains(&pre)))
        .ok_or_else(|| {
            let all: Vec<String> = WORDS
                .iter()
                .flat_map(|words| words.names)
                .map(|name| format!("`{name}`"))
                .collect();
            format!(
                "`tokenizer.ggml.pre`, which tells how texts are cut into words, is {}; known are {}: {INSTEAD}",
                pre.map_or_else(|| "missing".into(), |pre| format!("`{}`", pre.escape_debug())),
                all.join(", ")
            )
        })?;
    // The converter fills the table of tokens up.
    while let Some(last) = pieces.last()
        && last.kind == Kind::Unused
        && last.text == format!("[PAD{}]", pieces.len() - 1)
    {
        pieces.pop();
    }
    let vocabulary: Map<String, Value> = pieces
        .iter()
        .enumerate()
        .map(|(id, piece)| (piece.text.clone(), id.into()))
        .collect();
    let merges = gguf.texts("tokenizer.ggml.merges")?;
    let merges = merges
        .iter()
        .enumerate()
        .map(|(number, merge)| {
            let pair = merge.split_once(' ');
            let (left, right) =
                pair.ok_or_else(|| format!("merge {number} is no pair of tokens: it is damaged"))?;
            Ok([left, right])
        })
        .collect::<Result<Vec<_>, Problem>>()?;
    let mut parts = Vec::new();
    if words.digits {
        parts.push(json!({"type": "Digits", "individual_digits": true}));
    }
    if let Some(pattern) = words.split {
        parts.push(json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false}));
    }
    let bytes = |regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": regex});
    parts.push(bytes(words.split.is_none()));
    let added: Vec<Value> = pieces
        .iter()
        .enumerate()
        .filter(|(_, piece)| matches!(piece.kind, Kind::Control | Kind::UserDefined | Kind::Unknown))
        .map(|(id, piece)| {
            json!({"id": id, "content": piece.text, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": piece.kind != Kind::UserDefined})
        })
        .collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": words.normalizer.map(|kind| json!({"type": kind})),
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": parts},
        "post_processor": bytes(true), "decoder": bytes(true),
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": words.ignore_merges, "vocab": vocabulary, "merges": merges},
    });
    Ok((tokenizer, words.begins))
}
