//! Names of models, datasets and files: known built-ins, well-formed Hub names, paths that exist.

use super::values::Resolved;
use crate::experiment::diagnostic::{Code, Diagnostic};
use crate::experiment::node::Node;
use crate::experiment::reference::{SourceField, SourceRef, source_fields};
use crate::experiment::suggest::did_you_mean;
use crate::pipes::unreadable_twice;
use dpx_data::Source;
use dpx_schema::Kind;

/// Checks every name that a stage gives.
pub(super) fn check(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    for field in source_fields(stage.stage.kind) {
        if !field.counts(&stage.params) {
            continue;
        }
        let Some(node) = stage
            .stage
            .node(field.key, &stage.experiment.axes, &stage.at)
        else {
            continue;
        };
        let items = node.as_array().unwrap_or(std::slice::from_ref(node));
        for item in items {
            if let Some(text) = item.as_str() {
                name(stage, field, item, text, diagnostics);
            }
        }
    }
}

fn name(
    stage: &Resolved<'_>,
    field: &SourceField,
    node: &Node,
    text: &str,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let bad = |message: String| Diagnostic::at(Code::BadSource, node.origin, message);
    match field.parse(text) {
        Err((message, fix)) => {
            let diagnostic = bad(message);
            diagnostics.push(match fix {
                Some(fix) => diagnostic
                    .help(format!("did you mean `{fix}`?"))
                    .fix(node.origin, format!("\"{fix}\"")),
                None => diagnostic,
            });
        }
        Ok(SourceRef::Stage(name)) => {
            let need = stage.needs().find(|need| need.name == name);
            match need {
                None => diagnostics.push(
                    bad(format!(
                        "`{}` is not among the needs of `{}`",
                        name, stage.stage.name
                    ))
                    .help(format!("add \"{name}\" to `needs`")),
                ),
                Some(need) if need.kind != Kind::Pretrain => diagnostics.push(bad(format!(
                    "`{name}` is a `{}` stage: a base model comes from a `pretrain` stage",
                    need.kind
                ))),
                Some(_) => {}
            }
        }
        Ok(SourceRef::Source(Source::Path(path))) => {
            let folder = &stage.experiment.files.file(node.origin).folder;
            let full = folder.join(&path);
            if let Some(what) = unreadable_twice(&full) {
                diagnostics.push(
                    bad(format!("`{}` is \"{text}\", which is {what}", field.key))
                        .help("data and models are read several times: save them to a file first"),
                );
                return;
            }
            if full.exists() {
                return;
            }
            let mut diagnostic = bad(format!(
                "`{}` is \"{text}\", but there is no file or folder `{}`",
                field.key,
                full.display()
            ))
            .help(format!("expected {}", field.forms()));
            let words = field
                .words
                .iter()
                .filter(|word| !word.is_empty())
                .map(|word| (*word).to_owned())
                .chain(field.builtins().map(|name| format!("builtin:{name}")))
                .collect::<Vec<String>>();
            if let Some(near) = did_you_mean(text, words.iter().map(String::as_str)) {
                diagnostic = diagnostic.fix(node.origin, format!("\"{near}\""));
            } else if stage.experiment.files.file(node.origin).name != "--set" && path.is_relative()
            {
                diagnostic =
                    diagnostic.help("relative paths start from the folder of the experiment file");
            }
            diagnostics.push(diagnostic);
        }
        Ok(SourceRef::Word(_) | SourceRef::Source(Source::Builtin(_) | Source::Hub(_))) => {}
    }
}
