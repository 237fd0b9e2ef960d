//! Tokenizers, prompts and the public schema of a dataset.
//!
//! [`Tokenizer`] reads and writes what `transformers` reads and writes; [`train_bpe`] makes a new one from public text.
//! [`Prompt`] joins a label and a text into one training sequence in the way in which the sequence is later generated.
//! [`PublicSchema`] is all that a generator may know of the private data: declared labels, prompt, number of examples.

mod bpe;
mod error;
mod load;
mod prompt;
mod schema;
mod special;
mod tokenizer;
mod words;

pub use bpe::{BpeOptions, train_bpe};
pub use error::TextError;
pub use prompt::{EncodedExample, LabelIntegration, Prompt, PromptParts};
pub use schema::{MODEL_SCHEMA_FILE, PublicSchema, SCHEMA_FILE};
pub use special::SpecialTokens;
pub use tokenizer::{AlignedEncoding, Tokenizer};
pub use words::words;
