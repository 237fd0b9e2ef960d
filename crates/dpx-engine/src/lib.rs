//! Experiment files, plans, cache and runs: all that knows of instances, and nothing that knows of tensors.
//!
//! Read from the top of this list to the bottom: a module imports only from those below it.

pub mod cache;
pub mod clock;
pub mod experiment;
mod pipes;
pub mod plan;
pub mod run;
