//! Figures as people read them: rounded one way everywhere, with their spread or their interval.

use super::metric::metric_of;
use super::study::{Row, Study};
use dpx_accounting::EpsilonBound;
use dpx_stages::metric::{Interval, Spread};

/// What stands where nothing is known.
pub(crate) const NOTHING: &str = "–";

/// A number with as many decimals; large ones with fewer.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return if value > 0.0 {
            "inf".into()
        } else {
            NOTHING.into()
        };
    }
    let decimals = if value.abs() >= 1000.0 {
        0
    } else if value.abs() >= 100.0 {
        decimals.min(1)
    } else if value.abs() >= 10.0 {
        decimals.min(2)
    } else {
        decimals
    };
    let text = format!("{value:.decimals$}");
    // A rounded minus zero is a zero.
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|byte| matches!(byte, b'0' | b'.')) => rest.to_owned(),
        _ => text,
    }
}

/// An upper bound of epsilon: rounded up to two decimals, without closing zeros (`3`, `7.99`).
pub(crate) fn bound(epsilon: EpsilonBound) -> String {
    let text = format!("{epsilon:.2}");
    match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => text,
    }
}

/// Mean, standard deviation and number: `0.592 ± 0.012 (3)`; the mean alone where there is one value.
pub(crate) fn spread(spread: Spread, decimals: usize) -> String {
    match spread.sd {
        Some(sd) => format!(
            "{} ± {} ({})",
            number(spread.mean, decimals),
            number(sd, decimals),
            spread.n
        ),
        None => number(spread.mean, decimals),
    }
}

/// Mean and standard deviation alone: `0.592 ±0.012`; for tables that give the number in a column of its own.
pub(crate) fn brief(spread: Spread, decimals: usize) -> String {
    match spread.sd {
        Some(sd) => format!(
            "{} ±{}",
            number(spread.mean, decimals),
            number(sd, decimals)
        ),
        None => number(spread.mean, decimals),
    }
}

/// The difference of two figures as they are shown, so that a reader who subtracts finds the same: 0.614 - 0.597 is 0.017,
/// whatever stands behind the last digit.
pub(crate) fn difference(from: f64, to: f64, decimals: usize) -> String {
    number(shown(from, decimals) - shown(to, decimals), decimals)
}

/// A figure rounded as it is shown.
fn shown(value: f64, decimals: usize) -> f64 {
    number(value, decimals).parse().unwrap_or(value)
}

/// A figure of a row: mean ± standard deviation with replicates, else with its bootstrap interval over the test texts where it
/// has one: `0.526 [0.495, 0.557]`.
pub(crate) fn spread_or_interval(row: &Row, id: &str) -> String {
    let Some(found) = row.figures.get(id) else {
        return NOTHING.into();
    };
    let decimals = metric_of(id).map_or(3, |metric| metric.decimals);
    match row.intervals.get(id).filter(|_| found.sd.is_none()) {
        Some(interval) => with_interval(found.mean, *interval, decimals),
        None => spread(*found, decimals),
    }
}

/// `0.526 [0.495, 0.557]`.
pub(crate) fn with_interval(mean: f64, interval: Interval, decimals: usize) -> String {
    format!(
        "{} [{}, {}]",
        number(mean, decimals),
        number(interval.low, decimals),
        number(interval.high, decimals)
    )
}

/// The same for a table that gives the number of replicates elsewhere.
pub(crate) fn brief_or_interval(row: &Row, id: &str) -> String {
    let Some(found) = row.figures.get(id) else {
        return NOTHING.into();
    };
    match row.intervals.get(id).filter(|_| found.sd.is_none()) {
        Some(interval) => with_interval(found.mean, *interval, 3),
        None => brief(*found, 3),
    }
}

/// What the brackets of intervals mean; nothing where no row has one.
pub(crate) fn interval_note(study: &Study) -> Option<&'static str> {
    let any = study.all_rows().any(|row| !row.intervals.is_empty());
    any.then_some("[low, high]: 95% bootstrap interval over the test texts of one run; it does not hold what another run would change")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_that_of_the_figures_as_they_are_shown() {
        let (high, low) = (0.6136, 0.5974);
        assert_eq!(
            (number(high, 3), number(low, 3)),
            ("0.614".into(), "0.597".into())
        );
        assert_eq!(number(high - low, 3), "0.016");
        assert_eq!(difference(high, low, 3), "0.017");
        assert_eq!(difference(0.1, 0.1004, 3), "0.000");
    }
}
