//! The table of injected faults: every one with a test that fails on it.

use super::fault::{self, Fault};
use super::overlap::tests;

const TABLE: [(Fault, &str, fn()); 5] = [
    (
        Fault::LinesAlone,
        "lines_that_break_a_text_hide_nothing",
        tests::broken_lines,
    ),
    (
        Fault::ShortLinesAlone,
        "lines_that_break_a_shorter_text_hide_nothing",
        tests::broken_short_texts,
    ),
    (
        Fault::ShortTextsIgnored,
        "shorter_texts_count_whole",
        tests::short_texts,
    ),
    (
        Fault::EscapesUnread,
        "escapes_and_tags_hide_nothing",
        tests::escaped,
    ),
    (
        Fault::UnspacedAsOneWord,
        "texts_without_spaces_are_found_within_others",
        tests::unspaced,
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
