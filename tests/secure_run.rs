//! A private run through the real binary: where its secret key is, and what kills at any moment cost.

#![cfg(unix)]

use crate::binary;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const EXPERIMENT: &str = r#"
[experiment]
name = "secret"

[stage.base]
kind = "pretrain"
corpus = ["builtin:dialogue"]
vocabulary_size = 300
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
epsilon = 3
delta = 1e-3
epochs = 100
batch_size = 24
max_length = 12
checkpoint_every = 4

[stage.sample]
kind = "sample"
needs = ["train"]
count = 4
max_new_tokens = 4
"#;

/// Layout of a key file: a header, then two slots of (step, key, checksum).
const HEADER: usize = 4096;
const SLOT: usize = 64;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let mut texts = "text,label\n".to_owned();
        for row in 0..60 {
            writeln!(
                texts,
                "good day number {row},joy\nbad day number {row},sadness"
            )
            .unwrap();
        }
        std::fs::write(place.path("secret.toml"), EXPERIMENT).unwrap();
        std::fs::write(place.path("texts.csv"), texts).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        binary::command(self.0.path(), arguments)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}");
        output
    }

    fn spawn(&self) -> Child {
        self.command(&["run", "secret.toml", "--jobs", "1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// The keys at rest at this moment.
    fn keys(&self) -> BTreeSet<Vec<u8>> {
        let mut keys = BTreeSet::new();
        for path in files(&self.path("state/secrets")) {
            let content = std::fs::read(path).unwrap_or_default();
            for slot in content.get(HEADER..).unwrap_or_default().chunks(SLOT) {
                let key = slot.get(8..40).unwrap_or_default();
                if key.iter().any(|byte| *byte != 0) {
                    keys.insert(key.to_vec());
                }
            }
        }
        keys
    }

    /// Number of steps in the log of the training that is under way.
    fn steps(&self) -> usize {
        let log = files(&self.path("cache/state"))
            .into_iter()
            .filter(|path| path.ends_with("steps.jsonl"))
            .filter_map(|path| std::fs::read_to_string(path).ok())
            .find(|text| text.contains("gradient_norm"));
        log.map_or(0, |text| text.lines().count())
    }

    /// The one file in the cache's objects with these words.
    fn artifact(&self, words: [&str; 2]) -> String {
        let mut texts = files(&self.path("cache/objects"))
            .into_iter()
            .filter_map(|path| std::fs::read_to_string(path).ok())
            .filter(|text| words.iter().all(|word| text.contains(word)));
        let found = texts.next().expect("the artifact is there");
        assert!(texts.next().is_none(), "there is one of {words:?}");
        found
    }
}

/// Those of a process and its children, where the system shows them.
fn arguments_and_environments(process: u32) -> Vec<u8> {
    let parent = process.to_string();
    let mut all = Vec::new();
    for folder in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let read = |name| std::fs::read(folder.path().join(name)).unwrap_or_default();
        let status = String::from_utf8_lossy(&read("stat")).into_owned();
        let after_name = status.rsplit(')').next().unwrap_or_default();
        let child = after_name.split_whitespace().nth(1) == Some(&parent);
        if child || folder.file_name().to_string_lossy() == parent {
            all.extend([read("cmdline"), read("environ")].concat());
        }
    }
    all
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) => found.push(entry.path()),
                Err(_) => {}
            }
        }
    }
    found
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let whole = bytes.len() / 3 * 3;
    let digits = bytes[..whole].chunks(3).flat_map(|chunk| {
        let word = u32::from(chunk[0]) << 16 | u32::from(chunk[1]) << 8 | u32::from(chunk[2]);
        [18, 12, 6, 0].map(|shift| DIGITS[(word >> shift & 63) as usize])
    });
    digits.collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// How a key may stand in a file.
fn spellings(key: &[u8]) -> Vec<Vec<u8>> {
    let lower = hexadecimal(key);
    vec![
        key.to_vec(),
        lower.to_uppercase().into_bytes(),
        lower.into_bytes(),
        base64(key),
    ]
}

/// Whether any of the needles, of at least eight bytes each, stands in the content: one pass over it.
fn any_stands_in(content: &[u8], needles: &[Vec<u8>]) -> bool {
    let starts: HashSet<&[u8]> = needles.iter().map(|needle| &needle[..8]).collect();
    content.windows(8).enumerate().any(|(at, window)| {
        starts.contains(window)
            && needles
                .iter()
                .any(|needle| content[at..].starts_with(needle))
    })
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < Duration::from_mins(2),
            "it never came about: {what}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The keys in a folder. A worker that dies while it makes its key leaves a file with another ending, which is swept later.
fn written(folder: &Path) -> Vec<PathBuf> {
    let is_key = |path: &PathBuf| path.extension().is_some_and(|end| end == "key");
    files(folder).into_iter().filter(is_key).collect()
}

/// Every key that was ever seen at rest stands in no file when the run is over: raw, hexadecimal or base64; nor in what was
/// printed, nor in arguments or environment of a worker. Kills at all stages of training cost no second entry and no second step.
#[test]
fn kills_spend_nothing_twice_and_no_key_is_left_anywhere() {
    let place = Place::new();
    let mut keys = BTreeSet::new();
    let mut said = Vec::new();
    let secrets = place.path("state/secrets");
    // A kill when the key exists and nothing else, before the first checkpoint, after some, shortly before the end.
    for kill_at in [0, 1, 4, 6, 20, 60, 120] {
        let mut runner = place.spawn();
        until(&format!("step {kill_at}"), || {
            keys.extend(place.keys());
            assert!(
                runner.try_wait().unwrap().is_none(),
                "ended before step {kill_at}"
            );
            !written(&secrets).is_empty() && place.steps() >= kill_at
        });
        said.extend(arguments_and_environments(runner.id()));
        let pid = Pid::from_raw(i32::try_from(runner.id()).unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        runner.wait().unwrap();
        keys.extend(place.keys());
        assert_eq!(
            written(&secrets).len(),
            1,
            "the key waits for the next attempt"
        );
    }
    let output = place.run(&["run", "secret.toml", "--jobs", "1"]);
    assert!(keys.len() > 3, "the keys were seen: {}", keys.len());
    assert!(written(&secrets).is_empty(), "the key is destroyed");

    let ledger = String::from_utf8(place.run(&["ledger"]).stdout).unwrap();
    assert!(ledger.contains("(1 run)"), "{ledger}");
    let privacy = place.artifact(["\"status\": \"private\"", "\"expected_batch_size\""]);
    let privacy: serde_json::Value = serde_json::from_str(&privacy).unwrap();
    let log = place.artifact(["\"step\"", "\"gradient_norm\""]);
    let steps: Vec<u64> = log
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["step"].as_u64().unwrap()
        })
        .collect();
    let all = privacy["event"]["steps"].as_u64().unwrap();
    assert_eq!(steps, (1..=all).collect::<Vec<u64>>());

    said.extend(output.stdout);
    said.extend(output.stderr);
    let everything = files(place.0.path());
    assert!(
        everything.len() > 20,
        "cache, records, logs and ledger were searched"
    );
    for path in everything {
        said.extend(path.to_string_lossy().as_bytes());
        said.extend(std::fs::read(path).unwrap());
    }
    let needles: Vec<Vec<u8>> = keys.iter().flat_map(|key| spellings(key)).collect();
    assert!(!any_stands_in(&said, &needles), "a key was left behind");
    // The same search finds what is there, in each spelling.
    for needle in &needles[..4] {
        let mut planted = said.clone();
        let middle = planted.len() / 2;
        planted.splice(middle..middle, needle.iter().copied());
        assert!(any_stands_in(&planted, &needles));
    }
}
