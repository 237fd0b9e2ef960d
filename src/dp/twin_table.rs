//! The table of broken twins of sampling, noise, keys and the step: each with the check that fails on it.

use super::twin::{self, Twin};
use super::{key, noise, privatise, sampling, trainer};

type Row = (Twin, &'static str, fn() -> bool);

const TABLE: [Row; 19] = [
    (
        Twin::NoClip,
        "no_record_moves_more_than_the_bound",
        trainer::replay::neighbours_are_close,
    ),
    (
        Twin::ClipAtTwice,
        "no_record_moves_more_than_the_bound",
        trainer::replay::neighbours_are_close,
    ),
    (
        Twin::NanByMultiplication,
        "no_record_moves_more_than_the_bound",
        trainer::replay::neighbours_are_close,
    ),
    (
        Twin::NoiseTooSmall,
        "the_noise_has_the_accounted_size",
        privatise::tests::sigma_is_right,
    ),
    (
        Twin::SingleAddition,
        "every_coordinate_lies_on_the_grid",
        privatise::tests::all_on_the_grid,
    ),
    (
        Twin::TouchedOnly,
        "untouched_coordinates_get_noise",
        privatise::tests::every_coordinate_moves,
    ),
    (
        Twin::OneStream,
        "no_two_tensors_share_their_noise",
        privatise::tests::tensors_have_streams_of_their_own,
    ),
    (
        Twin::CoarseUniforms,
        "extreme_words_stay_finite_and_reach_far_tails",
        noise::tests::far_tails_are_reached,
    ),
    (
        Twin::NoisePerMicroBatch,
        "noise_comes_once_per_step",
        trainer::tests::noise_is_added_once,
    ),
    (
        Twin::RealisedDivisor,
        "the_divisor_is_the_configured_batch_size",
        trainer::tests::divisor_is_constant,
    ),
    (
        Twin::RealisedDivisor,
        "no_record_moves_more_than_the_bound",
        trainer::replay::neighbours_are_close,
    ),
    (
        Twin::FloorDivisor,
        "the_divisor_is_the_configured_batch_size",
        trainer::tests::divisor_is_constant,
    ),
    (
        Twin::Shuffle,
        "batch_sizes_are_binomial_and_steps_are_independent",
        sampling::tests::coins_are_independent,
    ),
    (
        Twin::FixedSize,
        "batch_sizes_are_binomial_and_steps_are_independent",
        sampling::tests::coins_are_independent,
    ),
    (
        Twin::CappedBatch,
        "batch_sizes_are_binomial_and_steps_are_independent",
        sampling::tests::coins_are_independent,
    ),
    (
        Twin::SeededCoins,
        "two_secure_keys_draw_different_batches",
        sampling::tests::secure_batches_differ,
    ),
    (
        Twin::SkippedEmpty,
        "an_empty_batch_is_a_step_of_noise",
        trainer::tests::empty_batch_is_a_step,
    ),
    (
        Twin::OneKeyForAll,
        "no_two_streams_share_a_block",
        key::tests::streams_are_distinct,
    ),
    (
        Twin::UnboundKey,
        "a_key_bound_to_other_inputs_is_destroyed",
        key::tests::foreign_keys_are_destroyed,
    ),
];

#[test]
fn every_twin_is_killed_by_its_test() {
    for (broken, test, check) in TABLE {
        assert!(check(), "`{test}` fails on the sound engine");
        assert!(
            !twin::with(broken, check),
            "`{test}` does not notice {broken:?}"
        );
    }
}
