//! The declared labels: a list, or several columns of them.

use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most combinations of the values of several attributes.
pub const MAX_COMBINATIONS: usize = 1000;

/// A column of labels beside others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Its name, which is that of the column.
    pub name: String,
    /// The declared values, in order.
    pub values: Vec<String>,
}

/// What texts may be labelled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeclaredLabels {
    /// One column.
    List(Vec<String>),
    /// Several columns, by name.
    Table(BTreeMap<String, Vec<String>>),
}

impl Default for DeclaredLabels {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl DeclaredLabels {
    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::List(list) => list.is_empty(),
            Self::Table(table) => table.is_empty(),
        }
    }

    /// The columns of a table, by name; none of a list.
    pub fn attributes(&self) -> Vec<Attribute> {
        match self {
            Self::List(_) => Vec::new(),
            Self::Table(table) => table
                .iter()
                .map(|(name, values)| Attribute {
                    name: name.clone(),
                    values: values.clone(),
                })
                .collect(),
        }
    }

    /// The labels that a text may bear: those of a list, or every combination of a table's values ([`combined`]).
    pub fn labels(&self) -> Vec<String> {
        match self {
            Self::List(list) => list.clone(),
            Self::Table(_) => combined(&self.attributes()),
        }
    }
}

/// Every combination of the attributes' values as one label, `refund, angry`; those of the last attribute change fastest.
pub fn combined(attributes: &[Attribute]) -> Vec<String> {
    (0..combinations(attributes))
        .map(|place| {
            let values = values_at(attributes, place);
            let words = attributes.iter().zip(values);
            let words: Vec<&str> = words
                .map(|(attribute, value)| attribute.values[value].as_str())
                .collect();
            words.join(", ")
        })
        .collect()
}

/// How many combinations the values of all columns have; too many for a number count as the largest.
pub fn combinations(attributes: &[Attribute]) -> usize {
    if attributes.is_empty() {
        return 0;
    }
    let sizes = attributes.iter().map(|attribute| attribute.values.len());
    sizes.fold(1, usize::saturating_mul)
}

/// The place of each attribute's value in the combination at a place.
pub fn values_at(attributes: &[Attribute], mut place: usize) -> Vec<usize> {
    let mut values: Vec<usize> = attributes
        .iter()
        .rev()
        .map(|attribute| {
            let size = attribute.values.len().max(1);
            let value = place % size;
            place /= size;
            value
        })
        .collect();
    values.reverse();
    values
}

/// The place of the combination of values at these places.
pub fn place_of(attributes: &[Attribute], values: &[usize]) -> usize {
    let values = attributes.iter().zip(values);
    values.fold(0, |place, (attribute, value)| {
        place * attribute.values.len() + value
    })
}

/// Names that other columns of synthetic texts bear.
const TAKEN: [&str; 3] = ["text", "label", "messages"];

/// Whether a column of labels may be called so, beside the other columns of synthetic texts.
pub fn is_column_of_labels(name: &str) -> bool {
    !TAKEN.contains(&name)
        && !name.starts_with("p_")
        && !name.trim().is_empty()
        && !name.chars().any(char::is_control)
}

impl Serialize for DeclaredLabels {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::List(list) => list.serialize(serializer),
            Self::Table(table) => table.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for DeclaredLabels {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = DeclaredLabels;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a list of labels, or a table of such lists by column")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                sequence: A,
            ) -> Result<Self::Value, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(sequence))
                    .map(DeclaredLabels::List)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<Self::Value, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(DeclaredLabels::Table)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for DeclaredLabels {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DeclaredLabels".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "a list of labels, or a table of such lists by column",
            "oneOf": [
                { "type": "array", "items": { "type": "string" } },
                { "type": "object", "additionalProperties": { "type": "array", "items": { "type": "string" }, "minItems": 1 } },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_and_places_are_inverse() {
        let labels: DeclaredLabels =
            serde_json::from_str(r#"{"mood": ["calm", "angry"], "intent": ["a", "b", "c"]}"#)
                .unwrap();
        let attributes = labels.attributes();
        assert_eq!(attributes[0].name, "intent");
        let all = labels.labels();
        assert_eq!(all[..3], ["a, calm", "a, angry", "b, calm"]);
        assert_eq!(all.len(), 6);
        for place in 0..6 {
            assert_eq!(place_of(&attributes, &values_at(&attributes, place)), place);
        }
        let list: DeclaredLabels = serde_json::from_str(r#"["x", "y"]"#).unwrap();
        assert_eq!(list.labels(), ["x", "y"]);
        assert_eq!(serde_json::to_string(&list).unwrap(), r#"["x","y"]"#);
        assert!(combined(&[]).is_empty() && list.attributes().is_empty());
    }
}
