//! Parameters of BERT and its descendants under their Hugging Face names.

use super::projection::Projection;
use super::relative::RelativeTable;
use super::{Bert, Block, PositionBias};
use crate::kernel::Heads;
use crate::model::config::{EncoderConfig, Family};
use crate::{Array, Embedding, Layout, Linear, Norm, Parameters, Role};
use dpx_schema::Device;

/// The names of a block's layers behind those of the stack and a number.
struct Names {
    blocks: &'static str,
    query: &'static str,
    key: &'static str,
    value: &'static str,
    attention_out: &'static str,
    first_norm: &'static str,
    up: &'static str,
    down: &'static str,
    second_norm: &'static str,
}

const BERT: Names = Names {
    blocks: "encoder.layer",
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_out: "attention.output.dense",
    first_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    second_norm: "output.LayerNorm",
};

const MPNET: Names = Names {
    query: "attention.attn.q",
    key: "attention.attn.k",
    value: "attention.attn.v",
    attention_out: "attention.attn.o",
    first_norm: "attention.LayerNorm",
    ..BERT
};

const DEBERTA: Names = Names {
    query: "attention.self.query_proj",
    key: "attention.self.key_proj",
    value: "attention.self.value_proj",
    ..BERT
};

const DISTILBERT: Names = Names {
    blocks: "transformer.layer",
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    attention_out: "attention.out_lin",
    first_norm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    second_norm: "output_layer_norm",
};

impl Names {
    const fn of(family: Family) -> &'static Self {
        match family {
            Family::Mpnet => &MPNET,
            Family::DistilBert => &DISTILBERT,
            Family::DebertaV2 => &DEBERTA,
            _ => &BERT,
        }
    }
}

/// Name of MPNet's table of position biases.
pub(crate) const POSITION_BIAS: &str = "mpnet.encoder.relative_attention_bias.weight";

impl Bert {
    /// A model whose every value comes from `value(name, role, shape)`, called in the order of the registry (a position bias,
    /// which stands in none, before all others), and lives on a device that can be used.
    ///
    /// # Errors
    /// The first error of `value`, before anything more is made.
    pub(crate) fn build<E>(
        config: EncoderConfig,
        device: Device,
        mut value: impl FnMut(&str, Role, &[usize]) -> Result<Array, E>,
    ) -> Result<Self, E> {
        let names = Names::of(config.family);
        let prefix = config.family.prefix();
        let position_bias = config
            .position_buckets
            .map(|buckets| value(POSITION_BIAS, Role::Weight, &[buckets, config.heads]))
            .transpose()?
            .map(PositionBias::new);
        let mut parameters = Parameters::new();
        let mut add = |name: &str, role: Role, shape: &[usize]| {
            let name = format!("{prefix}{name}");
            let array = value(&name, role, shape)?;
            assert_eq!(array.shape(), shape, "shape of `{name}`");
            Ok(parameters.add(name, role, array.on(device)))
        };
        let width = config.hidden;
        let mut table = |name: &str, entries: usize| {
            let name = format!("embeddings.{name}_embeddings.weight");
            add(&name, Role::Embedding, &[entries, config.embedding]).map(Embedding::new)
        };
        let tokens = table("word", config.vocabulary)?;
        let positions = config
            .position_table
            .then(|| table("position", config.positions))
            .transpose()?;
        let segments = config
            .segments
            .map(|segments| table("token_type", segments))
            .transpose()?;
        let relative = config
            .relative
            .map(|relative| {
                let shape = [2 * relative.span, width];
                let table = add("encoder.rel_embeddings.weight", Role::Embedding, &shape)?;
                Ok((relative, Embedding::new(table)))
            })
            .transpose()?;
        let mut norm = |name: &str, width: usize| {
            let weight = add(&format!("{name}.weight"), Role::Norm, &[width])?;
            let bias = add(&format!("{name}.bias"), Role::Norm, &[width])?;
            Ok(Norm::layer(weight, bias, config.norm_epsilon as f32))
        };
        let embedding_norm = norm("embeddings.LayerNorm", config.embedding)?;
        let relative = relative
            .map(|(relative, table)| {
                let norm = relative
                    .norm
                    .then(|| norm("encoder.LayerNorm", width))
                    .transpose()?;
                Ok(RelativeTable {
                    relative,
                    table,
                    norm,
                })
            })
            .transpose()?;
        let mut blocks = Vec::new();
        for layer in 0..config.layers {
            let name = |part: &str| format!("{}.{layer}.{part}", names.blocks);
            let first_norm = norm(&name(names.first_norm), width)?;
            let second_norm = norm(&name(names.second_norm), width)?;
            blocks.push((first_norm, second_norm));
        }
        let mut linear = |name: &str, inputs: usize, outputs: usize| {
            let weight = add(&format!("{name}.weight"), Role::Weight, &[outputs, inputs])?;
            let bias = add(&format!("{name}.bias"), Role::Bias, &[outputs])?;
            Ok(Linear::new(weight, Some(bias), Layout::OutIn))
        };
        let projection = (config.embedding != width)
            .then(|| linear("embeddings_project", config.embedding, width))
            .transpose()?;
        let mut linear = |layer: usize, part: &str, inputs: usize, outputs: usize| {
            linear(&format!("{}.{layer}.{part}", names.blocks), inputs, outputs)
        };
        let inner = config.intermediate;
        let blocks = blocks
            .into_iter()
            .enumerate()
            .map(|(layer, (first_norm, second_norm))| {
                let mut projection = |name: &str, apart: &str, meeting: usize| {
                    let tokens = linear(layer, name, width, width)?;
                    let of_places = config
                        .relative
                        .filter(|relative| !relative.shared && relative.meets[meeting]);
                    let apart = of_places.map(|_| linear(layer, apart, width, width));
                    Ok(Projection {
                        tokens,
                        apart: apart.transpose()?,
                        meeting,
                    })
                };
                Ok(Block {
                    query: projection(names.query, "attention.self.pos_query_proj", 1)?,
                    key: projection(names.key, "attention.self.pos_key_proj", 0)?,
                    value: linear(layer, names.value, width, width)?,
                    attention_out: linear(layer, names.attention_out, width, width)?,
                    first_norm,
                    up: linear(layer, names.up, width, inner)?,
                    down: linear(layer, names.down, inner, width)?,
                    second_norm,
                })
            })
            .collect::<Result<Vec<Block>, E>>()?;
        let mut heads = Heads::new(config.heads, width / config.heads, false);
        if let Some(relative) = config.relative {
            // Each meeting adds products of the same size.
            let meetings = relative.meets.iter().filter(|meets| **meets).count();
            heads.scale = 1.0 / ((heads.head_dim * (1 + meetings)) as f32).sqrt();
        }
        Ok(Self {
            config,
            parameters,
            heads,
            tokens,
            positions,
            segments,
            embedding_norm,
            projection,
            blocks,
            position_bias,
            relative,
        })
    }
}
