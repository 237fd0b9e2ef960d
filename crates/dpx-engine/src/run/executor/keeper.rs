//! The keeper of a run's submissions: gathers tasks, has them submitted together, and asks the queue where they are.
//!
//! One thread does so, since one question to the queue answers for all.

use super::options::Remote;
use crate::cache::TaskFolder;
use crate::experiment::Resources;
use crate::run::contract::{CONTRACT, Submission, TaskEntry, TaskPlan, write};
use dpx_schema::Digest;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Tasks that come within this time of one another are submitted together.
const GATHER: Duration = Duration::from_millis(400);

/// No task waits longer than this for others to come.
const GATHER_AT_MOST: Duration = Duration::from_secs(3);

/// A queue that takes no more is asked again after this time.
const FULL_FOR: Duration = Duration::from_secs(30);

/// What is submitted at once: tasks of the same resources.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    /// Its name, which no other submission has.
    pub(super) name: &'a str,
    /// What people are told beside it.
    pub(super) comment: String,
    /// The plan's file.
    pub(super) plan: &'a Path,
    pub(super) count: usize,
    /// What each worker is given.
    pub(super) resources: &'a Resources,
    /// Folder for scripts and for what the submission prints.
    pub(super) folder: &'a Path,
}

/// Why nothing was submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It never will be.
    Final(String),
    /// The queue takes no more for now.
    Full(String),
}

/// Where a task is, as far as the queue tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JobState {
    /// Nobody can tell, or it was not asked yet.
    Unknown,
    /// The queue does not know it.
    Absent,
    /// In the queue, on a machine, or on its way from one to the other; in words.
    Live(String),
    Ended(JobEnd),
}

/// How a job ended, as the queue tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JobEnd {
    /// By itself, and well.
    Completed,
    TimeLimit,
    OutOfMemory,
    /// To make room for others.
    Preempted,
    NodeFailed,
    /// Somebody took it back.
    Cancelled,
    /// By itself, with an error; in words.
    Failed(String),
}

/// Whoever starts workers.
pub(super) trait Launcher: std::fmt::Debug + Send + Sync {
    /// Its name, as the experiment file writes it.
    fn name(&self) -> &'static str;

    /// Whether it can be asked for a submission by name. Otherwise a task that no worker took is submitted again by the next
    /// runner.
    fn can_look_up(&self) -> bool;

    /// Tasks in one submission, at most.
    fn most_at_once(&self) -> usize;

    /// Submits; gives back the number of the job, where it has one. `going_on` turns false where the run ends meanwhile.
    fn submit(
        &self,
        batch: &Batch<'_>,
        going_on: &dyn Fn() -> bool,
    ) -> Result<Option<String>, Refusal>;

    /// Where the tasks of some submissions are, by name and index; those that are left out are absent.
    ///
    /// # Errors
    /// In words, when the queue does not answer.
    fn poll(&self, names: &BTreeSet<String>) -> Result<HashMap<(String, usize), JobState>, String>;

    /// What whoever was asked to start the worker has printed so far and where that stands, in words; nothing where that is not
    /// known.
    fn said(&self, _submission: &Submission) -> Option<String> {
        None
    }

    /// Takes one task back. What cannot be reached now ends when its worker looks at the task.
    fn cancel(&self, submission: &Submission);
}

/// What is known of one task.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) submission: Option<Submission>,
    pub(super) state: JobState,
    /// Times in a row that the queue said so.
    pub(super) rounds: u32,
    /// When the queue said so for the first time.
    pub(super) since: Instant,
    /// Why it will not be submitted.
    pub(super) refused: Option<String>,
    /// Why it is not submitted yet.
    pub(super) full: Option<String>,
}

impl Known {
    fn new(submission: Option<Submission>) -> Self {
        Self {
            submission,
            state: JobState::Unknown,
            rounds: 0,
            since: Instant::now(),
            refused: None,
            full: None,
        }
    }
}

#[derive(Debug, Clone)]
struct Waiting {
    task: TaskFolder,
    entry: TaskEntry,
    resources: Resources,
    losses: u32,
    since: Instant,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Waiting>,
    full_until: Option<Instant>,
    known: HashMap<TaskFolder, Known>,
    /// Why the queue did not answer the last time.
    deaf: Option<String>,
    /// When a worker of this run gave a sign of life for the last time.
    sign: Option<Instant>,
    over: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    launcher: Arc<dyn Launcher>,
    remote: Remote,
    run: String,
    folder: PathBuf,
    program: Digest,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gathers, submits and asks, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
}

impl Keeper {
    pub(super) fn start(
        remote: &Remote,
        launcher: Arc<dyn Launcher>,
        run: &str,
        folder: &Path,
        program: Digest,
    ) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            launcher,
            remote: remote.clone(),
            run: run.to_owned(),
            folder: std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()),
            program,
        });
        let kept = Arc::clone(&shared);
        std::thread::spawn(move || kept.work());
        Self { shared }
    }

    /// Has a task submitted, with others that come at the same time.
    pub(super) fn enqueue(
        &self,
        task: &TaskFolder,
        entry: TaskEntry,
        resources: Resources,
        losses: u32,
    ) {
        let mut state = self.shared.state();
        state.known.insert(task.clone(), Known::new(None));
        state.waiting.push(Waiting {
            task: task.clone(),
            entry,
            resources,
            losses,
            since: Instant::now(),
        });
        self.shared.wake.notify_all();
    }

    /// Keeps an eye on a task that another runner submitted.
    pub(super) fn take_over(&self, task: &TaskFolder, submission: Submission) {
        let known = Known::new(Some(submission));
        self.shared.state().known.insert(task.clone(), known);
    }

    pub(super) fn known(&self, task: &TaskFolder) -> Option<Known> {
        self.shared.state().known.get(task).cloned()
    }

    /// Why the queue did not answer the last time it was asked.
    pub(super) fn deaf(&self) -> Option<String> {
        self.shared.state().deaf.clone()
    }

    /// A worker of this run gave a sign of life.
    pub(super) fn hear(&self) {
        self.shared.state().sign = Some(Instant::now());
    }

    /// Time since any worker of this run gave a sign of life.
    pub(super) fn silence(&self) -> Duration {
        let sign = self.shared.state().sign;
        sign.map_or(Duration::MAX, |sign| sign.elapsed())
    }

    /// Forgets a task; it is not submitted any more.
    pub(super) fn forget(&self, task: &TaskFolder) {
        let mut state = self.shared.state();
        state.waiting.retain(|waiting| waiting.task != *task);
        state.known.remove(task);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.state().over = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn work(&self) {
        let mut asked = Instant::now();
        let mut serial = 0;
        loop {
            let batch = {
                let state = self.state();
                if state.over {
                    return;
                }
                let (mut state, _) = self
                    .wake
                    .wait_timeout(state, Duration::from_millis(100))
                    .unwrap_or_else(PoisonError::into_inner);
                take_batch(&mut state)
            };
            for (resources, tasks) in by_resources(batch) {
                for tasks in tasks.chunks(self.launcher.most_at_once().max(1)) {
                    serial += 1;
                    self.submit(serial, &resources, tasks);
                }
            }
            if asked.elapsed() >= self.remote.poll() {
                self.ask();
                asked = Instant::now();
            }
        }
    }

    fn submit(&self, serial: u32, resources: &Resources, tasks: &[Waiting]) {
        let name = format!("dpx-{}-{serial}", self.run);
        let refused = match self.try_submit(&name, resources, tasks) {
            Ok(job) => {
                let mut state = self.state();
                for (index, task) in tasks.iter().enumerate() {
                    let submission = self.submission(&name, job.clone(), index, task.losses);
                    // What is lost of it is found again by the name.
                    drop(write(&task.task.submission(), &submission));
                    if let Some(known) = state.known.get_mut(&task.task) {
                        *known = Known::new(Some(submission));
                    }
                }
                return;
            }
            Err(refused) => refused,
        };
        let mut state = self.state();
        for task in tasks {
            drop(std::fs::remove_file(task.task.submission()));
            let Some(known) = state.known.get_mut(&task.task) else {
                continue;
            };
            match &refused {
                Refusal::Final(reason) => known.refused = Some(reason.clone()),
                Refusal::Full(reason) => {
                    known.full = Some(reason.clone());
                    state.waiting.push(task.clone());
                }
            }
        }
        if matches!(refused, Refusal::Full(_)) {
            state.full_until = Some(Instant::now() + FULL_FOR);
        }
    }

    fn submission(&self, name: &str, job: Option<String>, index: usize, losses: u32) -> Submission {
        Submission {
            version: CONTRACT,
            executor: self.launcher.name().to_owned(),
            name: name.to_owned(),
            job,
            index,
            losses,
        }
    }

    fn try_submit(
        &self,
        name: &str,
        resources: &Resources,
        tasks: &[Waiting],
    ) -> Result<Option<String>, Refusal> {
        let cannot = |what: &str, error: std::io::Error| {
            Refusal::Final(format!("cannot write {what}: {error}"))
        };
        let folder = self.folder.join("plans");
        std::fs::create_dir_all(&folder).map_err(|error| cannot("the plan's folder", error))?;
        let plan = TaskPlan {
            version: CONTRACT,
            run: self.run.clone(),
            name: name.to_owned(),
            dpx_version: env!("CARGO_PKG_VERSION").to_owned(),
            program: self.program,
            folder: std::env::current_dir().map_err(|error| cannot("the plan", error))?,
            heartbeat_seconds: self.remote.table.heartbeat_seconds as f64,
            stale_seconds: self.remote.table.stale_seconds as f64,
            cancel: self.remote.table.cancel.clone(),
            tasks: tasks.iter().map(|task| task.entry.clone()).collect(),
        };
        let path = folder.join(format!("{name}.json"));
        let path = std::path::absolute(&path).unwrap_or(path);
        let digest = plan
            .write(&path)
            .map_err(|error| cannot("the plan", error))?;
        // Before anybody is asked: a runner that dies in between is followed by one that looks for the name.
        for (index, task) in tasks.iter().enumerate() {
            let submission = self.submission(name, None, index, task.losses);
            write(&task.task.submission(), &submission)
                .map_err(|error| cannot("the submission", error))?;
        }
        let batch = Batch {
            name,
            comment: format!("dpx run={} plan={}", self.run, digest.short()),
            plan: &path,
            count: tasks.len(),
            resources,
            folder: &folder,
        };
        self.launcher.submit(&batch, &|| !self.state().over)
    }

    /// Asks the queue once for everything.
    fn ask(&self) {
        let names: BTreeSet<String> = {
            let state = self.state();
            let submissions = state
                .known
                .values()
                .filter_map(|known| known.submission.as_ref());
            submissions
                .map(|submission| submission.name.clone())
                .collect()
        };
        if names.is_empty() {
            return;
        }
        let answer = self.launcher.poll(&names);
        let mut state = self.state();
        let states = match answer {
            Ok(states) => states,
            Err(reason) => {
                state.deaf = Some(reason);
                return;
            }
        };
        state.deaf = None;
        for known in state.known.values_mut() {
            // Submitted while the question was under way: the answer says nothing of it.
            let Some(submission) = known
                .submission
                .as_ref()
                .filter(|one| names.contains(&one.name))
            else {
                continue;
            };
            let place = (submission.name.clone(), submission.index);
            let absent = if self.launcher.can_look_up() {
                JobState::Absent
            } else {
                JobState::Unknown
            };
            let found = states.get(&place).cloned().unwrap_or(absent);
            if found == known.state {
                known.rounds += 1;
            } else {
                known.state = found;
                known.rounds = 1;
                known.since = Instant::now();
            }
        }
    }
}

/// The tasks to submit now: all that wait, once no more come.
fn take_batch(state: &mut State) -> Vec<Waiting> {
    if state.full_until.is_some_and(|until| Instant::now() < until) {
        return Vec::new();
    }
    let ages = || state.waiting.iter().map(|waiting| waiting.since.elapsed());
    let quiet = ages().min().is_some_and(|youngest| youngest >= GATHER);
    let long = ages().max().is_some_and(|oldest| oldest >= GATHER_AT_MOST);
    if quiet || long {
        state.full_until = None;
        std::mem::take(&mut state.waiting)
    } else {
        Vec::new()
    }
}

fn by_resources(batch: Vec<Waiting>) -> BTreeMap<Resources, Vec<Waiting>> {
    let mut groups: BTreeMap<Resources, Vec<Waiting>> = BTreeMap::new();
    for waiting in batch {
        groups
            .entry(waiting.resources.clone())
            .or_default()
            .push(waiting);
    }
    groups
}
