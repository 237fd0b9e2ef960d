//! `dpx release`: what may leave, and what is refused.

use crate::binary::{dpx, text};

const EXPERIMENT: &str = r#"
[experiment]
name = "small"

[sweep]
epsilon = ["inf", 8, 3, 0]

[stage.base]
kind = "pretrain"
corpus = ["builtin:dialogue"]
vocabulary_size = 300
layers = 1
width = 16
heads = 2
context = 24
batch_size = 8
steps = 12

[stage.preprocess]
kind = "preprocess"
dataset = "builtin:emotions"
limit = 120

[stage.train]
kind = "train"
needs = ["preprocess", "base"]
model = "stage:base"
epsilon = "$epsilon"
epochs = 1
batch_size = 40
max_length = 16

[stage.sample]
kind = "sample"
needs = ["train"]
count = 12
max_new_tokens = 6
"#;

#[test]
fn covered_rows_leave_with_their_joint_guarantee_and_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::write(root.join("small.toml"), EXPERIMENT).unwrap();

    let early = dpx(
        root,
        &[
            "release",
            "small.toml",
            "--row",
            "epsilon=3",
            "--out",
            "early",
        ],
    );
    assert_eq!(early.status.code(), Some(2));
    assert!(
        text(&early.stderr).contains("is not finished"),
        "{}",
        text(&early.stderr)
    );

    let run = dpx(root, &["run", "small.toml"]);
    assert!(run.status.success(), "{}", text(&run.stderr));

    let one = dpx(
        root,
        &[
            "release",
            "small.toml",
            "--row",
            "epsilon=3",
            "--out",
            "one",
        ],
    );
    assert!(one.status.success(), "{}", text(&one.stderr));
    let statement = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(root.join(name).join("privacy.json")).unwrap())
            .unwrap()
    };
    let alone = statement("one")["certified"]["epsilon"].as_f64().unwrap();
    assert!(alone <= 3.0 && alone > 2.99, "{alone}");
    let files: Vec<String> = std::fs::read_dir(root.join("one"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        files.len(),
        5,
        "texts in three formats, a card, a statement: {files:?}"
    );

    let all = dpx(root, &["release", "small.toml", "--all", "--out", "all"]);
    assert!(all.status.success(), "{}", text(&all.stderr));
    let joint = statement("all")["certified"]["epsilon"].as_f64().unwrap();
    assert!(joint > 8.0 && joint < 11.0, "{joint}");
    assert!(!root.join("all/epsilon=inf.csv").exists());
    assert!(root.join("all/epsilon=0.csv").exists());

    // Nothing in a release names a digest or a key.
    let card = std::fs::read_to_string(root.join("all/README.md")).unwrap()
        + &std::fs::read_to_string(root.join("all/privacy.json")).unwrap();
    let longest = card
        .split(|c: char| !c.is_ascii_hexdigit())
        .map(str::len)
        .max()
        .unwrap();
    assert!(longest < 20, "a run of {longest} hexadecimal digits");

    for (row, reason) in [
        ("epsilon=inf", "without a guarantee"),
        ("epsilon=5", "no `sample` instance"),
    ] {
        let refused = dpx(
            root,
            &["release", "small.toml", "--row", row, "--out", "no"],
        );
        assert_eq!(refused.status.code(), Some(2));
        assert!(
            text(&refused.stderr).contains(reason),
            "{}",
            text(&refused.stderr)
        );
        assert!(!root.join("no").exists());
    }

    let seeded = ["--set", "privacy.noise=seeded"];
    let run = dpx(
        root,
        &[
            "run",
            "small.toml",
            seeded[0],
            seeded[1],
            "--only",
            "sample@epsilon=3",
        ],
    );
    assert!(run.status.success(), "{}", text(&run.stderr));
    let refused = dpx(
        root,
        &[
            "release",
            "small.toml",
            seeded[0],
            seeded[1],
            "--row",
            "epsilon=3",
            "--out",
            "no",
        ],
    );
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("derived from the seed"),
        "{}",
        text(&refused.stderr)
    );
}

#[test]
fn texts_of_a_model_with_canaries_leave_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::write(root.join("small.toml"), EXPERIMENT).unwrap();
    let release = |canaries: &str, out: &str| {
        let set = format!("stage.train.canaries={canaries}");
        let only = ["--only", "sample@epsilon=8"];
        let run = dpx(
            root,
            &["run", "small.toml", "--set", &set, only[0], only[1]],
        );
        assert!(run.status.success(), "{}", text(&run.stderr));
        let arguments = [
            "release",
            "small.toml",
            "--set",
            &set,
            "--row",
            "epsilon=8",
            "--out",
            out,
        ];
        let released = dpx(root, &arguments);
        assert!(released.status.success(), "{}", text(&released.stderr));
        text(&released.stderr)
    };
    let warned = release("20", "with");
    assert!(
        warned.contains("warning: `train@epsilon=8` was trained with 20 canaries"),
        "{warned}"
    );
    let plain = release("0", "without");
    assert!(!plain.contains("warning"), "{plain}");
}
