//! The metrics against figures of Python implementations (NumPy, SciPy, scikit-learn, NLTK, mauve-text) on one fixture.
//!
//! `tests/fixtures/metric/reference.py` computed them once.

use super::distribution::{label_shares, wasserstein};
use super::diversity::diversity;
use super::mauve::{MauveOptions, mauve};
use super::neighbours::neighbours;
use super::similarity::set_similarity;
use super::support::support;
use super::{Classification, Embeddings, pca, words::words};
use serde_json::Value;

const TEXTS: &str = include_str!("../../../../tests/fixtures/metric/texts.json");
const EMBEDDINGS: &str = include_str!("../../../../tests/fixtures/metric/embeddings.json");
const REFERENCE: &str = include_str!("../../../../tests/fixtures/metric/reference.json");

fn reference(key: &str) -> Value {
    serde_json::from_str::<Value>(REFERENCE).unwrap()[key].clone()
}

fn close(found: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap();
    assert!(
        (found - expected).abs() <= tolerance,
        "found {found}, expected {expected}"
    );
}

fn set(key: &str) -> Embeddings {
    let all: Value = serde_json::from_str(EMBEDDINGS).unwrap();
    let values = all[key].as_array().unwrap();
    Embeddings::new(
        values.iter().map(|v| v.as_f64().unwrap() as f32).collect(),
        8,
    )
    .unwrap()
}

fn indices(value: &Value) -> Vec<usize> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_u64().unwrap() as usize)
        .collect()
}

fn labels(key: &str) -> Vec<usize> {
    indices(&serde_json::from_str::<Value>(EMBEDDINGS).unwrap()[key])
}

fn texts(key: &str) -> Vec<String> {
    let all: Value = serde_json::from_str(TEXTS).unwrap();
    serde_json::from_value(all[key].clone()).unwrap()
}

#[test]
fn classification_is_scikit_learns() {
    let names: Vec<String> = (0..4).map(|label| label.to_string()).collect();
    let found = Classification::of(
        &names,
        &indices(&reference("truth")),
        &indices(&reference("guess")),
    )
    .unwrap();
    close(found.accuracy, &reference("accuracy"), 1e-12);
    close(found.macro_f1, &reference("macro_f1"), 1e-12);
}

#[test]
fn diversity_is_nltks() {
    for key in ["real", "synthetic"] {
        let found = diversity(&texts(key));
        let expected = reference(key);
        close(found.distinct_1, &expected["distinct_1"], 1e-12);
        close(found.distinct_2, &expected["distinct_2"], 1e-12);
        close(found.distinct_3, &expected["distinct_3"], 1e-12);
        close(found.self_bleu, &expected["self_bleu"], 1e-9);
    }
}

#[test]
fn distances_are_scipys() {
    let lengths = |key| -> Vec<u64> {
        texts(key)
            .iter()
            .map(|text| words(text).len() as u64)
            .collect()
    };
    close(
        wasserstein(&lengths("real"), &lengths("synthetic")),
        &reference("wasserstein"),
        1e-12,
    );
    let names: Vec<String> = (0..4).map(|label| label.to_string()).collect();
    let found = label_shares(&names, vec![10, 0, 5, 25], vec![7, 3, 3, 2]);
    close(found.jensen_shannon, &reference("jensen_shannon"), 1e-12);
    let expected: f64 = (7.0 / 15.0 - 0.25) + 0.2 + (0.2 - 0.125);
    assert!((found.total_variation - expected).abs() < 1e-12);
}

#[test]
fn mauve_is_the_authors() {
    let options = MauveOptions {
        clusters: 6,
        ..MauveOptions::default()
    };
    let found = mauve(&set("p"), &set("q"), &options).unwrap();
    close(found.mauve, &reference("mauve"), 1e-6);
    close(found.mauve_star, &reference("mauve_star"), 1e-6);
    // The score is symmetric.
    let back = mauve(&set("q"), &set("p"), &options).unwrap();
    assert!((found.mauve - back.mauve).abs() < 1e-9);
}

#[test]
fn similarity_is_the_mean_cosine_of_scikit_learn() {
    let found = set_similarity(
        &set("q"),
        &labels("q_label"),
        &set("p"),
        &labels("p_label"),
        6,
    )
    .unwrap();
    close(found.forward, &reference("forward"), 1e-6);
    close(found.backward, &reference("backward"), 1e-6);
    close(found.per_label[0].unwrap(), &reference("label_0"), 1e-6);
    assert_eq!(found.per_label[4], None);
    assert_eq!((found.n_synthetic, found.n_real), (45, 60));
}

#[test]
fn support_and_neighbours_are_scikit_learns() {
    let found = support(&set("b"), &set("a"), 3).unwrap();
    close(found.precision, &reference("precision"), 1e-9);
    close(found.recall, &reference("recall"), 1e-9);
    let found = neighbours(&set("b"), &set("a"), &set("a")).unwrap();
    close(found.training_median, &reference("nearest_median"), 1e-6);
    assert_eq!(found.nearer_to_training.total, 0);
}

#[test]
fn principal_components_explain_what_scikit_learns_do() {
    let expected: Vec<f64> = serde_json::from_value(reference("explained")).unwrap();
    let mut sum = 0.0;
    for (index, share) in expected.iter().enumerate() {
        // Just below the share that the first `index + 1` components explain, exactly so many are kept.
        sum += share;
        assert_eq!(pca::project(&set("a"), sum - 1e-6).width(), index + 1);
    }
}
