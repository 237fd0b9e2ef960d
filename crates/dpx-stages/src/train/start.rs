//! The public model that training starts from.

use crate::arithmetic;
use crate::model_source::ModelSource;
use dpx_nn::Network;
use dpx_nn::model::{CausalLm, CausalModel, load_causal};
use dpx_nn::text::Tokenizer;
use dpx_schema::Device;
use dpx_schema::PublicSchema;
use dpx_schema::conversation::ChatTemplate;
use dpx_schema::params::{ChatFormat, TrainParams, Trainable};
use dpx_schema::{StageContext, StageError};
use std::path::Path;

/// A tokenizer and a network, with the parameters to train selected.
pub(super) struct Start {
    pub(super) tokenizer: Tokenizer,
    pub(super) network: CausalLm,
    /// The frame of the model's own chat template, where conversations are written with it.
    pub(super) chat_template: Option<ChatTemplate>,
}

impl Start {
    /// Reads the model onto a device, gives it the labels' special tokens and its adapters.
    pub(super) fn load(
        context: &StageContext<'_>,
        device: Device,
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
        let mut network = load_causal(folder, device)?;
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
        if trains && params.parameters == Trainable::Lora {
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
        })
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
