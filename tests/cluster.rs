//! Runs whose workers somebody else starts: by a command line, and by a real Slurm on loopback where one can be had.
//!
//! Whatever happens to runner, workers and queue, the same things are asked at the end: a plain run ends well, its artifacts
//! have the bytes of a run on this machine alone, and the cache is sound. `DPX_FAULTS=long` repeats every fault ten times and prints
//! a table of them (docs/clusters.md).

#![cfg(unix)]
#![expect(clippy::print_stderr, reason = "what is passed over is said")]

mod claims;
mod command;
mod detached;
mod remote;
mod slurm;
#[cfg(feature = "remote")]
mod stores;

use crate::binary;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// No run of the small study takes nearly as long.
const PATIENCE: Duration = Duration::from_mins(3);

const EXPERIMENT: &str = r#"
[experiment]
name = "away"
seed = 5

[sweep]
epsilon = ROWS

[privacy]
noise = "seeded"

[stage.base]
kind = "pretrain"
corpus = ["builtin:dialogue"]
vocabulary_size = 280
layers = 1
width = 16
heads = 2
context = 16
batch_size = 8
steps = 2

[stage.preprocess]
kind = "preprocess"
dataset = "texts.csv"
labels = ["joy", "sadness"]

[stage.train]
kind = "train"
needs = ["preprocess", "base"]
model = "stage:base"
epsilon = "$epsilon"
delta = 1e-3
epochs = EPOCHS
batch_size = 24
max_length = 12
checkpoint_every = 4

[stage.sample]
kind = "sample"
needs = ["train"]
count = 4
max_new_tokens = 4

[run.executor]
heartbeat_seconds = 1
stale_seconds = 6
poll_seconds = 1
warning_seconds = 50
retries = 3
"#;

/// A folder with the study.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// The study with as many epochs of five steps as asked.
    fn new(epochs: u32) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let mut texts = "text,label\n".to_owned();
        for row in 0..60 {
            writeln!(
                texts,
                "good day number {row},joy\nbad day number {row},sadness"
            )
            .unwrap();
        }
        let rows = match epochs {
            SHORT_EPOCHS => "[\"inf\", 16, 8, 3]",
            TIMED_EPOCHS => "[8]",
            _ => "[8, 3]",
        };
        let text = EXPERIMENT
            .replace("EPOCHS", &epochs.to_string())
            .replace("ROWS", rows);
        std::fs::write(place.path("away.toml"), text).unwrap();
        std::fs::write(place.path("texts.csv"), texts).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        binary::command(self.folder.path(), arguments)
    }

    fn dpx(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts something whose output nobody reads.
    fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.path("stderr")).unwrap())
            .spawn()
            .unwrap()
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.path("stderr")).unwrap_or_default()
    }

    /// Digests of the files of every artifact, by instance.
    fn artifacts(&self) -> Artifacts {
        let list = binary::succeeds(self.folder.path(), &["cache", "ls", "--json"]);
        let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
        let whole = list["records"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["whole"] == true);
        whole
            .map(|one| {
                let record = &one["record"];
                let name = record["instance"].as_str().unwrap().to_owned();
                // The identity of a private run is drawn at random, with seeded noise too: that record differs and nothing else.
                let files = record["output"]["files"].as_array().unwrap().iter();
                let files: Vec<_> = files
                    .filter(|file| file["path"] != "privacy.json")
                    .collect();
                (name, serde_json::to_string(&files).unwrap())
            })
            .collect()
    }

    /// Nothing is left for a run of this machine to make, and everything is as it makes it.
    fn is_done(&self, epochs: u32) {
        let told = self.goes_on(epochs);
        let all = format!(": 0 ran, {} cached", local(epochs).len());
        assert!(told.contains(&all), "{told}");
    }

    /// A run of this machine makes what is left; everything is then as it makes it. What it said.
    fn goes_on(&self, epochs: u32) -> String {
        let again = self.dpx(&["run", "away.toml", "--executor", "local"]);
        let told = text(&again);
        assert_eq!(again.status.code(), Some(0), "{told}");
        let expected = local(epochs);
        assert_eq!(
            self.artifacts(),
            expected,
            "other bytes than on one machine"
        );
        let verified = self.dpx(&["cache", "verify"]);
        assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
        told
    }

    /// Processes of the workers that took a task and live.
    fn workers(&self) -> Vec<i32> {
        let claims = find(&self.path("cache/staging"), "claim.json");
        claims
            .iter()
            .filter(|path| !path.with_file_name("end.json").exists())
            .filter_map(|path| {
                let claim: serde_json::Value =
                    serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
                i32::try_from(claim["pid"].as_i64()?).ok()
            })
            .filter(|pid| Path::new(&format!("/proc/{pid}")).exists())
            .collect()
    }

    /// Waits until a `train` wrote a checkpoint, and gives back the processes of all workers.
    fn training(&self) -> Vec<i32> {
        until("a checkpoint", || {
            let states = find(&self.path("cache/state"), "state.bin");
            !states.is_empty() && !self.workers().is_empty()
        });
        self.workers()
    }
}

type Artifacts = BTreeMap<String, String>;

/// What a run on one machine makes, by epochs; made once each.
fn local(epochs: u32) -> Artifacts {
    static SHORT: OnceLock<Artifacts> = OnceLock::new();
    static LONG: OnceLock<Artifacts> = OnceLock::new();
    static TIMED: OnceLock<Artifacts> = OnceLock::new();
    let made = match epochs {
        SHORT_EPOCHS => &SHORT,
        TIMED_EPOCHS => &TIMED,
        _ => &LONG,
    };
    made.get_or_init(|| {
        let place = Place::new(epochs);
        let run = place.dpx(&["run", "away.toml"]);
        assert_eq!(run.status.code(), Some(0), "{}", text(&run));
        let artifacts = place.artifacts();
        assert!(artifacts.len() >= 4);
        artifacts
    })
    .clone()
}

/// Epochs of a study that is over at once.
const SHORT_EPOCHS: u32 = 1;
/// Epochs of a study whose training takes some seconds: long enough to be hit.
const LONG_EPOCHS: u32 = 100;
/// Epochs of a study whose training takes longer than Slurm takes to look at time limits.
const TIMED_EPOCHS: u32 = 800;

/// Whether the long form was asked for.
fn is_long() -> bool {
    std::env::var("DPX_FAULTS").is_ok_and(|value| value == "long")
}

/// Tries a fault once, or ten times in the long form, which prints a row of a table: how often it went well, and how long a
/// round took.
fn campaign(fault: &'static str, mut round: impl FnMut(u32)) {
    let times = if is_long() { 10 } else { 1 };
    let mut row = Row {
        fault,
        times,
        seconds: Vec::new(),
    };
    for number in 0..times {
        let start = Instant::now();
        round(number);
        row.seconds.push(start.elapsed().as_secs_f64());
    }
}

/// A row of the table; printed when the campaign ends, well or not.
struct Row {
    fault: &'static str,
    times: u32,
    seconds: Vec<f64>,
}

impl Drop for Row {
    fn drop(&mut self) {
        static HEAD: OnceLock<()> = OnceLock::new();
        if !is_long() {
            return;
        }
        HEAD.get_or_init(|| {
            eprintln!("| fault | ended well | seconds: median (least to most) |\n|---|---|---|");
        });
        let Self {
            fault,
            times,
            seconds,
        } = self;
        seconds.sort_by(f64::total_cmp);
        let at = |place: usize| seconds.get(place).copied().unwrap_or(f64::NAN);
        let last = seconds.len().saturating_sub(1);
        eprintln!(
            "| {fault} | {} of {times} | {:.0} ({:.0} to {:.0}) |",
            seconds.len(),
            at(last / 2),
            at(0),
            at(last)
        );
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every file of a name below a folder.
fn find(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(find(&path, name));
        } else if entry.file_name().to_string_lossy().starts_with(name) {
            found.push(path);
        }
    }
    found
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "it never came about: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn kill(pid: i32) {
    // It may have ended meanwhile.
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).ok();
}

/// The children of a process.
fn children(pid: i32) -> Vec<i32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

fn wait(child: &mut Child, place: &Place) -> i32 {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        if start.elapsed() >= PATIENCE {
            child.kill().ok();
            panic!("the run hangs: {}", place.said());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
