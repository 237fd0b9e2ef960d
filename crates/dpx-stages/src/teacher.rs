//! `teacher`: a differentially private classifier of the private texts.
//!
//! Softmax regression on public features (the presence of words of a public vocabulary, or the embeddings of a public
//! encoder), trained by noisy full-batch gradient descent: every step is one Gaussian mechanism over the whole data set. What it writes is covered by the guarantee
//! except `internal/`, which holds its accuracy on real texts.

mod embedding;
mod predictor;
#[cfg(test)]
pub(crate) mod tests;
mod vocabulary;

pub(crate) use embedding::EmbeddingFeatures;
pub(crate) use predictor::{Features, Teacher};
pub(crate) use vocabulary::Vocabulary;

use super::fault::fault;
use super::members::{Share, shares};
use super::model_source::ModelSource;
use super::private::{self, Machine, PrivateStage, Spending};
use dpx_accounting::DpEvent;
use dpx_data::{Row, Rows, builtin};
use dpx_schema::params::{BasePrecision, TeacherKind, TeacherParams, TeacherPerformance};
use dpx_schema::progress::ProgressUpdate;
use dpx_schema::{Context, Finish, PublicSchema, StageContext, StageError, StageResult};
use dpx_sgd::grid::f64_rounding_allowance;
use dpx_sgd::key::{Key, forbid_core_dumps};
use dpx_sgd::privatize::{NoiseSpec, privatize};
use dpx_sgd::softmax::{Descent, RowsAsOne, SoftmaxRegression};
use dpx_sgd::sum::GradientSum;
use serde_json::json;

/// Trains the teacher and writes it with its privacy statement.
///
/// # Errors
/// When an input does not fit, or the budget cannot be met.
pub(super) fn run(context: &StageContext<'_>) -> StageResult {
    let params: TeacherParams = context.params()?;
    let performance: TeacherPerformance = context.performance()?;
    forbid_core_dumps();
    let stage = PrivateStage::open(context, params.noise)?;
    let (input, schema) = (stage.input, &stage.schema);
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
    let (model, record, finish) = if stage.plan.spending == Spending::Untouched {
        let weights = vec![0.0; features.width() * schema.labels.len()];
        let model = SoftmaxRegression {
            weights,
            classes: schema.labels.len(),
        };
        (model, stage.untouched(), Finish::nothing())
    } else {
        let run = stage.begin()?;
        let rows = Rows::read(input.path.join("train.jsonl"))?;
        let (model, executed, machine) =
            descend(context, &params, &stage, &features, (&rows, &run.key))?;
        let record = stage.record(&run.id, Some(executed), machine);
        (model, record, run.finish())
    };
    let teacher = Teacher {
        labels: schema.labels.clone(),
        features,
        model,
    };
    teacher.save(&context.output)?;
    private::save(context, &record)?;
    let validation = Rows::read(input.path.join("validation.jsonl"))?;
    let internal = json!({
        "covered_by_the_guarantee": false,
        "validation_accuracy": accuracy(&teacher, &validation)?,
        "validation_texts": validation.len(),
    });
    std::fs::write(
        context.internal_path("validation.json")?,
        format!("{internal:#}\n"),
    )?;
    Ok(finish)
}

fn vocabulary(name: &str) -> Result<Vec<(String, u64)>, StageError> {
    if name == "builtin:words" {
        return Ok(builtin::words());
    }
    let text = std::fs::read_to_string(name)
        .context(format_args!("`vocabulary`: cannot read `{name}`"))?;
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

/// The model, what was executed, and how.
fn descend(
    context: &StageContext<'_>,
    params: &TeacherParams,
    stage: &PrivateStage<'_>,
    features: &Features,
    (rows, key): (&[Row], &Key),
) -> Result<(SoftmaxRegression, DpEvent, Machine), StageError> {
    let schema = &stage.schema;
    let labels: Vec<usize> = rows
        .iter()
        .map(|row| schema.label_index(&row.label))
        .collect::<Result<_, _>>()?;
    let examples = features.private_rows(&texts(rows), context.device)?;
    let mut key = key.clone();
    let classes = schema.labels.len();
    let values = features.width() * classes;
    let units = units(rows, schema)?;
    let records = schema.people.map_or(1, |people| people.max_per_unit);
    let records = schema.examples.saturating_mul(records);
    let allowance = f64_rounding_allowance(values, params.max_grad_norm, records);
    let noisy = stage.plan.noise_multiplier() > 0.0;
    let protection = if noisy {
        NoiseSpec::Gaussian {
            noise_multiplier: stage.plan.noise_multiplier(),
            sensitivity: params.max_grad_norm,
            rounding_allowance: allowance,
        }
    } else {
        NoiseSpec::None
    };
    protection.check()?;
    let spent = stage.plan.spent(&protection.executed(1))?;
    let mut noised = 0;
    let descent = Descent {
        steps: params.steps,
        learning_rate: params.learning_rate,
        momentum: params.momentum,
        max_grad_norm: if noisy {
            params.max_grad_norm
        } else {
            f64::INFINITY
        },
        examples: schema.examples,
    };
    let mut model = SoftmaxRegression::descend(
        &examples,
        &labels,
        units.as_deref(),
        classes,
        &descent,
        |step, sum| {
            let update = ProgressUpdate::steps(step + 1, params.steps);
            context
                .progress
                .update(&update.with(spent.metrics(step + 1)));
            let sum = GradientSum::of(vec![sum]);
            let released = privatize(&sum, &protection, &key, 1.0).to_vec(0);
            key = key.ratchet();
            noised += 1;
            released.into_iter().map(f64::from).collect()
        },
    );
    if noisy {
        model.shrink(params.shrinkage);
    }
    let machine = Machine {
        max_grad_norm: params.max_grad_norm,
        rounding_allowance: protection.rounding_allowance(),
        max_length: None,
        clipping: None,
        base_precision: BasePrecision::F32,
    };
    Ok((model, protection.executed(noised), machine))
}

/// What is bounded as one: the rows of a person in equal parts, within one bound.
fn units(rows: &[Row], schema: &PublicSchema) -> Result<Option<Vec<RowsAsOne>>, StageError> {
    let apart = fault!(RecordsCountApart);
    let as_one = |share: Share| RowsAsOne {
        weight: if apart { 1.0 } else { share.weight },
        bound: if apart {
            share.rows.len() as f64
        } else {
            share.bound
        },
        rows: share.rows,
    };
    let shares = shares(rows, schema)?;
    Ok(shares.map(|shares| shares.into_iter().map(as_one).collect()))
}

/// Share of rows whose label is the likeliest one.
fn accuracy(teacher: &Teacher, rows: &[Row]) -> Result<f64, StageError> {
    let right = teacher
        .probabilities(&texts(rows))?
        .iter()
        .zip(rows)
        .filter(|(probabilities, row)| teacher.labels[argmax(probabilities)] == row.label)
        .count();
    Ok(right as f64 / rows.len().max(1) as f64)
}

fn texts(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| row.text.clone()).collect()
}

/// Index of the largest value; the first of equals.
pub(super) fn argmax(values: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}
