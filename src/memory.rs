//! What training is going to take of memory: told, and refused where there is not so much, before anything is downloaded or run.

use super::families::{of_hub, pinned};
use super::{Error, devices, executor};
use dpx_data::{Source, hub};
use dpx_engine::experiment::{ExecutorKind, Experiment};
use dpx_engine::plan::{Instance, InstanceId, Plan};
use dpx_nn::model::TrainingStep;
use dpx_nn::model::config::{Architecture, DecoderConfig, ModelConfig, Sizes};
use dpx_schema::params::{BasePrecision, PretrainParams, TrainParams, TrainPerformance, Trainable};
use dpx_schema::{Device, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// Below this nobody needs to be told.
const TOLD_FROM: u64 = 1 << 30;
/// Longer sequences are told of in any case.
const USUAL_LENGTH: u64 = 256;

/// Where training runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    on_processor: bool,
    /// All of its memory, where that is known.
    memory: Option<u64>,
    /// `this machine`, or a device.
    name: String,
}

impl Place {
    /// The devices of this machine that go by these names, or those that a plan names: of several the one that has most memory. Of
    /// other machines, which run the workers of some executors, nothing is known.
    pub(crate) fn of(
        (experiment, plan): (&Experiment, &Plan),
        given: &[String],
        executor: Option<&str>,
    ) -> Self {
        let table = executor::table(executor, experiment).unwrap_or_default();
        if table.kind != ExecutorKind::Local {
            return Self {
                on_processor: true,
                ..Self::default()
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
            Some(one) => Self {
                on_processor: one.device == Device::Cpu,
                memory: one.memory,
                name: if one.device == Device::Cpu {
                    "this machine".to_owned()
                } else {
                    format!("`{}`", one.device)
                },
            },
            None => Self::default(),
        }
    }
}

struct Training {
    stage: String,
    params: TrainParams,
    performance: TrainPerformance,
    config: DecoderConfig,
}

/// The memory of each `train` stage whose model is known, a line each; those that take little are left out. Models on the Hub
/// count where `online`.
pub(crate) fn lines(plan: &Plan, place: &Place, online: bool) -> Vec<String> {
    let mut stages: BTreeMap<String, (u64, String)> = BTreeMap::new();
    for training in (0..plan.instances.len()).filter_map(|id| Training::of(plan, id, online)) {
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
        let training = Training::of(plan, id, online)?;
        Some((id, training.refused(place)?))
    };
    let refused: Vec<(InstanceId, Error)> = (0..plan.instances.len()).filter_map(refused).collect();
    if refused.is_empty() {
        return Ok(());
    }
    let waiting = waiting()?;
    let first = refused.into_iter().find(|(id, _)| waiting.contains(id));
    first.map_or(Ok(()), |(_, error)| Err(error))
}

impl Training {
    fn of(plan: &Plan, id: InstanceId, online: bool) -> Option<Self> {
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
        Some(Self {
            stage: instance.stage.clone(),
            performance: serde_json::from_value(instance.performance.clone()).ok()?,
            params,
            config,
        })
    }

    fn step(&self, place: &Place) -> TrainingStep {
        let Self {
            params,
            performance,
            config,
            ..
        } = self;
        TrainingStep::planned(
            config,
            params,
            performance,
            place.on_processor,
            place.memory,
        )
    }

    fn line(&self, place: &Place) -> Option<(u64, String)> {
        let step = self.step(place);
        let memory = step.memory(&self.config);
        let total = memory.total();
        if total < TOLD_FROM && step.longest <= USUAL_LENGTH {
            return None;
        }
        let mut line = format!(
            "about {} of memory at {} tokens ({} a micro-batch: {} of attention, {} of other activations; {} of weights{})",
            bytes(total),
            step.longest,
            step.tokens,
            bytes(memory.attention),
            bytes(memory.activations + memory.logits),
            bytes(memory.weights),
            match (step.base_precision.is_f32(), step.recomputes) {
                (true, false) => String::new(),
                (true, true) => "; activation checkpointing".to_owned(),
                (false, false) => format!(" in {}", step.base_precision.name()),
                (false, true) => format!(
                    " in {}; activation checkpointing",
                    step.base_precision.name()
                ),
            }
        );
        if self.params.max_length > step.longest {
            let _ = write!(
                line,
                "; `max_length` is {}, but the model reads at most {}",
                self.params.max_length, step.longest
            );
        }
        Some((total, line))
    }

    /// Why it cannot run there, and what would fit.
    fn refused(&self, place: &Place) -> Option<Error> {
        let has = place.memory?;
        let step = self.step(place);
        let memory = step.memory(&self.config);
        if memory.total() <= has {
            return None;
        }
        let mut error = Error::usage(format!(
            "`{}` takes about {} of memory, and {} has {}: {} of weights, {} for the training of those that are trained, {} of \
             activations and attention, {} of logits, in micro-batches of {} tokens",
            self.stage,
            bytes(memory.total()),
            place.name,
            bytes(has),
            bytes(memory.weights),
            bytes(memory.training),
            bytes(memory.activations + memory.attention),
            bytes(memory.logits),
            step.tokens,
        ));
        let fitting: Vec<String> = Self::others(step)
            .into_iter()
            .map(|(keys, step)| (keys, step.memory(&self.config).total()))
            .filter(|(_, total)| *total <= has)
            .map(|(keys, total)| format!("{keys} ({})", bytes(total)))
            .collect();
        error = if fitting.is_empty() {
            error.hint(
                "no setting of this stage makes it fit: take a smaller model, or a machine with more memory",
            )
        } else {
            error.hint(format!(
                "in `[stage.{}]` any of these fits: {}",
                self.stage,
                fitting.join("; ")
            ))
        };
        Some(error)
    }

    /// The same step with other settings, those that change least first.
    fn others(step: TrainingStep) -> Vec<(String, TrainingStep)> {
        let anew = TrainingStep {
            recomputes: true,
            ..step
        };
        let fewer = |step: TrainingStep| TrainingStep {
            tokens: (4 * step.longest).max(256).min(step.tokens),
            ..step
        };
        let small = fewer(anew);
        let checkpointing = "`activation_checkpointing = \"on\"`";
        let tokens = format!("`micro_batch_tokens = {}`", small.tokens);
        let lora = TrainingStep {
            trained: Trainable::Lora,
            ..small
        };
        let mut others = vec![
            (checkpointing.to_owned(), anew),
            (tokens.clone(), fewer(step)),
            (format!("{checkpointing}, {tokens}"), small),
        ];
        let before = format!("{checkpointing}, {tokens}, `parameters = \"lora\"`");
        if step.trained != Trainable::Lora {
            others.push((before.clone(), lora));
        }
        for base_precision in [BasePrecision::Bf16, BasePrecision::Int8] {
            let rounded = TrainingStep {
                base_precision,
                ..lora
            };
            let name = base_precision.name();
            others.push((format!("{before}, `base_precision = \"{name}\"`"), rounded));
        }
        others.retain(|(_, other)| *other != step);
        others
    }
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

fn bytes(bytes: u64) -> String {
    let gigabytes = bytes as f64 / 1e9;
    if gigabytes >= 1.0 {
        format!("{gigabytes:.1} GB")
    } else {
        format!("{:.0} MB", gigabytes * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn training(params: &serde_json::Value) -> Training {
        let mut all = json!({"model": "m", "epsilon": 3.0, "max_length": 64});
        for (key, value) in params.as_object().unwrap() {
            all[key] = value.clone();
        }
        // TinyLlama's shape: 1.1 billion parameters.
        let config = json!({
            "model_type": "llama", "vocab_size": 32000, "hidden_size": 2048, "intermediate_size": 5632,
            "num_hidden_layers": 22, "num_attention_heads": 32, "num_key_value_heads": 4,
            "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": false,
        });
        let config = ModelConfig::parse(
            config.as_object().unwrap().clone(),
            Path::new("config.json"),
        );
        let Architecture::Decoder(config) = config.unwrap().architecture else {
            panic!("a decoder")
        };
        Training {
            stage: "train".to_owned(),
            params: serde_json::from_value(all).unwrap(),
            performance: TrainPerformance::default(),
            config,
        }
    }

    fn machine(memory: u64) -> Place {
        Place {
            on_processor: true,
            memory: Some(memory),
            name: "this machine".to_owned(),
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_would() {
        let whole = training(&json!({}));
        let refused = whole.refused(&machine(16_000_000_000)).unwrap();
        let message = refused.message();
        assert!(
            message.contains("`train` takes about ") && message.contains("has 16.0 GB"),
            "{message}"
        );
        assert!(message.contains("4.4 GB of weights"), "{message}");
        let hint = &refused.hints()[0];
        assert!(hint.contains("`parameters = \"lora\"`"), "{hint}");
        assert!(
            !hint.contains("any of these fits: `micro_batch_tokens"),
            "{hint}"
        );
        let lora = training(&json!({"parameters": "lora"}));
        assert!(lora.refused(&machine(16_000_000_000)).is_none());
        let refused = lora.refused(&machine(2_000_000_000)).unwrap();
        let hint = &refused.hints()[0];
        assert!(hint.contains("`base_precision = \"int8\"`"), "{hint}");
        assert!(!hint.contains("\"bf16\""), "{hint}");
        let refused = lora.refused(&machine(500_000_000)).unwrap();
        assert!(refused.hints()[0].contains("a smaller model"));
        let elsewhere = Place::default();
        assert!(whole.refused(&elsewhere).is_none());
    }

    #[test]
    fn sizes_are_told_in_round_numbers() {
        assert_eq!(bytes(3_645_000_000), "3.6 GB");
        assert_eq!(bytes(151_000_000), "151 MB");
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
