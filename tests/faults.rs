//! A harness of faults: kills, failing system calls, full disks, damaged and deleted files, stopped processes, broken input.
//!
//! Seeded and bounded. The short form runs with the other tests; `DPX_FAULTS=long` makes all of it many times longer and
//! prints its figures (docs/reliability.md), `DPX_FAULTS_SEED=N` starts elsewhere. After every fault the same things are asked:
//! the program ended in time; a plain run ends well; its artifacts have the bytes of an undisturbed run; no lock is stuck; the
//! cache is sound; the ledger holds the run once; no key is left.

#![cfg(unix)]
#![expect(
    clippy::print_stderr,
    reason = "the long form prints its figures, and what is passed over is said"
)]

mod calls;
mod damage;
mod disks;
mod input;
mod kills;

use crate::binary;
use dpx_engine::cache::Cache;
use dpx_schema::Digest;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// No run of the small study takes nearly as long; whoever does hangs.
const PATIENCE: Duration = Duration::from_mins(3);

/// The study: every kind of stage that keeps a state, a key or a checkpoint.
const STUDY: &str = r#"
[experiment]
name = "faults"
seed = 3

[stage.base]
kind = "pretrain"
corpus = ["builtin:dialogue"]
vocabulary_size = 280
layers = 1
width = 16
heads = 2
context = 24
batch_size = 8
steps = 4
checkpoint_every = 2

[stage.preprocess]
kind = "preprocess"
dataset = "texts.csv"
labels = ["joy", "sadness"]

[stage.counts]
kind = "counts"
needs = ["preprocess"]
epsilon = 1
delta = 1e-3
noise = "NOISE"

[stage.train]
kind = "train"
needs = ["preprocess", "base"]
model = "stage:base"
epsilon = 3
delta = 1e-3
epochs = 8
batch_size = 24
max_length = 16
checkpoint_every = 5
canaries = 4
noise = "NOISE"

[stage.sample]
kind = "sample"
needs = ["train"]
count = 4
max_new_tokens = 4

[stage.classify]
kind = "classify"
needs = ["sample", "preprocess"]
model = "bag-of-words"
"#;

/// Whether the long form is asked for.
fn is_long() -> bool {
    std::env::var("DPX_FAULTS").is_ok_and(|form| form == "long")
}

/// So many rounds in the short form, so many in the long one.
fn rounds(short: usize, long: usize) -> usize {
    if is_long() { long } else { short }
}

/// A small generator, so that every round differs and a failure can be repeated.
struct Random(u64);

impl Random {
    /// The stream of one campaign.
    fn of(campaign: &str) -> Self {
        let seed =
            std::env::var("DPX_FAULTS_SEED").map_or(20_261_130, |seed| seed.parse().unwrap());
        let mixed = campaign.bytes().fold(seed, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        Self(mixed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// What the long form prints of a campaign.
fn told(campaign: &str, figures: &str) {
    if is_long() {
        eprintln!("{campaign}: {figures}");
    }
}

/// A folder with the study, its data and everything that dpx writes.
struct Place(tempfile::TempDir);

impl Place {
    fn new(noise: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.fill(noise);
        place
    }

    fn fill(&self, noise: &str) {
        let mut texts = "text,label\n".to_owned();
        for row in 0..60 {
            writeln!(
                texts,
                "good day number {row},joy\nbad day number {row},sadness"
            )
            .unwrap();
        }
        std::fs::write(self.path("texts.csv"), texts).unwrap();
        std::fs::write(self.path("faults.toml"), STUDY.replace("NOISE", noise)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = binary::command(self.0.path(), &["run", "faults.toml"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// A plain run; what it said. Panics where it fails or hangs.
    fn run(&self, after: &str) -> String {
        let (status, said) = finished(self.command().spawn().unwrap(), after);
        assert!(status.success(), "the run after {after}: {status}\n{said}");
        said
    }

    /// The files of all artifacts by instance and path. What names a run at random is left out.
    fn artifacts(&self) -> BTreeMap<(String, String), Digest> {
        let cache = Cache::at(self.path("cache")).unwrap();
        let records = cache.records().unwrap();
        let files = records.iter().flat_map(|record| {
            let files = record.output.files.iter();
            files.map(|file| {
                (
                    (record.instance.to_string(), file.path.clone()),
                    file.digest,
                )
            })
        });
        files
            .filter(|((_, path), _)| path != "privacy.json" && path != "statement.txt")
            .collect()
    }

    /// The released texts and the figures of the results.
    fn texts(&self) -> Vec<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = files(&self.path("results/faults/synthetic"))
            .into_iter()
            .filter(|path| path.extension().is_some_and(|end| end == "csv"))
            .map(|path| std::fs::read(path).unwrap())
            .collect();
        let text = std::fs::read(self.path("results/faults/results.json")).unwrap();
        let results: serde_json::Value = serde_json::from_slice(&text).unwrap();
        all.push(results["rows"][0]["figures"].to_string().into_bytes());
        all
    }

    /// Everything that has to hold once a plain run has ended well.
    fn check(&self, after: &str) {
        let cache = Cache::at(self.path("cache")).unwrap();
        assert!(
            cache.verify().unwrap().is_sound(),
            "the cache after {after}"
        );
        let keys: Vec<PathBuf> = files(&self.path("state/secrets"))
            .into_iter()
            .filter(|path| path.extension().is_some_and(|end| end == "key"))
            .collect();
        assert!(keys.is_empty(), "keys after {after}: {keys:?}");
        for name in ["results.json", "results.csv", "report.html"] {
            assert!(
                self.path("results/faults").join(name).is_file(),
                "{name} after {after}"
            );
        }
    }

    /// Runs that the ledger knows: one for each private stage where nothing was lost.
    fn entries(&self) -> usize {
        let output = binary::succeeds(self.0.path(), &["ledger"]);
        count_runs(&binary::text(&output.stdout))
    }
}

/// Different runs that `dpx ledger` lists: the identities on the lines of the two private stages.
fn count_runs(ledger: &str) -> usize {
    let lines = ledger
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.first() == Some(&"run"));
    let runs: std::collections::BTreeSet<&str> =
        lines.filter_map(|words| words.get(2).copied()).collect();
    runs.len()
}

/// Artifacts of the seeded study, undisturbed.
fn expected() -> &'static BTreeMap<(String, String), Digest> {
    static FOUND: OnceLock<BTreeMap<(String, String), Digest>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let place = Place::new("seeded");
        place.run("nothing");
        place.check("nothing");
        let found = place.artifacts();
        assert!(found.len() > 20, "{found:?}");
        found
    })
}

/// A plain run of the seeded study after a fault: everything holds, and every byte is that of the undisturbed run.
fn recovers(place: &Place, after: &str) {
    place.run(after);
    place.check(after);
    let found = place.artifacts();
    let differing: Vec<_> = expected()
        .iter()
        .filter(|(name, digest)| found.get(*name) != Some(digest))
        .map(|(name, _)| name)
        .collect();
    assert!(differing.is_empty(), "after {after}: {differing:?} differ");
}

/// As [`recovers`] after damage to files at rest: what a run reads is mended by that run, and the rest once `dpx cache verify`
/// has found it.
fn is_mended(place: &Place, after: &str) {
    let whole = place.texts();
    place.run(after);
    assert!(place.texts() == whole, "after {after}: other texts");
    drop(binary::dpx(place.0.path(), &["cache", "verify"]));
    recovers(place, after);
    assert!(place.texts() == whole, "after {after}: other texts");
}

/// Waits for the end of a process; kills it and panics where it hangs.
fn finished(mut child: Child, what: &str) -> (ExitStatus, String) {
    let mut stderr = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(stderr) = &mut stderr {
            drop(std::io::Read::read_to_end(stderr, &mut said));
        }
        String::from_utf8_lossy(&said).into_owned()
    });
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            drop(child.kill());
            drop(child.wait());
            panic!("{what}: the program hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let said = reader.join().unwrap();
    assert!(!said.contains("panicked"), "{what}: {said}");
    (status, said)
}

/// All files below a folder, in order.
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
    found.sort();
    found
}

/// Whether a program is on the path; what needs one that is missing says so.
fn has(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        eprintln!("`{program}` is missing: what needs it is passed over");
    }
    found
}
