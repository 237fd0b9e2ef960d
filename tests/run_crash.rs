//! Kills, interrupts and several runs at once: real signals to real processes.

#![cfg(unix)]

use crate::run_support::{Study, artifacts, until};
use dpx_engine::cache::Cache;
use dpx_engine::run::{Outcome, RunStatus};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::collections::BTreeSet;
use std::process::Child;
use std::time::Duration;

fn send(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).ok();
}

/// Whether a process is there and not merely waiting to be buried.
fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let dead = stat
        .rsplit(')')
        .next()
        .is_some_and(|rest| rest.trim().starts_with(['Z', 'X']));
    test_kill_process(Pid::from_raw(pid).unwrap()).is_ok() && !dead
}

fn pid(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap()
}

/// A small generator, so that every round kills at another moment and a failure can be repeated.
fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6364136223846793005)
        .wrapping_add(1442695040888963407);
    *state >> 33
}

#[test]
fn fifty_kills_at_any_moment_change_nothing() {
    let clean = tempfile::tempdir().unwrap();
    let undisturbed = Study::in_folder(clean.path());
    let (expected, _) = undisturbed.run(clean.path());
    let expected = artifacts(&undisturbed, &expected);
    let mut random = 20261124;
    let mut kills = 0;
    while kills < 50 {
        let folder = tempfile::tempdir().unwrap();
        let study = Study::in_folder(folder.path());
        loop {
            let mut runner = study.spawn(folder.path());
            std::thread::sleep(Duration::from_millis(5 + next(&mut random) % 160));
            if runner.try_wait().unwrap().is_some() {
                break;
            }
            let workers: Vec<i32> = study.pids().into_iter().filter(|&pid| lives(pid)).collect();
            match workers.last() {
                Some(&worker) if next(&mut random).is_multiple_of(2) => send(worker, Signal::KILL),
                _ => send(pid(&runner), Signal::KILL),
            }
            kills += 1;
            runner.wait().unwrap();
            until("the workers die with their runner", || {
                !study.pids().into_iter().any(lives)
            });
        }
        let (report, _) = study.run(folder.path());
        assert_eq!(report.outcome, Outcome::Done);
        assert_eq!(artifacts(&study, &report), expected);
        let cache = Cache::at(folder.path().join("cache")).unwrap();
        assert!(cache.verify().unwrap().is_sound());
    }
}

/// What a stage leaves for the end, such as the destruction of a key, comes after the closing manifest: whoever is killed
/// then has lost nothing, and the next run takes the artifact as it is.
#[test]
fn a_kill_after_the_closing_manifest_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::in_folder(folder.path());
    study.rows = 1;
    std::fs::write(folder.path().join("die in finish"), "").unwrap();
    let mut runner = study.spawn(folder.path());
    assert_eq!(runner.wait().unwrap().code(), None, "the runner was killed");
    until("the worker dies", || !study.pids().into_iter().any(lives));
    assert!(!folder.path().join("die in finish").exists());
    let (report, events) = study.run(folder.path());
    assert_eq!(report.outcome, Outcome::Done);
    let adopted = events
        .iter()
        .any(|event| event["instance"] == "train@row=1" && event["how"] == "adopted");
    assert!(adopted, "{events:?}");
    let trained = study
        .begun()
        .iter()
        .filter(|name| *name == "train@row=1")
        .count();
    assert_eq!(trained, 1);
    let finished: Vec<String> = study
        .trace()
        .into_iter()
        .filter(|line| line.starts_with("finish "))
        .collect();
    assert_eq!(finished, ["finish train@row=1 true"]);
}

/// Staged copies of inputs, which may be private, go with the next run, whatever that run is about.
#[test]
fn what_killed_workers_staged_goes_with_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::in_folder(folder.path());
    study.steps = 100_000;
    let mut runner = study.spawn(folder.path());
    until("training begins", || study.trace().len() > 6);
    send(pid(&runner), Signal::KILL);
    runner.wait().unwrap();
    until("the workers die", || !study.pids().into_iter().any(lives));
    let staging = folder.path().join("cache/staging");
    let left = || std::fs::read_dir(&staging).unwrap().count();
    assert!(left() > 0, "the kill left something");
    let temporary = folder.path().join("cache/temporary/1-2-3");
    std::fs::write(&temporary, "on its way").unwrap();
    // Another study of the same cache: none of these keys is its business.
    let mut other = Study::in_folder(folder.path());
    other.train = "other epochs".into();
    other.preprocess = "other texts".into();
    // A worker that had only begun when its runner was killed is not among the processes above, and keeps its own until it ends.
    until("nothing is left", || {
        assert_eq!(other.run(folder.path()).0.outcome, Outcome::Done);
        left() == 0 && !temporary.exists()
    });
}

#[test]
fn two_runs_at_once_share_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::in_folder(folder.path());
    study.steps = 30;
    let first = study.spawn(folder.path());
    until("the first run begins", || !study.begun().is_empty());
    let second = study.spawn(folder.path());
    let (one, two) = (pid(&first), pid(&second));
    let outputs = [first, second].map(|child| child.wait_with_output().unwrap());
    assert!(
        outputs.iter().all(|output| output.status.success()),
        "{outputs:?}"
    );
    let begun = study.begun();
    let distinct: BTreeSet<_> = begun.iter().collect();
    assert_eq!(
        (begun.len(), distinct.len()),
        (7, 7),
        "each stage runs once: {begun:?}"
    );
    let told = outputs
        .map(|output| String::from_utf8(output.stdout).unwrap())
        .concat();
    let waited = |owner: i32| {
        told.contains("\"event\":\"waiting\"")
            && told.contains(&format!("\"pid\":{owner},\"instance\""))
    };
    assert!(
        waited(one) || waited(two),
        "one says for whom it waits: {told}"
    );
    let (report, _) = study.run(folder.path());
    assert_eq!(report.outcome, Outcome::Done);
}

#[test]
fn an_interrupt_stops_at_a_checkpoint_and_the_next_run_goes_on_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::in_folder(folder.path());
    study.rows = 1;
    study.steps = 400;
    let mut runner = study.spawn(folder.path());
    until("training begins", || study.trace().len() > 6);
    let cache = Cache::at(folder.path().join("cache")).unwrap();
    until("another terminal sees how far it is", || {
        let status = RunStatus::read(&cache.runs().unwrap()[0]).unwrap();
        let train = &status.instances[1];
        status.state == "running" && train.state == "running" && train.live.is_some()
    });
    send(pid(&runner), Signal::INT);
    assert_eq!(runner.wait().unwrap().code(), Some(130));
    let steps = |trace: Vec<String>| {
        trace
            .iter()
            .filter(|line| line.starts_with("step "))
            .count()
    };
    let before = steps(study.trace());
    assert!(before < 400);
    let status = RunStatus::read(&cache.runs().unwrap()[0]).unwrap();
    assert_eq!(
        (status.state.as_str(), status.instances[1].state.as_str()),
        ("interrupted", "stopped")
    );
    assert_eq!(study.run(folder.path()).0.outcome, Outcome::Done);
    assert_eq!(steps(study.trace()), 400, "no step is done twice");
}

#[test]
fn a_second_interrupt_kills() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::in_folder(folder.path());
    study.steps = 100_000;
    let mut runner = study.spawn(folder.path());
    until("training begins", || study.trace().len() > 6);
    let worker = *study.pids().last().unwrap();
    // A stopped worker hears nothing.
    send(worker, Signal::STOP);
    send(pid(&runner), Signal::INT);
    std::thread::sleep(Duration::from_millis(50));
    assert!(
        runner.try_wait().unwrap().is_none(),
        "the first waits for the worker"
    );
    send(pid(&runner), Signal::INT);
    assert_eq!(runner.wait().unwrap().code(), Some(130));
    assert!(!lives(worker));
}

#[test]
fn a_worker_that_is_killed_fails_its_stage_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::in_folder(folder.path());
    study.steps = 300;
    let runner = study.spawn(folder.path());
    until("training begins", || study.trace().len() > 6);
    send(*study.pids().last().unwrap(), Signal::KILL);
    let output = runner.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("killed by signal 9"), "{told}");
}
