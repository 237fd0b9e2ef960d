//! A study whose stages take milliseconds, run by the real runner in worker processes.
//!
//! This test binary plays all parts: `DPX_TEST_ROLE=worker` serves a request with the stages below, and
//! `DPX_TEST_ROLE=runner` runs a study until it ends or is killed.

use dpx_engine::cache::Cache;
use dpx_engine::plan::{Instance, Need, Plan, RunSettings};
use dpx_engine::run::{
    ExecutorOptions, InstanceResult, JsonLines, Observer, Options, Outcome, RunReport, Runner,
    Signal, WorkerCommand, worker,
};
use dpx_schema::progress::ProgressUpdate;
use dpx_schema::{Digest, Finish, Kind, ReleaseLabel, StageContext, StageError, StageResult};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// preprocess, then per row train, sample, score.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Study {
    pub(crate) rows: u64,
    /// Steps of each `train`, 4 ms each, a checkpoint after each.
    pub(crate) steps: u64,
    pub(crate) preprocess: String,
    pub(crate) train: String,
    pub(crate) score: String,
    /// Name of an instance that fails.
    pub(crate) fails: Option<String>,
    /// Where every stage writes what it did.
    pub(crate) trace: PathBuf,
}

impl Study {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self {
            rows: 2,
            steps: 5,
            preprocess: "texts".into(),
            train: "three epochs".into(),
            score: "cosine".into(),
            fails: None,
            trace: folder.join("trace"),
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        let mut instances = vec![self.instance("preprocess", Kind::Preprocess, None, vec![])];
        for row in 1..=self.rows {
            let at = instances.len();
            let need = |stage: &str, instance| Need {
                stage: stage.into(),
                instance,
            };
            let train = vec![need("preprocess", 0)];
            let score = vec![need("preprocess", 0), need("sample", at + 1)];
            instances.push(self.instance("train", Kind::Train, Some(row), train));
            instances.push(self.instance(
                "sample",
                Kind::Sample,
                Some(row),
                vec![need("train", at)],
            ));
            instances.push(self.instance("score", Kind::Score, Some(row), score));
        }
        Plan {
            experiment: "study".into(),
            description: None,
            seed: 42,
            axes: Vec::new(),
            run: RunSettings::default(),
            instances,
        }
    }

    fn instance(&self, stage: &str, kind: Kind, row: Option<u64>, needs: Vec<Need>) -> Instance {
        let name = row.map_or_else(|| stage.to_owned(), |row| format!("{stage}@row={row}"));
        let text = match stage {
            "preprocess" => &self.preprocess,
            "train" => &self.train,
            "score" => &self.score,
            _ => "sampled",
        };
        let key_params = json!({ "text": text, "row": row, "steps": self.steps });
        let mut params = key_params.clone();
        params["trace"] = json!(self.trace);
        params["fails"] = json!(self.fails.as_ref() == Some(&name));
        Instance {
            name: name.into(),
            stage: stage.into(),
            kind,
            axes: row
                .map(|row| ("row".to_owned(), json!(row)))
                .into_iter()
                .collect(),
            params,
            performance: json!({}),
            key_params,
            seed: 42,
            needs,
            sources: BTreeMap::new(),
            flow: ReleaseLabel::Private,
        }
    }

    /// Lines of the trace: `begin INSTANCE PID THREADS`, `step INSTANCE N`, `end INSTANCE`.
    pub(crate) fn trace(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.trace).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn begun(&self) -> Vec<String> {
        let words = |line: &String| line.split(' ').nth(1).unwrap_or_default().to_owned();
        self.trace()
            .iter()
            .filter(|line| line.starts_with("begin "))
            .map(words)
            .collect()
    }

    /// Processes of all workers that ever began.
    pub(crate) fn pids(&self) -> Vec<i32> {
        let pid = |line: &String| line.split(' ').nth(2)?.parse().ok();
        self.trace()
            .iter()
            .filter(|line| line.starts_with("begin "))
            .filter_map(pid)
            .collect()
    }

    pub(crate) fn options(folder: &Path) -> Options {
        Options {
            jobs: Some(2),
            devices: Vec::new(),
            divided: false,
            device_slots: 1,
            keep_going: false,
            force: Vec::new(),
            only: Vec::new(),
            remote: None,
            secrets: folder.join("secrets"),
            ledger: folder.join("ledger").into(),
            executor: ExecutorOptions::Local(command("worker")),
            command: "dpx run study.toml".into(),
        }
    }

    /// Runs in this process; the events come back as JSON.
    pub(crate) fn run(&self, folder: &Path) -> (RunReport, Vec<serde_json::Value>) {
        self.run_with(folder, |_| {})
    }

    pub(crate) fn run_with(
        &self,
        folder: &Path,
        change: impl FnOnce(&mut Options),
    ) -> (RunReport, Vec<serde_json::Value>) {
        let cache = Cache::at(folder.join("cache")).unwrap();
        self.run_in(&cache, folder, change).unwrap()
    }

    pub(crate) fn run_in(
        &self,
        cache: &Cache,
        folder: &Path,
        change: impl FnOnce(&mut Options),
    ) -> Result<(RunReport, Vec<serde_json::Value>), dpx_engine::run::RunError> {
        let mut options = Self::options(folder);
        change(&mut options);
        let plan = self.plan();
        let mut events = Vec::new();
        let report = Runner::new(&plan, cache, options)?
            .observer(Collect(&mut events))
            .run()?;
        Ok((report, events))
    }

    /// Starts the runner as a process of its own.
    pub(crate) fn spawn(&self, folder: &Path) -> Child {
        let program = std::env::current_exe().unwrap();
        Command::new(program)
            .args(["--exact", "run_support::part", "--nocapture", "--quiet"])
            .env("DPX_TEST_ROLE", "runner")
            .env("DPX_TEST_STUDY", serde_json::to_string(self).unwrap())
            .env("DPX_TEST_FOLDER", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }
}

/// The artifacts of a report by instance; panics where one is missing.
pub(crate) fn artifacts(study: &Study, report: &RunReport) -> BTreeMap<String, Digest> {
    let plan = study.plan();
    let digest = |result: &InstanceResult| match result {
        InstanceResult::Cached(record) | InstanceResult::Finished(record, _) => {
            record.output.digest()
        }
        other => panic!("{other:?}"),
    };
    let names = plan
        .instances
        .iter()
        .map(|instance| instance.name.to_string());
    names.zip(report.instances.iter().map(digest)).collect()
}

/// Waits until something holds, for ten seconds at most.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "it never came about: {what}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

struct Collect<'a>(&'a mut Vec<serde_json::Value>);

impl Observer for Collect<'_> {
    fn observe(&mut self, event: &dpx_engine::run::Event) {
        self.0.push(serde_json::to_value(event).unwrap());
    }
}

/// This binary as a worker.
fn command(role: &str) -> WorkerCommand {
    WorkerCommand::new(std::env::current_exe().unwrap())
        .argument("--exact")
        .argument("run_support::part")
        .argument("--nocapture")
        .argument("--quiet")
        .variable("DPX_TEST_ROLE", role)
}

/// The entry of the other processes; a test that does nothing in this one.
#[test]
#[expect(
    clippy::exit,
    reason = "the test process plays a program with exit codes"
)]
fn part() {
    match std::env::var("DPX_TEST_ROLE").as_deref() {
        Ok("worker") => {
            let request = PathBuf::from(std::env::args().next_back().unwrap());
            std::process::exit(worker::serve(&request, &stage));
        }
        Ok("runner") => std::process::exit(runner()),
        _ => {}
    }
}

fn runner() -> i32 {
    let folder = PathBuf::from(std::env::var_os("DPX_TEST_FOLDER").unwrap());
    let study: Study = serde_json::from_str(&std::env::var("DPX_TEST_STUDY").unwrap()).unwrap();
    let cache = Cache::at(folder.join("cache")).unwrap();
    let plan = study.plan();
    let runner = Runner::new(&plan, &cache, Study::options(&folder)).unwrap();
    let signal = runner.signals();
    ctrlc::set_handler(move || signal(Signal::Interrupt)).unwrap();
    match runner.observer(JsonLines::default()).run().unwrap().outcome {
        Outcome::Done => 0,
        Outcome::Failed => 1,
        Outcome::Interrupted => 130,
    }
}

fn stage(context: &StageContext<'_>) -> StageResult {
    let params = &context.params;
    let trace = |line: String| {
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(params["trace"].as_str().unwrap())
            .unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    };
    let threads = std::env::var("RAYON_NUM_THREADS").unwrap_or_default();
    trace(format!(
        "begin {} {} {threads}",
        context.instance,
        std::process::id()
    ));
    let mut text = format!("{} {}\n", params["text"], params["row"]);
    for (name, input) in &context.inputs {
        text.push_str(name);
        text.push_str(&std::fs::read_to_string(input.path.join("text"))?);
        let denied = std::fs::metadata(input.path.join("text"))?
            .permissions()
            .readonly();
        assert!(denied, "inputs are read-only");
    }
    if params["fails"] == true {
        context.progress.log("about to fail");
        return Err(StageError::new("it was asked to fail"));
    }
    if context.kind == Kind::Train {
        text = train(context, &text, &trace)?;
    }
    // Two preprocess parameters give one text: what comes after need not run again.
    if context.kind == Kind::Preprocess {
        text = text.to_lowercase();
    }
    std::fs::write(context.output_path("text"), &text)?;
    std::fs::create_dir_all(context.output_path("more"))?;
    std::fs::write(context.output_path("more/length"), text.len().to_string())?;
    trace(format!("end {}", context.instance));
    if context.kind != Kind::Train {
        return Ok(Finish::nothing());
    }
    // What comes after the closing manifest: it stands by then, and a kill here loses nothing.
    let (instance, output) = (context.instance.clone(), context.output.clone());
    let file = PathBuf::from(params["trace"].as_str().unwrap());
    Ok(Finish::with(move || {
        let closed = output.with_file_name("closing.json").is_file();
        let mut trace = std::fs::File::options().append(true).open(&file)?;
        trace.write_all(format!("finish {instance} {closed}\n").as_bytes())?;
        if std::fs::remove_file(file.with_file_name("die in finish")).is_ok() {
            #[cfg(unix)]
            {
                use rustix::process::{Signal, getpid, getppid, kill_process};
                if let Some(runner) = getppid() {
                    kill_process(runner, Signal::KILL)?;
                }
                kill_process(getpid(), Signal::KILL)?;
            }
        }
        Ok(())
    }))
}

/// Hashes the text once per step; goes on from its checkpoint.
fn train(
    context: &StageContext<'_>,
    text: &str,
    trace: &dyn Fn(String),
) -> Result<String, StageError> {
    let steps = context.params["steps"].as_u64().unwrap();
    let checkpoint = context.state.join("checkpoint");
    let mut state = (0, text.to_owned());
    if let Ok(bytes) = std::fs::read(&checkpoint) {
        state = serde_json::from_slice(&bytes).unwrap();
    }
    while state.0 < steps {
        state = (state.0 + 1, Digest::of(state.1.as_bytes()).to_string());
        std::thread::sleep(Duration::from_millis(4));
        let new = context.state.join("new");
        std::fs::write(&new, serde_json::to_vec(&state).unwrap())?;
        std::fs::rename(&new, &checkpoint)?;
        trace(format!("step {} {}", context.instance, state.0));
        let update = ProgressUpdate::steps(state.0, steps).doing("training");
        context.progress.update(&update);
        if context.progress.stop_requested() {
            return Err(StageError::interrupted());
        }
    }
    Ok(state.1)
}
