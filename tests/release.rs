//! `dpx release` and `dpx verify`: what may leave, what is refused, and what the folder of a release holds.

use crate::binary::{command, dpx, succeeds, text};
use crate::real_study::RealStudy;
use dpx_data::{ParquetValues, read_parquet};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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
        text(&early.stderr).contains("nothing has run from this folder"),
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
    let one = statement(&root.join("one"));
    let alone = epsilon(&one["claim"]);
    assert!(alone <= 3.0 && alone > 2.99, "{alone}");
    assert_eq!(one["claim"], one["total"], "nothing was released before");
    let files: Vec<String> = files(&root.join("one")).into_iter().collect();
    let expected = [
        "PRIVACY.md",
        "README.md",
        "SHA256SUMS",
        "epsilon=3.csv",
        "epsilon=3.jsonl",
        "epsilon=3.parquet",
        "privacy.json",
    ];
    assert_eq!(files, expected);

    // Every row, after one: the same run counts once.
    let all = dpx(root, &["release", "small.toml", "--all", "--out", "all"]);
    assert!(all.status.success(), "{}", text(&all.stderr));
    let all = statement(&root.join("all"));
    let joint = epsilon(&all["claim"]);
    assert!(joint > 8.0 && joint < 11.0, "{joint}");
    assert_eq!(all["claim"], all["total"], "{all}");
    assert_eq!(all["prior"].as_array().unwrap().len(), 1);
    assert!(!root.join("all/epsilon=inf.csv").exists());
    assert!(root.join("all/epsilon=0.csv").exists());
    holds_alone(&root.join("one"));
    holds_alone(&root.join("all"));

    // Nothing in a release but the checksums of its own files names a digest or a key.
    for name in ["README.md", "PRIVACY.md", "privacy.json"] {
        let page = std::fs::read_to_string(root.join("all").join(name)).unwrap();
        let longest = page
            .split(|c: char| !c.is_ascii_hexdigit())
            .map(str::len)
            .max()
            .unwrap();
        // Half of a run's random identity has 16, a long number 21, a digest 64.
        assert!(
            longest < 32,
            "{name}: a run of {longest} hexadecimal digits"
        );
    }

    for (row, reason) in [
        ("epsilon=inf", "without a guarantee"),
        ("epsilon=5", "no `sample` instance"),
        ("epsilon=5", "this study has `epsilon=inf`"),
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
    let page = std::fs::read_to_string(root.join("with/PRIVACY.md")).unwrap();
    assert!(
        page.contains("20 made-up records of random letters"),
        "{page}"
    );
    let plain = release("0", "without");
    assert!(!plain.contains("warning"), "{plain}");
    let page = std::fs::read_to_string(root.join("without/PRIVACY.md")).unwrap();
    assert!(page.contains("None were planted."), "{page}");
    // The model with canaries was released of the same people before.
    let without = statement(&root.join("without"));
    assert_eq!(without["prior"].as_array().unwrap().len(), 1, "{without}");
    assert!(epsilon(&without["total"]) > epsilon(&without["claim"]) + 1.0);
    holds_alone(&root.join("with"));
    holds_alone(&root.join("without"));
}

fn statement(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("privacy.json")).unwrap()).unwrap()
}

fn epsilon(claim: &Value) -> f64 {
    claim["certified"]["epsilon"].as_f64().unwrap()
}

/// The paths of all files in a folder.
pub(crate) fn files(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let inside = path.strip_prefix(root).unwrap();
                found.insert(inside.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let path = to.join(&file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(from.join(&file), path).unwrap();
    }
}

/// Verifies a release in an empty directory, where there is nothing else: no experiment, cache, state or home.
pub(crate) fn holds_alone(release: &Path) {
    let elsewhere = tempfile::tempdir().unwrap();
    copy(release, &elsewhere.path().join("shared"));
    let mut verify = command(elsewhere.path(), &["verify", "shared"]);
    verify.env("HOME", elsewhere.path().join("home"));
    let verified = verify.output().unwrap();
    let told = text(&verified.stdout);
    assert!(
        verified.status.success(),
        "{told}{}",
        text(&verified.stderr)
    );
    assert!(told.contains("shared holds: "), "{told}");
    let left: Vec<_> = std::fs::read_dir(elsewhere.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "verify wrote something: {left:?}");
}

/// A release of everything that the teacher study may release: soft labels, canaries, replicates, models.
fn everything() -> &'static Path {
    static RELEASE: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    RELEASE.get_or_init(|| {
        let study = RealStudy::get();
        let release = study.folder().join("everything");
        study.dpx(&[
            "release",
            "real.toml",
            "--all",
            "--model",
            "--license",
            "cc-by-4.0",
            "--language",
            "en",
            "--out",
            "everything",
        ]);
        release
    })
}

#[test]
fn verify_names_what_fails_and_ends_with_one() {
    let release = everything();
    holds_alone(release);
    let folder = tempfile::tempdir().unwrap();
    copy(release, &folder.path().join("r"));
    let card = folder.path().join("r/README.md");
    let text_of_card = std::fs::read_to_string(&card).unwrap();
    std::fs::write(&card, text_of_card.replace("cc-by-4.0", "cc0-1.0")).unwrap();
    let found = dpx(folder.path(), &["verify", "r"]);
    assert_eq!(found.status.code(), Some(1));
    let told = text(&found.stdout);
    for part in [
        "checksums    FAILS",
        "`README.md` was changed",
        "README.md    FAILS",
        "line 4 is not what privacy.json says",
        "PRIVACY.md   holds",
        "r does NOT hold",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let found = dpx(folder.path(), &["verify", "r", "--json"]);
    assert_eq!(found.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&found.stdout).unwrap();
    let failed: Vec<&str> = json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| !check["failures"].as_array().unwrap().is_empty())
        .map(|check| check["point"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["checksums", "README.md"], "{json}");
    assert_eq!(json["holds"], false);
    let none = dpx(folder.path(), &["verify", "none"]);
    assert_eq!(none.status.code(), Some(2));
    let told = text(&none.stderr);
    assert!(told.contains("`none` cannot be read"), "{told}");
}

/// Words in order, lower-case, without punctuation.
fn words(text: &str) -> Vec<String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Every run of 8 words.
pub(crate) fn pieces(text: &str) -> Vec<String> {
    words(text)
        .windows(8)
        .map(|piece| piece.join(" "))
        .collect()
}

/// Everything that can be read in a release, unpacked: pages, texts in every format, strings in binary files.
pub(crate) fn unpacked(release: &Path) -> Vec<(String, String)> {
    files(release)
        .into_iter()
        .map(|file| {
            let path = release.join(&file);
            let bytes = std::fs::read(&path).unwrap();
            let mut text = String::from_utf8_lossy(&bytes).into_owned();
            if file.ends_with(".parquet") {
                let table = read_parquet(&path).unwrap();
                for (name, values) in table.columns {
                    text.extend(["\n", &name, "\n"]);
                    if let ParquetValues::Text(texts) = values {
                        text += &texts.join("\n");
                    }
                }
                for (key, value) in &table.metadata {
                    text.extend([key.as_str(), " ", value.as_str(), "\n"]);
                }
            }
            (file, text)
        })
        .collect()
}

/// Every number of the study's results with enough digits to be told from another.
fn figures(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let digits = number.to_string();
            if digits.len() > 9 {
                found.insert(digits);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| figures(item, found)),
        Value::Object(map) => map.values().for_each(|item| figures(item, found)),
        _ => {}
    }
}

/// What no release of a study may say: paths, people, machines, keys and digests, and scores and losses by their digits.
pub(crate) fn never_released(root: &Path, results: &Path, release: &Path) -> BTreeSet<String> {
    let mut never: BTreeSet<String> = BTreeSet::from([
        root.display().to_string(),
        env!("CARGO_MANIFEST_DIR").to_owned(),
        "DPX_STATE_DIR".to_owned(),
    ]);
    for variable in ["HOME", "USER", "LOGNAME", "HOSTNAME"] {
        never.extend(std::env::var(variable).ok().filter(|value| value.len() > 4));
    }
    never.extend(
        std::fs::read_to_string("/etc/hostname")
            .ok()
            .map(|name| name.trim().to_owned())
            .filter(|name| name.len() > 4),
    );
    // Names of everything in the cache, but objects that were released as they are.
    let mut digests = 0;
    for file in files(&root.join("cache")) {
        let name = file.rsplit('/').next().unwrap();
        let digest = name.split('.').next().unwrap();
        if digest.len() == 64 && digest.chars().all(|c| c.is_ascii_hexdigit()) {
            never.insert(digest.to_owned());
            digests += 1;
        }
    }
    assert!(digests > 20, "{digests}");
    for file in files(&root.join("state")) {
        never.extend(
            file.split('/')
                .filter(|part| part.len() > 20)
                .map(str::to_owned),
        );
    }
    let results: Value = serde_json::from_slice(&std::fs::read(results).unwrap()).unwrap();
    let mut scores = BTreeSet::new();
    for row in results["rows"].as_array().unwrap() {
        for part in [
            "figures",
            "ceilings",
            "values",
            "scores",
            "audit",
            "classifications",
        ] {
            figures(&row[part], &mut scores);
        }
    }
    let mut losses = 0;
    for file in files(&root.join("cache/objects")) {
        let bytes = std::fs::read(root.join("cache/objects").join(&file)).unwrap();
        let Ok(lines) = String::from_utf8(bytes) else {
            continue;
        };
        for line in lines.lines().filter(|line| line.contains("\"loss\"")) {
            if let Ok(line) = serde_json::from_str::<Value>(line) {
                figures(&line, &mut scores);
                losses += 1;
            }
        }
    }
    assert!(
        scores.len() > 50 && losses > 10,
        "{} {losses}",
        scores.len()
    );
    // A private teacher's probabilities and the statement's own numbers are no scores.
    let mut own = BTreeSet::new();
    figures(&statement(release), &mut own);
    never.extend(scores.difference(&own).cloned());
    never
}

/// Nothing of a release says what it may not, nor speaks of figures on private data.
pub(crate) fn says_nothing_of(unpacked: &[(String, String)], never: &BTreeSet<String>) {
    let secrets: Vec<String> = never.iter().map(|secret| regex::escape(secret)).collect();
    let secrets = regex::Regex::new(&secrets.join("|")).unwrap();
    for (file, text) in unpacked {
        let found = secrets.find(text).map(|found| found.as_str());
        assert_eq!(found, None, "{file}");
        if file.ends_with(".safetensors") || file.starts_with("model/") {
            continue;
        }
        let said = text.to_lowercase();
        for word in ["accuracy", "macro_f1", "mauve", "perplexity", "train.jsonl"] {
            assert!(!said.contains(word), "{file} speaks of {word}");
        }
    }
}

#[test]
fn nothing_outside_the_guarantee_is_in_a_release() {
    let release = everything();
    let study = RealStudy::get();
    let everything = unpacked(release);
    let names: Vec<&String> = everything.iter().map(|(name, _)| name).collect();
    assert!(
        names.iter().any(|name| name.ends_with("model.safetensors")),
        "{names:?}"
    );
    let never = never_released(study.folder(), &study.results("results.json"), release);
    assert!(never.len() > 250, "{}", never.len());
    says_nothing_of(&everything, &never);
    // Pieces of 8 words of any private text, scrubbed or not.
    let mut private = BTreeSet::new();
    for row in &dpx_data::builtin::emotions().train {
        private.extend(pieces(&row.text));
    }
    assert!(private.len() > 10_000, "{}", private.len());
    let mut compared = 0;
    // Weights have no words.
    let texts = everything
        .iter()
        .filter(|(file, _)| !file.ends_with(".safetensors"));
    for (file, text) in texts {
        for piece in pieces(text) {
            compared += 1;
            assert!(
                !private.contains(&piece),
                "{file} holds 8 words of a private text"
            );
        }
    }
    assert!(compared > 1_000, "{compared}");
}

#[test]
fn a_release_killed_anywhere_is_whole_or_not_there_and_the_next_one_clears_up() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::write(root.join("small.toml"), EXPERIMENT).unwrap();
    succeeds(root, &["run", "small.toml", "--only", "sample@epsilon=3"]);
    let arguments = [
        "release",
        "small.toml",
        "--row",
        "epsilon=3",
        "--model",
        "--out",
        "shared",
    ];
    let begun = std::time::Instant::now();
    succeeds(root, &arguments);
    let whole = begun.elapsed();
    std::fs::remove_dir_all(root.join("shared")).unwrap();
    let (mut there, mut not_there) = (0, 0);
    for attempt in 0..24_u32 {
        let mut child = command(root, &arguments)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(whole.mul_f64(f64::from(attempt) / 20.0));
        child.kill().ok();
        child.wait().unwrap();
        if root.join("shared").exists() {
            there += 1;
            succeeds(root, &["verify", "shared"]);
            std::fs::remove_dir_all(root.join("shared")).unwrap();
        } else {
            not_there += 1;
        }
    }
    assert!(not_there > 0, "{there} {not_there}");
    succeeds(root, &arguments);
    succeeds(root, &["verify", "shared"]);
    let left: Vec<String> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(".shared"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let again = dpx(root, &arguments);
    assert_eq!(again.status.code(), Some(2), "{}", text(&again.stderr));
}

#[test]
fn license_and_language_are_the_publishers_word() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let named =
        format!("{EXPERIMENT}\n[release]\nlicense = \"odc-by\"\nlanguage = [\"en\", \"de\"]\n");
    std::fs::write(root.join("small.toml"), EXPERIMENT).unwrap();
    std::fs::write(root.join("named.toml"), named).unwrap();
    succeeds(root, &["run", "small.toml", "--only", "sample@epsilon=0"]);
    let card = |file: &str, more: &[&str], out: &str| {
        let mut arguments = vec!["release", file, "--row", "epsilon=0", "--out", out];
        arguments.extend(more);
        let released = succeeds(root, &arguments);
        let card = std::fs::read_to_string(root.join(out).join("README.md")).unwrap();
        (card, text(&released.stderr))
    };
    let (plain, told) = card("small.toml", &[], "plain");
    assert!(
        plain.contains("license: \"other\"\n") && !plain.contains("language:"),
        "{plain}"
    );
    assert!(told.contains("no license is named"), "{told}");
    assert!(plain.contains("No private data used"), "{plain}");
    let (named, told) = card("named.toml", &[], "named");
    assert!(
        named.starts_with("---\nlanguage:\n- \"en\"\n- \"de\"\nlicense: \"odc-by\"\n"),
        "{named}"
    );
    assert!(!told.contains("license"), "{told}");
    let own = [
        "--license",
        "other",
        "--license-name",
        "acme-1.0",
        "--language",
        "no",
    ];
    let (own, _) = card("named.toml", &own, "own");
    assert!(
        own.contains("license_name: \"acme-1.0\"") && own.contains("language:\n- \"no\"\nlicense"),
        "{own}"
    );
    for (more, reason) in [
        (["--license", "CC0-1.0"], "write `cc0-1.0`"),
        (["--language", "English"], "no code of a language"),
    ] {
        let arguments = [
            "release",
            "small.toml",
            "--all",
            "--out",
            "no",
            more[0],
            more[1],
        ];
        let refused = dpx(root, &arguments);
        assert_eq!(refused.status.code(), Some(2));
        assert!(
            text(&refused.stderr).contains(reason),
            "{}",
            text(&refused.stderr)
        );
    }
    holds_alone(&root.join("own"));
}

/// A model that was trained on private texts stays what it is, wherever its folder goes.
#[test]
fn a_model_of_private_texts_is_not_taken_for_a_public_one() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::write(root.join("small.toml"), EXPERIMENT).unwrap();
    succeeds(root, &["run", "small.toml", "--only", "sample@epsilon=3"]);
    let arguments = [
        "release",
        "small.toml",
        "--row",
        "epsilon=3",
        "--model",
        "--out",
        "out",
    ];
    succeeds(root, &arguments);
    let model = files(&root.join("out"))
        .into_iter()
        .find_map(|file| Some(file.strip_suffix("/config.json")?.to_owned()))
        .unwrap();
    let other = EXPERIMENT
        .replace(
            "model = \"stage:base\"",
            &format!("model = \"out/{model}\""),
        )
        .replace(
            "needs = [\"preprocess\", \"base\"]",
            "needs = [\"preprocess\"]",
        );
    std::fs::write(root.join("other.toml"), other).unwrap();
    for verb in ["check", "plan", "run"] {
        let refused = dpx(root, &[verb, "other.toml"]);
        assert_eq!(refused.status.code(), Some(2), "{verb}");
        let told = text(&refused.stderr);
        assert!(
            told.contains("was trained by dpx on private texts"),
            "{told}"
        );
    }
}

/// Of the same people, one release under each adjacency: the second is stated, and verifies, under zero-out.
#[test]
fn releases_under_both_adjacencies_compose_under_zero_out() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::write(root.join("small.toml"), EXPERIMENT).unwrap();
    let stated = EXPERIMENT
        .replace(
            "name = \"small\"",
            "name = \"stated\"\n\n[privacy]\ndelta = 1e-3",
        )
        .replace(
            "epochs = 1\nbatch_size = 40",
            "sampling_rate = 0.1\nsteps = 4",
        );
    std::fs::write(root.join("stated.toml"), stated).unwrap();
    for (study, out) in [
        ("small.toml", "one"),
        ("stated.toml", "two"),
        ("small.toml", "three"),
    ] {
        succeeds(root, &["run", study, "--only", "sample@epsilon=3"]);
        succeeds(
            root,
            &["release", study, "--row", "epsilon=3", "--out", out],
        );
        holds_alone(&root.join(out));
    }
    let two = statement(&root.join("two"));
    for claim in ["claim", "total"] {
        assert_eq!(two[claim]["adjacency"], "zero-out", "{two}");
    }
    let run = two["runs"].as_object().unwrap().values().next().unwrap();
    assert_eq!(
        (&run["adjacency"], &run["examples"]),
        (&"add-remove".into(), &Value::Null)
    );
    let page = std::fs::read_to_string(root.join("two/PRIVACY.md")).unwrap();
    assert!(
        page.contains("their number of records is not disclosed"),
        "{page}"
    );
}

/// The release read by the packages that people would use; `None` where Python or a package is missing.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn python(script: &Path, arguments: &[&Path]) -> Option<(bool, String)> {
    let python = std::env::var("DPX_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = std::process::Command::new(&python)
        .arg(script)
        .args(arguments)
        .env("HF_HUB_OFFLINE", "1")
        .output();
    let output = match output {
        Ok(output) if output.status.code() != Some(77) => output,
        _ => {
            eprintln!("SKIPPED: {python} CANNOT RUN {}", script.display());
            return None;
        }
    };
    let told = text(&output.stdout) + &text(&output.stderr);
    Some((output.status.success(), told))
}

#[test]
fn datasets_and_the_hubs_cards_read_a_release() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/release.py");
    if let Some((holds, told)) = python(&script, &[everything()]) {
        assert!(holds, "{told}");
    }
}

/// The check that docs/verify.md prints for whoever trusts nobody.
#[test]
fn the_independent_check_of_the_documents_agrees() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify.md");
    let document = std::fs::read_to_string(document).unwrap();
    let (_, code) = document.split_once("```python\n").unwrap();
    let (code, _) = code.split_once("```").unwrap();
    assert!(code.lines().count() <= 75, "{} lines", code.lines().count());
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("check.py");
    let guarded = format!(
        "import importlib.util, sys\nif importlib.util.find_spec('dp_accounting') is None: sys.exit(77)\n{code}"
    );
    std::fs::write(&script, guarded).unwrap();
    let root = folder.path();
    std::fs::write(root.join("small.toml"), EXPERIMENT).unwrap();
    succeeds(root, &["run", "small.toml"]);
    for (rows, out) in [("--row=epsilon=3", "first"), ("--all", "second")] {
        succeeds(root, &["release", "small.toml", rows, "--out", out]);
    }
    let release = root.join("second");
    let Some((holds, told)) = python(&script, &[&release]) else {
        return;
    };
    assert!(holds && told.contains("everything holds"), "{told}");
    // A claim that is a tenth too low is found, whatever else was made to agree.
    let copied = folder.path().join("r");
    copy(&release, &copied);
    let path = copied.join("privacy.json");
    let mut json = statement(&copied);
    let epsilon = json["total"]["certified"]["epsilon"].as_f64().unwrap();
    json["total"]["certified"]["epsilon"] = (epsilon * 0.9).into();
    std::fs::write(&path, json.to_string()).unwrap();
    let (holds, told) = python(&script, &[&copied]).unwrap();
    assert!(!holds && told.contains("total"), "{told}");
}
