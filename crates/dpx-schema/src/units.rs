//! What one unit of privacy is, and the public bounds on what one contributes.

use crate::counted;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write};

/// What one unit of privacy is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// One record of the data set: a single text, cut at a public length, never split.
    #[default]
    Example,
    /// One person, with all of their records.
    User,
}

impl Unit {
    /// Every unit, as claims name them.
    pub const ALL: [Self; 2] = [Self::Example, Self::User];

    /// The word for a unit in claims and files: `example` or `user`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Example => "example",
            Self::User => "user",
        }
    }

    /// The unit that a claim names; none that dpx knows for another word.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// One of them, in a sentence.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Example => "record",
            Self::User => "person",
        }
    }

    /// Several of them, in a sentence.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Example => "records",
            Self::User => "people",
        }
    }

    /// How a sentence counts so many of them, such as `1 person`.
    pub fn counted(self, count: u64) -> String {
        let word = if count == 1 {
            self.word()
        } else {
            self.plural()
        };
        format!("{count} {word}")
    }

    /// What the guarantee means for a person, in public terms.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Example => {
                "one record: a single text, as far as the public bounds on its length let it be read. A person with several records is \
                 protected less: see the epsilon for groups"
            }
            Self::User => "one person, with all of their records in the data",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// How training gets to people who have several records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnitSampling {
    /// A coin for each person; some of their records, bounded as one.
    #[default]
    Users,
    /// A coin for each record, each bounded on its own; a person costs what a group of records does.
    Examples,
}

impl fmt::Display for UnitSampling {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Users => "users",
            Self::Examples => "examples",
        })
    }
}

/// How a data set belongs to people. All of it is public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeopleBounds {
    /// Most records of one person; more are left out.
    pub max_per_unit: u64,
    /// Whether a record may belong to several people, each with at most so many; who owns what is public then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub several_owners: bool,
}

/// How large a data set is, as far as that is public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Population {
    /// Number of units: people, or records.
    pub units: u64,
    /// Of people the number of their records; none where that is not known. It is public where records are sampled, and secret
    /// where people are.
    pub records: Option<u64>,
    /// How records belong to people; none where each record is a unit.
    pub people: Option<PeopleBounds>,
}

impl Population {
    /// So many records, each a unit.
    pub const fn of_records(units: u64) -> Self {
        Self {
            units,
            records: Some(units),
            people: None,
        }
    }

    /// People where these are protected, else records.
    pub const fn unit(&self) -> Unit {
        match self.people {
            None => Unit::Example,
            Some(_) => Unit::User,
        }
    }
}

impl From<u64> for Population {
    fn from(records: u64) -> Self {
        Self::of_records(records)
    }
}

/// What bounds a person's part in what a private stage did: public, and part of what it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitBounds {
    /// Most records of one person in the data.
    pub max_per_unit: u64,
    /// Most records of one person in a step, where people are sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples_per_unit: Option<u64>,
    /// How a step gets to people, where steps sample them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_sampling: Option<UnitSampling>,
    /// The number of records, where that is public: where these are sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// Whether a record may belong to several people.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub several_owners: bool,
}

impl UnitBounds {
    /// What one unit of privacy is under these bounds, in public terms.
    pub fn meaning(&self) -> String {
        let most = counted(self.max_per_unit, "record");
        let mut text = format!(
            "one person, with all of their records: at most {most} of each are used, {}",
            if self.several_owners {
                "in an order that depends on their numbers alone, and as far as nobody whose they are too has as many already"
            } else {
                "chosen without regard to anybody else's"
            }
        );
        match (self.unit_sampling, self.examples_per_unit) {
            (Some(UnitSampling::Users), Some(few)) => {
                let few = counted(few, "record");
                text += ", and at most ";
                text += &few;
                text += " of them in a step, as one contribution with one bound";
            }
            (Some(UnitSampling::Examples), _) => {
                text += ". Records are sampled and bounded one by one; the epsilon is that of all of a person's records together";
                if let Some(records) = self.records {
                    let _ = write!(text, ", of {records} in all");
                }
            }
            _ => text += ", as one contribution with one bound",
        }
        if self.several_owners {
            text += ". A record may belong to several people and counts for each of them; which records are whose is taken to be public, \
                     what they say is protected";
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_one_word_each() {
        for unit in Unit::ALL {
            assert_eq!(Unit::named(unit.name()), Some(unit));
            assert_eq!(serde_json::to_value(unit).unwrap(), unit.name());
        }
        assert_eq!(Unit::named("token"), None);
        assert_eq!(Unit::User.counted(1), "1 person");
        assert_eq!(Unit::User.counted(7), "7 people");
    }

    #[test]
    fn the_meaning_names_every_public_bound() {
        let bounds = UnitBounds {
            max_per_unit: 16,
            examples_per_unit: Some(4),
            unit_sampling: Some(UnitSampling::Users),
            records: None,
            several_owners: false,
        };
        let text = bounds.meaning();
        assert!(
            text.contains("16 records") && text.contains("4 records"),
            "{text}"
        );
        let text = UnitBounds {
            examples_per_unit: None,
            unit_sampling: Some(UnitSampling::Examples),
            records: Some(900),
            several_owners: true,
            ..bounds
        }
        .meaning();
        assert!(
            text.contains("900") && text.contains("several people"),
            "{text}"
        );
    }
}
