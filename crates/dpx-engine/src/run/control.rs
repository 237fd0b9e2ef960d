//! The runner's hold on one worker process: ask it to stop, kill it.

use dpx_schema::protocol::STOP;
use std::io::Write;
use std::process::{Child, ChildStdin, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
struct Held {
    /// The worker dies when this is closed.
    stdin: Option<ChildStdin>,
    /// Gone once it was waited for; until then its process number cannot be another's.
    child: Option<Child>,
    stop: bool,
    kill: bool,
}

/// Shared by the runner and the thread that looks after the worker.
#[derive(Debug, Default)]
pub(super) struct Control {
    held: Mutex<Held>,
}

impl Control {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes charge of a worker that was just started; passes on what was asked before there was one.
    pub(super) fn attach(&self, mut child: Child) {
        let mut held = self.held();
        held.stdin = child.stdin.take();
        held.child = Some(child);
        if held.stop {
            say_stop(&mut held);
        }
        if held.kill {
            kill(&mut held);
        }
    }

    /// Asks the worker to stop at its next checkpoint.
    pub(super) fn stop(&self) {
        let mut held = self.held();
        held.stop = true;
        say_stop(&mut held);
    }

    /// Kills the worker and whatever it started.
    pub(super) fn kill(&self) {
        let mut held = self.held();
        held.stop = true;
        held.kill = true;
        kill(&mut held);
    }

    /// Whether the worker was asked to stop, or killed.
    pub(super) fn is_stopping(&self) -> bool {
        self.held().stop
    }

    /// Whether the worker was to be killed.
    pub(super) fn is_killed(&self) -> bool {
        self.held().kill
    }

    /// Waits for the worker's end. Call it when the worker closed its output, so that the wait is short.
    pub(super) fn wait(&self) -> std::io::Result<ExitStatus> {
        let mut pause = Duration::from_micros(200);
        loop {
            let mut held = self.held();
            let Some(child) = held.child.as_mut() else {
                return Err(std::io::Error::other("the worker was not started"));
            };
            if let Some(status) = child.try_wait()? {
                held.child = None;
                held.stdin = None;
                return Ok(status);
            }
            drop(held);
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

/// A worker that is gone already needs no telling.
fn say_stop(held: &mut Held) {
    if let Some(stdin) = held.stdin.as_mut() {
        drop(writeln!(stdin, "{STOP}").and_then(|()| stdin.flush()));
    }
}

fn kill(held: &mut Held) {
    let Some(child) = held.child.as_mut() else {
        return;
    };
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
    }
    drop(child.kill());
}
