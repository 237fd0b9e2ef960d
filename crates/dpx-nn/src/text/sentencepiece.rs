//! Tokenizers of sentencepiece, from their pieces, as `transformers` makes them where there is no `tokenizer.json`.

mod proto;

pub(super) use proto::read;

use serde_json::{Map, Value, json};
use std::collections::HashMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Written and merged.
    Normal,
    Unknown,
    /// Stands for something else than its letters.
    Control,
    /// Always one token, wherever it is spelled.
    UserDefined,
    /// Never written.
    Unused,
    Byte,
}

impl Kind {
    /// By its number in files of sentencepiece and of GGUF.
    pub(crate) const fn of(number: u64) -> Option<Self> {
        Some(match number {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) score: f32,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) struct Pieces {
    pub(crate) vocabulary: Vec<Piece>,
    /// The likeliest pieces of a text; else pieces that are merged by rank.
    pub(crate) unigram: bool,
    pub(crate) byte_fallback: bool,
    pub(crate) unknown: usize,
    /// A space stands before every text.
    pub(crate) dummy_prefix: bool,
    pub(crate) remove_extra_whitespaces: bool,
    pub(crate) escape_whitespaces: bool,
    /// Rules of normalization such as those of nmt_nfkc.
    pub(crate) charsmap: Vec<u8>,
    /// Whether pieces that users defined are added tokens, as most converters make them; else they are cut out of the text behind
    /// the space that stands before it, as sentencepiece does.
    pub(crate) user_defined_added: bool,
}

/// How `transformers` builds a tokenizer of pieces, by the class in `tokenizer_config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// As the model of sentencepiece says.
    Plain,
    /// `LlamaTokenizer`: pieces are merged by their numbers, and the space stands as `add_prefix_space` and `legacy` say.
    Llama,
}

impl Class {
    fn of(config: &Map<String, Value>) -> Result<Self, String> {
        let class = config.get("tokenizer_class").and_then(Value::as_str);
        match class.map(|class| class.trim_end_matches("Fast")) {
            None | Some("PreTrainedTokenizer" | "TokenizersBackend") => Ok(Self::Plain),
            Some("LlamaTokenizer") => Ok(Self::Llama),
            Some(other) => Err(format!(
                "a `tokenizer.model` alone is read for `LlamaTokenizer` and without a class, not for `{}`: write \
                 `tokenizer.json` with `transformers` (AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER))",
                other.escape_debug()
            )),
        }
    }
}

impl Pieces {
    /// The content of a `tokenizer.json`, beside a `tokenizer_config.json`.
    ///
    /// # Errors
    /// When the class is one that makes something else of the pieces.
    pub(crate) fn tokenizer(&self, config: &Map<String, Value>) -> Result<Value, String> {
        let class = Class::of(config)?;
        if class == Class::Llama && self.unigram {
            return Err("`tokenizer_class` is `LlamaTokenizer`, but `tokenizer.model` is of the kind unigram: write `tokenizer.json` with the `transformers` that made it".into());
        }
        let normalizer = match class {
            Class::Plain => self.normalizer(),
            Class::Llama => Value::Null,
        };
        let scheme = match class {
            Class::Plain => self.dummy_prefix.then_some("always"),
            Class::Llama => {
                let flag = |key: &str, default: bool| {
                    config.get(key).and_then(Value::as_bool).unwrap_or(default)
                };
                Some(
                    match (flag("add_prefix_space", true), flag("legacy", false)) {
                        (false, _) => "never",
                        (true, true) => "always",
                        (true, false) => "first",
                    },
                )
            }
        };
        let metaspace = |scheme: &str| json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false});
        let mut pre: Vec<Value> = scheme.map(metaspace).into_iter().collect();
        if self.cuts_user_defined(class) {
            let pattern = json!({"Regex": self.user_defined()});
            pre.push(json!({"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false}));
        }
        let pre_tokenizer = match pre.len() {
            0 => Value::Null,
            1 => pre.remove(0),
            _ => json!({"type": "Sequence", "pretokenizers": pre}),
        };
        let decoders = self.decoders(scheme.is_some_and(|scheme| scheme != "never"));
        Ok(json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": self.added(class),
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null,
            "decoder": {"type": "Sequence", "decoders": decoders}, "model": self.model(class),
        }))
    }

    fn decoders(&self, prefixed: bool) -> Vec<Value> {
        let mut decoders =
            vec![json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "})];
        if self.byte_fallback {
            decoders.push(json!({"type": "ByteFallback"}));
        }
        if prefixed {
            decoders.push(json!({"type": "Fuse"}));
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        } else if self.byte_fallback {
            decoders.push(json!({"type": "Fuse"}));
        }
        decoders
    }

    /// The rules of the model, in the order of sentencepiece.
    fn normalizer(&self) -> Value {
        let replace = |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
        let mut rules = Vec::new();
        if !self.charsmap.is_empty() {
            rules.push(
                json!({"type": "Precompiled", "precompiled_charsmap": base64(&self.charsmap)}),
            );
        }
        if self.remove_extra_whitespaces {
            rules.push(replace(json!({"Regex": r"\A +| +\z"}), ""));
            rules.push(replace(json!({"Regex": " {2,}"}), " "));
        }
        if self.escape_whitespaces {
            rules.push(replace(json!({"String": " "}), "▁"));
        }
        if self.dummy_prefix {
            // Metaspace leaves out the space where there is one already, sentencepiece does not.
            rules.push(replace(json!({"Regex": r"\A▁"}), "▁▁"));
        }
        json!({"type": "Sequence", "normalizers": rules})
    }

    fn cuts_user_defined(&self, class: Class) -> bool {
        class == Class::Plain
            && !self.user_defined_added
            && self
                .vocabulary
                .iter()
                .any(|piece| piece.kind == Kind::UserDefined)
    }

    /// A pattern for the pieces that users defined, the longest first.
    fn user_defined(&self) -> String {
        const MEANING: &str = r"\.+*?()|[]{}^$#&-~";
        let pieces = self.vocabulary.iter();
        let defined = pieces.filter(|piece| piece.kind == Kind::UserDefined);
        let mut defined: Vec<&str> = defined.map(|piece| piece.text.as_str()).collect();
        defined.sort_by_key(|text| std::cmp::Reverse(text.chars().count()));
        let escaped = defined.iter().map(|text| {
            let letters = text.chars().flat_map(|letter| {
                let escape = MEANING.contains(letter).then_some('\\');
                escape.into_iter().chain(std::iter::once(letter))
            });
            letters.collect::<String>()
        });
        escaped.collect::<Vec<_>>().join("|")
    }

    fn added(&self, class: Class) -> Vec<Value> {
        let cut = self.cuts_user_defined(class);
        let added = |kind: Kind| match kind {
            Kind::Unknown | Kind::Control => true,
            Kind::UserDefined => !cut,
            Kind::Normal | Kind::Unused | Kind::Byte => false,
        };
        let pieces = self.vocabulary.iter().enumerate();
        pieces
            .filter(|(_, piece)| added(piece.kind))
            .map(|(id, piece)| {
                json!({"id": id, "content": piece.text, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": piece.kind != Kind::UserDefined})
            })
            .collect()
    }

    fn model(&self, class: Class) -> Value {
        if self.unigram {
            let pieces: Vec<Value> = self
                .vocabulary
                .iter()
                .map(|piece| json!([piece.text, piece.score]))
                .collect();
            return json!({"type": "Unigram", "unk_id": self.unknown, "vocab": pieces, "byte_fallback": self.byte_fallback});
        }
        let pieces = self.vocabulary.iter().enumerate();
        let vocabulary: Map<String, Value> = pieces
            .map(|(id, piece)| (piece.text.clone(), id.into()))
            .collect();
        let (unknown, ignore_merges, byte_fallback) = match class {
            Class::Plain => (
                self.vocabulary
                    .get(self.unknown)
                    .map(|piece| piece.text.as_str()),
                self.cuts_user_defined(class),
                self.byte_fallback,
            ),
            Class::Llama => (None, false, true),
        };
        json!({"type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": byte_fallback,
            "ignore_merges": ignore_merges, "vocab": vocabulary, "merges": self.merges(class)})
    }

    /// Every pair of pieces that makes a piece, the best first: by the score of what they make, or by its number.
    fn merges(&self, class: Class) -> Vec<[&str; 2]> {
        let counts = |piece: &Piece| class == Class::Llama || piece.kind == Kind::Normal;
        let known: HashMap<&str, usize> = self
            .vocabulary
            .iter()
            .enumerate()
            .filter(|(_, piece)| counts(piece))
            .map(|(id, piece)| (piece.text.as_str(), id))
            .collect();
        let mut merges: Vec<(f32, usize, [&str; 2])> = Vec::new();
        for (&text, &id) in &known {
            let rank = match class {
                Class::Plain => -self.vocabulary[id].score,
                Class::Llama => 0.0,
            };
            for (at, _) in text.char_indices().skip(1) {
                let (left, right) = text.split_at(at);
                if known.contains_key(left) && known.contains_key(right) {
                    merges.push((rank, id, [left, right]));
                }
            }
        }
        merges.sort_by(|one, other| {
            let by_parts = match class {
                Class::Plain => one.2.cmp(&other.2),
                Class::Llama => one.2[0].len().cmp(&other.2[0].len()),
            };
            one.0
                .total_cmp(&other.0)
                .then(one.1.cmp(&other.1))
                .then(by_parts)
        });
        merges.into_iter().map(|(.., pair)| pair).collect()
    }
}

/// Bytes as base64, as `tokenizer.json` holds rules.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().enumerate().fold(0_u32, |bits, (at, byte)| {
            bits | u32::from(*byte) << (16 - 8 * at)
        });
        for place in 0..4 {
            if place <= group.len() {
                text.push(char::from(
                    LETTERS[(bits >> (18 - 6 * place)) as usize & 63],
                ));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests;
