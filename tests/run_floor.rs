//! `experiments/floor.toml`, made small, through the real binary: bags of words from one private histogram.

use crate::binary::succeeds;
use serde_json::Value;
use std::path::Path;

/// Lays small sizes over the study. Noise is seeded so that the figures are the same each time.
const SMALL: &str = r#"
[experiment]
name = "small"
extends = "EXPERIMENTS/floor.toml"

[sweep]
epsilon = ["inf", 8, 0]

[privacy]
noise = "seeded"

[stage]
sample.count = 1200
"#;

#[test]
fn counted_words_teach_more_than_public_ones_and_cost_one_mechanism() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let experiments = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let study = SMALL.replace("EXPERIMENTS", &experiments.display().to_string());
    std::fs::write(folder.join("small.toml"), study).unwrap();
    succeeds(folder, &["run", "small.toml"]);

    let results = std::fs::read(folder.join("results/small/results.json")).unwrap();
    let results: Value = serde_json::from_slice(&results).unwrap();
    let rows = results["rows"].as_array().unwrap();
    let row = |name: &str| {
        let found = rows.iter().find(|row| row["name"] == name);
        found.unwrap_or_else(|| panic!("no row {name}: {rows:?}"))
    };
    let accuracy = |name: &str| row(name)["figures"]["accuracy"]["mean"].as_f64().unwrap();
    let (exact, noisy, public) = (
        accuracy("epsilon=inf"),
        accuracy("epsilon=8"),
        accuracy("epsilon=0"),
    );
    // Six labels, the largest 0.288 of the texts.
    assert!(
        exact > 0.5 && noisy > 0.45 && public < 0.3,
        "{exact} {noisy} {public}"
    );

    let guarantee = &row("epsilon=8")["guarantee"];
    let epsilon = guarantee["epsilon"].as_f64().unwrap();
    assert!(epsilon <= 8.0 && epsilon > 7.9, "{epsilon}");
    let mechanisms = guarantee["mechanisms"].as_array().unwrap();
    assert_eq!(mechanisms.len(), 1);
    assert_eq!(mechanisms[0]["kind"], "counts");
    assert_eq!(row("epsilon=0")["guarantee"]["kind"], "untouched");
    assert_eq!(row("epsilon=inf")["guarantee"]["kind"], "none");
    let again = succeeds(folder, &["run", "small.toml"]);
    let told = String::from_utf8_lossy(&again.stderr);
    assert!(told.contains("0 ran"), "{told}");
}
