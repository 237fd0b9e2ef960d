//! Starting what is ready.

use super::select::cores;
use super::{News, Runner, Running};
use crate::cache::{KeyLock, TryLock};
use crate::plan::{DeviceNeed, InstanceId, State};
use crate::run::RunError;
use crate::run::control::Control;
use crate::run::event::Event;
use crate::run::job::{Job, JobInput, JobResult, perform};
use crate::run::slots::Held;
use dpx_schema::files::safe_name;
use dpx_schema::{Device, device_list};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

impl Runner<'_> {
    /// Whether nothing new may start.
    pub(super) fn is_ending(&self) -> bool {
        self.interrupts > 0 || (!self.options.keep_going && !self.failures.is_empty())
    }

    /// Starts what is ready, from the front of the plan, so that one row of the sweep is finished early.
    pub(super) fn start_ready(&mut self) -> Result<(), RunError> {
        if self.is_ending() {
            return Ok(());
        }
        let mut behind = None;
        // Devices are kept for a training that needs all of them: nothing behind it in the plan takes one meanwhile.
        let mut kept = false;
        while self.slots.fits(DeviceNeed::None)
            && let Some(id) = {
                let free = !kept && self.slots.fits(DeviceNeed::One);
                self.ready.next(behind, free)
            }
        {
            behind = Some(id);
            let Some(key) = self.decisions.list()[id].key else {
                continue;
            };
            if self.running_keys.contains(&key) {
                // Two instances of one key are one piece of work: the second is cached when the first is done.
                self.ready.set(id, false, true);
                continue;
            }
            let need = self.need(id);
            if !self.slots.fits(need) {
                kept = true;
                continue;
            }
            match self.cache.try_lock(&key, &self.plan.instances[id].name)? {
                TryLock::Taken(lock) => {
                    self.waiting.remove(&id);
                    if let Some(held) = self.slots.take(need) {
                        self.start(id, lock, held);
                    }
                }
                TryLock::Held(owner) => {
                    if self.waiting.insert(id) {
                        let instance = self.name(id);
                        self.tell(&Event::Waiting {
                            instance,
                            key,
                            owner,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    fn need(&self, id: InstanceId) -> DeviceNeed {
        self.plan.instances[id].device_need(self.options.divided)
    }

    fn start(&mut self, id: InstanceId, lock: KeyLock, held: Held) {
        let instance = self.plan.instances[id].clone();
        let decision = &self.decisions.list()[id];
        let key = lock.key();
        let need = self.need(id);
        let devices = self.slots.devices(held);
        let device = match self.executor.device(need) {
            Some(named) => named,
            None if devices.is_empty() => Device::default().to_string(),
            None => device_list(&devices),
        };
        let inputs = instance.needs.iter().filter_map(|need| {
            let made = &self.plan.instances[need.instance];
            match &self.decisions.list()[need.instance].state {
                State::Cached { record, .. } => Some((
                    need.stage.clone(),
                    JobInput {
                        kind: made.kind,
                        flow: made.flow,
                        record: Arc::clone(record),
                    },
                )),
                State::Run { .. } | State::OnlyIf { .. } => None,
            }
        });
        let control = Arc::new(Control::default());
        let job = Job {
            experiment: self.plan.experiment.clone(),
            lock,
            digests: decision.inputs.clone(),
            inputs: inputs.collect(),
            device: device.clone(),
            threads: self.threads(id, need),
            forced: self.decisions.is_forced(id),
            log: self.log(id),
            secrets: self.options.secrets.clone(),
            identity: self.identity.clone(),
            ledger: self.options.ledger.clone(),
            executor: Arc::clone(&self.executor),
            remote: self.options.remote.clone(),
            control: Arc::clone(&control),
            instance,
        };
        let reasons = match &decision.state {
            State::Run { reasons } => reasons.clone(),
            State::Cached { .. } | State::OnlyIf { .. } => Vec::new(),
        };
        let event = Event::Started {
            instance: self.name(id),
            key,
            reasons,
            device: (need != DeviceNeed::None).then_some(device),
            log: job.log.clone(),
        };
        let running = Running {
            control,
            held,
            key,
            forced: job.forced,
            heard: Instant::now(),
        };
        self.running.insert(id, running);
        self.running_keys.insert(key);
        self.refresh(id);
        self.tell(&event);
        let (sender, cache) = (self.sender.clone(), self.cache.clone());
        std::thread::spawn(move || {
            let said = sender.clone();
            let each = move |told| drop(said.send(News::Said(id, told)));
            let result = catch_unwind(AssertUnwindSafe(|| perform(&cache, &job, each)))
                .unwrap_or_else(|_| JobResult::Failed {
                    reason: "the runner's thread panicked: this is a bug in dpx".to_owned(),
                    last_lines: Vec::new(),
                });
            // The lock goes before the news, so that whoever hears it can take the lock.
            drop(job);
            drop(sender.send(News::Ended(id, result)));
        });
    }

    /// Threads for a worker: those on a device share the processor among all slots that can be taken meanwhile, others take
    /// their part of the jobs. A training that is divided has the threads of all devices.
    fn threads(&self, id: InstanceId, need: DeviceNeed) -> usize {
        let slots = match need {
            DeviceNeed::None => 0,
            DeviceNeed::One => self.options.devices.len() * self.options.device_slots,
            DeviceNeed::All => self.options.device_slots,
        };
        let sharers = if need == DeviceNeed::None {
            self.jobs
        } else {
            let most = slots.min(self.jobs);
            let beside = || self.ready.beside(id, |id| self.decisions.users(id));
            if most > 1 {
                most.min(1 + beside())
            } else {
                most
            }
        };
        (cores() / sharers.max(1)).max(1)
    }

    pub(super) fn log(&self, id: InstanceId) -> PathBuf {
        let name = &self.plan.instances[id].name;
        let name: String = safe_name(name).chars().take(150).collect();
        // Two names may look alike after this; the position in the plan tells them apart.
        self.journal.folder().join(format!("{id:03}-{name}.log"))
    }
}
