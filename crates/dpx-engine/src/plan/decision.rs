//! What happens to an instance, and why.

use super::InstanceId;
use dpx_schema::{Digest, Key, Record};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What happens to one instance when the plan is run.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Its place among the instances of the plan.
    pub instance: InstanceId,
    /// Cached, will run, or runs only if.
    pub state: State,
    /// Digest of each input's content by stage name, as far as it is known.
    pub inputs: BTreeMap<String, Digest>,
    /// The key; known as soon as every input is.
    pub key: Option<Key>,
    /// The earlier record that the reasons compare with: the nearest one of the same stage.
    pub nearest: Option<Arc<Record>>,
    /// Seconds that it is going to take, where that record did the same amount of work.
    pub estimate: Option<f64>,
}

/// The three states of a plan.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub enum State {
    /// The record is there: nothing to do.
    Cached {
        record: Arc<Record>,
        /// Digest of the artifact's content.
        output: Digest,
    },
    /// No record fits, or it was forced.
    Run {
        /// Never empty.
        reasons: Vec<Reason>,
    },
    /// Re-runs if the output of one of these needs changes: an earlier record agrees in everything else.
    OnlyIf {
        /// The needs whose content is not known yet.
        changed: Vec<InstanceId>,
    },
}

impl State {
    /// Whether nothing is left to do.
    pub const fn is_cached(&self) -> bool {
        matches!(self, Self::Cached { .. })
    }

    /// Digest of the artifact's content, where it is there.
    pub const fn output(&self) -> Option<Digest> {
        match self {
            Self::Cached { output, .. } => Some(*output),
            Self::Run { .. } | Self::OnlyIf { .. } => None,
        }
    }
}

/// Why an instance runs, compared with the nearest earlier record of the same stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub enum Reason {
    /// No earlier record of this stage.
    New,
    /// The stage ran before, but not at these values of the sweep's axes.
    NewRow {
        /// Its values, by name of the axis.
        axes: BTreeMap<String, Value>,
    },
    /// A parameter was added, removed or changed.
    Parameter {
        /// Dotted, such as `scrub.model`.
        name: String,
        /// In the record; none: the parameter was added.
        old: Option<Value>,
        /// None: the parameter was removed.
        new: Option<Value>,
    },
    /// The instance's seed changed.
    Seed { old: u64, new: u64 },
    /// An input was added, removed, or has other content.
    Input {
        name: String,
        /// In the record; none: the stage was not among its inputs.
        old: Option<Digest>,
        /// Content now; none: no longer among the needs.
        new: Option<Digest>,
    },
    /// An input that is not among the record's was added, and its content is not known yet.
    NewInput { name: String },
    /// A model or a dataset has other content.
    Source {
        /// The parameter that names the source.
        name: String,
        /// In the record; none: nothing was read for this parameter.
        old: Option<String>,
        /// None: nothing is read any more.
        new: Option<String>,
    },
    /// The kind's meaning changed with a new version of dpx.
    CodeVersion { old: u32, new: u32 },
    /// Asked for with `--force`.
    Forced,
    /// The record or an object of it cannot be used.
    Damaged { what: String },
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => formatter.write_str("new"),
            Self::NewRow { axes } => {
                formatter.write_str("new in the sweep: ")?;
                for (index, (name, value)) in axes.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(formatter, "{comma}{name} = {}", Shown(value))?;
                }
                Ok(())
            }
            Self::Parameter { name, old, new } => match (old, new) {
                (Some(old), Some(new)) => {
                    write!(
                        formatter,
                        "parameter `{name}` {} -> {}",
                        Shown(old),
                        Shown(new)
                    )
                }
                (None, Some(new)) => write!(formatter, "parameter `{name}` added: {}", Shown(new)),
                (Some(old), None) => {
                    write!(formatter, "parameter `{name}` removed: {}", Shown(old))
                }
                (None, None) => write!(formatter, "parameter `{name}`"),
            },
            Self::Seed { .. } => formatter.write_str("seed changed"),
            Self::Input { name, old, new } => match (old, new) {
                (Some(old), Some(new)) => {
                    write!(
                        formatter,
                        "input `{name}` changed: {} -> {}",
                        old.short(),
                        new.short()
                    )
                }
                (None, _) => write!(formatter, "input `{name}` added"),
                (_, None) => write!(formatter, "input `{name}` removed"),
            },
            Self::NewInput { name } => write!(formatter, "input `{name}` added"),
            Self::Source { name, old, new } => match (old, new) {
                (Some(old), Some(new)) => {
                    write!(
                        formatter,
                        "content of `{name}` changed: {} -> {}",
                        abbreviate(old),
                        abbreviate(new)
                    )
                }
                (None, _) => write!(formatter, "`{name}` added"),
                (_, None) => write!(formatter, "`{name}` removed"),
            },
            Self::CodeVersion { old, new } => write!(formatter, "code version {old} -> {new}"),
            Self::Forced => formatter.write_str("forced"),
            Self::Damaged { what } => write!(formatter, "damaged: {what}"),
        }
    }
}

/// A JSON value as the experiment file would write it, cut after 60 characters.
struct Shown<'a>(&'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0.as_f64() {
            // Whole floats without their point, as people write them.
            Some(number) if number.fract() == 0.0 && number.abs() < 1e15 => number.to_string(),
            _ => self.0.to_string(),
        };
        if text.chars().count() <= 60 {
            return formatter.write_str(&text);
        }
        let cut: String = text.chars().take(57).collect();
        write!(formatter, "{cut}...")
    }
}

/// The first twelve characters of a digest or commit.
fn abbreviate(identity: &str) -> String {
    identity.chars().take(12).collect()
}
