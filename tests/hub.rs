//! Models and data from the Hub through the real binary, with a local server in the Hub's place.

#[path = "../crates/dpx-data/src/hub/server.rs"]
mod server;

use self::server::{Fault, Server};
use crate::binary;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Output;

const EXPERIMENT: &str = r#"
[experiment]
name = "hub"

[stage.preprocess]
kind = "preprocess"
dataset = "hf:who/texts"
labels = ["joy", "sadness"]
scrub = "none"

[stage.classify]
kind = "classify"
needs = ["preprocess"]
model = "hf:who/bert"
epochs = 1
batch_size = 8
max_length = 16
"#;

/// A user's folder, and a Hub with a dataset and a small encoder.
struct Place {
    folder: tempfile::TempDir,
    server: Server,
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert-tiny-encoder");
    std::fs::read(folder.join(name)).unwrap()
}

fn texts(word: &str) -> String {
    let mut texts = "text,label\n".to_owned();
    for row in 0..20 {
        writeln!(texts, "{word} {row},joy\nbad {row},sadness").unwrap();
    }
    texts
}

/// A vocabulary of single letters and digits.
fn vocabulary() -> String {
    let mut tokens: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        .map(str::to_owned)
        .to_vec();
    for letter in ('a'..='z').chain('0'..='9') {
        tokens.push(letter.to_string());
        tokens.push(format!("##{letter}"));
    }
    tokens.join("\n") + "\n"
}

impl Place {
    fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            server: Server::start(),
        };
        place.add('1', "good");
        std::fs::write(place.path("hub.toml"), EXPERIMENT).unwrap();
        place
    }

    /// Adds a commit to both repositories: texts with a word of their own, and a model of the same weights.
    fn add(&self, commit: char, word: &str) {
        let texts = texts(word);
        let files: [(&str, &[u8]); 2] = [
            ("data/train.csv", texts.as_bytes()),
            ("README.md", b"a card"),
        ];
        self.server.add("datasets/who/texts", commit, &files);
        let vocabulary = vocabulary();
        let (config, weights) = (fixture("config.json"), fixture("model.safetensors"));
        let files: [(&str, &[u8]); 3] = [
            ("config.json", &config),
            ("model.safetensors", &weights),
            ("vocab.txt", vocabulary.as_bytes()),
        ];
        self.server.add("models/who/bert", commit, &files);
    }

    /// Puts one commit of the model in the place of all.
    fn set_model(&self, commit: char, files: &[(&str, &[u8])]) {
        let mut content = self.server.content.lock().unwrap();
        content.repositories.remove("models/who/bert");
        drop(content);
        self.server.add("models/who/bert", commit, files);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn dpx(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        binary::command(self.folder.path(), arguments)
            .env("HF_HOME", self.path("hf"))
            .env("HF_ENDPOINT", &self.server.address)
            .env_remove("HF_TOKEN")
            .env_remove("HF_HUB_CACHE")
            .env_remove("HF_HUB_OFFLINE")
            .envs(variables.iter().copied())
            .output()
            .unwrap()
    }

    /// What `dpx fetch` says on standard error when it fails.
    fn refusal(&self, variables: &[(&str, &str)]) -> String {
        let output = self.dpx(&["fetch", "hub.toml"], variables);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    }
}

fn ok(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn fetch_downloads_and_then_everything_works_offline() {
    let place = Place::new();
    let output = place.dpx(&["fetch", "hub.toml"], &[]);
    let said = ok(&output);
    // No terminal, no bar: a line for each file that arrived.
    let arrived = String::from_utf8(output.stderr).unwrap();
    assert_eq!(arrived.lines().count(), 5, "{arrived}");
    assert!(
        arrived.contains("hf:who/bert: model.safetensors, 91.37 KiB\n"),
        "{arrived}"
    );
    let commit = "1".repeat(40);
    for name in ["who/texts", "who/bert"] {
        assert!(said.contains(&format!("hf:{name}@{commit} in ")), "{said}");
    }
    // The card of the dataset alone: it tells configurations and names of labels.
    assert_eq!(place.server.count("README.md"), 1);
    // Nothing ran.
    assert!(!place.path("cache").exists() && !place.path("results").exists());
    let seen = ok(&place.dpx(&["inspect", "hf:who/texts", "--dataset"], &[]));
    assert!(seen.contains("40 texts in data/train.csv"), "{seen}");
    // A repository that was renamed is found under its old name.
    place.server.content.lock().unwrap().renamed = Some(("/bert-tiny".into(), "/who/bert".into()));
    let seen = ok(&place.dpx(&["inspect", "hf:bert-tiny"], &[]));
    assert!(seen.contains("bert, encoder"), "{seen}");
    let asked = place.server.count("");
    let offline = [("HF_HUB_OFFLINE", "1")];
    let plan = ok(&place.dpx(&["plan", "hub.toml"], &offline));
    assert!(plan.contains("0 cached, 2 to run"), "{plan}");
    ok(&place.dpx(&["run", "hub.toml"], &offline));
    assert!(place.path("results/hub/report.html").is_file());
    assert_eq!(place.server.count(""), asked);
    // The branch means another commit later: that is an edit like any other.
    place.add('2', "fine");
    place
        .server
        .content
        .lock()
        .unwrap()
        .repositories
        .values_mut()
        .for_each(|commits| commits.rotate_left(1));
    let plan = ok(&place.dpx(&["plan", "hub.toml"], &[]));
    assert!(plan.contains("0 cached, 2 to run"), "{plan}");
    let plan = ok(&place.dpx(&["plan", "hub.toml"], &offline));
    assert!(plan.contains("2 cached"), "{plan}");
}

#[test]
fn a_branch_that_moves_during_a_run_changes_nothing() {
    let place = Place::new();
    place.add('2', "fine");
    ok(&place.dpx(&["run", "hub.toml"], &[]));
    // The server moved `main` after it was asked for it, once per repository.
    assert_eq!(place.server.count("/revision/main"), 2);
    let (first, second) = ("1".repeat(40), "2".repeat(40));
    assert!(place.server.count(&format!("/resolve/{first}/")) > 0);
    assert_eq!(place.server.count(&format!("/resolve/{second}/")), 0);
    let stored = place.path("hf/hub/datasets--who--texts");
    assert_eq!(
        std::fs::read_to_string(stored.join("refs/main")).unwrap(),
        first
    );
    let predictions = ok(&place.dpx(&["plan", "hub.toml"], &[("HF_HUB_OFFLINE", "1")]));
    assert!(predictions.contains("2 cached"), "{predictions}");
}

#[test]
fn refusals_of_fetch_say_what_to_do() {
    let place = Place::new();
    let name = "the model `hf:who/bert@main`";
    let token = Some("sesame".to_owned());
    place.server.content.lock().unwrap().token = token;
    let error = place.refusal(&[]);
    assert!(error.contains(&format!("{name}: access denied")), "{error}");
    assert!(error.contains("set HF_TOKEN"), "{error}");
    ok(&place.dpx(&["fetch", "hub.toml"], &[("HF_TOKEN", "sesame")]));

    let place = Place::new();
    place.server.fault(Fault::Status(404));
    let error = place.refusal(&[]);
    assert!(
        error.contains(&format!("{name}: there is no such repository")),
        "{error}"
    );
    place.server.fault(Fault::Page);
    let error = place.refusal(&[]);
    assert!(error.contains("an answer that is not the Hub's"), "{error}");
    for (variable, why) in [
        (("HF_HUB_OFFLINE", "1"), "HF_HUB_OFFLINE is set"),
        (
            ("HF_ENDPOINT", "http://127.0.0.1:9"),
            "http://127.0.0.1:9 cannot be reached",
        ),
    ] {
        let error = place.refusal(&[variable]);
        assert!(
            error.contains(&format!("{name} is not on this machine and {why}")),
            "{error}"
        );
        let folder = place.path("hf/hub");
        assert!(
            error.contains(&format!("looked in `{}`", folder.display())),
            "{error}"
        );
        assert!(error.contains("run `dpx fetch FILE`"), "{error}");
    }
    // The file may be checked all the same.
    ok(&place.dpx(&["check", "hub.toml"], &[("HF_HUB_OFFLINE", "1")]));
}

/// What dpx cannot compute is refused by `config.json`, and nothing else of the model, nor the data, is downloaded.
#[test]
fn models_that_are_not_computed_are_refused_before_their_weights() {
    let place = Place::new();
    for (commit, config, told) in [
        ('2', r#"{"model_type": "mamba"}"#, "`model_type` is `mamba`"),
        (
            '3',
            r#"{"model_type": "llama", "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true}}"#,
            "quantized (bitsandbytes, 4 bits)",
        ),
        (
            '4',
            r#"{"model_type": "qwen3", "quantization_config": {"quant_method": "fp8"}}"#,
            "quantized (fp8)",
        ),
    ] {
        let (config, weights) = (config.as_bytes(), fixture("model.safetensors"));
        let files: [(&str, &[u8]); 2] = [("config.json", config), ("model.safetensors", &weights)];
        place.set_model(commit, &files);
        for command in ["plan", "run", "fetch"] {
            let output = place.dpx(&[command, "hub.toml"], &[]);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                !output.status.success() && error.contains(told),
                "{command}: {error}"
            );
            for file in ["model.safetensors", "train.csv"] {
                assert_eq!(place.server.count(file), 0, "{command} of {commit}: {file}");
            }
        }
    }
}

/// A model that cannot do what its stage needs is refused: one in a folder by `check`, `plan` and `run`, one on the Hub by `plan`, `fetch`
/// and `run`, of whose files only small ones are downloaded.
#[test]
fn models_that_cannot_do_what_their_stage_needs_are_refused() {
    let place = Place::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let vocabulary = vocabulary().into_bytes();
    let kind = |name: &str, path: &str| {
        format!(r#"{{"type": "sentence_transformers.models.{name}", "path": "{path}"}}"#)
    };
    let modules = [
        kind("Transformer", ""),
        kind("Pooling", "1_Pooling"),
        kind("LSTM", "2_LSTM"),
    ];
    let modules = format!("[{}]", modules.join(", ")).into_bytes();
    let cases = [
        (
            "bert-tiny-encoder",
            "none",
            "kind = \"train\"\nepsilon = 8\nmodel = \"MODEL\"",
            "`model` of `[stage.last]`",
            "`model_type` is `bert`, which writes no text",
        ),
        (
            "model2vec-int8",
            "none",
            "kind = \"classify\"\nmodel = \"MODEL\"",
            "`model` of `[stage.last]`",
            "a table of static embeddings",
        ),
        (
            "bert-tiny-encoder",
            "rules\", \"MODEL",
            "kind = \"classify\"\nmodel = \"bag-of-words\"",
            "`scrub[1]` of `[stage.preprocess]`",
            "names no token classifier",
        ),
        (
            "bert-tiny-encoder",
            "none",
            "kind = \"teacher\"\nepsilon = 8\nform = \"head\"\nencoder = \"MODEL\"",
            "`encoder` of `[stage.last]`",
            "a module is of `type` `sentence_transformers.models.LSTM`",
        ),
    ];
    for (number, (fixture, scrub, stage, key, told)) in cases.into_iter().enumerate() {
        let read = |name: &str| std::fs::read(fixtures.join(fixture).join(name));
        let (config, weights) = (
            read("config.json").unwrap(),
            read("model.safetensors").unwrap(),
        );
        let mut files: Vec<(&str, &[u8])> = vec![
            ("config.json", &config),
            ("model.safetensors", &weights),
            ("vocab.txt", &vocabulary),
        ];
        if key.starts_with("`encoder`") {
            files.push(("modules.json", &modules));
        }
        let name = format!("model{number}");
        place.server.add(&format!("models/who/{name}"), '1', &files);
        std::fs::create_dir(place.path(&name)).unwrap();
        for (file, content) in &files {
            std::fs::write(place.path(&name).join(file), content).unwrap();
        }
        let study = |model: &str| {
            let text = format!(
                "[experiment]\nname = \"hub\"\n\n[stage.preprocess]\nkind = \"preprocess\"\ndataset = \"hf:who/texts\"\nlabels = \
                 [\"joy\", \"sadness\"]\nscrub = [\"{scrub}\"]\n\n[stage.last]\nneeds = [\"preprocess\"]\n{stage}\n"
            );
            std::fs::write(place.path("hub.toml"), text.replace("MODEL", model)).unwrap();
        };
        let refused = |verb: &str| {
            let output = place.dpx(&[verb, "hub.toml"], &[]);
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(
                output.status.code(),
                Some(2),
                "{verb} of {fixture}: {error}"
            );
            for part in [key, told] {
                assert!(error.contains(part), "{verb} of {fixture}: {error}");
            }
        };
        study(&name);
        for verb in ["check", "plan", "run"] {
            refused(verb);
        }
        study(&format!("hf:who/{name}"));
        for verb in ["plan", "fetch", "run"] {
            refused(verb);
        }
    }
    for file in ["model.safetensors", "train.csv"] {
        assert_eq!(place.server.count(file), 0, "{file}");
    }
}

/// A GGUF file of the Hub is a model: by the name of the repository where it is the only one, otherwise by its own. Its beginning
/// tells what cannot be computed before the rest is downloaded.
#[test]
fn gguf_files_of_the_hub_are_models() {
    let place = Place::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf");
    let file = std::fs::read(folder.join("llama-tiny.gguf")).unwrap();
    let mut other = file.clone();
    let at = other.windows(5).position(|part| part == b"llama").unwrap();
    other[at..at + 5].copy_from_slice(b"mamba");
    place.server.add(
        "models/who/many",
        '1',
        &[
            ("README.md", b"---\nlicense: mit\n---\n"),
            ("a-Q8_0.gguf", &file),
            ("b-Q4_0.gguf", &other),
        ],
    );
    place
        .server
        .add("models/who/one", '1', &[("one.gguf", &file)]);
    let study = |model: &str| {
        let text = EXPERIMENT
            .replace("kind = \"classify\"", "kind = \"train\"\nepsilon = 8")
            .replace("hf:who/bert", model);
        std::fs::write(place.path("hub.toml"), text).unwrap();
    };
    let told = |verb: &str, model: &str| {
        study(model);
        let output = place.dpx(&[verb, "hub.toml"], &[]);
        assert!(!output.status.success(), "{verb}");
        String::from_utf8(output.stderr).unwrap()
    };
    for verb in ["plan", "run", "fetch"] {
        let error = told(verb, "hf:who/many");
        assert!(
            error.contains("2 GGUF files") && error.contains("`a-Q8_0.gguf`, `b-Q4_0.gguf`"),
            "{error}"
        );
        let error = told(verb, "hf:who/many/b-Q4_0.gguf");
        assert!(
            error.contains("`general.architecture` is `mamba`")
                && error.contains("hf:who/many/b-Q4_0.gguf"),
            "{error}"
        );
    }
    assert!(!place.path("hf/hub/models--who--many/snapshots").exists());
    assert_eq!(place.server.count("train.csv"), 0);
    for model in ["hf:who/one", "hf:who/many/a-Q8_0.gguf"] {
        study(model);
        ok(&place.dpx(&["plan", "hub.toml"], &[]));
        ok(&place.dpx(&["fetch", "hub.toml"], &[]));
        let offline = [("HF_HUB_OFFLINE", "1")];
        let seen = ok(&place.dpx(&["inspect", model], &offline));
        assert!(seen.contains("llama, causal language model"), "{seen}");
        assert_eq!(seen.contains("mit"), model != "hf:who/one", "{seen}");
        ok(&place.dpx(&["plan", "hub.toml"], &offline));
    }
    // Of a file that is refused, and of one that is not asked for, nothing is kept.
    let kept = place
        .path("hf/hub/models--who--many/snapshots")
        .join("1".repeat(40));
    assert!(kept.join("a-Q8_0.gguf").is_file() && !kept.join("b-Q4_0.gguf").exists());
}

#[test]
fn broken_downloads_are_told_and_mended() {
    let place = Place::new();
    for (fault, words) in [
        (
            Fault::Short,
            "bytes, the Hub announced 93560: it was removed",
        ),
        (Fault::Altered, "it was removed; try again"),
        (Fault::Interrupted(5), "it goes on from where it stopped"),
    ] {
        place.server.fault(fault);
        let error = place.refusal(&[]);
        assert!(
            error.contains("`model.safetensors` of `hf:who/bert@main`"),
            "{error}"
        );
        assert!(error.contains(words), "{error}");
        let arrived = "hf:who/bert: model.safetensors";
        assert!(!error.contains(arrived), "{error}");
    }
    // A run downloads by itself, goes on where the download stopped, and uses what was fetched.
    ok(&place.dpx(&["run", "hub.toml"], &[]));
    let half = fixture("model.safetensors").len() / 2;
    assert!(
        place
            .server
            .count(&format!("/model.safetensors?Signature=abc {half}-"))
            > 0
    );
    let asked = place.server.count("/resolve/");
    ok(&place.dpx(&["fetch", "hub.toml"], &[]));
    assert_eq!(place.server.count("/resolve/"), asked);
}

#[test]
fn the_token_stays_with_the_endpoint() {
    let place = Place::new();
    place.server.content.lock().unwrap().token = Some("sesame".to_owned());
    let second = place.server.with_second_host();
    ok(&place.dpx(&["fetch", "hub.toml"], &[("HF_TOKEN", "sesame")]));
    let seen = second.seen();
    assert!(!seen.is_empty());
    assert!(
        seen.iter().all(|seen| seen.authorization.is_none()),
        "{seen:?}"
    );
    let seen = place.server.seen();
    let bearer = Some("Bearer sesame".to_owned());
    assert!(
        seen.iter().all(|seen| seen.authorization == bearer),
        "{seen:?}"
    );
}

#[test]
fn without_network_everything_missing_is_told_once() {
    let place = Place::new();
    let mut stages = EXPERIMENT.to_owned();
    for number in 1..6 {
        let again = EXPERIMENT.split("[stage.classify]").nth(1).unwrap();
        write!(stages, "\n[stage.classify{number}]{again}").unwrap();
    }
    std::fs::write(place.path("hub.toml"), stages).unwrap();
    for (variable, why) in [
        (("HF_HUB_OFFLINE", "1"), "HF_HUB_OFFLINE is set"),
        (
            ("HF_ENDPOINT", "http://127.0.0.1:9"),
            "http://127.0.0.1:9 cannot be reached",
        ),
    ] {
        let output = place.dpx(&["plan", "hub.toml"], &[variable]);
        assert_eq!(output.status.code(), Some(2));
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(error.matches(why).count(), 1, "{error}");
        let both = "the dataset `hf:who/texts@main` and the model `hf:who/bert@main` are not on this machine";
        assert_eq!(error.matches(both).count(), 1, "{error}");
    }
}

#[test]
fn hf_hub_cache_and_configurations_are_heeded() {
    let place = Place::new();
    let card = "---\nconfigs:\n- config_name: en\n  data_files: data/train.csv\n---\n";
    let texts = texts("good");
    let files: [(&str, &[u8]); 2] = [
        ("README.md", card.as_bytes()),
        ("data/train.csv", texts.as_bytes()),
    ];
    place.server.add("datasets/who/cards", '1', &files);
    let cache = place.path("elsewhere");
    let variables = [("HF_HUB_CACHE", cache.to_str().unwrap())];
    let inspect = |name: &str| place.dpx(&["inspect", name, "--dataset"], &variables);
    let seen = ok(&inspect("hf:who/cards/en"));
    assert!(seen.contains("40 texts in data/train.csv"), "{seen}");
    assert!(cache.join("datasets--who--cards/refs/main").is_file());
    assert!(!place.path("hf").exists());
    let output = inspect("hf:who/cards/fr");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("there is no configuration `fr`: expected one of `en`"),
        "{error}"
    );
}

/// `config.json` tells that training cannot fit, before weights are downloaded and before anything runs.
#[test]
fn training_that_does_not_fit_is_refused_before_a_download() {
    let place = Place::new();
    let config = br#"{"model_type": "llama", "vocab_size": 256000, "hidden_size": 32768, "intermediate_size": 131072,
        "num_hidden_layers": 200, "num_attention_heads": 256, "num_key_value_heads": 256, "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": false}"#;
    let files: [(&str, &[u8]); 2] = [("config.json", config), ("model.safetensors", b"weights")];
    place.server.add("models/who/huge", '1', &files);
    std::fs::create_dir(place.path("huge")).unwrap();
    std::fs::write(place.path("huge/config.json"), config).unwrap();
    std::fs::write(place.path("texts.csv"), texts("good")).unwrap();
    let study = |model: &str| {
        let text = format!(
            "[experiment]\nname = \"huge\"\n\n[stage.preprocess]\nkind = \"preprocess\"\ndataset = \"texts.csv\"\nlabels = \
             [\"joy\", \"sadness\"]\nscrub = \"none\"\n\n[stage.tune]\nkind = \"train\"\nneeds = [\"preprocess\"]\nmodel = \
             \"{model}\"\nepsilon = 8\nparameters = \"lora\"\nbase_precision = \"int8\"\n"
        );
        std::fs::write(place.path("huge.toml"), text).unwrap();
    };
    let refused = |verb: &str, model: &str| {
        study(model);
        let output = place.dpx(&[verb, "huge.toml"], &[]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{verb}: {said}");
        for part in [
            "`tune` takes about ",
            " GB of weights",
            "no setting of this stage makes it fit",
        ] {
            assert!(said.contains(part), "{verb}: {said}");
        }
    };
    refused("check", "huge");
    for verb in ["plan", "run"] {
        refused(verb, "huge");
        refused(verb, "hf:who/huge");
    }
    assert!(place.server.count("config.json") > 0);
    assert_eq!(place.server.count("model.safetensors"), 0);
    // Nothing ran.
    assert!(!place.path("results/huge").exists());
    // Where other machines run the workers, nothing is known of their memory.
    study("hf:who/huge");
    let text = std::fs::read_to_string(place.path("huge.toml")).unwrap();
    let elsewhere = "\n[run.executor]\nkind = \"slurm\"\n";
    std::fs::write(place.path("huge.toml"), text + elsewhere).unwrap();
    let output = place.dpx(&["plan", "huge.toml"], &[]);
    assert!(ok(&output).contains("Memory, estimated:\n  `tune`: about "));
}
