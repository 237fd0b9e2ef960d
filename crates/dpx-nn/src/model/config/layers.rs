//! Which blocks of a model see everything and which a window of it.

use super::Fields;
use crate::model::ModelError;
use serde_json::Value;

/// Whether each of `layers` blocks sees a window alone: by `layer_types` where the file has them, else by `otherwise`.
pub(super) fn windowed(
    fields: &Fields<'_>,
    layers: usize,
    otherwise: impl Fn(usize) -> bool,
) -> Result<Vec<bool>, ModelError> {
    let Some(list) = fields.get("layer_types") else {
        return Ok((0..layers).map(otherwise).collect());
    };
    let list = list
        .as_array()
        .filter(|list| list.len() == layers)
        .ok_or_else(|| fields.wrong("layer_types", &format!("a list of {layers} words")))?;
    list.iter()
        .map(|word| match word.as_str() {
            Some("full_attention") => Ok(false),
            Some("sliding_attention") => Ok(true),
            _ => Err(fields.unsupported(format!(
                "`layer_types` holds `{word}`; supported: `full_attention`, `sliding_attention`"
            ))),
        })
        .collect()
}

/// Flags of `layers` blocks from a list of zeros and ones, else by `otherwise`.
pub(super) fn flags(
    fields: &Fields<'_>,
    key: &str,
    layers: usize,
    otherwise: impl Fn(usize) -> bool,
) -> Result<Vec<bool>, ModelError> {
    let Some(list) = fields.get(key) else {
        return Ok((0..layers).map(otherwise).collect());
    };
    let wrong = || fields.wrong(key, &format!("a list of {layers} zeros and ones"));
    let list = list.as_array().filter(|list| list.len() == layers);
    list.ok_or_else(wrong)?
        .iter()
        .map(|flag| match flag {
            Value::Bool(flag) => Ok(*flag),
            other => match other.as_u64() {
                Some(number @ 0..=1) => Ok(number == 1),
                _ => Err(wrong()),
            },
        })
        .collect()
}

/// A window as attention needs it: none where it is no narrower than the longest text.
pub(super) fn window(size: usize, max_positions: usize) -> Option<usize> {
    (size < max_positions).then_some(size)
}
