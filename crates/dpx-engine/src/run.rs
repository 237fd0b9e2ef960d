//! Running a plan: scheduler, executors, journal, progress, worker protocol.
//!
//! One component talks to the world and one does the work. [`Runner`] owns every decision: it asks [`crate::plan::decide`]
//! what is to be done, takes a key's lock, and hands the instance to a thread of its own, which lays out the inputs, starts
//! the worker process, reads its messages, and commits what it closed. Whatever happens comes back to the runner as a
//! message, in one order, and goes to the [`Observer`]s (journal, live figures, display) as an [`Event`].
//!
//! A stage always runs in a worker, which writes to its staging folder and its state alone and never commits: a late orphan
//! cannot replace anything. Executors start workers: `local` as `dpx worker REQUEST`, from the running program's own image, to
//! end with the runner; `slurm` and `command` have somebody else start `dpx worker --plan PLAN --index I`, on any machine that
//! shares the cache's folder, and watch the files that it leaves (`contract`).

mod contract;
mod control;
mod display;
mod event;
mod executor;
mod follow;
mod freeze;
mod job;
mod live;
mod metrics;
mod observer;
mod options;
mod public_inputs;
mod results;
mod runner;
mod slots;
mod status;
mod task;
mod view;
pub mod worker;

pub use display::{Bars, JsonLines, PlainLines, failures_again};
pub use event::{Event, Finish, Outcome, Planned};
pub use executor::{ExecutorOptions, Launch, Remote, Templates, WorkerCommand, cancel_submissions};
pub use follow::{Follow, Order, leave_terminal, line_for_people, outcome};
pub use freeze::{HubAsset, NamedSource, hub_assets, input_paths, named_sources, pinned, waiting};
pub(crate) use live::Live;
pub use metrics::MetricsObserver;
pub(crate) use observer::JournalObserver;
pub use observer::Observer;
pub use options::{Options, RunError};
pub use results::{OwnFiles, Replaced, ResultsError, ResultsFolder, collect_leftovers, new_folder};
pub use runner::{InstanceResult, RunReport, Runner, Signal, shell_word};
pub use status::{InstanceStatus, RunStatus};
pub use task::TaskWorker;
pub use view::View;
