//! What DeBERTa-v2 and -v3 have instead of positions: distances.

use super::{EncoderConfig, Family, Fields};
use crate::model::ModelError;
use serde_json::{Value, json};

/// Distances between tokens, of which attention reads vectors (He et al. 2021).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relative {
    /// Distances each way that have vectors of their own, or buckets of distances.
    pub span: usize,
    /// Longest distance that the last bucket stands for; none where every distance has vectors of its own.
    pub longest: Option<usize>,
    /// Whether queries of tokens meet keys of distances, and keys of tokens meet queries of distances.
    pub meets: [bool; 2],
    /// Whether vectors of distances become keys and queries by the layers that make those of tokens.
    pub shared: bool,
    /// Whether a layer norm stands before that.
    pub norm: bool,
}

impl Relative {
    /// The row of the table of `2 span` vectors for `query - key`.
    pub fn row(&self, distance: i64) -> u32 {
        let place = self.bucket(distance) + self.span as i64;
        place.clamp(0, 2 * self.span as i64 - 1) as u32
    }

    /// Near distances are their own buckets, far ones share them in logarithmic steps.
    fn bucket(&self, distance: i64) -> i64 {
        let Some(longest) = self.longest else {
            return distance;
        };
        let exact = self.span as i64 / 2;
        if distance.abs() <= exact {
            return distance;
        }
        // In f32, as the models were trained: the edges of buckets depend on it.
        let share = (distance.abs() as f32 / exact as f32).ln()
            / (((longest - 1) as f64 / exact as f64) as f32).ln();
        let steps = (share * (exact - 1) as f32).ceil();
        (steps as i64 + exact) * distance.signum()
    }
}

/// `config.json` of `model_type` `deberta-v2`.
pub(super) fn parse(fields: &Fields<'_>) -> Result<EncoderConfig, ModelError> {
    fields.require_word("hidden_act", &["gelu"])?;
    fields.require_word("pooler_hidden_act", &["gelu", "tanh"])?;
    if !fields.flag_or("relative_attention", false)? {
        return Err(fields.unsupported(
            "`relative_attention` is not `true`; DeBERTa is read with distances alone".into(),
        ));
    }
    fields.refuse("conv_kernel_size", &[json!(0)])?;
    let (hidden, heads) = fields.hidden_and_heads()?;
    for (key, only) in [
        ("embedding_size", hidden),
        ("pooler_hidden_size", hidden),
        ("attention_head_size", hidden / heads),
    ] {
        fields.refuse(key, &[json!(only)])?;
    }
    let positions = fields.size_or("max_position_embeddings", 512)?;
    let segments = fields.count_or("type_vocab_size", 0)?;
    Ok(EncoderConfig {
        family: Family::DebertaV2,
        vocabulary: fields.size("vocab_size")?,
        positions,
        position_table: fields.flag_or("position_biased_input", true)?,
        padding: None,
        segments: (segments > 0).then_some(segments),
        embedding: hidden,
        hidden,
        intermediate: fields.size("intermediate_size")?,
        layers: fields.size("num_hidden_layers")?,
        heads,
        norm_epsilon: fields.number_or("layer_norm_eps", 1e-7)?,
        position_buckets: None,
        relative: Some(relative(fields, positions)?),
    })
}

fn relative(fields: &Fields<'_>, positions: usize) -> Result<Relative, ModelError> {
    // Below 1 stands for none.
    let size = |key: &str| match fields.get(key) {
        None => Ok(None),
        Some(value) if value.as_i64().is_some_and(|size| size < 1) => Ok(None),
        Some(_) => fields.size(key).map(Some),
    };
    let longest = size("max_relative_positions")?.unwrap_or(positions);
    let buckets = size("position_buckets")?;
    if let Some(buckets) = buckets
        && (buckets < 4 || longest <= buckets / 2 + 1)
    {
        return Err(fields.wrong(
            "position_buckets",
            "at least 4, and less than twice the longest distance",
        ));
    }
    let kinds = words(fields, "pos_att_type")?;
    if kinds.is_empty()
        || kinds
            .iter()
            .any(|kind| !matches!(kind.as_str(), "c2p" | "p2c"))
    {
        return Err(fields.wrong("pos_att_type", "`c2p`, `p2c`, or both"));
    }
    let norms = words(fields, "norm_rel_ebd")?;
    if norms
        .iter()
        .any(|norm| !matches!(norm.as_str(), "none" | "layer_norm"))
    {
        return Err(fields.wrong("norm_rel_ebd", "`none` or `layer_norm`"));
    }
    let has = |kind: &str| kinds.iter().any(|own| own == kind);
    Ok(Relative {
        span: buckets.unwrap_or(longest),
        longest: buckets.map(|_| longest),
        meets: [has("c2p"), has("p2c")],
        shared: fields.flag_or("share_att_key", false)?,
        norm: norms.iter().any(|norm| norm == "layer_norm"),
    })
}

/// Words as a list, or in a string between `|`.
fn words(fields: &Fields<'_>, key: &str) -> Result<Vec<String>, ModelError> {
    let wrong = || fields.wrong(key, "words");
    match fields.get(key) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => {
            let words = text.split('|').map(|word| word.trim().to_lowercase());
            Ok(words.filter(|word| !word.is_empty()).collect())
        }
        Some(Value::Array(list)) => list
            .iter()
            .map(|word| word.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        Some(_) => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_of_transformers() {
        // build_relative_position and the clamp of disentangled_attention_bias, transformers 5.24.
        let relative = |span, longest| Relative {
            span,
            longest,
            meets: [true, true],
            shared: true,
            norm: true,
        };
        let rows = |relative: Relative, distances: &[i64]| -> Vec<u32> {
            distances
                .iter()
                .map(|distance| relative.row(*distance))
                .collect()
        };
        let distances = [
            -600, -511, -200, -129, -128, -1, 0, 1, 127, 128, 129, 130, 300, 511,
        ];
        assert_eq!(rows(relative(256, Some(512)), &distances), BUCKETS);
        assert_eq!(
            rows(relative(8, None), &[-9, -8, -1, 0, 7, 8]),
            [0, 0, 7, 8, 15, 15]
        );
    }

    const BUCKETS: [u32; 14] = [
        0, 1, 87, 127, 128, 255, 256, 257, 383, 384, 385, 386, 463, 511,
    ];
}
