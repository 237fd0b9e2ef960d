//! The learning rate of a step: a function of the step number and of nothing else.

use dpx_schema::params::Schedule;

/// The learning rate over a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearningRate {
    /// The rate at the end of the warm-up, the highest of the run.
    pub peak: f64,
    /// What happens after the warm-up.
    pub schedule: Schedule,
    /// Steps in which the rate rises in a straight line.
    pub warmup_steps: u64,
    /// Number of steps in which the rate falls to its end, the warm-up included.
    pub steps: u64,
}

impl LearningRate {
    /// A run of `steps` steps, of which the share `warmup`, rounded up, is warm-up.
    pub fn new(peak: f64, schedule: Schedule, warmup: f64, steps: u64) -> Self {
        Self {
            peak,
            schedule,
            warmup_steps: (warmup * steps as f64).ceil() as u64,
            steps,
        }
    }

    /// The rate of step `step`, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.peak * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let rest = self.steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let done = ((step - self.warmup_steps) as f64 / rest).min(1.0);
        match self.schedule {
            Schedule::Constant => self.peak,
            Schedule::Linear => self.peak * (1.0 - done),
            Schedule::Cosine => self.peak * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * done)),
        }
    }
}
