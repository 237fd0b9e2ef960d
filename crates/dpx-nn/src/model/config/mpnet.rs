//! Sizes of an MPNet model.

use super::{BertConfig, Fields};
use crate::model::ModelError;

/// `config.json` of `model_type` `mpnet`: BERT without segments, with one relative position bias shared by all blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct MpnetConfig {
    /// What it shares with BERT; `type_vocab_size` has no meaning here.
    pub bert: BertConfig,
    /// Buckets of the relative position bias.
    pub relative_attention_num_buckets: usize,
    /// The padding token; positions of a text start behind its number.
    pub padding: usize,
}

impl MpnetConfig {
    pub(super) fn parse(fields: &Fields<'_>) -> Result<Self, ModelError> {
        let bert = BertConfig::parse(fields)?;
        let padding = fields.token("pad_token_id")?.unwrap_or(1) as usize;
        if bert.max_position_embeddings <= padding + 1 {
            return Err(fields.malformed(format!(
                "`max_position_embeddings` is {}, but positions start at {}",
                bert.max_position_embeddings,
                padding + 1
            )));
        }
        let buckets = fields.size_or("relative_attention_num_buckets", 32)?;
        if buckets < 4 || !buckets.is_multiple_of(4) {
            return Err(fields.wrong("relative_attention_num_buckets", "a multiple of 4"));
        }
        Ok(Self {
            bert,
            relative_attention_num_buckets: buckets,
            padding,
        })
    }
}
