//! Noise of the released histograms.

use super::*;
use serde_json::json;

#[test]
fn noise_has_the_stated_deviation_and_every_cell_has_some() {
    let exact = Exact {
        cells: vec![100.0; 20_000],
        sensitivity: 2.0_f64.sqrt(),
    };
    let key = Key::seeded(1, "counts");
    let noisy = release(exact, Some(3.0), 0.0, &key).unwrap();
    let expected = 3.0 * 2.0_f64.sqrt();
    assert!((noisy.noise_std - expected).abs() < 1e-12);
    let mean = noisy.cells.iter().sum::<f64>() / 20_000.0;
    let deviation = (noisy
        .cells
        .iter()
        .map(|cell| (cell - mean).powi(2))
        .sum::<f64>()
        / 20_000.0)
        .sqrt();
    assert!((mean - 100.0).abs() < 0.15, "{mean}");
    assert!((deviation / expected - 1.0).abs() < 0.025, "{deviation}");
    assert!(noisy.cells.iter().all(|&cell| cell != 100.0));
}

#[test]
fn shares_of_the_stage_add_up_to_its_mechanism() {
    let schema = PublicSchema::new(
        vec!["a".into(), "b".into(), "absent".into()],
        "{label}: {text}",
        dpx_schema::LabelIntegration::Prefix,
        2,
    );
    for (params, keywords) in [
        (json!({"epsilon": 1, "keywords": ""}), vec![]),
        (
            json!({"epsilon": 1, "label_share": 0.25}),
            vec!["x".to_owned()],
        ),
        (
            json!({"epsilon": 1, "label_share": 0.25, "length_edges": [3]}),
            vec!["x".to_owned()],
        ),
        (
            json!({"epsilon": 1, "label_share": 0.25, "length_edges": [3], "length_share": 0.05}),
            vec!["x".to_owned()],
        ),
        (
            json!({"epsilon": 1, "label_share": 0.25, "length_edges": [3], "length_share": 0.05}),
            vec![],
        ),
    ] {
        let params: CountsParams = serde_json::from_value(params).unwrap();
        let counted = Counted::of(&["x y", "z"], &[0, 1], None);
        let made = histograms(&counted, &schema, &params, &keywords);
        let used: f64 = made
            .iter()
            .filter(|(exact, _)| !exact.cells.is_empty())
            .map(|(_, share)| share)
            .sum();
        assert!((used - 1.0).abs() < 1e-12);
        assert_eq!(made[0].0.cells, [1.0, 1.0, 0.0]);
    }
}

#[test]
fn keyword_lists_name_each_word_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "glad\n Sad\n\nsad\nglad\n").unwrap();
    let listed = keyword_list(&file.path().display().to_string()).unwrap();
    assert_eq!(listed, ["glad", "sad"]);
    let words = keyword_list("builtin:words").unwrap();
    assert!(words.len() > 20_000 && words[0] == "the");
    assert!(keyword_list("").unwrap().is_empty());
}

#[test]
fn a_text_moves_a_histogram_of_all_words_by_the_root_of_the_words_counted() {
    let schema = PublicSchema::new(
        vec!["a".into(), "b".into()],
        "{label}: {text}",
        dpx_schema::LabelIntegration::Prefix,
        2,
    );
    let params: CountsParams = serde_json::from_value(
        json!({"epsilon": 1, "keywords": "builtin:words", "keywords_per_text": 3}),
    )
    .unwrap();
    let keywords = keyword_list(&params.keywords).unwrap();
    let counted = Counted::of(&["the dog and the cat and a horse"], &[1], None);
    let made = histograms(&counted, &schema, &params, &keywords);
    let by_keyword = &made[1].0;
    assert_eq!(by_keyword.cells.len(), 2 * keywords.len());
    assert_eq!(by_keyword.cells.iter().sum::<f64>(), 3.0);
    assert_eq!(by_keyword.sensitivity, 3.0_f64.sqrt());
    // Label b's cell of the most frequent word.
    assert_eq!(by_keyword.cells[1], 1.0);
}

/// Whoever leaves with all of their records moves each histogram by at most what one record may.
#[test]
fn one_person_moves_each_histogram_by_at_most_its_sensitivity() {
    people_are_bounded();
}

pub(crate) fn people_are_bounded() {
    use crate::members::tests::{row, schema};
    use dpx_data::{Owner, Row};
    let of = |rows: &[(&str, &str, &str)]| -> Vec<Row> {
        let rows = rows.iter().zip(0..);
        rows.map(|((text, label, owners), id)| {
            row(id, text, label, &owners.split('+').collect::<Vec<_>>())
        })
        .collect()
    };
    let single = of(&[
        ("happy sad day", "joy", "ann"),
        ("happy sad", "joy", "ann"),
        ("happy sad", "joy", "ann"),
        ("sad day", "fear", "bob"),
        ("day", "love", "cem"),
        ("happy", "joy", "cem"),
    ]);
    let shared = of(&[
        ("happy sad day", "joy", "ann+bob"),
        ("happy sad", "joy", "ann"),
        ("happy sad", "joy", "ann+cem"),
        ("sad day", "fear", "bob"),
        ("happy sad", "joy", "cem+bob"),
    ]);
    let keywords = ["happy", "sad", "day"].map(str::to_owned);
    let params: CountsParams =
        serde_json::from_value(json!({"epsilon": 1, "length_edges": [1, 2]})).unwrap();
    for (rows, several) in [(single, false), (shared, true)] {
        let people = schema(3, 9, several);
        let all = shares(&rows, &people).unwrap();
        let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        let labels: Vec<usize> = rows
            .iter()
            .map(|row| people.label_index(&row.label).unwrap())
            .collect();
        let counted = Counted::of(&texts, &labels, all.as_deref());
        let made = |counted: &[Counted<'_>]| histograms(counted, &people, &params, &keywords);
        let with = made(&counted);
        let mut closest: f64 = 0.0;
        for name in ["ann", "bob", "cem"] {
            let owner = Owner::named(name);
            let kept: Vec<Counted<'_>> = counted
                .iter()
                .zip(&rows)
                .filter(|(_, row)| !row.owners.contains(&owner))
                .map(|(one, _)| *one)
                .collect();
            for ((with, _), (without, _)) in with.iter().zip(made(&kept)) {
                let pairs = with.cells.iter().zip(&without.cells);
                let apart: f64 = pairs.map(|(a, b)| (a - b) * (a - b)).sum();
                let share = apart.sqrt() / with.sensitivity;
                assert!(share <= 1.0 + 1e-12, "{name}: {share}");
                closest = closest.max(share);
            }
        }
        assert!(closest > 0.9, "the bound is not loose: {closest}");
    }
}
