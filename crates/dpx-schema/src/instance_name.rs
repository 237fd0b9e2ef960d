//! The name of a stage instance: one everywhere, from the plan to the ledger.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

/// A stage at one combination of the axes that reach it: `preprocess`, `train@epsilon=8`, `train@epsilon=8,replicate=2`.
///
/// Printed, compared and serialized it is that text. Names of stages and axes hold no `@`, `=` or `,`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceName(String);

impl InstanceName {
    /// The name of a stage at the values of its axes, which come in the order of the experiment file.
    pub fn new<'a>(stage: &str, axes: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Self {
        let row = Self::row_of(axes);
        Self(if row.is_empty() {
            stage.to_owned()
        } else {
            format!("{stage}@{row}")
        })
    }

    /// Values of axes as they stand in names: `epsilon=8,replicate=2`; empty without axes.
    pub fn row_of<'a>(axes: impl IntoIterator<Item = (&'a str, &'a Value)>) -> String {
        let parts: Vec<String> = axes
            .into_iter()
            .map(|(name, value)| format!("{name}={}", Self::word(value)))
            .collect();
        parts.join(",")
    }

    /// One value of an axis as it stands in names.
    pub fn word(value: &Value) -> String {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    }

    /// The name as it is written, such as `train@epsilon=8`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// NAME of `[stage.NAME]`, what stands before `@`.
    pub fn stage(&self) -> &str {
        self.0.split_once('@').map_or(&self.0, |(stage, _)| stage)
    }

    /// What follows the stage: `epsilon=8,replicate=2`; empty without axes.
    pub fn row(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, row)| row)
    }

    /// The axes with their values, in the order of the name.
    pub fn axes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.row()
            .split(',')
            .filter_map(|axis| axis.split_once('='))
    }
}

impl Deref for InstanceName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for InstanceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl<T: Into<String>> From<T> for InstanceName {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl PartialEq<str> for InstanceName {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for InstanceName {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl PartialEq<String> for InstanceName {
    fn eq(&self, other: &String) -> bool {
        self.0 == *other
    }
}

impl PartialEq<InstanceName> for String {
    fn eq(&self, other: &InstanceName) -> bool {
        *self == other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_is_made_and_taken_apart_once() {
        let (eight, text, small) = (json!(8), json!("inf"), json!(1e-5));
        let name = InstanceName::new("train", [("epsilon", &eight), ("rate", &small)]);
        assert_eq!(name, "train@epsilon=8,rate=0.00001");
        assert_eq!(
            (name.stage(), name.row()),
            ("train", "epsilon=8,rate=0.00001")
        );
        let axes: Vec<_> = name.axes().collect();
        assert_eq!(axes, [("epsilon", "8"), ("rate", "0.00001")]);
        let name = InstanceName::new("train", [("epsilon", &text)]);
        assert_eq!(name.to_string(), "train@epsilon=inf");
        let plain = InstanceName::new("preprocess", []);
        assert_eq!((plain.stage(), plain.row()), ("preprocess", ""));
        assert_eq!(plain.axes().count(), 0);
        assert_eq!(json!(name), json!("train@epsilon=inf"));
    }
}
