//! What a run does and leaves alone: caching, early cut-off, failures, selections, repairs.

use crate::run_support::{Study, artifacts};
use dpx_engine::cache::{Cache, Disk, Faults, Step};
use dpx_engine::run::{Finish, InstanceResult, Outcome, RunError};
use dpx_schema::{Device, Kind};
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn of<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["event"] == name)
        .collect()
}

fn instances(events: &[&Value]) -> Vec<String> {
    events
        .iter()
        .map(|event| event["instance"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_second_run_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::in_folder(folder.path());
    let (first, _) = study.run(folder.path());
    assert_eq!(first.outcome, Outcome::Done);
    assert_eq!(study.begun().len(), 7);
    let (second, events) = study.run(folder.path());
    assert_eq!(study.begun().len(), 7, "nothing runs twice");
    assert_eq!(artifacts(&study, &first), artifacts(&study, &second));
    assert!(
        second
            .instances
            .iter()
            .all(|result| matches!(result, InstanceResult::Cached(_)))
    );
    let names: Vec<_> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["run-started", "run-finished"]);
    for left in ["staging", "state", "temporary"] {
        let count = std::fs::read_dir(folder.path().join("cache").join(left))
            .unwrap()
            .count();
        assert_eq!(count, 0, "{left} is swept");
    }
}

#[test]
fn an_edit_runs_what_it_changes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::in_folder(folder.path());
    study.run(folder.path());
    study.score = "cosine, both ways".into();
    study.run(folder.path());
    let mut begun = study.begun().split_off(7);
    begun.sort();
    assert_eq!(begun, ["score@row=1", "score@row=2"]);
    study.rows = 3;
    study.run(folder.path());
    assert_eq!(
        study.begun()[9..],
        ["train@row=3", "sample@row=3", "score@row=3"]
    );
}

#[test]
fn the_same_bytes_stop_the_wave() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::in_folder(folder.path());
    let (first, _) = study.run(folder.path());
    study.preprocess = "TEXTS".into();
    let (second, events) = study.run(folder.path());
    assert_eq!(study.begun()[7..], ["preprocess"]);
    assert_eq!(artifacts(&study, &first), artifacts(&study, &second));
    assert_eq!(of(&events, "unchanged").len(), 6);
    let planned = of(&events, "run-started")[0]["instances"]
        .as_array()
        .unwrap()
        .clone();
    let states: Vec<_> = planned
        .iter()
        .map(|one| one["state"].as_str().unwrap())
        .collect();
    assert_eq!(states[..2], ["run", "only-if"]);
    study.preprocess = "other texts".into();
    study.run(folder.path());
    assert_eq!(study.begun().len(), 8 + 7, "other bytes do not");
}

#[test]
fn one_row_is_finished_before_the_next_begins() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::in_folder(folder.path());
    study.run_with(folder.path(), |options| options.jobs = Some(1));
    let expected = [
        "preprocess",
        "train@row=1",
        "sample@row=1",
        "score@row=1",
        "train@row=2",
        "sample@row=2",
        "score@row=2",
    ];
    assert_eq!(study.begun(), expected);
}

/// A training that is divided holds every device and all threads, and no other stands beside it; every other stage has one.
#[test]
fn a_divided_training_holds_every_device() {
    let cores = std::thread::available_parallelism().unwrap().get();
    let folder = tempfile::tempdir().unwrap();
    let study = Study::in_folder(folder.path());
    let (report, events) = study.run_with(folder.path(), |options| {
        options.devices = vec![Device::Cpu; 2];
        options.divided = true;
        options.jobs = Some(4);
    });
    assert_eq!(report.outcome, Outcome::Done);
    let mut training = 0;
    for event in &events {
        let name = event["instance"].as_str().unwrap_or_default();
        let trains = name.starts_with("train");
        match event["event"].as_str().unwrap() {
            "started" => {
                let Some(device) = event["device"].as_str() else {
                    continue;
                };
                assert_eq!(device, if trains { "cpu, cpu" } else { "cpu" }, "{event}");
                assert_eq!(training, 0, "{event} beside a training");
                training += usize::from(trains);
            }
            "finished" if trains => training -= 1,
            _ => {}
        }
    }
    let trace = study.trace();
    let of_trains = trace.iter().filter(|line| line.starts_with("begin train"));
    let threads = of_trains.map(|line| line.split(' ').nth(3).unwrap().parse().unwrap());
    assert_eq!(threads.collect::<Vec<usize>>(), vec![cores; 2]);
    let of_records = report.instances.iter().filter_map(|result| match result {
        InstanceResult::Finished(record, _) if record.kind == Kind::Train => {
            Some(record.device.clone())
        }
        _ => None,
    });
    assert_eq!(of_records.collect::<Vec<_>>(), ["cpu, cpu", "cpu, cpu"]);
}

/// Slots of a device divide the processor among rows that run side by side, not among the stages of one row.
#[test]
fn what_runs_alone_has_all_threads() {
    let cores = std::thread::available_parallelism().unwrap().get();
    for (rows, first) in [(1, cores), (2, (cores / 2).max(1))] {
        let folder = tempfile::tempdir().unwrap();
        let mut study = Study::in_folder(folder.path());
        study.rows = rows;
        study.run_with(folder.path(), |options| {
            options.device_slots = 2;
            options.jobs = Some(4);
        });
        let trace = study.trace();
        let of_trains = trace.iter().filter(|line| line.starts_with("begin train"));
        let threads = of_trains.map(|line| line.split(' ').nth(3).unwrap().parse().unwrap());
        assert_eq!(threads.collect::<Vec<usize>>(), vec![first; rows as usize]);
    }
}

#[test]
fn a_failure_is_told_in_full_and_stops_what_depends_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::in_folder(folder.path());
    study.fails = Some("train@row=1".into());
    let (report, events) = study.run_with(folder.path(), |options| options.jobs = Some(1));
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(study.begun(), ["preprocess", "train@row=1"]);
    let failed = of(&events, "failed")[0];
    assert_eq!(failed["reason"], "it was asked to fail");
    assert_eq!(failed["command"], "dpx run study.toml --only train@row=1");
    assert!(
        failed["last_lines"]
            .as_array()
            .unwrap()
            .contains(&json!("about to fail"))
    );
    assert!(Path::new(failed["log"].as_str().unwrap()).exists());

    let (report, events) = study.run_with(folder.path(), |options| options.keep_going = true);
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(
        instances(&of(&events, "finished")),
        ["train@row=2", "sample@row=2", "score@row=2"]
    );
    assert_eq!(
        of(&events, "run-finished")[0]["not_run"],
        json!(["sample@row=1", "score@row=1"])
    );

    study.fails = None;
    let (report, _) = study.run(folder.path());
    assert_eq!(report.outcome, Outcome::Done);
}

#[test]
fn only_and_force_choose() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::in_folder(folder.path());
    let (report, _) = study.run_with(folder.path(), |options| {
        options.only = vec!["sample@row=2".into()];
    });
    assert_eq!(report.outcome, Outcome::Done);
    assert_eq!(study.begun(), ["preprocess", "train@row=2", "sample@row=2"]);
    assert_eq!(report.instances[1], InstanceResult::NotAsked);
    study.run(folder.path());
    let (report, events) = study.run_with(folder.path(), |options| {
        options.force = vec!["train".into()];
    });
    assert_eq!(report.outcome, Outcome::Done);
    let mut again = instances(&of(&events, "finished"));
    again.sort();
    assert_eq!(
        again,
        ["train@row=1", "train@row=2"],
        "the same bytes stop the wave"
    );
    for (option, change) in [("--only", 0), ("--force", 1)] {
        let cache = Cache::at(folder.path().join("cache")).unwrap();
        let wrong = study.run_in(&cache, folder.path(), |options| {
            let names = if change == 0 {
                &mut options.only
            } else {
                &mut options.force
            };
            names.push("trian".into());
        });
        let error = wrong.unwrap_err();
        assert!(error.is_usage());
        assert!(matches!(error, RunError::UnknownName { option: found, .. } if found == option));
    }
}

#[test]
fn a_flipped_byte_is_noticed_when_it_is_used_and_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::in_folder(folder.path());
    let (first, _) = study.run(folder.path());
    let InstanceResult::Finished(record, _) = &first.instances[0] else {
        panic!("{:?}", first.instances[0]);
    };
    let text = record
        .output
        .files
        .iter()
        .find(|file| file.path == "text")
        .unwrap();
    let object = folder.path().join(format!("cache/objects/{}", text.digest));
    let mut bytes = std::fs::read(&object).unwrap();
    bytes[0] ^= 1;
    std::fs::remove_file(&object).unwrap();
    std::fs::write(&object, bytes).unwrap();

    let (_, events) = study.run(folder.path());
    assert!(
        of(&events, "damaged").is_empty(),
        "what is not used is not read"
    );
    study.train = "four epochs".into();
    let (repaired, events) = study.run(folder.path());
    assert_eq!(repaired.outcome, Outcome::Done);
    assert_eq!(instances(&of(&events, "damaged"))[0], "preprocess");
    assert_eq!(
        std::fs::read_dir(folder.path().join("cache/damaged"))
            .unwrap()
            .count(),
        1
    );

    let clean = tempfile::tempdir().unwrap();
    let mut undisturbed = Study::in_folder(clean.path());
    undisturbed.train = "four epochs".into();
    let (expected, _) = undisturbed.run(clean.path());
    assert_eq!(
        artifacts(&study, &repaired),
        artifacts(&undisturbed, &expected)
    );
}

/// Fails one write of the cache; on request all after it, as a full disk does.
#[derive(Debug)]
struct FailAt {
    at: usize,
    stays: bool,
    count: AtomicUsize,
}

impl Faults for FailAt {
    fn before(&self, _step: Step, _path: &Path) -> io::Result<()> {
        let count = self.count.fetch_add(1, Ordering::SeqCst);
        if count == self.at || (self.stays && count > self.at) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

#[test]
fn a_full_disk_at_any_write_ends_the_run_and_the_next_one_goes_on() {
    let clean = tempfile::tempdir().unwrap();
    let mut study = Study::in_folder(clean.path());
    study.rows = 1;
    study.steps = 1;
    let (expected, _) = study.run(clean.path());
    for at in 0.. {
        let folder = tempfile::tempdir().unwrap();
        study.trace = folder.path().join("trace");
        let faults = Arc::new(FailAt {
            at: at * 3,
            stays: at % 2 == 0,
            count: AtomicUsize::new(0),
        });
        let disk = Disk::with_faults(Arc::clone(&faults) as Arc<dyn Faults>);
        let cache = Cache::with_disk(folder.path().join("cache"), disk).unwrap();
        let broken = study.run_in(&cache, folder.path(), |options| {
            options.only = vec!["train".into()];
        });
        let (report, _) = study.run(folder.path());
        assert_eq!(report.outcome, Outcome::Done, "write {}", at * 3);
        assert_eq!(
            artifacts(&study, &report),
            artifacts(&study, &expected),
            "write {}",
            at * 3
        );
        if faults.count.load(Ordering::SeqCst) <= at * 3 {
            assert_eq!(broken.unwrap().0.outcome, Outcome::Done);
            assert!(at > 10);
            break;
        }
    }
}

/// Fails whatever would write a record.
#[derive(Debug)]
struct NoRecords;

impl Faults for NoRecords {
    fn before(&self, _step: Step, path: &Path) -> io::Result<()> {
        if path
            .parent()
            .is_some_and(|folder| folder.ends_with("records"))
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

#[test]
fn what_a_worker_finished_is_adopted_when_its_runner_could_not_commit_it() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::in_folder(folder.path());
    let disk = Disk::with_faults(Arc::new(NoRecords));
    let cache = Cache::with_disk(folder.path().join("cache"), disk).unwrap();
    let (report, events) = study.run_in(&cache, folder.path(), |_| {}).unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(
        of(&events, "failed")[0]["reason"]
            .as_str()
            .unwrap()
            .starts_with("cannot rename")
    );
    assert_eq!(study.begun(), ["preprocess"]);
    let (report, _) = study.run(folder.path());
    assert!(matches!(
        &report.instances[0],
        InstanceResult::Finished(_, Finish::Adopted)
    ));
    assert_eq!(
        study.begun()[..2],
        ["preprocess", "train@row=1"],
        "preprocess ran once"
    );
}
