//! The table of broken twins: every one with a test that fails on it.

use super::accountant;
use super::clip::tests::passes;
use super::twin::{self, Twin};
use super::{calibration, clip, key, noise, privatise, sampling, trainer};

type Row = (Twin, &'static str, fn() -> bool);

const TABLE: [Row; 30] = [
    (
        Twin::NoClip,
        "any_example_moves_the_sum_by_at_most_the_sensitivity",
        || passes(clip::tests::one_example_moves_the_sum_by_at_most_the_bound),
    ),
    (
        Twin::ClipAtTwice,
        "any_example_moves_the_sum_by_at_most_the_sensitivity",
        || passes(clip::tests::one_example_moves_the_sum_by_at_most_the_bound),
    ),
    (
        Twin::TiedCrossDropped,
        "norms_equal_those_of_each_example_alone",
        || passes(clip::tests::norms_are_exact),
    ),
    (
        Twin::TensorOutOfNorm,
        "norms_equal_those_of_each_example_alone",
        || passes(clip::tests::norms_are_exact),
    ),
    (
        Twin::BiasSquaredTwice,
        "norms_equal_those_of_each_example_alone",
        || passes(clip::tests::norms_are_exact),
    ),
    (
        Twin::PaddingInLoss,
        "norms_equal_those_of_each_example_alone",
        || passes(clip::tests::norms_are_exact),
    ),
    (
        Twin::NanByMultiplication,
        "non_finite_examples_leave_the_others_alone",
        || passes(clip::tests::a_non_finite_example_is_removed),
    ),
    (
        Twin::FftErrorOmitted,
        "the_transforms_rounding_is_inside_its_bound",
        accountant::rounding_is_bounded,
    ),
    (
        Twin::DirectionsMaxed,
        "add_and_remove_are_those_of_dp_accounting",
        accountant::tests::each_direction_is_its_own,
    ),
    (
        Twin::EarlyStoppedRdp,
        "a_series_does_not_stop_early",
        accountant::tests::a_small_first_term_is_no_end,
    ),
    (
        Twin::CalibratedToLower,
        "the_answer_meets_the_target_and_a_little_less_does_not",
        calibration::tests::answers_are_tight,
    ),
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
    for twin in Twin::ALL {
        let found = TABLE.iter().any(|(broken, ..)| broken == twin);
        assert!(found, "{twin:?} is in no row");
    }
}

#[test]
fn every_test_of_the_table_exists() {
    fn sources(folder: &std::path::Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, text);
            } else {
                text.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut text = String::new();
    sources(
        &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dp"),
        &mut text,
    );
    for (_, test, _) in TABLE {
        assert!(
            text.contains(&format!("#[test]\nfn {test}()"))
                || text.contains(&format!("#[test]\n    fn {test}()")),
            "`{test}` is no test"
        );
    }
}
