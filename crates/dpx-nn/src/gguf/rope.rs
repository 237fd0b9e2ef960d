//! How the positions of a model in a GGUF file are scaled.

use super::arrange::ROPE_FACTORS;
use super::config::{Keys, float};
use super::{Gguf, INSTEAD, Problem};
use crate::model::Family;
use serde_json::{Value, json};
use std::f64::consts::TAU;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// How positions are scaled.
pub(super) fn rotary(
    path: Option<&Path>,
    keys: &Keys<'_>,
    family: Family,
    head_dim: u64,
    rest: &mut Value,
) -> Result<(), Problem> {
    let kind = keys.gguf.text(&keys.key("rope.scaling.type"))?;
    let factor = keys
        .real("rope.scaling.factor")?
        .filter(|factor| *factor > 0.0);
    let scales = |factor: &f64| (factor - 1.0).abs() > 1e-9;
    // As llama.cpp reads a factor without a type.
    let scaled = factor.as_ref().is_some_and(scales);
    let kind = kind.unwrap_or(if scaled { "linear" } else { "none" });
    let original = keys.whole("rope.scaling.original_context_length")?;
    let extra = keys.real("rope.scaling.attn_factor")?;
    if let Some(factor) = extra.filter(scales).filter(|_| family != Family::Phi3) {
        return Err(keys.refuse("rope.scaling.attn_factor", &factor));
    }
    let tables: Vec<&str> = ROPE_FACTORS
        .into_iter()
        .filter(|name| keys.gguf.tensors.contains_key(*name))
        .collect();
    match (kind, &tables[..]) {
        ("none", []) => {}
        // A factor of 1 changes nothing.
        ("linear" | "yarn", []) if factor == Some(1.0) => {}
        ("linear", []) => {
            let factor = keys.needed("rope.scaling.factor", factor)?;
            rest["rope_scaling"] = json!({"rope_type": "linear", "factor": float(factor)});
        }
        ("yarn", []) if extra.is_none_or(|extra| !scales(&extra)) => {
            let factor = keys.needed("rope.scaling.factor", factor)?;
            let original = keys.needed("rope.scaling.original_context_length", original)?;
            rest["rope_scaling"] = json!({"rope_type": "yarn", "factor": float(factor),
                "original_max_position_embeddings": original});
        }
        ("none", ["rope_freqs.weight"]) if family == Family::Llama || family == Family::SmolLm3 => {
            let Some(path) = path else { return Ok(()) };
            let factors = small_values(path, keys.gguf, "rope_freqs.weight")?;
            // Factors of 1 change nothing.
            if factors.len() as u64 == head_dim / 2 && factors.iter().all(|factor| *factor == 1.0) {
                return Ok(());
            }
            let theta = rest["rope_theta"].as_f64().unwrap_or(10_000.0);
            rest["rope_scaling"] = llama3(&factors, theta, head_dim).ok_or_else(|| {
                format!("`rope_freqs.weight` are not the factors of Llama 3: {INSTEAD}")
            })?;
        }
        (_, ["rope_factors_short.weight", "rope_factors_long.weight"])
            if family == Family::Phi3 =>
        {
            let Some(path) = path else { return Ok(()) };
            let short = small_values(path, keys.gguf, "rope_factors_short.weight")?;
            let long = small_values(path, keys.gguf, "rope_factors_long.weight")?;
            let original = keys.needed("rope.scaling.original_context_length", original)?;
            let mut table = json!({"type": "longrope", "short_factor": short, "long_factor": long});
            if let Some(factor) = extra {
                table["attention_factor"] = float(factor);
            }
            rest["rope_scaling"] = table;
            rest["original_max_position_embeddings"] = original.into();
        }
        _ => return Err(keys.refuse("rope.scaling.type", &format!("`{}`", kind.escape_debug()))),
    }
    Ok(())
}

/// The scaling of Llama 3 that gives such factors of the wavelengths.
fn llama3(factors: &[f64], theta: f64, head_dim: u64) -> Option<Value> {
    let factor = factors.iter().copied().fold(1.0, f64::max);
    if factors.len() as u64 != head_dim / 2 || factor <= 1.0 {
        return None;
    }
    let of = |pair: usize, original: f64| {
        let wavelength = TAU * theta.powf(2.0 * pair as f64 / head_dim as f64);
        if wavelength > original {
            factor
        } else if wavelength < original / 4.0 {
            1.0
        } else {
            let smooth = (original / wavelength - 1.0) / 3.0;
            1.0 / ((1.0 - smooth) / factor + smooth)
        }
    };
    let originals = (4..=17).map(|power| f64::from(1 << power)).rev();
    let fits = |original: &f64| {
        let mut pairs = factors.iter().enumerate();
        pairs.all(|(pair, found)| (of(pair, *original) / found - 1.0).abs() < 1e-4)
    };
    // The usual one, 8192, is tried first: others may give the same factors.
    let original = std::iter::once(8192.0).chain(originals).find(fits)?;
    Some(
        json!({"rope_type": "llama3", "factor": float(factor), "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": original as u64}),
    )
}

/// The values of a tensor of at most some thousand.
fn small_values(path: &Path, gguf: &Gguf, name: &str) -> Result<Vec<f64>, Problem> {
    let tensor = &gguf.tensors[name];
    if tensor.length > 1_000_000 {
        return Err(format!(
            "tensor `{name}` has {} bytes: it is damaged",
            tensor.length
        ));
    }
    let mut bytes = vec![0; tensor.length as usize];
    std::fs::File::open(path)
        .and_then(|mut file| {
            file.seek(SeekFrom::Start(tensor.start))?;
            file.read_exact(&mut bytes)
        })
        .map_err(|error| format!("it cannot be read: {error}"))?;
    let values = tensor.quant.decode(&bytes).into_iter().map(f64::from);
    let values: Vec<f64> = values.collect();
    if values.iter().all(|value| value.is_finite() && *value > 0.0) {
        Ok(values)
    } else {
        Err(format!(
            "tensor `{name}` holds a factor that is not above 0: it is damaged"
        ))
    }
}
