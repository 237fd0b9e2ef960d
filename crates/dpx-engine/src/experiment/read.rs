//! From the merged tree to an [`Experiment`], with every mistake on the way.

use super::check;
use super::checked::{Experiment, SweepAxis};
use super::chosen;
use super::diagnostic::{Code, Diagnostic, Severity};
use super::files::{Files, Origin};
use super::kinds::schema_of;
use super::load::read;
use super::node::{Entry, Node, Table, Value, is_name};
use super::suggest::{Suggestion, suggest};
use super::tables::{
    CacheTable, ExperimentTable, PrivacyTable, ReleaseTable, ReportTable, RunTable,
};
use super::walk::Walker;
use dpx_schema::Kind;
use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// The tables that a file may have.
const TABLES: [&str; 8] = [
    "experiment",
    "sweep",
    "privacy",
    "stage",
    "run",
    "cache",
    "report",
    "release",
];

/// Most instances that an experiment may have, and most values of an axis.
pub(super) const MOST_INSTANCES: usize = 20_000;

/// Most bytes of the name of an experiment: it names a folder, and beside it others that are a little longer.
const LONGEST_EXPERIMENT: usize = 200;

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
    let mut seen = HashSet::new();
    diagnostics.retain(|diagnostic| {
        // A number can be out of several ranges.
        let message = (diagnostic.code != Code::OutOfRange).then(|| diagnostic.message.clone());
        seen.insert((
            diagnostic.code,
            diagnostic.primary.as_ref().map(|label| label.origin),
            message,
        ))
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

/// Collects what is wrong while it reads.
pub(super) struct Reader<'a> {
    pub(super) diagnostics: &'a mut Vec<Diagnostic>,
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
        let cache = self.typed::<CacheTable>(root, "cache");
        let report = self.typed::<ReportTable>(root, "report");
        let release = self.typed::<ReleaseTable>(root, "release");
        let axes = self.axes(root);
        let stages = self.stages(root, &axes, files);
        if let Some(table) = root.get("run").and_then(Node::as_table) {
            check::devices(table, self.diagnostics);
        }
        if let Some(table) = root
            .get("run")
            .and_then(Node::as_table)
            .and_then(|table| table.get("executor"))
            .and_then(Node::as_table)
        {
            check::executor(table, self.diagnostics);
        }
        if let Some(table) = root.get("release").and_then(Node::as_table) {
            check::release(table, self.diagnostics);
        }
        let failed = self
            .diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error);
        let selection = root
            .get("privacy")
            .and_then(Node::as_table)
            .and_then(|privacy| privacy.get("selection"))
            .and_then(Node::as_array)
            .unwrap_or_default();
        let mut sound = Experiment {
            experiment: experiment.unwrap_or_else(|| ExperimentTable {
                name: "unnamed".into(),
                seed: 42,
                description: None,
                extends: None,
            }),
            axes,
            privacy: privacy.unwrap_or_default(),
            selection: selection.to_vec(),
            run: run.unwrap_or_default(),
            cache: cache.unwrap_or_default(),
            report: report.unwrap_or_default(),
            release: release.unwrap_or_default(),
            stages,
            chosen: Vec::new(),
            files: files.clone(),
            root: root.clone(),
        };
        check::graph(&sound, self.diagnostics);
        check::privacy(&sound, root, self.diagnostics);
        check::claims(&sound, self.diagnostics);
        chosen::choose(&mut sound, self.diagnostics);
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
        } else {
            match suggest(self.diagnostics.len(), &entry.key, TABLES.into_iter()) {
                Some(Suggestion::Near(near)) => diagnostic
                    .help(format!("did you mean `[{near}]`?"))
                    .fix(entry.key_origin, near),
                Some(Suggestion::List(known)) => diagnostic.help(format!("known tables: {known}")),
                None => diagnostic,
            }
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

    pub(super) fn not_a_table(&mut self, entry: &Entry, place: &str) {
        self.diagnostics.push(Diagnostic::at(
            Code::WrongType,
            entry.node.origin,
            format!("{place} is {}: expected a table", entry.node.value.what()),
        ));
    }

    fn experiment_name(&mut self, node: &Node) {
        let Some(name) = node.as_str() else { return };
        if name.len() > LONGEST_EXPERIMENT {
            self.diagnostics.push(
                Diagnostic::at(
                    Code::BadName,
                    node.origin,
                    format!(
                        "the name of the experiment has {} bytes: expected at most {LONGEST_EXPERIMENT}",
                        name.len()
                    ),
                )
                .help("it becomes a folder, and file systems take no longer names"),
            );
            return;
        }
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

    pub(super) fn name(&mut self, entry: &Entry, what: &str) -> bool {
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
                if items.len() > MOST_INSTANCES {
                    self.diagnostics.push(
                        Diagnostic::at(
                            Code::TooManyInstances,
                            entry.key_origin,
                            format!(
                                "the axis `{}` has {} values: more than {MOST_INSTANCES}",
                                entry.key,
                                items.len()
                            ),
                        )
                        .help("split the sweep over several files"),
                    );
                    // One stands for all: a file that asks for too much is not looked at value by value.
                    items[..1].to_vec()
                } else {
                    items.clone()
                }
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
        let mut seen: HashMap<String, Origin> = HashMap::with_capacity(nodes.len());
        for node in nodes {
            if matches!(node.value, Value::Datetime(_)) {
                self.diagnostics.push(Diagnostic::at(
                    Code::WrongType,
                    node.origin,
                    format!("a value of the axis `{name}` is a date: no parameter takes one"),
                ));
            }
            let json = node.to_json().to_string();
            let slot = seen.entry(json);
            if let Slot::Occupied(slot) = &slot {
                let (json, first) = (slot.key(), *slot.get());
                self.diagnostics.push(
                    Diagnostic::at(
                        Code::DuplicateValue,
                        node.origin,
                        format!("the axis `{name}` has the value {json} twice"),
                    )
                    .context(first, "first here")
                    .help("repeat a row with an axis `replicate = [1, 2, 3]`"),
                );
            }
            slot.or_insert(node.origin);
        }
    }
}
