//! The live progress of a run: how far each running instance is, for `dpx status` in another terminal.

use super::{Event, Observer};
use dpx_schema::InstanceName;
use dpx_schema::files::write_swapped;
use dpx_schema::progress::ProgressUpdate;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The file is rewritten at most this often.
const BETWEEN_WRITES: Duration = Duration::from_millis(500);

/// Keeps `live.json` in the run's folder.
#[derive(Debug)]
pub(crate) struct Live {
    path: PathBuf,
    updates: BTreeMap<InstanceName, ProgressUpdate>,
    dirty: bool,
    last: Option<Instant>,
}

impl Live {
    /// Keeps the live progress of the run whose folder this is.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            path: folder.join("live.json"),
            updates: BTreeMap::new(),
            dirty: false,
            last: None,
        }
    }

    /// The live progress in a run's folder, by instance.
    pub(crate) fn read(folder: &Path) -> BTreeMap<InstanceName, ProgressUpdate> {
        fs::read(folder.join("live.json"))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    fn write(&mut self) {
        if !self.dirty
            || self
                .last
                .is_some_and(|last| last.elapsed() < BETWEEN_WRITES)
        {
            return;
        }
        // For the eye: a failure to write them is passed over, and they need not survive a power cut.
        if let Ok(bytes) = serde_json::to_vec(&self.updates) {
            drop(write_swapped(&self.path, &bytes));
        }
        self.dirty = false;
        self.last = Some(Instant::now());
    }
}

impl Observer for Live {
    fn observe(&mut self, event: &Event) {
        match event {
            Event::Progress { instance, update } => {
                self.updates.insert(instance.clone(), update.clone());
                self.dirty = true;
            }
            Event::Finished { instance, .. }
            | Event::Failed { instance, .. }
            | Event::Stopped { instance } => {
                self.dirty |= self.updates.remove(instance).is_some();
            }
            Event::RunFinished { .. } => {
                drop(fs::remove_file(&self.path));
                self.dirty = false;
            }
            _ => {}
        }
        self.write();
    }

    fn tick(&mut self) {
        self.write();
    }
}
