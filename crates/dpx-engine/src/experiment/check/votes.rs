//! Votes of a `select` stage: what excludes what, and that they are drawn from the pool that they were cast for.

use super::values::Resolved;
use crate::experiment::diagnostic::{Code, Diagnostic};
use dpx_schema::Kind;

/// Keys of the other way of voting.
pub(super) fn own(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let (without, by) = match stage.text("by") {
        "nearest" => ("clusters", "clusters"),
        _ => ("votes_per_text", "nearest"),
    };
    if stage.is_written(without) {
        diagnostics.push(stage.no_effect(
            without,
            format!("`{without}` has no effect without `by = \"{by}\"`"),
        ));
    }
}

/// A `sample` stage with votes draws from their pool; keys of votes have no effect elsewhere.
pub(super) fn drawn_by(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let Some(votes) = stage.needs().find(|need| need.kind == Kind::Select) else {
        for key in ["vote_threshold", "contrast"] {
            if stage.is_written(key) {
                diagnostics.push(stage.no_effect(
                    key,
                    format!("`{key}` has no effect without a `select` stage among the needs"),
                ));
            }
        }
        return;
    };
    let is_pool = |name: &str| {
        let mut stages = stage.experiment.stages.iter();
        stages.any(|other| other.name == name && other.kind == Kind::Sample)
    };
    let mut pools = votes.needs.iter().map(|(name, _)| name.as_str());
    let Some(pool) = pools.find(|name| is_pool(name)) else {
        // That the votes have no pool is told of them.
        return;
    };
    let own = stage.needs().find(|need| need.kind == Kind::Sample);
    if own.is_none_or(|own| own.name != pool) {
        let problem = match own {
            Some(own) => format!(
                "`{}` draws from the texts of `{}`, but `{}` are votes for those of `{pool}`",
                stage.stage.name, own.name, votes.name
            ),
            None => format!(
                "`{}` has votes for the texts of `{pool}`, but not the texts",
                stage.stage.name
            ),
        };
        diagnostics.push(
            Diagnostic::at(Code::MissingNeed, stage.stage.origin, problem)
                .context(votes.origin, "the votes")
                .help(format!("name `{pool}` in its `needs`")),
        );
    }
    if stage.is_written("contrast") && stage.text("contrast") != "auto" {
        let by = votes
            .fields
            .entry("by")
            .and_then(|entry| entry.node.as_str());
        if by == Some("nearest") {
            diagnostics.push(
                stage
                    .no_effect(
                        "contrast",
                        "`contrast` has no effect on votes for single texts",
                    )
                    .context(votes.origin, "`by = \"nearest\"`"),
            );
        }
    }
}
