//! The commands that README and docs print: each is run as a user would, or checked as far as it can be without what it needs.

use crate::binary::text;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Why what `docs/devices.md` says of NVIDIA's packages is not run.
const TOOLKIT: &str =
    "needs NVIDIA's packages, 340 MB: tools/check-cuda-kernels.sh lays them out the same way";

/// Commands that are not run, with the reason. Of a study the file and its overrides are checked instead, and that the command
/// line is understood.
const NOT_RUN: [(&str, &str); 22] = [
    ("dpx run experiments/emotion.toml", "ten minutes"),
    (
        "dpx run experiments/emotion-teacher.toml",
        "half an hour a replicate",
    ),
    (
        "dpx run experiments/floor.toml",
        "half a minute in a debug build",
    ),
    (
        "dpx run experiments/minilm.toml",
        "downloads, and half an hour",
    ),
    (
        "dpx run experiments/smollm2.toml",
        "downloads, and ten minutes",
    ),
    (
        "dpx run experiments/select.toml",
        "a pool of tens of thousands of texts",
    ),
    (
        "dpx run experiments/select-teacher.toml",
        "the pool of select.toml, which it shares",
    ),
    ("dpx run FILE", "a placeholder"),
    ("dpx export FILE", "a placeholder"),
    ("dpx rehearse my-data.toml", "minutes"),
    ("dpx run my-data.toml", "minutes"),
    ("dpx release my-data.toml", "needs the run before it"),
    (
        "cargo",
        "cargo runs this test: packages, targets, features and filters are looked up",
    ),
    (
        "python3",
        "needs packages: the script and its options are looked up",
    ),
    ("pip", "builds a release"),
    ("uvx", "builds a release"),
    ("site=$(python3", TOOLKIT),
    ("ln", TOOLKIT),
    ("export CUDA_PATH=$PWD/cuda", TOOLKIT),
    (
        "tensorboard",
        "serves until it is stopped; tests/readers.rs reads the same files",
    ),
    (
        "mlflow",
        "serves until it is stopped; tests/readers.rs reads the same files",
    ),
    (".ci/run", "runs this test"),
];

/// What stands for something of the reader's own, and what the test puts there.
const PLACEHOLDERS: [(&str, &str); 8] = [
    ("FOLDER", "texts.csv"),
    ("PATH", "texts.csv"),
    ("DATASET", "texts.csv"),
    ("MODEL", "builtin:base"),
    ("NAME", "builtin:base"),
    ("FILE", "my.toml"),
    ("DIR", "out"),
    ("RUN", ""),
];

/// A command of a document.
#[derive(Debug, Clone)]
struct Printed {
    document: String,
    line: usize,
    /// As printed, its comment left out.
    text: String,
    /// Whether it stands in a block, so that what comes before it was run too.
    in_block: bool,
}

impl Printed {
    fn place(&self) -> String {
        format!("{}:{}: {}", self.document, self.line, self.text)
    }

    /// Its words, without variables set before it and without redirection.
    fn words(&self) -> Vec<String> {
        let words = split(&self.text);
        let set = |word: &&String| {
            word.split_once('=')
                .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        };
        words
            .iter()
            .skip_while(set)
            .take_while(|word| !matches!(word.as_str(), ">" | "|" | "&&"))
            .cloned()
            .collect()
    }

    /// The entry of the list of commands that are not run, and its reason.
    fn not_run(&self) -> Option<(&'static str, &'static str)> {
        let plain = self.words().join(" ");
        NOT_RUN
            .iter()
            .find(|(prefix, _)| plain == *prefix || plain.starts_with(&format!("{prefix} ")))
            .copied()
    }
}

/// Splits a command as a shell does: quotes hold words together.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (c, _) => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// What comes before a comment.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match (c, quote) {
            ('#', None) if before.is_whitespace() => return line[..at].trim_end(),
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
        before = c;
    }
    line.trim_end()
}

/// The commands of a document, in order: lines of `sh` blocks, and `dpx ...` within sentences.
fn commands(document: &str, markdown: &str) -> Vec<Printed> {
    let mut found = Vec::new();
    let mut block: Option<String> = None;
    let mut started: Option<(usize, String)> = None;
    for (number, line) in markdown.lines().enumerate() {
        let line_number = number + 1;
        if let Some(language) = line.strip_prefix("```") {
            block = if block.is_some() {
                None
            } else {
                assert!(
                    !language.is_empty(),
                    "{document}:{line_number}: the block names no language"
                );
                Some(language.to_owned())
            };
            continue;
        }
        let mut add = |line: usize, text: String, in_block: bool| {
            found.push(Printed {
                document: document.to_owned(),
                line,
                text,
                in_block,
            });
        };
        match block.as_deref() {
            Some("sh") => {
                let code = without_comment(line);
                let (first, text) = started.take().unwrap_or((line_number, String::new()));
                let text = format!("{text} {}", code.trim_end_matches('\\').trim());
                if code.ends_with('\\') {
                    started = Some((first, text));
                } else if !text.trim().is_empty() {
                    add(first, text.trim().to_owned(), true);
                }
            }
            Some(_) => {}
            None => {
                let first = line
                    .strip_prefix("    ")
                    .and_then(|code| code.split_whitespace().next());
                assert!(
                    !first.is_some_and(
                        |word| ["dpx", "cargo", "python3", "pip", "uvx"].contains(&word)
                    ),
                    "{document}:{line_number}: a command belongs into a block that begins with ```sh"
                );
                for code in line.split('`').skip(1).step_by(2) {
                    if ["dpx ", "cargo ", "DPX_"]
                        .iter()
                        .any(|start| code.starts_with(start))
                        && code.contains(' ')
                    {
                        add(line_number, code.to_owned(), false);
                    }
                }
            }
        }
    }
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"]
        .map(|name| root().join(name))
        .to_vec();
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    paths.extend(
        docs.map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|name| name == "md")),
    );
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            (name, std::fs::read_to_string(path).unwrap())
        })
        // What was tried is told with the commands of its day.
        .filter(|(name, _)| name != "docs/diary.md")
        .collect()
}

/// A folder as a reader would have it: the experiments, texts of their own, `dpx` in the path.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("bin")).unwrap();
        std::os::unix::fs::symlink(assert_cmd::cargo::cargo_bin!("dpx"), at("bin/dpx")).unwrap();
        // `dpx report --open` asks for a browser by this name.
        std::fs::write(
            at("bin/xdg-open"),
            "#!/bin/sh\ntest -s \"$1\" && touch \"$HOME/opened\"\n",
        )
        .unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(at("bin/xdg-open"), executable).unwrap();
        std::os::unix::fs::symlink(root().join("experiments"), at("experiments")).unwrap();
        let labels = ["anger", "fear", "joy", "love", "sadness", "surprise"];
        let rows = (0..60).map(|n| format!("text number {n},{}", labels[n % 6]));
        let rows = rows.collect::<Vec<_>>().join("\n");
        std::fs::write(at("texts.csv"), format!("text,label\n{rows}")).unwrap();
        let turn = |role, said| serde_json::json!({ "role": role, "content": said });
        let chats = (0..60).map(|n| {
            let turns = [turn("user", "hello"), turn("assistant", "good day")];
            serde_json::json!({ "messages": turns, "intent": labels[n % 6] }).to_string()
        });
        let chats = chats.collect::<Vec<_>>().join("\n");
        std::fs::write(at("chats.jsonl"), chats).unwrap();
        let tickets = (0..60).map(|n| format!("ticket {n},{},c{}", labels[n % 6], n / 3));
        let tickets = tickets.collect::<Vec<_>>().join("\n");
        let tickets = format!("message,category,customer_id\n{tickets}");
        std::fs::write(at("tickets.csv"), tickets).unwrap();
        for name in ["a.toml", "b.toml"] {
            std::fs::write(at(name), small_study()).unwrap();
        }
        Self { folder }
    }

    /// Runs a line in a shell.
    fn run(&self, line: &str) -> Output {
        // A folder that several readers share is this reader's alone here.
        let line = line.replace(
            "/tmp/dpx-shared",
            &format!("{}/shared-cache", self.folder.path().display()),
        );
        let path = std::env::var("PATH").unwrap_or_default();
        Command::new("sh")
            .args(["-c", &line])
            .current_dir(self.folder.path())
            .env(
                "PATH",
                format!("{}:{path}", self.folder.path().join("bin").display()),
            )
            .env("HOME", self.folder.path())
            .env("DPX_STATE_DIR", self.folder.path().join("state"))
            .env("HF_HUB_OFFLINE", "1")
            .env("NO_COLOR", "1")
            .env_remove("DPX_CACHE")
            .output()
            .unwrap()
    }

    fn succeeds(&self, line: &str, place: &str) {
        let output = self.run(line);
        let told = String::from_utf8_lossy(&output.stderr);
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{place}\nrun as: {line}\n{told}{shown}"
        );
    }
}

/// `experiments/quick.toml` with the row that README releases.
fn small_study() -> String {
    let quick = std::fs::read_to_string(root().join("experiments/quick.toml")).unwrap();
    let study = quick.replace("epsilon = [\"inf\", 8]", "epsilon = [\"inf\", 3]");
    assert_ne!(
        study, quick,
        "the rows of experiments/quick.toml have changed"
    );
    study
}

/// The words with placeholders replaced, also behind `=`.
fn filled(words: &[String]) -> Vec<String> {
    let fill = |word: &str| {
        PLACEHOLDERS
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, there)| (*there).to_owned())
    };
    words
        .iter()
        .map(|word| match word.rsplit_once('=') {
            Some((key, value)) => {
                fill(value).map_or_else(|| word.clone(), |there| format!("{key}={there}"))
            }
            None => fill(word).unwrap_or_else(|| word.clone()),
        })
        .collect()
}

/// A line with placeholders that stand alone replaced.
fn with_own(line: &str) -> String {
    let own = |word| {
        PLACEHOLDERS
            .iter()
            .find(|(name, _)| *name == word)
            .map_or(word, |(_, there)| *there)
    };
    line.split(' ').map(own).collect::<Vec<_>>().join(" ")
}

fn quoted(words: &[String]) -> String {
    words
        .iter()
        .map(|word| format!("'{word}'"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Verbs whose first argument is an experiment file or a folder.
const WITH_FILE: [&str; 11] = [
    "run", "plan", "check", "graph", "fetch", "report", "release", "export", "compare", "verify",
    "rehearse",
];

/// Shows that the command line is understood, without running it: of a file that is not there nothing more can be said.
fn understood(words: &[String], desk: &Desk, place: &str) {
    let verb = words[1].as_str();
    if words.len() == 2 {
        return desk.succeeds(&format!("dpx {verb} --help"), place);
    }
    let at = words
        .iter()
        .position(|word| word == "--plan")
        .map(|plan| plan + 1)
        .or_else(|| WITH_FILE.contains(&verb).then_some(2))
        .unwrap_or_else(|| {
            panic!("{place}: no experiment file, so it can be run: move it into a block")
        });
    let mut words = words.to_vec();
    "missing.toml".clone_into(&mut words[at]);
    let output = desk.run(&quoted(&words));
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{place}: {told}");
    assert!(
        told.contains("missing.toml") && !told.contains("Usage:"),
        "{place}: {told}"
    );
}

/// Checks one command of a document; says how.
fn check(printed: &Printed, desk: &Desk) -> String {
    let place = printed.place();
    let words = printed.words();
    let reason = printed.not_run().map(|(_, reason)| reason);
    match words[0].as_str() {
        "cargo" => cargo(&words, desk, &place),
        "python3" => python(&words, &place),
        "dpx" => {
            let words = filled(&words);
            match (reason, printed.in_block) {
                (None, true) => {
                    if words[1..].starts_with(&["run".to_owned(), "my.toml".to_owned()]) {
                        // What `dpx init` wrote takes minutes.
                        std::fs::write(desk.folder.path().join("my.toml"), small_study()).unwrap();
                    }
                    let line = with_own(&printed.text);
                    desk.succeeds(&line, &place);
                    return "run".to_owned();
                }
                (None, false)
                    if !WITH_FILE.contains(&words[1].as_str())
                        && words.len() > 2
                        && !words.contains(&"--plan".to_owned()) =>
                {
                    desk.succeeds(&with_own(&printed.text), &place);
                    return "run".to_owned();
                }
                (Some(_), _) if words[2].starts_with("experiments/") => {
                    let set: Vec<String> = words[2..]
                        .iter()
                        .enumerate()
                        .filter(|(at, word)| {
                            *at == 0 || *word == "--set" || words[at + 1] == "--set"
                        })
                        .map(|(_, word)| word.clone())
                        .collect();
                    desk.succeeds(&format!("dpx check {}", quoted(&set)), &place);
                }
                _ => {}
            }
            understood(&words, desk, &place);
        }
        "mkdir" => {
            desk.succeeds(&printed.text, &place);
            return "run".to_owned();
        }
        _ => assert!(reason.is_some(), "{place}: nothing checks this command"),
    }
    format!(
        "checked: {}",
        reason.unwrap_or("an example within a sentence")
    )
}

/// Looks up what a cargo command names.
fn cargo(words: &[String], desk: &Desk, place: &str) {
    let end = words
        .iter()
        .position(|word| word == "--")
        .unwrap_or(words.len());
    let after = |flag: &str| {
        words[..end].iter().position(|word| word == flag).map(|at| {
            let value = words[..end].get(at + 1);
            value
                .unwrap_or_else(|| panic!("{place}: nothing follows `{flag}`"))
                .clone()
        })
    };
    let package = after("-p").unwrap_or_else(|| "dpx".to_owned());
    let folder = match package.as_str() {
        "dpx" => root().to_owned(),
        "dpx-tidy" => root().join("tests/tidy"),
        name => root().join("crates").join(name),
    };
    let manifest: toml::Table = std::fs::read_to_string(folder.join("Cargo.toml"))
        .unwrap_or_else(|_| panic!("{place}: there is no package `{package}`"))
        .parse()
        .unwrap();
    for (flag, table, place_of) in [
        ("--bench", "bench", "benches"),
        ("--test", "test", "tests"),
        ("--example", "example", "examples"),
    ] {
        let Some(name) = after(flag) else { continue };
        let declared = manifest
            .get(table)
            .and_then(toml::Value::as_array)
            .is_some_and(|all| {
                all.iter()
                    .any(|target| target["name"].as_str() == Some(&name))
            });
        assert!(
            declared || folder.join(place_of).join(format!("{name}.rs")).exists(),
            "{place}: `{package}` has no {table} `{name}`"
        );
    }
    for feature in after("--features").iter().flat_map(|list| list.split(',')) {
        let (owner, feature) = feature.split_once('/').unwrap_or((&package, feature));
        let owner = if owner == "dpx" {
            root().to_owned()
        } else {
            root().join("crates").join(owner)
        };
        let manifest: toml::Table = std::fs::read_to_string(owner.join("Cargo.toml"))
            .unwrap()
            .parse()
            .unwrap();
        assert!(
            manifest["features"].get(feature).is_some(),
            "{place}: no feature `{feature}`"
        );
    }
    match words[1].as_str() {
        "run" if after("--example").is_none() => {
            let words: Vec<String> = std::iter::once("dpx".to_owned())
                .chain(words[end..].iter().skip(1).cloned())
                .collect();
            understood(&filled(&words), desk, place);
        }
        "test" => {
            let filters = words[end..].iter().skip(1);
            for filter in filters.filter(|word| !word.starts_with("--")) {
                let (above, last) = filter.rsplit_once("::").unwrap_or(("", filter));
                let source = if package == "dpx" { "tests" } else { "src" };
                let inside = folder.join(source).join(above.replace("::", "/"));
                let there = std::fs::read_dir(&inside)
                    .into_iter()
                    .flatten()
                    .any(|entry| {
                        entry
                            .unwrap()
                            .file_name()
                            .to_string_lossy()
                            .starts_with(last)
                    });
                assert!(
                    there || last.is_empty(),
                    "{place}: no module `{filter}` in `{package}`"
                );
            }
        }
        "build" | "check" | "bench" | "install" | "run" | "insta" => {}
        other => panic!("{place}: nothing checks `cargo {other}`"),
    }
}

/// Looks up a script and its options.
fn python(words: &[String], place: &str) {
    let script = std::fs::read_to_string(root().join(&words[1]))
        .unwrap_or_else(|_| panic!("{place}: there is no `{}`", words[1]));
    for option in words[2..].iter().filter(|word| word.starts_with("--")) {
        assert!(
            script.contains(&format!("\"{option}\"")),
            "{place}: the script has no `{option}`"
        );
    }
}

#[test]
fn every_command_works_as_it_is_printed() {
    let mut used = BTreeSet::new();
    let mut how = Vec::new();
    let mut wrong = Vec::new();
    for (name, markdown) in documents() {
        let desk = Desk::new();
        for printed in commands(&name, &markdown) {
            if let Some((prefix, _)) = printed.not_run() {
                used.insert(prefix);
            }
            let checked = AssertUnwindSafe(|| check(&printed, &desk));
            match std::panic::catch_unwind(checked) {
                Ok(done) => how.push(format!("{}: {done}", printed.place())),
                Err(_) => wrong.push(printed.place()),
            }
        }
        if name == "README.md" {
            assert!(
                desk.folder.path().join("opened").exists(),
                "`dpx report --open` opened no page"
            );
            assert!(
                desk.folder.path().join("shared/README.md").exists(),
                "`dpx release` left no card"
            );
        }
    }
    println!("{}", how.join("\n"));
    assert!(wrong.is_empty(), "wrong: {}", wrong.join(", "));
    let run = how.iter().filter(|line| line.ends_with(": run")).count();
    assert!(run >= 15, "only {run} commands were run");
    let stale: Vec<_> = NOT_RUN
        .iter()
        .filter(|(prefix, _)| !used.contains(prefix))
        .collect();
    assert!(
        stale.is_empty(),
        "no document prints these any more: {stale:?}"
    );
}

#[test]
fn commands_are_found_where_documents_print_them() {
    let markdown = "Text with `dpx plan my.toml` in it.\n```sh\ndpx run a.toml \\\n    --set 'x=[\"inf\"]'   # why\n\n# a comment\nFOO=1 cargo test\n```\n```toml\nscrub = 1\n```\n";
    let found: Vec<String> = commands("x.md", markdown)
        .into_iter()
        .map(|printed| printed.text)
        .collect();
    assert_eq!(
        found,
        [
            "dpx plan my.toml",
            "dpx run a.toml --set 'x=[\"inf\"]'",
            "FOO=1 cargo test"
        ]
    );
    assert_eq!(split("a --set 'x=[1, 2]'"), ["a", "--set", "x=[1, 2]"]);
    for wrong in ["```\ndpx run\n```\n", "    dpx run a.toml\n"] {
        assert!(
            std::panic::catch_unwind(|| commands("x.md", wrong)).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn a_command_that_is_wrong_is_noticed() {
    let desk = Desk::new();
    let printed = |text: &str, in_block| Printed {
        document: "x.md".to_owned(),
        line: 1,
        text: text.to_owned(),
        in_block,
    };
    let wrong = [
        "dpx run experiments/emotion.toml --colour",
        "dpx run experiments/emotion.toml --set stage.train.epoch=1",
        "dpx plan my.toml --nothing",
        "dpx chekc my.toml",
        "dpx schema --yaml",
        "cargo bench -p dpx-accounting --bench nothing",
        "cargo test -p dpx-nothing",
        "cargo test -p dpx-nn --lib -- kernel::nothing",
        "cargo build --features nothing",
        "python3 tests/python/nothing.py",
        "rm -rf /nothing",
    ];
    for text in wrong {
        for in_block in [true, false] {
            let result = std::panic::catch_unwind(AssertUnwindSafe(|| {
                check(&printed(text, in_block), &desk)
            }));
            assert!(result.is_err(), "{text}");
        }
    }
}

#[test]
fn the_reference_of_the_experiment_file_is_current() {
    let path = root().join("docs/experiment-file.md");
    let desk = Desk::new();
    let output = desk.run("dpx schema --markdown");
    assert!(output.status.success());
    let current = text(&output.stdout);
    if std::env::var_os("DPX_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == current,
        "docs/experiment-file.md is not what `dpx schema --markdown` prints: \
         DPX_UPDATE_DOCS=1 cargo test -p dpx --test main -- documents writes it"
    );
}
