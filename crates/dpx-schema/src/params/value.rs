//! Values with a spelling of their own: epsilon and delta.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// A privacy budget: a number above zero, `"inf"` for no privacy at all, or 0 for the base model untouched.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub enum Epsilon {
    /// A finite budget; 0 means that nothing is learnt from the private data.
    Finite(f64),
    /// No guarantee: training without clipping and noise.
    Infinite,
}

impl Epsilon {
    /// The budget as a number, infinity included.
    pub const fn value(self) -> f64 {
        match self {
            Self::Finite(value) => value,
            Self::Infinite => f64::INFINITY,
        }
    }
}

impl fmt::Display for Epsilon {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finite(value) => write!(formatter, "{value}"),
            Self::Infinite => formatter.write_str("inf"),
        }
    }
}

impl Serialize for Epsilon {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Finite(value) => serializer.serialize_f64(*value),
            Self::Infinite => serializer.serialize_str("inf"),
        }
    }
}

struct Visitor {
    word: &'static str,
    expected: &'static str,
}

impl serde::de::Visitor<'_> for Visitor {
    type Value = Option<f64>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.expected)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        if value == f64::INFINITY && self.word == "inf" {
            return Ok(None);
        }
        if value.is_finite() && value >= 0.0 {
            return Ok(Some(value));
        }
        Err(E::invalid_value(serde::de::Unexpected::Float(value), &self))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Self::Value, E> {
        if value == self.word {
            Ok(None)
        } else {
            Err(E::invalid_value(serde::de::Unexpected::Str(value), &self))
        }
    }
}

impl<'de> Deserialize<'de> for Epsilon {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = Visitor {
            word: "inf",
            expected: "a number of at least 0, or \"inf\"",
        };
        Ok(deserializer
            .deserialize_any(visitor)?
            .map_or(Self::Infinite, Self::Finite))
    }
}

impl JsonSchema for Epsilon {
    fn schema_name() -> Cow<'static, str> {
        "Epsilon".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "a number of at least 0, or \"inf\"",
            "oneOf": [{ "type": "number", "minimum": 0 }, { "const": "inf" }],
        })
    }
}

/// The failure probability of the guarantee: a number between 0 and 1, or `"auto"` for N^-1.1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Delta {
    /// The declared number of examples to the power of -1.1.
    #[default]
    Auto,
    /// A stated value.
    Value(f64),
}

impl Delta {
    /// The value for a data set of `examples` examples.
    pub fn resolve(self, examples: u64) -> f64 {
        match self {
            Self::Auto => (examples as f64).powf(-1.1),
            Self::Value(value) => value,
        }
    }
}

impl Serialize for Delta {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => serializer.serialize_f64(*value),
            Self::Auto => serializer.serialize_str("auto"),
        }
    }
}

impl<'de> Deserialize<'de> for Delta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a number above 0 and below 1, or \"auto\"";
        let value = deserializer.deserialize_any(Visitor {
            word: "auto",
            expected,
        })?;
        match value {
            None => Ok(Self::Auto),
            Some(value) if value > 0.0 && value < 1.0 => Ok(Self::Value(value)),
            Some(value) => Err(serde::de::Error::invalid_value(
                serde::de::Unexpected::Float(value),
                &expected,
            )),
        }
    }
}

impl JsonSchema for Delta {
    fn schema_name() -> Cow<'static, str> {
        "Delta".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "a number above 0 and below 1, or \"auto\" (the number of examples to the power of -1.1)",
            "oneOf": [{ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 }, { "const": "auto" }],
        })
    }
}
