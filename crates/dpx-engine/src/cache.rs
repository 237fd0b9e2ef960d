//! The cache: objects by digest, records by key, locks, garbage collection.
//!
//! ```text
//! cache/
//!   format.json           version of this layout; written first, read first
//!   identity              random name of the cache, written once: what belongs to it elsewhere is found by it
//!   CACHEDIR.TAG          tells backup tools to pass by
//!   objects/DIGEST        content of one file of an artifact, read-only, named by its BLAKE3 digest
//!   records/KEY.json      what a finished instance produced; appears only when all of its objects are in place
//!   locks/KEY.lock        kernel lock of the runner that works on KEY; its text says who that is; never deleted
//!   locks/KEY.worker      kernel lock of the worker process itself, so that an orphan and its successor never overlap
//!   locking               `kernel`, or `claims` on file systems whose locks other machines do not see; written once
//!   locks/KEY.claims/N    a claim instead of a kernel lock: the highest number holds (`claim.rs`)
//!   locks/use.lock        shared by whoever commits or decides, exclusive for garbage collection
//!   staging/KEY/ATTEMPT/  one worker's request, inputs (second names of objects, where the file system has them), output and
//!                         closing manifest, until it is committed; where the runner does not start workers itself, the
//!                         folder of a task: `task.rs` draws it
//!   state/KEY/            checkpoints of an unfinished instance, found again by the next attempt
//!   runs/RUN.jsonl        journal of one run, locked while the run lives
//!   runs/RUN/             logs of that run's workers, and its live figures
//!   bounds.json           bounds that accountants certified for reports; they go with the runs that they are of
//!   floors/               floors of rows, by the digest of the training texts
//!   rehearsal/            stand-ins of `dpx rehearse`, by study
//!   damaged/              objects and records that were set aside
//!   temporary/            files on their way to their final name; what dead processes left there goes with the next run
//! ```
//!
//! What the next reader sees when power fails: every file that counts is written under a temporary name, synced, renamed,
//! and its folder synced; objects before the record that names them. A worker never writes outside its staging folder and
//! its state; only a runner that holds the key's lock commits. Readers take no lock.

mod ancestry;
mod artifact;
mod checkout;
mod claim;
mod dead;
mod disk;
mod error;
mod gc;
mod identity;
mod journal;
mod layout;
mod lock;
mod locking;
mod remote;
mod store;
mod task;
mod verify;

pub use ancestry::Ancestry;
pub use artifact::{ArtifactReader, Damage};
pub use disk::{Disk, Faults, Step};
pub use error::CacheError;
pub use gc::{BOUNDS, Collection, Doomed, FLOORS, REHEARSAL, Roots, Waste};
pub(crate) use journal::Journal;
pub use journal::RunFile;
pub use lock::{KeyLock, Owner, SharedUse, TryLock};
pub(crate) use lock::{WorkerLock, host};
pub use remote::{
    BadRecord, Created, FileStore, KeyError, Listed, Pushed, Remote, RemoteCheck, RemoteError,
    RemoteGarbage, Store, StoreError, TeamKey,
};
pub(crate) use store::manifest_of_folder;
pub use store::{Cache, Lookup};
pub(crate) use task::{AttemptFolder, TaskFolder, closed_attempts};
pub use verify::Verification;

#[cfg(test)]
mod artifact_tests;
#[cfg(test)]
mod tests;
