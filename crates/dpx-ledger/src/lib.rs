//! What each group of people has spent: every private run and every release, outside the cache and untouched by its
//! collection.
//!
//! A folder holds one account for all data sets: `ledger.jsonl`, a chain of entries each sealed with a keyed hash over itself
//! and the one before; `head`, the number and seal of the last; `secret`, the key; `units/`, keyed digests of the raw
//! records of each data set. Data sets that share people are one [`Book`]: what was run or released of any of them composes.
//!
//! A run is entered before its first look at the data, a release before its folder becomes visible. What cannot be read, or
//! does not verify, is an error and never an empty ledger.

mod chain;
mod entry;
mod error;
mod files;
mod history;
mod joint;
mod ledger;
mod people;
mod release;
mod secret;
mod selection;

pub use entry::{DataSet, Overlap, Protected, ReleaseEntry, RunEntry, alike};
pub use error::LedgerError;
pub use history::{Book, History};
pub use joint::compose;
pub use ledger::{Ledger, Noted, Standing, now};

pub use people::Units;
pub use release::{PreparedRelease, PriorRelease, ReleaseRequest};
pub use selection::{Candidate, Choice, Considered, Selection, apart, choice, lost};
