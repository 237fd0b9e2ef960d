//! What the training of a plan is going to take of memory: told, and refused where there is not so much, before anything is
//! downloaded or run. Here meet the plan, which knows no models, and the models, which know no plan.

use super::families::{of_hub, pinned};
use super::{Error, devices, executor};
use dpx_data::{Source, hub};
use dpx_engine::experiment::{ExecutorKind, Experiment};
use dpx_engine::plan::{Instance, InstanceId, Plan};
use dpx_nn::model::config::{Architecture, DecoderConfig, ModelConfig, Sizes};
use dpx_schema::params::{PretrainParams, TrainParams};
use dpx_schema::{Device, Kind};
use dpx_stages::memory::{Place, TooLarge, Training};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The devices of this machine that go by these names, or those that a plan names: of several the one that has most memory. Of
/// other machines, which run the workers of some executors, nothing is known.
pub(crate) fn place(
    (experiment, plan): (&Experiment, &Plan),
    given: &[String],
    executor: Option<&str>,
) -> Place {
    let table = executor::table(executor, experiment).unwrap_or_default();
    if table.kind != ExecutorKind::Local {
        return Place {
            on_processor: true,
            ..Place::default()
        };
    }
    let written = [&plan.run.device[..], &plan.run.devices[..]].concat();
    let names = if given.is_empty() {
        &written[..]
    } else {
        given
    };
    let auto = ["auto".to_owned()];
    let names = if names.is_empty() { &auto[..] } else { names };
    let asked = devices::resolve(names).unwrap_or_default();
    let found = dpx_nn::device::devices().found;
    let named = found.iter().filter(|one| asked.contains(&one.device));
    match named.max_by_key(|one| one.memory) {
        Some(one) => Place {
            on_processor: one.device == Device::Cpu,
            memory: one.memory,
            name: if one.device == Device::Cpu {
                "this machine".to_owned()
            } else {
                format!("`{}`", one.device)
            },
        },
        None => Place::default(),
    }
}

/// The memory of each `train` stage whose model is known, a line each; those that take little are left out. Models on the Hub
/// count where `online`.
pub(crate) fn lines(plan: &Plan, place: &Place, online: bool) -> Vec<String> {
    let mut stages: BTreeMap<String, (u64, String)> = BTreeMap::new();
    for training in (0..plan.instances.len()).filter_map(|id| training(plan, id, online)) {
        let Some((total, line)) = training.line(place) else {
            continue;
        };
        let known = stages.entry(training.stage).or_default();
        if total > known.0 {
            *known = (total, line);
        }
    }
    stages
        .into_iter()
        .map(|(stage, (_, line))| format!("`{stage}`: {line}"))
        .collect()
}

/// Refuses training that takes more memory than there is, before anything is downloaded: of the instances that `waiting` returns,
/// which is asked only where one would be refused.
pub(crate) fn refuse(
    plan: &Plan,
    place: &Place,
    online: bool,
    waiting: impl FnOnce() -> Result<BTreeSet<InstanceId>, Error>,
) -> Result<(), Error> {
    let refused = |id: InstanceId| {
        let training = training(plan, id, online)?;
        let TooLarge { message, hint } = training.refused(place)?;
        Some((id, Error::usage(message).hint(hint)))
    };
    let refused: Vec<(InstanceId, Error)> = (0..plan.instances.len()).filter_map(refused).collect();
    if refused.is_empty() {
        return Ok(());
    }
    let waiting = waiting()?;
    let first = refused.into_iter().find(|(id, _)| waiting.contains(id));
    first.map_or(Ok(()), |(_, error)| Err(error))
}

/// Nothing where an instance trains nothing, or its model is not known.
fn training(plan: &Plan, id: InstanceId, online: bool) -> Option<Training> {
    let instance = &plan.instances[id];
    if instance.kind != Kind::Train {
        return None;
    }
    let params: TrainParams = serde_json::from_value(instance.params.clone()).ok()?;
    if params.epsilon.value() == 0.0 {
        return None;
    }
    let config = match params.model.strip_prefix("stage:") {
        Some(_) => made(plan, instance)?,
        None => named(&params.model, online, instance.sources.get("model"))?,
    };
    Some(Training {
        stage: instance.stage.clone(),
        performance: serde_json::from_value(instance.performance.clone()).ok()?,
        params,
        config,
    })
}

/// The model that a `pretrain` stage among the needs is going to make.
fn made(plan: &Plan, instance: &Instance) -> Option<DecoderConfig> {
    let needs = instance
        .needs
        .iter()
        .map(|need| &plan.instances[need.instance]);
    let base = needs.into_iter().find(|need| need.kind == Kind::Pretrain)?;
    let params: PretrainParams = serde_json::from_value(base.params.clone()).ok()?;
    if let Some(model) = &params.model {
        return named(model, false, None);
    }
    let [vocabulary, max_positions, hidden, layers, heads] = [
        params.vocabulary_size,
        params.context,
        params.width,
        params.layers,
        params.heads,
    ]
    .map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    Some(DecoderConfig::gpt2(Sizes {
        vocabulary,
        max_positions,
        hidden,
        intermediate: 4 * hidden,
        layers,
        heads,
        kv_heads: heads,
        head_dim: hidden / heads.max(1),
        norm_epsilon: 1e-5,
    }))
}

/// Most tokens that a model without a download reads; nothing where the name is of none such.
pub(crate) fn context(model: &str) -> Option<u64> {
    named(model, false, None).map(|config| config.sizes.max_positions as u64)
}

/// The model of a name, at the commit that the identity of the source names where it is on the Hub.
fn named(name: &str, online: bool, identity: Option<&String>) -> Option<DecoderConfig> {
    let source = Source::parse(name);
    let config = match &source {
        Source::Path(folder) => ModelConfig::read(folder).map_err(drop),
        Source::Builtin(name) => {
            let mut files = dpx_data::builtin::model_files(name)?.iter();
            let (_, bytes) = files.find(|(file, _)| *file == "config.json")?;
            ModelConfig::parse(
                serde_json::from_slice(bytes).ok()?,
                Path::new("config.json"),
            )
            .map_err(drop)
        }
        // `dpx plan` has it on this machine already.
        Source::Hub(name) if online => {
            let name = &identity.map_or_else(|| name.clone(), |known| pinned(name, known));
            of_hub(&hub::Hub::from_env(), name).map_err(drop)
        }
        Source::Hub(_) => return None,
    };
    match config.ok()?.architecture {
        Architecture::Decoder(config) => Some(config),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_models_are_known_and_those_of_the_hub_only_online() {
        assert_eq!(
            named("builtin:base", false, None)
                .unwrap()
                .sizes
                .max_positions,
            128
        );
        assert!(named("hf:owner/name", false, None).is_none());
    }
}
