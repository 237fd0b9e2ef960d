//! The accountants as others call them: against dp_accounting, for groups, and the examples of this crate.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod examples;
mod groups;
mod reference;
