//! Removing personal data from texts: rules and named entities.
//!
//! A [`Scrubber`] finds [`Span`]s; [`apply`] puts `[EMAIL]`, `[PERSON]` and the like in their place; [`Tally`] counts them and,
//! where the places of personal data are known, says how many were found. None of this is a guarantee: the privacy of a
//! study rests on its training, never on scrubbing.

mod apply;
mod conversation;
mod entities;
mod folded;
mod ner;
mod rules;
mod tally;

pub use apply::{Scrubbed, Scrubber, Span, apply};
pub(crate) use conversation::Placeholders;
pub use ner::Ner;
pub use rules::Rules;
pub use tally::{KindScore, Tally};
