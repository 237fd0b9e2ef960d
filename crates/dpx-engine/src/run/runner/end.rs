//! What follows when a worker says something, ends, or the whole run does.

use super::select::shell_word;
use super::{InstanceResult, RunReport, Runner};
use crate::plan::{InstanceId, State};
use crate::run::RunError;
use crate::run::event::{Event, Finish, Outcome};
use crate::run::executor::Told;
use crate::run::follow::Order;
use crate::run::job::JobResult;
use dpx_schema::protocol::Message;
use dpx_schema::{InstanceName, Key, Record};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A worker that was asked to stop and says nothing for this long is killed.
const PATIENCE: Duration = Duration::from_mins(1);

/// An input may turn out damaged this often for one instance before the run gives up on it.
const REBUILDS: u32 = 3;

impl Runner<'_> {
    pub(super) fn told(&mut self, id: InstanceId, told: Told) {
        let instance = self.name(id);
        let message = match told {
            Told::Said(message) => message,
            Told::Placed(place) => {
                self.tell(&Event::Placed { instance, place });
                return;
            }
        };
        if let Some(running) = self.running.get_mut(&id) {
            running.heard = Instant::now();
        }
        match message {
            Message::Progress(update) => self.tell(&Event::Progress { instance, update }),
            Message::Log { line } => self.tell(&Event::Log { instance, line }),
            // The end of the job tells this again, with everything that belongs to it.
            Message::Failed { .. } => {}
        }
    }

    pub(super) fn ended(&mut self, id: InstanceId, result: JobResult) -> Result<(), RunError> {
        let Some(running) = self.running.remove(&id) else {
            return Ok(());
        };
        self.running_keys.remove(&running.key);
        self.slots.give_back(running.held);
        let instance = self.name(id);
        match result {
            JobResult::Done(record, how) => {
                let record: Arc<Record> = Arc::from(record);
                self.view.insert(&record);
                let event = Event::Finished {
                    instance,
                    key: running.key,
                    how,
                    output: record.output.digest(),
                    seconds: record.wall_seconds,
                };
                self.finished.insert(id, (record, how));
                self.tell(&event);
                let _shared = self.cache.share()?;
                let mut changed = if running.forced {
                    self.decisions.unforce(id, &self.view)
                } else {
                    Vec::new()
                };
                changed.extend(self.decisions.record_changed(&running.key, &self.view));
                self.decided_again(&changed);
            }
            JobResult::InputDamaged { stage, what } => self.rebuild(id, &stage, what)?,
            JobResult::Failed { reason, last_lines } => {
                self.fail(id, running.key, reason, last_lines);
            }
            JobResult::Stopped if self.interrupts == 0 => {
                let reason = "the worker stopped at a checkpoint although nobody asked it to";
                self.fail(id, running.key, reason.to_owned(), Vec::new());
            }
            JobResult::Stopped => self.tell(&Event::Stopped { instance }),
        }
        // Whatever shares the key stood back while this one ran.
        let of_key: Vec<InstanceId> = self.decisions.of_key(&running.key).chain([id]).collect();
        for id in of_key {
            self.refresh(id);
        }
        Ok(())
    }

    fn fail(&mut self, id: InstanceId, key: Key, reason: String, last_lines: Vec<String>) {
        let instance = self.name(id);
        let event = Event::Failed {
            command: format!("{} --only {}", self.options.command, shell_word(&instance)),
            instance,
            key,
            reason,
            log: self.log(id),
            last_lines,
        };
        self.tell(&event);
        self.failures.insert(id, event);
    }

    /// An object was set aside: the instance that made it is no longer cached and runs again.
    fn rebuild(&mut self, id: InstanceId, stage: &str, what: String) -> Result<(), RunError> {
        let times = self.rebuilds.entry(id).or_default();
        *times += 1;
        let needs = &self.plan.instances[id].needs;
        let Some(need) = needs.iter().find(|need| need.stage == stage) else {
            return Ok(());
        };
        let maker = need.instance;
        if *times > REBUILDS {
            let reason = format!("its input `{stage}` is damaged again and again: {what}");
            if let Some(key) = self.decisions.list()[id].key {
                self.fail(id, key, reason, Vec::new());
            }
            return Ok(());
        }
        self.finished.remove(&maker);
        let instance = self.name(maker);
        self.tell(&Event::Damaged { instance, what });
        if let Some(key) = self.decisions.list()[maker].key {
            self.view.forget(&key);
            let _shared = self.cache.share()?;
            let changed = self.decisions.record_changed(&key, &self.view);
            self.decided_again(&changed);
        }
        Ok(())
    }

    /// Kills workers that say nothing and do not end for a long while after they were asked to stop, such as one that waits
    /// for input that never comes: whoever sends a request to terminate may do so once.
    pub(super) fn kill_the_deaf(&mut self) {
        let Some(asked) = self.asked_to_stop else {
            return;
        };
        for running in self.running.values_mut() {
            if running.heard.max(asked).elapsed() > PATIENCE {
                running.control.kill();
                running.heard = Instant::now();
            }
        }
    }

    pub(super) fn interrupt(&mut self) {
        self.interrupts += 1;
        self.asked_to_stop.get_or_insert_with(Instant::now);
        let count = self.interrupts;
        self.tell(&Event::Interrupted { count });
        for running in self.running.values() {
            if count == 1 {
                running.control.stop();
            } else {
                running.control.kill();
            }
        }
    }

    /// Does what `dpx cancel` left in a file.
    pub(super) fn heed_order(&mut self) {
        let wanted = match Order::read(self.journal.folder()) {
            None => 0,
            Some(Order::Stop) => 1,
            Some(Order::Kill) => 2,
        };
        while self.interrupts < wanted {
            self.interrupt();
        }
    }

    pub(super) fn report(mut self, seconds: f64) -> RunReport {
        let results: Vec<InstanceResult> = self
            .decisions
            .list()
            .iter()
            .map(|decision| {
                let id = decision.instance;
                if let Some(Event::Failed { reason, .. }) = self.failures.get(&id) {
                    return InstanceResult::Failed(reason.clone());
                }
                match (self.finished.get(&id), &decision.state) {
                    (Some((record, how)), _) => InstanceResult::Finished(Arc::clone(record), *how),
                    (None, State::Cached { record, .. }) => {
                        InstanceResult::Cached(Arc::clone(record))
                    }
                    _ if self.selected.contains(&id) => InstanceResult::NotRun,
                    _ => InstanceResult::NotAsked,
                }
            })
            .collect();
        let named = |wanted: fn(&InstanceResult) -> bool| -> Vec<InstanceName> {
            let ids = (0..results.len()).filter(|&id| wanted(&results[id]));
            ids.map(|id| self.name(id)).collect()
        };
        let failed = named(|result| matches!(result, InstanceResult::Failed(_)));
        let not_run = named(|result| matches!(result, InstanceResult::NotRun));
        let ran = named(|result| matches!(result, InstanceResult::Finished(_, Finish::Ran))).len();
        let asked = results
            .iter()
            .filter(|result| !matches!(result, InstanceResult::NotAsked));
        let cached = asked.count() - ran - failed.len() - not_run.len();
        let outcome = if self.interrupts > 0 && !not_run.is_empty() {
            Outcome::Interrupted
        } else if failed.is_empty() {
            Outcome::Done
        } else {
            Outcome::Failed
        };
        self.tell(&Event::RunFinished {
            outcome,
            ran,
            cached,
            failed,
            not_run,
            seconds,
        });
        RunReport {
            run: self.journal.id().to_owned(),
            outcome,
            instances: results,
            failures: self.failures.into_values().collect(),
            seconds,
        }
    }
}
