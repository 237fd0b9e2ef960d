//! Reading back verified, identities, probes, and what dead workers leave.

use super::tests::{artifact, commit, empty_cache, object_path, overwrite};
use super::*;
use dpx_schema::Digest;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Barrier;

#[test]
fn what_is_read_is_verified_and_damage_is_set_aside() {
    let (folder, cache) = empty_cache();
    let key = Digest::of(b"key");
    let files = artifact(&[("metrics.json", b"{\"accuracy\":0.5}"), ("more.txt", b"x")]);
    commit(&cache, key, &files).unwrap();
    let record = cache.record(&key).unwrap();
    let open = cache.open_artifact(&record);
    assert_eq!(
        open.read("metrics.json").unwrap().unwrap(),
        files["metrics.json"]
    );
    assert_eq!(open.read("canaries.json").unwrap(), None, "there is none");
    assert!(cache.read_verified(&record, "canaries.json").is_err());

    let object = object_path(folder.path(), &files["metrics.json"]);
    for bit in 0..files["metrics.json"].len() * 8 {
        let mut flipped = files["metrics.json"].clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        overwrite(&object, &flipped);
        let damage = open.read("metrics.json").unwrap_err();
        assert!(damage.can_be_rebuilt(), "{damage}");
        let told = damage.to_string();
        assert!(
            told.contains("`metrics.json`") && told.contains("`train@epsilon=8`"),
            "{told}"
        );
        assert!(!object.exists(), "set aside");
        assert_eq!(cache.record(&key), None, "and a miss from then on");
        commit(&cache, key, &files).unwrap();
    }
    fs::remove_file(&object).unwrap();
    assert!(open.read("metrics.json").unwrap_err().can_be_rebuilt());
    assert_eq!(open.read("more.txt").unwrap().unwrap(), b"x");
}

/// What the system refuses is no damage: nothing is set aside, and the error names the object.
#[test]
fn what_cannot_be_read_is_an_error_that_names_the_object() {
    let (folder, cache) = empty_cache();
    let key = Digest::of(b"key");
    let files = artifact(&[("metrics.json", b"content")]);
    commit(&cache, key, &files).unwrap();
    let record = cache.record(&key).unwrap();
    // A file where the folder of the objects is to be: none of them can be opened, whoever asks.
    fs::rename(folder.path().join("objects"), folder.path().join("away")).unwrap();
    fs::write(folder.path().join("objects"), "").unwrap();
    let damage = cache.read_verified(&record, "metrics.json").unwrap_err();
    assert!(!damage.can_be_rebuilt(), "{damage}");
    let digest = Digest::of(b"content").to_string();
    assert!(damage.to_string().contains(&digest), "{damage}");

    let reader = ArtifactReader::new(cache.clone());
    assert!(reader.read(&record, "metrics.json").is_err());
    assert!(reader.read(&record, "metrics.json").is_err());
    reader.verify(&record);
    assert_eq!(reader.read(&record, "canaries.json"), Ok(None));
    assert_eq!(
        reader.take_damages().len(),
        1,
        "told once, and not of what was never there"
    );
    assert!(reader.take_damages().is_empty());
}

/// What has the name of an object or record and is no file is set aside like any damage, and made anew.
#[test]
fn folders_in_the_place_of_files_heal() {
    let (folder, cache) = empty_cache();
    let key = Digest::of(b"key");
    let files = artifact(&[("metrics.json", b"content")]);
    commit(&cache, key, &files).unwrap();
    let record = cache.record(&key).unwrap();
    let object = object_path(folder.path(), b"content");
    fs::remove_file(&object).unwrap();
    fs::create_dir(&object).unwrap();
    let damage = cache.read_verified(&record, "metrics.json").unwrap_err();
    assert!(damage.can_be_rebuilt(), "{damage}");
    assert!(!object.exists(), "set aside");
    fs::create_dir_all(object.join("within")).unwrap();
    commit(&cache, key, &files).unwrap();
    let name = folder.path().join(format!("records/{key}.json"));
    fs::remove_file(&name).unwrap();
    fs::create_dir(&name).unwrap();
    assert_eq!(cache.record(&key), None);
    commit(&cache, key, &files).unwrap();
    let record = cache.record(&key).unwrap();
    assert_eq!(
        cache.read_verified(&record, "metrics.json").unwrap(),
        b"content"
    );
}

#[test]
fn a_cache_keeps_its_identity_wherever_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("here");
    let cache = Cache::at(&here).unwrap();
    cache.prepare().unwrap();
    let identity = cache.identity().unwrap();
    cache.prepare().unwrap();
    assert_eq!(cache.identity().unwrap(), identity);
    let there = folder.path().join("there");
    fs::rename(&here, &there).unwrap();
    let moved = Cache::at(&there).unwrap();
    moved.prepare().unwrap();
    assert_eq!(moved.identity().unwrap(), identity);
    let other = Cache::at(folder.path().join("other")).unwrap();
    other.prepare().unwrap();
    assert_ne!(other.identity().unwrap(), identity);
    fs::write(there.join("identity"), "half").unwrap();
    assert!(matches!(
        moved.identity(),
        Err(CacheError::BadIdentity { .. })
    ));
}

#[test]
fn of_many_that_prepare_a_cache_one_gives_it_its_identity() {
    let folder = tempfile::tempdir().unwrap();
    let start = Barrier::new(8);
    let found: Vec<String> = std::thread::scope(|scope| {
        let prepare = || {
            let cache = Cache::at(folder.path()).unwrap();
            start.wait();
            cache.prepare().unwrap();
            cache.identity().unwrap()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(prepare)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(found.iter().all(|one| *one == found[0]), "{found:?}");
}

#[test]
fn a_cache_that_takes_no_files_is_found_out() {
    let (folder, cache) = empty_cache();
    cache.probe().unwrap();
    assert_eq!(
        fs::read_dir(folder.path().join("temporary"))
            .unwrap()
            .count(),
        0
    );
    assert!(cache.free_bytes().is_none_or(|free| free > 0));
    fs::remove_dir(folder.path().join("temporary")).unwrap();
    assert!(cache.probe().is_err());
}

/// Files that never got their final name go with the next run and with any collection, unless somebody uses the cache.
#[test]
fn what_dead_processes_were_writing_is_cleared_away() {
    for locking in ["kernel", "claims"] {
        let (folder, cache) = empty_cache();
        let root = folder.path();
        fs::write(root.join("locking"), format!("{locking}\n")).unwrap();
        let unfinished = [
            "temporary/1-2-3",
            ".dpx-12-0",
            ".format-1-2-3",
            ".tag-1-2-4",
            "floors/abc/.dpx-7-1",
            "ledgers/.dpx-7-2",
        ];
        let others = ["notes.txt", "floors/abc/x.json", ".dpx-mine", "floors/file"];
        let write = |paths: &[&str]| {
            for path in paths {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "x").unwrap();
            }
        };
        write(&unfinished);
        write(&others);
        let there = |paths: &[&str]| paths.iter().filter(|path| root.join(path).exists()).count();
        let used = cache.share().unwrap();
        assert_eq!(
            cache.sweep_temporary().unwrap(),
            0,
            "somebody may write one"
        );
        assert_eq!(there(&unfinished), unfinished.len());
        drop(used);
        let plan = cache
            .plan_collection(&Roots::new([Digest::of(b"x")]).unwrap())
            .unwrap();
        let doomed = plan.summary()[&Waste::Temporary].0;
        assert_eq!(doomed, unfinished.len(), "whatever their age");
        assert_eq!(cache.sweep_temporary().unwrap(), unfinished.len());
        assert_eq!((there(&unfinished), there(&others)), (0, others.len()));
        assert_eq!(cache.sweep_temporary().unwrap(), 0);
        // Nobody is locked out.
        drop(cache.share().unwrap());
    }
}

/// Who loses a file to somebody who clears up makes another.
#[test]
fn a_swept_file_is_made_again() {
    let tries = std::cell::Cell::new(0);
    let gone = || CacheError::io("rename", Path::new("x"))(io::ErrorKind::NotFound.into());
    let made = store::again_where_swept(|| {
        tries.set(tries.get() + 1);
        if tries.get() == 1 {
            Err(gone())
        } else {
            Ok(())
        }
    });
    assert!(made.is_ok() && tries.get() == 2);
    assert!(store::again_where_swept(|| Err(gone())).is_err());
}

#[test]
fn dead_workers_are_cleared_up_after_and_live_ones_are_not() {
    let (folder, cache) = empty_cache();
    let keys = [&b"dead"[..], b"closed", b"running", b"orphan"].map(Digest::of);
    for key in keys {
        let attempt = cache.new_attempt(&key).unwrap();
        fs::create_dir_all(attempt.join("inputs/preprocess")).unwrap();
        fs::write(attempt.join("inputs/preprocess/texts"), "private").unwrap();
        fs::create_dir(attempt.join("output")).unwrap();
    }
    let attempt = |key: &Digest| {
        let mut entries = fs::read_dir(cache.staging(key)).ok()?;
        Some(entries.next()?.unwrap().path())
    };
    fs::write(attempt(&keys[1]).unwrap().join("closing.json"), "{}").unwrap();
    let _running = cache.lock(&keys[2], "running").unwrap();
    let _orphan = WorkerLock::wait(&cache.worker_lock_path(&keys[3])).unwrap();
    assert_eq!(cache.sweep_dead().unwrap(), 2);
    assert_eq!(attempt(&keys[0]), None);
    let closed = attempt(&keys[1]).unwrap();
    assert!(!closed.join("inputs").exists() && closed.join("output").is_dir());
    for key in &keys[2..] {
        assert!(attempt(key).unwrap().join("inputs").is_dir());
    }
    assert_eq!(cache.sweep_dead().unwrap(), 0);
    drop(folder);
}

#[test]
fn metrics_of_forgotten_runs_are_collected() {
    let (folder, cache) = empty_cache();
    let journal = cache.start_journal().unwrap();
    let run = journal.id().to_owned();
    let metrics = folder.path().join("metrics");
    for name in [run.as_str(), "forgotten"] {
        fs::create_dir_all(metrics.join("tensorboard").join(name)).unwrap();
        let of_run = metrics.join("mlruns/1").join(name);
        fs::create_dir_all(of_run.join("params")).unwrap();
        fs::write(of_run.join("params/dpx_run"), name).unwrap();
    }
    fs::create_dir_all(metrics.join("mlruns/1/by-hand")).unwrap();
    let roots = Roots::new([Digest::of(b"root")]).unwrap();
    let collected = cache.collect(&roots).unwrap();
    assert_eq!(collected.summary()[&Waste::Metrics].0, 2);
    assert!(!metrics.join("tensorboard/forgotten").exists());
    assert!(!metrics.join("mlruns/1/forgotten").exists());
    for kept in [
        format!("tensorboard/{run}"),
        format!("mlruns/1/{run}"),
        "mlruns/1/by-hand".into(),
    ] {
        assert!(metrics.join(&kept).is_dir(), "{kept}");
    }
}
