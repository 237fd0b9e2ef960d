//! From an experiment file to instances, keys and the reason for every re-run.
//!
//! - [`Plan`] holds the [`Instance`]s: stages times the axes that reach them, needs before their users.
//! - [`Recipe`] is everything that a key covers but the inputs; [`Recipe::key`] adds them.
//! - [`decide`] says of each instance whether it is cached, will run and why, or runs only if an input comes out
//!   different. `dpx plan` and `dpx run` both ask it, so they cannot disagree.

mod budget;
mod build;
mod decide;
mod decision;
mod flow;
mod group;
mod instance;
mod key;
mod local;
mod memo;
mod seed;
mod sources;
mod view;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use build::build;
pub use decide::decide;
pub use decision::{Decision, Reason, State};
pub use group::{Cause, StageTime, Summary, by_stage, causes, summary, times};
pub use instance::{Axis, Instance, InstanceId, Need, Plan, RunSettings};
pub use key::Recipe;
pub use local::LocalSources;
pub use sources::{Seen, SourceError, Sources, content_identity};
pub use view::{CacheView, Found, NoCache};
