//! The experiment file: types, parsing, diagnostics.
//!
//! [`load`] reads a file, what it extends and the `--set`s into one tree in which every value remembers where it was
//! written (`parse`, `node`, `load`), compares the tree with the JSON Schemas of the parameter types (`walk`), checks what
//! no schema can say (`check`), and gives back an [`Experiment`] or every mistake at once as [`Diagnostic`]s.

mod auto_labels;
mod check;
mod checked;
mod diagnostic;
mod executor;
mod files;
mod kinds;
mod load;
mod merged;
mod node;
mod parse;
mod read;
mod reference;
mod render;
mod schema;
mod stages;
mod suggest;
mod tables;
mod walk;

#[cfg(test)]
mod tests;

pub use checked::Stage;
pub(crate) use checked::{Combination, REPLICATE, combinations};
pub use checked::{Experiment, SweepAxis};
pub use diagnostic::Diagnostic;
pub use diagnostic::{Code, Severity};
pub use diagnostic::{Fix, Label};
pub use executor::Resources;
pub use executor::{ExecutorKind, ExecutorTable};
pub use files::Origin;
pub use files::{File, Files, Position};
pub use merged::{quoted, relative};
pub use node::Node;
pub use node::{Entry, Table, Value};
pub use read::{Loaded, load};
pub use reference::SourceField;
pub use reference::SourceRef;
pub use reference::source_fields;
pub use render::{render, summary};
pub use schema::document as document_schema;

pub use suggest::did_you_mean;
pub use tables::Devices;
pub use tables::{CacheTable, Enforce, ReleaseTable};
pub use tables::{ExperimentTable, Languages, PrivacyTable, Reference, ReportTable, RunTable};

pub(crate) use checked::followed;
pub(crate) use kinds::KindTable;
