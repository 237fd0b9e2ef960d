//! From an experiment file to instances, keys and the reason for every re-run.
//!
//! - [`Plan`] holds the [`Instance`]s: stages times the axes that reach them, needs before their users.
//! - [`Recipe`] is everything that a key covers but the inputs; [`Recipe::key`] adds them.
//! - [`decide`] says of each instance whether it is cached, will run and why, or runs only if an input comes out
//!   different. `dpx run` keeps the same [`Decisions`] up to date while artifacts appear, so that it and `dpx plan` cannot
//!   disagree.

mod budget;
mod build;
mod decide;
mod decision;
mod differences;
mod estimate;
mod flow;
mod group;
mod history;
mod instance;
mod key;
mod local;
mod memo;
mod rehearsal;
mod seed;
mod selection;
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
pub(crate) use decide::{Changed, Decisions};
pub use decision::{Decision, Reason, State};
pub use group::{Cause, StageTime, Summary, by_stage, causes, summary, times};
pub(crate) use instance::DeviceNeed;
pub use instance::{Axis, Instance, InstanceId, Need, Plan, RunSettings, WHOLE_STUDY};
pub(crate) use key::Recipe;
pub use local::LocalSources;
pub use rehearsal::rehearsal_of;
pub(crate) use sources::content_identity;
pub use sources::{Seen, SourceError, Sources};
pub use view::{CacheView, Found};
