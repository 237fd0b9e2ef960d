//! `dpx run --detach`: the same run in a process that outlives the terminal.

use super::{Error, ExitCode, output};
use dpx_engine::cache::Cache;
use dpx_engine::run::{RunStatus, leave_terminal};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Tells the process that it is the one that goes on.
const DETACHED: &str = "DPX_DETACHED";

/// Leaves the terminal where this process is the one that goes on.
pub(crate) fn settle() {
    if std::env::var_os(DETACHED).is_some() {
        leave_terminal();
    }
}

/// Starts this command again without `--detach`, and returns as soon as its run has begun.
pub(crate) fn start(cache: &Cache) -> Result<ExitCode, Error> {
    let program = std::env::current_exe()?;
    let log = cache
        .root()
        .join("runs")
        .join(format!("detached-{}.log", std::process::id()));
    let file = std::fs::File::create(&log)?;
    let errors = file.try_clone()?;
    let arguments = std::env::args_os()
        .skip(1)
        .filter(|argument| argument != "--detach");
    let mut child = Command::new(program)
        .args(arguments)
        .env(DETACHED, "1")
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .spawn()?;
    loop {
        let begun = cache.runs()?.into_iter().rev().find(|run| {
            let pid = RunStatus::read(run).and_then(|status| status.pid);
            run.live && pid == Some(u64::from(child.id()))
        });
        if let Some(run) = begun {
            // The process goes on writing to it under its new name.
            let log = std::fs::rename(&log, run.folder.join("output.log"))
                .map_or(log, |()| run.folder.join("output.log"));
            output::print(&format!(
                "run {0} goes on without this terminal, as process {1}; it writes to {2}\n`dpx attach {0}` follows it, `dpx status` \
                 shows how far it is, `dpx cancel {0}` ends it",
                run.id,
                child.id(),
                log.display()
            ))?;
            return Ok(ExitCode::Done);
        }
        if let Some(status) = child.try_wait()? {
            let said = std::fs::read(&log).unwrap_or_default();
            drop(std::fs::remove_file(&log));
            output::note(String::from_utf8_lossy(&said).trim_end());
            return match status.code() {
                Some(0) => Ok(ExitCode::Done),
                Some(2) => Err(Error::silent(ExitCode::Usage)),
                _ => Err(Error::silent(ExitCode::Failed)),
            };
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
