//! The table of injected faults: every one with a test that fails on it.

use super::fault::{self, Fault};
use super::{calibration, compose, dominating_pair, tests};

type Row = (Fault, &'static str, fn() -> bool);

const TABLE: [Row; 5] = [
    (
        Fault::FftErrorOmitted,
        "the_transforms_rounding_is_inside_its_bound",
        compose::tests::rounding_is_bounded,
    ),
    (
        Fault::DirectionsMaxed,
        "add_and_remove_are_those_of_dp_accounting",
        tests::each_direction_is_its_own,
    ),
    (
        Fault::EarlyStoppedRdp,
        "a_series_does_not_stop_early",
        tests::a_small_first_term_is_no_end,
    ),
    (
        Fault::CalibratedToLower,
        "the_answer_meets_the_target_and_a_little_less_does_not",
        calibration::tests::answers_are_tight,
    ),
    (
        Fault::VanishingWeights,
        "no_weight_vanishes_however_large_the_group",
        dominating_pair::tests::weights_are_binomial,
    ),
];

#[test]
fn every_fault_is_killed_by_its_test() {
    for (broken, test, check) in TABLE {
        assert!(check(), "`{test}` fails on the sound engine");
        assert!(
            !fault::with(broken, check),
            "`{test}` does not notice {broken:?}"
        );
    }
    for fault in Fault::ALL {
        let found = TABLE.iter().any(|(broken, ..)| broken == fault);
        assert!(found, "{fault:?} is in no row");
    }
}
