//! Tokenizers, prompts and the public schema of a dataset.
//!
//! [`Tokenizer`] reads and writes what `transformers` reads and writes; [`train_bpe`] makes a new one from public text.
//! [`EncodePrompt`] turns a prompt and a text into one training sequence in the way in which it is later generated.

mod bpe;
mod chat_template;
pub(crate) mod classes;
mod encode;
mod error;
mod load;
mod overrides;
mod passage;
mod reading;
mod rules;
pub(crate) mod sentencepiece;
mod special;
mod tokenizer;
mod words;

pub use bpe::{BpeOptions, train_bpe};
pub use encode::{EncodePrompt, EncodedExample};
pub use error::TextError;
pub use passage::{Joined, Passage};
pub use reading::{TOKENIZER_FILES, has_rules, reading};
pub use special::SpecialTokens;
pub use tokenizer::{AlignedEncoding, Tokenizer};
pub use words::words;

#[cfg(test)]
mod class_tests;
