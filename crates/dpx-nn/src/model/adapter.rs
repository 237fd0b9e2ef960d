//! Models that are stored as a public base with a low-rank adapter on it, and adapters in the layout of PEFT.
//!
//! The folder of such a model has `config.json` and, in `base/`, configuration and weights of the public model byte by byte: the
//! rows of a sweep share them in a cache that knows files by their content. `adapter/` holds what was learned, where anything was.

use super::weights::{StoredAs, copy_weights, write_file};
use super::{CausalLm, CausalModel, Family, ModelConfig, ModelError, Weights};
use crate::{Array, Network, Role};
use dpx_schema::params::BasePrecision;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folder of the public model in the folder of one that was adapted.
pub const BASE_FOLDER: &str = "base";
/// Folder of the adapter in the folder of a model.
pub const ADAPTER_FOLDER: &str = "adapter";
/// The configuration of an adapter, as PEFT calls it.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
/// The weights of an adapter, as PEFT calls them.
pub const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";

/// What PEFT writes before the name of each tensor.
const PREFIX: &str = "base_model.model.";

/// Where the public model of a folder is, where the folder holds a model that is stored as an adapter on it.
pub fn base_of(folder: &Path) -> Option<PathBuf> {
    let base = folder.join(BASE_FOLDER);
    (base.is_dir() || folder.join(ADAPTER_FOLDER).is_dir()).then_some(base)
}

/// Copies configuration and weights of a model, byte by byte, to a folder that is made for them.
///
/// # Errors
/// When there are no weights that dpx reads, or a file cannot be copied.
pub fn copy_base(from: &Path, to: &Path) -> Result<(), ModelError> {
    std::fs::create_dir_all(to).map_err(|error| ModelError::write(to, error))?;
    let config = from.join("config.json");
    // A GGUF file holds its configuration.
    if crate::gguf::find(from).ok().flatten().is_none() {
        std::fs::copy(&config, to.join("config.json"))
            .map_err(|error| ModelError::read(&config, error))?;
    }
    copy_weights(from, to)
}

/// Key of the `config.json` of an adapted model that says how the matrices of its base were rounded in training; without it they
/// were not. Models that are merged do not have it.
const BASE_PRECISION: &str = "dpx_base_precision";

/// Writes `config.json` of an adapted model.
pub(super) fn write_config(
    config: &ModelConfig,
    precision: BasePrecision,
    folder: &Path,
) -> Result<(), ModelError> {
    let mut config = config.clone();
    config.raw.remove(BASE_PRECISION);
    if !precision.is_f32() {
        config
            .raw
            .insert(BASE_PRECISION.into(), precision.name().into());
    }
    config.write(folder)
}

/// How the base of an adapted model was rounded in training.
///
/// # Errors
/// When `config.json` cannot be read, or names a rounding that this version of dpx does not know.
pub fn base_precision(folder: &Path) -> Result<BasePrecision, ModelError> {
    rounding_of(&ModelConfig::read(folder)?, folder)
}

fn rounding_of(config: &ModelConfig, folder: &Path) -> Result<BasePrecision, ModelError> {
    let Some(value) = config.raw.get(BASE_PRECISION) else {
        return Ok(BasePrecision::F32);
    };
    serde_json::from_value(value.clone()).map_err(|_| {
        ModelError::unsupported(
            folder.join("config.json"),
            format!("`{BASE_PRECISION}` is {value}: expected \"f32\", \"bf16\" or \"int8\"; a newer dpx may know it"),
        )
    })
}

/// Rank and scale of an adapter.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shape {
    rank: usize,
    alpha: f64,
}

impl Shape {
    fn read(path: &Path) -> Result<Self, ModelError> {
        let bytes = std::fs::read(path).map_err(|error| ModelError::read(path, error))?;
        let config: Map<String, Value> = serde_json::from_slice(&bytes)
            .map_err(|error| ModelError::malformed(path, format!("no JSON object: {error}")))?;
        let number = |key: &str| {
            config.get(key).and_then(Value::as_f64).ok_or_else(|| {
                ModelError::malformed(path, format!("`{key}` is missing: expected a number"))
            })
        };
        let rank = number("r")?;
        if rank < 1.0 || rank.fract() != 0.0 {
            return Err(ModelError::malformed(
                path,
                format!("`r` is {rank}: expected a whole number above 0"),
            ));
        }
        for key in ["use_dora", "use_rslora"] {
            if config.get(key).is_some_and(|value| *value == true) {
                return Err(ModelError::unsupported(
                    path,
                    format!("`{key}` is set; dpx reads plain LoRA alone"),
                ));
            }
        }
        Ok(Self {
            rank: rank as usize,
            alpha: number("lora_alpha")?,
        })
    }
}

impl CausalLm {
    /// Writes the adapters of the model in the layout of PEFT: `adapter_config.json` (which names no base) and
    /// `adapter_model.safetensors`. `alpha` is the one that they were made with.
    ///
    /// # Errors
    /// When the model has none, or a file cannot be written.
    pub fn save_adapter(&self, folder: &Path, alpha: f64) -> Result<(), ModelError> {
        let adapters = || {
            let all = self.parameters().iter().map(|(_, parameter)| parameter);
            all.filter(|parameter| parameter.role == Role::Lora)
        };
        let rank = adapters()
            .find(|parameter| parameter.name.ends_with(".lora_A.weight"))
            .map(|down| down.value.rows())
            .ok_or_else(|| ModelError::Input("the model has no adapter to save".into()))?;
        let layers: BTreeSet<&str> = adapters()
            .filter_map(|parameter| parameter.name.strip_suffix(".lora_A.weight"))
            .filter_map(|layer| layer.rsplit('.').next())
            .collect();
        let config = json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": null,
            "revision": null,
            "inference_mode": true,
            "r": rank,
            "lora_alpha": whole(alpha),
            "lora_dropout": 0.0,
            "bias": "none",
            // Weights of GPT-2's layers are stored as `[inputs, outputs]`.
            "fan_in_fan_out": self.config().family() == Family::Gpt2,
            "target_modules": layers,
            "modules_to_save": null,
            "init_lora_weights": true,
            "use_rslora": false,
            "use_dora": false,
        });
        std::fs::create_dir_all(folder).map_err(|error| ModelError::write(folder, error))?;
        let path = folder.join(ADAPTER_CONFIG);
        std::fs::write(&path, format!("{config:#}\n"))
            .map_err(|error| ModelError::write(&path, error))?;
        let tensors = adapters().map(|parameter| {
            let value = &parameter.value;
            let name = format!("{PREFIX}{}", parameter.name);
            (name, value.shape().to_vec(), value.to_vec())
        });
        write_file(&folder.join(ADAPTER_WEIGHTS), tensors, StoredAs::F32)
    }

    /// Puts the adapter of a folder, as [`CausalLm::save_adapter`] wrote it, beside the linear layers that it was made for.
    ///
    /// # Errors
    /// When it cannot be read, is none of plain LoRA, or does not fit the model.
    fn add_adapter(&mut self, folder: &Path) -> Result<(), ModelError> {
        let shape = Shape::read(&folder.join(ADAPTER_CONFIG))?;
        let mut weights = Weights::open_file(&folder.join(ADAPTER_WEIGHTS), PREFIX)?;
        self.add_lora(shape.rank, shape.alpha, 0);
        let device = self.parameters().device();
        for (_, parameter) in self.parameters_mut().iter_mut() {
            if parameter.role == Role::Lora {
                let shape = parameter.value.shape().to_vec();
                let values = weights.take(&parameter.name, &shape)?;
                parameter.value = Array::from_vec(values, &shape).on(device);
            }
        }
        weights.finish(|_| false)
    }
}

/// A model that is stored as a base with an adapter, as one: `whole` reads the base and rounds it as it was in training. The weights
/// are those that it was rounded to, plus the adapter.
pub(super) fn merged(
    folder: &Path,
    base: &Path,
    whole: impl FnOnce(&Path, BasePrecision) -> Result<CausalLm, ModelError>,
) -> Result<CausalLm, ModelError> {
    let config = ModelConfig::read(folder)?;
    let precision = rounding_of(&config, folder)?;
    if !base.is_dir() {
        return Err(ModelError::malformed(
            base,
            "it is missing: the folder holds an adapter without the public model that it was trained on",
        ));
    }
    let mut model = whole(base, precision)?;
    if config.family() != model.config().family() || config.vocabulary() < model.vocabulary() {
        return Err(ModelError::malformed(
            base,
            format!(
                "it is a `{}` of {} tokens, but config.json beside it asks for a `{}` of {}: it is another model than the one \
                 that was adapted",
                model.config().model_type(),
                model.vocabulary(),
                config.model_type(),
                config.vocabulary()
            ),
        ));
    }
    model.resize_vocabulary(config.vocabulary())?;
    let adapter = folder.join(ADAPTER_FOLDER);
    if adapter.is_dir() {
        model.add_adapter(&adapter)?;
    }
    Ok(model.merge_lora())
}

/// A number without a fraction as a whole number, which is how PEFT writes `lora_alpha`.
fn whole(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e9 {
        Value::from(number as i64)
    } else {
        Value::from(number)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{load_causal, load_frozen};
    use super::*;
    use dpx_schema::Device;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/fixtures")
            .join(name)
    }

    /// A model with an adapter of made-up values, stored as base and adapter; the same one merged where it was made.
    fn adapted(name: &str, folder: &Path) -> CausalLm {
        rounded(name, BasePrecision::F32, folder)
    }

    /// The same with a base that was rounded.
    fn rounded(name: &str, precision: BasePrecision, folder: &Path) -> CausalLm {
        copy_base(&fixture(name), &folder.join(BASE_FOLDER)).unwrap();
        let mut model = load_frozen(folder.join(BASE_FOLDER), Device::Cpu, precision).unwrap();
        model.resize_vocabulary(model.vocabulary() + 3).unwrap();
        model.add_lora(3, 6.5, 7);
        for (_, parameter) in model.parameters_mut().iter_mut() {
            if parameter.name.ends_with("lora_B.weight") {
                let shape = parameter.value.shape().to_vec();
                let count: usize = shape.iter().product();
                let values = (0..count).map(|at| (at % 7) as f32 * 0.01 - 0.03);
                parameter.value = Array::from_vec(values.collect(), &shape);
            }
        }
        model.write_adapted_config(folder).unwrap();
        model
            .save_adapter(&folder.join(ADAPTER_FOLDER), 6.5)
            .unwrap();
        model.merge_lora()
    }

    #[test]
    fn what_is_read_back_is_the_merged_model_to_the_last_bit() {
        for name in [
            "gpt2-tiny",
            "llama-tiny-untied",
            "gpt-neox-tiny",
            "gemma3-tiny",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let made = adapted(name, folder.path());
            let read = load_causal(folder.path(), Device::Cpu).unwrap();
            assert_eq!(read.parameters().len(), made.parameters().len(), "{name}");
            for ((_, one), (_, other)) in read.parameters().iter().zip(made.parameters().iter()) {
                assert_eq!(one.name, other.name, "{name}");
                assert_eq!(one.value.to_vec(), other.value.to_vec(), "{name}");
            }
            let base = load_causal(folder.path().join(BASE_FOLDER), Device::Cpu).unwrap();
            let ids = [1, 2, 3, 4];
            let (with, without) = (read.logits(&[&ids]), base.logits(&[&ids]));
            assert_ne!(with.unwrap().to_vec(), without.unwrap().to_vec(), "{name}");
        }
    }

    /// What was trained is what is read: the folder says how its base was rounded.
    #[test]
    fn a_rounded_base_is_read_as_it_was_in_training() {
        for precision in [BasePrecision::Bf16, BasePrecision::Int8] {
            let folder = tempfile::tempdir().unwrap();
            let made = rounded("llama-tiny", precision, folder.path());
            let values = |model: &CausalLm| {
                let parameters = model.parameters().iter();
                let values = parameters.map(|(_, one)| one.value.to_vec());
                values.collect::<Vec<_>>()
            };
            let read = load_causal(folder.path(), Device::Cpu).unwrap();
            assert_eq!(values(&read), values(&made));
            assert_eq!(base_precision(folder.path()).unwrap(), precision);
            // Without an adapter, as at epsilon 0, too.
            let adapter = folder.path().join(ADAPTER_FOLDER);
            std::fs::rename(&adapter, folder.path().join("elsewhere")).unwrap();
            let base = load_causal(folder.path(), Device::Cpu).unwrap();
            assert!(
                base.parameters()
                    .iter()
                    .all(|(_, one)| !one.value.is_rounded())
            );
            std::fs::rename(folder.path().join("elsewhere"), &adapter).unwrap();
            let public = load_causal(folder.path().join(BASE_FOLDER), Device::Cpu).unwrap();
            assert_ne!(values(&base)[0], values(&public)[0]);
            // A merged model is none that has to be rounded any more.
            let merged = tempfile::tempdir().unwrap();
            made.save(merged.path(), StoredAs::F32).unwrap();
            assert_eq!(base_precision(merged.path()).unwrap(), BasePrecision::F32);
            assert_eq!(
                values(&load_causal(merged.path(), Device::Cpu).unwrap()),
                values(&made)
            );
            let path = folder.path().join("config.json");
            let text = std::fs::read_to_string(&path).unwrap();
            let name = format!("\"{}\"", precision.name());
            std::fs::write(&path, text.replace(&name, "\"int4\"")).unwrap();
            let refused = load_causal(folder.path(), Device::Cpu).unwrap_err();
            assert!(
                refused.to_string().contains("expected \"f32\", \"bf16\""),
                "{refused}"
            );
        }
    }

    #[test]
    fn names_and_settings_are_those_of_peft() {
        let folder = tempfile::tempdir().unwrap();
        adapted("gpt2-tiny", folder.path());
        let adapter = folder.path().join(ADAPTER_FOLDER);
        let config: Value =
            serde_json::from_slice(&std::fs::read(adapter.join(ADAPTER_CONFIG)).unwrap()).unwrap();
        assert_eq!(
            config["target_modules"],
            json!(["c_attn", "c_fc", "c_proj"])
        );
        assert_eq!(
            (&config["r"], &config["lora_alpha"]),
            (&json!(3), &json!(6.5))
        );
        assert_eq!(config["fan_in_fan_out"], true);
        assert_eq!(whole(16.0), json!(16));
        let weights = Weights::open_file(&adapter.join(ADAPTER_WEIGHTS), "").unwrap();
        assert!(weights.contains("base_model.model.transformer.h.0.attn.c_attn.lora_A.weight"));
    }

    #[test]
    fn a_base_that_changed_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        adapted("llama-tiny", folder.path());
        let read = || {
            let refused = load_causal(folder.path(), Device::Cpu).unwrap_err();
            refused.to_string()
        };
        let base = folder.path().join(BASE_FOLDER);
        std::fs::remove_dir_all(&base).unwrap();
        assert!(read().contains("it is missing"), "{}", read());
        copy_base(&fixture("gpt2-tiny"), &base).unwrap();
        assert!(read().contains("another model"), "{}", read());
        let adapter = folder.path().join(ADAPTER_FOLDER);
        let path = adapter.join(ADAPTER_CONFIG);
        let text = std::fs::read_to_string(&path).unwrap();
        copy_base(&fixture("llama-tiny"), &base).unwrap();
        std::fs::write(&path, text.replace("\"r\": 3", "\"r\": 4")).unwrap();
        assert!(read().contains("lora_A.weight` has shape [3"), "{}", read());
        std::fs::write(
            &path,
            text.replace("\"use_dora\": false", "\"use_dora\": true"),
        )
        .unwrap();
        assert!(read().contains("`use_dora`"), "{}", read());
    }
}
