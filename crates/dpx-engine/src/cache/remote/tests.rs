//! Shared caches over folders, and over stores that lie, fail and forget.

use super::*;
use crate::cache::{Lookup, TryLock, manifest_of_folder};
use dpx_schema::{Digest, Kind};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

fn record(cache: &Cache, name: &str, flow: ReleaseLabel, files: &[(&str, &str)]) -> Record {
    let key = Digest::of(name.as_bytes());
    let lock = cache.lock(&key, name).unwrap();
    let output = cache.new_attempt(&key).unwrap().join("output");
    for (path, text) in files {
        let path = output.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let record = Record {
        version: Record::VERSION,
        key,
        experiment: "study".into(),
        stage: name.into(),
        instance: name.into(),
        kind: Kind::Train,
        kind_version: 1,
        axes: BTreeMap::new(),
        seed: 1,
        params: serde_json::json!({}),
        inputs: BTreeMap::new(),
        sources: BTreeMap::new(),
        output: manifest_of_folder(&output).unwrap(),
        flow,
        wall_seconds: 1.0,
        device: "cpu".into(),
        dpx_version: "0".into(),
        finished_at: "2026-01-01T00:00:00Z".into(),
    };
    cache.commit(&lock, &record, &output).unwrap();
    record
}

struct Machine {
    _folder: tempfile::TempDir,
    cache: Cache,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        cache.prepare().unwrap();
        Self {
            _folder: folder,
            cache,
        }
    }

    fn pull(&self, remote: &Remote, key: &Key) -> Result<Option<Record>, RemoteError> {
        let TryLock::Taken(lock) = self.cache.try_lock(key, "test").unwrap() else {
            panic!("the lock is held");
        };
        remote.pull(&self.cache, &lock)
    }
}

fn remote(store: impl Store + 'static, private: bool) -> Remote {
    Remote::new(Arc::new(store), TeamKey::derive(&[1; 32]), private, false).unwrap()
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

#[test]
fn what_one_machine_sends_another_fetches() {
    let place = tempfile::tempdir().unwrap();
    let store = FileStore::at(place.path());
    let one = Machine::new();
    let made = record(
        &one.cache,
        "base",
        ReleaseLabel::Public,
        &[("model/weights", "w"), ("empty", "")],
    );
    assert_eq!(
        remote(store.clone(), false)
            .push(&one.cache, &made)
            .unwrap(),
        Pushed::New
    );
    assert_eq!(
        remote(store.clone(), false)
            .push(&one.cache, &made)
            .unwrap(),
        Pushed::Already
    );
    let other = Machine::new();
    let found = other
        .pull(&remote(store.clone(), false), &made.key)
        .unwrap()
        .unwrap();
    assert_eq!(found, made);
    assert_eq!(other.cache.look(&made.key), Lookup::Whole(made.clone()));
    assert_eq!(
        other.cache.read_verified(&made, "model/weights").unwrap(),
        b"w"
    );
    assert_eq!(
        other
            .pull(&remote(store, false), &Digest::of(b"none"))
            .unwrap(),
        None
    );
}

#[test]
fn private_artifacts_stay_here_unless_asked_and_nothing_can_be_read_in_the_store() {
    let place = tempfile::tempdir().unwrap();
    let store = FileStore::at(place.path());
    let one = Machine::new();
    let text = "a very private text that nobody else may read";
    let private = record(
        &one.cache,
        "preprocess",
        ReleaseLabel::Private,
        &[("train.jsonl", text)],
    );
    let measured = record(
        &one.cache,
        "train",
        ReleaseLabel::Dp,
        &[("internal/steps.jsonl", text)],
    );
    let seeded = record(
        &one.cache,
        "sample",
        ReleaseLabel::Seeded,
        &[("texts", text)],
    );
    for record in [&private, &measured, &seeded] {
        assert_eq!(
            remote(store.clone(), false)
                .push(&one.cache, record)
                .unwrap(),
            Pushed::Private
        );
    }
    assert!(files(place.path()).is_empty());
    assert_eq!(
        remote(store.clone(), true)
            .push(&one.cache, &private)
            .unwrap(),
        Pushed::New
    );
    let digest = Digest::of(text.as_bytes()).to_string();
    for path in files(place.path()) {
        let bytes = std::fs::read(&path).unwrap();
        for secret in [text, "preprocess", &digest, &private.key.to_string()] {
            assert!(
                !bytes
                    .windows(secret.len())
                    .any(|window| window == secret.as_bytes()),
                "{}",
                path.display()
            );
            assert!(
                !path.to_string_lossy().contains(secret),
                "{}",
                path.display()
            );
        }
    }
    let stranger = Remote::new(Arc::new(store), TeamKey::derive(&[2; 32]), true, false).unwrap();
    assert_eq!(
        Machine::new().pull(&stranger, &private.key).unwrap(),
        None,
        "another key sees nothing"
    );
}

#[test]
fn whatever_was_changed_is_a_miss_and_is_found_and_replaced() {
    let place = tempfile::tempdir().unwrap();
    let store = FileStore::at(place.path());
    let one = Machine::new();
    let made = record(
        &one.cache,
        "base",
        ReleaseLabel::Public,
        &[("weights", "some weights"), ("more", "more")],
    );
    let shared = remote(store.clone(), false);
    shared.push(&one.cache, &made).unwrap();
    let sent: Vec<_> = files(place.path())
        .into_iter()
        .filter(|path| !path.starts_with(place.path().join("used")))
        .collect();
    assert_eq!(sent.len(), 3, "{sent:?}");
    for path in sent {
        let good = std::fs::read(&path).unwrap();
        for damage in 0..3 {
            let mut bytes = good.clone();
            match damage {
                0 => bytes[good.len() / 2] ^= 1,
                1 => bytes.truncate(good.len() - 1),
                _ => bytes.clear(),
            }
            std::fs::write(&path, &bytes).unwrap();
            let other = Machine::new();
            let told = other.pull(&shared, &made.key).unwrap_err().to_string();
            assert!(told.contains("dpx cache verify --remote"), "{told}");
            assert_eq!(other.cache.look(&made.key), Lookup::Nothing);
            assert!(
                !shared.verify(false).unwrap().is_sound(),
                "{}",
                path.display()
            );
        }
        // Removed, it is sent again.
        assert!(!shared.verify(true).unwrap().is_sound());
        assert_eq!(shared.push(&one.cache, &made).unwrap(), Pushed::New);
        assert!(shared.verify(false).unwrap().is_sound());
        assert_eq!(
            Machine::new().pull(&shared, &made.key).unwrap().as_ref(),
            Some(&made)
        );
    }
    // A good record under another's name.
    let second = record(
        &one.cache,
        "second",
        ReleaseLabel::Public,
        &[("weights", "x")],
    );
    shared.push(&one.cache, &second).unwrap();
    let name = |record: &Record| place.path().join(shared.record_name(&record.key));
    std::fs::copy(name(&second), name(&made)).unwrap();
    let swapped = Machine::new().pull(&shared, &made.key).unwrap_err();
    assert!(
        matches!(swapped, RemoteError::BadSignature { .. }),
        "{swapped}"
    );
}

#[test]
fn of_sixteen_writers_one_wins_and_all_know() {
    for _ in 0..10 {
        let place = tempfile::tempdir().unwrap();
        let store = FileStore::at(place.path());
        let machines: Vec<_> = (0..16)
            .map(|number| {
                let machine = Machine::new();
                let made = record(
                    &machine.cache,
                    "base",
                    ReleaseLabel::Public,
                    &[("weights", &format!("weights {number}"))],
                );
                (machine, made, remote(store.clone(), false))
            })
            .collect();
        let pushed: Vec<Pushed> = std::thread::scope(|scope| {
            let threads: Vec<_> = machines
                .iter()
                .map(|(machine, made, shared)| {
                    scope.spawn(|| shared.push(&machine.cache, made).unwrap())
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let won: Vec<usize> = (0..16)
            .filter(|&number| pushed[number] == Pushed::New)
            .collect();
        assert_eq!(won.len(), 1, "{pushed:?}");
        let (_, made, shared) = &machines[won[0]];
        assert_eq!(
            Machine::new().pull(shared, &made.key).unwrap().as_ref(),
            Some(made)
        );
        assert!(shared.verify(false).unwrap().is_sound());
    }
}

#[test]
fn room_is_made_by_last_use() {
    let place = tempfile::tempdir().unwrap();
    let store = FileStore::at(place.path());
    let one = Machine::new();
    let shared = remote(store, false);
    let names = ["first", "second", "third"];
    let made = names.map(|name| {
        let made = record(
            &one.cache,
            name,
            ReleaseLabel::Public,
            &[("weights", &name.repeat(100)), ("same", "same")],
        );
        shared.push(&one.cache, &made).unwrap();
        made
    });
    let old = |record: &Record, hours: u64| {
        for name in [
            shared.record_name(&record.key),
            shared.used_name(&record.key),
        ] {
            let file = std::fs::File::options()
                .write(true)
                .open(place.path().join(name))
                .unwrap();
            file.set_modified(
                std::time::SystemTime::now() - std::time::Duration::from_secs(hours * 3600),
            )
            .unwrap();
        }
    };
    for (record, hours) in made.iter().zip([50, 40, 30]) {
        old(record, hours);
    }
    // Fetched again, the first is the last that was used.
    Machine::new().pull(&shared, &made[0].key).unwrap().unwrap();
    let days = |hours: u64| Some(std::time::Duration::from_secs(hours * 3600));
    let would = shared.collect(days(35), None, false).unwrap();
    assert_eq!(would.records, ["second"]);
    assert_eq!(shared.collect(days(35), None, true).unwrap(), would);
    assert!(
        shared.verify(false).unwrap().is_sound(),
        "what others name stays"
    );
    let small = shared.collect(None, Some(600), true).unwrap();
    assert_eq!(small.records, ["third"]);
    assert_eq!(small.kept_records, 1);
    assert!(shared.has(&made[0].key).unwrap() && !shared.has(&made[2].key).unwrap());
}

/// A store that fails in ways of its own.
#[derive(Debug)]
struct Faulty {
    inner: FileStore,
    /// Conditions are not heeded.
    overwrites: bool,
    /// Every so many calls that write is answered with silence, after it was done or instead.
    silent: AtomicU32,
    done: bool,
    /// Calls until the store is gone for good.
    left: Mutex<Option<u32>>,
}

impl Faulty {
    fn over(folder: &Path) -> Self {
        Self {
            inner: FileStore::at(folder),
            overwrites: false,
            silent: AtomicU32::new(0),
            done: false,
            left: Mutex::new(None),
        }
    }

    fn gone(&self) -> Result<(), StoreError> {
        let mut left = self.left.lock().unwrap();
        match &mut *left {
            Some(0) => Err(StoreError::Silent {
                what: "gone".into(),
            }),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn loses(&self) -> bool {
        self.silent
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .is_ok()
    }
}

impl Store for Faulty {
    fn describe(&self) -> String {
        "faulty".into()
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.gone()?;
        self.inner.get(name)
    }

    fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.gone()?;
        self.inner.size(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.gone()?;
        self.inner.put(name, bytes)
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Result<Created, StoreError> {
        self.gone()?;
        if self.overwrites {
            self.inner.put(name, bytes)?;
            return Ok(Created::New);
        }
        if name.starts_with("records/") && self.loses() {
            if self.done {
                self.inner.create(name, bytes)?;
            }
            return Err(StoreError::Silent {
                what: "connection reset".into(),
            });
        }
        self.inner.create(name, bytes)
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>, StoreError> {
        self.gone()?;
        self.inner.list(folder)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.gone()?;
        self.inner.delete(name)
    }
}

#[test]
fn a_store_without_conditions_is_found_out_and_not_written_to() {
    let place = tempfile::tempdir().unwrap();
    let one = Machine::new();
    let made = record(
        &one.cache,
        "base",
        ReleaseLabel::Public,
        &[("weights", "w")],
    );
    let faulty = Faulty {
        overwrites: true,
        ..Faulty::over(place.path())
    };
    let shared = remote(faulty, false);
    for _ in 0..2 {
        let told = shared.push(&one.cache, &made).unwrap_err().to_string();
        assert!(told.contains("If-None-Match"), "{told}");
    }
    assert_eq!(shared.verify(false).unwrap().records, 0);
    // What others wrote there can be read.
    remote(FileStore::at(place.path()), false)
        .push(&one.cache, &made)
        .unwrap();
    assert!(Machine::new().pull(&shared, &made.key).unwrap().is_some());
}

#[test]
fn a_lost_answer_is_resolved_by_who_wrote_what_stands() {
    for done in [false, true] {
        let place = tempfile::tempdir().unwrap();
        let one = Machine::new();
        let made = record(
            &one.cache,
            "base",
            ReleaseLabel::Public,
            &[("weights", "w")],
        );
        let faulty = Faulty {
            silent: AtomicU32::new(1),
            done,
            ..Faulty::over(place.path())
        };
        assert_eq!(
            remote(faulty, false).push(&one.cache, &made).unwrap(),
            Pushed::New,
            "{done}"
        );
        let other = Machine::new();
        let theirs = record(
            &other.cache,
            "base",
            ReleaseLabel::Public,
            &[("weights", "others")],
        );
        assert_eq!(
            remote(FileStore::at(place.path()), false)
                .push(&other.cache, &theirs)
                .unwrap(),
            Pushed::Already
        );
    }
}

#[test]
fn a_store_that_dies_at_any_call_loses_nothing() {
    let one = Machine::new();
    let made = record(
        &one.cache,
        "base",
        ReleaseLabel::Public,
        &[("weights", "w"), ("more", "m")],
    );
    for left in 0..20 {
        let place = tempfile::tempdir().unwrap();
        let faulty = Faulty::over(place.path());
        *faulty.left.lock().unwrap() = Some(left);
        let pushed = remote(faulty, false).push(&one.cache, &made);
        // Whatever stands is whole: a record only when all of its objects do.
        let sound = remote(FileStore::at(place.path()), false);
        assert!(
            sound.verify(false).unwrap().is_sound(),
            "{left}: {pushed:?}"
        );
        assert!(sound.push(&one.cache, &made).is_ok());
        let other = Machine::new();
        let faulty = Faulty::over(place.path());
        *faulty.left.lock().unwrap() = Some(left);
        match other.pull(&remote(faulty, false), &made.key) {
            Ok(found) => assert_eq!(found.as_ref(), Some(&made), "{left}"),
            Err(_) => assert_eq!(other.cache.look(&made.key), Lookup::Nothing, "{left}"),
        }
        assert_eq!(other.pull(&sound, &made.key).unwrap().as_ref(), Some(&made));
    }
}

/// Every file in the store is as old as that.
fn age(folder: &Path, hours: u64) {
    for path in files(folder) {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        let age = std::time::Duration::from_secs(hours * 3600);
        file.set_modified(std::time::SystemTime::now() - age)
            .unwrap();
    }
}

fn days(days: u64) -> std::time::Duration {
    std::time::Duration::from_secs(days * 24 * 3600)
}

#[test]
fn what_another_key_or_version_wrote_outlives_cleaning() {
    let place = tempfile::tempdir().unwrap();
    let store = FileStore::at(place.path());
    let one = Machine::new();
    let made = record(
        &one.cache,
        "base",
        ReleaseLabel::Public,
        &[("weights", "w")],
    );
    let shared = remote(store.clone(), false);
    shared.push(&one.cache, &made).unwrap();
    let stranger = Remote::new(
        Arc::new(store.clone()),
        TeamKey::derive(&[2; 32]),
        true,
        false,
    )
    .unwrap();
    // What nothing names, of either key.
    std::fs::write(place.path().join("objects/left"), "left").unwrap();
    age(place.path(), 3 * 24);
    let before = files(place.path());
    let garbage = stranger.collect(Some(days(60)), None, true).unwrap();
    assert_eq!((garbage.objects, garbage.unopened), (0, 1));
    assert_eq!((garbage.kept_records, garbage.kept_objects), (1, 2));
    assert_eq!((garbage.kept_bytes, garbage.spared), (5, 2));
    let found = stranger.verify(true).unwrap();
    assert_eq!((found.bad_records.len(), found.removed), (1, 0));
    assert!(!found.bad_records[0].own);
    assert_eq!(files(place.path()), before, "it is not the stranger's");

    // A record of the next version, under the same key.
    let later = record(
        &one.cache,
        "later",
        ReleaseLabel::Public,
        &[("weights", "later")],
    );
    shared.push(&one.cache, &later).unwrap();
    let name = shared.record_name(&later.key);
    let mut value = serde_json::to_value(Shared {
        version: VERSION + 1,
        writer: "x".into(),
        record: later.clone(),
    })
    .unwrap();
    for field in ["/version", "/record/kind"] {
        // A number that is none of this version's, and a word that it does not know.
        *value.pointer_mut(field).unwrap() = match field {
            "/version" => serde_json::json!(VERSION + 1),
            _ => serde_json::json!("novel"),
        };
        let sealed = shared
            .key
            .seal(&name, &serde_json::to_vec(&value).unwrap())
            .unwrap();
        store.put(&name, &sealed).unwrap();
        let found = shared.verify(true).unwrap();
        assert!(found.is_sound() && found.removed == 0);
        assert_eq!(found.other_versions.len(), 1, "{field}");
        let told = shared.push(&one.cache, &later).unwrap_err().to_string();
        assert!(told.contains("another version of dpx"), "{told}");
    }
    age(place.path(), 3 * 24);
    let garbage = shared.collect(Some(days(60)), None, true).unwrap();
    assert_eq!((garbage.objects, garbage.other_versions), (0, 1));
    assert_eq!(files(place.path()).len(), before.len() + 3, "{garbage:?}");

    // Once everything can be opened, what nothing names goes.
    store.delete(&name).unwrap();
    let garbage = shared.collect(Some(days(60)), None, true).unwrap();
    assert_eq!((garbage.objects, garbage.kept_objects), (2, 1));
    assert!(shared.verify(false).unwrap().is_sound());
}

/// One byte of every object, so that sizes tell nothing.
fn change_objects(folder: &Path) {
    for path in files(&folder.join("objects")) {
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn objects_that_were_changed_are_sent_anew() {
    let place = tempfile::tempdir().unwrap();
    let store = FileStore::at(place.path());
    let one = Machine::new();
    let made = record(
        &one.cache,
        "base",
        ReleaseLabel::Public,
        &[("weights", "w"), ("more", "more")],
    );
    let fetched = || Machine::new().pull(&remote(store.clone(), false), &made.key);
    remote(store.clone(), false)
        .push(&one.cache, &made)
        .unwrap();

    // The record is gone: objects that are there are not believed by their size.
    change_objects(place.path());
    let name = remote(store.clone(), false).record_name(&made.key);
    store.delete(&name).unwrap();
    let shared = remote(store.clone(), false);
    assert_eq!(shared.push(&one.cache, &made).unwrap(), Pushed::New);
    assert_eq!(fetched().unwrap().as_ref(), Some(&made));

    // Who found them bad sends what it made in their place, even where this process had sent them.
    change_objects(place.path());
    let again = Machine::new();
    again.pull(&shared, &made.key).unwrap_err();
    assert_eq!(shared.push(&one.cache, &made).unwrap(), Pushed::Repaired);
    assert_eq!(shared.push(&one.cache, &made).unwrap(), Pushed::Already);
    assert_eq!(fetched().unwrap().as_ref(), Some(&made));

    // With other bytes than those that were there, the record is replaced.
    change_objects(place.path());
    again.pull(&shared, &made.key).unwrap_err();
    let other = record(
        &again.cache,
        "base",
        ReleaseLabel::Public,
        &[("weights", "others")],
    );
    assert_eq!(shared.push(&again.cache, &other).unwrap(), Pushed::Repaired);
    assert_eq!(fetched().unwrap().as_ref(), Some(&other));

    // Objects that are missing or have another length are found by any push.
    for path in files(&place.path().join("objects")) {
        std::fs::write(path, "").unwrap();
    }
    let shared = remote(store.clone(), false);
    assert_eq!(shared.push(&again.cache, &other).unwrap(), Pushed::Repaired);
    assert_eq!(fetched().unwrap().as_ref(), Some(&other));
}
