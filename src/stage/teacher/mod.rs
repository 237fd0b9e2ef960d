//! `teacher`: a differentially private classifier of the private texts.
//!
//! The linear form is softmax regression on the presence of words of a public vocabulary, trained by noisy full-batch
//! gradient descent: every step is one Gaussian mechanism over the whole data set. What it writes is covered by the guarantee
//! except `internal.json`, which holds its accuracy on real texts.

mod predictor;
#[cfg(test)]
mod tests;

pub use predictor::{Teacher, Vocabulary};

use super::allot::{self, Allotment, Request};
use super::params::{Epsilon, NoiseMode, TeacherKind, TeacherParams};
use super::{Kind, StageContext, StageError};
use crate::data::{Row, Rows, builtin};
use crate::dp::Adjacency;
use crate::dp::budget;
use crate::dp::grid::rounding_allowance;
use crate::dp::key::{Key, forbid_core_dumps};
use crate::dp::privatise::{Protection, privatise};
use crate::dp::softmax::{Descent, SoftmaxRegression, SparseRows};
use crate::dp::sum::GradientSum;
use crate::text::{PublicSchema, SCHEMA_FILE};
use serde_json::json;

/// Trains the teacher and writes it with its privacy statement.
///
/// # Errors
/// When an input does not fit, or the budget cannot be met.
pub(super) fn run(context: &StageContext<'_>) -> Result<(), StageError> {
    let params: TeacherParams = context.params()?;
    if params.form == TeacherKind::Head {
        return Err(StageError::new(
            "`form = \"head\"` is not built yet: use `form = \"linear\"`",
        ));
    }
    forbid_core_dumps();
    let input = context.require(Kind::Preprocess)?;
    let failed = |error: &dyn std::fmt::Display| StageError::new(error.to_string());
    let schema =
        PublicSchema::load(input.path.join(SCHEMA_FILE)).map_err(|error| failed(&error))?;
    let counts = vocabulary(&params.vocabulary)?;
    let vocabulary = Vocabulary::new(&counts, params.frequency_exponent);
    let stage = context
        .instance
        .split('@')
        .next()
        .unwrap_or(&context.instance);
    let kind = budget::Kind::Gaussian {
        steps: params.steps,
    };
    let request = Request {
        stage,
        kind,
        epsilon: params.epsilon,
        delta: params.delta,
        canaries: 0,
        budget: params.budget.as_ref(),
    };
    let allotment = allot::allot(&request, schema.examples)?;
    let untouched = params.epsilon == Epsilon::Finite(0.0);
    let model = if untouched {
        let weights = vec![0.0; vocabulary.width() * schema.labels.len()];
        SoftmaxRegression {
            weights,
            classes: schema.labels.len(),
        }
    } else {
        allot::enter(
            context,
            &input.digest,
            allotment.as_ref(),
            params.delta.resolve(schema.examples),
        )?;
        let rows = Rows::read(input.path.join("train.jsonl"))?;
        descend(
            context,
            &params,
            &schema,
            &vocabulary,
            &rows,
            allotment.as_ref(),
        )?
    };
    let teacher = Teacher::new(
        schema.labels.clone(),
        &counts,
        params.frequency_exponent,
        model,
    );
    teacher.save(&context.output)?;
    write_statements(context, &params, allotment.as_ref())?;
    let validation = Rows::read(input.path.join("validation.jsonl"))?;
    let internal = json!({
        "covered_by_the_guarantee": false,
        "validation_accuracy": accuracy(&teacher, &validation),
        "validation_texts": validation.len(),
    });
    Ok(std::fs::write(
        context.output_path("internal.json"),
        format!("{internal:#}\n"),
    )?)
}

fn vocabulary(name: &str) -> Result<Vec<(String, u64)>, StageError> {
    if name == "builtin:words" {
        return Ok(builtin::words());
    }
    let text = std::fs::read_to_string(name)
        .map_err(|error| StageError::new(format!("`vocabulary`: cannot read `{name}`: {error}")))?;
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| {
            let mut fields = line.split_whitespace();
            let word = fields.next().unwrap_or_default();
            match fields.next().map_or(Ok(1), str::parse) {
                Ok(count) => Ok((word.to_owned(), count)),
                Err(_) => Err(StageError::new(format!(
                    "`{name}` line {}: the count is no number; expected a word and its public count",
                    number + 1
                ))),
            }
        })
        .collect()
}

fn descend(
    context: &StageContext<'_>,
    params: &TeacherParams,
    schema: &PublicSchema,
    vocabulary: &Vocabulary,
    rows: &[Row],
    allotment: Option<&Allotment>,
) -> Result<SoftmaxRegression, StageError> {
    let mut features = SparseRows::new(vocabulary.width());
    let mut labels = Vec::with_capacity(rows.len());
    for row in rows {
        vocabulary.push(&mut features, &row.text);
        labels.push(
            schema
                .label_index(&row.label)
                .map_err(|error| StageError::new(error.to_string()))?,
        );
    }
    let mut key = match params.noise {
        NoiseMode::Secure => {
            Key::from_operating_system().map_err(|error| StageError::new(error.to_string()))?
        }
        NoiseMode::Seeded => Key::seeded(context.seed, &context.instance),
    };
    let classes = schema.labels.len();
    let values = vocabulary.width() * classes;
    let protection = allotment.map_or(Protection::None, |allotment| Protection::Gaussian {
        noise_multiplier: allotment.own.noise_multiplier,
        sensitivity: params.max_grad_norm,
        rounding_allowance: rounding_allowance(values, params.max_grad_norm, 1.0, 1),
    });
    protection
        .check()
        .map_err(|error| StageError::new(error.to_string()))?;
    let descent = Descent {
        steps: params.steps,
        learning_rate: params.learning_rate,
        momentum: params.momentum,
        max_grad_norm: if allotment.is_some() {
            params.max_grad_norm
        } else {
            f64::INFINITY
        },
        examples: schema.examples,
    };
    let mut model =
        SoftmaxRegression::descend(&features, &labels, classes, &descent, |step, sum| {
            context
                .progress
                .update(step + 1, params.steps, "noisy gradient descent");
            let sum = GradientSum::of(vec![sum]);
            let released = privatise(&sum, &protection, &key, 1.0).to_vec(0);
            key = key.ratchet();
            released.into_iter().map(f64::from).collect()
        });
    if allotment.is_some() {
        model.shrink(params.shrinkage);
    }
    Ok(model)
}

fn write_statements(
    context: &StageContext<'_>,
    params: &TeacherParams,
    allotment: Option<&Allotment>,
) -> Result<(), StageError> {
    let (json, text) = match allotment {
        Some(allotment) => {
            let secure = params.noise == NoiseMode::Secure;
            let statement = allotment
                .statement(Adjacency::ZeroOut, secure)
                .map_err(|error| StageError::new(error.to_string()))?;
            let json = serde_json::to_value(&statement)
                .map_err(|error| StageError::new(error.to_string()))?;
            (json, statement.to_text())
        }
        None if params.epsilon == Epsilon::Infinite => (
            json!({"epsilon": null, "guarantee": "none"}),
            "No guarantee: trained on the private texts without clipping and noise.\n".to_owned(),
        ),
        None => (
            json!({"epsilon": 0.0, "guarantee": "nothing was learnt from the private data"}),
            "Epsilon 0: nothing was learnt from the private texts.\n".to_owned(),
        ),
    };
    std::fs::write(context.output_path("privacy.json"), format!("{json:#}\n"))?;
    Ok(std::fs::write(context.output_path("statement.txt"), text)?)
}

/// Share of rows whose label is the likeliest one.
pub(super) fn accuracy(teacher: &Teacher, rows: &[Row]) -> f64 {
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    let right = teacher
        .probabilities(&texts)
        .iter()
        .zip(rows)
        .filter(|(probabilities, row)| teacher.labels[likeliest(probabilities)] == row.label)
        .count();
    right as f64 / rows.len().max(1) as f64
}

/// Index of the largest value; the first of equals.
pub(super) fn likeliest(values: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}
