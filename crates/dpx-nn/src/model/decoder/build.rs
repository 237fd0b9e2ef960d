//! The layers of a stack from its configuration, and its adapters.

use super::attention::{Attention, Projection, QueryKeyNorms};
use super::block::Block;
use super::feed_forward::{FeedForward, First, Gate};
use super::names::{self, Names, QUERY_KEY_NORMS};
use super::rotary::Angles;
use super::{Decoder, LOGITS_AT_ONCE};
use crate::kernel::{Gelu, Heads};
use crate::model::config::{Activation, DecoderConfig, Family, QueryKeyNorm};
use crate::{
    Array, Embedding, Initializer, Layout, Linear, Lora, Norm, ParameterId, Parameters, Role,
};
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
        self.add(
            &format!("{}{name}", self.config.family.prefix()),
            role,
            shape,
        )
    }

    fn norm(&mut self, name: &str, width: usize) -> Result<Norm, E> {
        let weight = self.inner(&format!("{name}.weight"), Role::Norm, &[width])?;
        let bias = self
            .config
            .norm_shift
            .then(|| self.inner(&format!("{name}.bias"), Role::Norm, &[width]))
            .transpose()?;
        Ok(Norm {
            weight,
            bias,
            epsilon: self.config.sizes.norm_epsilon as f32,
            kind: self.config.norm,
        })
    }

    fn linear(
        &mut self,
        name: &str,
        [inputs, outputs]: [usize; 2],
        biased: bool,
    ) -> Result<Linear, E> {
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
        let (sizes, width) = (&config.sizes, config.sizes.hidden);
        let name = |part: &str| format!("{}.{layer}.{part}", names.blocks);
        let mut norm =
            |part: Option<&str>| part.map(|part| self.norm(&name(part), width)).transpose();
        let first = layer > 0 || names.before_first_attention;
        let before_attention = norm(names.before_attention.filter(|_| first))?;
        let after_attention = norm(names.after_attention)?;
        let before_feed = norm(names.before_feed)?;
        let after_feed = norm(names.after_feed)?;
        let mut heads = Heads::grouped(
            sizes.heads,
            sizes.kv_heads,
            sizes.head_dim,
            config.family.is_causal(),
        )
        .within(config.layers[layer].window);
        if let Some(scale) = config.score_scale {
            heads.scale = scale;
        }
        Ok(Block {
            before_attention,
            attention: self.attention(names, layer, heads)?,
            after_attention,
            before_feed,
            feed_forward: self.feed_forward(names, layer)?,
            after_feed,
            parallel: config.parallel,
        })
    }

    fn attention(&mut self, names: &Names, layer: usize, heads: Heads) -> Result<Attention, E> {
        let config = self.config;
        let (width, biases) = (config.sizes.hidden, config.biases);
        let (queries, shared) = (heads.out_width(), heads.kv_heads * heads.head_dim);
        let name = |part: &str| format!("{}.{layer}.{part}", names.blocks);
        let norms = config
            .query_key_norm
            .map(|over| {
                let by_head = over == QueryKeyNorm::Heads;
                let [query, key] =
                    [queries, shared].map(|width| if by_head { heads.head_dim } else { width });
                Ok(QueryKeyNorms {
                    query: self.norm(&name(QUERY_KEY_NORMS[0]), query)?,
                    key: self.norm(&name(QUERY_KEY_NORMS[1]), key)?,
                    by_head,
                })
            })
            .transpose()?;
        let mut linear =
            |part: &str, shape: [usize; 2], biased: bool| self.linear(&name(part), shape, biased);
        let fused = [width, queries + 2 * shared];
        let projection = match &names.projection {
            names::Projection::Separate([query, key, value]) => Projection::Separate([
                linear(query, [width, queries], biases.qkv)?,
                linear(key, [width, shared], biases.qkv)?,
                linear(value, [width, shared], biases.qkv)?,
            ]),
            names::Projection::Fused(part) => Projection::Fused(linear(part, fused, biases.qkv)?),
            names::Projection::Interleaved(part) => {
                Projection::Interleaved(linear(part, fused, biases.qkv)?)
            }
        };
        Ok(Attention {
            heads,
            projection,
            norms,
            rotary: config.layers[layer].rotary,
            out: linear(names.attention_out, [queries, width], biases.attention_out)?,
        })
    }

    fn feed_forward(&mut self, names: &Names, layer: usize) -> Result<FeedForward, E> {
        let config = self.config;
        let (width, inner) = (config.sizes.hidden, config.sizes.intermediate);
        let mut linear = |part: &str, shape: [usize; 2]| {
            let name = format!("{}.{layer}.{part}", names.blocks);
            self.linear(&name, shape, config.biases.feed_forward)
        };
        let gate = match config.activation {
            Activation::Silu => Gate::Silu,
            Activation::GeluTanh => Gate::Gelu(Gelu::Tanh),
            Activation::GeluErf => Gate::Gelu(Gelu::Erf),
        };
        let first = match &names.first {
            names::First::Plain(part) => First::Plain {
                up: linear(part, [width, inner])?,
                gelu: match gate {
                    Gate::Gelu(form) => form,
                    Gate::Silu => unreachable!("`config` gives no such family without a gate"),
                },
            },
            names::First::Gated([one, other]) => First::Gated {
                linears: [linear(one, [width, inner])?, linear(other, [width, inner])?],
                gate,
            },
            names::First::Fused(part) => First::Fused {
                both: linear(part, [width, 2 * inner])?,
                gate,
            },
        };
        let down = linear(names.down, [inner, width])?;
        Ok(FeedForward { first, down })
    }
}

impl Decoder {
    /// A GPT-2 with the initial weights of a seed: normal of deviation 0.02, divided by sqrt(2 x layers) for the layers
    /// that write to the residual stream; biases zero, scales one.
    ///
    /// # Panics
    /// When the configuration is that of another family.
    pub fn new_gpt2(config: DecoderConfig, seed: u64, device: Device) -> Self {
        assert_eq!(config.family, Family::Gpt2, "a GPT-2 is made from scratch");
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
        let table = if config.tied {
            Role::TiedEmbedding
        } else {
            Role::Embedding
        };
        let tokens = registry.inner(
            &format!("{}.weight", names.tokens),
            table,
            &[vocabulary, width],
        )?;
        let positions = names
            .positions
            .map(|name| {
                let shape = [config.sizes.max_positions, width];
                registry.inner(&format!("{name}.weight"), Role::Embedding, &shape)
            })
            .transpose()?;
        let embedding_norm = names
            .embedding_norm
            .map(|name| registry.norm(name, width))
            .transpose()?;
        let blocks = (0..config.sizes.layers)
            .map(|layer| registry.block(names, layer))
            .collect::<Result<_, E>>()?;
        let last_norm = registry.norm(names.last_norm, width)?;
        let head = if config.tied {
            tokens
        } else {
            registry.add(
                &format!("{}.weight", names.head),
                Role::Head,
                &[vocabulary, width],
            )?
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
            embedding_norm,
            blocks,
            last_norm,
            head,
            recomputes: false,
            logits_at_once: LOGITS_AT_ONCE,
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

    /// Adds the adapters to the weights and takes them out of the model, whose weights are all f32 then: rounded ones stay what
    /// they were rounded to, plus the adapter.
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
        for (_, parameter) in self.parameters.iter_mut() {
            parameter.value = parameter.value.widened();
        }
        self
    }
}
