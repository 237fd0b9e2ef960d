//! Epsilon in files. JSON has no infinity: it is written as the string `"inf"`, and read back from it.

use serde::{Deserialize, Deserializer, Serializer, de};

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is that of serde's `with`"
)]
pub(crate) fn serialize<S: Serializer>(epsilon: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if epsilon.is_finite() {
        serializer.serialize_f64(*epsilon)
    } else {
        serializer.serialize_str("inf")
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Word(String),
    }
    match Written::deserialize(deserializer)? {
        Written::Number(epsilon) => Ok(epsilon),
        Written::Word(word) if word == "inf" => Ok(f64::INFINITY),
        Written::Word(word) => Err(de::Error::custom(format!(
            "epsilon is \"{word}\", expected a number or \"inf\""
        ))),
    }
}
