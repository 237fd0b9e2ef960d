//! `dpx export`: a trained model as `transformers` and PEFT load it, under the rules of a release.

use crate::binary::{command, dpx, succeeds, text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const EXPERIMENT: &str = r#"
[experiment]
name = "small"

[sweep]
epsilon = ["inf", 3, 0]

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
dataset = "texts.csv"
labels = ["joy", "fear"]

[stage.train]
kind = "train"
needs = ["preprocess", "base"]
model = "stage:base"
epsilon = "$epsilon"
parameters = "lora"
learning_rate = 0.05
epochs = 1
batch_size = 40
max_length = 16

[stage.sample]
kind = "sample"
needs = ["train"]
count = 12
max_new_tokens = 6
temperature = 0.8
"#;

/// A folder with the study and its texts.
fn desk(experiment: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (0..120)
        .map(|n| match n % 2 {
            0 => format!("i am glad about day {n},joy"),
            _ => format!("the dark of night {n} scares me,fear"),
        })
        .collect();
    let rows = format!("text,label\n{}\n", rows.join("\n"));
    std::fs::write(folder.path().join("texts.csv"), rows).unwrap();
    std::fs::write(folder.path().join("small.toml"), experiment).unwrap();
    folder
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn export(root: &Path, more: &[&str], out: &str) -> String {
    let mut arguments = vec!["export", "small.toml", "--out", out];
    arguments.extend(more);
    let done = succeeds(root, &arguments);
    text(&done.stdout) + &text(&done.stderr)
}

/// Exit code 2, and why.
fn refused(root: &Path, more: &[&str]) -> String {
    let mut arguments = vec!["export", "small.toml", "--out", "no"];
    arguments.extend(more);
    let done = dpx(root, &arguments);
    let told = text(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{more:?}: {told}");
    assert!(!root.join("no").exists(), "{more:?}");
    told
}

/// Verifies a folder where there is nothing else.
fn holds_alone(folder: &Path) {
    let elsewhere = tempfile::tempdir().unwrap();
    let to = elsewhere.path().join("shared");
    std::fs::create_dir(&to).unwrap();
    for name in names(folder) {
        std::fs::copy(folder.join(&name), to.join(&name)).unwrap();
    }
    let mut verify = command(elsewhere.path(), &["verify", "shared"]);
    verify.env("HOME", elsewhere.path().join("home"));
    let verified = verify.output().unwrap();
    let told = text(&verified.stdout);
    assert!(verified.status.success(), "{told}");
    assert!(told.contains("shared holds: "), "{told}");
}

#[test]
fn a_model_leaves_as_a_release_and_rows_without_a_guarantee_stay() {
    let desk = desk(EXPERIMENT);
    let root = desk.path();
    assert!(refused(root, &["--row", "epsilon=3"]).contains("nothing has run"));
    succeeds(root, &["run", "small.toml"]);

    // The cache holds the public model once, whatever rows were adapted from it.
    let sizes: Vec<u64> = walk(&root.join("cache/objects"));
    let largest = sizes.iter().max().unwrap();
    assert_eq!(sizes.iter().filter(|size| *size == largest).count(), 1);

    let told = export(root, &["--row", "epsilon=3", "--language", "en"], "model");
    assert!(told.contains("model: model, by itself ("), "{told}");
    assert!(told.contains("states no license"), "{told}");
    let model = root.join("model");
    let expected = [
        "PRIVACY.md",
        "README.md",
        "SHA256SUMS",
        "config.json",
        "dpx_schema.json",
        "generation_config.json",
        "label_prompts.json",
        "model.safetensors",
        "privacy.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    assert_eq!(names(&model), expected.map(str::to_owned).into());
    holds_alone(&model);

    let statement = json(&model.join("privacy.json"));
    let epsilon = statement["claim"]["certified"]["epsilon"].as_f64().unwrap();
    assert!(epsilon <= 3.0 && epsilon > 2.99, "{epsilon}");
    assert_eq!(statement["texts"], serde_json::json!([]));
    assert_eq!(statement["models"][0]["instance"], "train@epsilon=3");
    let prompts = json(&model.join("label_prompts.json"));
    assert_eq!(prompts, statement["export"]["prompts"]);
    assert_eq!(prompts["labels"][1]["prompt"], "fear:");
    assert_eq!(prompts["before_text"], " ");
    assert_eq!(
        json(&model.join("dpx_schema.json"))["trained_on_private"],
        true
    );
    let generation = json(&model.join("generation_config.json"));
    assert_eq!(generation["temperature"], 0.8);
    assert_eq!(
        (&generation["do_sample"], &generation["top_k"]),
        (&true.into(), &0.into())
    );
    assert_eq!(generation["eos_token_id"], prompts["end_tokens"][0]);
    let card = std::fs::read_to_string(model.join("README.md")).unwrap();
    for part in [
        "license: \"unknown\"\n",
        "library_name: transformers\npipeline_tag: text-generation\n",
        "- differential-privacy\n",
        "language:\n- \"en\"\n",
        "| `fear` | `fear:` |",
        "AutoModelForCausalLM.from_pretrained",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    let page = std::fs::read_to_string(model.join("PRIVACY.md")).unwrap();
    assert!(
        page.contains("The language model here was made from 96 private records"),
        "{page}"
    );
    assert!(!page.contains("Released texts"), "{page}");

    // The texts of the same row are made with the same run: it counts once.
    let release = [
        "release",
        "small.toml",
        "--row",
        "epsilon=3",
        "--model",
        "--out",
        "texts",
    ];
    succeeds(root, &release);
    let texts = json(&root.join("texts/privacy.json"));
    assert_eq!(texts["claim"], texts["total"]);
    assert_eq!(texts["prior"][0]["rows"][0], "train@epsilon=3");
    // The model beside texts is whole, too.
    let beside = names(&root.join("texts/model/train-epsilon=3"));
    assert!(
        beside.contains("model.safetensors") && !beside.contains("adapter"),
        "{beside:?}"
    );
    let whole = |folder: &str| std::fs::read(root.join(folder).join("model.safetensors")).unwrap();
    assert_eq!(whole("texts/model/train-epsilon=3"), whole("model"));
    let ledger = text(&succeeds(root, &["ledger"]).stdout);
    assert!(ledger.contains("train@epsilon=3"), "{ledger}");

    export(
        root,
        &[
            "--row",
            "train@epsilon=3",
            "--dtype",
            "bf16",
            "--license",
            "mit",
        ],
        "half",
    );
    assert_eq!(json(&root.join("half/config.json"))["dtype"], "bfloat16");
    assert!(whole("half").len() < whole("model").len() * 6 / 10);
    let card = std::fs::read_to_string(root.join("half/README.md")).unwrap();
    assert!(
        card.contains("license: \"mit\"") && card.contains("rounded to bfloat16"),
        "{card}"
    );
    holds_alone(&root.join("half"));

    let told = export(root, &["--row", "epsilon=0"], "public");
    assert!(told.contains("no private data used"), "{told}");
    holds_alone(&root.join("public"));

    let told = refused(root, &["--row", "epsilon=inf"]);
    assert!(
        told.contains("without a guarantee") && told.contains("--internal"),
        "{told}"
    );
    assert!(refused(root, &["--row", "epsilon=5"]).contains("`train@epsilon=3`"));
    let told = refused(root, &[]);
    assert!(
        told.contains("one model leaves at a time") && told.contains("such as `--row epsilon="),
        "{told}"
    );
    assert!(refused(root, &["--stage", "sample"]).contains("no stage `sample` trains a model"));

    let before = text(&succeeds(root, &["ledger", "--json"]).stdout);
    let told = export(root, &["--row", "epsilon=inf", "--internal"], "internal");
    assert!(
        told.contains("NOT FOR RELEASE: it was trained on private texts"),
        "{told}"
    );
    let internal = root.join("internal");
    assert_eq!(
        json(&internal.join("privacy.json"))["not_for_release"],
        true
    );
    let card = std::fs::read_to_string(internal.join("README.md")).unwrap();
    assert!(
        card.contains("not-for-release") && card.contains("# INTERNAL, NOT FOR RELEASE"),
        "{card}"
    );
    assert!(internal.join("model.safetensors").exists());
    assert_eq!(before, text(&succeeds(root, &["ledger", "--json"]).stdout));
    let verified = dpx(root, &["verify", "internal"]);
    assert_eq!(verified.status.code(), Some(1));
    assert!(text(&verified.stdout).contains("internal, not for release"));

    // Prompts that are not the model's own are found, whoever writes the checksums anew.
    let told = tampered(&model, |folder| {
        let path = folder.join("label_prompts.json");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"fear:\"", "\"Fear:\"")).unwrap();
    });
    assert!(told.contains("models       FAILS"), "{told}");
}

fn walk(folder: &Path) -> Vec<u64> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push(entry.metadata().unwrap().len());
        }
    }
    found
}

/// What `dpx verify` says of a copy that was changed.
fn tampered(folder: &Path, change: impl Fn(&Path)) -> String {
    let elsewhere = tempfile::tempdir().unwrap();
    for name in names(folder) {
        std::fs::copy(folder.join(&name), elsewhere.path().join(&name)).unwrap();
    }
    change(elsewhere.path());
    let found = dpx(elsewhere.path(), &["verify", "."]);
    assert_eq!(found.status.code(), Some(1));
    text(&found.stdout)
}

#[test]
fn adapters_leave_for_peft_where_there_are_any() {
    let desk = desk(&EXPERIMENT.replace("[\"inf\", 3, 0]", "[3, 0]"));
    let root = desk.path();
    succeeds(root, &["run", "small.toml"]);
    let told = export(root, &["--row", "epsilon=3", "--adapter"], "adapter");
    assert!(told.contains("adapter: adapter, by itself ("), "{told}");
    let adapter = root.join("adapter");
    let files = names(&adapter);
    assert!(files.contains("adapter_config.json") && files.contains("adapter_model.safetensors"));
    assert!(
        !files.contains("model.safetensors") && !files.contains("config.json"),
        "{files:?}"
    );
    holds_alone(&adapter);
    let config = json(&adapter.join("adapter_config.json"));
    assert_eq!(
        (&config["peft_type"], &config["fan_in_fan_out"]),
        (&"LORA".into(), &true.into())
    );
    let card = std::fs::read_to_string(adapter.join("README.md")).unwrap();
    assert!(
        card.contains("library_name: peft") && card.contains("PeftModel"),
        "{card}"
    );

    assert!(refused(root, &["--row", "epsilon=0", "--adapter"]).contains("it has no adapter"));
    export(root, &["--stage", "base"], "base");
    export(root, &["--row", "epsilon=3"], "whole");
    loads(root, &["whole", "adapter", "base"]);

    let all = [
        "--set",
        "stage.train.parameters=all",
        "--set",
        "sweep.epsilon=[3]",
    ];
    succeeds(root, &[&["run", "small.toml"], &all[..]].concat());
    let told = refused(root, &[&["--adapter"], &all[..]].concat());
    assert!(told.contains("parameters = \"lora\""), "{told}");
    let own = [
        "--set",
        "stage.preprocess.label_integration=special-token",
        "--set",
        "sweep.epsilon=[3]",
    ];
    succeeds(root, &[&["run", "small.toml"], &own[..]].concat());
    let told = refused(root, &[&["--adapter"], &own[..]].concat());
    assert!(told.contains("tokens"), "{told}");
    let mut whole = own.to_vec();
    whole.extend(["--license", "apache-2.0"]);
    export(root, &whole, "tokens");
    holds_alone(&root.join("tokens"));
    let prompts = json(&root.join("tokens/label_prompts.json"));
    assert_eq!(
        prompts["labels"][0]["input_ids"].as_array().unwrap().len(),
        2,
        "{prompts}"
    );
    loads(root, &["tokens"]);
}

/// Chat template, license and settings of a public model come along; its path does not.
#[test]
fn what_the_public_model_brings_comes_along() {
    let desk = desk(&EXPERIMENT.replace("[\"inf\", 3, 0]", "[3]"));
    let root = desk.path();
    succeeds(root, &["run", "small.toml", "--only", "base"]);
    export(root, &["--stage", "base"], "mine");
    let template = "{% for message in messages %}{{ message['content'] }}{% endfor %}";
    let write =
        |name: &str, text: &str| std::fs::write(root.join("mine").join(name), text).unwrap();
    write("chat_template.jinja", template);
    write("LICENSE", "Do as you please.\n");
    write("README.md", "---\nlicense: llama3.2\n---\n# Mine\n");
    write(
        "generation_config.json",
        "{\"max_length\": 9, \"no_repeat_ngram_size\": 3}",
    );
    let own = EXPERIMENT
        .replace("[\"inf\", 3, 0]", "[3]")
        .replace("stage:base", "mine")
        .replace("[\"preprocess\", \"base\"]", "[\"preprocess\"]");
    std::fs::write(root.join("small.toml"), own).unwrap();
    succeeds(root, &["run", "small.toml"]);
    let told = export(root, &[], "own");
    assert!(!told.contains("states no license"), "{told}");
    let read =
        |folder: &str, name: &str| std::fs::read_to_string(root.join(folder).join(name)).unwrap();
    assert_eq!(read("own", "chat_template.jinja"), template);
    assert_eq!(read("own", "LICENSE"), "Do as you please.\n");
    let card = read("own", "README.md");
    // With what that license asks for.
    for part in [
        "license: \"llama3.2\"\n",
        "\n# Model: Llama ",
        "\n**Built with Llama.**\n",
        "a name that begins with \"Llama\"",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    assert!(!card.contains("a copy of the license beside"), "{card}");
    let notice = read("own", "NOTICE");
    assert!(notice.contains("Llama 3.2 Community License"), "{notice}");
    assert!(card.contains("a model of the publisher's own"), "{card}");
    let settings = json(&root.join("own/generation_config.json"));
    assert_eq!(
        (&settings["no_repeat_ngram_size"], &settings["max_length"]),
        (&3.into(), &Value::Null)
    );
    holds_alone(&root.join("own"));
    export(root, &["--adapter"], "adapter");
    let config = json(&root.join("adapter/adapter_config.json"));
    assert_eq!(config["base_model_name_or_path"], Value::Null);
    assert_eq!(read("adapter", "chat_template.jinja"), template);
    for (folder, name) in [
        ("own", "config.json"),
        ("own", "privacy.json"),
        ("adapter", "README.md"),
    ] {
        assert!(
            !read(folder, name).contains(&root.display().to_string()),
            "{folder}/{name}"
        );
    }
    // A public model that is another one now is another study, in which nothing has run.
    write(
        "config.json",
        &read("mine", "config.json").replace("\"use_cache\": true", "\"use_cache\": false"),
    );
    assert!(refused(root, &[]).contains("not finished"));
}

/// Noise that follows from the seed is no guarantee, with or without a number beside it.
#[test]
fn seeded_models_stay() {
    let study = EXPERIMENT.replace("[\"inf\", 3, 0]", "[3]");
    let study = study.replace(
        "[stage.base]",
        "[privacy]\nnoise = \"seeded\"\n\n[stage.base]",
    );
    let desk = desk(&study);
    let root = desk.path();
    succeeds(root, &["run", "small.toml"]);
    assert!(refused(root, &[]).contains("derived from the seed"));
    for more in [&["--internal"][..], &["--internal", "--adapter"]] {
        let told = refused(root, more);
        assert!(told.contains("derived from the seed"), "{told}");
        assert!(!told.contains("for use within"), "{told}");
    }
}

/// A model is chosen as its texts are: what was scored counts, unless the row was named before.
#[test]
fn choosing_a_model_costs_what_choosing_its_texts_costs() {
    let classify = "\n[stage.classify]\nkind = \"classify\"\nneeds = [\"preprocess\", \"sample\"]\nmodel = \"bag-of-words\"\n";
    let study = EXPERIMENT.replace("[\"inf\", 3, 0]", "[8, 3]") + classify;
    let desk = desk(&study);
    let root = desk.path();
    let all = ["run", "small.toml"];
    succeeds(root, &all);
    export(root, &["--row", "epsilon=3"], "chosen");
    let chosen = json(&root.join("chosen/privacy.json"));
    assert_eq!(chosen["selection"]["kind"], "undeclared");
    let candidates = serde_json::json!(["sample@epsilon=8", "train@epsilon=3"]);
    assert_eq!(chosen["selection"]["candidates"], candidates);
    let epsilon = |claim: &Value| claim["certified"]["epsilon"].as_f64().unwrap();
    assert!(epsilon(&chosen["total"]) > 8.0, "{chosen}");
    holds_alone(&root.join("chosen"));

    let named = study.replace(
        "[stage.base]",
        "[privacy]\nselection = [\"epsilon=3\"]\n\n[stage.base]",
    );
    let desk = self::desk(&named);
    let root = desk.path();
    succeeds(root, &all);
    export(root, &["--row", "epsilon=3"], "named");
    let named = json(&root.join("named/privacy.json"));
    assert_eq!(named["selection"]["kind"], "declared", "{named}");
    assert_eq!(named["claim"], named["total"]);
    holds_alone(&root.join("named"));
}

/// Loads folders with `transformers` and PEFT, and compares them with dpx: a model, or a model, its adapter and its base.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn loads(root: &Path, folders: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/export.py");
    let python = std::env::var("DPX_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = std::process::Command::new(&python)
        .arg(&script)
        .arg(assert_cmd::cargo::cargo_bin!("dpx"))
        .args(folders)
        .current_dir(root)
        .env("HF_HUB_OFFLINE", "1")
        .output();
    match output {
        Ok(output) if output.status.code() != Some(77) => {
            let told = text(&output.stdout) + &text(&output.stderr);
            assert!(output.status.success(), "{told}");
        }
        _ => eprintln!("SKIPPED: {python} CANNOT RUN {}", script.display()),
    }
}
