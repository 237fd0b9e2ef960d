//! `experiments/select-teacher.toml` and `select.toml`, made tiny, through the real binary: votes for a public pool, one claim, a
//! release that verifies.

use crate::binary::{dpx, succeeds, text};
use serde_json::Value;
use std::path::Path;

/// Laid over a study. Its figures mean nothing.
const TINY: &str = r#"
[experiment]
name = "tiny"
extends = "EXPERIMENTS/STUDY.toml"

[sweep]
epsilon = [8, 0]

[stage]
preprocess.limit = 300
pool = { count = 240, max_new_tokens = 10 }
votes = { clusters = 12 }
sample = { count = 36 }
score = { max_texts = 24, examples = 1 }
"#;

fn study(folder: &Path, study: &str, more: &str) {
    let experiments = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let tiny = TINY
        .replace("EXPERIMENTS", &experiments.display().to_string())
        .replace("STUDY", study);
    std::fs::write(folder.join("tiny.toml"), tiny + more).unwrap();
}

fn results(folder: &Path) -> Value {
    let bytes = std::fs::read(folder.join("results/tiny/results.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn row<'a>(results: &'a Value, name: &str) -> &'a Value {
    let rows = results["rows"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap()
}

/// Every `sample.json` in the cache that tells of votes.
fn voted(folder: &Path) -> Vec<Value> {
    std::fs::read_dir(folder.join("cache/objects"))
        .unwrap()
        .filter_map(|entry| {
            let bytes = std::fs::read(entry.unwrap().path()).ok()?;
            let value: Value = serde_json::from_slice(&bytes).ok()?;
            (value.get("by_label").is_some() && value["votes"].is_object()).then_some(value)
        })
        .collect()
}

#[test]
fn chosen_texts_bear_the_claim_of_their_votes_and_leave_with_it() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    study(folder, "select", "");
    succeeds(folder, &["run", "tiny.toml"]);
    let results = results(folder);
    let eight = row(&results, "epsilon=8");
    let mechanisms = eight["guarantee"]["mechanisms"].as_array().unwrap();
    let [mechanism] = &mechanisms[..] else {
        panic!("{mechanisms:?}");
    };
    assert_eq!(mechanism["kind"], "select");
    let epsilon = eight["guarantee"]["epsilon"].as_f64().unwrap();
    assert!(epsilon <= 8.0 && epsilon > 7.99, "{epsilon}");
    assert_eq!(row(&results, "epsilon=0")["guarantee"]["kind"], "untouched");
    assert_eq!(row(&results, "pool")["guarantee"]["kind"], "untouched");
    for name in ["epsilon=8", "epsilon=0", "pool"] {
        assert!(row(&results, name)["figures"]["accuracy"]["mean"].is_number());
    }
    let voted = voted(folder);
    assert_eq!(voted.len(), 2);
    for sample in &voted {
        let private = sample["votes"]["noise_std"].as_f64().unwrap() > 0.0;
        assert_eq!(sample["texts"], 36);
        assert_eq!(sample["votes"]["contrast"], true);
        let labels = sample["votes"]["by_label"].as_object().unwrap();
        let of_private = labels.values().filter(|label| label["votes"] == "private");
        assert_eq!(of_private.count() > 0, private, "{labels:?}");
    }

    // Whoever chooses looks at no private text: the texts of a row are gone, and the others can be chosen again.
    let release = dpx(
        folder,
        &["release", "tiny.toml", "--row", "epsilon=8", "--out", "out"],
    );
    assert!(release.status.success(), "{}", text(&release.stderr));
    let verify = dpx(folder, &["verify", "out"]);
    assert!(verify.status.success(), "{}", text(&verify.stderr));
    let told: Value =
        serde_json::from_slice(&std::fs::read(folder.join("out/privacy.json")).unwrap()).unwrap();
    let runs = told["runs"].as_object().unwrap();
    assert!(runs.values().all(|run| run["kind"] == "select") && runs.len() == 1);
    let ledger = dpx(folder, &["ledger"]);
    assert!(
        text(&ledger.stdout).contains("votes@epsilon=8"),
        "{}",
        text(&ledger.stdout)
    );
}

#[test]
fn votes_and_teacher_share_one_budget() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    study(folder, "select-teacher", "teacher.steps = 5\n");
    succeeds(folder, &["run", "tiny.toml"]);
    let results = results(folder);
    let eight = row(&results, "epsilon=8");
    let mechanisms = eight["guarantee"]["mechanisms"].as_array().unwrap();
    let mut kinds: Vec<&str> = mechanisms
        .iter()
        .map(|mechanism| mechanism["kind"].as_str().unwrap())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["select", "teacher"]);
    let epsilon = eight["guarantee"]["epsilon"].as_f64().unwrap();
    assert!(epsilon <= 8.0 && epsilon > 7.9, "{epsilon}");
    let with_teacher = &eight["figures"]["accuracy_with_teacher"];
    assert_eq!(with_teacher["n"], 1, "{}", eight["figures"]);
    let taught = voted(folder)
        .into_iter()
        .find(|sample| sample["teacher"]["applied"] == "agree")
        .unwrap();
    assert_eq!(taught["votes"]["contrast"], false);
    assert!(taught["teacher"]["dropped_disagreeing"].as_u64().unwrap() > 0);
}
