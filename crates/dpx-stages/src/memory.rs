//! What a `train` stage is going to take of memory, and what would fit where there is not so much.

use dpx_nn::model::TrainingStep;
use dpx_nn::model::config::DecoderConfig;
use dpx_schema::params::{BasePrecision, TrainParams, TrainPerformance, Trainable};
use std::fmt::Write;

/// Below this nobody needs to be told.
const TOLD_FROM: u64 = 1 << 30;
/// Longer sequences are told of in any case.
const USUAL_LENGTH: u64 = 256;

/// Where training runs.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Place {
    pub on_processor: bool,
    /// All of its memory, in bytes, where that is known.
    pub memory: Option<u64>,
    /// `this machine`, or a device, as a message names it.
    pub name: String,
}

/// A `train` stage whose model is known.
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Training {
    pub stage: String,
    pub params: TrainParams,
    pub performance: TrainPerformance,
    pub config: DecoderConfig,
}

/// Training that takes more memory than there is.
#[derive(Debug)]
pub struct TooLarge {
    /// What it takes, and what there is.
    pub message: String,
    /// Which settings would fit.
    pub hint: String,
}

impl Training {
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

    /// The bytes that it takes, and what of them for, in words; nothing where that is too little to be told.
    pub fn line(&self, place: &Place) -> Option<(u64, String)> {
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
    pub fn refused(&self, place: &Place) -> Option<TooLarge> {
        let has = place.memory?;
        let step = self.step(place);
        let memory = step.memory(&self.config);
        if memory.total() <= has {
            return None;
        }
        let message = format!(
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
        );
        let fitting: Vec<String> = Self::others(step)
            .into_iter()
            .map(|(keys, step)| (keys, step.memory(&self.config).total()))
            .filter(|(_, total)| *total <= has)
            .map(|(keys, total)| format!("{keys} ({})", bytes(total)))
            .collect();
        let hint = if fitting.is_empty() {
            "no setting of this stage makes it fit: take a smaller model, or a machine with more memory"
                .to_owned()
        } else {
            format!(
                "in `[stage.{}]` any of these fits: {}",
                self.stage,
                fitting.join("; ")
            )
        };
        Some(TooLarge { message, hint })
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
    use dpx_nn::model::config::{Architecture, ModelConfig};
    use serde_json::json;
    use std::path::Path;

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
        let message = &refused.message;
        assert!(
            message.contains("`train` takes about ") && message.contains("has 16.0 GB"),
            "{message}"
        );
        assert!(message.contains("4.4 GB of weights"), "{message}");
        let hint = &refused.hint;
        assert!(hint.contains("`parameters = \"lora\"`"), "{hint}");
        assert!(
            !hint.contains("any of these fits: `micro_batch_tokens"),
            "{hint}"
        );
        let lora = training(&json!({"parameters": "lora"}));
        assert!(lora.refused(&machine(16_000_000_000)).is_none());
        let refused = lora.refused(&machine(2_000_000_000)).unwrap();
        let hint = &refused.hint;
        assert!(hint.contains("`base_precision = \"int8\"`"), "{hint}");
        assert!(!hint.contains("\"bf16\""), "{hint}");
        let refused = lora.refused(&machine(500_000_000)).unwrap();
        assert!(refused.hint.contains("a smaller model"));
        let elsewhere = Place::default();
        assert!(whole.refused(&elsewhere).is_none());
    }

    #[test]
    fn sizes_are_told_in_round_numbers() {
        assert_eq!(bytes(3_645_000_000), "3.6 GB");
        assert_eq!(bytes(151_000_000), "151 MB");
    }
}
