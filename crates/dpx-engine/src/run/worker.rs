//! The worker process: serves one request.

use super::freeze::{check_sources, pinned};
use crate::cache::WorkerLock;
use crate::cache::manifest_of_folder;
use dpx_schema::files::{sync_tree, write_swapped, write_whole};
use dpx_schema::progress::ProgressUpdate;
use dpx_schema::protocol::{Closing, FAILED, INTERRUPTED, Message, PROTOCOL, Request, STOP};
use dpx_schema::{Device, device_failure, device_list, device_names, divided_devices};
use dpx_schema::{Input, Progress, StageContext, StageError, StageResult};
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Messages about progress are at least this far apart.
const BETWEEN_REPORTS: Duration = Duration::from_millis(100);

/// Serves a request with the given stages; returns the exit code.
pub fn serve(request: &Path, stage: &dyn Fn(&StageContext<'_>) -> StageResult) -> i32 {
    match attempt(request, stage) {
        Ok(()) => 0,
        Err(error) if error.interrupted => INTERRUPTED,
        Err(error) => {
            let reason = error.to_string();
            drop(writeln!(io::stderr(), "error: {reason}"));
            say(&Message::Failed { reason });
            FAILED
        }
    }
}

fn attempt(
    path: &Path,
    stage: &dyn Fn(&StageContext<'_>) -> StageResult,
) -> Result<(), StageError> {
    let request = read(path)?;
    die_with(request.runner);
    let stop = Arc::new(AtomicBool::new(false));
    listen(Arc::clone(&stop));
    // An orphan of an earlier run may still be about to die; it must not meet this worker in the state folder.
    let lock = Arc::new(WorkerLock::wait(&request.lock)?);
    let _lock = Arc::clone(&lock);
    if lock.is_claim() {
        std::thread::spawn(move || {
            while !lock.is_lost() {
                std::thread::sleep(Duration::from_secs(1));
            }
            // Another worker has the checkpoints now.
            end_now();
        });
    }
    for folder in [&request.output, &request.state] {
        fs::create_dir_all(folder).map_err(|error| {
            StageError::new(format!("cannot make `{}`: {error}", folder.display()))
        })?;
    }
    let names: Vec<&str> = device_names(&request.device).collect();
    let devices = divided_devices(&names).map_err(StageError::new)?;
    let device = devices[0];
    let reporter = Reporter {
        stop,
        last: Mutex::new(None),
    };
    let context = StageContext {
        instance: request.instance.clone(),
        kind: request.kind,
        params: pinned(request.kind, &request.params, &request.sources),
        performance: request.performance.clone(),
        inputs: request
            .inputs
            .iter()
            .map(|(name, input)| {
                let input = Input {
                    kind: input.kind,
                    path: input.path.clone(),
                    digest: input.digest.clone(),
                    flow: input.flow,
                };
                (name.clone(), input)
            })
            .collect(),
        output: request.output.clone(),
        state: request.state.clone(),
        secrets: request.secrets.join(&request.cache),
        ledger: request.ledger.clone(),
        key: request.key.to_string(),
        seed: request.seed,
        device,
        others: devices[1..].to_vec(),
        progress: &reporter,
    };
    let start = Instant::now();
    let frozen = || check_sources(request.kind, &request.params, &request.sources);
    frozen()?;
    let finish = on_device(device, || stage(&context))?;
    // Again, since it may have changed while the stage read it.
    frozen()?;
    let closing = Closing {
        protocol: PROTOCOL,
        key: request.key,
        output: manifest_of_folder(&request.output)?,
        wall_seconds: start.elapsed().as_secs_f64(),
        device: device_list(&devices),
        dpx_version: env!("CARGO_PKG_VERSION").to_owned(),
        finished_at: super::event::now(),
    };
    let durable = !finish.is_nothing();
    close(
        &closing,
        &request.closing,
        durable.then_some(&request.output),
    )
    .map_err(|error| StageError::new(format!("cannot write the closing manifest: {error}")))?;
    // The artifact is whole and stays, whatever happens from here on: what fails now is told, and no failure of the stage.
    if let Err(error) = finish.run() {
        reporter.log(&format!("after the end of the stage: {error}"));
    }
    Ok(())
}

/// Runs a stage. A device that runs out of memory or vanishes ends in a panic somewhere below: it becomes an error that says
/// what to do.
fn on_device(device: Device, stage: impl FnOnce() -> StageResult) -> StageResult {
    if device == Device::Cpu {
        return stage();
    }
    // Nothing that a stage leaves half done is looked at again: its artifact is thrown away.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(stage)).unwrap_or_else(|panic| {
        let words = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no reason given");
        Err(StageError::new(format!(
            "the device `{device}` failed: {}",
            device_failure(words)
        )))
    })
}

fn read(path: &Path) -> Result<Request, StageError> {
    let wrong = |what: String| StageError::new(format!("the request `{}` {what}", path.display()));
    let bytes = fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|error| wrong(format!("is not JSON: {error}")))?;
    let protocol = value.get("protocol").and_then(serde_json::Value::as_u64);
    if protocol != Some(u64::from(PROTOCOL)) {
        return Err(wrong(format!(
            "does not speak protocol {PROTOCOL}: start workers with the dpx that runs the experiment"
        )));
    }
    serde_json::from_value(value).map_err(|error| wrong(format!("does not fit: {error}")))
}

/// Leaves the closing manifest. Its content is checked against the files before anybody believes it, so it need not wait
/// for the disk: after a power cut the worst case is a manifest whose files are torn, and the instance runs again.
///
/// Where something cannot be undone afterwards, `durable` is the output folder: files and manifest are on the medium first.
fn close(closing: &Closing, path: &Path, durable: Option<&PathBuf>) -> io::Result<()> {
    let bytes = serde_json::to_vec(closing)?;
    match durable {
        Some(output) => {
            sync_tree(output)?;
            write_whole(path, &bytes)
        }
        None => write_swapped(path, &bytes),
    }
}

/// Reads commands on a thread; the end of the input is the end of the runner, and of this process.
fn listen(stop: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            match line {
                Ok(line) if line == STOP => stop.store(true, Ordering::SeqCst),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        end_now();
    });
}

/// Asks the kernel to kill this process when its runner dies, and checks that the runner did not die before.
#[cfg(target_os = "linux")]
fn die_with(runner: Option<u32>) {
    use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
    let Some(runner) = runner.and_then(|pid| i32::try_from(pid).ok()) else {
        return;
    };
    set_parent_process_death_signal(Some(Signal::KILL)).ok();
    if getppid() != Pid::from_raw(runner) {
        end_now();
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with(_runner: Option<u32>) {}

/// Ends this process without a word: nobody is left to hear it, and nothing may be committed any more.
fn end_now() -> ! {
    #[cfg(unix)]
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).ok();
    std::process::abort()
}

/// Prints a message. A runner that does not listen any more has closed the input too, which ends this process.
fn say(message: &Message) {
    if let Ok(mut line) = serde_json::to_vec(message) {
        line.push(b'\n');
        let mut stdout = io::stdout().lock();
        drop(stdout.write_all(&line).and_then(|()| stdout.flush()));
    }
}

/// When a message about progress was sent, and the tokens computed by then.
#[derive(Clone, Copy)]
struct Reported {
    at: Instant,
    tokens: Option<u64>,
}

impl Reported {
    /// The speed since an earlier message; none where no tokens are counted.
    fn tokens_per_second(self, before: Self) -> Option<f64> {
        let tokens = self.tokens?.checked_sub(before.tokens?)?;
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        (seconds > 0.0).then(|| tokens as f64 / seconds)
    }
}

struct Reporter {
    stop: Arc<AtomicBool>,
    last: Mutex<Option<Reported>>,
}

impl Progress for Reporter {
    fn update(&self, update: &ProgressUpdate) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.at.elapsed() >= BETWEEN_REPORTS);
        if due || update.done == update.total {
            let now = Reported {
                at: Instant::now(),
                tokens: update.metrics.tokens,
            };
            let mut update = update.clone();
            update.metrics.tokens_per_second = last.and_then(|last| now.tokens_per_second(last));
            *last = Some(now);
            say(&Message::Progress(update));
        }
    }

    fn log(&self, line: &str) {
        drop(writeln!(io::stderr(), "{line}"));
        say(&Message::Log {
            line: line.to_owned(),
        });
    }

    fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_that_since_the_last_message() {
        let at = Instant::now();
        let before = Reported {
            at,
            tokens: Some(1000),
        };
        let after = |tokens| Reported {
            at: at + Duration::from_millis(500),
            tokens,
        };
        assert_eq!(after(Some(1600)).tokens_per_second(before), Some(1200.0));
        assert_eq!(after(None).tokens_per_second(before), None);
        assert_eq!(before.tokens_per_second(before), None);
    }

    #[test]
    fn a_device_that_fails_says_what_to_lower() {
        let full = || panic!("can't allocate buffer of size {}", 1u64 << 40);
        let told = on_device(Device::Wgpu(1), full).unwrap_err().to_string();
        for part in [
            "the device `wgpu:1` failed: can't allocate buffer of size 1099511627776",
            "lower `micro_batch_tokens`",
            "`--device-slots`",
        ] {
            assert!(told.contains(part), "{told}");
        }
        let own = on_device(Device::Wgpu(1), || Err(StageError::new("no texts")));
        assert_eq!(own.unwrap_err().to_string(), "no texts");
    }
}
