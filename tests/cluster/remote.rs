//! A cache that two machines share: two folders, two homes, one store.

use super::{Place, SHORT_EPOCHS, find, local, text};
use std::path::Path;
use std::process::{Command, Output};

pub(super) fn key(folder: &Path) -> String {
    let path = folder.join("team.key");
    let made = crate::binary::succeeds(folder, &["cache", "key", path.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&made.stdout).contains("team.key"));
    path.to_str().unwrap().to_owned()
}

pub(super) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The study on a machine of its own, with a cache folder and a home of its own, and with all of its artifacts shared.
pub(super) struct Machine<'a> {
    pub(super) place: Place,
    url: &'a str,
    key: &'a str,
    /// What leads to the store.
    environment: Vec<(String, String)>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(url: &'a str, key: &'a str) -> Self {
        let place = Place::new(SHORT_EPOCHS);
        std::fs::create_dir(place.path("home")).unwrap();
        Self {
            place,
            url,
            key,
            environment: Vec::new(),
        }
    }

    #[cfg(feature = "remote")]
    pub(super) fn led_by(mut self, environment: &[(String, String)]) -> Self {
        self.environment = environment.to_vec();
        self
    }

    /// A call on this machine that knows nothing of the store.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.place.command(words);
        command
            .env("HOME", self.place.path("home"))
            .env_remove("XDG_STATE_HOME")
            .env_remove("DPX_STATE_DIR");
        command
    }

    pub(super) fn alone(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    pub(super) fn dpx(&self, words: &[&str]) -> Output {
        self.start(words).output().unwrap()
    }

    /// A call that reaches the store, not made yet.
    pub(super) fn start(&self, words: &[&str]) -> Command {
        let mut command = self.command(words);
        command
            .env("DPX_CACHE_REMOTE", self.url)
            .env("DPX_CACHE_KEY", self.key)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(super) fn run(&self) -> Output {
        self.dpx(&SHARED)
    }
}

/// A run that shares everything.
pub(super) const SHARED: [&str; 4] = ["run", "away.toml", "--set", "cache.private=true"];

/// What holds for every store that heeds conditions.
pub(super) fn shared_by_two(url: &str, key: &str) {
    let one = Machine::new(url, key);
    let run = one.run();
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    assert!(!text(&run).contains("not shared"), "{}", text(&run));
    let other = Machine::new(url, key);
    let run = other.run();
    assert!(text(&run).contains(": 0 ran, 10 cached"), "{}", text(&run));
    assert_eq!(other.place.artifacts(), local(SHORT_EPOCHS));
    // Each has its own secrets and ledger: nothing of them was shared.
    for machine in [&one, &other] {
        assert!(machine.place.path("home/.local/state/dpx").is_dir());
        assert!(!machine.place.path("state").exists());
    }
    let pulled = Machine::new(url, key);
    let told = out(&pulled.dpx(&["cache", "pull", "away.toml"]));
    assert!(told.contains("10 fetched, 0 not there"), "{told}");
    let told = out(&pulled.dpx(&["cache", "push", "away.toml", "--set", "cache.private=true"]));
    assert!(told.contains("0 sent, 10 there already"), "{told}");
    let told = out(&pulled.dpx(&["cache", "verify"]));
    assert!(
        told.contains("read 10 records") && told.contains("all sound"),
        "{told}"
    );
}

#[test]
fn a_folder_is_shared() {
    let folder = tempfile::tempdir().unwrap();
    let (url, key) = (
        format!("file://{}/store", folder.path().display()),
        key(folder.path()),
    );
    shared_by_two(&url, &key);
    let tamper = |change: fn(&mut Vec<u8>)| {
        for path in find(&folder.path().join("store/objects"), "") {
            let mut bytes = std::fs::read(&path).unwrap();
            change(&mut bytes);
            std::fs::write(&path, bytes).unwrap();
        }
    };
    // Tampered objects, of the same length: a pull says so and fails.
    tamper(|bytes| {
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
    });
    let pulled = Machine::new(&url, &key).dpx(&["cache", "pull", "away.toml"]);
    assert_eq!(pulled.status.code(), Some(1), "{}", out(&pulled));
    assert!(
        out(&pulled).contains("bad and not taken"),
        "{}",
        out(&pulled)
    );
    // A run tells of them, makes them again here, and sends them in place of what was there.
    let other = Machine::new(&url, &key);
    let run = other.run();
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    assert!(
        text(&run).contains("not taken from the remote cache"),
        "{}",
        text(&run)
    );
    assert_eq!(other.place.artifacts(), local(SHORT_EPOCHS));
    let next = Machine::new(&url, &key).run();
    assert!(
        text(&next).contains(": 0 ran, 10 cached"),
        "{}",
        text(&next)
    );
    // Others are removed on request, and sent by the next push.
    tamper(|bytes| bytes.push(0));
    let verified = other.dpx(&["cache", "verify"]);
    assert_eq!(verified.status.code(), Some(1));
    let cleaned = other.dpx(&["cache", "verify", "--remote", &url, "--delete"]);
    assert!(out(&cleaned).contains("removed"), "{}", out(&cleaned));
    let told = out(&other.dpx(&["cache", "push", "away.toml", "--set", "cache.private=true"]));
    assert!(told.contains("10 sent, 0 there already"), "{told}");
    // Whoever has another key cleans nothing away.
    let strange = super::remote::key(
        tempfile::tempdir_in(folder.path())
            .unwrap()
            .keep()
            .as_path(),
    );
    let stored = find(&folder.path().join("store"), "").len();
    for words in [
        &["cache", "gc", "--unused-days", "0", "--yes"][..],
        &["cache", "verify", "--delete"][..],
    ] {
        let words = [words, &["--remote", &url, "--cache-key", &strange][..]].concat();
        let told = out(&other.dpx(&words));
        assert!(told.contains("another key"), "{told}");
    }
    assert_eq!(find(&folder.path().join("store"), "").len(), stored);
    let told = out(&other.dpx(&["cache", "gc", "--unused-days", "30", "--remote", &url]));
    assert!(
        told.contains("would delete 0 records") && told.contains("stay"),
        "{told}"
    );
}

#[test]
fn without_a_word_private_artifacts_stay_here() {
    let folder = tempfile::tempdir().unwrap();
    let (url, key) = (
        format!("file://{}/store", folder.path().display()),
        key(folder.path()),
    );
    let one = Machine::new(&url, &key);
    let run = one.dpx(&["run", "away.toml"]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    assert!(
        text(&run).contains("preprocess: not shared"),
        "{}",
        text(&run)
    );
    let shared = find(&folder.path().join("store/records"), "").len();
    assert!(
        shared <= 1,
        "{shared} artifacts of private data left the machine"
    );
    let nokey = one.alone(&["run", "away.toml", "--remote", &url]);
    assert_eq!(nokey.status.code(), Some(2));
    assert!(text(&nokey).contains("dpx cache key"), "{}", text(&nokey));
    let unknown = one.dpx(&["run", "away.toml", "--remote", "ftp://host"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown));
}
