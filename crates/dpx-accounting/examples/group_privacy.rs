//! What does a guarantee for one record promise to a person with several?
#![expect(clippy::print_stdout, reason = "an example prints its figures")]

use dpx_accounting::{AccountantError, DpEvent};

pub(crate) fn main() -> Result<(), AccountantError> {
    let run = DpEvent::poisson_sampled_gaussian(0.016, 1.0, 188)?;
    for records in [1, 2, 5, 10, 100] {
        let found = run.group(1e-5, records)?;
        println!("{records:>4} records: epsilon {:>8.2}", found.epsilon);
    }
    Ok(())
}
