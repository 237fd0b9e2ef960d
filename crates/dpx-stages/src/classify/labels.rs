//! The labels that a classifier tells apart: the declared ones, or the values of one of several columns of labels.

use crate::score::read::LabelledTexts;
use dpx_schema::params::{ClassifyParams, values_at};
use dpx_schema::{PublicSchema, StageError};

/// Declared labels, and what they are to the classifier.
pub(super) struct Labels {
    /// Those that texts bear.
    pub(super) declared: Vec<String>,
    /// Those that are told apart.
    pub(super) told: Vec<String>,
    /// For each declared label the place of what is told.
    places: Vec<usize>,
}

impl Labels {
    /// # Errors
    /// When `attribute` names no column of labels.
    pub(super) fn new(schema: &PublicSchema, params: &ClassifyParams) -> Result<Self, StageError> {
        let declared = schema.labels.clone();
        let Some(name) = &params.attribute else {
            return Ok(Self {
                told: declared.clone(),
                places: (0..declared.len()).collect(),
                declared,
            });
        };
        let at = schema
            .attributes
            .iter()
            .position(|attribute| attribute.name == *name)
            .ok_or_else(|| {
                StageError::new(format!(
                    "`attribute` is `{name}`, which is no column of labels of the data"
                ))
            })?;
        Ok(Self {
            told: schema.attributes[at].values.clone(),
            places: (0..declared.len())
                .map(|place| values_at(&schema.attributes, place)[at])
                .collect(),
            declared,
        })
    }

    /// Texts with what is told of their labels.
    pub(super) fn told(&self, mut texts: LabelledTexts) -> LabelledTexts {
        for label in &mut texts.labels {
            *label = self.places[*label];
        }
        for row in texts.probabilities.iter_mut().flatten() {
            *row = self.sums(row);
        }
        texts
    }

    /// Probabilities of the declared labels, added up.
    pub(super) fn sums(&self, probabilities: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.told.len()];
        for (place, probability) in self.places.iter().zip(probabilities) {
            sums[*place] += probability;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpx_schema::LabelIntegration;
    use dpx_schema::params::{Attribute, combined};

    #[test]
    fn combinations_are_told_by_one_of_their_columns() {
        let attribute = |name: &str, values: &[&str]| Attribute {
            name: name.into(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let attributes = vec![
            attribute("intent", &["a", "b", "c"]),
            attribute("mood", &["x", "y"]),
        ];
        let labels = combined(&attributes);
        let schema = PublicSchema {
            attributes,
            ..PublicSchema::new(labels, "{label}: {text}", LabelIntegration::Prefix, 1)
        };
        let params = |json| serde_json::from_value::<ClassifyParams>(json).unwrap();
        let view =
            Labels::new(&schema, &params(serde_json::json!({"attribute": "intent"}))).unwrap();
        assert_eq!(view.told, ["a", "b", "c"]);
        let texts = LabelledTexts {
            texts: vec!["t".into(); 3],
            labels: vec![1, 2, 5],
            probabilities: Some(vec![vec![0.1, 0.2, 0.3, 0.2, 0.1, 0.1]; 3]),
            people: Vec::new(),
        };
        let told = view.told(texts);
        assert_eq!(told.labels, [0, 1, 2]);
        let sums = &told.probabilities.unwrap()[0];
        assert!((sums[0] - 0.3).abs() < 1e-12 && (sums[1] - 0.5).abs() < 1e-12);
        assert!(Labels::new(&schema, &params(serde_json::json!({"attribute": "x"}))).is_err());
        let all = Labels::new(&schema, &params(serde_json::json!({}))).unwrap();
        assert_eq!(all.told.len(), 6);
    }
}
