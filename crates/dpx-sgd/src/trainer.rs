//! DP-SGD with Poisson sampling over any [`Network`]: coins, micro-batches, clipping, one sum, noise, one update.
//!
//! With a noise multiplier of zero (epsilon = infinity) the very same loop runs without clipping and noise.

#[cfg(test)]
mod denoise_tests;
#[cfg(test)]
mod device_tests;
#[cfg(test)]
pub(crate) mod people_tests;
#[cfg(test)]
pub(crate) mod replay;
#[cfg(test)]
pub(crate) mod replica_tests;
#[cfg(test)]
pub(crate) mod tests;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::clip::{ClipError, Clipping, GradientError, clipped_gradient};
use super::dp_optimizer::{DpOptimizer, DpOptimizerSettings};
use super::fault::fault;
use super::grid::{MAX_ROWS, rounding_allowance};
use super::key::{Key, KeyFile, KeyFileError, KeyIsGone};
use super::micro_batch::{self, Limits, Part};
pub use super::micro_batch::{Idle, MicroBatches};
use super::privatize::{NoiseOutOfRange, NoiseSpec};
use super::replicas::Replicas;
use super::sampling::poisson_batch;
use super::units::Units;
use dpx_accounting::{DpEvent, Mechanism};
use dpx_nn::{Array, Batch, Network, Parameters};
use dpx_schema::Device;
use std::path::Path;

/// The records that a run trains on, by row number; several devices may ask at once.
pub trait Examples: Sync {
    /// How many rows there are, numbered from 0.
    fn rows(&self) -> usize;

    /// Tokens of a row, of all of its sequences together.
    fn length(&self, row: usize) -> usize;

    /// The batch of some rows, with idle sequences behind ([`Batch::causal_with_idle`]). No row's part depends on another.
    fn batch(&self, rows: &[usize], idle: Idle<'_>) -> Batch;

    /// Sequences of a row: 2 where a row is a pair.
    fn sequences(&self) -> usize {
        1
    }

    /// Tokens that are computed of each sequence of a row.
    fn inputs(&self, row: usize) -> Vec<usize>;

    /// Most tokens of any sequence; public.
    fn max_seq_len(&self) -> usize;

    /// How rows belong to people, where people are sampled and bounded; none where each row is.
    fn units(&self) -> Option<&Units> {
        None
    }
}

/// Why a step or a checkpoint failed. No message depends on a record.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum TrainerError {
    /// The model refused a batch.
    #[error(transparent)]
    Network(#[from] dpx_nn::Error),
    /// The gradient cannot be bounded.
    #[error(transparent)]
    Clip(#[from] ClipError),
    /// The noise multiplier is out of range.
    #[error(transparent)]
    Noise(#[from] NoiseOutOfRange),
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint is not of this run.
    #[error("the checkpoint is of another model or of more steps than the run has: remove it")]
    NoFit,
    /// The file of the secret key cannot be read or written.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The key of the step to go on from no longer exists.
    #[error(transparent)]
    KeyIsGone(#[from] KeyIsGone),
    /// One of several devices failed; nothing of the step counts.
    #[error("`{device}`, one of several devices, failed: {error}")]
    OnDevice { device: Device, error: Box<Self> },
    /// A device ran out of memory, or vanished, or the program there is wrong.
    #[error("{words}")]
    Panicked {
        /// What the driver, or the program, said.
        words: String,
    },
    /// A sum lacks examples, or has some twice: it is thrown away.
    #[error(
        "a device did not compute each example of the batch exactly once; nothing of the step counts"
    )]
    Miscounted,
}

impl From<GradientError> for TrainerError {
    fn from(error: GradientError) -> Self {
        match error {
            GradientError::Network(error) => error.into(),
            GradientError::Clip(error) => error.into(),
        }
    }
}

/// Where the key of a run comes from.
#[derive(Debug)]
pub enum KeySource {
    /// A secret file outside the cache.
    Secure(KeyFile),
    /// Derived from a seed: reproducible, and without any guarantee.
    Seeded(Key),
}

impl KeySource {
    /// The oldest key that still exists.
    pub const fn oldest(&self) -> &Key {
        match self {
            Self::Secure(file) => file.key(),
            Self::Seeded(key) => key,
        }
    }
}

/// Everything public that a run is made of, next to its [`Mechanism`].
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct TrainerSettings {
    pub optimizer: DpOptimizerSettings,
    /// How gradients are bounded; of no account at noise multiplier zero.
    pub clipping: Clipping,
    /// What sums are divided by: a constant, whatever the size of the batch that is drawn.
    pub expected_batch_size: f64,
    /// How many rows, or people where these are sampled, a batch has on average: the sampling rate times their number. The
    /// allowance for rounding follows it, whatever sums are divided by.
    pub expected_rows: f64,
    /// Most tokens of what is bounded as one: an example, or the records of a person that take part in a step.
    pub max_seq_len: usize,
}

/// What happened in a step. All of it is private: for internal logs alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Telemetry {
    /// Size of the batch that was drawn: rows, or people where these are sampled.
    pub batch_size: usize,
    /// Tokens of the examples that were drawn, prompts included.
    pub tokens: usize,
    /// Mean of the examples' losses; 0 in an empty batch.
    pub loss: f64,
    /// Mean of the examples' gradient norms before clipping, non-finite ones left out.
    pub gradient_norm: f64,
    /// Share of the examples whose norm was above the bound.
    pub clipped: f64,
    /// Examples whose gradient was not finite; they added nothing.
    pub removed: usize,
}

/// A run of DP-SGD: draws, clips, adds noise and updates, step by step.
#[derive(Debug)]
pub struct Trainer {
    mechanism: Mechanism,
    settings: TrainerSettings,
    micro_batches: MicroBatches,
    clipping: Clipping,
    protection: NoiseSpec,
    optimizer: DpOptimizer,
    source: KeySource,
    key: Key,
    noise_ahead: Option<bool>,
    replicas: Replicas,
}

impl Trainer {
    /// Before the first step, on the trainable parameters of a registry.
    ///
    /// # Errors
    /// When the noise is out of range.
    pub fn new(
        parameters: &Parameters,
        mechanism: Mechanism,
        settings: TrainerSettings,
        micro_batches: MicroBatches,
        source: KeySource,
    ) -> Result<Self, TrainerError> {
        let optimizer = DpOptimizer::new(parameters, settings.optimizer);
        let (clipping, protection) = if mechanism.noise_multiplier() > 0.0 {
            let protection = NoiseSpec::Gaussian {
                noise_multiplier: mechanism.noise_multiplier(),
                sensitivity: settings.clipping.sensitivity(mechanism.max_grad_norm()),
                rounding_allowance: rounding_allowance(
                    optimizer.values(),
                    mechanism.max_grad_norm(),
                    if fault!(AllowanceOfOneRow) {
                        1.0
                    } else {
                        settings.expected_rows
                    },
                    settings.max_seq_len,
                ),
            };
            (settings.clipping, protection)
        } else {
            (Clipping::None, NoiseSpec::None)
        };
        protection.check()?;
        let key = source.oldest().clone();
        Ok(Self {
            mechanism,
            settings,
            micro_batches: MicroBatches {
                max_rows: micro_batches.max_rows.clamp(1, MAX_ROWS),
                ..micro_batches
            },
            clipping,
            protection,
            optimizer,
            source,
            key,
            noise_ahead: None,
            replicas: Replicas::none(),
        })
    }

    /// Divides the micro-batches of every step from now on over the device of the network and these. One sum is protected once,
    /// and has the bits of one device where all of them compute a micro-batch to the same bits.
    pub fn divide_over(&mut self, replicas: Replicas) {
        self.replicas = replicas;
    }

    fn limits(&self) -> Limits {
        Limits {
            micro_batches: self.micro_batches,
            expected_rows: self.settings.expected_rows,
            bounded: self.clipping != Clipping::None,
        }
    }

    /// Whether the next step's noise is drawn on threads of its own while gradients are computed. Unless told otherwise it
    /// is where another device than the processor computes them. No result depends on it.
    pub const fn draw_noise_ahead(&mut self, ahead: bool) {
        self.noise_ahead = Some(ahead);
    }

    /// Number of steps that were done.
    pub const fn step_number(&self) -> u64 {
        self.optimizer.step()
    }

    /// What the run has done so far: the event that its record states.
    pub fn executed(&self) -> DpEvent {
        self.event(self.optimizer.step())
    }

    /// The event of a single step; not private where no noise is added.
    pub fn step_event(&self) -> DpEvent {
        self.event(1)
    }

    fn event(&self, steps: u64) -> DpEvent {
        let NoiseSpec::Gaussian {
            noise_multiplier, ..
        } = self.protection
        else {
            return DpEvent::NonPrivate;
        };
        DpEvent::poisson_sampled_records(
            self.mechanism.sampling_rate(),
            noise_multiplier,
            steps,
            self.mechanism.records_per_unit(),
        )
        .unwrap_or(DpEvent::NonPrivate)
    }

    /// The noise that the sum of every step gets.
    pub const fn protection(&self) -> NoiseSpec {
        self.protection
    }

    /// What takes part in the next step: every row by a coin of its own, or every person, of whom some rows are drawn.
    fn draw(&self, examples: &dyn Examples) -> Vec<Vec<usize>> {
        let rate = self.mechanism.sampling_rate();
        let Some(people) = examples.units() else {
            let rows = poisson_batch(&self.key, examples.rows(), rate);
            return rows.into_iter().map(|row| vec![row]).collect();
        };
        if fault!(CoinsOfRecords) {
            let rows = poisson_batch(&self.key, examples.rows(), rate);
            let of = |unit| people.rows(unit).iter().copied();
            let drawn = |unit| of(unit).filter(|row| rows.contains(row)).collect();
            let all = (0..people.len()).map(drawn);
            return all.filter(|rows: &Vec<usize>| !rows.is_empty()).collect();
        }
        poisson_batch(&self.key, people.len(), rate)
            .into_iter()
            .map(|unit| people.draw(&self.key, unit))
            .collect()
    }

    /// One step: every row, or every person, takes part by a coin of its own; an empty batch is a step of noise.
    ///
    /// # Errors
    /// When the model refuses the batch, for reasons that do not depend on what its rows say.
    pub fn step(
        &mut self,
        network: &mut dyn Network,
        examples: &dyn Examples,
    ) -> Result<Telemetry, TrainerError> {
        let elsewhere = network.parameters().device() != Device::Cpu;
        let noise_ahead = self.noise_ahead.unwrap_or(elsewhere);
        if noise_ahead {
            self.optimizer.draw_noise_ahead(&self.protection, &self.key);
        }
        let batch = self.draw(examples);
        let mut protection = self.protection;
        let mut divisor = self.settings.expected_batch_size;
        let parts = micro_batch::plan(network.parameters(), examples, &batch, self.limits());
        if fault!(SkippedEmpty) && batch.is_empty() {
            return Ok(Tally::default().telemetry(&[]));
        }
        if fault!(RealisedDivisor) {
            divisor = batch.len().max(1) as f64;
        }
        if fault!(FloorDivisor) {
            divisor = (self.mechanism.sampling_rate() * examples.rows() as f64).floor();
        }
        if fault!(NoisePerMicroBatch)
            && let NoiseSpec::Gaussian {
                noise_multiplier, ..
            } = &mut protection
        {
            *noise_multiplier *= (parts.len() as f64).sqrt();
        }
        let tally = match self.accumulate(network, examples, &parts) {
            Ok((tally, counted)) if counted == batch.len() => tally,
            outcome => {
                self.optimizer.discard();
                return Err(outcome.err().unwrap_or(TrainerError::Miscounted));
            }
        };
        self.optimizer
            .apply(network.parameters_mut(), &protection, &self.key, divisor);
        self.key = self.key.ratchet();
        if noise_ahead && self.optimizer.step() < self.mechanism.steps() {
            self.optimizer.draw_noise_ahead(&self.protection, &self.key);
        }
        let length = |unit: &Vec<usize>| unit.iter().map(|&row| examples.length(row)).sum();
        let lengths: Vec<usize> = batch.iter().map(length).collect();
        Ok(tally.telemetry(&lengths))
    }

    /// The clipped sum of every micro-batch, added in their order; how many units were in them.
    fn accumulate(
        &mut self,
        network: &dyn Network,
        examples: &dyn Examples,
        parts: &[Part],
    ) -> Result<(Tally, usize), TrainerError> {
        if !self.replicas.is_empty() {
            let weights = self.optimizer.trained(network.parameters());
            self.replicas.follow(&weights);
        }
        let (clipping, max_grad_norm) = (self.clipping, self.mechanism.max_grad_norm());
        let compute = |network: &dyn Network, index: usize| {
            let batch = parts[index].batch(examples);
            let clipped = clipped_gradient(network, &batch, clipping, max_grad_norm)?;
            if clipped.losses.len() != batch.examples() {
                return Err(TrainerError::Miscounted);
            }
            // Here, so that devices wait for their own sums at the same time.
            let gradients = Array::all_on_host(&clipped.gradients);
            Ok((gradients, clipped.losses, clipped.norms))
        };
        let (mut tally, mut counted) = (Tally::default(), 0);
        let optimizer = &mut self.optimizer;
        let take = |index: usize, (gradients, losses, norms): (Vec<Array>, Vec<f64>, Vec<f64>)| {
            let real = parts[index].units.len();
            let norms = norms.get(..real).unwrap_or_default();
            tally.add(&losses[..real], norms, max_grad_norm);
            optimizer.accumulate(&gradients);
            counted += real;
            Ok(())
        };
        self.replicas
            .in_order(network, parts.len(), compute, take)?;
        Ok((tally, counted))
    }

    /// Writes a checkpoint with the notes of the stage, then forgets the keys of the steps before it.
    ///
    /// # Errors
    /// When either cannot be written.
    pub fn checkpoint(
        &mut self,
        parameters: &Parameters,
        path: &Path,
        binding: &[u8; 32],
        notes: &[&[u8]],
    ) -> Result<(), TrainerError> {
        self.optimizer.save(parameters, path, binding, notes)?;
        if let KeySource::Secure(file) = &mut self.source {
            file.ratchet_to(self.optimizer.step())?;
        }
        Ok(())
    }

    /// Goes on from a verified checkpoint, or begins where there is none.
    ///
    /// # Errors
    /// [`TrainerError::KeyIsGone`] when the checkpoint is older than the key, so that its noise cannot be repeated: the run
    /// must start anew with a new key. [`TrainerError::NoFit`] when the checkpoint is of another shape or beyond the last
    /// step. Nothing has changed then.
    pub fn restore(
        &mut self,
        parameters: &mut Parameters,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<(), TrainerError> {
        let step = checkpoint.map_or(0, Checkpoint::step);
        // Before the key: a step that is far too high would be ratcheted to for ever.
        if step > self.mechanism.steps() {
            return Err(TrainerError::NoFit);
        }
        let key = self.source.oldest().ratchet_to(step)?;
        if let Some(checkpoint) = checkpoint
            && !self.optimizer.restore(parameters, checkpoint)
        {
            return Err(TrainerError::NoFit);
        }
        self.key = key;
        Ok(())
    }

    /// Ends the run: the average of the iterates becomes the model. Gives back the secret key, to be destroyed once what
    /// was made can no longer be lost.
    #[must_use = "the secret key must be destroyed in the end"]
    pub fn finish(self, parameters: &mut Parameters) -> Option<KeyFile> {
        self.optimizer.finish(parameters);
        match self.source {
            KeySource::Secure(file) => Some(file),
            KeySource::Seeded(_) => None,
        }
    }
}

#[derive(Default)]
struct Tally {
    losses: f64,
    norms: f64,
    finite: usize,
    clipped: usize,
    removed: usize,
}

impl Tally {
    fn add(&mut self, losses: &[f64], norms: &[f64], max_grad_norm: f64) {
        self.losses += losses.iter().filter(|loss| loss.is_finite()).sum::<f64>();
        for norm in norms {
            if norm.is_finite() {
                self.finite += 1;
                self.norms += norm;
                self.clipped += usize::from(*norm > max_grad_norm);
            } else {
                self.removed += 1;
            }
        }
    }

    /// The step on a batch of examples of these lengths in tokens.
    fn telemetry(&self, lengths: &[usize]) -> Telemetry {
        let batch_size = lengths.len();
        let over = |count: usize| count.max(1) as f64;
        Telemetry {
            batch_size,
            tokens: lengths.iter().sum(),
            loss: self.losses / over(batch_size),
            gradient_norm: self.norms / over(self.finite),
            clipped: self.clipped as f64 / over(self.finite),
            removed: self.removed,
        }
    }
}
