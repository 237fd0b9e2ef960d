//! `[privacy] split`: fills the whole budget of a row into each stage that shares it.

use crate::experiment::{Experiment, Stage};
use dpx_schema::params::{BudgetComponent, BudgetParams, Delta, Epsilon};
use serde_json::Value;
use std::collections::BTreeMap;

/// The shared budget of a stage at one combination of the axes, as JSON; nothing where the stage is not in the split.
/// `resolve` gives the parameters of another stage of the split at the same combination.
pub(super) fn of(
    experiment: &Experiment,
    stage: &Stage,
    resolve: &mut dyn FnMut(&Stage) -> Option<Value>,
) -> Option<Value> {
    let split = &experiment.privacy.split;
    if !split.contains_key(&stage.name) {
        return None;
    }
    let mut components = BTreeMap::new();
    let mut whole: Option<(Epsilon, Delta)> = None;
    for (name, share) in split {
        let other = experiment.stages.iter().find(|other| other.name == *name)?;
        let mut params = resolve(other)?;
        // The members agree on these two: the check of the file saw to it.
        let epsilon: Epsilon = serde_json::from_value(params["epsilon"].clone()).ok()?;
        let delta: Delta = serde_json::from_value(params["delta"].clone()).ok()?;
        whole.get_or_insert((epsilon, delta));
        if let Some(map) = params.as_object_mut() {
            map.remove("budget");
        }
        components.insert(
            name.clone(),
            BudgetComponent {
                share: *share,
                kind: other.kind,
                params,
            },
        );
    }
    let (epsilon, delta) = whole?;
    serde_json::to_value(BudgetParams {
        epsilon,
        delta,
        components,
    })
    .ok()
}
