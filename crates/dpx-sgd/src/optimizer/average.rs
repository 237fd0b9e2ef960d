//! Averages of the iterates: post-processing of privatized updates, hence free (De et al. 2022; Shejwalkar et al. 2022).

use dpx_schema::params::Averaging;
use rayon::prelude::*;

const TASK: usize = 1 << 16;

/// Keeps an average of the weights over a run.
#[derive(Debug)]
pub(crate) struct Averager {
    kind: Averaging,
    steps: u64,
    pub(crate) average: Vec<Vec<f32>>,
}

impl Averager {
    /// For a run of `steps` steps over tensors of these lengths.
    pub(crate) fn new(kind: Averaging, steps: u64, lengths: &[usize]) -> Self {
        let average = match kind {
            Averaging::None => Vec::new(),
            Averaging::Ema | Averaging::Tail => {
                lengths.iter().map(|&length| vec![0.0; length]).collect()
            }
        };
        Self {
            kind,
            steps,
            average,
        }
    }

    /// The share with which the weights after step `step` (counted from 0) enter, or nothing when they do not.
    fn share(&self, step: u64) -> Option<f32> {
        match self.kind {
            Averaging::None => None,
            Averaging::Ema => {
                let window = (self.steps as f64 / 10.0).max(1.0);
                Some((1.0 / window.min((step + 1) as f64)) as f32)
            }
            Averaging::Tail => {
                let first = self.steps / 2;
                (step >= first).then(|| (1.0 / (step - first + 1) as f64) as f32)
            }
        }
    }

    /// Takes in the weights as they are after step `step`.
    pub(crate) fn observe<'a>(&mut self, step: u64, weights: impl Iterator<Item = &'a [f32]>) {
        let Some(share) = self.share(step) else {
            return;
        };
        for (average, weights) in self.average.iter_mut().zip(weights) {
            average
                .par_chunks_mut(TASK)
                .zip(weights.par_chunks(TASK))
                .for_each(|(average, weights)| {
                    for (average, weight) in average.iter_mut().zip(weights) {
                        // With share 1 this is exact: the average starts from the first weights.
                        *average = (1.0 - share) * *average + share * weight;
                    }
                });
        }
    }

    /// The average after the last step; nothing where the last iterate is the result.
    pub(crate) fn result(&self) -> Option<&[Vec<f32>]> {
        (!self.average.is_empty()).then_some(&self.average)
    }
}
