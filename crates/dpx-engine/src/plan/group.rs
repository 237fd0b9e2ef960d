//! Groups what will run by root cause, and adds up the time it will take.

use super::{Decision, InstanceId, Plan, Reason, State};
use std::collections::{BTreeMap, BTreeSet};

/// One reason for which instances of one stage run, and what follows from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// Name of the stage.
    pub stage: String,
    /// The reason.
    pub reason: Reason,
    /// The instances that have it.
    pub instances: Vec<InstanceId>,
    /// The instances after them that run, or may, because of what these make.
    pub dragged: Vec<InstanceId>,
}

/// Counts and times of a plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// Instances that are cached.
    pub cached: usize,
    /// Instances certain to run.
    pub run: usize,
    /// Instances that run only if an input comes out different.
    pub only_if: usize,
    /// Seconds of all instances that run or may, one after the other, as far as earlier records tell.
    pub seconds: f64,
    /// Instances that run or may, of whose stage there is no record to tell.
    pub unknown: usize,
}

/// The root causes, in the plan's order. Instances of one stage with the same reason are one cause.
pub fn causes(plan: &Plan, decisions: &[Decision]) -> Vec<Cause> {
    let mut causes: Vec<Cause> = Vec::new();
    for decision in decisions {
        let State::Run { reasons } = &decision.state else {
            continue;
        };
        let stage = &plan.instances[decision.instance].stage;
        for reason in reasons {
            // New rows differ in their values only: one cause.
            let same = |cause: &&mut Cause| {
                cause.stage == *stage
                    && (cause.reason == *reason
                        || matches!(
                            (&cause.reason, reason),
                            (Reason::NewRow { .. }, Reason::NewRow { .. })
                        ))
            };
            match causes.iter_mut().find(same) {
                Some(cause) => cause.instances.push(decision.instance),
                None => causes.push(Cause {
                    stage: stage.clone(),
                    reason: reason.clone(),
                    instances: vec![decision.instance],
                    dragged: Vec::new(),
                }),
            }
        }
    }
    for cause in &mut causes {
        let mut reached: BTreeSet<InstanceId> = cause.instances.iter().copied().collect();
        for (id, instance) in plan.instances.iter().enumerate() {
            let follows = instance
                .needs
                .iter()
                .any(|need| reached.contains(&need.instance));
            if follows && !decisions[id].state.is_cached() && reached.insert(id) {
                cause.dragged.push(id);
            }
        }
    }
    causes
}

/// Counts and times.
pub fn summary(decisions: &[Decision]) -> Summary {
    let mut summary = Summary::default();
    for decision in decisions {
        match decision.state {
            State::Cached { .. } => {
                summary.cached += 1;
                continue;
            }
            State::Run { .. } => summary.run += 1,
            State::OnlyIf { .. } => summary.only_if += 1,
        }
        match &decision.nearest {
            Some(record) => summary.seconds += record.wall_seconds,
            None => summary.unknown += 1,
        }
    }
    summary
}

/// What the instances of one stage that run, or may, are going to take.
#[derive(Debug, Clone, PartialEq)]
pub struct StageTime {
    /// Name of the stage.
    pub stage: String,
    /// Instances that run or may.
    pub waiting: usize,
    /// Those of them that an earlier record tells of.
    pub known: usize,
    /// Seconds of the known ones together, as those records took.
    pub seconds: f64,
}

/// The time of each stage that has something to run, in the plan's order.
pub fn times(plan: &Plan, decisions: &[Decision]) -> Vec<StageTime> {
    let mut times: Vec<StageTime> = Vec::new();
    for decision in decisions {
        if matches!(decision.state, State::Cached { .. }) {
            continue;
        }
        let stage = &plan.instances[decision.instance].stage;
        let at = times.iter().position(|time| time.stage == *stage);
        let at = at.unwrap_or_else(|| {
            times.push(StageTime {
                stage: stage.clone(),
                waiting: 0,
                known: 0,
                seconds: 0.0,
            });
            times.len() - 1
        });
        times[at].waiting += 1;
        if let Some(record) = &decision.nearest {
            times[at].known += 1;
            times[at].seconds += record.wall_seconds;
        }
    }
    times
}

/// Stages in the plan's order with the positions of their instances.
pub fn by_stage(plan: &Plan) -> Vec<(String, Vec<InstanceId>)> {
    let mut order: Vec<String> = Vec::new();
    let mut members: BTreeMap<String, Vec<InstanceId>> = BTreeMap::new();
    for (id, instance) in plan.instances.iter().enumerate() {
        if !order.contains(&instance.stage) {
            order.push(instance.stage.clone());
        }
        members.entry(instance.stage.clone()).or_default().push(id);
    }
    order
        .into_iter()
        .map(|stage| {
            let ids = members.remove(&stage).unwrap_or_default();
            (stage, ids)
        })
        .collect()
}
