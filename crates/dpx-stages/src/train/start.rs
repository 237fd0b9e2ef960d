//! The public model that training starts from.

use crate::arithmetic;
use crate::model_source::ModelSource;
use dpx_nn::device::devices;
use dpx_nn::model::weights::StoredAs;
use dpx_nn::model::{
    ADAPTER_FOLDER, Architecture, BASE_FOLDER, CausalLm, CausalModel, TrainingStep, copy_base,
    load_causal, load_frozen,
};
use dpx_nn::text::Tokenizer;
use dpx_nn::{Network, Role, limit_waiting_memory};
use dpx_schema::Device;
use dpx_schema::PublicSchema;
use dpx_schema::conversation::ChatTemplate;
use dpx_schema::params::{ChatFormat, Denoising, TrainParams, TrainPerformance, Trainable};
use dpx_schema::{StageContext, StageError};
use dpx_sgd::denoise::MOST_SIDE;
use dpx_sgd::replicas::Replicas;
use std::path::{Path, PathBuf};

/// Most bytes that lie unused between the layers of a step where memory is short.
const WAITING: usize = 1 << 28;

/// A tokenizer and a network, with the parameters to train selected.
pub(super) struct Start {
    pub(super) tokenizer: Tokenizer,
    pub(super) network: CausalLm,
    /// The frame of the model's own chat template, where conversations are written with it.
    pub(super) chat_template: Option<ChatTemplate>,
    /// Scale of the adapters, where the artifact holds these and the public model instead of one model.
    adapters: Option<f64>,
}

impl Start {
    /// Reads the model onto the stage's device, gives it the labels' special tokens and its adapters.
    pub(super) fn load(
        context: &StageContext<'_>,
        params: &TrainParams,
        schema: &PublicSchema,
    ) -> Result<Self, StageError> {
        for left in [BASE_FOLDER, ADAPTER_FOLDER] {
            let left = context.output_path("model").join(left);
            if left.exists() {
                std::fs::remove_dir_all(left)?;
            }
        }
        Self::load_onto(context.device, context, params, schema)
    }

    /// The same model on the processor, once [`Start::load`] has read it.
    pub(super) fn on_processor(
        context: &StageContext<'_>,
        params: &TrainParams,
        schema: &PublicSchema,
    ) -> Result<Self, StageError> {
        Self::load_onto(Device::Cpu, context, params, schema)
    }

    /// Copies of the network on the other devices of a training that is divided, once [`Start::load`] has read it.
    pub(super) fn replicas(
        &self,
        context: &StageContext<'_>,
        params: &TrainParams,
        schema: &PublicSchema,
    ) -> Result<Replicas, StageError> {
        let mut others: Vec<Box<dyn Network>> = Vec::with_capacity(context.others.len());
        for &device in &context.others {
            arithmetic(params.precision, device)?;
            let mut copy = Self::load_onto(device, context, params, schema)?;
            let recomputes = self.network.recomputes();
            copy.network.set_activation_checkpointing(recomputes);
            others.push(Box::new(copy.network));
        }
        Ok(Replicas::new(self.network.parameters(), others)?)
    }

    fn load_onto(
        device: Device,
        context: &StageContext<'_>,
        params: &TrainParams,
        schema: &PublicSchema,
    ) -> Result<Self, StageError> {
        if let Some(name) = params.model.strip_prefix("stage:") {
            let input = context.inputs.get(name).ok_or_else(|| {
                StageError::new(format!(
                    "`model` is `{}`, but `{name}` is none of the needs of `{}`",
                    params.model, context.instance
                ))
            })?;
            return Self::read(context, device, params, schema, &input.path.join("model"));
        }
        let source = ModelSource::find(&params.model)?;
        Self::read(context, device, params, schema, source.path())
    }

    fn read(
        context: &StageContext<'_>,
        device: Device,
        params: &TrainParams,
        schema: &PublicSchema,
        folder: &Path,
    ) -> Result<Self, StageError> {
        let arithmetic = arithmetic(params.precision, context.device)?;
        let mut tokenizer = Tokenizer::load(folder)?;
        let lora = params.parameters == Trainable::Lora;
        if !lora && !params.base_precision.is_f32() {
            return Err(StageError::new(
                "`base_precision` rounds weights that are not trained: set `parameters = \"lora\"`, or leave it out",
            ));
        }
        let mut network = if lora {
            load_frozen(own_base(context, folder)?, device, params.base_precision)?
        } else {
            load_causal(folder, device)?
        };
        let (known, embedded) = (tokenizer.vocabulary_size(), network.vocabulary());
        if known > embedded {
            return Err(StageError::new(format!(
                "the tokenizer of `{}` has {known} tokens, but `vocab_size` of its config.json is {embedded}: use the tokenizer \
                 that belongs to the model",
                params.model
            )));
        }
        let prompt = schema.parsed_prompt()?;
        let special = prompt.special_tokens(&schema.labels);
        if !special.is_empty() {
            tokenizer.add_special_tokens(&special)?;
        }
        network.resize_vocabulary(tokenizer.vocabulary_size())?;
        let trains = params.epsilon.value() != 0.0;
        if trains && lora {
            network.add_lora(params.lora_rank as usize, params.lora_alpha, context.seed);
        }
        network.parameters_mut().select(params.parameters.into());
        network.parameters_mut().compute_in(arithmetic);
        if trains && network.parameters().trainable_ids().is_empty() {
            return Err(StageError::new(format!(
                "`parameters` selects nothing of `{}`: it has no such parameters; take `all` or `lora`",
                params.model
            )));
        }
        let own = schema.conversations && params.chat_template == ChatFormat::Model;
        let chat_template = own.then(|| tokenizer.chat_template(folder)).transpose()?;
        Ok(Self {
            tokenizer,
            network,
            chat_template,
            adapters: lora.then_some(params.lora_alpha),
        })
    }

    /// Has the backward pass compute activations anew where the stage asks for it, or where memory does.
    pub(super) fn spare_memory(
        &mut self,
        context: &StageContext<'_>,
        params: &TrainParams,
        performance: &TrainPerformance,
    ) {
        let Architecture::Decoder(config) = &self.network.config().architecture else {
            return;
        };
        let found = devices().found;
        let own = found.iter().find(|found| found.device == context.device);
        let memory = own.and_then(|found| found.memory);
        let on_processor = context.device == Device::Cpu;
        let step = TrainingStep::planned(config, params, performance, on_processor, memory);
        let total = step.memory(config).total();
        self.network.set_activation_checkpointing(step.recomputes);
        if step.recomputes {
            limit_waiting_memory(WAITING);
            context.progress.log(&format!(
                "activation checkpointing is on: a step takes about {:.1} GB",
                total as f64 / 1e9
            ));
        }
    }

    /// Refuses matrices whose singular values would take longer than the training.
    pub(super) fn check_denoising(&self, params: &TrainParams) -> Result<(), StageError> {
        if params.denoising == Denoising::None {
            return Ok(());
        }
        let trained = self.network.parameters().iter();
        let trained = trained.filter(|(_, parameter)| parameter.trainable);
        decomposable(trained.map(|(_, one)| (one.name.as_str(), one.value.shape())))
    }

    /// Writes the weights: of adapters these alone, beside the public model that lies there already.
    pub(super) fn save_weights(&self, folder: &Path) -> Result<(), StageError> {
        let Some(alpha) = self.adapters else {
            return Ok(self.network.save(folder, StoredAs::F32)?);
        };
        self.network.write_adapted_config(folder)?;
        let parameters = self.network.parameters();
        if parameters.iter().any(|(_, one)| one.role == Role::Lora) {
            self.network
                .save_adapter(&folder.join(ADAPTER_FOLDER), alpha)?;
        }
        Ok(())
    }

    /// What the model's folder says of the data: how conversations are written, besides what is declared.
    pub(super) fn schema(&self, declared: &PublicSchema) -> PublicSchema {
        PublicSchema {
            chat_template: self.chat_template.clone(),
            ..declared.clone()
        }
    }

    /// Longest sequence that the model takes.
    pub(super) fn max_seq_len(&self) -> usize {
        self.network.context()
    }
}

fn decomposable<'a>(
    mut tensors: impl Iterator<Item = (&'a str, &'a [usize])>,
) -> Result<(), StageError> {
    let large =
        |shape: &[usize]| matches!(*shape, [rows, columns] if rows.min(columns) > MOST_SIDE);
    match tensors.find(|(_, shape)| large(shape)) {
        None => Ok(()),
        Some((name, shape)) => Err(StageError::new(format!(
            "`denoising = \"singular-values\"` finds the singular values of every trained matrix at every step, and `{name}` is \
             {shape:?}: expected a smaller side of at most {MOST_SIDE}; train adapters (`parameters = \"lora\"`), or remove it"
        ))),
    }
}

/// The public model in the artifact, copied there byte by byte before it is first read: what is trained on is what is kept,
/// whatever becomes of the original meanwhile.
fn own_base(context: &StageContext<'_>, folder: &Path) -> Result<PathBuf, StageError> {
    let base = context.output_path("model").join(BASE_FOLDER);
    if !base.is_dir() {
        copy_base(folder, &base)?;
    }
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_matrices_are_not_decomposed() {
        let of = |shape: &[usize]| decomposable([("bias", &[9000][..]), ("w", shape)].into_iter());
        assert!(of(&[1024, 50_000]).is_ok() && of(&[4096, 8]).is_ok());
        let error = of(&[1025, 2000]).unwrap_err().to_string();
        assert!(error.contains("`w` is [1025, 2000]"), "{error}");
    }
}
