//! `teacher`: a differentially private classifier of the private texts.
//!
//! Softmax regression on public features (the presence of words of a public vocabulary, or the embeddings of a public
//! encoder), trained by noisy full-batch gradient descent: every step is one Gaussian mechanism over the whole data set. What it writes is covered by the guarantee
//! except `internal.json`, which holds its accuracy on real texts.

mod embedding;
mod predictor;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use embedding::EmbeddingFeatures;
pub use predictor::{Features, Teacher};
pub use vocabulary::Vocabulary;

use super::allot::{self, Allotment, Request};
use super::model_source::ModelSource;
use dpx_accounting::Adjacency;
use dpx_accounting::budget;
use dpx_data::{Row, Rows, builtin};
use dpx_schema::params::{Epsilon, NoiseMode, TeacherKind, TeacherParams, TeacherPerformance};
use dpx_schema::{Kind, StageContext, StageError};
use dpx_schema::{PublicSchema, SCHEMA_FILE};
use dpx_sgd::grid::rounding_allowance;
use dpx_sgd::key::{Key, forbid_core_dumps};
use dpx_sgd::privatise::{Protection, privatise};
use dpx_sgd::softmax::{Descent, SoftmaxRegression};
use dpx_sgd::sum::GradientSum;
use serde_json::json;

/// Trains the teacher and writes it with its privacy statement.
///
/// # Errors
/// When an input does not fit, or the budget cannot be met.
pub(super) fn run(context: &StageContext<'_>) -> Result<(), StageError> {
    let params: TeacherParams = context.params()?;
    let performance: TeacherPerformance = context.performance()?;
    forbid_core_dumps();
    let input = context.require(Kind::Preprocess)?;
    let failed = |error: &dyn std::fmt::Display| StageError::new(error.to_string());
    let schema =
        PublicSchema::load(input.path.join(SCHEMA_FILE)).map_err(|error| failed(&error))?;
    // An unpacked built-in model lives as long as its source does.
    let source = match params.form {
        TeacherKind::Linear => None,
        TeacherKind::Head => Some(ModelSource::find(&params.encoder)?),
    };
    let features = match &source {
        None => {
            let counts = vocabulary(&params.vocabulary)?;
            Features::Words(Vocabulary::new(&counts, params.frequency_exponent))
        }
        Some(source) => Features::Embeddings(Box::new(EmbeddingFeatures::new(
            source.path(),
            context.device,
            performance.micro_batch_tokens as usize,
        )?)),
    };
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
        let weights = vec![0.0; features.width() * schema.labels.len()];
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
            &features,
            &rows,
            allotment.as_ref(),
        )?
    };
    let teacher = Teacher {
        labels: schema.labels.clone(),
        features,
        model,
    };
    teacher.save(&context.output)?;
    write_statements(context, &params, allotment.as_ref())?;
    let validation = Rows::read(input.path.join("validation.jsonl"))?;
    let internal = json!({
        "covered_by_the_guarantee": false,
        "validation_accuracy": accuracy(&teacher, &validation)?,
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
    features: &Features,
    rows: &[Row],
    allotment: Option<&Allotment>,
) -> Result<SoftmaxRegression, StageError> {
    let labels: Vec<usize> = rows
        .iter()
        .map(|row| schema.label_index(&row.label))
        .collect::<Result<_, _>>()
        .map_err(|error| StageError::new(error.to_string()))?;
    let examples = features.rows(&texts(rows))?;
    let mut key = match params.noise {
        NoiseMode::Secure => {
            Key::from_operating_system().map_err(|error| StageError::new(error.to_string()))?
        }
        NoiseMode::Seeded => Key::seeded(context.seed, &context.instance),
    };
    let classes = schema.labels.len();
    let values = features.width() * classes;
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
        SoftmaxRegression::descend(&examples, &labels, classes, &descent, |step, sum| {
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
fn accuracy(teacher: &Teacher, rows: &[Row]) -> Result<f64, StageError> {
    let right = teacher
        .probabilities(&texts(rows))?
        .iter()
        .zip(rows)
        .filter(|(probabilities, row)| teacher.labels[likeliest(probabilities)] == row.label)
        .count();
    Ok(right as f64 / rows.len().max(1) as f64)
}

fn texts(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| row.text.clone()).collect()
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
