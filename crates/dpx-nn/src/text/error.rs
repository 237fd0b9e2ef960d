//! What can go wrong with tokenizers, prompts and schemas.

use std::path::PathBuf;

/// A tokenizer, prompt or schema that cannot be used. Never quotes a private text.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// A folder without any known tokenizer file.
    #[error(
        "`{}` holds no tokenizer: expected `tokenizer.json`, or `vocab.json` with `merges.txt`, or `vocab.txt`, or `tokenizer.model`, or a GGUF file",
        folder.display()
    )]
    NoTokenizer {
        /// The folder that was looked in.
        folder: PathBuf,
    },
    /// A file that could not be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file that is not what its name says.
    #[error("`{}` cannot be understood: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was found.
        message: String,
    },
    /// The tokenizer refused an input.
    #[error("the tokenizer failed: {0}")]
    Tokenizer(String),
}
