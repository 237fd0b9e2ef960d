//! Errors of the layers.

/// What a network refuses to compute.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A token id that the embedding lacks.
    #[error(
        "token id {id} is outside the model's vocabulary of {vocabulary}; use the tokenizer that belongs to the model"
    )]
    TokenOutOfRange {
        /// The id.
        id: u32,
        /// Size of the vocabulary.
        vocabulary: usize,
    },
    /// A sequence longer than the model's context.
    #[error(
        "a sequence of {length} tokens is longer than the model's context of {context}; cut it or lower the maximum length"
    )]
    TooLong {
        /// Its length.
        length: usize,
        /// Longest sequence that the model takes.
        context: usize,
    },
    /// A sequence without a token where the network needs one.
    #[error("sequence {example} of the batch has no token: give at least one")]
    EmptySequence {
        /// Place of the sequence in the batch.
        example: usize,
    },
    /// A class that the classifier lacks.
    #[error("class {class} is outside the classifier's {classes} classes")]
    ClassOutOfRange {
        /// The class.
        class: u32,
        /// Number of classes.
        classes: usize,
    },
    /// A batch whose targets are of another kind than the network's loss.
    #[error("the batch has {found} for targets where the network needs {expected}")]
    WrongTargets {
        /// Kind in the batch.
        found: &'static str,
        /// Kind that the network needs.
        expected: &'static str,
    },
}
