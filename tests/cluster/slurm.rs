//! Workers of a real Slurm: munge, slurmctld and slurmd of this machine, on loopback, started by `tests/cluster/slurm.sh`.

use super::text;
use super::{
    LONG_EPOCHS, Place, SHORT_EPOCHS, TIMED_EPOCHS, campaign, children, find, is_long, kill, until,
    wait,
};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A Slurm that ends with the test.
struct Cluster {
    folder: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Starts one; nothing where it cannot be had, which is said.
    fn start() -> Option<Self> {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = Self {
            folder: tempfile::tempdir().unwrap(),
            _alone: alone,
        };
        let started = cluster.script("start");
        if started.status.success() {
            return Some(cluster);
        }
        let why = text(&started);
        assert_eq!(
            started.status.code(),
            Some(3),
            "Slurm is installed and does not start: {why}"
        );
        assert!(
            std::env::var_os("DPX_NEEDS_SLURM").is_none(),
            "Slurm is needed here: {why}"
        );
        eprintln!("passed over: {}", why.trim());
        None
    }

    fn script(&self, verb: &str) -> std::process::Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/slurm.sh");
        Command::new(script)
            .arg(verb)
            .arg(self.folder.path())
            .output()
            .unwrap()
    }

    fn conf(&self) -> std::path::PathBuf {
        self.folder.path().join("slurm.conf")
    }

    fn place(&self, epochs: u32) -> Place {
        let place = Place::new(epochs);
        std::fs::write(place.path("slurm"), self.conf().to_str().unwrap()).unwrap();
        place
    }

    fn call(&self, program: &str, words: &[&str]) -> String {
        let output = Command::new(program)
            .args(words)
            .env("SLURM_CONF", self.conf())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Every job that the queue remembers, ended ones too.
    fn jobs(&self, format: &str) -> Vec<String> {
        let words = ["-h", "-r", "-t", "all", "--format", format];
        let jobs = self.call("squeue", &words);
        jobs.lines().map(str::to_owned).collect()
    }

    fn pid(&self, name: &str) -> i32 {
        let text = std::fs::read_to_string(self.folder.path().join(format!("{name}.pid"))).unwrap();
        text.trim().parse().unwrap()
    }

    fn run(&self, place: &Place, more: &[&str]) -> std::process::Child {
        let mut words = vec!["run", "away.toml", "--executor", "slurm"];
        words.extend(more);
        let tools = place.path("tools");
        let paths = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        place
            .command(&words)
            .env("SLURM_CONF", self.conf())
            .env("PATH", paths)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::fs::File::create(place.path("stderr")).unwrap())
            .spawn()
            .unwrap()
    }
}

/// Puts a script in the place of a program, for the runner of one place. In it `REAL` is the program.
fn instead(cluster: &Cluster, place: &Place, program: &str, script: &str) {
    let tools = place.path("tools");
    std::fs::create_dir_all(&tools).unwrap();
    let real = cluster.call("sh", &["-c", &format!("command -v {program}")]);
    let text = format!("#!/bin/sh\n{}\n", script.replace("REAL", real.trim()));
    let path = tools.join(program);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.script("stop");
    }
}

#[test]
fn a_study_in_job_arrays_has_the_bytes_of_a_run_on_one_machine() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    campaign("Slurm: an array larger than MaxArraySize", |_| {
        let before = cluster.jobs("%F %K").len();
        let place = cluster.place(SHORT_EPOCHS);
        let mut run = cluster.run(&place, &[]);
        assert_eq!(wait(&mut run, &place), 0, "{}", place.said());
        // Four rows are ready at once, and an array of this Slurm has at most three elements.
        let jobs = cluster.jobs("%F %K");
        let most = jobs
            .iter()
            .filter_map(|line| line.split_once(' ')?.1.parse::<u32>().ok())
            .max();
        assert!(most <= Some(2), "{jobs:?}");
        assert!(jobs.len() - before >= 10, "{jobs:?}");
        place.is_done(SHORT_EPOCHS);
    });
}

/// Runs the long study, does something to it while it trains, and looks at what comes out.
fn with_fault(
    name: &'static str,
    prepare: impl Fn(&Cluster, &Place),
    fault: impl Fn(&Cluster, &Place, Vec<i32>),
    said: &str,
) {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    campaign(name, |_| {
        let place = cluster.place(LONG_EPOCHS);
        prepare(&cluster, &place);
        let mut run = cluster.run(&place, &[]);
        let workers = place.training();
        fault(&cluster, &place, workers);
        assert_eq!(wait(&mut run, &place), 0, "{}", place.said());
        assert!(place.said().contains(said), "{}", place.said());
        place.is_done(LONG_EPOCHS);
    });
}

const fn nothing(_: &Cluster, _: &Place) {}

#[test]
fn the_controller_is_killed_after_a_submission() {
    with_fault(
        "Slurm: kill -9 of slurmctld after a submission",
        nothing,
        |cluster, place, _| {
            // A controller that forgets a job gives its number to another, which the node refuses: the loss of more than the
            // controller is not what is tried here.
            let plans: Vec<Vec<u8>> = find(&place.path("cache/runs"), "dpx-")
                .iter()
                .filter(|file| {
                    file.extension()
                        .is_some_and(|extension| extension == "json")
                })
                .filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned()))
                // As Slurm stores a string: a zero behind it, so that the first is not taken for the tenth.
                .map(|name| [name.as_bytes(), &[0]].concat())
                .collect();
            assert!(plans.len() >= 2, "{plans:?}");
            let state = cluster.folder.path().join("state/job_state");
            until("the controller has written down the jobs", || {
                std::fs::read(&state).is_ok_and(|bytes| {
                    let holds = |name: &[u8]| bytes.windows(name.len()).any(|part| part == name);
                    plans.iter().all(|name| holds(name))
                })
            });
            kill(cluster.pid("slurmctld"));
            // Long enough for questions without an answer.
            until("it is told", || {
                place.said().contains("the queue does not answer") || place.workers().is_empty()
            });
            assert!(cluster.script("restart").status.success());
        },
        "",
    );
}

#[test]
fn a_worker_is_killed() {
    with_fault(
        "Slurm: kill -9 of a worker",
        nothing,
        |_, _, workers| kill(children(workers[0]).first().copied().unwrap_or(workers[0])),
        "submitted again",
    );
}

#[test]
fn whoever_looks_after_a_worker_is_killed() {
    with_fault(
        "Slurm: kill -9 of whoever looks after a worker",
        nothing,
        |_, _, workers| kill(workers[0]),
        "submitted again",
    );
}

#[test]
fn a_job_is_put_back_into_the_queue() {
    with_fault(
        "Slurm: a job is requeued by an administrator",
        nothing,
        |cluster, place, _| {
            let running = cluster.call("squeue", &["-h", "-t", "running", "--format", "%A"]);
            // What `--no-requeue` asked for is overruled by whoever runs the cluster.
            let job = running.lines().next().unwrap().to_owned();
            cluster.call(
                "scontrol",
                &["update", &format!("JobId={job}"), "Requeue=1"],
            );
            cluster.call("scontrol", &["requeue", &job]);
            let _ = place;
        },
        "",
    );
}

#[test]
fn a_job_makes_room_for_an_urgent_one() {
    with_fault(
        "Slurm: preemption by requeue",
        nothing,
        |cluster, place, _| {
            let before = place.said().len();
            cluster.call("sh", &["-c", "cd /tmp && sbatch --partition=urgent --exclusive --output=/dev/null --wrap 'sleep 1'"]);
            until("somebody is preempted", || {
                place.said()[before..].contains("submitted again")
            });
        },
        "submitted again",
    );
}

/// No accounting, and a queue that forgets a job once it is over: neither says that it failed, or ever was.
#[test]
fn a_job_that_nobody_remembers_is_started_again() {
    with_fault(
        "Slurm: sacct off, and the queue forgets the job that failed",
        |cluster, place| {
            // Slurm 22.05 says so itself where accounting is off; whoever asks is noticed.
            instead(
                cluster,
                place,
                "sacct",
                "echo 'Slurm accounting storage is disabled' >&2; touch \"$0.asked\"; exit 1",
            );
            let ended = "FAILED|CANCELLED|COMPLETED|COMPLETING|NODE_FAIL|TIMEOUT|PREEMPTED";
            let script = format!("REAL \"$@\" | grep -vE '{ended}' || true");
            instead(cluster, place, "squeue", &script);
        },
        |cluster, _, _| {
            let running = cluster.call("squeue", &["-h", "-t", "running", "--format", "%A"]);
            let job = running.lines().next().unwrap().to_owned();
            cluster.call("scancel", &["--signal=KILL", "--full", &job]);
        },
        "submitted again",
    );
}

#[test]
fn the_runner_is_killed_and_the_next_one_takes_over() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    campaign("Slurm: kill -9 of the runner", |_| {
        let place = cluster.place(LONG_EPOCHS);
        let mut run = cluster.run(&place, &[]);
        place.training();
        run.kill().unwrap();
        run.wait().unwrap();
        let jobs = || cluster.jobs("%F_%K").len();
        let before = jobs();
        let mut next = cluster.run(&place, &[]);
        assert_eq!(wait(&mut next, &place), 0, "{}", place.said());
        assert!(
            place.said().contains("taken over from an earlier run"),
            "{}",
            place.said()
        );
        // Two `sample` are new; the two `train` are those of the first runner.
        assert!(jobs() - before <= 2, "{before} and {} jobs", jobs());
        place.is_done(LONG_EPOCHS);
    });
}

#[test]
fn a_submission_whose_answer_is_lost_is_found_by_its_name() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    // An sbatch that submits and then loses the answer, or that loses the question, the first time.
    let lost = |submits: &str| {
        let before = cluster.jobs("%j %K").len();
        let place = cluster.place(SHORT_EPOCHS);
        let script = format!(
            "if mkdir '{}' 2>/dev/null; then\n{submits}\necho 'sbatch: error: Batch job submission failed: Socket timed out on \
             send/recv operation' >&2\nexit 1\nfi\nexec REAL \"$@\"",
            place.path("lost").display()
        );
        instead(&cluster, &place, "sbatch", &script);
        let mut run = cluster.run(&place, &[]);
        assert_eq!(wait(&mut run, &place), 0, "{}", place.said());
        assert!(place.path("lost").is_dir(), "the answer was never lost");
        let mut names = cluster.jobs("%j %K");
        let all = names.len();
        assert!(all > before);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "something was submitted twice: {names:?}");
        place.is_done(SHORT_EPOCHS);
    };
    campaign("Slurm: the answer to a submission is lost", |_| {
        lost("REAL \"$@\" >/dev/null");
    });
    campaign("Slurm: a submission is lost", |_| lost(":"));
}

/// In the long form to its end, with the bytes of a run on one machine.
#[test]
fn a_training_longer_than_its_time_limit_goes_on_in_another_job() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    if is_long() {
        return campaign("Slurm: the time limit is reached", |_| {
            let place = cluster.place(TIMED_EPOCHS);
            let time = "run.executor.resources.train.time=\"1\"";
            let mut run = cluster.run(&place, &["--set", time]);
            assert_eq!(wait(&mut run, &place), 0, "{}", place.said());
            let told = place.said();
            assert!(
                told.contains("because its time ran out")
                    || told.contains("reached its time limit"),
                "{told}"
            );
            place.is_done(TIMED_EPOCHS);
        });
    }
    let place = cluster.place(LONG_EPOCHS);
    // A minute is the shortest limit, and Slurm warns two minutes before it, as soon as it looks.
    let time = "run.executor.resources.train.time=\"1\"";
    let more = ["--set", time, "--set", "stage.train.epochs=10000"];
    let mut run = cluster.run(&place, &more);
    until("a job goes on in another", || {
        place.said().contains("submitted again") || run.try_wait().unwrap().is_some()
    });
    let told = place.said();
    let went_on = "stopped at a checkpoint because its time ran out";
    assert!(
        told.contains(went_on) || told.contains("reached its time limit"),
        "{told}"
    );
    let pid = rustix::process::Pid::from_child(&run);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(wait(&mut run, &place), 130, "{}", place.said());
    let queued = || cluster.call("squeue", &["-h", "--format", "%A"]);
    until("the queue is empty", || queued().trim().is_empty());
}

#[test]
fn a_partition_that_does_not_exist_is_told_at_once() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let place = cluster.place(SHORT_EPOCHS);
    let mut run = cluster.run(
        &place,
        &["--set", "run.executor.resources.default.partition=nowhere"],
    );
    assert_eq!(wait(&mut run, &place), 1);
    let told = place.said();
    assert!(
        told.contains("sbatch refused the job") && told.contains("invalid partition"),
        "{told}"
    );
}
