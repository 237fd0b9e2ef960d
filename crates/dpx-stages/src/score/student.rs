//! What a language model learns from the synthetic texts: the public model is trained on them, without privacy, and its
//! perplexity of held-out real texts is taken; beside it that of the same model trained on as many real texts.

use super::models::LanguageModel;
use crate::losses::whole_text;
use crate::metric::perplexity::{Perplexity, perplexity};
use dpx_nn::seed::Stream;
use dpx_nn::{Batch, Network, Sequence, Targets};
use dpx_schema::params::Schedule;
use dpx_schema::{Progress, StageError};
use dpx_sgd::clip::{Clipping, clipped_sum};
use dpx_sgd::dp_optimizer::{DpOptimizer, DpOptimizerSettings};
use dpx_sgd::key::Key;
use dpx_sgd::optimizer::{AdamSettings, Averaging, Denoising, LearningRate};
use dpx_sgd::privatize::NoiseSpec;
use dpx_sgd::sampling::micro_batches;

/// Texts in a step.
const BATCH: usize = 32;
/// Peak learning rate.
const RATE: f64 = 3e-4;

/// The perplexity of held-out texts under a model after so many passes over some texts.
pub(super) fn held_out_perplexity(
    mut model: LanguageModel,
    texts: &[String],
    held_out: &[(&str, &str)],
    epochs: f64,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Option<Perplexity>, StageError> {
    let sequences = texts
        .iter()
        .map(|text| whole_text(&model.tokenizer, text, model.max_seq_len))
        .collect::<Result<Vec<_>, StageError>>()?;
    let sequences: Vec<Vec<u32>> = sequences.into_iter().filter(|ids| ids.len() > 1).collect();
    if sequences.is_empty() || held_out.is_empty() {
        return Ok(None);
    }
    let steps = ((epochs * sequences.len() as f64) / BATCH as f64)
        .ceil()
        .max(1.0) as u64;
    let settings = DpOptimizerSettings {
        adam: AdamSettings::default(),
        learning_rate: LearningRate::new(RATE, Schedule::Linear, 0.1, steps),
        averaging: Averaging::None,
        denoising: Denoising::None,
    };
    let mut optimizer = DpOptimizer::new(model.network.parameters(), settings);
    // Without protection no noise is drawn; the key is a formality.
    let key = Key::seeded(seed, "student");
    for step in 0..steps {
        if progress.stop_requested() {
            return Err(StageError::interrupted());
        }
        let rows = rows_of_step(seed, step, sequences.len());
        accumulate(&model, &mut optimizer, &sequences, &rows)?;
        optimizer.apply(model.network.parameters_mut(), &NoiseSpec::None, &key, 1.0);
    }
    optimizer.finish(model.network.parameters_mut());
    use super::compute::LmScorer;
    Ok(perplexity(&model.losses(held_out)?))
}

/// The rows of a step: every row once in each epoch, in a new order each time.
fn rows_of_step(seed: u64, step: u64, rows: usize) -> Vec<usize> {
    let first = step as usize * BATCH;
    let order = |epoch: usize| {
        let mut order: Vec<usize> = (0..rows).collect();
        Stream::new(seed, "student order", &[epoch as u64]).shuffle(&mut order);
        order
    };
    let mut epoch = (usize::MAX, Vec::new());
    let places = first..first + BATCH.min(rows);
    places
        .map(|place| {
            if epoch.0 != place / rows {
                epoch = (place / rows, order(place / rows));
            }
            epoch.1[place % rows]
        })
        .collect()
}

/// Adds the gradients of the mean loss over all tokens of some texts.
fn accumulate(
    model: &LanguageModel,
    optimizer: &mut DpOptimizer,
    sequences: &[Vec<u32>],
    rows: &[usize],
) -> Result<(), StageError> {
    let lengths: Vec<usize> = rows.iter().map(|&row| sequences[row].len()).collect();
    let counted: usize = lengths.iter().map(|length| length - 1).sum();
    for part in micro_batches(rows, &lengths, usize::MAX, model.micro_batch_tokens) {
        let batch: Vec<Sequence<'_>> = part
            .iter()
            .map(|&row| Sequence::whole(&sequences[row]))
            .collect();
        let mut batch = Batch::causal(&batch);
        if let Targets::NextToken { weights, .. } = &mut batch.targets {
            weights.fill(1.0 / counted as f32);
        }
        let tape = model.network.forward_backward(&batch)?;
        let sum = clipped_sum(model.network.parameters(), tape, Clipping::None, 1.0)?;
        optimizer.accumulate(&sum.gradients);
    }
    Ok(())
}
