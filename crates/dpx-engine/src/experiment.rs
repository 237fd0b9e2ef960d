//! The experiment file: types, parsing, diagnostics.
//!
//! [`load`] reads a file, what it extends and the `--set`s into one tree in which every value remembers where it was
//! written (`parse`, `node`, `load`), compares the tree with the JSON Schemas of the parameter types (`walk`), chooses what
//! the file leaves to dpx (`chosen`), checks what no schema can say (`check`), and gives back an [`Experiment`] or every mistake at once as [`Diagnostic`]s.

mod auto_labels;
mod check;
mod checked;
mod chosen;
mod diagnostic;
mod executor;
mod files;
mod kinds;
mod load;
mod markdown;
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
mod template;
mod walk;

#[cfg(test)]
mod chosen_tests;
#[cfg(test)]
mod tests;

pub(crate) use checked::{Combination, REPLICATE, combinations, followed};
pub use checked::{Experiment, Stage, SweepAxis};
pub use chosen::Chosen;
pub use diagnostic::{Code, Diagnostic, Fix, Label, Severity};
pub use executor::{ExecutorKind, ExecutorTable, Resources};
pub use files::{File, Files, Origin, Position};
pub use markdown::markdown;
pub use merged::{quoted, relative};
pub use node::{Entry, Node, Table, Value};
pub use read::{Loaded, load};
pub use reference::{SourceField, SourceRef, source_fields};
pub use render::{render, summary};
pub use schema::document as document_schema;
pub use suggest::did_you_mean;
pub use tables::{
    CacheTable, Devices, Enforce, ExperimentTable, Languages, PrivacyTable, Reference,
    ReleaseTable, ReportTable, RunTable,
};
pub use template::{ExecutorFault, SUBMIT_EXAMPLE, submit_fault};

pub(crate) use kinds::KindTable;
pub(crate) use template::{fill, holds};
