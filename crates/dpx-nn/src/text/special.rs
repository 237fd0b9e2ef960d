//! The tokens with a role: begin, end, padding and so on.

use serde_json::{Map, Value};

/// Ids of the tokens with a role; a tokenizer need not have all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpecialTokens {
    /// Begins a sequence.
    pub bos: Option<u32>,
    /// Ends a sequence.
    pub eos: Option<u32>,
    /// Fills short sequences up.
    pub pad: Option<u32>,
    /// Stands for what is not in the vocabulary.
    pub unk: Option<u32>,
    /// First token of a BERT input.
    pub cls: Option<u32>,
    /// Last token of a BERT input.
    pub sep: Option<u32>,
    /// The hidden token of masked language modelling.
    pub mask: Option<u32>,
}

/// Keys of `tokenizer_config.json` with the customary spellings that are tried where the key is absent.
pub(super) const ROLES: [(&str, &[&str]); 7] = [
    ("bos_token", &["<s>", "<|endoftext|>", "<|begin_of_text|>"]),
    ("eos_token", &["</s>", "<|endoftext|>", "<|end_of_text|>"]),
    ("pad_token", &["[PAD]", "<pad>"]),
    ("unk_token", &["[UNK]", "<unk>"]),
    ("cls_token", &["[CLS]"]),
    ("sep_token", &["[SEP]"]),
    ("mask_token", &["[MASK]", "<mask>"]),
];

impl SpecialTokens {
    /// Looks the roles up: first as `config` names them, then by their customary spelling.
    pub(super) fn find(config: &Map<String, Value>, id_of: impl Fn(&str) -> Option<u32>) -> Self {
        let ids = ROLES.map(|(key, customary)| match config.get(key) {
            Some(value) => content(value).and_then(&id_of),
            None => customary.iter().find_map(|token| id_of(token)),
        });
        let [bos, eos, pad, unk, cls, sep, mask] = ids;
        Self {
            bos,
            eos,
            pad,
            unk,
            cls,
            sep,
            mask,
        }
    }

    pub(super) fn by_role(&self) -> [Option<u32>; 7] {
        [
            self.bos, self.eos, self.pad, self.unk, self.cls, self.sep, self.mask,
        ]
    }
}

/// A token is written as a string, or as an object with `content`.
pub(super) fn content(value: &Value) -> Option<&str> {
    value
        .as_str()
        .or_else(|| value.get("content").and_then(Value::as_str))
}
