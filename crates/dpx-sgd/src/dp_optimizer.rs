//! What a run of training carries from step to step: the sum, Adam's state, the average, the step number; and its
//! checkpoints, from which a run goes on bit for bit.

use super::checkpoint::{self, Checkpoint, CheckpointError};
use super::key::Key;
use super::noise::Ahead;
use super::optimizer::{Adam, AdamSettings, Averager, Averaging, Denoising, LearningRate};
use super::privatize::{NoiseSpec, privatize_with};
use super::sum::GradientSum;
use dpx_nn::{Array, ParameterId, Parameters, Role};
use dpx_schema::Device;
use std::path::Path;

/// Settings of a [`DpOptimizer`], all public.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct DpOptimizerSettings {
    /// Decay rates of Adam's moments, and its weight decay.
    pub adam: AdamSettings,
    pub learning_rate: LearningRate,
    /// Which average of the weights a run ends with.
    pub averaging: Averaging,
    /// What is done to the noised gradient of each matrix.
    pub denoising: Denoising,
}

/// Updates the trainable parameters of a registry from sums of gradients.
#[derive(Debug)]
pub struct DpOptimizer {
    settings: DpOptimizerSettings,
    trainable: Vec<ParameterId>,
    decays: Vec<bool>,
    /// Rows and columns of those that are matrices, where these are denoised.
    matrices: Option<Vec<Option<[usize; 2]>>>,
    adam: Adam,
    averager: Averager,
    sum: GradientSum,
    ahead: Option<Ahead>,
    /// The trained weights of a network on a device, as the last step left them there: so they need not be fetched.
    kept: Option<Vec<Array>>,
    step: u64,
    #[cfg(test)]
    pub(crate) recorded: Recorded,
}

/// What the last step did, for tests.
#[cfg(test)]
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Recorded {
    pub(crate) sum: Vec<Vec<f64>>,
    pub(crate) noised: Vec<Vec<f32>>,
    pub(crate) divisor: f64,
    pub(crate) rate: f64,
}

impl DpOptimizer {
    /// An optimizer of the parameters that are trainable now, before its first step.
    pub fn new(parameters: &Parameters, settings: DpOptimizerSettings) -> Self {
        let trainable = parameters.trainable_ids();
        let lengths: Vec<usize> = trainable
            .iter()
            .map(|&id| parameters.value(id).len())
            .collect();
        let decays = trainable
            .iter()
            .map(|&id| !matches!(parameters.get(id).role, Role::Bias | Role::Norm))
            .collect();
        let shape = |&id: &ParameterId| match *parameters.value(id).shape() {
            [rows, columns] => Some([rows, columns]),
            _ => None,
        };
        let matrices = (settings.denoising == Denoising::SingularValues)
            .then(|| trainable.iter().map(shape).collect());
        Self {
            settings,
            matrices,
            decays,
            adam: Adam::new(settings.adam, &lengths),
            averager: Averager::new(settings.averaging, settings.learning_rate.steps, &lengths),
            sum: GradientSum::new(&lengths),
            trainable,
            ahead: None,
            kept: None,
            step: 0,
            #[cfg(test)]
            recorded: Recorded::default(),
        }
    }

    /// Number of updates so far.
    pub const fn step(&self) -> u64 {
        self.step
    }

    /// Numbers in all trained tensors together.
    pub fn values(&self) -> usize {
        self.sum.lengths().sum()
    }

    /// Adds the sum of a micro-batch, one array per trainable parameter in order.
    pub fn accumulate(&mut self, sums: &[Array]) {
        self.sum
            .add(Array::all_on_host(sums).iter().map(Array::host));
    }

    /// Forgets what was added since the last step: of a step that failed nothing counts.
    pub(crate) fn discard(&mut self) {
        self.sum.clear();
    }

    /// The weights of the trained parameters on the host, in the order of the registry.
    pub(crate) fn trained(&self, parameters: &Parameters) -> Vec<Array> {
        let kept = self.kept.clone();
        kept.unwrap_or_else(|| parameters.trainable_on_host())
    }

    /// Begins to draw the noise of the key's step on threads of its own, for [`Self::apply`] with the same key and
    /// protection. It takes four bytes of memory for each trained value and changes no result; without it the noise is
    /// drawn in `apply`.
    pub fn draw_noise_ahead(&mut self, protection: &NoiseSpec, key: &Key) {
        let Some((_, deviation)) = protection.on_grid() else {
            return;
        };
        if self
            .ahead
            .as_ref()
            .is_none_or(|ahead| ahead.deviation() != deviation)
        {
            let lengths: Vec<usize> = self.sum.lengths().collect();
            self.ahead = Ahead::new(&lengths, deviation);
        }
        if let Some(ahead) = &mut self.ahead {
            ahead.begin(key);
        }
    }

    /// Ends a step: protects the sum, updates the parameters, begins the next sum. Between the steps of an optimizer nobody else
    /// may change trained parameters that live on a device.
    pub fn apply(
        &mut self,
        parameters: &mut Parameters,
        protection: &NoiseSpec,
        key: &Key,
        divisor: f64,
    ) {
        let rate = self.settings.learning_rate.at(self.step);
        let drawn = self.ahead.as_mut().and_then(|ahead| ahead.take(key));
        let privatized = privatize_with(&self.sum, protection, key, drawn.as_ref(), divisor);
        #[cfg(test)]
        {
            let tensors = 0..self.trainable.len();
            self.recorded = Recorded {
                sum: tensors
                    .clone()
                    .map(|tensor| self.sum.tensor(tensor).to_vec())
                    .collect(),
                noised: tensors.map(|tensor| privatized.to_vec(tensor)).collect(),
                divisor,
                rate,
            };
        }
        let privatized = match &self.matrices {
            Some(shapes) => privatized.denoised(shapes),
            None => privatized,
        };
        // Noise and Adam are computed on the host: the same bits whatever device the gradients come from.
        if parameters.device() == Device::Cpu {
            let trainable = parameters
                .iter_mut()
                .filter(|(_, parameter)| parameter.trainable)
                .map(|(_, parameter)| parameter.value.host_mut());
            let weights = trainable.zip(self.decays.iter().copied());
            self.adam.update(weights, &privatized, rate);
            let weights = self.trainable.iter().map(|&id| parameters.value(id).host());
            self.averager.observe(self.step, weights);
        } else {
            let kept = self.kept.take();
            let mut kept = kept.unwrap_or_else(|| parameters.trainable_on_host());
            let weights = kept.iter_mut().map(Array::host_mut);
            let weights = weights.zip(self.decays.iter().copied());
            self.adam.update(weights, &privatized, rate);
            self.averager
                .observe(self.step, kept.iter().map(Array::host));
            for (&id, weights) in self.trainable.iter().zip(&kept) {
                parameters.value_mut(id).copy_from(weights);
            }
            self.kept = Some(kept);
        }
        if let Some((ahead, drawn)) = self.ahead.as_mut().zip(drawn) {
            ahead.give_back(drawn);
        }
        self.sum.clear();
        self.step += 1;
    }

    /// Puts the average of the iterates, where there is one, in place of the last iterate.
    pub fn finish(&self, parameters: &mut Parameters) {
        if let Some(average) = self.averager.result() {
            for (&id, average) in self.trainable.iter().zip(average) {
                let value = parameters.value_mut(id);
                *value = Array::from_vec(average.clone(), value.shape()).on(value.device());
            }
        }
    }

    /// Writes all that the rest of the run depends on: this state, and the notes of the stage. `binding` is a digest of the
    /// run's inputs.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(
        &self,
        parameters: &Parameters,
        path: &Path,
        binding: &[u8; 32],
        notes: &[&[u8]],
    ) -> Result<(), CheckpointError> {
        let weights = parameters.trainable_on_host();
        let weights = weights.iter().map(Array::host);
        let state = [&self.adam.first, &self.adam.second, &self.averager.average];
        let vectors = weights.chain(state.into_iter().flatten().map(Vec::as_slice));
        checkpoint::write(
            path,
            binding,
            self.step,
            &vectors.collect::<Vec<_>>(),
            notes,
        )
    }

    /// Goes on from a checkpoint; `false` where it is of another shape, and nothing changed.
    pub fn restore(&mut self, parameters: &mut Parameters, checkpoint: &Checkpoint) -> bool {
        let device = parameters.device();
        parameters.move_trainable(Device::Cpu);
        let trainable = parameters
            .iter_mut()
            .filter(|(_, parameter)| parameter.trainable)
            .map(|(_, parameter)| parameter.value.host_mut());
        let (adam, averager) = (&mut self.adam, &mut self.averager);
        let state = [&mut adam.first, &mut adam.second, &mut averager.average];
        let mut vectors: Vec<&mut [f32]> = trainable
            .chain(state.into_iter().flatten().map(Vec::as_mut_slice))
            .collect();
        let found = checkpoint.vectors();
        let fits = vectors.len() == found.len()
            && vectors.iter().zip(found).all(|(a, b)| a.len() == b.len());
        if fits {
            for (vector, values) in vectors.iter_mut().zip(found) {
                vector.copy_from_slice(values);
            }
            self.kept = None;
            self.step = checkpoint.step();
            self.adam.steps = checkpoint.step();
        }
        parameters.move_trainable(device);
        fits
    }

    /// A checkpoint of this state that claims to be of another step.
    #[cfg(test)]
    pub(crate) fn save_at(
        &self,
        parameters: &Parameters,
        path: &Path,
        binding: &[u8; 32],
        step: u64,
    ) {
        let weights = parameters.trainable_on_host();
        let weights = weights.iter().map(Array::host);
        let state = [&self.adam.first, &self.adam.second, &self.averager.average];
        let vectors = weights.chain(state.into_iter().flatten().map(Vec::as_slice));
        let vectors: Vec<&[f32]> = vectors.collect();
        checkpoint::write(path, binding, step, &vectors, &[]).unwrap();
    }
}
