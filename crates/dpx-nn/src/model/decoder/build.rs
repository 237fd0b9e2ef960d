//! The layers of a stack from its configuration, and its adapters.

use super::attention::{Attention, Projection};
use super::block::Block;
use super::feed_forward::{FeedForward, First};
use super::names::{self, Names};
use super::rotary::Angles;
use super::Decoder;
use crate::kernel::{Gelu, Heads};
use crate::model::config::{Activation, DecoderConfig, NormKind};
use crate::{Array, Embedding, Initializer, Layout, Linear, Lora, Norm, ParameterId, Parameters, Role};
use dpx_schema::Device;

/// Deviation of initial weights (Radford et al. 2019).
const DEVIATION: f64 = 0.02;

/// Enters parameters in a registry, in the order of the calls.
struct Registry<'a, F> {
    config: &'a DecoderConfig,
    layout: Layout,
    device: Device,
    parameters: Parameters,
    value: F,
}

impl<E, F: FnMut(&str, Role, &[usize]) -> Result<Array, E>> Registry<'_, F> {
    /// A parameter under its full name.
    fn add(&mut self, name: &str, role: Role, shape: &[usize]) -> Result<ParameterId, E> {
        let array = (self.value)(name, role, shape)?;
        assert_eq!(array.shape(), shape, "shape of `{name}`");
        Ok(self.parameters.add(name, role, array.on(self.device)))
    }

    /// A parameter under its name behind the family's prefix.
    fn inner(&mut self, name: &str, role: Role, shape: &[usize]) -> Result<ParameterId, E> {
        self.add(&format!("{}{name}", self.config.family.prefix()), role, shape)
    }

    fn norm(&mut self, name: &str, width: usize) -> Result<Norm, E> {
        let weight = self.inner(&format!("{name}.weight"), Role::Norm, &[width])?;
        let epsilon = self.config.sizes.norm_epsilon as f32;
        Ok(match self.config.norm {
            NormKind::Layer => {
                let bias = self.inner(&format!("{name}.bias"), Role::Norm, &[width])?;
                Norm::layer(weight, bias, epsilon)
            }
            NormKind::Rms => Norm::rms(weight, epsilon),
        })
    }

    fn linear(&mut self, name: &str, [inputs, outputs]: [usize; 2], biased: bool) -> Result<Linear, E> {
        let shape = match self.layout {
            Layout::InOut => [inputs, outputs],
            Layout::OutIn => [outputs, inputs],
        };
        let weight = self.inner(&format!("{name}.weight"), Role::Weight, &shape)?;
        let bias = biased
            .then(|| self.inner(&format!("{name}.bias"), Role::Bias, &[outputs]))
            .transpose()?;
        Ok(Linear::new(weight, bias, self.layout))
    }

    fn block(&mut self, names: &Names, layer: usize) -> Result<Block, E> {
        let config = self.config;
        let (sizes, biases) = (&config.sizes, config.biases);
        let (width, inner) = (sizes.hidden, sizes.intermediate);
        let (queries, shared) = (sizes.heads * sizes.head_dim, sizes.kv_heads * sizes.head_dim);
        let name = |part: &str| format!("{}.{layer}.{part}", names.blocks);
        let mut norm = |part: Option<&str>| part.map(|part| self.norm(&name(part), width)).transpose();
        let before_attention = norm(names.before_attention)?;
        let before_feed = norm(names.before_feed)?;
        let mut linear = |part: &str, shape: [usize; 2], biased: bool| self.linear(&name(part), shape, biased);
        let projection = match &names.projection {
            names::Projection::Separate([query, key, value]) => Projection::Separate([
                linear(query, [width, queries], biases.qkv)?,
                linear(key, [width, shared], biases.qkv)?,
                linear(value, [width, shared], biases.qkv)?,
            ]),
            names::Projection::Fused(part) => {
                Projection::Fused(linear(part, [width, queries + 2 * shared], biases.qkv)?)
            }
        };
        let out = linear(names.attention_out, [queries, width], biases.attention_out)?;
        let first = match &names.first {
            names::First::Plain(part) => First::Plain {
                up: linear(part, [width, inner], biases.feed_forward)?,
                gelu: match config.activation {
                    Activation::GeluErf => Gelu::Erf,
                    Activation::GeluTanh | Activation::Silu => Gelu::Tanh,
                },
            },
            names::First::Gated([gate, up]) => First::Gated {
                gate: linear(gate, [width, inner], biases.feed_forward)?,
                up: linear(up, [width, inner], biases.feed_forward)?,
            },
        };
        let down = linear(names.down, [inner, width], biases.feed_forward)?;
        Ok(Block {
            before_attention,
            attention: Attention {
                heads: Heads::grouped(sizes.heads, sizes.kv_heads, sizes.head_dim, config.family.is_causal()),
                projection,
                rotary: config.layers[layer].rotary,
                out,
            },
            before_feed,
            feed_forward: FeedForward { first, down },
        })
    }
}

impl Decoder {
    /// A GPT-2 with the initial weights of a seed: normal of deviation 0.02, divided by sqrt(2 x layers) for the layers
    /// that write to the residual stream; biases zero, scales one.
    ///
    /// # Panics
    /// When the configuration is that of another family.
    pub fn new_gpt2(config: DecoderConfig, seed: u64, device: Device) -> Self {
        assert_eq!(config.family, crate::model::Family::Gpt2, "a GPT-2 is made from scratch");
        let mut random = Initializer::new(seed);
        let residual = DEVIATION / (2.0 * config.sizes.layers as f64).sqrt();
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
        config: DecoderConfig,
        device: Device,
        value: impl FnMut(&str, Role, &[usize]) -> Result<Array, E>,
    ) -> Result<Self, E> {
        let names = Names::of(config.family);
        let mut registry = Registry {
            config: &config,
            layout: names.layout,
            device,
            parameters: Parameters::new(),
            value,
        };
        let (vocabulary, width) = (config.sizes.vocabulary, config.sizes.hidden);
        let table = if config.tied { Role::TiedEmbedding } else { Role::Embedding };
        let tokens = registry.inner(&format!("{}.weight", names.tokens), table, &[vocabulary, width])?;
        let positions = names
            .positions
            .map(|name| {
                let shape = [config.sizes.max_positions, width];
                registry.inner(&format!("{name}.weight"), Role::Embedding, &shape)
            })
            .transpose()?;
        let blocks = (0..config.sizes.layers)
            .map(|layer| registry.block(names, layer))
            .collect::<Result<_, E>>()?;
        let last_norm = registry.norm(names.last_norm, width)?;
        let head = if config.tied {
            tokens
        } else {
            registry.add(&format!("{}.weight", names.head), Role::Head, &[vocabulary, width])?
        };
        let angles = config
            .rotary
            .iter()
            .map(|rotary| Angles::new(rotary, config.sizes.max_positions, device))
            .collect();
        Ok(Self {
            parameters: registry.parameters,
            angles,
            tokens: Embedding::new(tokens),
            positions: positions.map(Embedding::new),
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
