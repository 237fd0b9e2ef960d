//! What caching and worker processes cost: `cargo bench -p dpx-engine --bench cache`.
//!
//! A plan of one preprocess and 99 scores whose stages do next to nothing is run twice on a fresh cache: the first run
//! shows the overhead per instance (process, verification, syncing to the medium), the second the cost of doing nothing.
//! The limits are 30 ms per instance and 100 ms of processor time for 100 instances.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot run says so by a panic"
)]

use dpx_engine::cache::Cache;
use dpx_engine::plan::{Instance, Need, Plan, RunSettings};
use dpx_engine::run::{ExecutorOptions, InstanceResult, Options, Runner, WorkerCommand, worker};
use dpx_schema::{Finish, Kind, ReleaseLabel, StageContext, StageResult};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const INSTANCES: usize = 100;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, request] = &arguments[..]
        && role == "worker"
    {
        let code = worker::serve(Path::new(request), &stage);
        return ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX));
    }
    // Memory file systems sync for nothing: measure on the disk that holds the build.
    let place: PathBuf = std::env::current_exe().unwrap().parent().unwrap().into();
    let folder = tempfile::tempdir_in(place).unwrap();
    measure(folder.path());
    ExitCode::SUCCESS
}

fn measure(folder: &Path) {
    let plan = plan();
    let cache = Cache::at(folder.join("cache")).unwrap();
    let run = |jobs: usize| {
        let options = Options {
            jobs: Some(jobs),
            devices: Vec::new(),
            divided: false,
            device_slots: jobs,
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
        let (start, processor) = (Instant::now(), processor_time());
        let report = Runner::new(&plan, &cache, options).unwrap().run().unwrap();
        (
            report,
            start.elapsed(),
            processor_time().saturating_sub(processor),
        )
    };
    let (first, wall, _) = run(1);
    assert!(
        first
            .instances
            .iter()
            .all(|one| matches!(one, InstanceResult::Finished(..)))
    );
    let per_instance = wall / u32::try_from(INSTANCES).unwrap();
    println!("first run, one worker at a time: {per_instance:.1?} per instance (limit 30 ms)");
    // Many, since the kernel counts processor time in ticks of 10 ms.
    const REPEATS: u32 = 100;
    let (mut wall, mut processor) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..REPEATS {
        let (second, elapsed, spent) = run(1);
        assert!(
            second
                .instances
                .iter()
                .all(|one| matches!(one, InstanceResult::Cached(_)))
        );
        wall += elapsed;
        processor += spent;
    }
    let (wall, processor) = (wall / REPEATS, processor / REPEATS);
    println!(
        "nothing to do, {INSTANCES} instances: {processor:.1?} of processor time, {wall:.1?} in all (limit 100 ms)"
    );
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

fn plan() -> Plan {
    let mut instances = vec![instance(Kind::Preprocess, 0, vec![])];
    for index in 1..INSTANCES {
        let need = Need {
            stage: "preprocess".into(),
            instance: 0,
        };
        instances.push(instance(Kind::Score, index, vec![need]));
    }
    Plan {
        experiment: "bench".into(),
        description: None,
        seed: 1,
        axes: Vec::new(),
        run: RunSettings::default(),
        instances,
    }
}

fn instance(kind: Kind, index: usize, needs: Vec<Need>) -> Instance {
    let params = json!({ "index": index });
    Instance {
        name: format!("{kind}@index={index}").into(),
        stage: kind.to_string(),
        kind,
        axes: BTreeMap::from([("index".to_owned(), json!(index))]),
        key_params: params.clone(),
        params,
        performance: json!({}),
        seed: 1,
        needs,
        sources: BTreeMap::new(),
        flow: ReleaseLabel::Public,
    }
}

fn stage(context: &StageContext<'_>) -> StageResult {
    std::fs::write(
        context.output_path("result.json"),
        context.params.to_string(),
    )?;
    Ok(Finish::nothing())
}
