//! Following a run from another process: what its journal says, line by line, and orders that are left for it in files.

use crate::cache::RunFile;
use crate::clock::duration;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Where an order to a run is left.
pub(super) fn order(folder: &Path) -> PathBuf {
    folder.join("cancel")
}

/// What is ordered to end a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Workers stop at their next checkpoint.
    Stop,
    /// Kill the workers now.
    Kill,
}

impl Order {
    /// Leaves the order for the runner, wherever that is; it looks every second.
    ///
    /// # Errors
    /// When nothing can be written to the run's folder.
    pub fn leave(self, run: &RunFile) -> std::io::Result<()> {
        let word = match self {
            Self::Stop => "stop",
            Self::Kill => "kill",
        };
        dpx_schema::files::write_swapped(&order(&run.folder), word.as_bytes())
    }

    pub(super) fn read(folder: &Path) -> Option<Self> {
        match std::fs::read_to_string(order(folder)).ok()?.trim() {
            "kill" => Some(Self::Kill),
            _ => Some(Self::Stop),
        }
    }
}

/// Reads the lines of a journal as they come.
#[derive(Debug)]
pub struct Follow {
    run: RunFile,
    read: usize,
}

impl Follow {
    /// Follows a run from its first line.
    pub const fn new(run: RunFile) -> Self {
        Self { run, read: 0 }
    }

    /// The lines that came since the last call.
    pub fn lines(&mut self) -> Vec<Value> {
        let mut lines = self.run.lines();
        let new = lines.split_off(self.read.min(lines.len()));
        self.read += new.len();
        new
    }
}

/// How a run ended, if this line of its journal tells: `done`, `failed` or `interrupted`.
pub fn outcome(line: &Value) -> Option<&str> {
    (line["event"] == "run-finished").then(|| line["outcome"].as_str())?
}

/// A line of a journal for people; none where it says nothing to them.
pub fn line_for_people(line: &Value) -> Option<String> {
    let text = |name: &str| line[name].as_str().unwrap_or_default();
    let instance = text("instance");
    let seconds = || duration(line["seconds"].as_f64().unwrap_or_default());
    let told = match text("event") {
        "run-started" => {
            let instances = line["instances"].as_array().map_or(0, Vec::len);
            format!(
                "{}: {instances} instances, run {}",
                text("experiment"),
                text("run")
            )
        }
        "unchanged" => format!("{instance}: cached, its inputs did not change"),
        "waiting" => format!("{instance}: waiting for another process"),
        "started" => format!("{instance}: started"),
        "placed" => format!("{instance}: {}", text("place")),
        "damaged" => format!("{instance}: runs again: {}", text("what")),
        "finished" => format!("{instance}: done in {}", seconds()),
        "failed" => format!(
            "{instance}: failed: {}\n  again: {}",
            text("reason"),
            text("command")
        ),
        "stopped" => format!("{instance}: stopped"),
        "interrupted" => "stopping at the next checkpoint".to_owned(),
        "run-finished" => format!(
            "{} in {}: {} ran, {} cached",
            text("outcome"),
            seconds(),
            line["ran"],
            line["cached"]
        ),
        _ => return None,
    };
    Some(dpx_schema::printable_lines(&told))
}

/// Takes this process out of the session of its terminal, so that it outlives it.
pub fn leave_terminal() {
    #[cfg(unix)]
    rustix::process::setsid().ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_of_a_journal_read_well() {
        let told = |line: Value| line_for_people(&line).unwrap();
        assert_eq!(
            told(json!({ "event": "placed", "instance": "train", "place": "runs on node1" })),
            "train: runs on node1"
        );
        let end = json!({ "event": "run-finished", "outcome": "failed", "seconds": 2.0, "ran": 1, "cached": 3 });
        assert_eq!(outcome(&end), Some("failed"));
        assert_eq!(told(end), "failed in 2.0s: 1 ran, 3 cached");
        assert_eq!(
            line_for_people(&json!({ "event": "of another version" })),
            None
        );
    }
}
