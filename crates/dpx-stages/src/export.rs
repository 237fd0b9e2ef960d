//! The model of a `train` or `pretrain` artifact as a folder that others load: `from_pretrained` of `transformers`, or an adapter
//! for PEFT; with what is needed to ask it for texts.

mod generation;
mod prompts;

pub use generation::Generation;
pub use prompts::{LABEL_PROMPTS_FILE, LabelPrompt, Prompts};

use dpx_data::stated_license;
use dpx_nn::model::weights::StoredAs;
use dpx_nn::model::{
    ADAPTER_CONFIG, ADAPTER_FOLDER, ADAPTER_WEIGHTS, ModelConfig, base_of, load_causal,
};
use dpx_nn::text::Tokenizer;
use dpx_schema::params::BasePrecision;
use dpx_schema::{Device, MODEL_SCHEMA_FILE, StageError};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Files of a chat template beside the tokenizer's.
const CHAT_TEMPLATES: [&str; 2] = ["chat_template.jinja", "chat_template.json"];
/// Largest file of a license that is copied.
const LARGEST_LICENSE: u64 = 1 << 20;

/// What of a model is written, and with which numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub enum Form {
    /// All of them, in f32 or rounded to bf16.
    Whole { bf16: bool },
    /// The adapter alone, in f32.
    Adapter,
}

impl Form {
    /// The format of numbers, as `transformers` calls it.
    pub const fn dtype(self) -> &'static str {
        self.stored_as().dtype()
    }

    const fn stored_as(self) -> StoredAs {
        match self {
            Self::Whole { bf16: true } => StoredAs::Bf16,
            Self::Whole { bf16: false } | Self::Adapter => StoredAs::F32,
        }
    }
}

/// The public model behind an exported one.
#[derive(Debug, Clone, Default)]
pub struct Base {
    /// Its folder, where it lies outside of the study.
    pub folder: Option<PathBuf>,
    /// The folder with the files of its license.
    pub cards: Option<PathBuf>,
    /// Its name on the Hugging Face Hub and its commit.
    pub hub: Option<(String, String)>,
}

/// How the public model in an artifact's folder `model` was rounded before adapters were trained beside it.
///
/// # Errors
/// Its configuration cannot be read.
pub fn base_precision(model: &Path) -> Result<BasePrecision, StageError> {
    Ok(dpx_nn::model::base_precision(model)?)
}

/// Writes the model of an artifact's folder `model` with all of its weights: configuration, weights, tokenizer and public schema.
///
/// # Errors
/// The model cannot be read, or a file cannot be written.
pub fn write_whole(model: &Path, form: Form, to: &Path) -> Result<(), StageError> {
    std::fs::create_dir_all(to)?;
    let network = load_causal(model, Device::Cpu)?;
    network.save(to, form.stored_as())?;
    write_beside(model, to)
}

/// Writes the model of an artifact's folder as others load it, and beside it generation settings, chat template, label prompts and
/// the files of the license. Returns the prompts.
///
/// # Errors
/// There is no adapter where one is asked for, the model cannot be read, or a file cannot be written.
pub fn write(
    model: &Path,
    base: &Base,
    form: Form,
    generation: Option<Generation>,
    to: &Path,
) -> Result<Prompts, StageError> {
    match form {
        Form::Whole { .. } => write_whole(model, form, to)?,
        Form::Adapter => write_adapter(model, base, to)?,
    }
    let tokenizer = Tokenizer::load(to)?;
    let prompts = Prompts::of(to, &tokenizer, &ModelConfig::read(model)?)?;
    std::fs::write(to.join(LABEL_PROMPTS_FILE), prompts.to_json()?)?;
    generation::write(generation, base.folder.as_deref(), &tokenizer, &prompts, to)?;
    let licenses = base.cards.iter().flat_map(|folder| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        let names = stated_license(folder).files.into_iter();
        names
            .filter(move |name| name.chars().all(plain))
            .map(|name| folder.join(name))
    });
    let templates = base
        .folder
        .iter()
        .flat_map(|folder| CHAT_TEMPLATES.map(|name| folder.join(name)));
    for found in templates.chain(licenses) {
        if let Some(name) = found.file_name()
            && found
                .metadata()
                .is_ok_and(|file| file.len() <= LARGEST_LICENSE)
        {
            // Not a copy: links and read-only files of a cache become plain ones.
            std::fs::write(to.join(name), std::fs::read(&found)?)?;
        }
    }
    Ok(prompts)
}

/// Tokenizer and public schema.
fn write_beside(model: &Path, to: &Path) -> Result<(), StageError> {
    Tokenizer::load(model)?.save(to, None)?;
    let schema = std::fs::read(model.join(MODEL_SCHEMA_FILE))?;
    Ok(std::fs::write(to.join(MODEL_SCHEMA_FILE), schema)?)
}

fn write_adapter(model: &Path, base: &Base, to: &Path) -> Result<(), StageError> {
    let adapter = model.join(ADAPTER_FOLDER);
    let Some(public) = base_of(model).filter(|_| adapter.is_dir()) else {
        return Err(StageError::new(
            "it has no adapter: adapters are kept of rows with `parameters = \"lora\"` and an epsilon above 0 that this version of dpx \
             trained; leave `--adapter` out for the whole model",
        ));
    };
    let (own, public) = (ModelConfig::read(model)?, ModelConfig::read(&public)?);
    if own.vocabulary() != public.vocabulary() {
        return Err(StageError::new(format!(
            "it has {} tokens and the public model {}: labels of their own tokens (`label_integration = \"special-token\"`) are no part \
             of an adapter; leave `--adapter` out for the whole model",
            own.vocabulary(),
            public.vocabulary()
        )));
    }
    std::fs::create_dir_all(to)?;
    let mut config: Map<String, Value> =
        serde_json::from_slice(&std::fs::read(adapter.join(ADAPTER_CONFIG))?)?;
    if let Some((name, commit)) = &base.hub {
        config.insert("base_model_name_or_path".into(), name.as_str().into());
        config.insert("revision".into(), commit.as_str().into());
    }
    let config = format!("{:#}\n", Value::Object(config));
    std::fs::write(to.join(ADAPTER_CONFIG), config)?;
    std::fs::write(
        to.join(ADAPTER_WEIGHTS),
        std::fs::read(adapter.join(ADAPTER_WEIGHTS))?,
    )?;
    write_beside(model, to)
}
