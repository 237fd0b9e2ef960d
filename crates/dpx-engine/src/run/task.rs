//! Serving one task of a plan, on whatever machine the worker was started: claim it, have a worker process of this machine do it,
//! pass on what it says, and leave word of how it ended.
//!
//! Two processes, so that a worker that is killed for want of memory is told of by the one that started it.

use super::contract::{AttemptEnd, CONTRACT, Claim, TaskEntry, TaskPlan, digest_of, read, write};
use super::control::Control;
use super::executor::{Executor, Local, Served, Task, Told, WorkerCommand};
use crate::cache::{AttemptFolder, Owner, TaskFolder, WorkerLock};
use dpx_schema::protocol::{FAILED, INTERRUPTED, Message, PROTOCOL, Request};
use dpx_schema::{Device, device_list, device_names};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the worker's orders are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Messages about progress are passed on at most this often: other machines read them over the network.
const BETWEEN_REPORTS: Duration = Duration::from_secs(1);

/// How the lock of a worker process is called in the system's folder for temporary files, before the number of whoever started it.
const OWN_LOCK: &str = "dpx-worker-";

/// Younger locks may be those of workers that are about to take them.
const YOUNG: Duration = Duration::from_mins(10);

/// What a worker is given to serve tasks with.
pub struct TaskWorker<'a> {
    /// How the process that does the work is started.
    pub worker: WorkerCommand,
    /// Turned true when this process is told to end: the worker stops at its next checkpoint.
    pub stop: Arc<AtomicBool>,
    /// What a name such as `auto` means on this machine; an error says why it cannot be used here.
    pub resolve: &'a dyn Fn(&str) -> Result<Device, String>,
    /// The file of this program, which must have the digest of the one that began the run.
    pub program: std::path::PathBuf,
}

impl std::fmt::Debug for TaskWorker<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TaskWorker").finish_non_exhaustive()
    }
}

impl TaskWorker<'_> {
    /// Serves one task of a plan; gives back the exit code.
    ///
    /// # Errors
    /// In words: the plan or the task cannot be read, or nothing can be written to its folder.
    pub fn serve(&self, plan: &Path, index: usize) -> Result<i32, String> {
        let plan_path = std::path::absolute(plan).unwrap_or_else(|_| plan.to_owned());
        let plan = TaskPlan::read(&plan_path)?;
        let entry = plan.tasks.get(index).ok_or_else(|| {
            format!(
                "the plan `{}` has no task {index}: expected an index from 0 to {}",
                plan_path.display(),
                plan.tasks.len().saturating_sub(1)
            )
        })?;
        std::env::set_current_dir(&plan.folder).map_err(|error| {
            format!(
                "cannot work in the folder `{}` of the run: {error}; this machine must see it under the same path",
                plan.folder.display()
            )
        })?;
        let task = TaskFolder::at(entry.folder.clone());
        if !is_wanted(&task) {
            return Ok(nothing("nobody waits for it any more"));
        }
        let request = request(&task, entry)?;
        let Some(lock) = self.wait_for(&request, &task, plan.stale_seconds)? else {
            return Ok(nothing(
                "another worker is at it, or nobody waits for it any more",
            ));
        };
        if !is_wanted(&task) || is_over(&task) {
            return Ok(nothing("it is done"));
        }
        let attempt = match task.take() {
            Ok(attempt) => attempt,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Ok(nothing("another worker took it"));
            }
            Err(error) => {
                return Err(format!(
                    "cannot take the task `{}`: {error}",
                    task.path().display()
                ));
            }
        };
        self.attempt(&plan, entry, &task, &attempt, request, &Arc::new(lock))
            .map_err(|error| format!("cannot write to `{}`: {error}", attempt.path().display()))
    }

    /// Waits until no other worker of the key lives.
    fn wait_for(
        &self,
        request: &Request,
        task: &TaskFolder,
        stale: f64,
    ) -> Result<Option<WorkerLock>, String> {
        let start = Instant::now();
        loop {
            let lock = WorkerLock::try_take(&request.lock).map_err(|error| error.to_string())?;
            if lock.is_some() {
                return Ok(lock);
            }
            let given_up =
                start.elapsed().as_secs_f64() > stale * 2.0 || self.stop.load(Ordering::SeqCst);
            if given_up || !is_wanted(task) || is_over(task) {
                return Ok(None);
            }
            std::thread::sleep(LOOK);
        }
    }

    fn attempt(
        &self,
        plan: &TaskPlan,
        entry: &TaskEntry,
        task: &TaskFolder,
        attempt: &AttemptFolder,
        mut request: Request,
        held: &Arc<WorkerLock>,
    ) -> std::io::Result<i32> {
        let owner = Owner::here(&request.instance);
        let claim = Claim {
            version: CONTRACT,
            host: owner.host,
            pid: owner.pid,
            submission: plan.name.clone(),
            job: job(),
            since: owner.since,
        };
        write(&attempt.claim(), &claim)?;
        let fail = |reason: String| {
            write(&attempt.end(), &AttemptEnd::Failed { reason })?;
            Ok(FAILED)
        };
        let built = digest_of(&self.program)?;
        if built != plan.program {
            return fail(format!(
                "the program `{}` on {} is not the one that began the run: install the same dpx (version {}) everywhere, or start \
                 the run again with the new one",
                self.program.display(),
                claim.host,
                plan.dpx_version
            ));
        }
        let devices: Result<Vec<Device>, String> = device_names(&request.device)
            .map(|name| (self.resolve)(name))
            .collect();
        let devices = match devices {
            Ok(devices) => devices,
            Err(reason) => return fail(format!("on {}: {reason}", claim.host)),
        };
        request.runner = Some(std::process::id());
        request.device = device_list(&devices);
        request.output = attempt.path().join("output");
        request.closing = attempt.path().join("closing.json");
        // This process holds the key's own lock.
        let temporary = std::env::temp_dir();
        clear_locks(&temporary);
        let lock = temporary.join(format!("{OWN_LOCK}{}.lock", std::process::id()));
        request.lock.clone_from(&lock);
        let control = Arc::new(Control::default());
        let over = Arc::new(AtomicBool::new(false));
        let heart = {
            let heart = Heart {
                task: task.clone(),
                attempt: attempt.clone(),
                control: Arc::clone(&control),
                stop: Arc::clone(&self.stop),
                over: Arc::clone(&over),
                between: Duration::from_secs_f64(plan.heartbeat_seconds),
                held: Arc::clone(held),
            };
            std::thread::spawn(move || heart.beat())
        };
        let messages = File::options()
            .create(true)
            .append(true)
            .open(attempt.messages())?;
        let messages = Mutex::new(Messages {
            file: messages,
            reported: None,
        });
        let local = Local(self.worker.clone());
        let served = local.serve(
            &Task {
                folder: attempt.path(),
                request,
                log: &entry.log,
                threads: threads(),
            },
            &control,
            &mut |told| {
                if let Told::Said(message) = told {
                    messages
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .pass_on(&message);
                }
            },
        );
        over.store(true, Ordering::SeqCst);
        drop(heart.join());
        drop(std::fs::remove_file(lock));
        let (end, code) = match served {
            Ok(Served::Closed(_)) => (AttemptEnd::Closed, 0),
            Ok(Served::Stopped) => (AttemptEnd::Stopped, INTERRUPTED),
            Ok(Served::Failed(reason)) => (AttemptEnd::Failed { reason }, FAILED),
            Ok(Served::Died(reason)) => (AttemptEnd::Died { reason }, FAILED),
            Err(error) => {
                let reason = error.to_string();
                (AttemptEnd::Failed { reason }, FAILED)
            }
        };
        write(&attempt.end(), &end)?;
        Ok(code)
    }
}

/// Says why a worker has nothing to do; that is no failure.
fn nothing(why: &str) -> i32 {
    drop(writeln!(std::io::stderr(), "nothing to do: {why}"));
    0
}

fn is_wanted(task: &TaskFolder) -> bool {
    task.request().is_file() && !task.withdrawn().exists()
}

/// Whether an attempt came to an end that no other can better.
fn is_over(task: &TaskFolder) -> bool {
    let end = task
        .latest()
        .and_then(|latest| read::<AttemptEnd>(&latest.end()));
    matches!(end, Some(AttemptEnd::Closed | AttemptEnd::Failed { .. }))
}

/// Reads the request of a task and checks it against the plan.
fn request(task: &TaskFolder, entry: &TaskEntry) -> Result<Request, String> {
    let path = task.request();
    let wrong = |what: String| format!("the request `{}` {what}", path.display());
    let digest = digest_of(&path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if digest != entry.request {
        return Err(wrong(
            "was changed after the plan was written: start the run again".to_owned(),
        ));
    }
    let request: Request =
        read(&path).ok_or_else(|| wrong("does not fit this version of dpx".to_owned()))?;
    if request.protocol == PROTOCOL && request.key == entry.key {
        Ok(request)
    } else {
        Err(wrong(format!(
            "does not speak protocol {PROTOCOL}, or is another's"
        )))
    }
}

/// What the scheduler calls this job.
fn job() -> Option<String> {
    let variable = |name| std::env::var(name).ok();
    let array = variable("SLURM_ARRAY_JOB_ID").zip(variable("SLURM_ARRAY_TASK_ID"));
    array
        .map(|(job, index)| format!("{job}_{index}"))
        .or_else(|| variable("SLURM_JOB_ID"))
        .or_else(|| variable("HQ_JOB_ID"))
        .or_else(|| variable("PBS_JOBID"))
}

/// Processors that this job was given.
fn threads() -> usize {
    let given = std::env::var("SLURM_CPUS_PER_TASK")
        .ok()
        .and_then(|number| number.parse().ok());
    given.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
}

/// Beats while the worker lives, and passes on what it is told by files and signals.
struct Heart {
    task: TaskFolder,
    attempt: AttemptFolder,
    control: Arc<Control>,
    stop: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    between: Duration,
    /// The lock of the key, held until the worker ended.
    held: Arc<WorkerLock>,
}

impl Heart {
    fn beat(&self) {
        let mut beats: u64 = 0;
        let mut last: Option<Instant> = None;
        let mut looked = Instant::now();
        let mut stopped = false;
        while !self.over.load(Ordering::SeqCst) {
            if last.is_none_or(|last| last.elapsed() >= self.between) {
                beats += 1;
                // Whoever cannot write counts as dead after a while, and finds that out below.
                drop(std::fs::write(self.attempt.heartbeat(), beats.to_string()));
                last = Some(Instant::now());
            }
            let mut stop = self.stop.load(Ordering::SeqCst);
            if looked.elapsed() >= LOOK.max(self.between / 5) {
                looked = Instant::now();
                let asked = self.task.stop().exists();
                stop |= asked;
                let replaced = self
                    .task
                    .latest()
                    .is_some_and(|latest| latest.number > self.attempt.number);
                let unwanted = self.task.withdrawn().exists() && !asked;
                if replaced || unwanted || self.held.is_lost() || !self.attempt.path().exists() {
                    self.control.kill();
                    return;
                }
            }
            if stop && !stopped {
                self.control.stop();
                stopped = true;
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// What the worker says, in a file that the runner reads.
struct Messages {
    file: File,
    reported: Option<Instant>,
}

impl Messages {
    fn pass_on(&mut self, message: &Message) {
        if let Message::Progress(update) = message {
            let due = self
                .reported
                .is_none_or(|last| last.elapsed() >= BETWEEN_REPORTS);
            if !due && update.done != update.total {
                return;
            }
            self.reported = Some(Instant::now());
        }
        if let Ok(mut line) = serde_json::to_vec(message) {
            line.push(b'\n');
            // For the eye: the end of the worker is told elsewhere.
            drop(self.file.write_all(&line));
        }
    }
}

/// Removes the locks of processes that were killed. Nothing depends on it, so nothing that fails is told.
fn clear_locks(place: &Path) {
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| {
            let rest = name.strip_prefix(OWN_LOCK)?;
            rest.strip_suffix(".lock")
        });
        if !number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) {
            continue;
        }
        let path = entry.path();
        let modified = entry.metadata().and_then(|found| found.modified());
        let age = modified.ok().and_then(|modified| modified.elapsed().ok());
        let is_free = || File::open(&path).is_ok_and(|lock| lock.try_lock().is_ok());
        if age.is_some_and(|age| age > YOUNG) && is_free() {
            drop(std::fs::remove_file(&path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_of_killed_workers_are_cleared_away() {
        let place = tempfile::tempdir().unwrap();
        let old = std::time::SystemTime::now() - YOUNG * 2;
        let make = |name: &str| {
            let file = File::create(place.path().join(name)).unwrap();
            file.set_modified(old).unwrap();
            file
        };
        let living = make("dpx-worker-1.lock");
        living.lock().unwrap();
        drop(make("dpx-worker-2.lock"));
        drop(make("dpx-worker-mine.lock"));
        drop(File::create(place.path().join("dpx-worker-3.lock")).unwrap());
        clear_locks(place.path());
        let there = |name: &str| place.path().join(name).exists();
        assert!(there("dpx-worker-1.lock") && there("dpx-worker-mine.lock"));
        assert!(!there("dpx-worker-2.lock"));
        assert!(there("dpx-worker-3.lock"), "it may be taken in a moment");
    }
}
