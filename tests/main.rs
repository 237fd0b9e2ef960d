//! What a user sees: the real binary on real files. One binary, one module per subject.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod auto_batch;
mod bad_experiments;
mod binary;
mod browser;
mod chromium;
mod cluster;
mod conversations;
mod device;
mod documents;
mod experiments;
mod export;
mod export_class;
mod faults;
mod hub;
mod inspect;
mod ledger;
mod own_data;
mod people;
mod privacy;
mod public_inputs;
mod readers;
mod real_results;
mod real_study;
mod release;
mod run_binary;
mod run_crash;
mod run_floor;
mod run_plan;
mod run_select;
mod run_support;
mod run_teacher;
mod secure_run;
