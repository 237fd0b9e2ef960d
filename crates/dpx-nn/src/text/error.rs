//! What can go wrong with tokenizers, prompts and schemas.

use std::path::PathBuf;

/// A tokenizer, prompt or schema that cannot be used. Never quotes a private text.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum TextError {
    /// A folder without any known tokenizer file.
    #[error(
        "`{}` holds no tokenizer: expected `tokenizer.json`, or `vocab.json` with `merges.txt`, or `vocab.txt`, or `tokenizer.model`, or a GGUF file",
        folder.display()
    )]
    NoTokenizer { folder: PathBuf },
    /// A file that could not be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// A file that is not what its name says.
    #[error("`{}` cannot be understood: {message}", path.display())]
    Malformed { path: PathBuf, message: String },
    /// The tokenizer refused an input: its own words.
    #[error("the tokenizer failed: {0}")]
    Tokenizer(String),
}
