//! The seed of an instance.
//!
//! | the stage | its seed |
//! |---|---|
//! | says nothing | the experiment's seed, mixed with every axis that reaches the instance |
//! | `seed = 7` | 7 instead of the experiment's, mixed in the same way |
//! | `seed = "$axis"` | the axis reaches the stage, and so counts as above |
//!
//! An axis called `replicate` reaches every stage that draws random numbers of its own (train, teacher, counts, sample,
//! classify) unless the stage has a `seed` of its own; through `needs` it reaches whatever reads those.

use serde_json::Value;
use std::collections::BTreeMap;

/// Mixes a seed with the values of the axes that reach an instance. Without axes the seed stays as it is.
pub(super) fn mix(seed: u64, axes: &BTreeMap<String, Value>) -> u64 {
    if axes.is_empty() {
        return seed;
    }
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(b"dpx instance seed v1");
    part(&seed.to_le_bytes());
    for (name, value) in axes {
        part(name.as_bytes());
        part(value.to_string().as_bytes());
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_change_the_seed() {
        let axes = |value: i64| BTreeMap::from([("replicate".to_owned(), Value::from(value))]);
        assert_eq!(mix(42, &BTreeMap::new()), 42);
        assert_ne!(mix(42, &axes(1)), mix(42, &axes(2)));
        assert_ne!(mix(42, &axes(1)), mix(43, &axes(1)));
        assert_eq!(mix(42, &axes(1)), mix(42, &axes(1)));
    }
}
