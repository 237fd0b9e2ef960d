//! What the steps of a private stage have cost so far: shown while it runs, never part of a claim.

use super::{PrivatePlan, Spending};
use dpx_accounting::{DpEvent, EpsilonBound, RdpOverSteps};
use dpx_schema::StageError;
use dpx_schema::params::Epsilon;
use dpx_schema::progress::StageMetrics;

/// Epsilon after each number of steps.
#[derive(Debug)]
pub(crate) struct Spent {
    /// None where no noise is drawn.
    over_steps: Option<RdpOverSteps>,
    /// The budget, where the stage has it for itself.
    target: Option<f64>,
}

impl PrivatePlan {
    /// What equal steps cost, `step` being one of them.
    pub(crate) fn spent(&self, step: &DpEvent) -> Result<Spent, StageError> {
        let Spending::Noise { planned, .. } = &self.spending else {
            return Ok(Spent {
                over_steps: None,
                target: None,
            });
        };
        let target = match self.target {
            Epsilon::Finite(epsilon) if planned.len() == 1 => Some(epsilon),
            _ => None,
        };
        Ok(Spent {
            over_steps: Some(RdpOverSteps::new(step, self.delta)?),
            target,
        })
    }
}

impl Spent {
    /// Epsilon after a number of steps, beside its target.
    pub(crate) fn metrics(&self, steps: u64) -> StageMetrics {
        let epsilon = self.over_steps.as_ref().map(|curve| curve.epsilon(steps));
        StageMetrics {
            epsilon: epsilon.map(|bound| self.at_most_the_target(bound)),
            epsilon_target: self.target,
            ..StageMetrics::default()
        }
    }

    /// The Renyi accountant is not the tightest: all steps together were calibrated to stay within the target.
    fn at_most_the_target(&self, bound: EpsilonBound) -> EpsilonBound {
        self.target
            .and_then(|target| EpsilonBound::new(target).ok())
            .filter(|target| *target < bound)
            .unwrap_or(bound)
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan;
    use super::*;
    use dpx_schema::Kind;
    use serde_json::json;

    #[test]
    fn epsilon_grows_with_the_steps_and_ends_within_the_target() {
        let params = json!({"model": "builtin:base", "epsilon": 3, "batch_size": 16, "epochs": 3});
        let planned = plan(Kind::Train, "train", &params, 600).unwrap();
        let sampling = planned.sampling.unwrap();
        let step = DpEvent::poisson_sampled_gaussian(
            sampling.sampling_rate,
            planned.noise_multiplier(),
            1,
        )
        .unwrap();
        let spent = planned.spent(&step).unwrap();
        let after = |steps| spent.metrics(steps).epsilon.unwrap().value();
        // The Renyi accountant's own bound of this many steps lies above the target, where it is cut.
        assert!(after(1) < after(2) && after(2) < 3.0, "{}", after(2));
        for steps in 1..sampling.steps {
            assert!(after(steps) <= after(steps + 1));
        }
        assert!(after(sampling.steps) > 2.5 && after(sampling.steps) <= 3.0);
        assert_eq!(spent.metrics(1).epsilon_target, Some(3.0));
    }

    #[test]
    fn without_noise_there_is_nothing_to_show() {
        let params =
            json!({"model": "builtin:base", "epsilon": "inf", "batch_size": 16, "epochs": 3});
        let planned = plan(Kind::Train, "train", &params, 600).unwrap();
        let spent = planned.spent(&DpEvent::NonPrivate).unwrap();
        assert_eq!(spent.metrics(5), StageMetrics::default());
    }
}
