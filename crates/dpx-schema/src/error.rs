//! What can go wrong with prompts and schemas.

use std::path::PathBuf;

/// A prompt or schema that cannot be used. Never quotes a private text.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
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
    /// A prompt template that cannot join a label and a text.
    #[error("the prompt `{template}` {problem}: it must hold {expected}")]
    Prompt {
        /// The template as written.
        template: String,
        /// What is wrong with it.
        problem: String,
        /// What it must hold, with an example.
        expected: String,
    },
    /// A label that was never declared.
    #[error(
        "label `{label}` is not declared: the schema lists {}",
        listed(declared)
    )]
    UnknownLabel {
        /// The label asked for.
        label: String,
        /// The declared labels.
        declared: Vec<String>,
    },
}

fn listed(labels: &[String]) -> String {
    if labels.is_empty() {
        return "none".into();
    }
    labels
        .iter()
        .map(|label| format!("`{label}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
