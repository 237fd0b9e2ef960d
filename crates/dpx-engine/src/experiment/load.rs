//! Reads a file with everything that it extends, then lays the `--set`s over it.

use super::diagnostic::{Code, Diagnostic};
use super::files::{Files, Origin};
use super::node::{Entry, Node, Table, Value};
use super::parse::parse;
use super::suggest::did_you_mean;
use std::path::{Path, PathBuf};

/// The merged tree of an experiment.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) files: Files,
    pub(super) root: Table,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Whether it makes sense to look for further mistakes.
    pub(super) usable: bool,
}

/// Longest experiment file, in bytes.
const LONGEST: u64 = 16 << 20;

/// The content of an experiment file, which may be a pipe: at most as much as any has.
fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(std::io::Error::other(format!(
            "it is longer than {LONGEST} bytes, and no experiment file is: is it another file?"
        )));
    }
    Ok(bytes)
}

/// Reads an experiment file and the `KEY=VALUE` arguments over it.
pub(super) fn read(path: &Path, sets: &[String]) -> Document {
    let mut document = Document {
        files: Files::default(),
        root: Table::default(),
        diagnostics: Vec::new(),
        usable: true,
    };
    match bytes(path) {
        Ok(bytes) => {
            let mut visited = Vec::new();
            document.root = document.file(path, &bytes, &mut visited);
        }
        Err(error) => document.fail(Diagnostic::new(
            Code::Unreadable,
            format!("could not read `{}`: {error}", path.display()),
        )),
    }
    for set in sets {
        document.set(set);
    }
    document
}

impl Document {
    fn fail(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
        self.usable = false;
    }

    /// The tree of one file over the tree of the file it extends.
    fn file(&mut self, path: &Path, bytes: &[u8], visited: &mut Vec<PathBuf>) -> Table {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
            Err(error) => {
                let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                let line = valid.matches('\n').count() + 1;
                self.fail(Diagnostic::new(
                    Code::Unreadable,
                    format!(
                        "`{}` is not UTF-8: the first invalid byte is in line {line}",
                        path.display()
                    ),
                ));
                return Table::default();
            }
        };
        visited.push(path.canonicalize().unwrap_or_else(|_| path.to_path_buf()));
        let folder = path.parent().unwrap_or(Path::new(""));
        let file = self.files.add(path.display().to_string(), folder, text);
        let parsed = parse(file, &self.files);
        self.diagnostics.extend(parsed.diagnostics);
        self.usable &= parsed.usable;
        let table = parsed.table;
        let Some(extends) = experiment_key(&table, "extends") else {
            return table;
        };
        let Some(base) = extends.node.as_str() else {
            // The schema says what is wrong with it.
            return table;
        };
        let mut merged = self.base(&folder.join(base), extends.node.origin, visited);
        if experiment_key(&table, "name").is_none() {
            self.diagnostics.push(
                Diagnostic::at(
                    Code::MissingKey,
                    extends.node.origin,
                    "an experiment that extends another needs a `name` of its own",
                )
                .help(
                    "add `name = \"...\"` to `[experiment]`: the name is the folder of the results",
                ),
            );
        }
        merged.overlay(table);
        merged
    }

    fn base(&mut self, path: &Path, origin: Origin, visited: &mut Vec<PathBuf>) -> Table {
        let canonical = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        if visited.contains(&canonical) {
            self.fail(Diagnostic::at(
                Code::Extends,
                origin,
                format!("`{}` extends itself", path.display()),
            ));
            return Table::default();
        }
        match bytes(path) {
            Ok(bytes) => {
                let mut table = self.file(path, &bytes, visited);
                if let Some(Value::Table(experiment)) = table
                    .entries
                    .iter_mut()
                    .find(|entry| entry.key == "experiment")
                    .map(|entry| &mut entry.node.value)
                {
                    experiment.entries.retain(|entry| entry.key != "extends");
                }
                table
            }
            Err(error) => {
                self.fail(
                    Diagnostic::at(
                        Code::Extends,
                        origin,
                        format!("could not read `{}`: {error}", path.display()),
                    )
                    .help("the path starts from the folder of the file that says `extends`"),
                );
                Table::default()
            }
        }
    }

    /// Lays one `KEY=VALUE` over the tree. The value is TOML; what is not TOML counts as a bare string.
    fn set(&mut self, argument: &str) {
        let file = self.files.add("--set", Path::new(""), argument);
        let whole = Origin::new(file, 0..argument.len());
        let example = "write for example `--set stage.train.epochs=2`";
        let Some((key, value)) = argument.split_once('=') else {
            self.diagnostics
                .push(Diagnostic::at(Code::BadOverride, whole, "expected KEY=VALUE").help(example));
            return;
        };
        if value.trim().is_empty() || argument.contains('\n') {
            self.diagnostics.push(
                Diagnostic::at(Code::BadOverride, whole, "expected one value after the `=`")
                    .help(example)
                    .help("a key cannot be removed from here: edit the file"),
            );
            return;
        }
        let mut table = match toml::de::DeTable::parse(argument) {
            Ok(_) => parse(file, &self.files).table,
            Err(error) => {
                let starts_value = value.trim_start().starts_with(['[', '{', '"', '\'']);
                // The key on its own, with the value as text behind it.
                let keyed = format!("{key}=0");
                let Ok(_) = toml::de::DeTable::parse(&keyed) else {
                    self.diagnostics.push(
                        Diagnostic::at(
                            Code::BadOverride,
                            Origin::new(file, 0..key.len()),
                            "this is no dotted key",
                        )
                        .help(example),
                    );
                    return;
                };
                if starts_value {
                    self.diagnostics.push(
                        Diagnostic::at(
                            Code::BadOverride,
                            Origin::new(file, key.len() + 1..argument.len()),
                            format!("this value is not TOML: {}", error.message()),
                        )
                        .help(example),
                    );
                    return;
                }
                let scratch = {
                    let mut files = Files::default();
                    let number = files.add("--set", Path::new(""), &keyed);
                    parse(number, &files).table
                };
                let start = argument.len() - value.trim_start().len();
                let mut table = moved(scratch, file);
                *leaf(&mut table) = Node {
                    value: Value::String(value.trim().to_owned()),
                    origin: Origin::new(file, start..start + value.trim().len()),
                };
                table
            }
        };
        if let Some(diagnostic) = self.lost(&table) {
            self.diagnostics.push(diagnostic);
            return;
        }
        self.root.overlay(std::mem::take(&mut table));
    }

    /// A `--set` into a stage that the file does not have.
    fn lost(&self, table: &Table) -> Option<Diagnostic> {
        let stages = table.get("stage")?.as_table()?;
        let known = self.root.get("stage").and_then(Node::as_table)?;
        let stage = stages.entries.first()?;
        if known.entry(&stage.key).is_some() || stage.node.as_table()?.entry("kind").is_some() {
            return None;
        }
        let mut diagnostic = Diagnostic::at(
            Code::BadOverride,
            stage.key_origin,
            format!("the file has no stage `{}`", stage.key),
        );
        if let Some(near) = did_you_mean(&stage.key, known.keys()) {
            diagnostic = diagnostic
                .help(format!("did you mean `{near}`?"))
                .fix(stage.key_origin, near);
        }
        Some(diagnostic)
    }
}

fn experiment_key<'a>(table: &'a Table, key: &str) -> Option<&'a Entry> {
    table.get("experiment")?.as_table()?.entry(key)
}

/// The same tree with its places in another text.
fn moved(table: Table, file: u32) -> Table {
    let entries = table
        .entries
        .into_iter()
        .map(|entry| Entry {
            key_origin: Origin::new(file, entry.key_origin.range()),
            node: Node {
                origin: Origin::new(file, entry.node.origin.range()),
                value: match entry.node.value {
                    Value::Table(table) => Value::Table(moved(table, file)),
                    value => value,
                },
            },
            key: entry.key,
        })
        .collect();
    Table { entries }
}

/// The value at the end of a dotted key.
fn leaf(table: &mut Table) -> &mut Node {
    let node = &mut table
        .entries
        .first_mut()
        .expect("a document of one key and value has one entry")
        .node;
    if matches!(node.value, Value::Table(_)) {
        let Value::Table(table) = &mut node.value else {
            unreachable!("it was a table a line before")
        };
        return leaf(table);
    }
    node
}
