//! Parameters of GPT-2 under their Hugging Face names.

use super::{Block, Gpt2};
use crate::kernel::Heads;
use crate::model::config::Gpt2Config;
use crate::{Array, Embedding, Initializer, Layout, Linear, Lora, Norm, Parameters, Role};
use dpx_schema::Device;

/// Deviation of initial weights (Radford et al. 2019).
const DEVIATION: f64 = 0.02;

impl Gpt2 {
    /// A model with the initial weights of a seed: normal of deviation 0.02, divided by sqrt(2 x layers) for the layers
    /// that write to the residual stream; biases zero, scales one.
    pub fn new(config: Gpt2Config, seed: u64, device: Device) -> Self {
        let mut random = Initializer::new(seed);
        let residual = DEVIATION / (2.0 * config.n_layer as f64).sqrt();
        let built = Self::build(config, device, |name, role, shape| {
            Ok::<_, std::convert::Infallible>(match role {
                Role::Norm if name.ends_with("weight") => Array::full(shape, 1.0),
                Role::Bias | Role::Norm => Array::zeros(shape),
                _ if name.ends_with("c_proj.weight") => random.normal(shape, residual),
                _ => random.normal(shape, DEVIATION),
            })
        });
        match built {
            Ok(model) => model,
            Err(never) => match never {},
        }
    }

    /// A model whose every value comes from `value(name, role, shape)`, called in the order of the registry, and lives on a
    /// device that can be used.
    ///
    /// # Errors
    /// The first error of `value`, before anything more is made.
    pub fn build<E>(
        config: Gpt2Config,
        device: Device,
        mut value: impl FnMut(&str, Role, &[usize]) -> Result<Array, E>,
    ) -> Result<Self, E> {
        let mut parameters = Parameters::new();
        let mut add = |name: &str, role: Role, shape: &[usize]| {
            let name = format!("transformer.{name}");
            let array = value(&name, role, shape)?;
            assert_eq!(array.shape(), shape, "shape of `{name}`");
            Ok(parameters.add(name, role, array.on(device)))
        };
        let (width, inner) = (config.n_embd, config.n_inner);
        let epsilon = config.layer_norm_epsilon as f32;
        let tokens = add(
            "wte.weight",
            Role::TiedEmbedding,
            &[config.vocab_size, width],
        )?;
        let positions = add("wpe.weight", Role::Embedding, &[config.n_positions, width])?;
        let mut blocks = Vec::with_capacity(config.n_layer);
        for layer in 0..config.n_layer {
            let mut norm = |name: &str| {
                let weight = add(&format!("h.{layer}.{name}.weight"), Role::Norm, &[width])?;
                let bias = add(&format!("h.{layer}.{name}.bias"), Role::Norm, &[width])?;
                Ok(Norm::layer(weight, bias, epsilon))
            };
            let (first_norm, second_norm) = (norm("ln_1")?, norm("ln_2")?);
            let mut linear = |name: &str, inputs: usize, outputs: usize| {
                let shape = [inputs, outputs];
                let weight = add(&format!("h.{layer}.{name}.weight"), Role::Weight, &shape)?;
                let bias = add(&format!("h.{layer}.{name}.bias"), Role::Bias, &[outputs])?;
                Ok(Linear::new(weight, Some(bias), Layout::InOut))
            };
            blocks.push(Block {
                first_norm,
                attention_in: linear("attn.c_attn", width, 3 * width)?,
                attention_out: linear("attn.c_proj", width, width)?,
                second_norm,
                up: linear("mlp.c_fc", width, inner)?,
                down: linear("mlp.c_proj", inner, width)?,
            });
        }
        let last_norm = Norm::layer(
            add("ln_f.weight", Role::Norm, &[width])?,
            add("ln_f.bias", Role::Norm, &[width])?,
            epsilon,
        );
        Ok(Self {
            heads: Heads::new(config.n_head, width / config.n_head, true),
            parameters,
            tokens: Embedding::new(tokens),
            positions: Embedding::new(positions),
            blocks,
            last_norm,
            config,
        })
    }

    /// Puts a low-rank adapter beside every linear layer of attention and feed-forward, without effect at first.
    pub fn add_lora(&mut self, rank: usize, alpha: f64, seed: u64) {
        let mut random = Initializer::new(seed);
        for block in &mut self.blocks {
            for linear in block.linears_mut() {
                linear.lora = Some(Lora::enter(
                    &mut self.parameters,
                    linear,
                    rank,
                    alpha,
                    &mut random,
                ));
            }
        }
    }

    /// Adds the adapters to the weights and takes them out of the model.
    #[must_use]
    pub fn merge_lora(mut self) -> Self {
        for block in &mut self.blocks {
            for linear in block.linears_mut() {
                if let Some(lora) = linear.lora.take() {
                    lora.merge(&mut self.parameters, linear.weight, linear.layout);
                }
            }
        }
        self.parameters.remove_role(Role::Lora);
        self
    }
}

impl Block {
    fn linears_mut(&mut self) -> [&mut Linear; 4] {
        [
            &mut self.attention_in,
            &mut self.attention_out,
            &mut self.up,
            &mut self.down,
        ]
    }
}
