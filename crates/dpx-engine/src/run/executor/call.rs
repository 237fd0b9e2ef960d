//! Calling other programs, each call with a time limit.

use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

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
    TimedOut { program: String, seconds: u64 },
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
    let readers = [
        std::thread::spawn(move || text(stdout)),
        std::thread::spawn(move || text(stderr)),
    ];
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
                });
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
            Err(source) => return Err(CallError::NotWaitedFor { program, source }),
        }
    };
    let [stdout, stderr] = readers.map(|reader| reader.join().unwrap_or_default());
    Ok(Answer {
        status,
        stdout,
        stderr,
    })
}

fn text(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What a program says beyond a mebibyte is nothing that anybody reads.
        drop(pipe.take(1 << 20).read_to_end(&mut bytes));
    }
    String::from_utf8_lossy(&bytes).into_owned()
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
}
