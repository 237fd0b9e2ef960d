//! Watching one task from its submission to its end.
//!
//! What counts is what the worker leaves: its end, its messages, its heartbeat. The queue is believed only where the files say
//! nothing for a while, since it forgets jobs, falls silent, and tells of a job's end before its last files arrive.

use super::keeper::{JobEnd, JobState, Keeper, Known, Launcher};
use super::lost::{Asked, Loss, Verdict, decide};
use super::options::Remote;
use super::{Served, Told};
use crate::cache::{AttemptFolder, CacheError, TaskFolder, WorkerLock};
use crate::experiment::Resources;
use crate::run::contract::{AttemptEnd, Claim, TaskEntry, read};
use crate::run::control::Control;
use dpx_schema::protocol::{Message, Request};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

/// How often the files are looked at: at first, and once nothing changes. A cluster's file server answers to many.
const LOOK: Duration = Duration::from_millis(100);
const LOOK_AT_LEAST: Duration = Duration::from_millis(1500);

/// Rounds in which the queue must say that a job is over, and rounds in which it must not know it, before it is believed.
const ROUNDS: u32 = 3;

/// A worker whose job is over has left its last files after this time, unless the file system is slow; then its heartbeat
/// decides.
const SETTLE: Duration = Duration::from_secs(3);

/// Times `stale_seconds` without a sign of life of any worker of the run after which a task that no worker took is submitted
/// again, where no queue can be asked.
const WAITS: u32 = 6;

/// One task and whoever looks after it.
pub(super) struct Watch<'a> {
    pub(super) remote: &'a Remote,
    pub(super) launcher: &'a dyn Launcher,
    pub(super) keeper: &'a Keeper,
    pub(super) task: &'a TaskFolder,
    pub(super) entry: &'a TaskEntry,
    pub(super) kind: &'a str,
    pub(super) resources: Resources,
    pub(super) asked: Asked,
    pub(super) control: &'a Control,
    pub(super) losses: u32,
}

/// What was seen of the attempt that counts.
struct Sight {
    number: u32,
    /// Bytes of its messages that were read.
    offset: u64,
    claim: Option<Claim>,
    heartbeat: Vec<u8>,
    /// When something of it changed for the last time.
    alive: Instant,
    /// How far it came.
    done: u64,
}

impl Sight {
    fn of(number: u32) -> Self {
        Self {
            number,
            offset: 0,
            claim: None,
            heartbeat: Vec::new(),
            alive: Instant::now(),
            done: 0,
        }
    }
}

impl Watch<'_> {
    /// Has the task submitted.
    pub(super) fn enqueue(&self, losses: u32) {
        self.keeper.enqueue(
            self.task,
            self.entry.clone(),
            self.resources.clone(),
            losses,
        );
    }

    /// Watches until the task is over.
    pub(super) fn run(mut self, each: &mut dyn FnMut(Told)) -> Result<Served, CacheError> {
        let mut sight = Sight::of(0);
        let mut over = 0;
        let mut best = 0;
        let mut place = String::new();
        let mut told_to_stop = false;
        let mut died = None;
        let mut pause = LOOK;
        let mut missed: Option<String> = None;
        loop {
            let latest = self.task.latest().filter(|latest| latest.number > over);
            let mut end = None;
            if let Some(attempt) = &latest {
                if attempt.number != sight.number {
                    sight = Sight::of(attempt.number);
                }
                // First the end, then what was said before it.
                end = read::<AttemptEnd>(&attempt.end());
                if sight.look(attempt, each) {
                    self.keeper.hear();
                }
            }
            let loss = match (end, &latest) {
                (Some(AttemptEnd::Closed), Some(attempt)) => {
                    return Ok(Served::Closed(attempt.path().to_owned()));
                }
                (Some(AttemptEnd::Failed { reason }), _) => return Ok(Served::Failed(reason)),
                (Some(AttemptEnd::Stopped | AttemptEnd::Died { .. }), _)
                    if self.control.is_stopping() =>
                {
                    return Ok(Served::Stopped);
                }
                (Some(AttemptEnd::Stopped), _) => Some(Loss::Stopped),
                (Some(AttemptEnd::Died { reason }), _) => {
                    died.get_or_insert_with(Instant::now);
                    self.cause(died, reason)
                }
                _ => None,
            };
            if loss.is_some() {
                died = None;
            }
            let known = self.keeper.known(self.task);
            if let Some(reason) = known.as_ref().and_then(|known| known.refused.clone()) {
                return Ok(Served::Failed(reason));
            }
            let taken = latest.is_some() && loss.is_none() && died.is_none();
            if self.control.is_killed() || (self.control.is_stopping() && !taken) {
                self.withdraw(known.as_ref());
                return Ok(Served::Stopped);
            }
            if self.control.is_stopping() && !told_to_stop {
                let path = self.task.stop();
                std::fs::write(&path, b"").map_err(CacheError::io("write", &path))?;
                told_to_stop = true;
            }
            let loss = loss.or_else(|| self.lost(known.as_ref(), latest.as_ref(), &sight));
            if let Some(loss) = loss {
                if self.control.is_stopping() {
                    return Ok(Served::Stopped);
                }
                let progressed = sight.number > over && sight.done > best;
                best = best.max(sight.done);
                over = latest.map_or(over, |latest| latest.number);
                match decide(
                    &loss,
                    self.kind,
                    progressed,
                    self.losses,
                    self.remote.table.retries,
                    &self.asked,
                ) {
                    Verdict::Fail(reason) => {
                        self.withdraw(known.as_ref());
                        return Ok(Served::Failed(reason));
                    }
                    Verdict::Again(losses, what) => {
                        if let Some(submission) =
                            known.as_ref().and_then(|known| known.submission.as_ref())
                            && !matches!(loss, Loss::Stopped)
                        {
                            // Nothing of it may come back.
                            self.launcher.cancel(submission);
                        }
                        each(Told::Placed(what));
                        self.losses = losses;
                        missed = None;
                        self.enqueue(losses);
                    }
                }
                continue;
            }
            if latest.is_none() && missed.is_none() {
                missed = self.missed(known.as_ref());
            }
            let mut now = self.place(known.as_ref(), &sight, taken);
            if taken {
                now.extend(self.silent(known.as_ref(), latest.as_ref(), &sight));
            } else if let Some(missed) = &missed {
                now = format!("{now}; {missed}");
            }
            if now != place {
                each(Told::Placed(now.clone()));
                place = now;
                pause = LOOK;
            }
            std::thread::sleep(pause);
            pause = (pause * 5 / 4).min(LOOK_AT_LEAST);
        }
    }

    /// Why a worker died, once the queue had time to tell: it knows whether memory or time ran out.
    fn cause(&self, since: Option<Instant>, reason: String) -> Option<Loss> {
        let state = self.keeper.known(self.task).map(|known| known.state);
        match state {
            Some(JobState::Ended(
                end @ (JobEnd::OutOfMemory
                | JobEnd::TimeLimit
                | JobEnd::Preempted
                | JobEnd::Cancelled),
            )) => Some(Loss::Ended(end)),
            Some(JobState::Ended(_)) => Some(Loss::Vanished(reason)),
            _ => {
                let patience = self.remote.poll() * 3;
                let over = since.is_some_and(|since| since.elapsed() >= patience);
                (over || !self.launcher.can_look_up()).then_some(Loss::Vanished(reason))
            }
        }
    }

    /// Takes the task back.
    fn withdraw(&self, known: Option<&Known>) {
        drop(std::fs::write(self.task.withdrawn(), b""));
        if let Some(submission) = known.and_then(|known| known.submission.as_ref()) {
            self.launcher.cancel(submission);
        }
        self.keeper.forget(self.task);
    }

    /// Whether the worker is gone without having said how it ended.
    fn lost(
        &self,
        known: Option<&Known>,
        latest: Option<&AttemptFolder>,
        sight: &Sight,
    ) -> Option<Loss> {
        let known = known?;
        known.submission.as_ref()?;
        let quiet = sight.alive.elapsed();
        let beat = Duration::from_secs(self.remote.table.heartbeat_seconds);
        let settled = known.since.elapsed() >= SETTLE && known.rounds >= 2 && quiet > beat * 2;
        match &known.state {
            // A job that is preempted may be on its way back into the queue.
            JobState::Ended(JobEnd::Preempted) => {
                (settled && known.rounds > ROUNDS).then_some(Loss::Ended(JobEnd::Preempted))
            }
            JobState::Ended(end) => {
                (settled && !self.is_held(latest)).then(|| Loss::Ended(end.clone()))
            }
            JobState::Absent => {
                let silent = if latest.is_some() {
                    quiet >= self.remote.stale()
                } else {
                    // Its first files may still be on their way.
                    known.since.elapsed().min(quiet)
                        >= self.remote.stale().min(Duration::from_mins(2))
                };
                (known.rounds >= ROUNDS && silent && !self.is_held(latest))
                    .then(|| Loss::Vanished("its job vanished from the queue".to_owned()))
            }
            // The queue says that it lives, or waits: so it may, with its machine cut off from the files.
            JobState::Live(_) => None,
            JobState::Unknown if latest.is_none() => {
                let waited = known.since.elapsed().min(self.keeper.silence());
                let over = !self.launcher.can_look_up() && waited >= self.remote.stale() * WAITS;
                over.then(|| Loss::NeverCame(self.never_came(known, waited)))
            }
            JobState::Unknown => {
                let dead =
                    quiet >= self.remote.stale() || (quiet >= beat * 3 && Self::has_left(sight));
                (dead && self.keeper.deaf().is_none() && !self.is_held(latest)).then(|| {
                    Loss::Vanished(format!(
                        "its worker gave no sign of life for {} s",
                        quiet.as_secs()
                    ))
                })
            }
        }
    }

    /// That no worker came in time, where no queue can be asked; what is known of it.
    fn missed(&self, known: Option<&Known>) -> Option<String> {
        let known = known?;
        let late = known.submission.is_some() && known.since.elapsed() >= self.remote.stale();
        (late && !self.launcher.can_look_up()).then(|| self.never_came(known, self.remote.stale()))
    }

    fn never_came(&self, known: &Known, waited: Duration) -> String {
        let said = known
            .submission
            .as_ref()
            .and_then(|submission| self.launcher.said(submission))
            .map_or_else(String::new, |said| format!(": {said}"));
        format!("no worker came for {} s{said}", waited.as_secs())
    }

    /// That a worker gives no sign of life, where it cannot be replaced.
    fn silent(
        &self,
        known: Option<&Known>,
        latest: Option<&AttemptFolder>,
        sight: &Sight,
    ) -> Option<String> {
        let stale = self.remote.stale();
        if sight.alive.elapsed() < stale {
            return None;
        }
        let state = known.map(|known| &known.state);
        let why = match state {
            _ if self.is_held(latest) => "but its lock is held: it hangs, or is stopped",
            Some(JobState::Live(_)) => "but the queue does not say that it is over",
            _ => return None,
        };
        Some(format!(
            "; no sign of life for {} s, {why}. `dpx cancel --kill` ends it",
            stale.as_secs()
        ))
    }

    /// Whether a worker of the key holds its lock: then it lives.
    fn is_held(&self, latest: Option<&AttemptFolder>) -> bool {
        latest.is_some()
            && read::<Request>(&self.task.request())
                .is_some_and(|request| WorkerLock::is_held(&request.lock))
    }

    /// Whether the claim's process is known to be gone: it ran on this machine.
    fn has_left(sight: &Sight) -> bool {
        let here = crate::cache::Owner::here("");
        sight.claim.as_ref().is_some_and(|claim| {
            claim.host == here.host
                && cfg!(target_os = "linux")
                && !std::path::Path::new(&format!("/proc/{}", claim.pid)).exists()
        })
    }

    /// Where the worker is, in words.
    fn place(&self, known: Option<&Known>, sight: &Sight, taken: bool) -> String {
        if taken && let Some(claim) = &sight.claim {
            let job = claim
                .job
                .as_ref()
                .map_or_else(String::new, |job| format!(", job {job}"));
            return format!("runs on {}{job}", claim.host);
        }
        let Some(known) = known else {
            return String::new();
        };
        if let Some(full) = &known.full {
            return format!("waits to be submitted: {full}");
        }
        let Some(submission) = &known.submission else {
            return "is being submitted".to_owned();
        };
        let job = match (&submission.job, &known.state) {
            (Some(job), _) => format!("{} job {job}_{}", submission.executor, submission.index),
            (None, _) => format!("{}, index {}", submission.name, submission.index),
        };
        match (&known.state, self.keeper.deaf()) {
            (_, Some(deaf)) => format!("submitted as {job}; the queue does not answer: {deaf}"),
            (JobState::Live(state), None) => format!("submitted as {job}: {state}"),
            _ => format!("submitted as {job}"),
        }
    }
}

impl Sight {
    /// Reads what is new of an attempt. Whether there was anything.
    fn look(&mut self, attempt: &AttemptFolder, each: &mut dyn FnMut(Told)) -> bool {
        let before = self.alive;
        if self.claim.is_none() {
            self.claim = read(&attempt.claim());
        }
        if let Ok(beat) = std::fs::read(attempt.heartbeat())
            && beat != self.heartbeat
        {
            self.heartbeat = beat;
            self.alive = Instant::now();
        }
        for message in self.messages(attempt) {
            self.alive = Instant::now();
            if let Message::Progress(update) = &message {
                self.done = self.done.max(update.done);
            }
            each(Told::Said(message));
        }
        self.alive != before
    }

    /// The messages that came since the last look. A line that is not whole yet is left for the next.
    fn messages(&mut self, attempt: &AttemptFolder) -> Vec<Message> {
        let mut bytes = Vec::new();
        let read = File::open(attempt.messages()).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.offset))?;
            file.read_to_end(&mut bytes)
        });
        let whole = match read {
            Ok(_) => bytes
                .iter()
                .rposition(|&byte| byte == b'\n')
                .map_or(0, |at| at + 1),
            Err(_) => 0,
        };
        self.offset += whole as u64;
        bytes[..whole]
            .split(|&byte| byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect()
    }
}
