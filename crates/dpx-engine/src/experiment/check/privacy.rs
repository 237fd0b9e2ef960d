//! `[privacy] split`: stages that can share a budget, positive shares, one budget.

use super::graph::by_name;
use crate::experiment::checked::{Experiment, Stage};
use crate::experiment::diagnostic::{Code, Diagnostic};
use crate::experiment::node::{Node, Table, Value};
use crate::experiment::suggest::{Suggestion, alternatives, suggest};

/// Checks `[privacy]` beyond its schema.
pub(crate) fn privacy(experiment: &Experiment, root: &Table, diagnostics: &mut Vec<Diagnostic>) {
    let Some(table) = root.get("privacy").and_then(Node::as_table) else {
        return;
    };
    if let Some(split) = table.get("split").and_then(Node::as_table) {
        members(experiment, split, diagnostics);
    }
    budget(experiment, table, diagnostics);
}

/// A budget is two numbers that can be met, and `enforce` holds one.
fn budget(experiment: &Experiment, table: &Table, diagnostics: &mut Vec<Diagnostic>) {
    let mut wrong = |key: &str, origin, message: String, help: &str| {
        diagnostics
            .push(Diagnostic::at(Code::BadBudget, origin, format!("`{key}` {message}")).help(help));
    };
    let Some(budget) = experiment.privacy.budget else {
        if let Some(entry) = table.entry("enforce") {
            wrong(
                "enforce",
                entry.key_origin,
                "holds nothing: there is no `budget`".to_owned(),
                "write one, such as `budget = { epsilon = 10, delta = 1e-6 }`",
            );
        }
        return;
    };
    let Some(entry) = table.entry("budget") else {
        return;
    };
    if !(budget.epsilon.is_finite() && budget.epsilon > 0.0) {
        wrong(
            "budget",
            entry.node.origin,
            format!("has epsilon {}: expected a number above 0", budget.epsilon),
            "epsilon is what all releases of the same people may cost together",
        );
    }
    if !(budget.delta > 0.0 && budget.delta < 1.0) {
        wrong(
            "budget",
            entry.node.origin,
            format!(
                "has delta {}: expected a number above 0 and below 1",
                budget.delta
            ),
            "delta lies below one over the number of records",
        );
    }
}

fn members(experiment: &Experiment, split: &Table, diagnostics: &mut Vec<Diagnostic>) {
    let spenders = || {
        experiment
            .stages
            .iter()
            .filter(|stage| stage.kind.spends())
            .map(|stage| stage.name.as_str())
    };
    let names = by_name(experiment);
    let mut stages: Vec<&Stage> = Vec::new();
    for entry in &split.entries {
        let stage = names
            .get(entry.key.as_str())
            .map(|&at| &experiment.stages[at]);
        match stage {
            None => {
                let diagnostic = Diagnostic::at(
                    Code::BadSplit,
                    entry.key_origin,
                    format!(
                        "the budget is split with `{}`, which is no stage",
                        entry.key
                    ),
                );
                let suggestion = suggest(diagnostics.len(), &entry.key, spenders());
                diagnostics.push(match suggestion {
                    Some(Suggestion::Near(near)) => diagnostic
                        .help(format!("did you mean `{near}`?"))
                        .fix(entry.key_origin, near),
                    Some(Suggestion::List(spenders)) => {
                        diagnostic.help(format!("stages that spend: {spenders}"))
                    }
                    None => diagnostic,
                });
            }
            Some(stage) if !stage.kind.spends() => diagnostics.push(
                Diagnostic::at(
                    Code::BadSplit,
                    entry.key_origin,
                    format!(
                        "the budget is split with `{}`, but a `{}` stage spends none",
                        entry.key, stage.kind
                    ),
                )
                .help(format!("stages that spend: {}", alternatives(spenders()))),
            ),
            Some(stage) => stages.push(stage),
        }
        let share = match entry.node.value {
            Value::Integer(number) => number as f64,
            Value::Float(number) => number,
            _ => continue,
        };
        if !(share.is_finite() && share > 0.0) {
            diagnostics.push(
                Diagnostic::at(
                    Code::BadSplit,
                    entry.node.origin,
                    format!(
                        "the share of `{}` is {share}: expected a number above 0",
                        entry.key
                    ),
                )
                .help("leave a stage out of `split` if it shall have a budget of its own"),
            );
        }
    }
    same_budget(&stages, diagnostics);
}

/// The stages of one split must name one budget: the split's whole.
fn same_budget(stages: &[&Stage], diagnostics: &mut Vec<Diagnostic>) {
    let Some((first, rest)) = stages.split_first() else {
        return;
    };
    for key in ["epsilon", "delta", "noise"] {
        let written = |stage: &Stage| {
            stage
                .fields
                .entry(key)
                .map(|entry| (entry.node.to_json(), entry.node.origin))
        };
        let one = written(first);
        for stage in rest {
            let other = written(stage);
            if one.as_ref().map(|(value, _)| value) == other.as_ref().map(|(value, _)| value) {
                continue;
            }
            let show = |value: &Option<(serde_json::Value, _)>| {
                value
                    .as_ref()
                    .map_or_else(|| "nothing".to_owned(), |(value, _)| value.to_string())
            };
            let mut diagnostic = Diagnostic::at(
                Code::MixedBudget,
                other.as_ref().map_or(stage.origin, |(_, origin)| *origin),
                format!(
                    "`{}` and `{}` share one budget, but `{key}` is {} here and {} there",
                    stage.name,
                    first.name,
                    show(&other),
                    show(&one)
                ),
            );
            if let Some((_, origin)) = one {
                diagnostic = diagnostic.context(origin, "the other");
            }
            diagnostics.push(diagnostic.help(format!(
                "`{key}` speaks of the whole: write the same for every stage of the split"
            )));
        }
    }
}
