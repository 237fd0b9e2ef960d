//! Calling other programs, each call with a time limit.

use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a program that has ended left in its pipes is there after this time. What it started may hold them for longer.
const LINGER: Duration = Duration::from_secs(1);

/// What a program says beyond so many bytes is dropped.
const MOST: usize = 16 << 20;

#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("`{program}` cannot be started: {source}")]
    NotStarted {
        program: String,
        source: std::io::Error,
    },
    /// Whether it did what it was asked to is not known.
    #[error("`{program}` did not answer within {seconds} s")]
    TimedOut {
        program: String,
        seconds: u64,
        /// What it said on standard error until then.
        stderr: String,
    },
    #[error("`{program}` cannot be waited for: {source}")]
    NotWaitedFor {
        program: String,
        source: std::io::Error,
    },
}

impl CallError {
    /// Whether the program may have done what it was asked to.
    pub(super) const fn is_ambiguous(&self) -> bool {
        !matches!(self, Self::NotStarted { .. })
    }
}

/// Runs a command to its end, or kills it and what it started when the time is over.
pub(super) fn call(mut command: Command, limit: Duration) -> Result<Answer, CallError> {
    let program = command.get_program().to_string_lossy().into_owned();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().map_err(|source| CallError::NotStarted {
        program: program.clone(),
        source,
    })?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let readers = (Reader::of(stdout), Reader::of(stderr));
    let start = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if start.elapsed() > limit => {
                kill_group(child.id());
                drop(child.kill());
                drop(child.wait());
                return Err(CallError::TimedOut {
                    program,
                    seconds: limit.as_secs(),
                    stderr: readers.1.text(Instant::now() + LINGER),
                });
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
            Err(source) => return Err(CallError::NotWaitedFor { program, source }),
        }
    };
    let until = Instant::now() + LINGER;
    Ok(Answer {
        status,
        stdout: readers.0.text(until),
        stderr: readers.1.text(until),
    })
}

/// Reads a pipe on a thread of its own, which nobody has to wait for.
struct Reader {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Reader {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let bytes: Arc<Mutex<Vec<u8>>> = Arc::default();
        let read = Arc::clone(&bytes);
        let thread = std::thread::spawn(move || {
            let Some(mut pipe) = pipe else { return };
            let mut part = [0; 8192];
            while let Ok(length @ 1..) = pipe.read(&mut part) {
                let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
                let room = MOST.saturating_sub(read.len()).min(length);
                read.extend_from_slice(&part[..room]);
            }
        });
        Self { bytes, thread }
    }

    /// What was said until the pipe was closed, or until then.
    fn text(&self, until: Instant) -> String {
        while !self.thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(unix)]
fn kill_group(pid: u32) {
    let group = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
    }
}

#[cfg(not(unix))]
fn kill_group(_pid: u32) {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Result<Answer, CallError> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        call(command, limit)
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_what_it_started() {
        let start = Instant::now();
        let error = sh("sleep 60 & sleep 60", Duration::from_millis(200)).unwrap_err();
        assert!(error.is_ambiguous(), "{error}");
        assert!(start.elapsed() < Duration::from_secs(5));
        let answer = sh("echo out; echo err >&2; exit 3", Duration::from_secs(5)).unwrap();
        assert_eq!(
            (answer.stdout.as_str(), answer.stderr.as_str()),
            ("out\n", "err\n")
        );
        assert_eq!(answer.status.code(), Some(3));
        let missing = call(Command::new("/nowhere/sbatch"), Duration::from_secs(1));
        assert!(!missing.unwrap_err().is_ambiguous());
    }

    #[test]
    fn a_program_that_leaves_a_child_is_not_waited_for_longer_than_itself() {
        let start = Instant::now();
        let answer = sh("echo out; sleep 60 &", Duration::from_secs(20)).unwrap();
        assert_eq!(answer.stdout, "out\n");
        assert!(start.elapsed() < Duration::from_secs(10));
        let Err(CallError::TimedOut { stderr, .. }) =
            sh("echo busy >&2; sleep 60", Duration::from_millis(500))
        else {
            panic!("it did not time out");
        };
        assert_eq!(stderr, "busy\n", "what it said is kept");
    }
}
