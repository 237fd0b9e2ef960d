//! What did a run of DP-SGD cost?
#![expect(clippy::print_stdout, reason = "an example prints its figures")]

use dpx_accounting::{AccountantError, DpEvent, Sampling, sampling_plan};

pub(crate) fn main() -> Result<(), AccountantError> {
    // 16,000 records, batches of 256 in expectation, three passes.
    let sampling = Sampling::Epochs {
        batch_size: 256,
        epochs: 3.0,
    };
    let plan = sampling_plan(16_000, 0, sampling)?;
    let run = DpEvent::poisson_sampled_gaussian(plan.sampling_rate, 0.8, plan.steps)?;

    let delta = 2.37e-5;
    let found = run.certified(delta)?;
    println!(
        "{} steps at a sampling rate of {}",
        plan.steps, plan.sampling_rate
    );
    println!(
        "epsilon {:.4} at delta {delta:e}, certified by {}",
        found.epsilon, found.accountant
    );
    println!("PRV upper bound   {:.4}", found.prv.upper);
    println!("connect-the-dots  {:.4}", found.connect_the_dots);
    println!("RDP               {:.4}", found.rdp);
    println!("and at epsilon 2, delta is at most {}", run.delta(2.0)?);
    Ok(())
}
