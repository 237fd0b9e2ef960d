//! The figures of a row, gathered replicate by replicate.

use super::sources::{AssembleError, Sources};
use super::study::{Role, RowClassification};
use dpx_engine::plan::InstanceId;
use dpx_stages::metric::{Classification, Interval, classification_intervals};
use std::collections::BTreeMap;

/// Collects the figures of a row, replicate by replicate.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) values: BTreeMap<String, Vec<f64>>,
    pub(crate) ceilings: BTreeMap<String, Vec<f64>>,
    pub(crate) classifications: Vec<RowClassification>,
}

impl Figures {
    /// Adds the value of one replicate.
    pub(crate) fn add(&mut self, id: &str, value: f64) {
        if value.is_finite() {
            self.values.entry(id.to_owned()).or_default().push(value);
        }
    }

    /// The F1 of each label as `f1.LABEL`, so that it has a spread like any other figure.
    fn labels(&mut self, role: Role, found: &Classification) {
        for label in &found.per_label {
            self.add(&format!("f1{}.{}", role.suffix(), label.label), label.f1);
        }
    }

    fn classification(&mut self, stage: &str, role: Role, found: &Classification) {
        let existing = self
            .classifications
            .iter_mut()
            .find(|other| other.stage == stage && other.figures.labels == found.labels);
        if let Some(existing) = existing {
            let mut matrix = existing.figures.confusion.clone();
            for (sums, row) in matrix.iter_mut().zip(&found.confusion) {
                for (sum, count) in sums.iter_mut().zip(row) {
                    *sum += count;
                }
            }
            if let Ok(summed) = Classification::from_matrix(&found.labels, matrix) {
                existing.figures = summed;
            }
        } else {
            self.classifications.push(RowClassification {
                stage: stage.to_owned(),
                role,
                figures: found.clone(),
            });
        }
    }

    /// Bootstrap intervals of the figures that come of one classification alone.
    pub(crate) fn intervals(&self) -> BTreeMap<String, Interval> {
        let mut found = BTreeMap::new();
        let mut roles = Vec::new();
        for one in &self.classifications {
            let suffix = one.role.suffix();
            let accuracy = format!("accuracy{suffix}");
            // As for the figures: the first stage of a role.
            let first = !roles.contains(&one.role);
            roles.push(one.role);
            if !first
                || self
                    .values
                    .get(&accuracy)
                    .is_none_or(|values| values.len() != 1)
            {
                continue;
            }
            if let Some(intervals) = classification_intervals(&one.figures) {
                found.insert(accuracy, intervals.accuracy);
                found.insert(format!("macro_f1{suffix}"), intervals.macro_f1);
                for (label, interval) in one.figures.labels.iter().zip(intervals.f1) {
                    found.insert(format!("f1{suffix}.{label}"), interval);
                }
            }
        }
        found
    }

    /// Only the first stage of a role gives the row's figures; others are shown in the section on labels.
    pub(crate) fn classify(
        &mut self,
        sources: &Sources<'_>,
        id: InstanceId,
        role: Role,
    ) -> Result<(), AssembleError> {
        let Some(found) = sources.json::<Classification>(id, "metrics.json")? else {
            return Ok(());
        };
        let stage = sources.plan.instances[id].stage.clone();
        let first = self
            .classifications
            .iter()
            .find(|other| other.role == role)
            .is_none_or(|other| other.stage == stage);
        if first {
            self.add(&format!("accuracy{}", role.suffix()), found.accuracy);
            self.add(&format!("macro_f1{}", role.suffix()), found.macro_f1);
            self.labels(role, &found);
        }
        // Of several columns of labels each has its own.
        if let Some(attribute) = sources.plan.instances[id].params["attribute"].as_str() {
            let suffix = role.suffix();
            self.add(&format!("accuracy{suffix}.{attribute}"), found.accuracy);
            self.add(&format!("macro_f1{suffix}.{attribute}"), found.macro_f1);
        }
        self.classification(&stage, role, &found);
        Ok(())
    }
}
