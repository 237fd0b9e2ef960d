//! `[run.executor]`: what its kind needs, and kinds of stage that do not exist.

use crate::experiment::diagnostic::{Code, Diagnostic};
use crate::experiment::executor::ExecutorTable;
use crate::experiment::node::Table;
use crate::experiment::suggest::did_you_mean;
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
            .help("for example `submit = \"ssh node{index} {worker} {index}\"`"),
        ),
        (Some(("command", _)), Some(submit)) => {
            let text = submit.node.as_str().unwrap_or_default();
            if !["{plan}", "{worker}"]
                .iter()
                .any(|part| text.contains(part))
            {
                diagnostics.push(
                    Diagnostic::at(
                        Code::MissingKey,
                        submit.node.origin,
                        "`submit` names neither `{worker}` nor `{plan}`: no worker could know what to do",
                    )
                    .help("for example `submit = \"ssh node{index} {worker} {index}\"`"),
                );
            }
        }
        _ => {}
    }
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
