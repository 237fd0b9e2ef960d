//! Errors of the layers.

/// What a network refuses to compute.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    /// A token id that the embedding lacks.
    #[error(
        "token id {id} is outside the model's vocabulary of {vocabulary}; use the tokenizer that belongs to the model"
    )]
    TokenOutOfRange { id: u32, vocabulary: usize },
    /// A sequence longer than the model's context.
    #[error(
        "a sequence of {length} tokens is longer than the model's context of {context}; cut it or lower the maximum length"
    )]
    TooLong { length: usize, context: usize },
    /// A sequence without a token where the network needs one.
    #[error("sequence {example} of the batch has no token: give at least one")]
    EmptySequence {
        /// Place of the sequence in the batch.
        example: usize,
    },
    /// A class that the classifier lacks.
    #[error("class {class} is outside the classifier's {classes} classes")]
    ClassOutOfRange { class: u32, classes: usize },
    /// A batch whose targets are of another kind than the network's loss.
    #[error("the batch has {found} for targets where the network needs {expected}")]
    WrongTargets {
        found: &'static str,
        expected: &'static str,
    },
}
