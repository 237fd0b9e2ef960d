//! The runner: takes every decision, starts what is ready, and hears of everything in one order.

mod end;
mod ready;
mod select;
mod start;

use self::ready::Ready;
pub(super) use self::select::selection;
pub use self::select::shell_word;
use self::select::{cores, private_folder};
use super::control::Control;
use super::event::{Event, Finish, Outcome, Planned};
use super::executor;
use super::executor::{Executor, Told};
use super::job::JobResult;
use super::public_inputs;
use super::slots::{Held, Slots};
use super::{JournalObserver, Live, Observer, Options, RunError, View};
use crate::cache::{Cache, Journal, SharedUse};
use crate::plan::{Changed, Decisions, DeviceNeed, Instance, InstanceId, Plan, State};
use dpx_schema::InstanceName;
use dpx_schema::{Device, device_names};
use dpx_schema::{Key, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How often locks of other processes are tried again, and displays are told that time passes.
const TICK: Duration = Duration::from_millis(100);

/// How often it is looked for an order that was left in a file.
const BETWEEN_ORDERS: Duration = Duration::from_secs(1);

/// What may reach a run from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C, or a request to terminate: the first stops workers at a checkpoint, the second kills them.
    Interrupt,
}

/// How an instance stands when a run has ended.
#[derive(Debug, Clone, PartialEq)]
pub enum InstanceResult {
    /// Its record was there when the run began, or its inputs came out as before.
    Cached(Arc<Record>),
    /// Its record came to be during the run.
    Finished(Arc<Record>, Finish),
    /// It failed: the reason in words.
    Failed(String),
    /// Something it needs failed, or the run stopped before it.
    NotRun,
    /// `--only` left it out, and it is not cached.
    NotAsked,
}

/// How a run ended, and each of its instances.
#[derive(Debug)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct RunReport {
    /// Name of the run, which sorts by its start.
    pub run: String,
    pub outcome: Outcome,
    /// What became of each instance, in the plan's order.
    pub instances: Vec<InstanceResult>,
    /// The failures, to be told again.
    pub failures: Vec<Event>,
    /// Seconds from start to end.
    pub seconds: f64,
}

enum News {
    Said(InstanceId, Told),
    Ended(InstanceId, JobResult),
    Signal(Signal),
}

struct Running {
    control: Arc<Control>,
    held: Held,
    key: Key,
    forced: bool,
    /// When it began, or last said something.
    heard: Instant,
}

/// One run of a plan: starts what is ready, commits what is done, and tells its observers.
pub struct Runner<'a> {
    /// What the comparison of public inputs with the private texts found that forbids nothing.
    notes: Vec<String>,
    plan: &'a Plan,
    cache: &'a Cache,
    identity: String,
    options: Options,
    executor: Arc<dyn Executor>,
    observers: Vec<Box<dyn Observer + 'a>>,
    view: View,
    journal: Arc<Journal>,
    /// Keeps garbage collection out until the keys of the first decisions are in the journal.
    shared: Option<SharedUse>,
    selected: BTreeSet<InstanceId>,
    decisions: Decisions<'a>,
    ready: Ready,
    slots: Slots,
    jobs: usize,
    running: BTreeMap<InstanceId, Running>,
    /// Keys of the running instances: two instances of one key are one piece of work.
    running_keys: BTreeSet<Key>,
    waiting: BTreeSet<InstanceId>,
    finished: BTreeMap<InstanceId, (Arc<Record>, Finish)>,
    failures: BTreeMap<InstanceId, Event>,
    rebuilds: BTreeMap<InstanceId, u32>,
    interrupts: u32,
    asked_to_stop: Option<Instant>,
    news: Receiver<News>,
    sender: Sender<News>,
}

impl std::fmt::Debug for Runner<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Runner")
            .field("experiment", &self.plan.experiment)
            .field("run", &self.journal.id())
            .finish_non_exhaustive()
    }
}

impl<'a> Runner<'a> {
    /// Prepares a run: checks the names, opens the cache, begins the journal. Nothing runs yet.
    ///
    /// # Errors
    /// When an option names nothing in the plan, a public input holds private texts and the file does not declare it, or the
    /// cache cannot be written.
    pub fn new(plan: &'a Plan, cache: &'a Cache, mut options: Options) -> Result<Self, RunError> {
        let (forced, selected) = selection(plan, &options)?;
        if options.device_slots == 0 {
            return Err(RunError::Zero {
                option: "--device-slots",
            });
        }
        if options.devices.is_empty() {
            options.devices.push(Device::Cpu);
        }
        if options.jobs == Some(0) {
            return Err(RunError::Zero { option: "--jobs" });
        }
        cache.prepare()?;
        cache.sweep_dead()?;
        cache.sweep_temporary()?;
        let identity = cache.identity()?;
        for folder in [&options.secrets, &options.ledger.folder] {
            private_folder(folder).map_err(|source| RunError::Folder {
                path: folder.clone(),
                source,
            })?;
        }
        let journal = Arc::new(cache.start_journal()?);
        let executor = executor::start(&options.executor, journal.id(), journal.folder())?;
        let slots = options.devices.len() * options.device_slots;
        let here = slots + (cores() / 4).max(1);
        let jobs = options.jobs.or_else(|| executor.places()).unwrap_or(here);
        if executor.places().is_some() {
            // Devices are the cluster's: as many as it gives, all of them a worker's own.
            options.devices.truncate(1);
            options.device_slots = jobs;
        }
        let view = View::new(cache.clone());
        let shared = Some(cache.share()?);
        let decisions = Decisions::new(plan, &view, forced);
        if decisions.list().iter().any(|one| !one.state.is_cached()) {
            cache.probe()?;
        }
        let list = decisions.list();
        let notes = public_inputs::check(plan, cache, |id| list[id].state.is_cached())?;
        let (sender, news) = channel();
        Ok(Self {
            notes,
            plan,
            cache,
            observers: vec![
                Box::new(JournalObserver(Arc::clone(&journal))),
                Box::new(Live::new(journal.folder())),
            ],
            view,
            journal,
            shared,
            selected,
            decisions,
            ready: Ready::new(plan.instances.iter().map(Instance::uses_device).collect()),
            slots: Slots::new(jobs, &options.devices, options.device_slots),
            jobs,
            identity,
            executor,
            options,
            running: BTreeMap::new(),
            running_keys: BTreeSet::new(),
            waiting: BTreeSet::new(),
            finished: BTreeMap::new(),
            failures: BTreeMap::new(),
            rebuilds: BTreeMap::new(),
            interrupts: 0,
            asked_to_stop: None,
            news,
            sender,
        })
    }

    /// Adds somebody who is told what happens.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'a) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// What the comparison of public inputs with the private texts found that forbids nothing: for whoever runs the study.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Bytes that the instances which run wrote in the previous run, and bytes that are free, where the first are more.
    pub fn short_of_room(&self) -> Option<(u64, u64)> {
        let wanted = self
            .decisions
            .list()
            .iter()
            .filter(|one| matches!(one.state, State::Run { .. }))
            .filter(|one| self.selected.contains(&one.instance))
            .flat_map(|one| one.nearest.iter().flat_map(|record| &record.output.files))
            .map(|file| file.size)
            .sum();
        let free = self.cache.free_bytes()?;
        (wanted > free).then_some((wanted, free))
    }

    /// Where signals from outside go in, from any thread.
    pub fn signals(&self) -> impl Fn(Signal) + Send + use<> {
        let sender = self.sender.clone();
        move |signal| drop(sender.send(News::Signal(signal)))
    }

    /// Runs the plan to its end, the first failure, or an interrupt.
    ///
    /// # Errors
    /// When a lock of the cache cannot be taken at all. Failures of stages are part of the report.
    pub fn run(mut self) -> Result<RunReport, RunError> {
        let start = Instant::now();
        let mut looked = start;
        self.begin();
        loop {
            if looked.elapsed() >= BETWEEN_ORDERS {
                looked = Instant::now();
                self.heed_order();
            }
            self.start_ready()?;
            if self.running.is_empty() && (self.waiting.is_empty() || self.is_ending()) {
                break;
            }
            match self.news.recv_timeout(TICK) {
                Ok(News::Said(id, told)) => self.told(id, told),
                Ok(News::Ended(id, result)) => self.ended(id, result)?,
                Ok(News::Signal(Signal::Interrupt)) => self.interrupt(),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    self.kill_the_deaf();
                    self.observers
                        .iter_mut()
                        .for_each(|observer| observer.tick());
                }
            }
        }
        Ok(self.report(start.elapsed().as_secs_f64()))
    }

    fn tell(&mut self, event: &Event) {
        self.observers
            .iter_mut()
            .for_each(|observer| observer.observe(event));
    }

    fn name(&self, id: InstanceId) -> InstanceName {
        self.plan.instances[id].name.clone()
    }

    /// Tells the first decisions. The keys they rest on are in the journal before garbage collection may look again.
    fn begin(&mut self) {
        let instances = self.decisions.list().iter().map(|decision| Planned {
            instance: self.plan.instances[decision.instance].name.clone(),
            state: match &decision.state {
                State::Cached { .. } => "cached",
                _ if !self.selected.contains(&decision.instance) => "not-asked",
                State::Run { .. } => "run",
                State::OnlyIf { .. } => "only-if",
            },
            key: decision.key,
            estimate: decision.estimate,
        });
        let event = Event::RunStarted {
            run: self.journal.id().to_owned(),
            experiment: self.plan.experiment.clone(),
            dpx_version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            host: crate::cache::host(),
            jobs: self.jobs,
            devices: match self.executor.device(DeviceNeed::All) {
                Some(devices) => device_names(&devices).map(str::to_owned).collect(),
                None => self
                    .options
                    .devices
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            },
            instances: instances.collect(),
        };
        self.tell(&event);
        self.shared = None;
        for id in 0..self.plan.instances.len() {
            self.refresh(id);
        }
    }

    /// Takes in what was decided anew after an artifact appeared or vanished, and tells which instances need not run after
    /// all.
    fn decided_again(&mut self, changed: &[Changed]) {
        for one in changed {
            let id = one.instance;
            self.refresh(id);
            let decision = &self.decisions.list()[id];
            let is_unchanged =
                !one.was_cached && decision.state.is_cached() && !self.finished.contains_key(&id);
            if let Some(key) = decision.key.filter(|_| is_unchanged) {
                let instance = self.name(id);
                self.tell(&Event::Unchanged { instance, key });
            }
        }
    }

    /// Works out anew whether an instance could start.
    fn refresh(&mut self, id: InstanceId) {
        let decision = &self.decisions.list()[id];
        let asked = self.selected.contains(&id) && !self.failures.contains_key(&id);
        let ready = asked
            && decision.key.is_some()
            && matches!(decision.state, State::Run { .. })
            && !self.running.contains_key(&id);
        let over = decision.state.is_cached() || self.finished.contains_key(&id);
        self.ready.set(id, ready, asked && !over);
        if !ready {
            self.waiting.remove(&id);
        }
    }
}
