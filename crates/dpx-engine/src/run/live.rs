//! The live figures of a run: how far each running instance is, for `dpx status` in another terminal.

use super::{Event, Observer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The file is rewritten at most this often.
const BETWEEN_WRITES: Duration = Duration::from_millis(500);

/// How far an instance is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveFigures {
    /// Units done.
    pub done: u64,
    /// Units in all; 0 when unknown.
    pub total: u64,
    /// A short note.
    pub note: String,
}

/// Keeps `live.json` in the run's folder.
#[derive(Debug)]
pub struct Live {
    path: PathBuf,
    figures: BTreeMap<String, LiveFigures>,
    dirty: bool,
    last: Option<Instant>,
}

impl Live {
    /// Keeps the live figures of the run whose folder this is.
    pub fn new(folder: &Path) -> Self {
        Self {
            path: folder.join("live.json"),
            figures: BTreeMap::new(),
            dirty: false,
            last: None,
        }
    }

    /// The live figures in a run's folder, by instance.
    pub fn read(folder: &Path) -> BTreeMap<String, LiveFigures> {
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
        // Figures for the eye: a failure to write them is passed over, and they need not survive a power cut.
        let new = self.path.with_extension("new");
        if let Ok(bytes) = serde_json::to_vec(&self.figures) {
            drop(fs::write(&new, bytes).and_then(|()| fs::rename(&new, &self.path)));
        }
        self.dirty = false;
        self.last = Some(Instant::now());
    }
}

impl Observer for Live {
    fn observe(&mut self, event: &Event) {
        match event {
            Event::Progress {
                instance,
                done,
                total,
                note,
            } => {
                let figures = LiveFigures {
                    done: *done,
                    total: *total,
                    note: note.clone(),
                };
                self.figures.insert(instance.clone(), figures);
                self.dirty = true;
            }
            Event::Finished { instance, .. }
            | Event::Failed { instance, .. }
            | Event::Stopped { instance } => {
                self.dirty |= self.figures.remove(instance).is_some();
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
