//! `pretrain`: a tokenizer and a language model from public text, without privacy.
//!
//! One line of the corpus is one sequence. The loss of a step is the mean over all its tokens. Nothing here may ever see a
//! private text: the artifact is labelled public.

mod corpus;
mod model;
#[cfg(test)]
mod tests;

use corpus::Corpus;
use dpx_nn::model::CausalModel;
use dpx_nn::seed::Stream;
use dpx_nn::{Batch, Network, Sequence, Targets};
use dpx_schema::params::{PretrainParams, PretrainPerformance};
use dpx_schema::progress::{ProgressUpdate, StageMetrics};
use dpx_schema::{StageContext, StageError};
use dpx_sgd::checkpoint::{self, Found};
use dpx_sgd::clip::{Clipping, clipped_sum};
use dpx_sgd::dp_optimizer::{DpOptimizer, DpOptimizerSettings};
use dpx_sgd::key::Key;
use dpx_sgd::optimizer::{AdamSettings, Averaging, Denoising, LearningRate};
use dpx_sgd::privatize::NoiseSpec;
use dpx_sgd::sampling::micro_batches;
use serde_json::json;
use std::io::Write;
use std::path::Path;

/// Most lines on which the validation perplexity is measured during training; all of them count at the end.
const VALIDATION_LINES: usize = 512;

/// Trains the tokenizer and the model, and writes `model/`, `privacy.json`, `statement.txt` and `steps.jsonl`.
///
/// # Errors
/// When the corpus cannot be read, the sizes do not fit, or the stage is asked to stop.
pub(super) fn run(context: &StageContext<'_>) -> Result<(), StageError> {
    let params: PretrainParams = context.params()?;
    let performance: PretrainPerformance = context.performance()?;
    model::check(&params)?;
    std::fs::create_dir_all(&context.state)?;
    let lines = corpus::read(&params.corpus)?;
    let mut start = model::start(context, &params, &lines)?;
    let arithmetic = super::arithmetic(params.precision, context.device)?;
    start.network.parameters_mut().compute_in(arithmetic);
    let corpus = Corpus::encode(
        &lines,
        &start.tokenizer,
        start.network.context(),
        params.validation_share,
    )?;
    context.progress.log(&format!(
        "{} lines to train on, {} held out, {} tokens, vocabulary {}, {} parameters",
        corpus.train.len(),
        corpus.validation.len(),
        corpus.tokens(),
        start.tokenizer.vocabulary_size(),
        start.network.parameters().value_count(),
    ));
    let run = Run {
        context,
        params: &params,
        performance: &performance,
        corpus: &corpus,
        binding: binding(context, &params, &lines),
    };
    let perplexity = run.train(&mut start.network)?;
    start.write(context, &params, perplexity)?;
    Ok(())
}

/// Digest of everything that the weights depend on: a checkpoint made from anything else is no checkpoint of this run.
fn binding(context: &StageContext<'_>, params: &PretrainParams, lines: &[String]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("dpx 2026 pretrain binding v1");
    hasher.update(context.key.as_bytes());
    hasher.update(&context.seed.to_le_bytes());
    hasher.update(json!(params).to_string().as_bytes());
    hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
    hasher.update(context.device.class().as_bytes());
    for line in lines {
        hasher.update(&(line.len() as u64).to_le_bytes());
        hasher.update(line.as_bytes());
    }
    hasher.finalize().into()
}

struct Run<'a> {
    context: &'a StageContext<'a>,
    params: &'a PretrainParams,
    performance: &'a PretrainPerformance,
    corpus: &'a Corpus,
    binding: [u8; 32],
}

impl Run<'_> {
    fn train(&self, network: &mut dyn CausalModel) -> Result<f64, StageError> {
        let params = self.params;
        let settings = DpOptimizerSettings {
            adam: AdamSettings {
                beta2: 0.98,
                weight_decay: params.weight_decay,
                ..AdamSettings::default()
            },
            learning_rate: LearningRate::new(
                params.learning_rate,
                params.schedule,
                params.warmup,
                params.steps,
            ),
            averaging: Averaging::None,
            denoising: Denoising::None,
        };
        let mut optimizer = DpOptimizer::new(network.parameters(), settings);
        let path = self.context.state.join("state.bin");
        let found = checkpoint::read(&path, &self.binding)?;
        if let Found::Damaged(reason) = found {
            self.context.progress.log(&format!(
                "the checkpoint of an earlier attempt is damaged ({reason}): training restarts from step 0"
            ));
        }
        let found = found.whole().filter(|found| {
            found.step() <= params.steps && optimizer.restore(network.parameters_mut(), found)
        });
        if found.is_some() {
            self.context
                .progress
                .log(&format!("goes on after step {}", optimizer.step()));
        }
        let earlier = found.and_then(|found| Some(found.note(0)?.to_vec()));
        let mut log = StepLog::open(&self.context.state, earlier.unwrap_or_default())?;
        // Without protection no noise is drawn; the key is a formality.
        let key = Key::seeded(self.context.seed, &self.context.instance);
        let quick = &self.corpus.validation[..self.corpus.validation.len().min(VALIDATION_LINES)];
        let mut tokens = 0;
        while optimizer.step() < params.steps {
            let step = optimizer.step();
            let rows = self
                .corpus
                .rows_of_step(self.context.seed, step, params.batch_size);
            tokens += self.tokens(&rows);
            let loss = self.accumulate(network, &mut optimizer, &rows)?;
            optimizer.apply(network.parameters_mut(), &NoiseSpec::None, &key, 1.0);
            let rate = settings.learning_rate.at(step);
            log.line(&json!({"step": step + 1, "loss": loss, "learning_rate": rate}))?;
            let done = optimizer.step();
            self.context
                .progress
                .update(
                    &ProgressUpdate::steps(done, params.steps).with(StageMetrics {
                        loss: Some(loss),
                        tokens: Some(tokens),
                        ..StageMetrics::default()
                    }),
                );
            let stop = self.context.progress.stop_requested();
            if stop || done.is_multiple_of(self.performance.checkpoint_every) {
                if done < params.steps && !quick.is_empty() {
                    let perplexity = self.perplexity(network, quick)?;
                    self.context.progress.log(&format!(
                        "step {done}: validation perplexity {perplexity:.2}"
                    ));
                    log.line(&json!({"step": done, "validation_perplexity": perplexity}))?;
                }
                optimizer.save(network.parameters(), &path, &self.binding, &[log.text()])?;
            }
            if stop && done < params.steps {
                return Err(StageError::interrupted());
            }
        }
        optimizer.finish(network.parameters_mut());
        let perplexity = self.perplexity(network, &self.corpus.validation)?;
        log.line(
            &json!({"step": params.steps, "validation_perplexity": perplexity, "final": true}),
        )?;
        std::fs::write(self.context.output_path("steps.jsonl"), log.text())?;
        Ok(perplexity)
    }

    fn tokens(&self, rows: &[usize]) -> u64 {
        let lengths = rows.iter().map(|&row| self.corpus.train[row].len() as u64);
        lengths.sum()
    }

    /// Adds the gradients of the mean loss over all tokens of the rows; returns that loss.
    fn accumulate(
        &self,
        network: &dyn CausalModel,
        optimizer: &mut DpOptimizer,
        rows: &[usize],
    ) -> Result<f64, StageError> {
        let lengths: Vec<usize> = rows
            .iter()
            .map(|&row| self.corpus.train[row].len())
            .collect();
        let counted: usize = lengths.iter().map(|length| length - 1).sum();
        let max_tokens = self.performance.micro_batch_tokens as usize;
        let mut loss = 0.0;
        for part in micro_batches(rows, &lengths, usize::MAX, max_tokens) {
            let sequences: Vec<Sequence<'_>> = part
                .iter()
                .map(|&row| Sequence::whole(&self.corpus.train[row]))
                .collect();
            let mut batch = Batch::causal(&sequences);
            if let Targets::NextToken { weights, .. } = &mut batch.targets {
                weights.fill(1.0 / counted as f32);
            }
            let tape = network.forward_backward(&batch)?;
            let sum = clipped_sum(network.parameters(), tape, Clipping::None, 1.0)?;
            loss += sum.losses.iter().sum::<f64>();
            optimizer.accumulate(&sum.gradients);
        }
        Ok(loss)
    }

    /// exp of the mean loss over all tokens of some sequences; 1 when there are none.
    fn perplexity(
        &self,
        network: &dyn CausalModel,
        sequences: &[Vec<u32>],
    ) -> Result<f64, StageError> {
        let rows: Vec<usize> = (0..sequences.len()).collect();
        let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
        let (mut loss, mut tokens) = (0.0, 0.0);
        for part in micro_batches(
            &rows,
            &lengths,
            usize::MAX,
            self.performance.micro_batch_tokens as usize,
        ) {
            let batch: Vec<Sequence<'_>> = part
                .iter()
                .map(|&row| Sequence::whole(&sequences[row]))
                .collect();
            let losses = network.forward_loss(&Batch::causal(&batch))?;
            for (row, mean) in part.iter().zip(losses) {
                let counted = (lengths[*row] - 1) as f64;
                loss += mean * counted;
                tokens += counted;
            }
        }
        Ok(if tokens == 0.0 {
            1.0
        } else {
            (loss / tokens).exp()
        })
    }
}

/// The log of the steps: kept in memory and in the checkpoints. `steps.jsonl` in the state folder is a copy to look at.
pub(super) struct StepLog {
    copy: std::fs::File,
    text: Vec<u8>,
}

impl StepLog {
    /// Goes on from the log of a checkpoint.
    pub(super) fn open(state: &Path, text: Vec<u8>) -> Result<Self, StageError> {
        let mut copy = std::fs::File::create(state.join("steps.jsonl"))?;
        copy.write_all(&text)?;
        Ok(Self { copy, text })
    }

    pub(super) fn line(&mut self, value: &serde_json::Value) -> Result<(), StageError> {
        let line = format!("{value}\n");
        self.text.extend_from_slice(line.as_bytes());
        Ok(self.copy.write_all(line.as_bytes())?)
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }
}

/// The order in which rows are visited in an epoch.
fn order(seed: u64, epoch: u64, rows: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows as u32).collect();
    Stream::new(seed, "pretrain order", &[epoch]).shuffle(&mut order);
    order
}
