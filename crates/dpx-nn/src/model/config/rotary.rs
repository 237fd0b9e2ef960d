//! Rotary position embeddings: the frequencies that positions turn with.

use super::Fields;
use crate::model::ModelError;
use serde_json::Value;

/// A rotary embedding (Su et al. 2021).
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    /// Radians per position of each pair of values of a head, `rotated / 2` of them; values behind `rotated` are not turned.
    pub frequencies: Vec<f64>,
}

impl Rotary {
    /// Frequencies `theta^(-2 i / rotated)`.
    pub fn plain(rotated: usize, theta: f64) -> Self {
        Self {
            frequencies: (0..rotated / 2)
                .map(|pair| theta.powf(-2.0 * pair as f64 / rotated as f64))
                .collect(),
        }
    }
}

/// The base of the wavelengths, from `rope_parameters` (newer files) or `rope_theta`; scaled variants are refused.
pub(super) fn rope_theta(fields: &Fields<'_>) -> Result<f64, ModelError> {
    let mut theta = fields.number_or("rope_theta", 10_000.0)?;
    for key in ["rope_scaling", "rope_parameters"] {
        let Some(table) = fields.get(key) else {
            continue;
        };
        let kind = table
            .get("rope_type")
            .or_else(|| table.get("type"))
            .and_then(Value::as_str)
            .unwrap_or("default");
        if kind != "default" {
            return Err(fields.unsupported(format!(
                "`{key}` asks for rotary embeddings of type `{kind}`; supported: `default`"
            )));
        }
        if let Some(value) = table.get("rope_theta") {
            theta = value
                .as_f64()
                .filter(|theta| theta.is_finite() && *theta > 0.0)
                .ok_or_else(|| fields.wrong(key, "a `rope_theta` above 0"))?;
        }
    }
    Ok(theta)
}
