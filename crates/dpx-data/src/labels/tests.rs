//! Tests of matching labels: names first, indices where they are meant, hints, nothing swapped.

use super::*;
use RawLabel::{Bool, Float, Integer, Missing};

fn labels(names: &[&str], by: Option<LabelsBy>) -> Labels {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    Labels::new(&names, by).unwrap()
}

fn text(text: &str) -> RawLabel {
    RawLabel::Text(text.to_owned())
}

#[test]
fn a_declared_name_is_that_name_however_it_is_written() {
    let by_index = Some(LabelsBy::Index);
    let by_name = Some(LabelsBy::Name);
    for (names, by, label, place) in [
        (&["1", "0"][..], None, text("1"), Some(0)),
        (&["1", "0"], None, text("0"), Some(1)),
        (&["1", "0"], None, Integer(1), Some(0)),
        (&["1", "0"], None, Float(1.0), Some(0)),
        (&["1", "0"], None, Float(0.0), Some(1)),
        (&["1", "0"], None, Float(-0.0), Some(1)),
        (&["1", "0"], None, text("1.0"), Some(0)),
        (&["1", "0"], None, text("1.50"), None),
        (&["1", "0"], None, Bool(true), Some(0)),
        (&["1", "0"], None, Integer(2), None),
        (&["1", "0"], by_index, Integer(1), Some(1)),
        (&["1", "0"], by_index, text("1"), Some(1)),
        (&["1", "0"], by_index, Integer(2), None),
        (&["1", "2", "3", "4", "5"], None, text("5"), Some(4)),
        (&["1", "2", "3", "4", "5"], None, Integer(1), Some(0)),
        (&["1", "2", "3", "4", "5"], None, Integer(0), None),
        (&["1", "2", "3", "4", "5"], by_index, text("0"), Some(0)),
        (&["neg", "pos"], None, Integer(1), Some(1)),
        (&["neg", "pos"], None, Float(1.0), Some(1)),
        (&["neg", "pos"], None, text("1.0"), Some(1)),
        (&["neg", "pos"], None, Bool(false), None),
        (&["neg", "pos"], None, Bool(true), None),
        (&["neg", "pos"], by_index, Bool(true), Some(1)),
        (&["neg", "pos"], None, Integer(2), None),
        (&["neg", "pos"], None, Integer(-1), None),
        (&["neg", "pos"], None, Float(0.5), None),
        (&["neg", "pos"], None, Float(f64::NAN), None),
        (&["neg", "pos"], None, Float(1e300), None),
        (&["neg", "pos"], None, Integer(i128::MAX), None),
        (&["neg", "pos"], by_name, Integer(1), None),
        (&["neg", "pos"], by_name, text("1"), None),
        (&["neg", "pos"], by_index, text("pos"), Some(1)),
        (&["neg", "1"], None, Integer(0), None),
        (&["neg", "1"], None, Integer(1), Some(1)),
        (&["true", "false"], None, Bool(true), Some(0)),
        (&["true", "false"], None, text("True"), Some(0)),
        (&["True", "False"], None, text("false"), Some(1)),
        (&["true", "false"], None, Integer(1), None),
        (&["True", "true"], None, text("TRUE"), None),
        (&["True", "true"], None, text("true"), Some(1)),
        (&["0.5", "1.5"], None, Float(0.5), Some(0)),
        (&["1.0", "2.0"], None, Integer(2), Some(1)),
        (&["1.0", "2.0"], None, text("1"), Some(0)),
        (&["1", "1.0"], None, text("1.0"), Some(1)),
        (&["1", "1.0"], None, Float(1.0), Some(0)),
        (&["1.0", "1.00"], None, Integer(1), None),
        (&["01", "02"], None, text("01"), Some(0)),
        (&["01", "02"], None, text("1"), Some(1)),
        (&["a", "b"], None, text(" b "), Some(1)),
        (&["-1", "1"], None, Integer(-1), Some(0)),
        (&["-1", "1"], None, text("-1.0"), Some(0)),
        (&["-1", "1"], None, Integer(0), None),
        (&["a", "b"], None, Missing, None),
        (&["a", "b"], None, text("  "), None),
        (
            &["caf\u{e9}", "th\u{e9}"],
            None,
            text("cafe\u{301}"),
            Some(0),
        ),
        (
            &["cafe\u{301}", "the\u{301}"],
            None,
            text("th\u{e9}"),
            Some(1),
        ),
        (&["a", "b"], None, text("B"), None),
        (&["very good", "b"], None, text("verygood"), None),
    ] {
        let found = labels(names, by)
            .find(&label, None)
            .ok()
            .map(|(place, _)| place);
        assert_eq!(found, place, "{names:?} {by:?} {label:?}");
    }
}

#[test]
fn stored_names_win_and_are_compared() {
    let path = Path::new("d.parquet");
    let owned =
        |names: &[&str]| -> Vec<String> { names.iter().map(|&name| name.to_owned()).collect() };
    let declared = labels(&["pos", "neg"], None);
    let places = declared.stored(&owned(&["neg", "pos"]), path).unwrap();
    assert_eq!(places, [1, 0]);
    for (label, expected) in [
        (Integer(0), Some((1, How::Stored))),
        (Integer(1), Some((0, How::Stored))),
        (text("1"), Some((0, How::Stored))),
        (text("neg"), Some((1, How::Name))),
        (Bool(true), Some((0, How::Stored))),
        (Integer(2), None),
        (Integer(-1), None),
        (text("2"), None),
    ] {
        assert_eq!(
            declared.find(&label, Some(&places)).ok(),
            expected,
            "{label:?}"
        );
    }
    // Numbers as stored names: the number in the file counts them, whatever they are called.
    let numbers = labels(&["0", "1"], None);
    let places = numbers.stored(&owned(&["1", "0"]), path).unwrap();
    assert_eq!(numbers.find(&Integer(1), Some(&places)).unwrap().0, 0);
    for (names, stored) in [
        (&["pos", "neg"][..], &["neg", "positive"][..]),
        (&["pos", "neg"], &["neg", "pos", "neutral"]),
        (&["pos", "neg", "neutral"], &["neg", "pos"]),
        (&["pos", "neg"], &["neg", "neg"]),
    ] {
        let error = labels(names, None)
            .stored(&owned(stored), path)
            .unwrap_err()
            .to_string();
        for name in names.iter().chain(stored) {
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
    }
    let renamed = labels(&["bad", "good"], Some(LabelsBy::Index));
    assert_eq!(renamed.stored(&owned(&["0", "1"]), path).unwrap(), [0, 1]);
    assert!(renamed.stored(&owned(&["0", "1", "2"]), path).is_err());
    let composed = labels(&["caf\u{e9}", "x"], None);
    assert_eq!(
        composed
            .stored(&owned(&["x", "cafe\u{301}"]), path)
            .unwrap(),
        [1, 0]
    );
}

#[test]
fn messages_help_and_hold_no_content() {
    for (names, by, label, expected) in [
        (
            &["joy", "fear"][..],
            None,
            text("Joy"),
            "differs from `joy` in case or spaces",
        ),
        (
            &["very good"],
            None,
            text("very  good"),
            "differs from `very good` in case or spaces",
        ),
        (
            &["joy", "fear"],
            None,
            text("secret"),
            "unknown label: expected one of `joy`, `fear`",
        ),
        (&["joy", "fear"], None, text(""), "the label is missing"),
        (&["joy", "fear"], None, Missing, "the label is missing"),
        (&["joy", "fear"], None, Integer(7), "no index from 0 to 1"),
        (&["1", "2"], None, Integer(7), "set `labels_by = \"index\"`"),
        (
            &["joy"],
            Some(LabelsBy::Name),
            Integer(0),
            "set `labels_by = \"index\"`",
        ),
        (
            &["1", "2"],
            Some(LabelsBy::Index),
            Integer(7),
            "no index from 0 to 1",
        ),
    ] {
        let error = labels(names, by).find(&label, None).unwrap_err();
        assert!(error.contains(expected), "{label:?}: {error}");
        assert!(!error.contains("secret") && !error.contains('7'), "{error}");
    }
    let many: Vec<String> = (0..300).map(|number| format!("label {number}")).collect();
    let error = Labels::new(&many, None)
        .unwrap()
        .find(&text("x"), None)
        .unwrap_err();
    assert!(
        error.contains("and 280 more") && error.len() < 400,
        "{error}"
    );
}

#[test]
fn declared_names_have_to_differ() {
    for names in [
        &["a", "a"][..],
        &["a", " a"],
        &["caf\u{e9}", "cafe\u{301}"],
        &["a", ""],
    ] {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        assert!(Labels::new(&names, None).is_err(), "{names:?}");
    }
    labels(&["a", "A", "1", "1.0"], None);
}
