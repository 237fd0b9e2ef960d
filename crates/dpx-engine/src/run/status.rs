//! What a run is at, from its journal and its live figures: for `dpx status` in another terminal.

use super::executor::left_behind;
use super::live::Live;
use crate::cache::RunFile;
use dpx_schema::InstanceName;
use dpx_schema::progress::ProgressUpdate;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;

/// State of a run whose runner ended without a word.
const DIED: &str = "died";

/// What a run is at, as its journal tells: a field that the journal does not have is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct RunStatus {
    /// Name of the run, which sorts by its start.
    pub run: String,
    pub experiment: String,
    /// `running`, `done`, `failed`, `interrupted`, or `died` where the runner ended without a word.
    pub state: String,
    /// Process id of the runner on `host`.
    pub pid: Option<u64>,
    pub host: Option<String>,
    /// Workers at once, at most.
    pub jobs: Option<u64>,
    /// When it began, RFC 3339.
    pub started: Option<String>,
    /// Its instances in the plan's order.
    pub instances: Vec<InstanceStatus>,
}

/// What an instance of a run is at.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct InstanceStatus {
    pub instance: InstanceName,
    /// `cached`, `run` (not begun), `only-if`, `not-asked`, `waiting`, `running`, `done`, `failed` or `stopped`.
    pub state: String,
    /// Since when it is in this state, RFC 3339.
    pub since: Option<String>,
    /// Seconds that its worker took, once it is done; before, what it took the last time.
    pub seconds: Option<f64>,
    /// How far it is, while it runs.
    pub live: Option<ProgressUpdate>,
    /// Why it failed, or for whom it waits.
    pub note: Option<String>,
}

impl RunStatus {
    /// Reads what a run is at; `None` where its journal does not even tell its start.
    pub fn read(file: &RunFile) -> Option<Self> {
        let lines = file.lines();
        let start = lines
            .iter()
            .find(|line| text(line, "event") == Some("run-started"))?;
        let planned = start.get("instances")?.as_array()?;
        let mut status = Self {
            run: file.id.clone(),
            experiment: text(start, "experiment").unwrap_or_default().to_owned(),
            state: if file.live { "running" } else { DIED }.to_owned(),
            pid: start.get("pid").and_then(Value::as_u64),
            host: text(start, "host").map(str::to_owned),
            jobs: start.get("jobs").and_then(Value::as_u64),
            started: text(start, "time").map(str::to_owned),
            instances: planned.iter().filter_map(InstanceStatus::planned).collect(),
        };
        let places: HashMap<InstanceName, usize> = status
            .instances
            .iter()
            .enumerate()
            .map(|(place, one)| (one.instance.clone(), place))
            .collect();
        for line in &lines {
            status.follow(line, &places);
        }
        if file.live {
            let mut live = Live::read(&file.folder);
            for instance in &mut status.instances {
                if instance.state == "running" {
                    instance.live = live.remove(&instance.instance);
                }
            }
        }
        if status.state == DIED {
            status.settle(&file.folder);
        }
        Some(status)
    }

    /// What became of the instances that ran when their runner died.
    fn settle(&mut self, folder: &std::path::Path) {
        let mut left = left_behind(folder);
        for instance in &mut self.instances {
            match instance.state.as_str() {
                "running" => {
                    let (state, note) = left
                        .remove(&instance.instance)
                        .map_or(("stopped", "with its runner".to_owned()), |found| {
                            (found.state, found.note)
                        });
                    state.clone_into(&mut instance.state);
                    instance.note = Some(note);
                }
                "waiting" => {
                    "run".clone_into(&mut instance.state);
                    instance.note = None;
                }
                _ => {}
            }
        }
    }

    fn follow(&mut self, line: &Value, places: &HashMap<InstanceName, usize>) {
        let event = text(line, "event").unwrap_or_default();
        if event == "run-finished" {
            text(line, "outcome")
                .unwrap_or("done")
                .clone_into(&mut self.state);
        }
        let name = text(line, "instance").unwrap_or_default();
        let Some(&place) = places.get(name) else {
            return;
        };
        let instance = &mut self.instances[place];
        if event == "placed" {
            instance.note = text(line, "place").map(str::to_owned);
            return;
        }
        let state = match event {
            "started" => "running",
            "waiting" => "waiting",
            "unchanged" => "cached",
            "finished" => "done",
            "failed" => "failed",
            "stopped" => "stopped",
            "damaged" => "run",
            _ => return,
        };
        state.clone_into(&mut instance.state);
        instance.since = text(line, "time").map(str::to_owned);
        if let Some(seconds) = line.get("seconds").and_then(Value::as_f64) {
            instance.seconds = Some(seconds);
        }
        instance.note = text(line, "reason").map(str::to_owned).or_else(|| {
            let owner = line.get("owner")?;
            let (pid, host) = (owner.get("pid")?.as_u64()?, text(owner, "host")?);
            Some(format!("for process {pid} on {host}"))
        });
    }
}

impl InstanceStatus {
    fn planned(value: &Value) -> Option<Self> {
        Some(Self {
            instance: text(value, "instance")?.into(),
            state: text(value, "state")?.to_owned(),
            since: None,
            seconds: value.get("estimate").and_then(Value::as_f64),
            live: None,
            note: None,
        })
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}
