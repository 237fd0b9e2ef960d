//! Groups what will run by root cause, and adds up the time it will take.

use super::{Decision, InstanceId, Plan, Reason, State};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One reason for which instances of one stage run, and what follows from it.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Cause {
    pub stage: String,
    /// Why they have no record that fits.
    pub reason: Reason,
    /// Those that this reason makes run, in the plan's order.
    pub instances: Vec<InstanceId>,
    /// The instances after them that run, or may, because of what these make.
    pub dragged: Vec<InstanceId>,
}

/// Counts and times of a plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// Instances with a record: nothing is left to do.
    pub cached: usize,
    /// Instances certain to run.
    pub run: usize,
    /// Instances that re-run if an input changes.
    pub only_if: usize,
    /// Seconds of all instances that run or may, one after the other, as far as earlier records tell.
    pub seconds: f64,
    /// Instances that run or may, of whose work there is no record to tell.
    pub unknown: usize,
}

/// The root causes, in the plan's order. Instances of one stage with the same reason are one cause.
pub fn causes(plan: &Plan, decisions: &[Decision]) -> Vec<Cause> {
    let mut causes: Vec<Cause> = Vec::new();
    let mut found: HashMap<(&str, String), usize> = HashMap::new();
    for decision in decisions {
        let State::Run { reasons } = &decision.state else {
            continue;
        };
        let stage = &plan.instances[decision.instance].stage;
        for reason in reasons {
            // New rows differ in their values only: one cause.
            let text = match reason {
                Reason::NewRow { .. } => "new row".to_owned(),
                reason => format!("{reason:?}"),
            };
            let at = *found.entry((stage, text)).or_insert_with(|| {
                causes.push(Cause {
                    stage: stage.clone(),
                    reason: reason.clone(),
                    instances: Vec::new(),
                    dragged: Vec::new(),
                });
                causes.len() - 1
            });
            causes[at].instances.push(decision.instance);
        }
    }
    let mut users = vec![Vec::new(); plan.instances.len()];
    for (id, instance) in plan.instances.iter().enumerate() {
        for need in &instance.needs {
            users[need.instance].push(id);
        }
    }
    for cause in &mut causes {
        let own: BTreeSet<InstanceId> = cause.instances.iter().copied().collect();
        let mut open: Vec<InstanceId> = cause.instances.clone();
        let mut dragged = BTreeSet::new();
        while let Some(id) = open.pop() {
            for &user in &users[id] {
                if !decisions[user].state.is_cached()
                    && !own.contains(&user)
                    && dragged.insert(user)
                {
                    open.push(user);
                }
            }
        }
        cause.dragged = dragged.into_iter().collect();
    }
    causes
}

/// Counts and adds up decisions.
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
        match decision.estimate {
            Some(seconds) => summary.seconds += seconds,
            None => summary.unknown += 1,
        }
    }
    summary
}

/// What the instances of one stage that run, or may, are going to take.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct StageTime {
    pub stage: String,
    /// Instances of the stage that run or may.
    pub waiting: usize,
    /// Those of them that an earlier record tells of.
    pub known: usize,
    /// Seconds of the known ones together, as those records took.
    pub seconds: f64,
}

/// The time of each stage that has something to run, in the plan's order.
pub fn times(plan: &Plan, decisions: &[Decision]) -> Vec<StageTime> {
    let mut times: Vec<StageTime> = Vec::new();
    let mut found: HashMap<&str, usize> = HashMap::new();
    for decision in decisions {
        if matches!(decision.state, State::Cached { .. }) {
            continue;
        }
        let stage = &plan.instances[decision.instance].stage;
        let at = *found.entry(stage).or_insert_with(|| {
            times.push(StageTime {
                stage: stage.clone(),
                waiting: 0,
                known: 0,
                seconds: 0.0,
            });
            times.len() - 1
        });
        times[at].waiting += 1;
        if let Some(seconds) = decision.estimate {
            times[at].known += 1;
            times[at].seconds += seconds;
        }
    }
    times
}

/// Stages in the plan's order with the positions of their instances.
pub fn by_stage(plan: &Plan) -> Vec<(String, Vec<InstanceId>)> {
    let mut order: Vec<String> = Vec::new();
    let mut members: BTreeMap<String, Vec<InstanceId>> = BTreeMap::new();
    for (id, instance) in plan.instances.iter().enumerate() {
        let of_stage = members.entry(instance.stage.clone()).or_default();
        if of_stage.is_empty() {
            order.push(instance.stage.clone());
        }
        of_stage.push(id);
    }
    order
        .into_iter()
        .map(|stage| {
            let ids = members.remove(&stage).unwrap_or_default();
            (stage, ids)
        })
        .collect()
}
