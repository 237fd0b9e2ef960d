//! A causal language model of any supported architecture, from a folder and back.

use super::weights::{StoredAs, write};
use super::{
    Architecture, CausalModel, Decoder, Family, ModelConfig, ModelError, Weights, adapter, load,
};
use crate::device::DeviceExt;
use crate::{
    Arithmetic, Array, Batch, Error, GradSample, KvCache, Network, Parameters, Role, RoundedMatrix,
    Tape,
};
use dpx_schema::Device;
use dpx_schema::params::BasePrecision;
use std::path::Path;

/// A causal language model with its `config.json`.
#[derive(Debug, Clone)]
pub struct CausalLm {
    config: ModelConfig,
    network: Decoder,
    /// How the weights were rounded when they were read.
    base_precision: BasePrecision,
}

/// Reads the causal language model of a folder onto a device. One that is stored as a public base with an adapter on it is
/// merged, its base rounded as it was in training.
///
/// # Errors
/// When the folder holds another kind of model, a tensor is missing, misshapen or without a place, or the device
/// cannot be used.
pub fn load_causal(folder: impl AsRef<Path>, device: Device) -> Result<CausalLm, ModelError> {
    device.usable()?;
    let folder = folder.as_ref();
    match adapter::base_of(folder) {
        Some(base) => adapter::merged(folder, &base, |base, precision| {
            load_whole(base, device, precision)
        }),
        None => load_whole(folder, device, BasePrecision::F32),
    }
}

/// Reads a causal language model that is stored with all of its weights, to put adapters beside it: its matrices are rounded as
/// `precision` says, each as it is read.
///
/// # Errors
/// As [`load_causal`].
pub fn load_frozen(
    folder: impl AsRef<Path>,
    device: Device,
    precision: BasePrecision,
) -> Result<CausalLm, ModelError> {
    device.usable()?;
    load_whole(folder.as_ref(), device, precision)
}

/// Reads a model that is stored with all of its weights.
fn load_whole(
    folder: &Path,
    device: Device,
    precision: BasePrecision,
) -> Result<CausalLm, ModelError> {
    let mut config = ModelConfig::read(folder)?;
    let mut weights = Weights::open(folder, config.prefix())?;
    load::untie_where_stored(&mut config, &mut weights)?;
    let value =
        |name: &str, _: Role, shape: &[usize]| load::frozen(&mut weights, name, shape, precision);
    let network = match &config.architecture {
        Architecture::Decoder(stack) if stack.family.is_causal() => {
            Decoder::build(stack.clone(), device, value)?
        }
        _ => {
            return Err(ModelError::unsupported(
                folder.join("config.json"),
                format!(
                    "`model_type` is `{}`, which writes no text; models of these types do: {}",
                    config.model_type(),
                    Family::list(Family::is_causal)
                ),
            ));
        }
    };
    weights.finish(|name| load::is_buffer(&config, name))?;
    Ok(CausalLm {
        config,
        network,
        base_precision: precision,
    })
}

impl CausalLm {
    /// A GPT-2 with random weights; `config` must describe one.
    ///
    /// # Errors
    /// When it describes another architecture, or the device cannot be used.
    pub fn new_gpt2(config: ModelConfig, seed: u64, device: Device) -> Result<Self, ModelError> {
        device.usable()?;
        match &config.architecture {
            Architecture::Decoder(stack) if stack.family == Family::Gpt2 => Ok(Self {
                network: Decoder::new_gpt2(stack.clone(), seed, device),
                config,
                base_precision: BasePrecision::F32,
            }),
            _ => Err(ModelError::Input(format!(
                "only `gpt2` models are made from scratch, not `{}`",
                config.model_type()
            ))),
        }
    }

    /// The model's `config.json`.
    pub const fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// How the weights were rounded when they were read.
    pub const fn base_precision(&self) -> BasePrecision {
        self.base_precision
    }

    /// Whether the backward pass computes the activations of each block anew instead of keeping them. No bit of a result changes.
    pub const fn set_activation_checkpointing(&mut self, on: bool) {
        self.network.set_activation_checkpointing(on);
    }

    /// Writes `config.json` of the folder of an adapted model, which says how the base in it was rounded.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_adapted_config(&self, folder: &Path) -> Result<(), ModelError> {
        adapter::write_config(&self.config, self.base_precision, folder)
    }

    /// Puts a low-rank adapter beside every linear layer of the blocks, without effect at first.
    pub fn add_lora(&mut self, rank: usize, alpha: f64, seed: u64) {
        self.network.add_lora(rank, alpha, seed);
    }

    /// Adds the adapters to the weights and takes them out of the model. Rounded weights become f32: what they were rounded to, plus
    /// the adapter.
    #[must_use]
    pub fn merge_lora(mut self) -> Self {
        self.parameters_mut().compute_in(Arithmetic::F32);
        self.network = self.network.merge_lora();
        self
    }

    /// Makes room for `vocabulary` tokens. New rows of the embedding, and of the output layer where it is untied, are the
    /// mean of the old ones, so that a new token is at first as likely as an average one. A smaller number changes nothing.
    ///
    /// # Errors
    /// None in practice: the rebuilt model has the shapes of the old one.
    pub fn resize_vocabulary(&mut self, vocabulary: usize) -> Result<(), ModelError> {
        let old = self.config.vocabulary();
        if vocabulary <= old {
            return Ok(());
        }
        let parameters = self.parameters().clone();
        let (device, precision) = (parameters.device(), self.base_precision);
        let value = |name: &str, _: Role, shape: &[usize]| {
            let id = parameters.find(name).ok_or_else(|| {
                ModelError::Input(format!(
                    "tensor `{name}` is missing while the vocabulary grows"
                ))
            })?;
            let array = parameters.value(id);
            Ok(if array.shape() == shape {
                array.clone()
            } else {
                with_mean_rows(array, vocabulary, precision)
            })
        };
        let recomputes = self.network.recomputes();
        if let Architecture::Decoder(stack) = &mut self.config.architecture {
            stack.sizes.vocabulary = vocabulary;
            self.network = Decoder::build::<ModelError>(stack.clone(), device, value)?;
            self.network.set_activation_checkpointing(recomputes);
        }
        Ok(())
    }

    /// Writes `config.json` and `model.safetensors`. Adapters must be merged before. The tokenizer is written by its owner.
    ///
    /// # Errors
    /// When a file cannot be written or adapters are left.
    pub fn save(&self, folder: &Path, stored_as: StoredAs) -> Result<(), ModelError> {
        if let Some((_, adapter)) = self.parameters().iter().find(|(_, p)| p.role == Role::Lora) {
            return Err(ModelError::Input(format!(
                "adapter `{}` is not merged: call `merge_lora` before `save`",
                adapter.name
            )));
        }
        self.config.write_as(folder, stored_as)?;
        write(folder, stored(self.parameters()), stored_as)
    }
}

/// Parameters as they are written.
pub(super) fn stored(
    parameters: &Parameters,
) -> impl Iterator<Item = (String, Vec<usize>, Vec<f32>)> {
    parameters.iter().map(|(_, parameter)| {
        let value = &parameter.value;
        (
            parameter.name.clone(),
            value.shape().to_vec(),
            value.to_vec(),
        )
    })
}

/// A table with rows added up to `rows`, each the mean of those that were there; rounded as they were.
fn with_mean_rows(table: &Array, rows: usize, precision: BasePrecision) -> Array {
    let (old, width) = (table.rows(), table.width());
    let mut mean = vec![0.0f64; width];
    table.visit(|values| {
        for row in values.chunks_exact(width) {
            for (sum, value) in mean.iter_mut().zip(row) {
                *sum += f64::from(*value);
            }
        }
    });
    let mean: Vec<f32> = mean.iter().map(|sum| (sum / old as f64) as f32).collect();
    let rounded = RoundedMatrix::with_capacity(precision, rows, width);
    if let Some(mut matrix) = rounded.filter(|_| table.is_rounded()) {
        // What was rounded before does not change when it is rounded again.
        table.visit(|values| matrix.push_rows(values));
        for _ in old..rows {
            matrix.push_rows(&mean);
        }
        return Array::rounded(matrix);
    }
    let mut values = table.to_vec();
    for _ in old..rows {
        values.extend(&mean);
    }
    Array::from_vec(values, &[rows, width])
}

impl Network for CausalLm {
    fn parameters(&self) -> &Parameters {
        self.network.parameters()
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        self.network.parameters_mut()
    }

    fn forward_backward(&self, batch: &Batch) -> Result<Tape, Error> {
        self.network.forward_backward(batch)
    }

    fn backward_in_parts(
        &self,
        batch: &Batch,
        passes: usize,
        part: &mut dyn FnMut(usize, Vec<GradSample>),
    ) -> Result<Vec<f64>, Error> {
        self.network.backward_in_parts(batch, passes, part)
    }

    fn recomputes(&self) -> bool {
        self.network.recomputes()
    }

    fn forward_loss(&self, batch: &Batch) -> Result<Vec<f64>, Error> {
        self.network.forward_loss(batch)
    }
}

impl CausalModel for CausalLm {
    fn vocabulary(&self) -> usize {
        self.network.vocabulary()
    }

    fn context(&self) -> usize {
        self.network.context()
    }

    fn logits(&self, sequences: &[&[u32]]) -> Result<Array, Error> {
        self.network.logits(sequences)
    }

    fn prefill(&self, prompts: &[&[u32]], capacity: usize) -> Result<(KvCache, Array), Error> {
        self.network.prefill(prompts, capacity)
    }

    fn decode(&self, cache: &mut KvCache, tokens: &[u32]) -> Result<Array, Error> {
        self.network.decode(cache, tokens)
    }
}
