//! dpx runs differentially private synthetic-text studies from one TOML file.
//!
//! Read top to bottom: a module imports only from those below it.

pub mod cache;
pub mod cli;
pub mod data;
pub mod device;
pub mod dp;
pub mod ledger;
pub mod metric;
pub mod model;
pub mod nn;
pub mod plan;
pub mod report;
pub mod run;
pub mod scrub;
pub mod seed;
pub mod spec;
pub mod stage;
pub mod text;
