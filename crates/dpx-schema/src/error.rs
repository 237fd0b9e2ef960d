//! What can go wrong with prompts and schemas.

use std::path::PathBuf;

/// A prompt or schema that cannot be used. Never quotes a private text.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum SchemaError {
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
    /// A prompt template that cannot join a label and a text.
    #[error("the prompt `{template}` {problem}: it must hold {expected}")]
    Prompt {
        template: String,
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
        label: String,
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
