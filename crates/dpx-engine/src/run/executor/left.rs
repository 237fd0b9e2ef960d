//! What a runner that is gone left to workers that others start: where each of them is, as the files tell.

use crate::cache::TaskFolder;
use crate::run::contract::{AttemptEnd, Submission, TaskPlan, read};
use dpx_schema::InstanceName;
use std::collections::HashMap;
use std::path::Path;

/// Where a worker without a runner is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::run) struct Left {
    /// `running`, `stopped` or `failed`.
    pub(in crate::run) state: &'static str,
    pub(in crate::run) note: String,
}

/// The workers that a run submitted, by instance.
pub(in crate::run) fn left_behind(run_folder: &Path) -> HashMap<InstanceName, Left> {
    let entries = std::fs::read_dir(run_folder.join("plans"));
    let plans = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .filter_map(|path| TaskPlan::read(&path).ok());
    let mut found = HashMap::new();
    for plan in plans {
        for task in plan.tasks {
            let folder = TaskFolder::at(task.folder);
            // Of several submissions of a task the last one counts.
            let ours = read::<Submission>(&folder.submission())
                .is_some_and(|submission| submission.name == plan.name);
            if ours {
                found.insert(task.instance, of(&folder));
            }
        }
    }
    found
}

fn of(task: &TaskFolder) -> Left {
    let latest = task.latest();
    let end = latest.as_ref().and_then(|latest| read(&latest.end()));
    let told = task.withdrawn().exists() || task.stop().exists();
    let (state, note) = match end {
        Some(AttemptEnd::Closed) => (
            "stopped",
            "its worker finished: the next `dpx run` takes the result".to_owned(),
        ),
        Some(AttemptEnd::Failed { reason }) => ("failed", reason),
        Some(AttemptEnd::Died { reason }) => ("stopped", reason),
        Some(AttemptEnd::Stopped) => ("stopped", "at a checkpoint".to_owned()),
        None if latest.is_none() && told => ("stopped", "taken back".to_owned()),
        None if told => (
            "running",
            "its worker is told to stop at its next checkpoint".to_owned(),
        ),
        None if latest.is_some() => (
            "running",
            "its worker goes on without the runner: `dpx run` takes it over, `dpx cancel` ends it"
                .to_owned(),
        ),
        None => ("running", "no worker came yet".to_owned()),
    };
    Left { state, note }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::contract::{CONTRACT, TaskEntry, write};
    use dpx_schema::Digest;

    #[test]
    fn files_tell_what_became_of_a_worker_without_a_runner() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("task");
        std::fs::create_dir_all(place.path().join("plans")).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        let task = TaskFolder::at(folder.clone());
        let plan = TaskPlan {
            version: CONTRACT,
            run: "run".into(),
            name: "dpx-run-1".into(),
            dpx_version: "0".into(),
            program: Digest::of(b"program"),
            folder: place.path().to_owned(),
            heartbeat_seconds: 1.0,
            stale_seconds: 6.0,
            cancel: None,
            tasks: vec![TaskEntry {
                instance: "train".into(),
                key: Digest::of(b"key"),
                folder,
                request: Digest::of(b"request"),
                log: place.path().join("log"),
            }],
        };
        plan.write(&place.path().join("plans/dpx-run-1.json"))
            .unwrap();
        let submission = Submission {
            version: CONTRACT,
            executor: "command".into(),
            name: plan.name,
            job: None,
            index: 0,
            losses: 0,
        };
        write(&task.submission(), &submission).unwrap();
        let state = || left_behind(place.path())[&InstanceName::from("train")].clone();
        assert_eq!(state().state, "running");
        let attempt = task.take().unwrap();
        assert!(state().note.contains("without the runner"), "{:?}", state());
        std::fs::write(task.withdrawn(), "").unwrap();
        assert!(state().note.contains("told to stop"), "{:?}", state());
        write(&attempt.end(), &AttemptEnd::Stopped).unwrap();
        assert_eq!(state().state, "stopped");
    }
}
