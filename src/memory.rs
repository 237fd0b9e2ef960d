//! What training is going to take of memory, told before anything runs.

use super::download;
use dpx_data::{Role, Source, hub};
use dpx_engine::plan::{Instance, Plan};
use dpx_nn::model::TrainingMemory;
use dpx_nn::model::config::{Architecture, DecoderConfig, ModelConfig, Sizes};
use dpx_schema::Kind;
use dpx_schema::params::{PretrainParams, TrainParams, TrainPerformance, Trainable};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Below this nobody needs to be told.
const TOLD_FROM: u64 = 1 << 30;
/// Longer sequences are told of in any case.
const USUAL_LENGTH: u64 = 256;
/// Share of the parameters that adapters, biases or a head are: of no weight here.
const FEW: f64 = 0.02;

/// The memory of each `train` stage whose model is known, a line each; those that take little are left out. Models on the Hub
/// count where `online`.
pub(crate) fn lines(plan: &Plan, online: bool) -> Vec<String> {
    let mut stages: BTreeMap<&str, (u64, String)> = BTreeMap::new();
    for instance in &plan.instances {
        if instance.kind != Kind::Train {
            continue;
        }
        let Some((total, line)) = of_instance(plan, instance, online) else {
            continue;
        };
        let known = stages.entry(&instance.stage).or_default();
        if total > known.0 {
            *known = (total, line);
        }
    }
    stages
        .into_iter()
        .map(|(stage, (_, line))| format!("`{stage}`: {line}"))
        .collect()
}

fn of_instance(plan: &Plan, instance: &Instance, online: bool) -> Option<(u64, String)> {
    let params: TrainParams = serde_json::from_value(instance.params.clone()).ok()?;
    let performance: TrainPerformance =
        serde_json::from_value(instance.performance.clone()).ok()?;
    if params.epsilon.value() == 0.0 {
        return None;
    }
    let config = match params.model.strip_prefix("stage:") {
        Some(_) => made(plan, instance)?,
        None => named(&params.model, online)?,
    };
    let longest = params.max_length.min(config.sizes.max_positions as u64);
    let sequences = if params.prompt_mismatch > 0.0 { 2 } else { 1 };
    let tokens = performance.tokens_at(longest).max(sequences * longest);
    let trained = if params.parameters == Trainable::All {
        1.0
    } else {
        FEW
    };
    let memory = TrainingMemory::estimate(&config, trained, tokens, longest);
    let total = memory.total();
    if total < TOLD_FROM && longest <= USUAL_LENGTH {
        return None;
    }
    let mut line = format!(
        "about {} of memory at {longest} tokens ({} a micro-batch: {} of attention, {} of other activations)",
        bytes(total),
        tokens,
        bytes(memory.attention),
        bytes(memory.activations + memory.logits),
    );
    if params.max_length > longest {
        let _ = write!(
            line,
            "; `max_length` is {}, but the model reads at most {longest}",
            params.max_length
        );
    }
    Some((total, line))
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
        return named(model, false);
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

fn named(name: &str, online: bool) -> Option<DecoderConfig> {
    let source = Source::parse(name);
    let config = match &source {
        Source::Path(folder) => ModelConfig::read(folder),
        Source::Builtin(name) => {
            let mut files = dpx_data::builtin::model_files(name)?.iter();
            let (_, bytes) = files.find(|(file, _)| *file == "config.json")?;
            ModelConfig::parse(
                serde_json::from_slice(bytes).ok()?,
                Path::new("config.json"),
            )
        }
        // `dpx plan` has it on this machine already.
        Source::Hub(name) if online => {
            let file = download::file(&hub::Hub::from_env(), Role::Model, name, "config.json");
            ModelConfig::read(file.ok()??.parent()?)
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

    #[test]
    fn sizes_are_told_in_round_numbers() {
        assert_eq!(bytes(3_645_000_000), "3.6 GB");
        assert_eq!(bytes(151_000_000), "151 MB");
        assert_eq!(
            named("builtin:base", false).unwrap().sizes.max_positions,
            128
        );
        assert!(named("hf:owner/name", false).is_none());
    }
}
