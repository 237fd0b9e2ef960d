//! Workers that a command line starts: ssh, GNU parallel, `hq submit`, `kubectl`, anything that hands out an index.

use super::call::call;
use super::keeper::{Batch, JobEnd, JobState, Launcher, Refusal};
use super::local::ending;
use super::options::Remote;
use super::output::told;
use crate::experiment::{fill, holds};
use crate::run::contract::Submission;
use crate::run::shell_word;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a command that takes a submission back may take.
const CANCEL_LIMIT: Duration = Duration::from_secs(30);

/// The command lines of `kind = "command"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Templates {
    /// The command line that starts workers, with placeholders in braces.
    pub submit: String,
    /// The command line that takes a submission back; none: workers are only told to stop.
    pub cancel: Option<String>,
}

/// A command that was started: which workers it is for, and how it ended.
#[derive(Debug)]
struct Started {
    name: String,
    /// The one worker that it starts, or all.
    index: Option<usize>,
    output: PathBuf,
    ended: Option<ExitStatus>,
}

/// Starts workers by command lines.
#[derive(Debug)]
pub(super) struct Commands {
    templates: Templates,
    remote: Remote,
    started: Arc<Mutex<Vec<Started>>>,
}

impl Commands {
    pub(super) fn new(templates: Templates, remote: Remote) -> Self {
        Self {
            templates,
            remote,
            started: Arc::default(),
        }
    }

    fn launch(&self, batch: &Batch<'_>, index: Option<usize>) -> Result<(), Refusal> {
        let words = self.words(batch, index);
        let suffix = index.map_or_else(String::new, |index| format!("-{index}"));
        let output = batch.folder.join(format!("{}{suffix}.out", batch.name));
        let cannot =
            |error: std::io::Error| Refusal::Final(format!("cannot run `{words}`: {error}"));
        let log = File::options()
            .create(true)
            .append(true)
            .open(&output)
            .map_err(cannot)?;
        let errors = log.try_clone().map_err(cannot)?;
        let mut command = shell(&words);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        // It outlives this run, as a queue would.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(cannot)?;
        let place = {
            let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
            started.push(Started {
                name: batch.name.to_owned(),
                index,
                output,
                ended: None,
            });
            started.len() - 1
        };
        let started = Arc::clone(&self.started);
        std::thread::spawn(move || {
            let status = child.wait().ok();
            started.lock().unwrap_or_else(PoisonError::into_inner)[place].ended = status;
        });
        Ok(())
    }

    /// The command line of a submission, or of one of its workers.
    fn words(&self, batch: &Batch<'_>, index: Option<usize>) -> String {
        let number = index.map(|index| index.to_string());
        let mut values = vec![
            ("worker", self.remote.worker(batch.plan)),
            ("plan", shell_word(&batch.plan.to_string_lossy())),
            ("name", batch.name.to_owned()),
            ("count", batch.count.to_string()),
            ("last", (batch.count - 1).to_string()),
        ];
        values.extend(number.map(|number| ("index", number)));
        let values: Vec<_> = values
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        fill(&self.templates.submit, &values)
    }
}

impl Launcher for Commands {
    fn name(&self) -> &'static str {
        "command"
    }

    fn can_look_up(&self) -> bool {
        false
    }

    fn most_at_once(&self) -> usize {
        usize::MAX
    }

    fn submit(
        &self,
        batch: &Batch<'_>,
        _going_on: &dyn Fn() -> bool,
    ) -> Result<Option<String>, Refusal> {
        if holds(&self.templates.submit, "index") {
            for index in 0..batch.count {
                self.launch(batch, Some(index))?;
            }
        } else {
            self.launch(batch, None)?;
        }
        Ok(None)
    }

    /// Tells of commands that failed: of what the others started, only files tell.
    fn poll(
        &self,
        _names: &BTreeSet<String>,
    ) -> Result<HashMap<(String, usize), JobState>, String> {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let mut states = HashMap::new();
        for one in started.iter() {
            let Some(status) = one.ended.filter(|status| !status.success()) else {
                continue;
            };
            let said = told(&one.output);
            let what = ending(status).replace("the worker", "the command `submit`");
            let what = match said {
                Some(said) => format!("{what}: {said} (`{}`)", one.output.display()),
                None => format!("{what}, and printed nothing"),
            };
            let all = 0..self.remote.places.max(1);
            for index in one.index.map_or(all, |index| index..index + 1) {
                let end = JobEnd::Failed(what.clone());
                states.insert((one.name.clone(), index), JobState::Ended(end));
            }
        }
        Ok(states)
    }

    fn said(&self, submission: &Submission) -> Option<String> {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let own = started.iter().rev().find(|one| {
            one.name == submission.name && one.index.is_none_or(|index| index == submission.index)
        })?;
        let state = match own.ended {
            None => "`submit` is not over".to_owned(),
            Some(status) => ending(status)
                .replace(
                    "the worker ended without a closing manifest",
                    "`submit` ended well",
                )
                .replace("the worker", "`submit`"),
        };
        let path = own.output.display();
        Some(match told(&own.output) {
            Some(said) => format!("{state} and printed: {said} (`{path}`)"),
            None => format!("{state} and printed nothing (`{path}`)"),
        })
    }

    fn cancel(&self, submission: &Submission) {
        // Others of the submission may be at work: only their own worker is told, by files.
        if let (Some(template), true) = (&self.templates.cancel, submission.index == 0) {
            drop(cancel(template, &submission.name));
        }
    }
}

/// Runs the command that takes a submission back.
pub(super) fn cancel(template: &str, name: &str) -> Result<(), String> {
    let words = fill(template, &[("name", name)]);
    let answer = call(shell(&words), CANCEL_LIMIT).map_err(|error| error.to_string())?;
    if answer.status.success() {
        Ok(())
    } else {
        Err(format!("`{words}`: {}", answer.stderr.trim()))
    }
}

fn shell(words: &str) -> Command {
    let mut command = if cfg!(windows) {
        let mut command = Command::new("cmd");
        command.arg("/C");
        command
    } else {
        let mut command = Command::new("sh");
        command.arg("-c");
        command
    };
    command.arg(words);
    command
}
