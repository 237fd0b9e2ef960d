//! How the engine's own time grows with a study: `cargo bench -p dpx-engine --bench growth`, or with the names of some
//! sections and `small` behind `--`.
//!
//! | section | what is measured |
//! |---|---|
//! | `runner` | processor time of the runner alone over a first run of n instances whose stages do next to nothing |
//! | `rerun` | the same where all n instances have an older record each and a parameter of each changed |
//! | `plan` | seconds until 200 new instances are decided over n old records of their stages |
//! | `check` | seconds until an experiment file with n mistakes of one sort is read and its mistakes are rendered |
//!
//! Whatever is linear doubles where n doubles; the last column says by what it grew.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot run says so by a panic"
)]

use dpx_engine::cache::{Cache, TryLock};
use dpx_engine::experiment;
use dpx_engine::plan::{Instance, Need, Plan, RunSettings, decide};
use dpx_engine::run::{
    ExecutorOptions, InstanceResult, Options, Runner, View, WorkerCommand, worker,
};
use dpx_schema::{
    Digest, FileEntry, Finish, Kind, Manifest, Record, ReleaseLabel, StageContext, StageResult,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, request] = &arguments[..]
        && role == "worker"
    {
        let code = worker::serve(Path::new(request), &stage);
        return ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX));
    }
    let asked: Vec<&str> = arguments[1..]
        .iter()
        .map(String::as_str)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let small = asked.contains(&"small");
    let wants = |section: &str| {
        let sections = ["runner", "rerun", "plan", "check"];
        asked.contains(&section) || !asked.iter().any(|word| sections.contains(word))
    };
    println!("| what | n | seconds | grew by |\n|---|---|---|---|");
    if wants("runner") {
        let sizes: &[usize] = if small {
            &[125, 250, 500]
        } else {
            &[250, 500, 1000, 2000]
        };
        table("runner, n instances", sizes, runner);
    }
    if wants("rerun") {
        let sizes: &[usize] = if small { &[50, 100] } else { &[100, 200, 400] };
        table("runner, n changed over n old records", sizes, rerun);
    }
    if wants("plan") {
        let sizes: &[usize] = if small {
            &[1000, 2000]
        } else {
            &[2000, 16_000]
        };
        table("plan, 200 new over n records", sizes, plan_over_records);
    }
    if wants("check") {
        let sizes: &[usize] = if small {
            &[500, 1000, 2000]
        } else {
            &[2000, 8000, 32_000]
        };
        for (what, write) in mistakes() {
            table(&format!("check, n {what}"), sizes, |n| check(&write(n)));
        }
        let sizes: &[usize] = if small {
            &[1000, 10_000]
        } else {
            &[10_000, 100_000, 1_000_000]
        };
        table("check, n values of an axis", sizes, |n| check(&axis(n)));
    }
    ExitCode::SUCCESS
}

fn table(what: &str, sizes: &[usize], measure: impl Fn(usize) -> Duration) {
    let mut before: Option<Duration> = None;
    for &size in sizes {
        let took = measure(size);
        let grew = before.map_or_else(String::new, |before| {
            format!("{:.1}", took.as_secs_f64() / before.as_secs_f64().max(1e-3))
        });
        println!("| {what} | {size} | {:.2} | {grew} |", took.as_secs_f64());
        before = Some(took);
    }
}

/// A folder on a memory file system where there is one: what is measured is the processor, not the medium.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let place: PathBuf = if memory.is_dir() {
        memory.into()
    } else {
        std::env::temp_dir()
    };
    tempfile::tempdir_in(place).unwrap()
}

fn run(plan: &Plan, folder: &Path) -> Duration {
    let cache = Cache::at(folder.join("cache")).unwrap();
    let options = Options {
        jobs: Some(2),
        devices: Vec::new(),
        divided: false,
        device_slots: 2,
        keep_going: false,
        force: Vec::new(),
        only: Vec::new(),
        remote: None,
        secrets: folder.join("secrets"),
        ledger: folder.join("ledger").into(),
        executor: ExecutorOptions::Local(
            WorkerCommand::new(std::env::current_exe().unwrap()).argument("worker"),
        ),
        command: String::new(),
    };
    let processor = processor_time();
    let report = Runner::new(plan, &cache, options).unwrap().run().unwrap();
    let spent = processor_time().saturating_sub(processor);
    assert!(
        report
            .instances
            .iter()
            .all(|one| matches!(one, InstanceResult::Finished(..)))
    );
    spent
}

fn runner(n: usize) -> Duration {
    let folder = folder();
    run(&study(n, 0), folder.path())
}

fn rerun(n: usize) -> Duration {
    let folder = folder();
    run(&study(n, 0), folder.path());
    run(&study(n, 1), folder.path())
}

fn plan_over_records(n: usize) -> Duration {
    let folder = folder();
    let cache = Cache::at(folder.path().join("cache")).unwrap();
    cache.prepare().unwrap();
    let old = study(n, 0);
    for (id, instance) in old.instances.iter().enumerate() {
        let inputs = inputs(&old, id);
        let key = instance.key(&inputs);
        let TryLock::Taken(lock) = cache.try_lock(&key, &instance.name).unwrap() else {
            panic!("nobody else is here")
        };
        let attempt = cache.new_attempt(&key).unwrap();
        std::fs::write(attempt.join("result.json"), instance.name.as_str()).unwrap();
        let record = Record {
            version: Record::VERSION,
            key,
            experiment: old.experiment.clone(),
            stage: instance.stage.clone(),
            instance: instance.name.clone(),
            kind: instance.kind,
            kind_version: instance.kind.version(),
            axes: instance.axes.clone(),
            seed: instance.seed,
            params: instance.key_params.clone(),
            inputs,
            sources: instance.sources.clone(),
            output: output(&instance.name),
            flow: instance.flow,
            wall_seconds: 1.0,
            device: "cpu".into(),
            dpx_version: "0".into(),
            finished_at: "2026-01-01T00:00:00Z".into(),
        };
        cache.commit(&lock, &record, &attempt).unwrap();
        cache.sweep(&lock, true).unwrap();
    }
    let new = study(200, 1);
    let start = Instant::now();
    let decisions = decide(&new, &View::new(cache), &BTreeSet::new());
    let took = start.elapsed();
    assert!(decisions.iter().all(|one| !one.state.is_cached()));
    took
}

/// What every instance of a study reads, when each writes its own name.
fn inputs(plan: &Plan, id: usize) -> BTreeMap<String, Digest> {
    plan.instances[id]
        .needs
        .iter()
        .map(|need| {
            let made = &plan.instances[need.instance];
            (need.stage.clone(), output(&made.name).digest())
        })
        .collect()
}

fn output(name: &str) -> Manifest {
    Manifest {
        files: vec![FileEntry {
            path: "result.json".into(),
            digest: Digest::of(name.as_bytes()),
            size: name.len() as u64,
        }],
    }
}

/// Processor time of this process so far, all threads, in the kernel's ticks of 10 ms; elsewhere than on Linux, nothing.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = text.rsplit(')').next().unwrap_or_default();
    // Fields 14 and 15 of proc(5): user and system time; the third field follows the name.
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|word| word.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// One `preprocess` and rows of `train`, `sample`, `classify` and `score`, with about as many parameters as real stages
/// have. Another `version` changes a parameter of every instance.
fn study(n: usize, version: u64) -> Plan {
    let mut instances = vec![instance(Kind::Preprocess, 0, version, Vec::new())];
    let need = |kind: Kind, instance: usize| Need {
        stage: kind.to_string(),
        instance,
    };
    while instances.len() < n {
        let first = instances.len();
        let row = first.div_ceil(4);
        for (kind, needs) in [
            (Kind::Train, vec![need(Kind::Preprocess, 0)]),
            (Kind::Sample, vec![need(Kind::Train, first)]),
            (
                Kind::Classify,
                vec![need(Kind::Sample, first + 1), need(Kind::Preprocess, 0)],
            ),
            (
                Kind::Score,
                vec![
                    need(Kind::Sample, first + 1),
                    need(Kind::Classify, first + 2),
                ],
            ),
        ] {
            if instances.len() < n {
                instances.push(instance(kind, row, version, needs));
            }
        }
    }
    Plan {
        experiment: "growth".into(),
        description: None,
        seed: 1,
        axes: Vec::new(),
        run: RunSettings::default(),
        instances,
    }
}

fn instance(kind: Kind, row: usize, version: u64, needs: Vec<Need>) -> Instance {
    let mut params = json!({ "row": row, "version": version });
    for number in 0..25 {
        params[format!("parameter_{number}")] = json!(number as f64 / 3.0);
    }
    let shared = kind == Kind::Preprocess;
    Instance {
        name: if shared {
            kind.to_string().into()
        } else {
            format!("{kind}@row={row}").into()
        },
        stage: kind.to_string(),
        kind,
        axes: if shared {
            BTreeMap::new()
        } else {
            BTreeMap::from([("row".to_owned(), json!(row))])
        },
        key_params: params.clone(),
        params,
        performance: json!({}),
        seed: row as u64,
        needs,
        sources: BTreeMap::new(),
        flow: ReleaseLabel::Private,
    }
}

fn stage(context: &StageContext<'_>) -> StageResult {
    let text = format!("{} {}", context.instance, context.params);
    std::fs::write(context.output_path("result.json"), text)?;
    Ok(Finish::nothing())
}

const HEAD: &str = "[experiment]\nname = \"growth\"\n\n";
const DATA: &str = "[stage.preprocess]\nkind = \"preprocess\"\ndataset = \"builtin:emotions\"\n";

type Writer = fn(usize) -> String;

fn mistakes() -> [(&'static str, Writer); 4] {
    [
        ("unknown keys", |n| {
            let mut text = format!("{HEAD}{DATA}");
            for index in 0..n {
                let _ = writeln!(text, "prompd_{index} = {index}");
            }
            text
        }),
        ("unknown needs", |n| {
            let mut text = format!("{HEAD}{DATA}[stage.score]\nkind = \"score\"\nneeds = [\n");
            for index in 0..n {
                let _ = writeln!(text, "  \"preproces_{index}\",");
            }
            text + "]\n"
        }),
        ("stages with an unknown need each", |n| {
            let mut text = format!("{HEAD}{DATA}");
            for index in 0..n {
                let _ = writeln!(
                    text,
                    "[stage.s{index}]\nkind = \"classify\"\nneeds = [\"preproces{index}\"]"
                );
            }
            text
        }),
        ("labels twice", |n| {
            let mut text = format!("{HEAD}{DATA}labels = [\n");
            for index in 0..n {
                let _ = writeln!(text, "  \"label {}\",", index / 2);
            }
            text + "]\n"
        }),
    ]
}

fn axis(n: usize) -> String {
    let mut text = format!("{HEAD}[sweep]\nreplicate = [");
    for index in 0..n {
        let _ = write!(text, "{index},");
    }
    format!(
        "{text}]\n\n{DATA}[stage.train]\nkind = \"train\"\nneeds = [\"preprocess\"]\nmodel = \"builtin:base\"\nepsilon = 8\n"
    )
}

fn check(text: &str) -> Duration {
    let folder = folder();
    let file = folder.path().join("growth.toml");
    std::fs::write(&file, text).unwrap();
    let start = Instant::now();
    let loaded = experiment::load(&file, &[]);
    let shown = experiment::render(&loaded.diagnostics, &loaded.files);
    let took = start.elapsed();
    assert!(loaded.experiment.is_some() || !shown.is_empty());
    took
}
