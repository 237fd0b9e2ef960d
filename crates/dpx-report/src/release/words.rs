//! Numbers of a guarantee in words, each rounded against the claim.

use dpx_accounting::{Adjacency, Claim, DpEvent, EpsilonBound};
use dpx_schema::Unit;
use dpx_schema::privacy::describe;

/// What somebody who held a suspicion to be likely by `before` may hold it to be after the release, in percent.
///
/// Bayes' rule with the odds raised by the factor e^epsilon; rounded up to a tenth.
pub(super) fn belief(before: f64, epsilon: EpsilonBound) -> String {
    let raised = epsilon.value().exp() * before;
    let after = if raised.is_finite() {
        raised / (raised + 1.0 - before)
    } else {
        1.0
    };
    let tenths = (after * 1000.0).ceil();
    if tenths > 999.0 {
        "more than 99.9 %".to_owned()
    } else {
        format!("{:.1} %", tenths / 10.0)
    }
}

/// By how much the release may raise the odds of a suspicion.
pub(super) fn factor(epsilon: EpsilonBound) -> String {
    let factor = epsilon.value().exp();
    if !factor.is_finite() {
        return "more than 10^300".to_owned();
    }
    if factor < 10.0 {
        format!("{:.2}", (factor * 100.0).ceil() / 100.0)
    } else if factor < 1e6 {
        format!("{:.0}", factor.ceil())
    } else {
        format!(
            "{:.1e}",
            EpsilonBound::new(factor).unwrap_or(EpsilonBound::INFINITE)
        )
    }
}

/// A claim as a definite amount: `(3.00, 4.2e-5)-DP`.
pub(super) fn claimed(claim: Option<&Claim>) -> String {
    claim.map_or_else(
        || "no private data used (epsilon 0)".to_owned(),
        Claim::to_string,
    )
}

/// Which data sets a guarantee compares.
pub(super) const fn neighbors(adjacency: Adjacency, unit: Unit) -> &'static str {
    match (adjacency, unit) {
        (Adjacency::ZeroOut, Unit::User) => {
            "the data with all records of that person and the same data with null records in their place (zero-out adjacency: the number of people is public)"
        }
        (Adjacency::AddRemove, Unit::User) => {
            "the data with all records of that person and the same data without them (add/remove adjacency: the number of people is not disclosed)"
        }
        (Adjacency::ZeroOut, Unit::Example) => {
            "the data with that record and the same data with a null record in its place (zero-out adjacency: the number of records is public)"
        }
        (Adjacency::AddRemove, Unit::Example) => {
            "the data with that record and the same data without it (add/remove adjacency: the number of records is not disclosed)"
        }
    }
}

/// Up to here little changes: the odds of any suspicion by a factor of at most e.
const SMALL: f64 = 1.0;

/// From here on a promise excludes next to nothing.
const LARGE: f64 = 20.0;

/// What is promised, in a sentence.
pub(super) fn promise(epsilon: EpsilonBound, unit: Unit, several_owners: bool) -> String {
    let (about, otherwise, namely) = if several_owners {
        (
            "what any one person wrote",
            "none of their records had been used",
            ". Which records are whose is taken to be public here: whether somebody took part in one is not protected.",
        )
    } else if unit == Unit::User {
        (
            "any one person",
            "none of their records had been used",
            ": whether they were there, and what they wrote.",
        )
    } else {
        (
            "any one record",
            "that record had not been used",
            ": whether it was there, and what it says.",
        )
    };
    match epsilon.value() {
        value if value > LARGE => format!(
            "An epsilon this large promises next to nothing by itself: what is learned of a {} is bounded in theory, and hardly in practice.",
            unit.word()
        ),
        value if value > SMALL => format!(
            "How much more whoever sees this folder can learn about {about} than if {otherwise} is bounded, and section 4 says by what{namely}"
        ),
        _ => format!(
            "Whoever sees this folder learns almost the same about {about} as if {otherwise}{namely}"
        ),
    }
}

/// How much the promise is worth, in words.
pub(super) fn strength(epsilon: EpsilonBound, whom: &str) -> String {
    match epsilon.value() {
        value if value <= SMALL => "That is a strong promise.".to_owned(),
        value if value <= 10.0 => format!(
            "That is a moderate promise: what is learned of a {whom} is bounded, and not small."
        ),
        value if value > LARGE => "That is hardly a promise.".to_owned(),
        _ => format!(
            "That is a weak promise: it alone excludes little of what might be learned of a {whom}."
        ),
    }
}

/// What an event is, for whoever reads claims by their events.
pub(super) fn events(claim: &Claim) -> String {
    let one = |(name, event): (&String, &DpEvent)| format!("{}: {}", code(name), describe(event));
    let all: Vec<String> = claim.events().iter().map(one).collect();
    all.join("; ")
}

/// A list in backticks.
pub(super) fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| code(name)).collect();
    quoted.join(", ")
}

/// A name as code, whatever it holds: on one line, without a backtick to end it early.
pub(super) fn code(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|character| {
            if character == '`' || character.is_control() {
                '\''
            } else {
                character
            }
        })
        .collect();
    format!("`{plain}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beliefs_and_factors_are_never_below_the_truth() {
        let epsilon = |value| EpsilonBound::new(value).unwrap();
        assert_eq!(belief(0.5, epsilon(0.0)), "50.0 %");
        assert_eq!(belief(0.5, epsilon(3.0)), "95.3 %");
        assert_eq!(belief(0.01, epsilon(1.0)), "2.7 %");
        assert_eq!(belief(0.5, epsilon(9.0)), "more than 99.9 %");
        assert_eq!(belief(0.5, EpsilonBound::INFINITE), "more than 99.9 %");
        assert_eq!(factor(epsilon(3.0)), "21");
        assert_eq!(factor(epsilon(0.1)), "1.11");
        assert_eq!(factor(epsilon(20.0)), "4.9e8");
        assert_eq!(factor(EpsilonBound::INFINITE), "more than 10^300");
        for step in 0..400 {
            let value = f64::from(step) / 20.0;
            let shown: f64 = factor(epsilon(value)).parse().unwrap();
            assert!(shown >= value.exp(), "{value}");
        }
    }

    #[test]
    fn names_stay_code() {
        assert_eq!(code("a`b\nc"), "`a'b'c`");
    }
}
