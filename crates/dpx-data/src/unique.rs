//! JSON values whose objects say each key once: of a key that stands twice, readers take the first or the last as they please.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// A value, and whether one of its objects has a key twice.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unique {
    pub(crate) value: Value,
    pub(crate) twice: bool,
}

impl Unique {
    const fn of(value: Value) -> Self {
        Self {
            value,
            twice: false,
        }
    }
}

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Whole)
    }
}

struct Whole;

impl<'de> Visitor<'de> for Whole {
    type Value = Unique;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique::of(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Unique, E> {
        Ok(Unique::of(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Unique, E> {
        Ok(Unique::of(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Unique, E> {
        Ok(Unique::of(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Unique, E> {
        let number = Number::from_f64(value).map_or(Value::Null, Value::Number);
        Ok(Unique::of(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Unique, E> {
        Ok(Unique::of(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Unique, E> {
        Ok(Unique::of(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
        let (mut values, mut twice) = (Vec::new(), false);
        while let Some(element) = seq.next_element::<Unique>()? {
            twice |= element.twice;
            values.push(element.value);
        }
        Ok(Unique {
            value: values.into(),
            twice,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let (mut object, mut twice) = (Map::new(), false);
        while let Some((key, value)) = map.next_entry::<String, Unique>()? {
            twice |= value.twice;
            twice |= object.insert(key, value.value).is_some();
        }
        Ok(Unique {
            value: object.into(),
            twice,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Unique;
    use serde_json::Value;

    #[test]
    fn a_key_that_stands_twice_is_seen_wherever_it_is() {
        for (json, twice) in [
            (r#"{"a": 1, "b": [null, true, -2, 1.5, "x"]}"#, false),
            (r#"[{"a": 1}, {"a": 2}]"#, false),
            (r#"{"a": 1, "a": 1}"#, true),
            (r#"[{"b": {"a": 1, "c": 2, "a": 3}}]"#, true),
        ] {
            let found: Unique = serde_json::from_str(json).unwrap();
            assert_eq!(found.twice, twice, "{json}");
            assert_eq!(found.value, serde_json::from_str::<Value>(json).unwrap());
        }
    }
}
