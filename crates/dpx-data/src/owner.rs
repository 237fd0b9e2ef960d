//! Whose a record is: a person by the digest of what a data set calls them.

use crate::labels::normal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A person. Names do not go into artifacts: this is 64 bits of a digest, the same on every machine, written as 16 hexadecimal
/// digits. Whoever has the artifact and a list of names can tell them; it is private, as the texts beside it are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(u64);

impl Owner {
    /// The person of a name, in Unicode's composed form. White space around it does not count, nor does `.0` behind a whole number, which is how some
    /// programs write a column of numbers with gaps.
    pub fn named(name: &str) -> Self {
        let name = normal(name);
        let whole = name.strip_suffix(".0").filter(|digits| {
            !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
        });
        let mut hasher = blake3::Hasher::new_derive_key("dpx owners v1");
        hasher.update(whole.unwrap_or(&name).as_bytes());
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Self(u64::from_le_bytes(bytes))
    }

    /// The digest of the name that stands for the person.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl Serialize for Owner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("expected 16 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_and_survive_a_file() {
        let one = Owner::named("customer 7");
        assert_eq!(one, Owner::named(" customer 7\r"));
        assert_ne!(one, Owner::named("Customer 7"));
        assert_eq!(Owner::named("7"), Owner::named("7.0"));
        assert_ne!(Owner::named("1.7.0"), Owner::named("1.7"));
        assert_eq!(Owner::named("Zo\u{eb}"), Owner::named("Zoe\u{308}"));
        let json = serde_json::to_string(&one).unwrap();
        assert_eq!(json.len(), 18);
        assert_eq!(serde_json::from_str::<Owner>(&json).unwrap(), one);
        assert!(serde_json::from_str::<Owner>("\"x\"").is_err());
    }
}
