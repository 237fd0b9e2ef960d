//! What to do about a worker that ended without a result: start another, or give up and say why.

use super::keeper::JobEnd;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Loss {
    /// It stopped at a checkpoint, as it was told by its machine: its time runs out, or others need the place.
    Stopped,
    Ended(JobEnd),
    /// Neither files nor queue tell of it any more; since when, in words.
    Vanished(String),
    /// None came, and no queue can be asked; for how long, and what is known of it, in words.
    NeverCame(String),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Start another worker, which goes on from the last checkpoint. How often workers were lost in a row without having got
    /// anywhere, and what people are told.
    Again(u32, String),
    /// Give up.
    Fail(String),
}

/// Workers that are lost for reasons of the cluster, in a row, before the run gives up on them.
const PATIENCE: u32 = 20;

/// Decides. `progressed`: the worker got further than all before it. `losses`: how many before it did not, in a row.
/// `asked`: what the job was given, for messages: time and memory.
pub(super) fn decide(
    loss: &Loss,
    kind: &str,
    progressed: bool,
    losses: u32,
    retries: u32,
    asked: &Asked,
) -> Verdict {
    let losses = if progressed { 0 } else { losses + 1 };
    let key = |name: &str| format!("`{name}` in `[run.executor.resources.{kind}]`");
    let again = |most: u32, told: String, over: String| {
        if losses > most {
            Verdict::Fail(over)
        } else {
            Verdict::Again(losses, told)
        }
    };
    match loss {
        Loss::Stopped => again(
            1,
            "stopped at a checkpoint because its time ran out or others need its place; submitted again".to_owned(),
            format!(
                "its time limit{} leaves no time to get from one checkpoint to the next: raise {}",
                asked.time(),
                key("time")
            ),
        ),
        Loss::Ended(JobEnd::TimeLimit) => again(
            1,
            format!("reached its time limit{}; submitted again, from its last checkpoint", asked.time()),
            format!(
                "the job reached its time limit{} again without having got further: raise {}, or `warning_seconds` in \
                 `[run.executor]` where one step takes longer than that",
                asked.time(),
                key("time")
            ),
        ),
        Loss::Ended(JobEnd::OutOfMemory) => Verdict::Fail(format!(
            "the job was killed because its memory{} ran out: raise {}, or lower `micro_batch_size` or `micro_batch_tokens` of the \
             stage",
            asked.memory(),
            key("memory")
        )),
        Loss::Ended(JobEnd::Preempted) => again(
            PATIENCE,
            "preempted; submitted again, from its last checkpoint".to_owned(),
            format!("preempted {PATIENCE} times without having got further: use another {}", key("partition")),
        ),
        Loss::Ended(JobEnd::NodeFailed) => again(
            PATIENCE,
            "its node failed; submitted again, from its last checkpoint".to_owned(),
            format!("{PATIENCE} nodes failed under it"),
        ),
        Loss::Ended(JobEnd::Cancelled) => {
            Verdict::Fail("the job was canceled in the queue; the same command runs it again".to_owned())
        }
        Loss::Ended(JobEnd::Completed) => {
            let what = "its job ended without a result";
            again(retries, format!("{what}; submitted again"), what.to_owned())
        }
        Loss::NeverCame(what) => again(
            retries,
            format!("{what}; submitted again"),
            format!(
                "{what}: call by hand what `submit` in `[run.executor]` calls, or raise `stale_seconds` there where its queue is \
                 longer than that"
            ),
        ),
        Loss::Ended(JobEnd::Failed(what)) | Loss::Vanished(what) => again(
            retries,
            format!("{what}; submitted again, from its last checkpoint"),
            if retries == 0 {
                what.clone()
            } else {
                format!("{what}, and so did {retries} more that were started after it")
            },
        ),
    }
}

/// What a job was given, for messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) time: Option<String>,
    pub(super) memory: Option<String>,
}

impl Asked {
    fn time(&self) -> String {
        of(self.time.as_ref())
    }

    fn memory(&self) -> String {
        of(self.memory.as_ref())
    }
}

fn of(value: Option<&String>) -> String {
    value.map_or_else(String::new, |value| format!(" ({value})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(loss: &Loss, progressed: bool, losses: u32) -> Verdict {
        let asked = Asked {
            time: Some("10:00".into()),
            memory: Some("16G".into()),
        };
        decide(loss, "train", progressed, losses, 2, &asked)
    }

    #[test]
    fn who_gets_further_goes_on_and_who_does_not_is_told_which_key_to_change() {
        for loss in [Loss::Stopped, Loss::Ended(JobEnd::TimeLimit)] {
            assert!(matches!(verdict(&loss, true, 1), Verdict::Again(0, _)));
            assert!(matches!(verdict(&loss, false, 0), Verdict::Again(1, _)));
            let Verdict::Fail(told) = verdict(&loss, false, 1) else {
                panic!("it goes on for ever");
            };
            assert!(told.contains("(10:00)"), "{told}");
            assert!(
                told.contains("`time` in `[run.executor.resources.train]`"),
                "{told}"
            );
        }
        let Verdict::Fail(told) = verdict(&Loss::Ended(JobEnd::OutOfMemory), true, 0) else {
            panic!("memory does not grow by itself");
        };
        assert!(
            told.contains("(16G)") && told.contains("`memory` in"),
            "{told}"
        );
    }

    #[test]
    fn workers_that_vanish_are_started_again_as_often_as_asked() {
        let vanished = Loss::Vanished("the worker vanished".into());
        assert!(matches!(verdict(&vanished, false, 0), Verdict::Again(1, _)));
        assert!(matches!(verdict(&vanished, false, 1), Verdict::Again(2, _)));
        assert!(matches!(verdict(&vanished, false, 2), Verdict::Fail(_)));
        assert!(matches!(verdict(&vanished, true, 2), Verdict::Again(0, _)));
        let never = Loss::NeverCame("no worker came within 60 s".into());
        assert!(matches!(verdict(&never, false, 1), Verdict::Again(2, _)));
        let Verdict::Fail(told) = verdict(&never, false, 2) else {
            panic!("it waits without end");
        };
        assert!(told.contains("`submit`"), "{told}");
        let cancelled = Loss::Ended(JobEnd::Cancelled);
        assert!(matches!(verdict(&cancelled, true, 0), Verdict::Fail(_)));
        let preempted = Loss::Ended(JobEnd::Preempted);
        assert!(matches!(
            verdict(&preempted, false, 5),
            Verdict::Again(6, _)
        ));
    }
}
