//! `select`: private texts vote for the texts of a pool, and the votes are released with noise.
//!
//! The pool is what a `sample` stage wrote: public, or covered by a guarantee of its own that composes with this one. A vote is for
//! a cell: the text's label in the cluster of the pool that is nearest to it, or single texts of the pool. Which cells there
//! are follows from pool, public encoder and parameters alone; every cell gets noise, whoever voted for it. Texts are drawn by
//! the votes in a `sample` stage, which never sees a private text: post-processing.
//!
//! # Sensitivity
//! The vote of a private text is a vector over the cells with no negative entry and the norm 1: one cell with 1, or `k` cells with
//! 1/sqrt(k) each (fewer, where the pool holds fewer texts of the label: then less than 1). It depends on that text and its label
//! alone: no other text changes its embedding by a bit, nor the centre that is nearest to it. What is noised is the sum.
//! - **Zero-out** (what is claimed: the number of units is public): a record is replaced by a null record, which votes for nothing.
//!   The sum moves by the record's vote: at most 1.
//! - **Add or remove**: the sum moves by the one vote: at most 1. Nothing else depends on how many there are.
//! - **Replacing one record by another**, which no claim of dpx speaks of: by v - w with |v|, |w| <= 1 and no negative entry, so that
//!   |v - w|^2 = |v|^2 + |w|^2 - 2 v.w <= 2: at most the square root of 2.
//! - **People**: the votes of a person's records are taken in parts whose sum is at most 1 ([`shares`]), so that all of them together
//!   have a norm of at most 1 by the triangle inequality, however alike the records are.
//!
//! All cells together are one Gaussian mechanism with sensitivity 1.

mod ballot;
mod pool;
#[cfg(test)]
pub(crate) mod tests;
mod votes;

pub(super) use votes::Votes;

use super::counts::{Counted, allowance, executed, release};
use super::members::shares;
use super::model_source::ModelSource;
use super::private::{self, Machine, PrivateStage, Spending};
use crate::counts::Noisy;
use crate::teacher::EmbeddingFeatures;
use ballot::{Booth, counted_votes};
use dpx_data::Rows;
use dpx_schema::params::{BasePrecision, SelectParams, SelectPerformance, VoteFor};
use dpx_schema::progress::ProgressUpdate;
use dpx_schema::{Finish, StageContext, StageError, StageResult};
use dpx_sgd::key::forbid_core_dumps;
use pool::Pool;

/// What is told on the way: pool, private texts, noise.
const STEPS: u64 = 3;

/// Counts the votes, adds noise, writes `votes.json`, `privacy.json` and `statement.txt`.
///
/// # Errors
/// When an input does not fit, or the budget cannot be met.
pub(super) fn run(context: &StageContext<'_>) -> StageResult {
    let params: SelectParams = context.params()?;
    let performance: SelectPerformance = context.performance()?;
    forbid_core_dumps();
    let stage = PrivateStage::open(context, params.noise)?;
    let schema = &stage.schema;
    let untouched = stage.plan.spending == Spending::Untouched;
    let step = |at: u64, what: &str| {
        context
            .progress
            .update(&ProgressUpdate::steps(at, STEPS).doing(what));
        if context.progress.stop_requested() {
            return Err(StageError::interrupted());
        }
        Ok(())
    };
    step(0, "embedding the pool")?;
    let source = ModelSource::find(&params.encoder)?;
    let encoder = EmbeddingFeatures::new(
        source.path(),
        context.device,
        performance.micro_batch_tokens as usize,
    )?;
    let pool = Pool::read(context, schema, &encoder)?;
    let booth = Booth::new(&pool, &params, context.seed);
    let cells = booth.cells(&pool, schema.labels.len());
    let (counts, record, finish) = if untouched {
        (Noisy::default(), stage.untouched(), Finish::nothing())
    } else {
        encoder.check_device(context.device)?;
        step(1, "embedding the private texts")?;
        let run = stage.begin()?;
        let rows = Rows::read(stage.input.path.join("train.jsonl"))?;
        let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        let labels = rows
            .iter()
            .map(|row| schema.label_index(&row.label))
            .collect::<Result<Vec<_>, _>>()?;
        let counted = Counted::of(&texts, &labels, shares(&rows, schema)?.as_deref());
        let owned: Vec<String> = rows.iter().map(|row| row.text.clone()).collect();
        let ballots = booth.ballots(&pool, &labels, &encoder.unit_of_each(&owned)?);
        step(2, "counting")?;
        let exact = counted_votes(&counted, &ballots, cells);
        let whole = params.by == VoteFor::Clusters && schema.people.is_none();
        // Whole votes are integers and lie on the grid.
        let allowance = if whole {
            0.0
        } else {
            allowance(&exact, schema)
        };
        let noise = stage.plan.noise_multiplier();
        let noise = (noise > 0.0).then_some(noise);
        let counts = release(exact, noise, allowance, &run.key)?;
        let machine = Machine {
            max_grad_norm: 1.0,
            rounding_allowance: allowance,
            max_length: None,
            clipping: None,
            base_precision: BasePrecision::F32,
        };
        let record = stage.record(&run.id, Some(executed(&[noise])), machine);
        (counts, record, run.finish())
    };
    if params.by == VoteFor::Clusters && booth.clusters() < params.clusters as usize {
        context.progress.log(&format!(
            "clusters: {} asked for, the pool has texts for {}",
            params.clusters,
            booth.clusters()
        ));
    }
    step(STEPS, "writing")?;
    Votes {
        labels: schema.labels.clone(),
        by: params.by,
        pool: pool.digest,
        clusters: booth.clusters(),
        of_pool: booth.of_pool(),
        counts,
    }
    .save(&context.output)?;
    private::save(context, &record)?;
    Ok(finish)
}
