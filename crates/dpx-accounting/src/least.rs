//! A lower bound of epsilon in closed form, in microseconds: no sound accountant is below it, however many steps there are.

use super::composition::{Composition, EqualSteps};
use super::error::check_delta;
use super::{AccountantError, DpEvent, gaussian_epsilon};

/// Above this epsilon exp(epsilon) - 1 is exp(epsilon) to the last digit, and soon after no number.
const LARGE: f64 = 600.0;

/// What an event costs at least at `delta`: all of its plain Gaussian mechanisms together, or a single step of its dearest
/// sampled ones, of one record, whichever is more.
pub(crate) fn epsilon_at_least(event: &DpEvent, delta: f64) -> Result<f64, AccountantError> {
    check_delta(delta)?;
    Ok(match Composition::new(event, 1)? {
        Composition::Free => 0.0,
        _ if delta == 1.0 => 0.0,
        Composition::Unbounded => f64::INFINITY,
        _ if delta == 0.0 => f64::INFINITY,
        Composition::Pairs { parts, .. } => parts
            .iter()
            .map(|part| one_step(part, delta))
            .fold(0.0, f64::max),
    })
}

/// For P = (1 - q) Q + q N against Q, delta of P over Q at ln(1 + q (exp(e) - 1)) is q times that of N over Q at e.
fn one_step(part: &EqualSteps, delta: f64) -> f64 {
    let rate = part.sampling_rate;
    if delta >= rate {
        return 0.0;
    }
    let always = gaussian_epsilon(part.noise_multiplier, delta / rate);
    if rate == 1.0 {
        always
    } else if always > LARGE {
        always + rate.ln()
    } else {
        (rate * always.exp_m1()).ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_below_every_accountant_and_exact_for_one_step() {
        let sampled =
            |rate, sigma, steps| DpEvent::poisson_sampled_gaussian(rate, sigma, steps).unwrap();
        let plain = |sigma| DpEvent::gaussian(sigma).unwrap();
        for (event, exact) in [
            (plain(2.0), true),
            (DpEvent::composed([plain(2.0), plain(3.0)]), true),
            (plain(1.0).self_composed(40), true),
            (plain(1e-3), true),
            (sampled(0.3, 1.0, 1), true),
            (sampled(0.02, 0.8, 1), true),
            (sampled(0.02, 0.02, 1), true),
            (sampled(0.02, 0.8, 500), false),
            (
                DpEvent::composed([sampled(0.02, 0.8, 50), plain(3.0)]),
                false,
            ),
            (
                DpEvent::poisson_sampled_records(0.1, 1.0, 20, 4).unwrap(),
                false,
            ),
            (sampled(1e-7, 1.0, 3), false),
        ] {
            let least = epsilon_at_least(&event, 1e-5).unwrap();
            let certified = event.certified(1e-5).unwrap();
            assert!(least <= certified.epsilon.value(), "{event:?}: {least}");
            // The PRV accountant's own bounds are a hundredth apart.
            let near = least >= certified.prv.lower - 1e-9;
            assert!(near || !exact, "{event:?}: {least} {certified:?}");
        }
        assert_eq!(epsilon_at_least(&DpEvent::composed([]), 1e-5), Ok(0.0));
        let bare = epsilon_at_least(&DpEvent::NonPrivate, 1e-5).unwrap();
        assert!(bare.is_infinite());
        assert!(epsilon_at_least(&plain(1.0), -0.1).is_err());
    }
}
