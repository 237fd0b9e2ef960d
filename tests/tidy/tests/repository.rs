//! The rules of the source, applied to the repository.

use dpx_tidy::layers::Layers;
use dpx_tidy::workspace::{
    File, Manifest, essential, files, in_src, misplaced, reached, root, test_files,
};
use dpx_tidy::{code, doc_comments, documents, imports, rules, symbols};
use std::collections::BTreeSet;

/// The crates from bottom to top: each depends only on those before it.
const CRATES: [&str; 13] = [
    "dpx-accounting",
    "dpx-assets",
    "dpx-assets-encoder",
    "dpx-schema",
    "dpx-ledger",
    "dpx-data",
    "dpx-nn",
    "dpx-sgd",
    "dpx-engine",
    "dpx-remote",
    "dpx-stages",
    "dpx-report",
    "dpx",
];

/// Crates that never see one another, however many lie between.
const APART: [(&str, &[&str]); 3] = [
    // A library for others: no tensors, no files.
    (
        "dpx-accounting",
        &[
            "arrow-array",
            "burn",
            "csv",
            "cudarc",
            "gemm-f32",
            "hf-hub",
            "parquet",
            "rustix",
            "safetensors",
            "tempfile",
            "tokenizers",
            "ureq",
            "wgpu",
            "toml",
        ],
    ),
    // Knows instances, never tensors.
    (
        "dpx-engine",
        &[
            "dpx-nn",
            "dpx-sgd",
            "dpx-stages",
            "burn",
            "gemm-f32",
            "safetensors",
            "tokenizers",
        ],
    ),
    // Nothing of the engine knows of experiments, plans or caches.
    (
        "dpx-sgd",
        &["dpx-engine", "dpx-stages", "dpx-report", "dpx-data"],
    ),
];

/// Packages that a crate does not name itself.
const UNNAMED: [(&str, &[&str]); 2] = [
    ("dpx-accounting", &["rand", "rand_distr", "fastrand"]),
    ("dpx-sgd", &["rand", "rand_distr", "fastrand"]),
];

/// The modules of a crate from top to bottom, as [`Layers`] reads them. Not listed are `dpx-schema`, which is definitions, and
/// `dpx-accounting`, whose events and accountants refer to each other.
const MODULES: [(&str, &[&[&str]]); 7] = [
    (
        "dpx-report",
        &[
            &["write"],
            &["html", "picture", "assemble", "verify"],
            &["page", "latex", "terminal", "release", "settings"],
            &["chart", "compare", "export", "planned_budgets"],
            &["candidates", "floor", "guarantee"],
            &["bibtex", "claim", "next", "real_texts", "texts"],
            &["cached_floors", "joint", "journal", "row_figures", "rows"],
            &["plan_advice", "spend", "unit_sampling"],
            &["scored"],
            &["account", "said", "standing"],
            // A study holds facts, which are gathered from its sources, and its table judges it.
            &["facts format sources study table verdict"],
            &["advice", "error", "fault", "metric", "values"],
        ],
    ),
    (
        "dpx-engine",
        &[
            &["run"],
            &["plan"],
            &["experiment"],
            &["cache"],
            &["clock", "pipes"],
        ],
    ),
    (
        "dpx-stages",
        &[
            &["device_test", "dispatch", "export", "floor"],
            &["sample", "classify", "audit"],
            &["select"],
            &["train", "score"],
            &["pretrain"],
            &["teacher"],
            &["counts"],
            &["preprocess", "private", "losses", "text_encoder"],
            &["keyed_run"],
            &[
                "members",
                "people",
                "metric",
                "scrub",
                "memory",
                "model_outputs",
                "model_source",
                "arithmetic",
                "public_inputs",
            ],
            &["fault"],
            &["truncation"],
        ],
    ),
    (
        "dpx-sgd",
        &[
            &["device_check", "whole_texts"],
            // A step of training goes over micro-batches, on replicas.
            &["micro_batch replicas trainer"],
            &["dp_optimizer"],
            &["optimizer"],
            // Only here is a privatized gradient made, and the optimizer takes nothing else.
            &["privatize"],
            &["noise", "sampling", "units"],
            &["clip", "key", "sum"],
            &[
                "checkpoint",
                "denoise",
                "fault",
                "grid",
                "softmax",
                "vector",
            ],
        ],
    ),
    (
        "dpx-nn",
        &[
            // A GGUF file holds a tokenizer, and a tokenizer may lie in one; its families are those of models, whose weights it holds.
            &["gguf model text"],
            // An adapter is a part of a linear layer, and two of its own.
            &["embedding", "linear lora", "network", "norm"],
            &["tape"],
            &["batch", "init", "kv_cache", "parameters"],
            // Arrays lie on devices, which have kernels, which read and write arrays.
            &["array device kernel packed_layout rounded"],
            &[
                "arithmetic",
                "error",
                "pool",
                "seed",
                "softmax_regression",
                "symmetric",
            ],
        ],
    ),
    (
        "dpx-data",
        &[
            &["load", "own_data"],
            &["describe", "format"],
            &["public", "request", "source"],
            &["builtin", "facts", "hub", "split", "stored"],
            // What a reader finds, and the rows that it makes.
            &["findings identity layout messages people read row"],
            &["owner"],
            &["labels", "license", "overlap"],
            &["card", "error", "fault", "name", "unique"],
        ],
    ),
    (
        "dpx-ledger",
        &[
            &["ledger release"],
            &["people", "selection"],
            // The seal of an entry is made with the secret, which is entered in the chain.
            &["chain secret"],
            &["history"],
            &["joint"],
            &["files"],
            &["entry", "error"],
        ],
    ),
];

/// Lines that a file may have, without tests.
const MOST_LINES: usize = 500;
/// What half of the files stay below.
const MEDIAN_LINES: usize = 150;
/// Rules in `docs/privacy-rules.md`: each has a row.
const RULES: [usize; 1] = [62];

fn sources() -> Vec<File> {
    let sources = files(&root(), &[".rs"]);
    assert!(
        sources.len() > 300,
        "only {} sources were found",
        sources.len()
    );
    sources
}

/// Sources that are compiled without tests, and no others.
fn production() -> Vec<File> {
    let sources = sources();
    let tests = test_files(&sources);
    sources
        .into_iter()
        .filter(|file| !tests.contains(&file.path))
        .collect()
}

fn manifests() -> Vec<Manifest> {
    files(&root(), &["Cargo.toml"])
        .iter()
        .filter(|file| !file.path.starts_with("tests/"))
        .map(|file| {
            Manifest::parse(&file.text).unwrap_or_else(|error| panic!("{}: {error}", file.path))
        })
        .collect()
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|file| {
            let opens = ["//! ", "#![doc = include_str!("];
            !opens.iter().any(|header| file.text.starts_with(header))
        })
        .map(|file| format!("{} does not open with `//!`", file.path))
        .collect();
    none(&silent);
}

#[test]
fn doc_comments_say_more_than_the_name() {
    // `src` is the command line, whose doc comments are the help of each option.
    let mut echoes = Vec::new();
    for file in production() {
        if !file.path.starts_with("src/") {
            let found = doc_comments::echoes(&file.text);
            let path = &file.path;
            echoes.extend(found.iter().map(|(line, what)| {
                format!("{path}:{line}: {what}: say what the name does not, or nothing")
            }));
        }
    }
    none(&echoes);
}

#[test]
fn files_are_short() {
    let mut lengths: Vec<(usize, String)> = production()
        .into_iter()
        .map(|file| (code::production_lines(&file.text), file.path))
        .collect();
    lengths.sort();
    let long: Vec<String> = lengths
        .iter()
        .filter(|(lines, _)| *lines > MOST_LINES)
        .map(|(lines, path)| format!("{path} has {lines} lines without its tests: split it"))
        .collect();
    none(&long);
    let median = lengths[lengths.len() / 2].0;
    assert!(
        median < MEDIAN_LINES,
        "half of the files have {median} lines or more"
    );
}

#[test]
fn crates_depend_only_on_crates_below() {
    none(&misplaced(&manifests(), &CRATES));
}

#[test]
fn crates_that_lie_apart_do_not_meet() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let manifests = manifests();
    let ours = |name: &str| manifests.iter().find(|manifest| manifest.name == name);
    let mut wrong = Vec::new();
    for (name, never) in APART {
        // The lock file lists what tests need, too: of our own crates the manifests say what the library needs.
        let mut all: BTreeSet<String> = BTreeSet::new();
        let mut waiting = vec![name.to_owned()];
        while let Some(next) = waiting.pop() {
            if !all.insert(next.clone()) {
                continue;
            }
            match ours(&next) {
                Some(manifest) => waiting.extend(manifest.dependencies.iter().cloned()),
                None => all.extend(reached(&lock, &BTreeSet::from([next])).unwrap()),
            }
        }
        assert!(
            all.len() > 5,
            "`{name}` reaches {all:?} alone: was the lock file read?"
        );
        wrong.extend(
            never
                .iter()
                .filter(|&&other| all.contains(other))
                .map(|other| format!("`{name}` reaches `{other}`")),
        );
    }
    for (name, never) in UNNAMED {
        let manifest = ours(name).unwrap();
        wrong.extend(
            never
                .iter()
                .filter(|&&other| manifest.dependencies.contains(other))
                .map(|other| format!("`{name}` depends on `{other}`")),
        );
    }
    none(&wrong);
}

#[test]
fn modules_use_only_modules_below() {
    let production = production();
    let mut wrong = Vec::new();
    for (name, layers) in MODULES {
        let src = format!("crates/{name}/src/");
        let layers = Layers(layers);
        let root = production
            .iter()
            .find(|file| file.path == format!("{src}lib.rs"))
            .unwrap();
        let passed_on = imports::passed_on(&code::without_tests(&root.text));
        let mut seen = BTreeSet::new();
        for file in &production {
            let Some(below) = file.path.strip_prefix(&src) else {
                continue;
            };
            let module = imports::module_of(below);
            let Some(first) = module.first() else {
                continue;
            };
            if !layers.modules().any(|listed| listed == first) {
                wrong.push(format!(
                    "{}: module `{first}` is not in the list of modules",
                    file.path
                ));
                continue;
            }
            seen.insert(first.clone());
            for import in imports::imports(&code::without_tests(&file.text), &module, &passed_on) {
                if !layers.allow(first, &import.module) {
                    let (path, line, used) = (&file.path, import.line, &import.module);
                    wrong.push(format!(
                        "{path}:{line}: `{first}` uses `{used}`, which is not below it"
                    ));
                }
            }
        }
        wrong.extend(
            layers
                .modules()
                .filter(|&module| !seen.contains(module))
                .map(|module| format!("{src} has no module `{module}`")),
        );
    }
    none(&wrong);
}

/// Words in the code of some crates, without tests.
fn words(crates: &[&str], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in production() {
        if !crates
            .iter()
            .any(|name| file.path.starts_with(&format!("crates/{name}/src/")))
        {
            continue;
        }
        let code = code::without_tests(&code::blank(&file.text));
        for (number, line) in code.lines().enumerate() {
            for word in words.iter().filter(|&&word| line.contains(word)) {
                found.push(format!("{}:{}: `{word}`", file.path, number + 1));
            }
        }
    }
    found
}

#[test]
fn privacy_code_uses_no_simulation_generator() {
    let generators = [
        "distr::Distribution",
        "Distribution::Uniform",
        "Distribution::Normal",
        "StdRng",
        "thread_rng",
        "SmallRng",
        "Tensor::random",
        "fastrand",
        "RandomState",
        "dpx_nn::seed",
    ];
    none(&words(&["dpx-sgd", "dpx-accounting"], &generators));
    // The check sees: what it looks for is found where it is allowed.
    assert!(!words(&["dpx-stages"], &["dpx_nn::seed"]).is_empty());
}

#[test]
fn accounting_reads_and_writes_nothing() {
    none(&words(
        &["dpx-accounting"],
        &[
            "std::fs",
            "std::path",
            "std::env",
            "std::net",
            "std::process",
            "println!",
        ],
    ));
}

#[test]
fn every_test_file_is_part_of_a_binary() {
    let sources = sources();
    let main = sources
        .iter()
        .find(|file| file.path == "tests/main.rs")
        .unwrap();
    let modules = code::blank(&main.text);
    let apart: Vec<String> = sources
        .iter()
        .filter_map(|file| file.path.strip_prefix("tests/")?.strip_suffix(".rs"))
        .filter(|name| {
            !name.contains('/') && *name != "main" && !modules.contains(&format!("mod {name};"))
        })
        .map(|name| format!("tests/{name}.rs is not part of tests/main.rs"))
        .collect();
    none(&apart);
}

#[test]
fn every_privacy_rule_names_symbols_and_tests_that_exist() {
    let root = root();
    let document = std::fs::read_to_string(root.join("docs/privacy-rules.md")).unwrap();
    let rules = rules::rules(&document).unwrap();
    none(&rules::unresolved(&rules, &RULES, &|path| {
        std::fs::read_to_string(root.join(path)).ok()
    }));
}

#[test]
fn every_symbol_named_in_a_document_is_defined() {
    let root = root();
    let mut wrong = Vec::new();
    for document in files(&root, &[".md"]) {
        for quoted in document.text.split('`').skip(1).step_by(2) {
            let Some((path, symbol)) = quoted.split_once("::").filter(|(path, _)| is_rust(path))
            else {
                continue;
            };
            let text = std::fs::read_to_string(root.join(path)).unwrap_or_default();
            if !symbols::defines(&text, symbol) {
                wrong.push(format!("{}: `{quoted}`", document.path));
            }
        }
    }
    none(&wrong);
}

#[test]
fn every_path_that_is_named_exists() {
    let root = root();
    let mut wrong = Vec::new();
    // What happened is told with the names of its day.
    let history = ["CHANGELOG.md", "docs/diary.md"];
    for file in files(&root, &[".md", ".rs", ".py", ".sh", ".toml", ".yml", "run"]) {
        if history.contains(&file.path.as_str()) || file.path.starts_with("tests/tidy/") {
            continue;
        }
        let (text, from) = if is_rust(&file.path) {
            (documents::comments(&file.text), "")
        } else if file.path.ends_with("Cargo.toml") {
            continue;
        } else {
            (
                file.text.clone(),
                file.path.rsplit_once('/').map_or("", |(folder, _)| folder),
            )
        };
        for (line, path) in documents::paths(&text) {
            if !root.join(&path).exists() && !root.join(from).join(&path).exists() {
                wrong.push(format!("{}:{line}: there is no `{path}`", file.path));
            }
        }
    }
    none(&wrong);
}

#[test]
fn every_link_leads_somewhere() {
    let root = root();
    let mut wrong = Vec::new();
    for document in files(&root, &[".md"]) {
        let folder = root.join(&document.path);
        let folder = folder.parent().unwrap();
        for (line, file, heading) in documents::links(&document.text) {
            let target = if file.is_empty() {
                root.join(&document.path)
            } else {
                folder.join(&file)
            };
            let reached = target.exists()
                && heading.as_ref().is_none_or(|heading| {
                    documents::anchors(&std::fs::read_to_string(&target).unwrap_or_default())
                        .contains(heading)
                });
            if !reached {
                wrong.push(format!(
                    "{}:{line}: {file}#{}",
                    document.path,
                    heading.unwrap_or_default()
                ));
            }
        }
    }
    none(&wrong);
}

#[test]
fn the_map_names_every_crate() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let missing: Vec<String> = CRATES
        .iter()
        .filter(|name| !map.contains(&format!("| `{name}`")))
        .map(|name| format!("ARCHITECTURE.md has no line for `{name}`"))
        .collect();
    none(&missing);
}

#[test]
fn the_picture_of_the_crates_is_true() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let drawn: BTreeSet<(String, String)> = map
        .lines()
        .filter_map(|line| line.trim().split_once(" --> "))
        .map(|(from, to)| (from.to_owned(), to.to_owned()))
        .collect();
    assert_eq!(
        drawn,
        essential(&manifests()),
        "ARCHITECTURE.md draws the left"
    );
}

#[test]
fn every_source_is_in_a_place_that_is_known() {
    let strange: Vec<String> = sources()
        .into_iter()
        .map(|file| file.path)
        .filter(|path| {
            let known = ["benches", "examples", "tests"];
            let in_crate = path.starts_with("crates/")
                && path
                    .split('/')
                    .nth(2)
                    .is_some_and(|folder| known.contains(&folder));
            !in_src(path) && !in_crate && !path.starts_with("tests/")
        })
        .collect();
    none(&strange);
}

#[test]
fn modules_follow_one_convention() {
    let strange: Vec<String> = sources()
        .into_iter()
        .filter(|file| in_src(&file.path))
        .filter(|file| {
            file.path.ends_with("/mod.rs")
                || code::test_items(&file.text)
                    .iter()
                    .any(|item| item.path.is_some())
        })
        .map(|file| {
            format!(
                "{}: a module is `foo.rs` with `foo/`; its tests are at its end or in `foo/tests.rs`, never behind `#[path]`",
                file.path
            )
        })
        .collect();
    none(&strange);
}

fn is_rust(path: &str) -> bool {
    std::path::Path::new(path)
        .extension()
        .is_some_and(|end| end == "rs")
}
