//! The accountants as others call them: against dp_accounting, for groups, and the examples of this crate.

mod examples;
mod groups;
mod reference;
