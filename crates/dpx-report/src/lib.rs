//! Tables, charts, the HTML page, CSV and JSON of a study.
//!
//! [`assemble`](assemble::assemble) turns a plan, its records and their artifacts into a [`Study`]; everything else only
//! shows it: [`terminal`], [`html`], [`export`] (JSON, CSV, Markdown), [`texts`] (synthetic texts with their card),
//! [`compare`]. A release is made by [`Release`] and checked by [`verify`]. [`metric`] is the one list of what the metrics are called and
//! mean.

pub mod account;
pub mod advice;
pub mod assemble;
pub mod bibtex;
mod cached_floors;
mod candidates;
mod chart;
mod claim;
pub mod compare;
mod error;
pub mod export;
pub mod facts;
mod fault;
mod floor;
mod format;
mod guarantee;
pub mod html;
mod joint;
pub mod journal;
pub mod latex;
pub mod metric;
mod next;
mod page;
pub mod picture;
pub mod plan_advice;
pub mod planned_budgets;
mod real_texts;
mod release;
mod row_figures;
mod rows;
mod said;
pub mod scored;
mod settings;
mod sources;
pub mod spend;
pub mod standing;
pub mod study;
pub mod table;
pub mod terminal;
mod texts;
pub mod unit_sampling;
mod values;
pub mod verdict;
mod verify;
mod write;

pub use assemble::assemble;
pub use cached_floors::CachedFloors;
pub use error::StudyError;
pub use next::{REHEARSED, next};
pub use real_texts::{Nearest, RealTexts, real_texts};
pub use release::{
    Author, CHECKSUMS_FILE, Disclosure, Export, ExportForm, Format, Group, License, Model, Prior,
    Publication, Release, ReleaseError, Run, STATEMENT_FILE, Selection, Statement, Texts, Wanted,
    write_internal,
};
pub use sources::{Artifacts, AssembleError, Floors, Known, Sources};
pub use study::{InstanceState, Reference, Study};
pub use verify::{Check, Verification, verify};
pub use write::{Extent, FIGURES, figures, result_paths, write_results};

#[cfg(test)]
mod proof;
#[cfg(test)]
mod tests;
