//! `[run.executor]`: what its kind needs, and kinds of stage that do not exist.

use crate::experiment::diagnostic::{Code, Diagnostic};
use crate::experiment::executor::ExecutorTable;
use crate::experiment::files::Origin;
use crate::experiment::node::{Table, Value};
use crate::experiment::suggest::did_you_mean;
use crate::experiment::template::{ExecutorFault, SUBMIT_EXAMPLE, cancel_fault, submit_fault};
use dpx_schema::Kind;

/// Checks the table `[run.executor]`.
pub(in crate::experiment) fn executor(table: &Table, diagnostics: &mut Vec<Diagnostic>) {
    let kind = table
        .get("kind")
        .and_then(|node| node.as_str().map(|kind| (kind, node.origin)));
    match (kind, table.entry("submit")) {
        (Some(("command", origin)), None) => diagnostics.push(
            Diagnostic::at(
                Code::MissingKey,
                origin,
                "`[run.executor]` lacks the key `submit`, which says how workers are started",
            )
            .help(format!("for example `submit = \"{SUBMIT_EXAMPLE}\"`")),
        ),
        (Some(("command", _)), Some(submit)) => {
            let text = submit.node.as_str().unwrap_or_default();
            faulty(submit.node.origin, submit_fault(text), diagnostics);
        }
        _ => {}
    }
    if let Some(cancel) = table.entry("cancel") {
        let text = cancel.node.as_str().unwrap_or_default();
        faulty(cancel.node.origin, cancel_fault(text), diagnostics);
    }
    times(table, diagnostics);
    let Some(resources) = table.get("resources").and_then(|node| node.as_table()) else {
        return;
    };
    let names = || {
        Kind::ALL
            .iter()
            .map(|kind| kind.name())
            .chain([ExecutorTable::DEFAULT])
    };
    for entry in &resources.entries {
        if names().any(|name| name == entry.key) {
            continue;
        }
        let diagnostic = Diagnostic::at(
            Code::UnknownKey,
            entry.key_origin,
            format!("`{}` is no kind of stage", entry.key),
        );
        diagnostics.push(match did_you_mean(&entry.key, names()) {
            Some(near) => diagnostic
                .help(format!("did you mean `{near}`?"))
                .fix(entry.key_origin, near),
            None => diagnostic.help(format!(
                "kinds: {}; `default` holds for all of them",
                Kind::ALL.map(Kind::name).join(", ")
            )),
        });
    }
}

fn faulty(origin: Origin, fault: Option<ExecutorFault>, diagnostics: &mut Vec<Diagnostic>) {
    diagnostics
        .extend(fault.map(|fault| Diagnostic::at(fault.code, origin, fault.what).help(fault.help)));
}

/// A value out of its range is told elsewhere.
fn times(table: &Table, diagnostics: &mut Vec<Diagnostic>) {
    let defaults = ExecutorTable::default();
    let written = |key: &str, default: u64, least: u64| match table.get(key) {
        None => Some((default, None)),
        Some(node) => match node.value {
            Value::Integer(number) => u64::try_from(number)
                .ok()
                .filter(|number| *number >= least)
                .map(|number| (number, Some(node.origin))),
            _ => None,
        },
    };
    let heartbeat = written("heartbeat_seconds", defaults.heartbeat_seconds, 1);
    let stale = written("stale_seconds", defaults.stale_seconds, 2);
    if let (Some((heartbeat, first)), Some((stale, second))) = (heartbeat, stale)
        && let Some(origin) = second.or(first)
    {
        let fault = ExecutorTable::times_fault(heartbeat, stale);
        faulty(origin, fault, diagnostics);
    }
}
