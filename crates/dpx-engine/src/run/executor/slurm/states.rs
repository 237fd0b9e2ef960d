//! What Slurm's queue says of jobs.

use crate::run::executor::keeper::{JobEnd, JobState};
use std::collections::HashMap;

/// Number of the array, index, state, name, reason.
pub(super) const FORMAT: &str = "%F|%K|%T|%j|%r";

/// What Slurm's commands say where the controller did not answer: whether it did what it was asked is not known.
pub(super) const NOT_ANSWERED: [&str; 11] = [
    "Unable to contact slurm controller",
    "Socket timed out",
    "Communication connection failure",
    "Connection refused",
    "Zero Bytes were transmitted",
    "Transport endpoint",
    "connect failure",
    "Message receive failure",
    "Header lengths are longer",
    "Protocol authentication error",
    "Could not establish a configuration source",
];

/// Where the elements of arrays are, by name and index.
pub(super) fn from_queue(lines: &str) -> HashMap<(String, usize), JobState> {
    let mut states: HashMap<(String, usize), JobState> = HashMap::new();
    for (_, index, state, name, reason) in lines.lines().filter_map(fields) {
        let Ok(index) = index.parse() else { continue };
        let state = state_of(state, reason);
        let place = states
            .entry((name.to_owned(), index))
            .or_insert_with(|| state.clone());
        // A submission that was repeated although it had been taken: who lives counts.
        if matches!(state, JobState::Live(_)) {
            *place = state;
        }
    }
    states
}

/// The number of the job of a name.
pub(super) fn job_of(lines: &str, name: &str) -> Option<String> {
    let found = lines
        .lines()
        .filter_map(fields)
        .find(|(_, _, _, found, _)| *found == name);
    found.map(|(job, ..)| job.to_owned())
}

fn fields(line: &str) -> Option<(&str, &str, &str, &str, &str)> {
    let mut parts = line.trim().splitn(5, '|');
    Some((
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
    ))
}

fn state_of(state: &str, reason: &str) -> JobState {
    let end = match state {
        "COMPLETED" => JobEnd::Completed,
        "TIMEOUT" => JobEnd::TimeLimit,
        "OUT_OF_MEMORY" => JobEnd::OutOfMemory,
        "PREEMPTED" => JobEnd::Preempted,
        "NODE_FAIL" | "BOOT_FAIL" => JobEnd::NodeFailed,
        "CANCELLED" | "REVOKED" => JobEnd::Cancelled,
        "FAILED" | "DEADLINE" => {
            let why = match reason {
                "" | "None" => String::new(),
                reason => format!(" ({reason})"),
            };
            JobEnd::Failed(format!("the job ended in the state {state}{why}"))
        }
        // PENDING, RUNNING, COMPLETING, REQUEUED and whatever else Slurm has: not over.
        live => {
            let live = match reason {
                "" | "None" => live.to_owned(),
                reason => format!("{live} ({reason})"),
            };
            return JobState::Live(live);
        }
    };
    JobState::Ended(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "12|0|RUNNING|dpx-a-1|None\n12|1|PENDING|dpx-a-1|Resources\n13|0|TIMEOUT|dpx-a-2|TimeLimit\n\
        13|1|PREEMPTED|dpx-a-2|None\n13|2|COMPLETING|dpx-a-2|None\n13|3|FAILED|dpx-a-2|NonZeroExitCode\n\
        13|4|REQUEUED|dpx-a-2|None\nnonsense\n14|N/A|RUNNING|dpx-a-3|None\n";

    #[test]
    fn the_queue_is_read_as_it_is_meant() {
        let states = from_queue(LINES);
        let at = |name: &str, index| states.get(&(name.to_owned(), index)).cloned();
        assert_eq!(at("dpx-a-1", 0), Some(JobState::Live("RUNNING".into())));
        assert_eq!(
            at("dpx-a-1", 1),
            Some(JobState::Live("PENDING (Resources)".into()))
        );
        assert_eq!(at("dpx-a-2", 0), Some(JobState::Ended(JobEnd::TimeLimit)));
        assert_eq!(at("dpx-a-2", 1), Some(JobState::Ended(JobEnd::Preempted)));
        for index in [2, 4] {
            assert!(
                matches!(at("dpx-a-2", index), Some(JobState::Live(_))),
                "{index}"
            );
        }
        let Some(JobState::Ended(JobEnd::Failed(told))) = at("dpx-a-2", 3) else {
            panic!("a failure is an end");
        };
        assert_eq!(told, "the job ended in the state FAILED (NonZeroExitCode)");
        assert_eq!(at("dpx-a-2", 5), None);
        assert_eq!(job_of(LINES, "dpx-a-2").as_deref(), Some("13"));
        assert_eq!(job_of(LINES, "dpx-a"), None);
    }

    #[test]
    fn of_two_submissions_of_one_name_the_living_counts() {
        let lines = "1|0|RUNNING|n|None\n2|0|COMPLETED|n|None\n";
        let states = from_queue(lines);
        assert_eq!(
            states[&("n".to_owned(), 0)],
            JobState::Live("RUNNING".into())
        );
    }
}
