//! One instance from a taken lock to a committed record: adopt, lay out the inputs, start the worker, commit.

use super::control::Control;
use super::event::Finish;
use super::executor::{Adoption, Executor, Served, Task, Told};
use crate::cache::{Cache, CacheError, KeyLock, Pushed, Remote, WorkerLock, closed_attempts};
use crate::plan::Instance;
use dpx_schema::protocol::{Closing, PROTOCOL, Request, RequestInput};
use dpx_schema::{Digest, INTERNAL_FOLDER, Kind, LedgerAccess, Manifest, Record, ReleaseLabel};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many lines of a log are shown.
const LAST_LINES: usize = 12;

/// An input as the runner found it: who made it, and the record of that.
#[derive(Debug, Clone)]
pub(super) struct JobInput {
    pub(super) kind: Kind,
    pub(super) flow: ReleaseLabel,
    pub(super) record: Arc<Record>,
}

/// Everything that a thread needs to run one instance.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) experiment: String,
    pub(super) instance: Instance,
    pub(super) lock: KeyLock,
    pub(super) digests: BTreeMap<String, Digest>,
    pub(super) inputs: BTreeMap<String, JobInput>,
    pub(super) device: String,
    pub(super) threads: usize,
    pub(super) forced: bool,
    pub(super) log: PathBuf,
    pub(super) secrets: PathBuf,
    pub(super) identity: String,
    pub(super) ledger: LedgerAccess,
    pub(super) executor: Arc<dyn Executor>,
    pub(super) remote: Option<Remote>,
    pub(super) control: Arc<Control>,
}

#[derive(Debug)]
pub(super) enum JobResult {
    Done(Box<Record>, Finish),
    /// An input turned out to be damaged and was set aside: the instance that makes it must run first.
    InputDamaged {
        /// Stage that made the input.
        stage: String,
        what: String,
    },
    Failed {
        reason: String,
        last_lines: Vec<String>,
    },
    /// The worker stopped at a checkpoint or was killed, as asked.
    Stopped,
}

/// Brings an instance about. `each` is told what the worker says and where it is.
pub(super) fn perform(cache: &Cache, job: &Job, mut each: impl FnMut(Told)) -> JobResult {
    match attempt(cache, job, &mut each) {
        Ok(result) => result,
        Err(error) => JobResult::Failed {
            reason: error.to_string(),
            last_lines: last_lines(&job.log),
        },
    }
}

/// The files of an artifact that a stage of this kind is given: covered ones alone, unless its own artifact is private anyway.
fn handed_out(artifact: &Manifest, reader: Kind) -> Manifest {
    let internal = format!("{INTERNAL_FOLDER}/");
    let files = artifact.files.iter();
    let given = files.filter(|file| reader.reads_internal() || !file.path.starts_with(&internal));
    Manifest {
        files: given.cloned().collect(),
    }
}

fn attempt(cache: &Cache, job: &Job, each: &mut dyn FnMut(Told)) -> Result<JobResult, CacheError> {
    let key = job.lock_key();
    if !job.forced {
        if let Some(record) = cache.record(&key) {
            return Ok(JobResult::Done(Box::new(record), Finish::Reused));
        }
        let adoption = Adoption {
            key,
            kind: job.instance.kind,
            log: &job.log,
        };
        if let Some(served) = job.executor.adopt(cache, &adoption, &job.control, each)? {
            let result = finish(cache, job, served, Finish::Adopted, each)?;
            if !matches!(result, JobResult::Done(..)) {
                drop(cache.sweep(&job.lock, false));
            }
            return Ok(result);
        }
        if let Some(record) = adopt(cache, job)? {
            share(cache, job, &record, each);
            return Ok(JobResult::Done(Box::new(record), Finish::Adopted));
        }
    }
    if let Some(record) = pull(cache, job, each) {
        return Ok(JobResult::Done(Box::new(record), Finish::Pulled));
    }
    cache.sweep(&job.lock, false)?;
    let attempt = cache.new_attempt(&key)?;
    for (stage, input) in &job.inputs {
        match cache.check_out(
            &handed_out(&input.record.output, job.instance.kind),
            &attempt.join("inputs").join(stage),
        ) {
            Ok(()) => {}
            Err(error @ CacheError::Damaged { .. }) => {
                return Ok(JobResult::InputDamaged {
                    stage: stage.clone(),
                    what: error.to_string(),
                });
            }
            Err(error) => return Err(error),
        }
    }
    if job.control.is_stopping() {
        return Ok(JobResult::Stopped);
    }
    let result = work(cache, job, &attempt, each)?;
    if !matches!(result, JobResult::Done(..)) {
        // What was staged is worth nothing; checkpoints and the log stay.
        drop(cache.sweep(&job.lock, false));
    }
    Ok(result)
}

/// Has a worker do the work, and commits what it closed.
fn work(
    cache: &Cache,
    job: &Job,
    attempt: &Path,
    each: &mut dyn FnMut(Told),
) -> Result<JobResult, CacheError> {
    let task = Task {
        folder: attempt,
        request: request(cache, job, attempt),
        log: &job.log,
        threads: job.threads,
    };
    let served = job.executor.serve(&task, &job.control, each)?;
    finish(cache, job, served, Finish::Ran, each)
}

/// Fetches the artifact from the remote cache, where there is one and it has it. Whatever is wrong with that is told, and is a
/// miss.
fn pull(cache: &Cache, job: &Job, each: &mut dyn FnMut(Told)) -> Option<Record> {
    let remote = job.remote.as_ref().filter(|_| !job.forced)?;
    match remote.pull(cache, &job.lock) {
        Ok(found) => found,
        Err(error) => {
            each(Told::Placed(format!(
                "not taken from the remote cache: {error}"
            )));
            None
        }
    }
}

/// Sends an artifact to the remote cache, where there is one. That it fails is told, and no failure of the run.
fn share(cache: &Cache, job: &Job, record: &Record, each: &mut dyn FnMut(Told)) {
    let Some(remote) = &job.remote else { return };
    match remote.push(cache, record) {
        Ok(Pushed::New | Pushed::Already | Pushed::ReadOnly) => {}
        Ok(Pushed::Repaired) => each(Told::Placed(
            "shared anew: what the remote cache had of it was missing or changed".to_owned(),
        )),
        Ok(Pushed::Private) => each(Told::Placed(
            "not shared: it holds private texts or figures (`[cache] private = true` shares them, encrypted)".to_owned(),
        )),
        Err(error) => each(Told::Placed(format!("not shared: {error}"))),
    }
}

/// Commits what a worker closed, or says why there is nothing to commit.
fn finish(
    cache: &Cache,
    job: &Job,
    served: Served,
    how: Finish,
    each: &mut dyn FnMut(Told),
) -> Result<JobResult, CacheError> {
    let reason = match served {
        Served::Closed(folder) => match read_closing(&folder.join("closing.json"), job) {
            Some(closing) => {
                let record = commit(cache, job, closing, &folder)?;
                share(cache, job, &record, each);
                return Ok(JobResult::Done(Box::new(record), how));
            }
            None => "the worker ended without a closing manifest".to_owned(),
        },
        Served::Stopped => return Ok(JobResult::Stopped),
        Served::Failed(reason) | Served::Died(reason) => reason,
    };
    if !job.log.exists() {
        // No worker came that could have written it, and whoever reads of the failure looks there.
        drop(fs::write(&job.log, format!("{reason}\n")));
    }
    Ok(JobResult::Failed {
        reason,
        last_lines: last_lines(&job.log),
    })
}

fn request(cache: &Cache, job: &Job, attempt: &Path) -> Request {
    let key = job.lock_key();
    let instance = &job.instance;
    let inputs = job.inputs.iter().map(|(stage, input)| {
        let input = RequestInput {
            kind: input.kind,
            path: absolute(&attempt.join("inputs").join(stage)),
            digest: input.record.output.digest().to_string(),
            flow: input.flow,
        };
        (stage.clone(), input)
    });
    Request {
        protocol: PROTOCOL,
        dpx_version: env!("CARGO_PKG_VERSION").to_owned(),
        runner: Some(std::process::id()),
        instance: instance.name.clone(),
        kind: instance.kind,
        key,
        params: instance.params.clone(),
        performance: instance.performance.clone(),
        inputs: inputs.collect(),
        sources: instance.sources.clone(),
        seed: instance.seed,
        device: job.device.clone(),
        output: absolute(&attempt.join("output")),
        state: absolute(&cache.state(&key)),
        secrets: absolute(&job.secrets),
        cache: job.identity.clone(),
        ledger: LedgerAccess {
            folder: absolute(&job.ledger.folder),
            ..job.ledger.clone()
        },
        lock: absolute(&cache.worker_lock_path(&key)),
        closing: absolute(&attempt.join("closing.json")),
    }
}

/// Commits what a worker finished whose runner died before it could.
fn adopt(cache: &Cache, job: &Job) -> Result<Option<Record>, CacheError> {
    let staging = cache.staging(&job.lock_key());
    if !staging.is_dir() {
        return Ok(None);
    }
    // The worker itself may be about to die; what it writes from here on must not count.
    let _worker = WorkerLock::wait(&cache.worker_lock_path(&job.lock_key()))?;
    for attempt in closed_attempts(&staging) {
        let Some(closing) = read_closing(&attempt.join("closing.json"), job) else {
            continue;
        };
        match commit(cache, job, closing, &attempt) {
            Ok(record) => return Ok(Some(record)),
            // The power failed before the files were on the medium: this attempt is worth nothing.
            Err(CacheError::Torn { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn read_closing(path: &Path, job: &Job) -> Option<Closing> {
    let closing: Closing = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (closing.protocol == PROTOCOL && closing.key == job.lock_key()).then_some(closing)
}

fn commit(
    cache: &Cache,
    job: &Job,
    closing: Closing,
    attempt: &Path,
) -> Result<Record, CacheError> {
    let instance = &job.instance;
    let record = Record {
        version: Record::VERSION,
        key: closing.key,
        experiment: job.experiment.clone(),
        stage: instance.stage.clone(),
        instance: instance.name.clone(),
        kind: instance.kind,
        kind_version: instance.kind.version(),
        axes: instance.axes.clone(),
        seed: instance.seed,
        params: instance.key_params.clone(),
        inputs: job.digests.clone(),
        sources: instance.sources.clone(),
        output: Manifest {
            files: closing.output.files,
        },
        flow: instance.flow,
        wall_seconds: closing.wall_seconds,
        device: closing.device,
        dpx_version: closing.dpx_version,
        finished_at: closing.finished_at,
    };
    cache.commit(&job.lock, &record, &attempt.join("output"))?;
    // The record stands: what is left over does no harm and goes with the next attempt or collection.
    drop(cache.sweep(&job.lock, true));
    Ok(record)
}

impl Job {
    fn lock_key(&self) -> dpx_schema::Key {
        self.lock.key()
    }
}

/// A worker keeps its own working directory, but its paths must not depend on that.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The end of a log, control characters made visible.
fn last_lines(log: &Path) -> Vec<String> {
    let bytes = fs::read(log).unwrap_or_default();
    let tail = &bytes[bytes.len().saturating_sub(16 * 1024)..];
    let text = String::from_utf8_lossy(tail);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(LAST_LINES)..]
        .iter()
        .map(|line| {
            let shown = |c: char| {
                if c.is_control() && c != '\t' {
                    '\u{fffd}'
                } else {
                    c
                }
            };
            line.chars().take(300).map(shown).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpx_schema::FileEntry;

    #[test]
    fn what_may_be_released_is_made_from_covered_files_alone() {
        let file = |path: &str| FileEntry {
            path: path.to_owned(),
            digest: Digest::of(path.as_bytes()),
            size: 1,
        };
        let artifact = Manifest {
            files: [
                "internal/steps.jsonl",
                "internals.txt",
                "model/config.json",
                "privacy.json",
            ]
            .map(file)
            .to_vec(),
        };
        for kind in Kind::ALL {
            let given = handed_out(&artifact, kind).files.len();
            assert_eq!(given, if kind.reads_internal() { 4 } else { 3 }, "{kind}");
        }
        for kind in [
            Kind::Sample,
            Kind::Train,
            Kind::Teacher,
            Kind::Counts,
            Kind::Select,
        ] {
            assert!(!kind.reads_internal(), "{kind}");
        }
    }
}
