//! What dpx carries: texts, words, feelings and a small language model, each with the README that says where it is from.
//!
//! Bytes alone, in a crate of their own, so that no other crate has them copied into it again when it is compiled.

/// `builtin:emotions`: train, validation and test, gzipped tab-separated values.
pub const EMOTIONS: [&[u8]; 3] = [
    include_bytes!("../emotions/train.tsv.gz"),
    include_bytes!("../emotions/validation.tsv.gz"),
    include_bytes!("../emotions/test.tsv.gz"),
];
/// Source, license and making of `builtin:emotions`, as Markdown.
pub const EMOTIONS_README: &str = include_str!("../emotions/README.md");

/// `builtin:dialogue`: one turn a line, gzipped.
pub const DIALOGUE: &[u8] = include_bytes!("../dialogue/dialogue.txt.gz");
/// Source, license and making of `builtin:dialogue`, as Markdown.
pub const DIALOGUE_README: &str = include_str!("../dialogue/README.md");

/// `builtin:words`: common words with counts, gzipped.
pub const WORDS: &[u8] = include_bytes!("../words/words.txt.gz");
/// Source, license and making of `builtin:words`, as Markdown.
pub const WORDS_README: &str = include_str!("../words/README.md");

/// `builtin:feelings`: words of feelings by emotion, tab-separated values.
pub const FEELINGS: &str = include_str!("../feelings/feelings.tsv");
/// Source, license and making of `builtin:feelings`, as Markdown.
pub const FEELINGS_README: &str = include_str!("../feelings/README.md");

/// Files of the model `builtin:base`: name and content.
pub const BASE_FILES: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("../base/config.json")),
    ("dpx_schema.json", include_bytes!("../base/dpx_schema.json")),
    (
        "model.safetensors",
        include_bytes!("../base/model.safetensors"),
    ),
    (
        "special_tokens_map.json",
        include_bytes!("../base/special_tokens_map.json"),
    ),
    ("tokenizer.json", include_bytes!("../base/tokenizer.json")),
    (
        "tokenizer_config.json",
        include_bytes!("../base/tokenizer_config.json"),
    ),
];
