//! How far a running stage is and what it measured on the way: typed, from the worker to every display and writer.

use dpx_accounting::EpsilonBound;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a stage counts as it goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say what is counted")]
pub enum ProgressUnit {
    /// Steps of an optimizer, or parts of the work.
    #[default]
    Steps,
    Texts,
}

impl fmt::Display for ProgressUnit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Steps => "steps",
            Self::Texts => "texts",
        })
    }
}

/// What a stage measured. Internal: shown and written beside the cache, never part of an artifact.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StageMetrics {
    /// Mean loss of the last step's examples, in nats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Pass over the data, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Upper bound of the epsilon that the steps so far cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<EpsilonBound>,
    /// The epsilon that all steps together may cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon_target: Option<f64>,
    /// Tokens that this attempt has computed so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Tokens per second since the last message; the worker fills it in, as stages read no clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
}

impl StageMetrics {
    /// What can be drawn over steps, by name; what is not finite is left out.
    pub fn series(&self) -> impl Iterator<Item = (&'static str, f64)> {
        [
            ("loss", self.loss),
            ("epoch", self.epoch.map(|epoch| epoch as f64)),
            ("epsilon", self.epsilon.map(EpsilonBound::value)),
            ("tokens_per_second", self.tokens_per_second),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.filter(|value| value.is_finite())?)))
    }
}

impl fmt::Display for StageMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let epsilon = self.epsilon.map(|epsilon| match self.epsilon_target {
            Some(target) => format!("epsilon {epsilon} of {target}"),
            None => format!("epsilon {epsilon}"),
        });
        let parts = [
            self.epoch.map(|epoch| format!("epoch {epoch}")),
            self.loss.map(|loss| format!("loss {loss:.3}")),
            epsilon,
            self.tokens_per_second
                .map(|tokens| format!("{tokens:.0} tokens/s")),
        ];
        let told: Vec<String> = parts.into_iter().flatten().collect();
        formatter.write_str(&told.join(", "))
    }
}

/// How far a stage is. Printed, it is what a person reads beside the count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct ProgressUpdate {
    /// How many units are done.
    pub done: u64,
    /// Units in all; 0 when unknown.
    pub total: u64,
    pub unit: ProgressUnit,
    /// What it is doing, where that is not plain from the stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<String>,
    /// What it measured by the way.
    pub metrics: StageMetrics,
}

impl ProgressUpdate {
    /// `done` of `total` steps.
    pub fn steps(done: u64, total: u64) -> Self {
        Self {
            done,
            total,
            ..Self::default()
        }
    }

    /// `done` of `total` texts.
    pub fn texts(done: u64, total: u64) -> Self {
        Self {
            unit: ProgressUnit::Texts,
            ..Self::steps(done, total)
        }
    }

    /// Adds what the stage is doing.
    #[must_use]
    pub fn doing(mut self, activity: &str) -> Self {
        self.activity = Some(activity.to_owned());
        self
    }

    /// Adds what was measured.
    #[must_use]
    pub fn with(mut self, metrics: StageMetrics) -> Self {
        self.metrics = metrics;
        self
    }
}

impl fmt::Display for ProgressUpdate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metrics = self.metrics.to_string();
        let activity = self.activity.as_deref().unwrap_or_default();
        let both = [activity, metrics.as_str()];
        let told: Vec<&str> = both.into_iter().filter(|part| !part.is_empty()).collect();
        formatter.write_str(&told.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update() -> ProgressUpdate {
        ProgressUpdate::steps(3, 10).with(StageMetrics {
            loss: Some(2.3104),
            epsilon: Some(EpsilonBound::new(1.201).unwrap()),
            epsilon_target: Some(8.0),
            tokens_per_second: Some(1234.4),
            ..StageMetrics::default()
        })
    }

    #[test]
    fn an_update_reads_well_and_epsilon_is_rounded_up() {
        assert_eq!(
            update().to_string(),
            "loss 2.310, epsilon 1.21 of 8, 1234 tokens/s"
        );
        assert_eq!(
            update().doing("warm-up").to_string(),
            "warm-up, loss 2.310, epsilon 1.21 of 8, 1234 tokens/s"
        );
        assert_eq!(ProgressUpdate::texts(1, 2).to_string(), "");
    }

    #[test]
    fn metrics_survive_json_and_keep_their_types() {
        let text = serde_json::to_string(&update()).unwrap();
        assert_eq!(
            text,
            r#"{"done":3,"total":10,"unit":"steps","metrics":{"loss":2.3104,"epsilon":1.201,"epsilon_target":8.0,"tokens_per_second":1234.4}}"#
        );
        assert_eq!(
            serde_json::from_str::<ProgressUpdate>(&text).unwrap(),
            update()
        );
    }

    #[test]
    fn a_series_leaves_out_what_cannot_be_drawn() {
        let metrics = StageMetrics {
            loss: Some(f64::NAN),
            epoch: Some(2),
            epsilon: Some(EpsilonBound::INFINITE),
            ..StageMetrics::default()
        };
        assert_eq!(metrics.series().collect::<Vec<_>>(), [("epoch", 2.0)]);
    }
}
