//! `dpx run`: bring about everything that an experiment file asks for.

use super::experiment::{CacheArgs, ExperimentArgs, build};
use super::families::{self, Understood};
use super::model_memory;
use super::readings::Readings;
use super::remote::RemoteArgs;
use super::results::{self, ResultsArgs, Written};
use super::state::StateArgs;
use super::{Error, ExitCode, OrError, detach, download, executor, output};
use dpx_engine::cache::{Cache, Damage};
use dpx_engine::experiment::ExecutorTable;
use dpx_engine::plan::Plan;
use dpx_engine::run::{
    Bars, JsonLines, MetricsObserver, Options, Outcome, PlainLines, RunReport, Runner, Signal,
    failures_again, hub_assets, waiting,
};
use dpx_report::{account, spend, standing};
use dpx_schema::LedgerAccess;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The plan is run this often in all where files that the results show turn out damaged.
const REBUILDS: u32 = 3;

/// Run an experiment: everything that is not cached, and nothing else.
///
/// The file, the data it names and this program are frozen at the start. After a crash, a kill or a power cut the same
/// command goes on where it was. Ctrl-C stops workers at their next checkpoint; a second one kills them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    experiment: ExperimentArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    results: ResultsArgs,
    #[command(flatten)]
    remote: RemoteArgs,
    /// Workers at once [default: one for each device slot, and a few beside them]
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
    /// Device to compute on: auto, cpu, wgpu[:N] or cuda[:N]; may be repeated
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// Devices of one class that each training is divided over: cuda:0,cuda:1
    #[arg(
        long,
        value_name = "DEVICE,...",
        value_delimiter = ',',
        conflicts_with = "device"
    )]
    devices: Vec<String>,
    /// Workers that may share one device
    #[arg(long, value_name = "N")]
    device_slots: Option<usize>,
    /// Who starts workers: local, slurm, command, or 'command=COMMAND LINE' [default: `[run.executor]` of the file, or local]
    #[arg(long, value_name = "EXECUTOR")]
    executor: Option<String>,
    /// Finish what does not depend on a failure
    #[arg(long, short)]
    keep_going: bool,
    /// Run this stage or instance even where it is cached; may be repeated
    #[arg(long, value_name = "STAGE")]
    force: Vec<String>,
    /// Run only this stage or instance, and what it needs; may be repeated
    #[arg(long, value_name = "STAGE")]
    only: Vec<String>,
    /// Go on without this terminal: `dpx attach` follows the run, `dpx status` shows it, `dpx cancel` ends it
    #[arg(long)]
    detach: bool,
    /// Print what happens as versioned JSON lines, and nothing else, on standard output
    #[arg(long)]
    json: bool,
}

/// Runs a study as `dpx run` does with nothing else asked for.
pub(crate) fn study(
    experiment: ExperimentArgs,
    cache: CacheArgs,
    state: StateArgs,
    results: ResultsArgs,
) -> Result<ExitCode, Error> {
    run(&Args {
        experiment,
        cache,
        state,
        results,
        jobs: None,
        device: Vec::new(),
        devices: Vec::new(),
        device_slots: None,
        keep_going: false,
        force: Vec::new(),
        only: Vec::new(),
        remote: RemoteArgs::default(),
        executor: None,
        detach: false,
        json: false,
    })
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let root = &args.cache.cache;
    let cache = Cache::at(root)?;
    cache.prepare()?;
    let experiment = args.experiment.load()?;
    if args.detach {
        return detach::start(&cache);
    }
    detach::settle();
    let plan = build(&experiment, &Understood::new(Readings::new(root)))?;
    let folder = results::folder(&experiment, &plan, &args.results.results);
    results::check(&folder, &plan)?;
    let ledger = args
        .state
        .ledger(Some((&experiment, &args.experiment.file)))?;
    standing::check(&ledger, &cache)?;
    // As at the end: what cannot be written then is found now.
    standing::note(&ledger, &cache)?;
    let access = account::access(&ledger, &experiment, &plan);
    let table = executor::table(args.executor.as_deref(), &experiment)?;
    let mut options = options(args, &plan, access, table)?;
    let given = [&args.device[..], &args.devices[..]].concat();
    let place = model_memory::place((&experiment, &plan), &given, args.executor.as_deref());
    model_memory::refuse(&plan, &place, true, || {
        Ok(waiting(&plan, &cache, &options)?)
    })?;
    families::uses(&plan, true, || Ok(waiting(&plan, &cache, &options)?))?;
    options.remote = args
        .remote
        .open(Some((&experiment.cache, args.experiment.file.as_path())))?;
    let assets = hub_assets(&plan, &cache, &options)?;
    download::assets(&assets)?;
    account::tell_people(&ledger, &plan, &cache)?;
    if options.ledger.limit.is_some() {
        spend::forecast(&ledger, &experiment, &plan, Some(&cache))?.refuse_runs()?;
    }
    let signals = Signals::listen()?;
    let lost = Arc::default();
    let mut attempts = 0;
    let report = loop {
        let report = run_once(args, &plan, &cache, options.clone(), &signals, &lost)?;
        attempts += 1;
        match results::write(&experiment, &plan, &cache, &report, &folder)? {
            Written::Study(study, place) => {
                if !args.json {
                    let folder = place.as_ref().map(|place| place.path.as_path());
                    results::print(&study, folder, |verb| words(verb, args))?;
                }
                break report;
            }
            Written::Damaged(damages) => {
                let again = report.outcome == Outcome::Done
                    && attempts < REBUILDS
                    && damages.iter().all(Damage::can_be_rebuilt);
                if !again {
                    if !report.failures.is_empty() {
                        output::note(&failures_again(&report.failures));
                    }
                    return Err(results::unreadable(&damages, &words("dpx run", args)));
                }
                for damage in &damages {
                    output::note(&format!("{damage}: `{}` runs again", damage.instance));
                }
                // What was asked for by name ran already.
                options.force.clear();
            }
        }
    };
    standing::note(&ledger, &cache)?;
    // Of workers that were killed once their artifacts were safe, and of runs whose checkpoints are gone.
    let secrets = options.secrets.join(cache.identity()?);
    if let Err(error) = dpx_stages::destroy_orphaned_keys(&secrets, &cache.states()) {
        output::note(&format!("warning: {error}"));
    }
    if !report.failures.is_empty() {
        output::note(&failures_again(&report.failures));
    }
    if let Some(problem) = lost.get() {
        return Err(Error::failed(format!(
            "events (`--json`) could not be written to standard output: {problem}"
        )));
    }
    Ok(match report.outcome {
        Outcome::Done => ExitCode::Done,
        Outcome::Failed => ExitCode::Failed,
        Outcome::Interrupted => ExitCode::Interrupted,
    })
}

/// One run of the plan, shown as asked.
fn run_once(
    args: &Args,
    plan: &Plan,
    cache: &Cache,
    options: Options,
    signals: &Signals,
    lost: &Arc<OnceLock<String>>,
) -> Result<RunReport, Error> {
    let runner = Runner::new(plan, cache, options)?;
    signals.lead_to(runner.signals());
    for note in runner.notes() {
        output::note(note);
    }
    if let Some((wanted, free)) = runner.short_of_room() {
        output::note(&format!(
            "warning: what runs took {wanted} bytes in the previous run, and the disk of `{}` has {free} left",
            cache.root().display()
        ));
    }
    let runner = runner.observer(MetricsObserver::new(&args.cache.cache.join("metrics")));
    let runner = if args.json {
        runner.observer(JsonLines::new(Arc::clone(lost)))
    } else if std::io::stderr().is_terminal() {
        runner.observer(Bars::default())
    } else {
        runner.observer(PlainLines)
    };
    Ok(runner.run()?)
}

/// Ctrl-C and requests to terminate, led to whichever runner is at work.
struct Signals {
    runner: Arc<Mutex<Option<Listener>>>,
}

/// Told of each signal.
type Listener = Box<dyn Fn(Signal) + Send>;

impl Signals {
    fn listen() -> Result<Self, Error> {
        let runner: Arc<Mutex<Option<Listener>>> = Arc::default();
        let heard = Arc::clone(&runner);
        ctrlc::set_handler(move || {
            let runner = heard.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(signal) = &*runner {
                signal(Signal::Interrupt);
            }
        })
        .or_could_not("listen for Ctrl-C")?;
        Ok(Self { runner })
    }

    fn lead_to(&self, signal: impl Fn(Signal) + Send + 'static) {
        let mut runner = self.runner.lock().unwrap_or_else(PoisonError::into_inner);
        *runner = Some(Box::new(signal));
    }
}

fn options(
    args: &Args,
    plan: &Plan,
    ledger: LedgerAccess,
    executor: ExecutorTable,
) -> Result<Options, Error> {
    let settings = &plan.run;
    let number = |given: Option<usize>, written: Option<u64>| {
        given.or_else(|| written.and_then(|number| usize::try_from(number).ok()))
    };
    let auto = ["auto".to_owned()];
    // What is given goes before what is written, and there is one of the two kinds in either.
    let chosen = [
        (&args.device, false),
        (&args.devices, true),
        (&settings.device, false),
        (&settings.devices, true),
    ];
    let chosen = chosen.into_iter().find(|(names, _)| !names.is_empty());
    let (names, divided) =
        chosen.map_or((&auto[..], false), |(names, divided)| (&names[..], divided));
    let jobs = number(args.jobs, settings.jobs);
    let (executor, devices) = executor::options(executor, names, divided, jobs)?;
    Ok(Options {
        jobs,
        devices,
        divided,
        device_slots: number(args.device_slots, settings.device_slots).unwrap_or(1),
        keep_going: args.keep_going,
        force: args.force.clone(),
        only: args.only.clone(),
        remote: None,
        secrets: args.state.secrets()?,
        ledger,
        executor,
        command: command(args),
    })
}

/// The command line that runs the same experiment again.
fn command(args: &Args) -> String {
    let devices = args.device.iter();
    let mut devices: String = devices
        .flat_map(|device| [" --device ".to_owned(), word(Path::new(device))])
        .collect();
    if !args.devices.is_empty() {
        devices.push_str(" --devices ");
        devices.push_str(&word(Path::new(&args.devices.join(","))));
    }
    let executor = args.executor.iter();
    let executor: String = executor
        .flat_map(|executor| [" --executor ".to_owned(), word(Path::new(executor))])
        .collect();
    words("dpx run", args) + &devices + &executor
}

/// A command about the same experiment and cache.
fn words(verb: &str, args: &Args) -> String {
    let mut words = vec![verb.to_owned(), word(&args.experiment.file)];
    for set in &args.experiment.set {
        words.push(format!("--set {}", word(Path::new(set))));
    }
    if args.cache.cache != Path::new("cache") {
        words.push(format!("--cache {}", word(&args.cache.cache)));
    }
    words.join(" ")
}

fn word(path: &Path) -> String {
    dpx_engine::run::shell_word(&path.to_string_lossy())
}
