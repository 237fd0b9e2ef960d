//! Which noise multiplier meets a target epsilon? And how many steps does a given one allow?
#![expect(clippy::print_stdout, reason = "an example prints its figures")]

use dpx_accounting::{AccountantError, DpEvent, calibration};

pub(crate) fn main() -> Result<(), AccountantError> {
    let (epsilon, delta) = (3.0, 2.37e-5);
    let found = calibration::noise_multiplier(epsilon, delta, |sigma| {
        DpEvent::poisson_sampled_gaussian(0.016, sigma, 188)
    })?;
    println!(
        "noise multiplier {:.4}: epsilon {:.4}",
        found.value, found.certified.epsilon
    );

    let found = calibration::steps(epsilon, delta, |steps| {
        DpEvent::poisson_sampled_gaussian(0.016, 1.0, steps)
    })?;
    println!(
        "with noise multiplier 1, {} steps: epsilon {:.4}",
        found.value, found.certified.epsilon
    );
    Ok(())
}
