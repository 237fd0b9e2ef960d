//! `[privacy] selection`: the rows that will be released, named before anything runs.

use super::instance::{Instance, Plan};
use crate::experiment::{Code, Diagnostic, Node};
use dpx_schema::Kind;
use std::collections::BTreeSet;

/// Names in one list.
const MOST_NAMES: usize = 50;

impl Plan {
    /// The names of the `sample` instances that these rows mean.
    pub fn selected(&self, rows: &[String]) -> BTreeSet<String> {
        rows.iter()
            .flat_map(|row| selected(&self.instances, row))
            .map(|instance| instance.name.to_string())
            .collect()
    }
}

fn selected<'a>(instances: &'a [Instance], row: &'a str) -> impl Iterator<Item = &'a Instance> {
    instances
        .iter()
        .filter(move |instance| instance.kind == Kind::Sample && instance.is_named(row))
}

/// Names that mean no texts of this study, or none that an earlier name did not mean.
pub(super) fn check(rows: &[Node], instances: &[Instance]) -> Vec<Diagnostic> {
    let mut named = BTreeSet::new();
    let mut diagnostics = Vec::new();
    for node in rows {
        let Some(row) = node.as_str() else {
            continue;
        };
        let mut found = selected(instances, row).peekable();
        let wrong = if found.peek().is_none() {
            "which is no row with texts to release"
        } else if found
            .filter(|instance| named.insert(&instance.name))
            .count()
            > 0
        {
            continue;
        } else {
            "whose rows were named before"
        };
        let mut names: Vec<String> = instances
            .iter()
            .filter(|instance| instance.kind == Kind::Sample)
            .map(|instance| {
                let name: &str = &instance.name;
                format!("`{}`", name.split_once('@').map_or(name, |(_, axes)| axes))
            })
            .collect();
        names.dedup();
        let more = names.len().saturating_sub(MOST_NAMES);
        names.truncate(MOST_NAMES);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let help = if names.is_empty() {
            "no stage of the study writes texts".to_owned()
        } else {
            format!("name each row once: {}{more}", names.join(", "))
        };
        diagnostics.push(
            Diagnostic::at(
                Code::BadSelection,
                node.origin,
                format!("`selection` names `{row}`, {wrong}"),
            )
            .help(help),
        );
    }
    diagnostics
}
