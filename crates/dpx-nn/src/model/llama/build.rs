//! Parameters of Llama under their Hugging Face names.

use super::Llama;
use super::block::{Angles, Block};
use crate::kernel::Heads;
use crate::model::config::LlamaConfig;
use crate::{Array, Embedding, Initializer, Layout, Linear, Lora, Norm, Parameters, Role};
use dpx_schema::Device;

impl Llama {
    /// A model whose every value comes from `value(name, role, shape)`, called in the order of the registry, and lives on a
    /// device that can be used.
    ///
    /// # Errors
    /// The first error of `value`, before anything more is made.
    pub fn build<E>(
        config: LlamaConfig,
        device: Device,
        mut value: impl FnMut(&str, Role, &[usize]) -> Result<Array, E>,
    ) -> Result<Self, E> {
        let mut parameters = Parameters::new();
        let mut add = |name: &str, role: Role, shape: &[usize]| {
            let array = value(name, role, shape)?;
            assert_eq!(array.shape(), shape, "shape of `{name}`");
            Ok(parameters.add(name, role, array.on(device)))
        };
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let queries = config.num_attention_heads * config.head_dim;
        let shared = config.num_key_value_heads * config.head_dim;
        let epsilon = config.rms_norm_eps as f32;
        let table = if config.tie_word_embeddings {
            Role::TiedEmbedding
        } else {
            Role::Embedding
        };
        let tokens = add(
            "model.embed_tokens.weight",
            table,
            &[config.vocab_size, width],
        )?;
        let mut blocks = Vec::new();
        for layer in 0..config.num_hidden_layers {
            let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
            let first = add(&name("input_layernorm"), Role::Norm, &[width])?;
            let second = add(&name("post_attention_layernorm"), Role::Norm, &[width])?;
            let mut linear = |part: &str, inputs: usize, outputs: usize| {
                let weight = add(&name(part), Role::Weight, &[outputs, inputs])?;
                Ok(Linear::new(weight, None, Layout::OutIn))
            };
            blocks.push(Block {
                first_norm: Norm::rms(first, epsilon),
                query: linear("self_attn.q_proj", width, queries)?,
                key: linear("self_attn.k_proj", width, shared)?,
                value: linear("self_attn.v_proj", width, shared)?,
                attention_out: linear("self_attn.o_proj", queries, width)?,
                second_norm: Norm::rms(second, epsilon),
                gate: linear("mlp.gate_proj", width, inner)?,
                up: linear("mlp.up_proj", width, inner)?,
                down: linear("mlp.down_proj", inner, width)?,
            });
        }
        let last_norm = Norm::rms(add("model.norm.weight", Role::Norm, &[width])?, epsilon);
        let head = if config.tie_word_embeddings {
            tokens
        } else {
            add("lm_head.weight", Role::Head, &[config.vocab_size, width])?
        };
        Ok(Self {
            heads: Heads::grouped(
                config.num_attention_heads,
                config.num_key_value_heads,
                config.head_dim,
                true,
            ),
            angles: angles(&config, device),
            parameters,
            tokens: Embedding::new(tokens),
            blocks,
            last_norm,
            head,
            config,
        })
    }

    /// Puts a low-rank adapter beside every linear layer of attention and feed-forward, without effect at first.
    pub fn add_lora(&mut self, rank: usize, alpha: f64, seed: u64) {
        let mut random = Initializer::new(seed);
        for block in &mut self.blocks {
            for linear in block.linears_mut() {
                let parameters = &mut self.parameters;
                linear.lora = Some(Lora::enter(parameters, linear, rank, alpha, &mut random));
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

/// Angle `position * theta^(-2 i / head_dim)` of pair i (Su et al. 2021), cosine and sine in f64.
fn angles(config: &LlamaConfig, device: Device) -> Angles {
    let half = config.head_dim / 2;
    let frequencies: Vec<f64> = (0..half)
        .map(|pair| {
            config
                .rope_theta
                .powf(-2.0 * pair as f64 / config.head_dim as f64)
        })
        .collect();
    let table = |function: fn(f64) -> f64| {
        let values = (0..config.max_position_embeddings)
            .flat_map(|position| {
                frequencies
                    .iter()
                    .map(move |frequency| function(position as f64 * frequency) as f32)
            })
            .collect();
        Array::from_vec(values, &[config.max_position_embeddings, half]).on(device)
    };
    Angles {
        cosines: table(f64::cos),
        sines: table(f64::sin),
    }
}
