//! What pretraining starts from and what it leaves behind.

use crate::counts::keyword_list;
use crate::model_source::ModelSource;
use dpx_nn::model::weights::StoredAs;
use dpx_nn::model::{CausalLm, CausalModel, ModelConfig, load_causal};
use dpx_nn::text::{BpeOptions, Tokenizer, train_bpe};
use dpx_schema::params::PretrainParams;
use dpx_schema::{Context, StageContext, StageError};
use dpx_schema::{LabelIntegration, MODEL_SCHEMA_FILE, PrivacyRecord, PublicSchema};
use serde_json::{Value, json};
use std::path::Path;

/// A tokenizer and a network to train.
pub(super) struct Start {
    pub(super) tokenizer: Tokenizer,
    pub(super) network: CausalLm,
}

/// Refuses sizes that do not fit together before anything is computed.
pub(super) fn check(params: &PretrainParams) -> Result<(), StageError> {
    if !params.width.is_multiple_of(params.heads) {
        return Err(StageError::new(format!(
            "`width` ({}) is no multiple of `heads` ({})",
            params.width, params.heads
        )));
    }
    if !["f32", "f16"].contains(&params.weights.as_str()) {
        return Err(StageError::new(format!(
            "`weights` is `{}`, expected `f32` or `f16`",
            params.weights
        )));
    }
    Ok(())
}

/// The tokenizer and the network before the first step.
pub(super) fn start(
    context: &StageContext<'_>,
    params: &PretrainParams,
    lines: &[String],
) -> Result<Start, StageError> {
    if let Some(name) = &params.model {
        let source = ModelSource::find(name)?;
        return Ok(Start {
            tokenizer: Tokenizer::load(source.path())?,
            network: load_causal(source.path(), context.device)?,
        });
    }
    let tokenizer = tokenizer(context, params, lines)?;
    let config = gpt2_config(params, &tokenizer);
    let config = ModelConfig::parse(config, Path::new("config.json"))?;
    Ok(Start {
        tokenizer,
        network: CausalLm::new_gpt2(config, context.seed, context.device)?,
    })
}

/// Trains the tokenizer; the same lines give the same one in every attempt.
fn tokenizer(
    context: &StageContext<'_>,
    params: &PretrainParams,
    lines: &[String],
) -> Result<Tokenizer, StageError> {
    let words = match &params.vocabulary_words {
        None => Vec::new(),
        Some(name) if name.starts_with("builtin:") => keyword_list(name)?,
        Some(path) => std::fs::read_to_string(path)
            .context(format_args!("cannot read `{path}`"))?
            .lines()
            .map(|line| line.trim().to_owned())
            .filter(|word| !word.is_empty() && !word.starts_with('#'))
            .collect(),
    };
    context.progress.log("trains the tokenizer");
    let options = BpeOptions {
        vocabulary_size: params.vocabulary_size as usize,
        words: &words,
        ..BpeOptions::default()
    };
    Ok(train_bpe(lines.iter(), &options)?)
}

fn gpt2_config(params: &PretrainParams, tokenizer: &Tokenizer) -> serde_json::Map<String, Value> {
    let end = tokenizer.end();
    let config = json!({
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": tokenizer.vocabulary_size(),
        "n_positions": params.context,
        "n_embd": params.width,
        "n_layer": params.layers,
        "n_head": params.heads,
        "n_inner": null,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "initializer_range": 0.02,
        "tie_word_embeddings": true,
        "bos_token_id": end,
        "eos_token_id": end,
        "use_cache": true,
    });
    match config {
        Value::Object(config) => config,
        _ => serde_json::Map::new(),
    }
}

impl Start {
    pub(super) fn write(
        &self,
        context: &StageContext<'_>,
        params: &PretrainParams,
        perplexity: f64,
    ) -> Result<(), StageError> {
        let folder = context.output_path("model");
        std::fs::create_dir_all(&folder)?;
        let stored_as = if params.weights == "f16" {
            StoredAs::F16
        } else {
            StoredAs::F32
        };
        self.network.save(&folder, stored_as)?;
        self.tokenizer.save(&folder, Some(self.network.context()))?;
        let inputs = crate::public_inputs::public_inputs(context)?;
        let schema = PublicSchema {
            public_inputs: inputs.clone(),
            ..PublicSchema::new(
                params.labels.clone(),
                params.prompt.clone(),
                LabelIntegration::Prefix,
                0,
            )
        };
        schema.save(folder.join(MODEL_SCHEMA_FILE))?;
        let figures = json!({
            "corpus": params.corpus,
            "validation_perplexity": perplexity,
        });
        std::fs::write(
            context.output_path("pretrain.json"),
            format!("{figures:#}\n"),
        )?;
        let record = PrivacyRecord::Public {
            source: params.corpus.join(", "),
            inputs,
        };
        crate::private::save(context, &record)
    }
}
