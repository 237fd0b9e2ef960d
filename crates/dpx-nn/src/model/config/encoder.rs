//! What a stack of post-norm blocks computes: BERT and its descendants.

use super::{Family, Fields, Relative};
use crate::model::ModelError;

/// A stack of blocks, each with attention and a feed-forward layer, a layer norm over the sum of each with its residual.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderConfig {
    /// The architecture, as `model_type` of config.json names it.
    pub family: Family,
    /// Number of tokens: rows of the embedding.
    pub vocabulary: usize,
    /// Rows of the table of positions, or longest text where there is none.
    pub positions: usize,
    /// Whether positions are added to the embeddings.
    pub position_table: bool,
    /// The padding token of families that count positions from behind its number on, and leave it out where it stands inside
    /// a text.
    pub padding: Option<u32>,
    /// Rows of the table of segments, of which a single text is the first; none where the family has no segments.
    pub segments: Option<usize>,
    /// Width of the embeddings; where it is not that of the hidden states a linear layer stands between.
    pub embedding: usize,
    /// Width of the hidden states.
    pub hidden: usize,
    /// Width of the feed-forward layer.
    pub intermediate: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Attention heads of each block.
    pub heads: usize,
    /// Added to the variance in every norm.
    pub norm_epsilon: f64,
    /// Buckets of a relative position bias (MPNet).
    pub position_buckets: Option<usize>,
    /// Distances that attention reads (DeBERTa).
    pub relative: Option<Relative>,
}

impl EncoderConfig {
    /// `config.json` of one of the families. The GELU is the erf form.
    pub(super) fn parse(fields: &Fields<'_>, family: Family) -> Result<Self, ModelError> {
        if family == Family::DistilBert {
            return Self::distilbert(fields);
        }
        fields.require_word("hidden_act", &["gelu"])?;
        fields.require_word("position_embedding_type", &["absolute"])?;
        fields.require_flag("is_decoder", false)?;
        fields.require_flag("add_cross_attention", false)?;
        let (hidden, heads) = fields.hidden_and_heads()?;
        let mut config = Self {
            family,
            vocabulary: fields.size("vocab_size")?,
            positions: fields.size_or("max_position_embeddings", 512)?,
            position_table: true,
            padding: None,
            segments: Some(fields.size_or("type_vocab_size", 2)?),
            embedding: hidden,
            hidden,
            intermediate: fields.size("intermediate_size")?,
            layers: fields.size("num_hidden_layers")?,
            heads,
            norm_epsilon: fields.number_or("layer_norm_eps", 1e-12)?,
            position_buckets: None,
            relative: None,
        };
        match family {
            Family::Electra => config.embedding = fields.size_or("embedding_size", 128)?,
            Family::Roberta | Family::XlmRoberta => {
                config.padding = Some(fields.token("pad_token_id")?.unwrap_or(1));
            }
            Family::Mpnet => {
                config.segments = None;
                // Whatever `pad_token_id` says, as in `transformers`.
                config.padding = Some(1);
                let buckets = fields.size_or("relative_attention_num_buckets", 32)?;
                if buckets < 4 || !buckets.is_multiple_of(4) {
                    return Err(fields.wrong("relative_attention_num_buckets", "a multiple of 4"));
                }
                config.position_buckets = Some(buckets);
            }
            _ => {}
        }
        if config.positions <= config.first_position() {
            return Err(fields.malformed(format!(
                "`max_position_embeddings` is {}, but positions start at {}",
                config.positions,
                config.first_position()
            )));
        }
        Ok(config)
    }

    fn distilbert(fields: &Fields<'_>) -> Result<Self, ModelError> {
        fields.require_word("activation", &["gelu"])?;
        let hidden = fields.size_or("dim", 768)?;
        let heads = fields.size_or("n_heads", 12)?;
        fields.divides(("dim", hidden), ("n_heads", heads))?;
        Ok(Self {
            family: Family::DistilBert,
            vocabulary: fields.size("vocab_size")?,
            positions: fields.size_or("max_position_embeddings", 512)?,
            position_table: true,
            padding: None,
            segments: None,
            embedding: hidden,
            hidden,
            intermediate: fields.size_or("hidden_dim", 3072)?,
            layers: fields.size_or("n_layers", 6)?,
            heads,
            norm_epsilon: 1e-12,
            position_buckets: None,
            relative: None,
        })
    }

    /// Position of a text's first token.
    const fn first_position(&self) -> usize {
        match self.padding {
            Some(padding) => padding as usize + 1,
            None => 0,
        }
    }

    /// Most tokens of a sequence, special ones included.
    pub const fn max_positions(&self) -> usize {
        self.positions.saturating_sub(self.first_position())
    }
}
