//! Workers as elements of Slurm's job arrays.
//!
//! Every call has a time limit, and none is believed more than it says: a submission whose answer is lost is looked up by its
//! name before it is repeated, and a queue that does not answer tells nothing.

mod script;
mod states;

use super::call::{Answer, CallError, call};
use super::keeper::{Batch, JobState, Launcher, Refusal};
use super::options::Remote;
use super::output::essence;
use crate::run::contract::Submission;
use script::{arguments, script};
use states::{NOT_ANSWERED, from_queue};
use std::collections::{BTreeSet, HashMap};
use std::process::Command;
use std::time::{Duration, Instant};

/// Its name in experiment files.
pub(super) const NAME: &str = "slurm";

/// How long a call may take.
const LIMIT: Duration = Duration::from_secs(30);

/// How long a submission whose answer was lost is looked for, where the queue answers: it may take a moment to show.
const SEARCH: Duration = Duration::from_secs(10);

/// How long the queue may be silent before a submission whose answer was lost is given up.
const SILENCE: Duration = Duration::from_mins(30);

/// Submissions of one batch, at most.
const TRIES: u32 = 5;

#[derive(Debug)]
pub(super) struct Slurm {
    remote: Remote,
    most_at_once: usize,
}

/// What became of one call of sbatch.
enum Submitted {
    As(String),
    Refused(Refusal),
    /// The queue was full as long as it was waited for; whether it took the job at the end is not known.
    Busy(String),
    /// Nobody knows.
    Perhaps(String),
}

impl Slurm {
    /// Finds Slurm and asks it how long an array may be.
    pub(super) fn find(remote: Remote) -> Result<Self, String> {
        let mut silent = 0;
        let answer = loop {
            match slurm("scontrol", &["show", "config"]) {
                Ok(answer) if answer.status.success() => break answer,
                Err(error) if !error.is_ambiguous() => {
                    return Err(format!(
                        "{error}: Slurm's commands must be in the PATH of the machine where `dpx run` is called; \
                         `--executor local` runs here"
                    ));
                }
                other if silent == 2 => {
                    let reason = match other {
                        Ok(answer) => answer.stderr.trim().to_owned(),
                        Err(error) => error.to_string(),
                    };
                    return Err(format!("Slurm does not answer: {reason}"));
                }
                _ => {
                    silent += 1;
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
        };
        let most = answer.stdout.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == "MaxArraySize").then(|| value.trim().parse::<usize>().ok())?
        });
        // The value bounds the index, which starts at 0.
        let most_at_once = most.unwrap_or(1001);
        if most_at_once == 0 {
            return Err("this Slurm has job arrays switched off (MaxArraySize = 0)".to_owned());
        }
        Ok(Self {
            remote,
            most_at_once,
        })
    }

    fn submit_once(&self, batch: &Batch<'_>, script: &str) -> Submitted {
        let mut command = Command::new("sbatch");
        command
            .args(arguments(batch, &self.remote.table))
            .arg(script);
        match call(command, LIMIT) {
            Ok(answer) if answer.status.success() => match job_number(&answer.stdout) {
                Some(job) => Submitted::As(job),
                None => Submitted::Perhaps(format!(
                    "sbatch printed no job number: {}",
                    answer.stdout.trim()
                )),
            },
            Ok(answer) => refused(&answer),
            Err(CallError::TimedOut { stderr, .. }) if is_full(&stderr) => {
                Submitted::Busy(essence(&stderr).unwrap_or_default())
            }
            Err(error) if error.is_ambiguous() => Submitted::Perhaps(error.to_string()),
            Err(error) => Submitted::Refused(Refusal::Final(error.to_string())),
        }
    }
}

/// What an answer of sbatch that is no number means.
fn refused(answer: &Answer) -> Submitted {
    let said = essence(&answer.stderr).unwrap_or_default();
    if is_full(&answer.stderr) {
        Submitted::Refused(Refusal::Full(said))
    } else if says(&answer.stderr, &NOT_ANSWERED) || answer.status.code().is_none() {
        Submitted::Perhaps(said)
    } else {
        let told = dpx_schema::printable_lines(answer.stderr.trim());
        Submitted::Refused(Refusal::Final(format!("sbatch refused the job: {told}")))
    }
}

fn says(text: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| text.contains(part))
}

/// Whether the queue takes no more for now. A policy that was violated is named on a line of its own, such as
/// `AssocMaxSubmitJobLimit`; the text behind it speaks of all limits alike.
fn is_full(said: &str) -> bool {
    if says(
        said,
        &[
            "temporarily",
            "queue full",
            "sleeping and retrying",
            "try again",
        ],
    ) {
        return true;
    }
    let named = said
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| {
            let of = ["Assoc", "QOS", "Max", "Grp"];
            word.contains("Limit") && of.iter().any(|start| word.starts_with(start))
        });
    let named: Vec<&str> = named.collect();
    if named.is_empty() {
        // Slurm of old names none. The number of jobs is the limit that passes, and the run says that it waits.
        return said.contains("job submit limit");
    }
    named
        .iter()
        .all(|word| word.contains("Submit") && (word.contains("Max") || word.contains("Grp")))
}

/// `123` of `123` or `123;cluster`.
fn job_number(printed: &str) -> Option<String> {
    let line = printed.lines().last()?.trim();
    let number = line.split(';').next()?;
    let sound = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    sound.then(|| number.to_owned())
}

impl Launcher for Slurm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn can_look_up(&self) -> bool {
        true
    }

    fn most_at_once(&self) -> usize {
        self.most_at_once
    }

    fn submit(
        &self,
        batch: &Batch<'_>,
        going_on: &dyn Fn() -> bool,
    ) -> Result<Option<String>, Refusal> {
        let path = batch.folder.join(format!("{}.sh", batch.name));
        std::fs::write(
            &path,
            script(
                &self.remote.worker(batch.plan),
                self.remote.table.setup.as_deref(),
            ),
        )
        .map_err(|error| Refusal::Final(format!("cannot write `{}`: {error}", path.display())))?;
        let path = path.to_string_lossy().into_owned();
        let mut unknown = String::new();
        for _ in 0..TRIES {
            let mut busy = None;
            match self.submit_once(batch, &path) {
                Submitted::As(job) => return Ok(Some(job)),
                Submitted::Refused(refusal) => return Err(refusal),
                Submitted::Busy(reason) => {
                    unknown.clone_from(&reason);
                    busy = Some(reason);
                }
                Submitted::Perhaps(reason) => unknown = reason,
            }
            match look_up(batch.name, going_on) {
                Search::Found(job) => return Ok(Some(job)),
                // It answered and knows nothing of it: nothing was submitted.
                Search::NotThere => {
                    if let Some(reason) = busy {
                        return Err(Refusal::Full(reason));
                    }
                }
                Search::Silent(reason) => unknown = reason,
            }
            if !going_on() {
                break;
            }
        }
        Err(Refusal::Final(format!(
            "whether Slurm took the job is not known ({unknown}); look for it with `squeue --name={}`",
            batch.name
        )))
    }

    fn poll(&self, names: &BTreeSet<String>) -> Result<HashMap<(String, usize), JobState>, String> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut states = HashMap::new();
        // The length of a command line is bounded.
        for names in names.chunks(100) {
            let answer = queue(&names.join(","))?;
            states.extend(from_queue(&answer));
        }
        Ok(states)
    }

    fn cancel(&self, submission: &Submission) {
        let job = match &submission.job {
            Some(job) => format!("{job}_{}", submission.index),
            None => match look_up_once(&submission.name) {
                Ok(Some(job)) => format!("{job}_{}", submission.index),
                _ => return,
            },
        };
        // Where it cannot be told now, the worker finds that nobody wants its result.
        drop(slurm("scancel", &["--quiet", &job]));
    }
}

enum Search {
    Found(String),
    NotThere,
    Silent(String),
}

/// Looks for a submission by its name, for as long as it may take to show.
fn look_up(name: &str, going_on: &dyn Fn() -> bool) -> Search {
    let start = Instant::now();
    let mut answered: Option<Instant> = None;
    loop {
        let silent = match look_up_once(name) {
            Ok(Some(job)) => return Search::Found(job),
            Ok(None) => {
                answered.get_or_insert_with(Instant::now);
                String::new()
            }
            Err(reason) => {
                answered = None;
                reason
            }
        };
        if answered.is_some_and(|since| since.elapsed() >= SEARCH) {
            return Search::NotThere;
        }
        if start.elapsed() > SILENCE || !going_on() {
            return Search::Silent(silent);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn look_up_once(name: &str) -> Result<Option<String>, String> {
    let answer = queue(name)?;
    Ok(states::job_of(&answer, name))
}

/// The lines of the queue about some names, ended jobs included as long as it remembers them.
fn queue(names: &str) -> Result<String, String> {
    let name = format!("--name={names}");
    let words = [
        "--noheader",
        "--array",
        "--states=all",
        "--format",
        states::FORMAT,
        &name,
    ];
    let answer = slurm("squeue", &words).map_err(|error| error.to_string())?;
    if answer.status.success() {
        Ok(answer.stdout)
    } else {
        Err(dpx_schema::printable(answer.stderr.trim()))
    }
}

fn slurm(program: &str, words: &[&str]) -> Result<Answer, CallError> {
    let mut command = Command::new(program);
    command.args(words);
    call(command, LIMIT)
}

/// Takes back what waits in the queue under a name. Jobs that run are left to their workers, which were told to stop.
pub(super) fn cancel_queued(name: &str) -> Result<(), String> {
    let name = format!("--name={name}");
    let answer = slurm("scancel", &["--quiet", "--state=PENDING", &name]);
    let answer = answer.map_err(|error| error.to_string())?;
    if answer.status.success() {
        Ok(())
    } else {
        Err(answer.stderr.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn answer(code: i32, stderr: &str) -> Answer {
        Answer {
            status: std::process::ExitStatus::from_raw(code << 8),
            stdout: String::new(),
            stderr: stderr.to_owned(),
        }
    }

    #[test]
    fn answers_of_sbatch_are_told_apart() {
        let policy = "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)";
        let because = |reason: &str| format!("sbatch: error: {reason}\n{policy}");
        let is_full = |told: &str| {
            matches!(
                refused(&answer(1, told)),
                Submitted::Refused(Refusal::Full(_))
            )
        };
        for reason in [
            "AssocMaxSubmitJobLimit",
            "AssocGrpSubmitJobsLimit",
            "QOSMaxSubmitJobPerUserLimit",
            "QOSGrpSubmitJobsLimit",
        ] {
            assert!(is_full(&because(reason)), "{reason}");
        }
        assert!(is_full(policy), "a Slurm that names no reason");
        for told in [
            "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
            "sbatch: error: Slurm job queue full, sleeping and retrying",
            "sbatch: error: Batch job submission failed: Resource temporarily unavailable",
        ] {
            assert!(is_full(told), "{told}");
        }
        for told in [
            &because("AssocMaxWallDurationPerJobLimit"),
            &because("QOSMaxWallDurationPerJobLimit"),
            &because("QOSMaxCpuPerJobLimit"),
            "sbatch: error: Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)",
            "sbatch: error: Batch job submission failed: Requested node configuration is not available",
        ] {
            let found = refused(&answer(1, told));
            let Submitted::Refused(Refusal::Final(found)) = found else {
                panic!("it would wait without end: {told}");
            };
            assert!(found.contains(told), "{found}");
        }
        let silent = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)";
        assert!(matches!(refused(&answer(1, silent)), Submitted::Perhaps(_)));
        let lost =
            "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation";
        assert!(matches!(refused(&answer(1, lost)), Submitted::Perhaps(_)));
        let wrong = "sbatch: error: invalid partition specified: nowhere";
        assert!(matches!(
            refused(&answer(1, wrong)),
            Submitted::Refused(Refusal::Final(_))
        ));
        assert_eq!(job_number("12;cluster\n").as_deref(), Some("12"));
        assert_eq!(job_number("warning\n345\n").as_deref(), Some("345"));
        assert_eq!(job_number("Submitted batch job x"), None);
    }
}
