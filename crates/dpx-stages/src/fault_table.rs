//! The table of injected faults: every one with a test that fails on it.

use super::fault::{self, Fault};
use super::{counts, private, public_inputs, select, teacher};

const TABLE: [(Fault, &str, fn()); 8] = [
    (
        Fault::SiblingCanariesForgotten,
        "every_stage_of_a_budget_plans_the_same_division",
        private::tests::one_division,
    ),
    (
        Fault::ProvenanceForgotten,
        "what_is_said_of_a_corpus_follows_its_model",
        public_inputs::tests::corpora_follow,
    ),
    (
        Fault::DeltaCheckedInTrainAlone,
        "a_delta_that_protects_nobody_is_refused_for_every_kind",
        private::tests::large_deltas_are_refused,
    ),
    (
        Fault::MixedAdjacency,
        "one_budget_has_one_adjacency",
        private::tests::one_adjacency,
    ),
    (
        Fault::RecordsCountApart,
        "one_person_moves_each_histogram_by_at_most_its_sensitivity",
        counts::tests::people_are_bounded,
    ),
    (
        Fault::RecordsCountApart,
        "one_person_moves_the_gradient_by_at_most_its_bound",
        teacher::tests::people_are_bounded,
    ),
    (
        Fault::RecordsCountApart,
        "one_unit_moves_the_votes_by_at_most_one",
        select::tests::units_are_bounded,
    ),
    (
        Fault::VotesCountInFull,
        "one_unit_moves_the_votes_by_at_most_one",
        select::tests::units_are_bounded,
    ),
];

#[test]
fn every_fault_is_killed_by_its_test() {
    for (broken, test, check) in TABLE {
        check();
        let survives = std::panic::catch_unwind(|| fault::with(broken, check)).is_ok();
        assert!(!survives, "`{test}` does not notice {broken:?}");
    }
    for fault in Fault::ALL {
        assert!(
            TABLE.iter().any(|(broken, ..)| broken == fault),
            "{fault:?} is in no row"
        );
    }
}
