//! The table of injected faults: every one with a test that fails on it.

use super::clip::tests::passes;
use super::fault::{self, Fault};
use super::{clip, device_check, key, noise, privatize, sampling, trainer};

type Row = (Fault, &'static str, fn() -> bool);

const TABLE: [Row; 31] = [
    (
        Fault::NoClip,
        "any_example_moves_the_sum_by_at_most_the_sensitivity",
        || passes(clip::tests::one_example_moves_the_sum_by_at_most_the_bound),
    ),
    (
        Fault::ClipAtTwice,
        "any_example_moves_the_sum_by_at_most_the_sensitivity",
        || passes(clip::tests::one_example_moves_the_sum_by_at_most_the_bound),
    ),
    (
        Fault::TiedCrossDropped,
        "norms_equal_those_of_each_example_alone",
        || passes(clip::tests::norms_are_exact),
    ),
    (
        Fault::TensorOutOfNorm,
        "norms_equal_those_of_each_example_alone",
        || passes(clip::tests::norms_are_exact),
    ),
    (
        Fault::BiasSquaredTwice,
        "norms_equal_those_of_each_example_alone",
        || passes(clip::tests::norms_are_exact),
    ),
    (
        Fault::PaddingInLoss,
        "norms_equal_those_of_each_example_alone",
        || passes(clip::tests::norms_are_exact),
    ),
    (
        Fault::NanByMultiplication,
        "non_finite_examples_leave_the_others_alone",
        || passes(clip::tests::a_non_finite_example_is_removed),
    ),
    (
        Fault::NoClip,
        "no_record_moves_more_than_the_bound",
        trainer::replay::neighbours_are_close,
    ),
    (
        Fault::ClipAtTwice,
        "no_record_moves_more_than_the_bound",
        trainer::replay::neighbours_are_close,
    ),
    (
        Fault::NanByMultiplication,
        "no_record_moves_more_than_the_bound",
        trainer::replay::neighbours_are_close,
    ),
    (
        Fault::NoiseTooSmall,
        "the_noise_has_the_accounted_size",
        privatize::tests::sigma_is_right,
    ),
    (
        Fault::SingleAddition,
        "every_coordinate_lies_on_the_grid",
        privatize::tests::all_on_the_grid,
    ),
    (
        Fault::TouchedOnly,
        "untouched_coordinates_get_noise",
        privatize::tests::every_coordinate_moves,
    ),
    (
        Fault::OneStream,
        "no_two_tensors_share_their_noise",
        privatize::tests::tensors_have_streams_of_their_own,
    ),
    (
        Fault::CoarseUniforms,
        "extreme_words_stay_finite_and_reach_far_tails",
        noise::tests::far_tails_are_reached,
    ),
    (
        Fault::NoisePerMicroBatch,
        "noise_comes_once_per_step",
        trainer::tests::noise_is_added_once,
    ),
    (
        Fault::RealisedDivisor,
        "the_divisor_is_the_configured_batch_size",
        trainer::tests::divisor_is_constant,
    ),
    (
        Fault::RealisedDivisor,
        "no_record_moves_more_than_the_bound",
        trainer::replay::neighbours_are_close,
    ),
    (
        Fault::FloorDivisor,
        "the_divisor_is_the_configured_batch_size",
        trainer::tests::divisor_is_constant,
    ),
    (
        Fault::Shuffle,
        "batch_sizes_are_binomial_and_steps_are_independent",
        sampling::tests::coins_are_independent,
    ),
    (
        Fault::FixedSize,
        "batch_sizes_are_binomial_and_steps_are_independent",
        sampling::tests::coins_are_independent,
    ),
    (
        Fault::CappedBatch,
        "batch_sizes_are_binomial_and_steps_are_independent",
        sampling::tests::coins_are_independent,
    ),
    (
        Fault::SeededCoins,
        "two_secure_keys_draw_different_batches",
        sampling::tests::secure_batches_differ,
    ),
    (
        Fault::SkippedEmpty,
        "an_empty_batch_is_a_step_of_noise",
        trainer::tests::empty_batch_is_a_step,
    ),
    (
        Fault::OneKeyForAll,
        "no_two_streams_share_a_block",
        key::tests::streams_are_distinct,
    ),
    (
        Fault::UnboundKey,
        "a_key_bound_to_other_inputs_is_destroyed",
        key::tests::foreign_keys_are_destroyed,
    ),
    (
        Fault::BareMicroBatches,
        "an_example_is_the_same_to_the_bit_whatever_its_mates",
        device_check::tests::mates_are_not_felt,
    ),
    (
        Fault::AllowanceOfOneRow,
        "the_allowance_follows_the_expected_rows",
        trainer::tests::allowance_follows_the_rows,
    ),
    (
        Fault::RecordsClippedApart,
        "no_person_moves_more_than_the_bound",
        trainer::replay::people_are_close,
    ),
    (
        Fault::CoinsOfRecords,
        "people_take_part_as_one_by_the_accounted_rate",
        trainer::people_tests::people_take_part_as_one,
    ),
    (
        Fault::MicroBatchDropped,
        "devices_together_sum_what_one_sums",
        trainer::replica_tests::devices_sum_as_one,
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
