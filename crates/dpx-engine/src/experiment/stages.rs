//! `[stage.NAME]`: kind, needs, seed and parameters of every stage.

use super::REPLICATE;
use super::auto_labels::{auto_labels, is_auto};
use super::checked::{Stage, SweepAxis};
use super::chosen::never_auto;
use super::diagnostic::{Code, Diagnostic};
use super::files::{Files, Origin};
use super::kinds::KindTable;
use super::node::{Entry, Node, Table};
use super::read::Reader;
use super::suggest::{Suggestion, alternatives, suggest};
use super::walk::{AxisNodes, Site, Walker};
use dpx_schema::Kind;
use serde_json::json;
use std::collections::HashMap;

impl Reader<'_> {
    pub(super) fn stages(&mut self, root: &Table, axes: &[SweepAxis], files: &Files) -> Vec<Stage> {
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
            result.extend(self.stage(entry, stage, &place, &mut walker, files));
        }
        self.diagnostics.append(&mut walker.diagnostics);
        let used = walker.used;
        let draws = result
            .iter()
            .any(|stage| stage.draws() && stage.seed.is_none());
        // Where a stage could not be read, or a name is misspelt, nobody knows what it would have used.
        let complete = result.len() == table.entries.len()
            && !self
                .diagnostics
                .iter()
                .any(|diagnostic| diagnostic.code == Code::UnknownAxis);
        for axis in axes.iter().filter(|_| complete) {
            let silent = axis.name == REPLICATE && draws;
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
        files: &Files,
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
                    if kind == Kind::Preprocess && key == "labels" && is_auto(&field.node) {
                        self.diagnostics
                            .push(auto_labels(table, &field.node, files));
                    } else if let Some(diagnostic) = never_auto(kind, key, &field.node) {
                        self.diagnostics.push(diagnostic);
                    } else if let Some(schema) = kinds.property(key) {
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
            let suggestion = suggest(self.diagnostics.len(), name, names);
            self.diagnostics.push(match suggestion {
                Some(Suggestion::Near(near)) => diagnostic
                    .help(format!("did you mean `{near}`?"))
                    .fix(node.origin, format!("\"{near}\"")),
                Some(Suggestion::List(kinds)) => diagnostic.help(format!("kinds: {kinds}")),
                None => diagnostic,
            });
        }
        kind
    }

    fn needs(&mut self, table: &Table) -> Vec<(String, Origin)> {
        let Some(node) = table.get("needs") else {
            return Vec::new();
        };
        let mut needs: Vec<(String, Origin)> = Vec::new();
        let mut seen: HashMap<&str, Origin> = HashMap::new();
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
            if let Some(first) = seen.insert(name, item.origin) {
                seen.insert(name, first);
                self.diagnostics.push(
                    Diagnostic::at(
                        Code::DuplicateNeed,
                        item.origin,
                        format!("`{name}` is among the needs twice"),
                    )
                    .context(first, "first here"),
                );
                continue;
            }
            needs.push((name.to_owned(), item.origin));
        }
        needs
    }
}
