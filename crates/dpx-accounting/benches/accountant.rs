//! What one certified epsilon and one calibration cost: processor time, which other work on the machine hardly changes.
//!
//! `cargo bench -p dpx-accounting --bench accountant`; everything here runs on one thread.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use dpx_accounting::{DpEvent, calibration, epsilon_rdp, prv};
use std::hint::black_box;

/// Processor seconds of this process, to a hundredth.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or("");
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |i: usize| -> f64 {
        let field = fields.get(i).and_then(|field| field.parse().ok());
        field.unwrap_or(f64::NAN)
    };
    (ticks(11) + ticks(12)) / 100.0
}

fn time(name: &str, repetitions: u32, mut work: impl FnMut()) {
    work();
    let start = processor();
    for _ in 0..repetitions {
        work();
    }
    let each = (processor() - start) / f64::from(repetitions);
    println!("{name:<60}{:>9.1} ms", 1e3 * each);
}

fn main() {
    const DELTA: f64 = 1e-5;
    for noise_multiplier in [0.8, 1.0, 2.0] {
        let run =
            DpEvent::poisson_sampled_gaussian(0.016, noise_multiplier, 4000).expect("in range");
        let name = |what: &str| format!("{what}, sigma {noise_multiplier}, q 0.016, 4000 steps");
        time(&name("PRV, error 0.01"), 20, || {
            black_box(prv(&run, DELTA, 0.01).expect("in range"));
        });
        time(&name("RDP"), 20, || {
            black_box(epsilon_rdp(&run, DELTA).expect("in range"));
        });
        time(&name("certified by all three"), 10, || {
            black_box(run.certified(DELTA).expect("in range"));
        });
    }
    let short = |sigma| DpEvent::poisson_sampled_gaussian(0.016, sigma, 188);
    let long = |sigma| DpEvent::poisson_sampled_gaussian(0.016, sigma, 4000);
    time("calibration, epsilon 3, q 0.016, 188 steps", 3, || {
        black_box(calibration::noise_multiplier(3.0, DELTA, short).expect("in range"));
    });
    time("calibration, epsilon 8, q 0.016, 4000 steps", 3, || {
        black_box(calibration::noise_multiplier(8.0, DELTA, long).expect("in range"));
    });
}
