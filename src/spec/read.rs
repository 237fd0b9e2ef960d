//! From the merged tree to an [`Experiment`], with every mistake on the way.

use super::check;
use super::diagnostic::{Code, Diagnostic, Severity};
use super::experiment::{Experiment, Stage, SweepAxis};
use super::files::{Files, Origin};
use super::kinds::{KindTable, schema_of};
use super::load::read;
use super::node::{Entry, Node, Table, Value, is_name};
use super::suggest::{alternatives, did_you_mean};
use super::tables::{ExperimentTable, PrivacyTable, ReportTable, RunTable};
use super::walk::{AxisNodes, Site, Walker};
use crate::stage::Kind;
use serde_json::json;
use std::path::Path;

/// The tables that a file may have.
const TABLES: [&str; 6] = ["experiment", "sweep", "privacy", "stage", "run", "report"];

/// What came of reading a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The experiment, unless there is an error among the diagnostics.
    pub experiment: Option<Experiment>,
    /// Every mistake, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that the diagnostics speak of.
    pub files: Files,
}

/// Reads an experiment file with `KEY=VALUE` arguments laid over it, and checks everything that can be checked without
/// running anything or reaching the network.
pub fn load(path: &Path, sets: &[String]) -> Loaded {
    let document = read(path, sets);
    let mut diagnostics = document.diagnostics;
    let experiment = if document.usable {
        let mut reader = Reader {
            diagnostics: &mut diagnostics,
        };
        reader.experiment(&document.root, &document.files)
    } else {
        None
    };
    // Two stages that use the same wrong value of an axis need not both say so.
    let mut seen = Vec::new();
    diagnostics.retain(|diagnostic| {
        let same = (
            diagnostic.code,
            diagnostic.primary.as_ref().map(|label| label.origin),
            diagnostic.message.clone(),
        );
        let new = !seen.contains(&same);
        if new {
            seen.push(same);
        }
        new
    });
    diagnostics.sort_by_key(|diagnostic| {
        let origin = diagnostic.primary.as_ref().map(|label| label.origin);
        (diagnostic.severity, origin)
    });
    let failed = diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error);
    Loaded {
        experiment: experiment.filter(|_| !failed),
        diagnostics,
        files: document.files,
    }
}

struct Reader<'a> {
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn experiment(&mut self, root: &Table, files: &Files) -> Option<Experiment> {
        let top = Origin::new(0, 0..0);
        for entry in &root.entries {
            if !TABLES.contains(&entry.key.as_str()) {
                self.unknown_table(entry);
            }
        }
        let experiment: Option<ExperimentTable> = self.typed(root, "experiment");
        if root.get("experiment").is_none() {
            self.diagnostics.push(
                Diagnostic::at(
                    Code::MissingKey,
                    top,
                    "the file lacks the table `[experiment]`",
                )
                .help("begin with:\n[experiment]\nname = \"my-study\""),
            );
        }
        if let Some(name) = root
            .get("experiment")
            .and_then(Node::as_table)
            .and_then(|table| table.get("name"))
        {
            self.experiment_name(name);
        }
        let privacy = self.typed::<PrivacyTable>(root, "privacy");
        let run = self.typed::<RunTable>(root, "run");
        let report = self.typed::<ReportTable>(root, "report");
        let axes = self.axes(root);
        let stages = self.stages(root, &axes);
        if let Some(node) = root
            .get("run")
            .and_then(Node::as_table)
            .and_then(|table| table.get("device"))
        {
            check::devices(node, self.diagnostics);
        }
        let failed = self
            .diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error);
        let sound = Experiment {
            experiment: experiment.unwrap_or_else(|| ExperimentTable {
                name: "unnamed".into(),
                seed: 42,
                description: None,
                extends: None,
            }),
            axes,
            privacy: privacy.unwrap_or_default(),
            run: run.unwrap_or_default(),
            report: report.unwrap_or_default(),
            stages,
            files: files.clone(),
        };
        check::graph(&sound, self.diagnostics);
        check::privacy(&sound, root, self.diagnostics);
        check::values(&sound, self.diagnostics);
        (!failed).then_some(sound)
    }

    fn unknown_table(&mut self, entry: &Entry) {
        let mut diagnostic = Diagnostic::at(
            Code::UnknownTable,
            entry.key_origin,
            format!("unknown table `[{}]`", entry.key),
        );
        // `[train]` instead of `[stage.train]` is the likeliest slip.
        let is_kind = Kind::ALL.iter().any(|kind| kind.name() == entry.key);
        diagnostic = if is_kind {
            diagnostic
                .help("stages are written `[stage.NAME]`")
                .fix(entry.key_origin, format!("stage.{}", entry.key))
        } else if let Some(near) = did_you_mean(&entry.key, TABLES) {
            diagnostic
                .help(format!("did you mean `[{near}]`?"))
                .fix(entry.key_origin, near)
        } else {
            diagnostic.help(format!("known tables: {}", alternatives(TABLES)))
        };
        self.diagnostics.push(diagnostic);
    }

    /// A table with a fixed set of keys, through its own type.
    fn typed<T: schemars::JsonSchema + serde::de::DeserializeOwned>(
        &mut self,
        root: &Table,
        name: &str,
    ) -> Option<T> {
        let entry = root.entry(name)?;
        let place = format!("`[{name}]`");
        let Some(table) = entry.node.as_table() else {
            self.not_a_table(entry, &place);
            return None;
        };
        let mut walker = Walker::default();
        walker.table(table, &schema_of::<T>(), entry.node.origin, &place);
        let sound = walker.diagnostics.is_empty();
        self.diagnostics.append(&mut walker.diagnostics);
        if !sound {
            return None;
        }
        match serde_json::from_value(entry.node.to_json()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.diagnostics.push(Diagnostic::at(
                    Code::WrongType,
                    entry.node.origin,
                    format!("{place} does not fit: {error}"),
                ));
                None
            }
        }
    }

    fn not_a_table(&mut self, entry: &Entry, place: &str) {
        self.diagnostics.push(Diagnostic::at(
            Code::WrongType,
            entry.node.origin,
            format!("{place} is {}: expected a table", entry.node.value.what()),
        ));
    }

    fn experiment_name(&mut self, node: &Node) {
        let Some(name) = node.as_str() else { return };
        let letter =
            |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
        if name.is_empty() || !name.chars().all(letter) || name.starts_with(['.', '-']) {
            self.diagnostics.push(
                Diagnostic::at(
                    Code::BadName,
                    node.origin,
                    format!("\"{name}\" cannot name an experiment"),
                )
                .help(
                    "it becomes a folder: letters, digits, `_`, `-` and `.`, not first `-` or `.`",
                ),
            );
        }
    }

    fn name(&mut self, entry: &Entry, what: &str) -> bool {
        let good = is_name(&entry.key);
        if !good {
            self.diagnostics.push(
                Diagnostic::at(
                    Code::BadName,
                    entry.key_origin,
                    format!("\"{}\" cannot name {what}", entry.key),
                )
                .help("a letter, then letters, digits, `_` or `-`"),
            );
        }
        good
    }

    fn axes(&mut self, root: &Table) -> Vec<SweepAxis> {
        let Some(entry) = root.entry("sweep") else {
            return Vec::new();
        };
        let Some(table) = entry.node.as_table() else {
            self.not_a_table(entry, "`[sweep]`");
            return Vec::new();
        };
        let mut axes = Vec::new();
        for entry in &table.entries {
            if !self.name(entry, "an axis") {
                continue;
            }
            let nodes = if let Value::Array(items) = &entry.node.value {
                items.clone()
            } else {
                let text = &entry.node;
                self.diagnostics.push(
                    Diagnostic::at(
                        Code::WrongType,
                        text.origin,
                        format!(
                            "the axis `{}` is {}: expected a list of values",
                            entry.key,
                            text.value.what()
                        ),
                    )
                    .help(format!("write `{} = [...]`", entry.key)),
                );
                // Its uses shall not be called unknown as well.
                vec![text.clone()]
            };
            if nodes.is_empty() {
                self.diagnostics.push(
                    Diagnostic::at(
                        Code::EmptyAxis,
                        entry.node.origin,
                        format!("the axis `{}` has no value", entry.key),
                    )
                    .help("give it values, or remove it and write the value where `$` stands"),
                );
            }
            self.axis_values(&entry.key, &nodes);
            axes.push(SweepAxis {
                name: entry.key.clone(),
                origin: entry.key_origin,
                nodes,
            });
        }
        axes
    }

    fn axis_values(&mut self, name: &str, nodes: &[Node]) {
        for (index, node) in nodes.iter().enumerate() {
            if matches!(node.value, Value::Datetime(_)) {
                self.diagnostics.push(Diagnostic::at(
                    Code::WrongType,
                    node.origin,
                    format!("a value of the axis `{name}` is a date: no parameter takes one"),
                ));
            }
            let json = node.to_json();
            if let Some(first) = nodes[..index].iter().find(|other| other.to_json() == json) {
                self.diagnostics.push(
                    Diagnostic::at(
                        Code::DuplicateValue,
                        node.origin,
                        format!("the axis `{name}` has the value {json} twice"),
                    )
                    .context(first.origin, "first here")
                    .help("repeat a row with an axis `replicate = [1, 2, 3]`"),
                );
            }
        }
    }

    fn stages(&mut self, root: &Table, axes: &[SweepAxis]) -> Vec<Stage> {
        let stages = root.get("stage").and_then(Node::as_table);
        let Some(table) = stages.filter(|table| !table.entries.is_empty()) else {
            match root.entry("stage") {
                Some(entry) if entry.node.as_table().is_none() => {
                    self.not_a_table(entry, "`[stage]`");
                }
                _ => self.diagnostics.push(
                    Diagnostic::at(
                        Code::MissingKey,
                        Origin::new(0, 0..0),
                        "the file has no stage: nothing would run",
                    )
                    .help("add `[stage.NAME]` tables; `dpx init` writes a file to start from"),
                ),
            }
            return Vec::new();
        };
        let nodes: Vec<AxisNodes<'_>> = axes
            .iter()
            .map(|axis| AxisNodes {
                name: &axis.name,
                values: &axis.nodes,
            })
            .collect();
        let mut walker = Walker {
            axes: &nodes,
            references: true,
            ..Walker::default()
        };
        let mut result = Vec::new();
        for entry in &table.entries {
            let place = format!("`[stage.{}]`", entry.key);
            let Some(stage) = entry.node.as_table() else {
                self.not_a_table(entry, &place);
                continue;
            };
            self.name(entry, "a stage");
            result.extend(self.stage(entry, stage, &place, &mut walker));
        }
        self.diagnostics.append(&mut walker.diagnostics);
        let used = walker.used;
        let draws = result
            .iter()
            .any(|stage| stage.draws() && stage.seed.is_none());
        // Where a stage could not be read, nobody knows what it would have used.
        let complete = result.len() == table.entries.len();
        for axis in axes.iter().filter(|_| complete) {
            let silent = axis.name == super::REPLICATE && draws;
            if !used.contains(&axis.name) && !silent {
                self.diagnostics.push(
                    Diagnostic::at(
                        Code::UnusedAxis,
                        axis.origin,
                        format!("no stage refers to the axis `{}`", axis.name),
                    )
                    .help(format!(
                        "write `\"${}\"` as the value of a parameter, or remove the axis",
                        axis.name
                    )),
                );
            }
        }
        result
    }

    fn stage(
        &mut self,
        entry: &Entry,
        table: &Table,
        place: &str,
        walker: &mut Walker<'_>,
    ) -> Option<Stage> {
        let header = entry.key_origin;
        let kind = self.kind(table, header, place);
        let needs = self.needs(table);
        let seed = table.get("seed").cloned();
        if let Some(seed) = &seed {
            walker.value(
                seed,
                &json!({ "type": "integer", "minimum": 0 }),
                Site {
                    key: "seed",
                    used_at: None,
                },
            );
        }
        let kind = kind?;
        let kinds = KindTable::of(kind);
        let mut fields = Table::default();
        let known: Vec<&str> = ["kind", "needs", "seed"]
            .into_iter()
            .chain(kinds.keys())
            .collect();
        for field in &table.entries {
            match field.key.as_str() {
                "kind" | "needs" | "seed" => {}
                key => {
                    if let Some(schema) = kinds.property(key) {
                        walker.value(&field.node, schema, Site { key, used_at: None });
                        fields.entries.push(field.clone());
                    } else {
                        let place = format!("{place}, a stage of kind `{kind}`");
                        walker.unknown_key(key, field.key_origin, known.iter().copied(), &place);
                    }
                }
            }
        }
        for key in kinds.params["required"].as_array().into_iter().flatten() {
            let Some(key) = key.as_str() else { continue };
            if table.entry(key).is_none() {
                walker.missing_key(key, &kinds.params["properties"][key], header, place);
            }
        }
        Some(Stage {
            name: entry.key.clone(),
            origin: header,
            kind,
            needs,
            seed,
            fields,
        })
    }

    fn kind(&mut self, table: &Table, header: Origin, place: &str) -> Option<Kind> {
        let names = Kind::ALL.iter().map(|kind| kind.name());
        let Some(node) = table.get("kind") else {
            self.diagnostics.push(
                Diagnostic::at(
                    Code::MissingKey,
                    header,
                    format!("{place} lacks the key `kind`"),
                )
                .help(format!("kinds: {}", alternatives(names))),
            );
            return None;
        };
        let Some(name) = node.as_str() else {
            self.diagnostics.push(Diagnostic::at(
                Code::WrongType,
                node.origin,
                format!("`kind` is {}: expected a string", node.value.what()),
            ));
            return None;
        };
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        if kind.is_none() {
            let diagnostic = Diagnostic::at(
                Code::UnknownKind,
                node.origin,
                format!("there is no kind of stage `{name}`"),
            );
            self.diagnostics
                .push(match did_you_mean(name, names.clone()) {
                    Some(near) => diagnostic
                        .help(format!("did you mean `{near}`?"))
                        .fix(node.origin, format!("\"{near}\"")),
                    None => diagnostic.help(format!("kinds: {}", alternatives(names))),
                });
        }
        kind
    }

    fn needs(&mut self, table: &Table) -> Vec<(String, Origin)> {
        let Some(node) = table.get("needs") else {
            return Vec::new();
        };
        let mut needs: Vec<(String, Origin)> = Vec::new();
        let wrong = |node: &Node| {
            Diagnostic::at(
                Code::WrongType,
                node.origin,
                format!(
                    "`needs` is {}: expected a list of names of stages",
                    node.value.what()
                ),
            )
        };
        let Some(items) = node.as_array() else {
            let mut diagnostic = wrong(node);
            if let Some(name) = node.as_str() {
                diagnostic = diagnostic
                    .help("write it as a list")
                    .fix(node.origin, format!("[\"{name}\"]"));
                needs.push((name.to_owned(), node.origin));
            }
            self.diagnostics.push(diagnostic);
            return needs;
        };
        for item in items {
            let Some(name) = item.as_str() else {
                self.diagnostics.push(wrong(item));
                continue;
            };
            if let Some((_, first)) = needs.iter().find(|(other, _)| other == name) {
                self.diagnostics.push(
                    Diagnostic::at(
                        Code::DuplicateNeed,
                        item.origin,
                        format!("`{name}` is among the needs twice"),
                    )
                    .context(*first, "first here"),
                );
                continue;
            }
            needs.push((name.to_owned(), item.origin));
        }
        needs
    }
}
