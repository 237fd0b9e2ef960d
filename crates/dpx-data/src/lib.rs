//! Datasets: readers, the hub, the built-in corpora.
//!
//! [`load`] gives the train, validation and test rows of a dataset, wherever it comes from; [`Source`] finds models and
//! datasets by name: `builtin:NAME`, `hf:OWNER/NAME/CONFIG@REVISION` or a path; [`builtin`] is what the binary carries.

pub mod builtin;
mod card;
mod describe;
mod error;
mod facts;
mod fault;
#[cfg(test)]
mod fault_table;
mod findings;
mod format;
pub mod hub;
mod identity;
mod labels;
mod layout;
mod license;
mod load;
mod messages;
mod name;
mod overlap;
pub mod own_data;
mod owner;
mod people;
mod public;
mod read;
mod request;
mod row;
mod source;
mod split;
mod stored;
mod unique;

pub use describe::{
    Description, Figures, Lengths, PeopleFigures, SplitDescription, columns_of, describe,
    describe_resolved, describe_rows, looks_like_dataset,
};
pub use error::{DataError, Problems};

pub use facts::{Fact, facts};
pub use findings::{DatasetFindings, SplitFindings};
pub use identity::{content_identity, file_digest};
pub use layout::SplitPaths;
pub use license::{StatedLicense, stated_license};
pub use load::load;
pub use messages::ConversationFindings;
pub use name::{HubName, NameError, Role, Source};
pub use overlap::{Overlap, PrivateTexts};
pub use owner::Owner;
pub use people::PeopleFindings;
pub use public::public_text;
pub use read::{ParquetTable, ParquetValues, parquet_page, read_parquet, same_column};
pub use request::{Format, NO_LABEL, Request};
pub use row::{Dataset, Planted, Row, Rows};
pub use source::Resolved;

#[cfg(test)]
mod cases_tests;
#[cfg(test)]
mod tests;
