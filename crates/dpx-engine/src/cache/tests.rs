//! The cache under faults, flips, collections and at any order of these.

use super::*;
use dpx_schema::{Digest, FileEntry, Key, Kind, Manifest, Record, ReleaseLabel};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

pub(super) type Artifact = BTreeMap<String, Vec<u8>>;

pub(super) fn artifact(files: &[(&str, &[u8])]) -> Artifact {
    files
        .iter()
        .map(|(path, content)| ((*path).to_owned(), content.to_vec()))
        .collect()
}

fn stage(folder: &Path, files: &Artifact) {
    for (path, content) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn record(key: Key, output: Manifest) -> Record {
    Record {
        version: Record::VERSION,
        key,
        experiment: "emotion".into(),
        stage: "train".into(),
        instance: "train@epsilon=8".into(),
        kind: Kind::Train,
        kind_version: 1,
        axes: BTreeMap::from([("epsilon".into(), serde_json::json!(8))]),
        seed: 42,
        params: serde_json::json!({"epochs": 3.0, "model": "builtin:base"}),
        inputs: BTreeMap::from([("preprocess".into(), Digest::of(b"input"))]),
        sources: BTreeMap::new(),
        output,
        flow: ReleaseLabel::Dp,
        wall_seconds: 1.25,
        device: "cpu".into(),
        dpx_version: "0.1.0".into(),
        finished_at: "2026-11-24T07:00:00Z".into(),
    }
}

/// Stages and commits an artifact under a key.
pub(super) fn commit(cache: &Cache, key: Key, files: &Artifact) -> Result<(), CacheError> {
    let lock = cache.lock(&key, "train@epsilon=8")?;
    let attempt = cache.new_attempt(&key)?;
    stage(&attempt, files);
    let manifest = manifest_of_folder(&attempt)?;
    cache.commit(&lock, &record(key, manifest), &attempt)?;
    cache.sweep(&lock, true)
}

fn read_back(folder: &Path) -> Artifact {
    let manifest = manifest_of_folder(folder).unwrap();
    manifest
        .files
        .iter()
        .map(|file| {
            (
                file.path.clone(),
                fs::read(folder.join(&file.path)).unwrap(),
            )
        })
        .collect()
}

fn check_out(cache: &Cache, key: &Key) -> Option<Result<Artifact, CacheError>> {
    let record = cache.record(key)?;
    let target = tempfile::tempdir().unwrap();
    Some(
        cache
            .check_out(&record.output, target.path())
            .map(|()| read_back(target.path())),
    )
}

pub(super) fn empty_cache() -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path()).unwrap();
    cache.prepare().unwrap();
    (folder, cache)
}

pub(super) fn object_path(folder: &Path, content: &[u8]) -> PathBuf {
    folder.join("objects").join(Digest::of(content).to_string())
}

pub(super) fn overwrite(path: &Path, content: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn what_is_committed_comes_back() {
    let (_folder, cache) = empty_cache();
    let files = artifact(&[
        ("model/config.json", b"{}"),
        ("a", b"x"),
        ("copy-of-a", b"x"),
    ]);
    let key = Digest::of(b"key");
    commit(&cache, key, &files).unwrap();
    assert_eq!(check_out(&cache, &key).unwrap().unwrap(), files);
    assert!(!cache.staging(&key).exists());
    assert!(cache.verify().unwrap().is_sound());
    assert_eq!(cache.records().unwrap().len(), 1);
}

#[test]
fn opening_and_reading_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("cache");
    let cache = Cache::at(&root).unwrap();
    assert_eq!(cache.record(&Digest::of(b"k")), None);
    assert!(cache.records().unwrap().is_empty());
    assert!(cache.runs().unwrap().is_empty());
    assert!(!root.exists());
}

#[test]
fn a_future_format_is_refused_and_left_alone() {
    let (folder, cache) = empty_cache();
    commit(&cache, Digest::of(b"k"), &artifact(&[("a", b"x")])).unwrap();
    let format = folder.path().join("format.json");
    overwrite(&format, br#"{"dpx_cache":2}"#);
    assert!(matches!(
        Cache::at(folder.path()),
        Err(CacheError::FutureFormat { found: 2, .. })
    ));
    assert!(matches!(
        cache.prepare(),
        Err(CacheError::FutureFormat { .. })
    ));
    overwrite(&format, b"zip archive");
    assert!(matches!(
        Cache::at(folder.path()),
        Err(CacheError::UnknownFormat { .. })
    ));
    overwrite(&format, br#"{"dpx_cache":1}"#);
    assert!(
        Cache::at(folder.path())
            .unwrap()
            .verify()
            .unwrap()
            .is_sound()
    );
}

#[test]
fn the_record_format_is_pinned() {
    let (folder, cache) = empty_cache();
    let key = Digest::of(b"key");
    commit(&cache, key, &artifact(&[("a", b"x")])).unwrap();
    let text = fs::read_to_string(folder.path().join(format!("records/{key}.json"))).unwrap();
    insta::assert_snapshot!(text, @r#"{"record":{"version":1,"key":"ff8e2bab3b26e0c127002127905539b47eb421de85d554e15f55a446459b52b4","experiment":"emotion","stage":"train","instance":"train@epsilon=8","kind":"train","kind_version":1,"axes":{"epsilon":8},"seed":42,"params":{"epochs":3.0,"model":"builtin:base"},"inputs":{"preprocess":"e33fb19325cbc72b5905e783e0c47290468c610090e376de9215e8b5f8ba83d3"},"sources":{},"output":{"files":[{"path":"a","digest":"3ae7d805f6789a6402acb70ad4096a85a56bf6804eaf25c0493ac697548d30b5","size":1}]},"flow":"dp","wall_seconds":1.25,"device":"cpu","dpx_version":"0.1.0","finished_at":"2026-11-24T07:00:00Z"},"blake3":"d3b27b92a7165ab95c8525be14a68834c95d4a4363728d0bb8ee4c56c94e8282"}"#);
}

#[test]
fn every_flipped_byte_of_a_record_is_a_miss_or_means_the_same() {
    let (folder, cache) = empty_cache();
    let key = Digest::of(b"key");
    commit(&cache, key, &artifact(&[("a", b"x")])).unwrap();
    let path = folder.path().join(format!("records/{key}.json"));
    let whole = fs::read(&path).unwrap();
    let good = cache.record(&key).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        overwrite(&path, &bytes);
        assert!(
            cache.record(&key).is_none_or(|record| record == good),
            "byte {at}"
        );
        overwrite(&path, &whole[..at]);
        assert_eq!(cache.record(&key), None, "cut at {at}");
    }
}

#[test]
fn a_flipped_byte_of_an_object_is_noticed_set_aside_and_rebuilt() {
    let (folder, cache) = empty_cache();
    let key = Digest::of(b"key");
    let files = artifact(&[("model.bin", b"weights"), ("other", b"fine")]);
    commit(&cache, key, &files).unwrap();
    let object = object_path(folder.path(), b"weights");
    overwrite(&object, b"Weights");
    assert!(cache.record(&key).is_some(), "sizes alone cannot tell");
    let error = check_out(&cache, &key).unwrap().unwrap_err();
    assert!(
        matches!(error, CacheError::Damaged { ref file, .. } if file == "model.bin"),
        "{error}"
    );
    assert!(!object.exists());
    assert_eq!(
        fs::read_dir(folder.path().join("damaged")).unwrap().count(),
        1
    );
    assert_eq!(cache.record(&key), None);
    commit(&cache, key, &files).unwrap();
    assert_eq!(check_out(&cache, &key).unwrap().unwrap(), files);
}

#[test]
fn verify_finds_every_kind_of_damage() {
    let (folder, cache) = empty_cache();
    for (name, content) in [("one", b"1111"), ("two", b"2222"), ("three", b"3333")] {
        commit(
            &cache,
            Digest::of(name.as_bytes()),
            &artifact(&[("f", content)]),
        )
        .unwrap();
    }
    overwrite(&object_path(folder.path(), b"1111"), b"1110");
    fs::remove_file(object_path(folder.path(), b"2222")).unwrap();
    let third = Digest::of(b"three");
    overwrite(&folder.path().join(format!("records/{third}.json")), b"{");
    let found = cache.verify().unwrap();
    assert_eq!(found.damaged_objects, [Digest::of(b"1111")]);
    assert_eq!(found.damaged_records, [third]);
    let keys: BTreeSet<_> = found.to_rebuild.iter().map(|(_, key)| *key).collect();
    assert_eq!(
        keys,
        BTreeSet::from([Digest::of(b"one"), Digest::of(b"two")])
    );
    assert_eq!(cache.verify().unwrap().damaged_objects, []);
}

/// Inputs take no room twice: a second name of the object, read-only. Whatever is done to the name does not harm the object;
/// what is written through it is noticed by the next reader.
#[test]
fn what_is_handed_out_is_the_object_itself() {
    let (folder, cache) = empty_cache();
    let key = Digest::of(b"key");
    commit(&cache, key, &artifact(&[("a", b"precious")])).unwrap();
    let output = cache.record(&key).unwrap().output;
    let hand_out = || {
        let target = tempfile::tempdir_in(folder.path()).unwrap();
        let handed = cache.check_out(&output, target.path());
        (target.path().join("a"), target, handed)
    };
    let (file, _target, handed) = hand_out();
    handed.unwrap();
    assert!(fs::metadata(&file).unwrap().permissions().readonly());
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let object = fs::metadata(object_path(folder.path(), b"precious")).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().ino(), object.ino());
    }
    overwrite(&file, b"ruined!!");
    assert!(cache.verify().unwrap().is_sound());

    let (file, _target, handed) = hand_out();
    handed.unwrap();
    let mut permissions = fs::metadata(&file).unwrap().permissions();
    #[expect(
        clippy::permissions_set_readonly_false,
        reason = "as somebody may who owns the file"
    )]
    permissions.set_readonly(false);
    fs::set_permissions(&file, permissions).unwrap();
    fs::write(&file, b"ruined!!").unwrap();
    let (file, _target, handed) = hand_out();
    assert!(matches!(handed, Err(CacheError::Damaged { .. })));
    assert!(
        cache.record(&key).is_none(),
        "set aside: made again by the next run"
    );
    drop(file);
}

/// An object that may be written, as one that came from a backup, is copied.
#[cfg(unix)]
#[test]
fn what_may_be_written_is_handed_out_as_a_copy() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let (folder, cache) = empty_cache();
    let key = Digest::of(b"key");
    commit(&cache, key, &artifact(&[("a", b"precious")])).unwrap();
    let object = object_path(folder.path(), b"precious");
    fs::set_permissions(&object, fs::Permissions::from_mode(0o644)).unwrap();
    let target = folder.path().join("target");
    cache
        .check_out(&cache.record(&key).unwrap().output, &target)
        .unwrap();
    let copy = fs::metadata(target.join("a")).unwrap();
    assert!(copy.permissions().readonly() && copy.ino() != fs::metadata(&object).unwrap().ino());
    assert_eq!(fs::read(target.join("a")).unwrap(), b"precious");
}

#[cfg(unix)]
#[test]
fn links_and_odd_names_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("link")).unwrap();
    assert!(matches!(
        manifest_of_folder(folder.path()),
        Err(CacheError::BadOutput { .. })
    ));
    for path in [
        "",
        "/etc/passwd",
        "../up",
        "a//b",
        "a/../b",
        "a/.",
        "a\\b",
        "a\0",
    ] {
        assert!(!store::is_inside(path), "{path:?}");
    }
    assert!(store::is_inside("model/config.json"));
}

#[test]
fn a_lock_tells_its_owner_and_is_given_back() {
    let (folder, cache) = empty_cache();
    let key = Digest::of(b"key");
    let lock = cache.lock(&key, "train@epsilon=8").unwrap();
    match cache.try_lock(&key, "other").unwrap() {
        TryLock::Held(Some(owner)) => {
            assert_eq!(owner.pid, std::process::id());
            assert_eq!(owner.instance, "train@epsilon=8");
        }
        other => panic!("{other:?}"),
    }
    assert!(cache.is_locked(&key));
    drop(lock);
    assert!(!cache.is_locked(&key));
    assert!(matches!(
        cache.try_lock(&key, "other").unwrap(),
        TryLock::Taken(_)
    ));
    assert!(folder.path().join(format!("locks/{key}.lock")).exists());
    let other = cache.lock(&Digest::of(b"other"), "x").unwrap();
    let wrong = cache.commit(&other, &record(key, Manifest::default()), folder.path());
    assert!(matches!(wrong, Err(CacheError::WrongLock { .. })));
}

#[test]
fn collection_keeps_roots_and_live_runs() {
    let (folder, cache) = empty_cache();
    let [root, stale, live] = [b"root", b"stal", b"live"].map(|name| Digest::of(name));
    commit(&cache, root, &artifact(&[("a", b"kept"), ("b", b"shared")])).unwrap();
    commit(
        &cache,
        stale,
        &artifact(&[("a", b"gone"), ("b", b"shared")]),
    )
    .unwrap();
    commit(&cache, live, &artifact(&[("a", b"used")])).unwrap();
    fs::create_dir_all(cache.state(&stale)).unwrap();
    fs::write(cache.state(&stale).join("checkpoint"), b"12345").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let journal = cache.start_journal().unwrap();
    journal
        .append(&serde_json::json!({"instances": [{"key": live}]}))
        .unwrap();
    assert!(matches!(Roots::new([]), Err(CacheError::NoRoots)));
    let roots = Roots::new([root]).unwrap();
    let plan = cache.plan_collection(&roots).unwrap();
    assert!(
        object_path(folder.path(), b"gone").exists(),
        "a plan deletes nothing"
    );
    assert_eq!(plan.summary()[&Waste::Object], (1, 4));
    assert_eq!(plan.summary()[&Waste::Checkpoints], (1, 5));
    assert_eq!(cache.collect(&roots).unwrap(), plan);
    assert!(!object_path(folder.path(), b"gone").exists());
    assert!(cache.record(&root).is_some() && cache.record(&live).is_some());
    assert_eq!(cache.record(&stale), None);
    drop(journal);
    assert_eq!(cache.runs().unwrap()[0].keys(), BTreeSet::from([live]));
    cache.collect(&roots).unwrap();
    assert_eq!(cache.record(&live), None);
    assert!(cache.verify().unwrap().is_sound());
}

#[test]
fn floors_go_with_their_data_and_rehearsals_when_nothing_runs() {
    let (folder, cache) = empty_cache();
    let [root, stale] = [b"root", b"stal"].map(|name| Digest::of(name));
    commit(&cache, root, &artifact(&[("train.jsonl", b"kept")])).unwrap();
    commit(&cache, stale, &artifact(&[("train.jsonl", b"gone")])).unwrap();
    let of = |data: &[u8]| {
        folder
            .path()
            .join(FLOORS)
            .join(Digest::of(data).to_string())
    };
    let rehearsal = folder.path().join(REHEARSAL).join("study");
    for place in [of(b"kept"), of(b"gone"), rehearsal.clone()] {
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("x.json"), b"12").unwrap();
    }
    let roots = Roots::new([root]).unwrap();
    // A live run spares the rehearsal, and what is as new as it: the floors' data.
    let journal = cache.start_journal().unwrap();
    assert!(
        !cache
            .plan_collection(&roots)
            .unwrap()
            .summary()
            .contains_key(&Waste::Rehearsal)
    );
    drop(journal);
    let found = cache.collect(&roots).unwrap().summary();
    assert_eq!(
        (found[&Waste::Floors], found[&Waste::Rehearsal]),
        ((1, 2), (1, 2))
    );
    assert!(of(b"kept").exists() && !of(b"gone").exists() && !rehearsal.exists());
}

/// They were once left for ever: a file beside the records that nothing collected.
#[test]
fn bounds_go_with_the_runs_that_they_are_of() {
    let (folder, cache) = empty_cache();
    let bounds = folder.path().join(BOUNDS);
    let [root, stale] = [b"root", b"stal"].map(|name| Digest::of(name));
    let roots = Roots::new([root]).unwrap();
    commit(&cache, root, &artifact(&[("a", b"kept")])).unwrap();
    fs::write(&bounds, b"123").unwrap();
    cache.collect(&roots).unwrap();
    assert!(bounds.exists(), "its runs are all there");
    commit(&cache, stale, &artifact(&[("a", b"gone")])).unwrap();
    let found = cache.collect(&roots).unwrap().summary();
    assert_eq!(found[&Waste::Bounds], (1, 3));
    assert!(!bounds.exists());
    fs::write(&bounds, b"123").unwrap();
    let other = Roots::new([Digest::of(b"elsewhere")]).unwrap();
    cache.collect(&other).unwrap();
    assert!(!bounds.exists(), "no run needs it");
}

#[test]
fn a_record_has_behind_it_what_equal_content_came_from() {
    let of = |name: &str, inputs: &[&Record]| {
        let file = FileEntry {
            path: "a".into(),
            digest: Digest::of(name.as_bytes()),
            size: 1,
        };
        let output = Manifest { files: vec![file] };
        let mut record = record(Digest::of(name.as_bytes()), output);
        record.inputs = inputs
            .iter()
            .map(|input| (input.instance.to_string(), input.output.digest()))
            .collect();
        record
    };
    let data = of("data", &[]);
    let other = Record {
        experiment: "other".into(),
        ..data.clone()
    };
    let model = of("model", &[&data]);
    let texts = of("texts", &[&model]);
    let aside = of("aside", &[&data]);
    let all = [&data, &other, &model, &texts, &aside];
    let behind = Ancestry::of(all).behind(&texts);
    let found: Vec<&Record> = behind.into_iter().map(|(_, record)| record).collect();
    assert_eq!(found, [&model, &data, &other]);
}

#[test]
fn what_a_live_run_commits_is_spared() {
    let (_folder, cache) = empty_cache();
    let _journal = cache.start_journal().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let fresh = Digest::of(b"fresh");
    commit(&cache, fresh, &artifact(&[("a", b"new")])).unwrap();
    cache
        .collect(&Roots::new([Digest::of(b"elsewhere")]).unwrap())
        .unwrap();
    assert!(cache.record(&fresh).is_some());
}

#[test]
fn a_torn_journal_line_is_passed_over() {
    let (_folder, cache) = empty_cache();
    let journal = cache.start_journal().unwrap();
    journal.append(&serde_json::json!({"n": 1})).unwrap();
    assert!(cache.runs().unwrap()[0].live);
    drop(journal);
    let run = cache.runs().unwrap().remove(0);
    assert!(!run.live);
    let mut bytes = fs::read(&run.path).unwrap();
    bytes.extend_from_slice(b"{\"n\": 2");
    fs::write(&run.path, bytes).unwrap();
    assert_eq!(run.lines(), [serde_json::json!({"n": 1})]);
}

/// Fails the step number `at`, and on request all later ones, as a dying process would.
#[derive(Debug)]
struct FailAt {
    at: usize,
    dies: bool,
    count: AtomicUsize,
}

impl Faults for FailAt {
    fn before(&self, _step: Step, _path: &Path) -> io::Result<()> {
        let count = self.count.fetch_add(1, Ordering::SeqCst);
        if count == self.at || (self.dies && count > self.at) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

fn faulty(root: &Path, at: usize, dies: bool) -> Result<(Cache, Arc<FailAt>), CacheError> {
    let faults = Arc::new(FailAt {
        at,
        dies,
        count: AtomicUsize::new(0),
    });
    Ok((
        Cache::with_disk(
            root,
            Disk::with_faults(Arc::clone(&faults) as Arc<dyn Faults>),
        )?,
        faults,
    ))
}

#[test]
fn a_failure_at_any_write_of_a_commit_leaves_the_old_or_the_new() {
    let old = artifact(&[("a", b"old"), ("b", b"both")]);
    let new = artifact(&[("a", b"new!"), ("b", b"both"), ("c/d", b"deep")]);
    for dies in [false, true] {
        for at in 0.. {
            let (folder, cache) = empty_cache();
            let [key, bystander] = [b"key", b"bys"].map(|name| Digest::of(name));
            commit(&cache, bystander, &old).unwrap();
            commit(&cache, key, &old).unwrap();
            let (broken, faults) = faulty(folder.path(), at, dies).unwrap();
            let failed = commit(&broken, key, &new).is_err();
            let found = check_out(&cache, &key).unwrap().unwrap();
            assert!(found == old || found == new, "step {at}");
            assert!(
                failed || found == new,
                "step {at}: a success that did nothing"
            );
            assert_eq!(check_out(&cache, &bystander).unwrap().unwrap(), old);
            assert!(cache.verify().unwrap().is_sound(), "step {at}");
            commit(&cache, key, &new).unwrap();
            assert_eq!(check_out(&cache, &key).unwrap().unwrap(), new);
            assert!(!cache.staging(&key).exists());
            if faults.count.load(Ordering::SeqCst) <= at {
                assert!(at > 15, "only {at} steps were seen");
                break;
            }
        }
    }
}

#[test]
fn a_commit_cut_short_can_be_finished_from_what_is_still_staged() {
    let files = artifact(&[("a", b"first"), ("b", b"second")]);
    for at in 0.. {
        let (folder, cache) = empty_cache();
        let key = Digest::of(b"key");
        let attempt = cache.new_attempt(&key).unwrap();
        stage(&attempt, &files);
        let record = record(key, manifest_of_folder(&attempt).unwrap());
        let (broken, faults) = faulty(folder.path(), at, true).unwrap();
        let lock = cache.lock(&key, "x").unwrap();
        let result = broken.commit(&lock, &record, &attempt);
        cache.commit(&lock, &record, &attempt).unwrap();
        assert_eq!(
            check_out(&cache, &key).unwrap().unwrap(),
            files,
            "step {at}"
        );
        if faults.count.load(Ordering::SeqCst) <= at {
            result.unwrap();
            break;
        }
    }
}

#[test]
fn a_failure_while_the_cache_is_made_is_healed_by_the_next_start() {
    for at in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("deep/cache");
        let (broken, faults) = faulty(&root, at, true).unwrap();
        let result = broken.prepare();
        let cache = Cache::at(&root).unwrap();
        cache.prepare().unwrap();
        commit(&cache, Digest::of(b"k"), &artifact(&[("a", b"x")])).unwrap();
        if faults.count.load(Ordering::SeqCst) <= at {
            result.unwrap();
            break;
        }
    }
}

#[test]
fn a_failure_while_collecting_never_leaves_a_record_without_objects() {
    for at in 0..12 {
        let (folder, cache) = empty_cache();
        let [root, stale] = [b"root", b"stal"].map(|name| Digest::of(name));
        commit(&cache, root, &artifact(&[("a", b"kept")])).unwrap();
        commit(&cache, stale, &artifact(&[("a", b"one"), ("b", b"two")])).unwrap();
        let roots = Roots::new([root]).unwrap();
        let (broken, _) = faulty(folder.path(), at, true).unwrap();
        drop(broken.collect(&roots));
        assert!(cache.verify().unwrap().is_sound(), "step {at}");
        assert!(cache.record(&root).is_some());
        cache.collect(&roots).unwrap();
        assert!(!object_path(folder.path(), b"two").exists());
    }
}

#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<(Step, PathBuf)>>);

impl Faults for Recorder {
    fn before(&self, step: Step, path: &Path) -> io::Result<()> {
        self.0.lock().unwrap().push((step, path.to_owned()));
        Ok(())
    }
}

#[test]
fn everything_is_synced_before_it_is_named() {
    let (folder, cache) = empty_cache();
    let key = Digest::of(b"key");
    let attempt = cache.new_attempt(&key).unwrap();
    stage(&attempt, &artifact(&[("a", b"1"), ("b", b"2")]));
    let record = record(key, manifest_of_folder(&attempt).unwrap());
    let recorder = Arc::new(Recorder::default());
    let disk = Disk::with_faults(Arc::clone(&recorder) as Arc<dyn Faults>);
    let watched = Cache::with_disk(folder.path(), disk).unwrap();
    let lock = cache.lock(&key, "x").unwrap();
    watched.commit(&lock, &record, &attempt).unwrap();
    let steps: Vec<Step> = recorder
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|(step, _)| *step)
        .collect();
    use Step::{CreateFile, Rename, SetReadOnly, SyncFile, SyncFolder, Write};
    let object = [SetReadOnly, SyncFile, Rename];
    let last = [SyncFolder, CreateFile, Write, SyncFile, Rename, SyncFolder];
    assert_eq!(steps, [&object[..], &object, &last].concat());
}

#[derive(Debug, Clone)]
enum Action {
    Commit {
        key: u8,
        content: u8,
        fails_at: Option<usize>,
    },
    Flip {
        content: u8,
    },
    CheckOut {
        key: u8,
    },
    Verify,
    Collect {
        keep: BTreeSet<u8>,
    },
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (0..4_u8, 0..4_u8, prop::option::of(0..20_usize))
            .prop_map(|(key, content, fails_at)| Action::Commit { key, content, fails_at }),
        1 => (0..4_u8).prop_map(|content| Action::Flip { content }),
        2 => (0..4_u8).prop_map(|key| Action::CheckOut { key }),
        1 => Just(Action::Verify),
        1 => prop::collection::btree_set(0..4_u8, 1..3).prop_map(|keep| Action::Collect { keep }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happens in whatever order: what comes out under a key is one of the artifacts committed under it, whole.
    #[test]
    fn nothing_but_what_was_committed_ever_comes_out(actions in prop::collection::vec(action(), 1..24)) {
        let (folder, cache) = empty_cache();
        let mut possible: BTreeMap<u8, BTreeSet<u8>> = BTreeMap::new();
        let content = |content: u8| artifact(&[("f", &[content; 9]), ("shared", b"same")]);
        for action in actions {
            match action {
                Action::Commit { key, content: number, fails_at } => {
                    let at = fails_at.unwrap_or(usize::MAX);
                    let (broken, _) = faulty(folder.path(), at, true).unwrap();
                    let done = commit(&broken, Digest::of(&[key]), &content(number));
                    let possible = possible.entry(key).or_default();
                    if done.is_ok() {
                        possible.clear();
                    }
                    possible.insert(number);
                }
                Action::Flip { content } => {
                    let object = object_path(folder.path(), &[content; 9]);
                    if object.exists() {
                        overwrite(&object, &[content ^ 64; 9]);
                    }
                }
                Action::CheckOut { key } => match check_out(&cache, &Digest::of(&[key])) {
                    Some(Ok(found)) => {
                        let known = possible.get(&key).is_some_and(|numbers| {
                            numbers.iter().any(|&number| content(number) == found)
                        });
                        prop_assert!(known, "{found:?} was never committed under {key}");
                    }
                    Some(Err(error)) => {
                        prop_assert!(matches!(error, CacheError::Damaged { .. }), "{error}");
                        prop_assert_eq!(cache.record(&Digest::of(&[key])), None);
                    }
                    None => {}
                },
                Action::Verify => {
                    cache.verify().unwrap();
                    prop_assert_eq!(cache.verify().unwrap().damaged_objects, []);
                }
                Action::Collect { keep } => {
                    let before: Vec<_> = keep.iter().map(|key| cache.record(&Digest::of(&[*key]))).collect();
                    let roots = Roots::new(keep.iter().map(|key| Digest::of(&[*key]))).unwrap();
                    cache.collect(&roots).unwrap();
                    let after: Vec<_> = keep.iter().map(|key| cache.record(&Digest::of(&[*key]))).collect();
                    prop_assert_eq!(before, after);
                }
            }
        }
    }
}
