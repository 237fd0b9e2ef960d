//! Workers that command lines start: plain processes here, by the contract that ssh, HyperQueue or Kubernetes would use.

use super::{LONG_EPOCHS, Place, SHORT_EPOCHS, campaign, children, find, kill, text, until, wait};

/// All workers of a submission, one behind the other, in the background: a queue with one place.
const QUEUE: &str = "command=(for i in $(seq 0 {last}); do {worker} $i; done) &";

#[test]
fn a_queue_of_plain_processes_makes_what_this_machine_makes() {
    for submit in [QUEUE, "command={worker} {index}"] {
        let place = Place::new(SHORT_EPOCHS);
        let run = place.dpx(&["run", "away.toml", "--executor", submit]);
        assert_eq!(run.status.code(), Some(0), "{}", text(&run));
        assert!(text(&run).contains("runs on "), "{}", text(&run));
        place.is_done(SHORT_EPOCHS);
        assert_eq!(find(&place.path("cache/staging"), "claim.json").len(), 0);
    }
}

#[test]
fn a_command_that_starts_nothing_is_told_of() {
    let place = Place::new(SHORT_EPOCHS);
    let submit = "command=echo no such host >&2; exit 7 # {worker}";
    let run = place.dpx(&[
        "run",
        "away.toml",
        "--executor",
        submit,
        "--set",
        "run.executor.retries=0",
    ]);
    assert_eq!(run.status.code(), Some(1));
    let told = text(&run);
    assert!(
        told.contains("the command `submit` ended with exit code 7: no such host"),
        "{told}"
    );
    // What the command says is wrong, not its last line; and where all of it stands.
    let run = place.dpx(&[
        "run",
        "away.toml",
        "--executor",
        "command={worker}",
        "--set",
        "run.executor.retries=0",
    ]);
    assert_eq!(run.status.code(), Some(1));
    let told = text(&run);
    assert!(
        told.contains("the command `submit` ended with exit code 2: error: ")
            && told.contains(".out`)")
            && !told.contains("For more information"),
        "{told}"
    );
    let log = told
        .lines()
        .find_map(|line| line.trim().strip_prefix("log:"));
    let log = std::fs::read_to_string(place.path(log.unwrap().trim())).unwrap();
    assert!(log.contains("error: "), "{log}");
}

#[test]
fn a_command_line_that_can_start_no_worker_is_refused() {
    let place = Place::new(SHORT_EPOCHS);
    for (executor, told) in [
        ("slrum", "unknown executor `slrum`"),
        ("local=x", "the executor `local` takes nothing behind it"),
        ("command=", "neither `{worker}` nor `{plan}`"),
        ("command=true", "neither `{worker}` nor `{plan}`"),
        (
            "command=echo hello {worker",
            "neither `{worker}` nor `{plan}`",
        ),
        ("command={worker} {idnex}", "did you mean `{index}`?"),
    ] {
        let wrong = place.dpx(&["run", "away.toml", "--executor", executor]);
        assert_eq!(wrong.status.code(), Some(2), "{executor}");
        assert!(text(&wrong).contains(told), "{executor}: {}", text(&wrong));
    }
    for (set, told) in [
        (
            "run.executor.heartbeat_seconds=10",
            "`stale_seconds` is 6 and `heartbeat_seconds` is 10",
        ),
        (
            "run.executor.cancel=\"stop {job}\"",
            "`cancel` holds `{job}`",
        ),
    ] {
        let wrong = place.dpx(&["check", "away.toml", "--set", set]);
        assert_eq!(wrong.status.code(), Some(2), "{set}");
        assert!(text(&wrong).contains(told), "{set}: {}", text(&wrong));
    }
}

#[test]
fn workers_that_never_come_are_told_of_and_given_up() {
    let place = Place::new(SHORT_EPOCHS);
    let run = place.dpx(&[
        "run",
        "away.toml",
        "--executor",
        "command=/nowhere/dpx worker --plan {plan} --index 0 &",
        "--set",
        "run.executor.stale_seconds=2",
        "--set",
        "run.executor.retries=1",
    ]);
    assert_eq!(run.status.code(), Some(1));
    let told = text(&run);
    for part in [
        "no worker came for 2 s: `submit` ended well and printed: ",
        "/nowhere/dpx",
        "submitted again",
        "call by hand what `submit`",
        ".out`)",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn braces_in_the_names_of_folders_are_left_alone() {
    let place = Place::new(SHORT_EPOCHS);
    let cache = "odd {index} 'x/cache";
    let run = place.dpx(&[
        "run",
        "away.toml",
        "--cache",
        cache,
        "--executor",
        "command={worker} {index}",
    ]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
}

#[test]
fn a_worker_that_is_stopped_in_its_tracks_is_told_of() {
    let place = Place::new(LONG_EPOCHS);
    let mut run = place.spawn(&["run", "away.toml", "--executor", "command={worker} {index}"]);
    let workers = place.training();
    let all: Vec<i32> = workers
        .iter()
        .flat_map(|worker| children(*worker).into_iter().chain([*worker]))
        .collect();
    let signal = |signal| {
        for pid in &all {
            rustix::process::kill_process(rustix::process::Pid::from_raw(*pid).unwrap(), signal)
                .ok();
        }
    };
    signal(rustix::process::Signal::STOP);
    until("it is told", || {
        place
            .said()
            .contains("no sign of life for 6 s, but its lock is held")
    });
    let status = place.dpx(&["status"]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("`dpx cancel --kill` ends it"), "{status}");
    signal(rustix::process::Signal::CONT);
    assert_eq!(wait(&mut run, &place), 0, "{}", place.said());
    place.is_done(LONG_EPOCHS);
}

#[test]
fn a_stage_that_fails_away_fails_as_it_does_here() {
    let place = Place::new(SHORT_EPOCHS);
    // The data vanish between plan and worker.
    let submit = "command=rm -f texts.csv; {worker} {index}";
    let run = place.dpx(&["run", "away.toml", "--executor", submit]);
    assert_eq!(run.status.code(), Some(1));
    let told = text(&run);
    assert!(
        told.contains("preprocess: failed") && told.contains("texts.csv"),
        "{told}"
    );
    assert!(
        told.contains("again: dpx run away.toml --executor"),
        "{told}"
    );
}

#[test]
fn a_worker_that_is_killed_is_started_again_and_goes_on_from_its_checkpoint() {
    let killed = |whom: fn(i32) -> i32| {
        let place = Place::new(LONG_EPOCHS);
        let mut run = place.spawn(&["run", "away.toml", "--executor", "command={worker} {index}"]);
        kill(whom(place.training()[0]));
        assert_eq!(wait(&mut run, &place), 0, "{}", place.said());
        assert!(place.said().contains("submitted again"), "{}", place.said());
        place.is_done(LONG_EPOCHS);
    };
    campaign("command: kill -9 of whoever looks after a worker", |_| {
        killed(|worker| worker);
    });
    campaign("command: kill -9 of a worker", |_| {
        killed(|worker| children(worker).first().copied().unwrap_or(worker));
    });
}

#[test]
fn a_runner_that_is_killed_leaves_its_workers_to_the_next() {
    campaign("command: kill -9 of the runner", |_| {
        let place = Place::new(LONG_EPOCHS);
        let arguments = ["run", "away.toml", "--executor", "command={worker} {index}"];
        let mut run = place.spawn(&arguments);
        let workers = place.training();
        run.kill().unwrap();
        run.wait().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(!place.workers().is_empty(), "workers outlive the runner");
        let status = place.dpx(&["status"]);
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        assert!(
            status.starts_with("away died")
                && status.contains("its runner ended without a word")
                && status.contains("goes on without the runner")
                && !status.contains("at once"),
            "{status}"
        );
        let mut next = place.spawn(&arguments);
        assert_eq!(wait(&mut next, &place), 0, "{}", place.said());
        assert!(
            place
                .said()
                .contains("finished by a worker of an earlier run"),
            "{}",
            place.said()
        );
        until("the workers end", || {
            workers
                .iter()
                .all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
        });
        place.is_done(LONG_EPOCHS);
    });
}

#[test]
fn an_interrupt_stops_workers_at_a_checkpoint() {
    let place = Place::new(LONG_EPOCHS);
    let arguments = ["run", "away.toml", "--executor", "command={worker} {index}"];
    let mut run = place.spawn(&arguments);
    place.training();
    let pid = rustix::process::Pid::from_child(&run);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(wait(&mut run, &place), 130, "{}", place.said());
    assert!(
        place.workers().is_empty(),
        "nobody works for a run that was stopped"
    );
    let mut next = place.spawn(&arguments);
    assert_eq!(wait(&mut next, &place), 0, "{}", place.said());
    place.is_done(LONG_EPOCHS);
}

#[test]
fn a_task_is_done_once_however_many_workers_come_for_it() {
    let place = Place::new(SHORT_EPOCHS);
    let submit = "command={worker} {index} & {worker} {index} & {worker} {index} & wait";
    let run = place.dpx(&["run", "away.toml", "--executor", submit]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    place.is_done(SHORT_EPOCHS);
}

#[test]
fn a_plan_that_was_tampered_with_is_refused() {
    let place = Place::new(SHORT_EPOCHS);
    let submit = "command=sed -i s/preprocess/preproces/ {plan}; {worker} {index}";
    let run = place.dpx(&[
        "run",
        "away.toml",
        "--executor",
        submit,
        "--set",
        "run.executor.retries=0",
        "--only",
        "preprocess",
    ]);
    assert_eq!(run.status.code(), Some(1));
    assert!(
        text(&run).contains("was changed after it was written"),
        "{}",
        text(&run)
    );
}
