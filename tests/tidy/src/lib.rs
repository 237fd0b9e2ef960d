//! Checks of the source that neither cargo nor clippy can hold: `tests/repository.rs` applies them to the repository.
//!
//! Each check is a function of text, so that its own test can hand it a made-up source that breaks the rule. A crate of its own
//! with one small dependency: it builds in seconds, whatever state the others are in.

pub mod code;
pub mod doc_comments;
pub mod documents;
pub mod imports;
pub mod layers;
pub mod rules;
pub mod symbols;
pub mod workspace;
