//! Rotary position embeddings: the frequencies that positions turn with, scaled in the ways of `transformers`.

use super::Fields;
use crate::model::ModelError;
use serde_json::{Map, Value};
use std::f64::consts::TAU;

/// A rotary embedding (Su et al. 2021).
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    /// Radians per position of each turned pair of values of a head; values behind these pairs are not turned.
    pub frequencies: Vec<f64>,
    /// What cosines and sines are multiplied by: 1 but for the types that scale attention, such as YaRN.
    pub scale: f64,
}

/// What a family says of a rotary embedding where the file does not.
pub(super) struct Defaults {
    pub(super) theta: f64,
    /// Share of a head that is turned; none where the family always turns all of it.
    pub(super) share: Option<f64>,
    pub(super) head_dim: usize,
    pub(super) max_positions: usize,
    pub(super) types: &'static [&'static str],
}

/// The types that most families support.
pub(super) const TYPES: &[&str] = &["default", "linear", "dynamic", "yarn", "llama3"];

impl Rotary {
    /// Frequencies `theta^(-2 i / rotated)`.
    pub fn plain(rotated: usize, theta: f64) -> Self {
        Self {
            frequencies: (0..rotated / 2)
                .map(|pair| theta.powf(-2.0 * pair as f64 / rotated as f64))
                .collect(),
            scale: 1.0,
        }
    }
}

/// A rotary embedding, and the longest text for which it is right.
///
/// Of `rope_scaling` (older files) and `rope_parameters` the first counts where both are there, as in `transformers`.
pub(super) fn parse(
    fields: &Fields<'_>,
    defaults: &Defaults,
) -> Result<(Rotary, usize), ModelError> {
    let found = ["rope_scaling", "rope_parameters"]
        .into_iter()
        .find_map(|key| fields.get(key).map(|value| (key, value)));
    let empty = Map::new();
    let (key, table) = match found {
        None => ("rope_parameters", &empty),
        Some((key, value)) => (
            key,
            value
                .as_object()
                .ok_or_else(|| fields.wrong(key, "an object"))?,
        ),
    };
    Table { fields, key, table }.rotary(defaults)
}

/// A rotary embedding from one object of a file that has several of them.
pub(super) fn parse_table(
    fields: &Fields<'_>,
    key: &str,
    table: &Map<String, Value>,
    defaults: &Defaults,
) -> Result<(Rotary, usize), ModelError> {
    Table { fields, key, table }.rotary(defaults)
}

/// An object that describes a rotary embedding.
#[expect(clippy::struct_field_names, reason = "a table in a table")]
struct Table<'a> {
    fields: &'a Fields<'a>,
    key: &'a str,
    table: &'a Map<String, Value>,
}

/// Keys that are understood.
const KNOWN: [&str; 15] = [
    "rope_type",
    "type",
    "rope_theta",
    "factor",
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "mscale",
    "mscale_all_dim",
    "original_max_position_embeddings",
    "truncate",
    "low_freq_factor",
    "high_freq_factor",
    "partial_rotary_factor",
    "short_factor",
];

/// Keys without effect here: factors of texts longer than are read, and a note.
const WITHOUT_EFFECT: [&str; 2] = ["long_factor", "finetuned"];

impl Table<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.table.get(name).filter(|value| !value.is_null())
    }

    /// A number above 0, where it is there.
    fn number(&self, name: &str) -> Result<Option<f64>, ModelError> {
        self.get(name)
            .map(|value| {
                value
                    .as_f64()
                    .filter(|number| number.is_finite() && *number > 0.0)
                    .ok_or_else(|| self.wrong(name, "a number above 0"))
            })
            .transpose()
    }

    fn required(&self, name: &str) -> Result<f64, ModelError> {
        self.number(name)?
            .ok_or_else(|| self.wrong(name, "a number above 0"))
    }

    fn wrong(&self, name: &str, expected: &str) -> ModelError {
        let found = self.table.get(name).unwrap_or(&Value::Null);
        self.fields.malformed(format!(
            "`{}.{name}` is `{found}`, expected {expected}",
            self.key
        ))
    }

    /// The number of a key that may also stand outside the table; there where `outside` says so.
    fn number_here_or_outside(&self, name: &str, default: f64) -> Result<f64, ModelError> {
        match self.number(name)? {
            Some(number) => Ok(number),
            None => self.fields.number_or(name, default),
        }
    }

    /// The context that the model was trained for before it was scaled.
    fn original(&self, defaults: &Defaults) -> Result<f64, ModelError> {
        const NAME: &str = "original_max_position_embeddings";
        if self.fields.get(NAME).is_some() {
            return Ok(self.fields.size(NAME)? as f64);
        }
        Ok(self.number(NAME)?.unwrap_or(defaults.max_positions as f64))
    }

    fn rotary(&self, defaults: &Defaults) -> Result<(Rotary, usize), ModelError> {
        let mut keys = self.table.keys();
        if let Some(unknown) = keys.find(|name| {
            !KNOWN.contains(&name.as_str()) && !WITHOUT_EFFECT.contains(&name.as_str())
        }) {
            return Err(self.fields.unsupported(format!(
                "`{}` holds `{unknown}`, which dpx does not know",
                self.key
            )));
        }
        let kind = self.get("rope_type").or_else(|| self.get("type"));
        let kind = match kind {
            None => "default",
            Some(kind) => kind
                .as_str()
                .ok_or_else(|| self.wrong("rope_type", "a word"))?,
        };
        // Older files of Phi-3 call it so.
        let kind = if kind == "su" { "longrope" } else { kind };
        if !defaults.types.contains(&kind) {
            return Err(self.fields.unsupported(format!(
                "`{}` asks for rotary embeddings of type `{kind}`; supported: `{}`",
                self.key,
                defaults.types.join("`, `")
            )));
        }
        let theta = self.number_here_or_outside("rope_theta", defaults.theta)?;
        let share =
            self.number_here_or_outside("partial_rotary_factor", defaults.share.unwrap_or(1.0))?;
        if share > 1.0 || (defaults.share.is_none() && share < 1.0) {
            return Err(self.fields.unsupported(format!(
                "`partial_rotary_factor` is {share}; this family turns whole heads"
            )));
        }
        let rotated = (defaults.head_dim as f64 * share) as usize;
        if rotated == 0 || !rotated.is_multiple_of(2) {
            return Err(self.fields.unsupported(format!(
                "rotary embeddings of {rotated} of the {} values of a head; an even number is needed",
                defaults.head_dim
            )));
        }
        let mut rotary = Rotary::plain(rotated, theta);
        let mut longest = defaults.max_positions;
        match kind {
            "linear" => {
                let factor = self.required("factor")?;
                rotary.frequencies.iter_mut().for_each(|f| *f /= factor);
            }
            // Up to the context of the file the frequencies are the plain ones; longer texts are refused.
            "dynamic" => {
                self.required("factor")?;
            }
            "llama3" => self.llama3(&mut rotary, defaults)?,
            "yarn" => self.yarn(&mut rotary, theta, defaults)?,
            "longrope" => longest = self.longrope(&mut rotary, defaults)?,
            _ => {}
        }
        Ok((rotary, longest))
    }

    /// Llama 3.1: long wavelengths are scaled, short ones are not, those between a little.
    fn llama3(&self, rotary: &mut Rotary, defaults: &Defaults) -> Result<(), ModelError> {
        let factor = self.required("factor")?;
        let (low, high) = (
            self.required("low_freq_factor")?,
            self.required("high_freq_factor")?,
        );
        if high <= low {
            return Err(self.wrong("high_freq_factor", "a number above `low_freq_factor`"));
        }
        let original = self.original(defaults)?;
        for frequency in &mut rotary.frequencies {
            let wavelength = TAU / *frequency;
            if wavelength > original / low {
                *frequency /= factor;
            } else if wavelength >= original / high {
                let smooth = (original / wavelength - low) / (high - low);
                *frequency *= (1.0 - smooth) / factor + smooth;
            }
        }
        Ok(())
    }

    /// YaRN (Peng et al. 2023).
    fn yarn(&self, rotary: &mut Rotary, theta: f64, defaults: &Defaults) -> Result<(), ModelError> {
        let original = self.original(defaults)?;
        let factor = match self.number("factor")? {
            Some(factor) => factor,
            None => defaults.max_positions as f64 / original,
        };
        let mscale = |weight: f64| {
            if factor <= 1.0 {
                1.0
            } else {
                0.1 * weight * factor.ln() + 1.0
            }
        };
        rotary.scale = match (
            self.number("attention_factor")?,
            self.number("mscale")?,
            self.number("mscale_all_dim")?,
        ) {
            (Some(given), _, _) => given,
            (None, Some(one), Some(all)) => mscale(one) / mscale(all),
            (None, _, _) => mscale(1.0),
        };
        let truncate = match self.get("truncate") {
            None => true,
            Some(value) => value
                .as_bool()
                .ok_or_else(|| self.wrong("truncate", "true or false"))?,
        };
        let dim = 2.0 * rotary.frequencies.len() as f64;
        // The pair that turns so many times within the original context.
        let pair = |turns: f64| dim * (original / (turns * TAU)).ln() / (2.0 * theta.ln());
        let mut low = pair(self.number("beta_fast")?.unwrap_or(32.0));
        let mut high = pair(self.number("beta_slow")?.unwrap_or(1.0));
        if truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        let (low, mut high) = (low.max(0.0), high.min(dim - 1.0));
        if low == high {
            high += 0.001;
        }
        for (place, frequency) in rotary.frequencies.iter_mut().enumerate() {
            let ramp = ((place as f64 - low) / (high - low)).clamp(0.0, 1.0);
            *frequency *= ramp / factor + (1.0 - ramp);
        }
        Ok(())
    }

    /// LongRoPE (Ding et al. 2024) for texts of the original context, which is the longest that are read.
    fn longrope(&self, rotary: &mut Rotary, defaults: &Defaults) -> Result<usize, ModelError> {
        let original = self.original(defaults)?;
        let factors: Option<Vec<f64>> = self
            .get("short_factor")
            .and_then(Value::as_array)
            .map(|list| list.iter().filter_map(Value::as_f64).collect());
        let factors = factors
            .filter(|list| {
                list.len() == rotary.frequencies.len() && list.iter().all(|factor| *factor > 0.0)
            })
            .ok_or_else(|| {
                let expected = format!("{} numbers above 0", rotary.frequencies.len());
                self.wrong("short_factor", &expected)
            })?;
        for (frequency, factor) in rotary.frequencies.iter_mut().zip(factors) {
            *frequency /= factor;
        }
        let factor = match self.number("factor")? {
            Some(factor) => factor,
            None => defaults.max_positions as f64 / original,
        };
        rotary.scale = match self.number("attention_factor")? {
            Some(given) => given,
            None if factor <= 1.0 => 1.0,
            None => (1.0 + factor.ln() / original.ln()).sqrt(),
        };
        Ok((original as usize).min(defaults.max_positions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "made where it is handed over"
    )]
    fn parsed(table: Value, max_positions: usize) -> Result<(Rotary, usize), String> {
        let Value::Object(raw) = json!({ "rope_parameters": table }) else {
            panic!("an object is meant")
        };
        let fields = Fields {
            raw: &raw,
            path: Path::new("m/config.json"),
        };
        let defaults = Defaults {
            theta: 10_000.0,
            share: None,
            head_dim: 16,
            max_positions,
            types: &["default", "linear", "dynamic", "yarn", "llama3", "longrope"],
        };
        parse(&fields, &defaults).map_err(|error| error.to_string())
    }

    /// What the functions of `modeling_rope_utils.py` of transformers 5.24 return, in f32.
    #[test]
    fn frequencies_are_those_of_transformers() {
        let plain = [
            1.0,
            0.316227764,
            0.100000001,
            0.0316227786,
            0.00999999978,
            0.00316227786,
            0.00100000005,
            0.000316227786,
        ];
        let cases = [
            (
                json!({"rope_type": "linear", "factor": 4.0}),
                64,
                plain.map(|frequency| frequency / 4.0),
                1.0,
                64,
            ),
            (
                json!({"type": "dynamic", "factor": 4.0}),
                64,
                plain,
                1.0,
                64,
            ),
            (
                json!({"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 8192}),
                131_072,
                [
                    1.0,
                    0.193922758,
                    0.0376060307,
                    0.00729266508,
                    0.000524846022,
                    3.42810235e-05,
                    6.64786967e-06,
                    1.28917316e-06,
                ],
                1.0,
                131_072,
            ),
            (
                json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8192}),
                32_768,
                [
                    1.0,
                    0.316227764,
                    0.100000001,
                    0.0316227786,
                    0.0081249997,
                    0.00197642366,
                    0.000437500014,
                    7.90569466e-05,
                ],
                1.138629436111989,
                32_768,
            ),
            (
                json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "beta_fast": 16.0,
                    "beta_slow": 2.0, "mscale": 0.8, "mscale_all_dim": 0.4, "truncate": false}),
                256,
                [
                    1.0,
                    0.14849025,
                    0.0250000004,
                    0.00790569466,
                    0.00249999994,
                    0.000790569466,
                    0.000250000012,
                    7.90569466e-05,
                ],
                1.0525384255230092,
                256,
            ),
            (
                json!({"rope_type": "yarn", "factor": null, "original_max_position_embeddings": 64, "attention_factor": 1.5}),
                256,
                [
                    1.0,
                    0.237170815,
                    0.049999997,
                    0.00790569466,
                    0.00249999994,
                    0.000790569466,
                    0.000250000012,
                    7.90569466e-05,
                ],
                1.5,
                256,
            ),
            (
                json!({"rope_type": "longrope", "short_factor": [1.0, 1.05, 1.1, 1.2, 1.3, 1.5, 2.0, 2.5],
                    "long_factor": [1, 1, 1, 1, 1, 1, 1, 1], "original_max_position_embeddings": 4096}),
                131_072,
                [
                    1.0,
                    0.301169306,
                    0.0909090936,
                    0.0263523124,
                    0.0076923077,
                    0.00210818532,
                    0.000500000024,
                    0.000126491112,
                ],
                1.1902380714238083,
                4096,
            ),
        ];
        for (table, max_positions, frequencies, scale, longest) in cases {
            let (rotary, until) = parsed(table.clone(), max_positions).unwrap();
            assert_eq!(until, longest, "{table}");
            assert!((rotary.scale - scale).abs() < 1e-12, "{table}");
            assert_eq!(rotary.frequencies.len(), frequencies.len());
            for (found, wanted) in rotary.frequencies.iter().zip(frequencies) {
                assert!(
                    (found / wanted - 1.0).abs() < 2e-6,
                    "{table}: {found} where transformers has {wanted}"
                );
            }
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        for (table, needle) in [
            (
                json!({"rope_type": "llama3", "factor": 8.0}),
                "low_freq_factor",
            ),
            (json!({"rope_type": "yarn", "truncate": 1}), "truncate"),
            (json!({"rope_type": "proportional"}), "`proportional`"),
            (
                json!({"rope_type": "longrope", "short_factor": [1.0]}),
                "8 numbers",
            ),
            (json!({"alpha": 2.0}), "`alpha`"),
            (json!([1]), "`rope_parameters`"),
        ] {
            let error = parsed(table.clone(), 64).unwrap_err();
            assert!(error.contains(needle), "{table}: {error}");
        }
    }
}
