//! What would make a claim false, refused before anything runs: one budget over several data sets, one claim under two
//! adjacencies or at two deltas.

use crate::experiment::checked::{Experiment, Stage};
use crate::experiment::diagnostic::{Code, Diagnostic};
use crate::experiment::files::Origin;
use dpx_schema::{Kind, Unit};
use std::collections::BTreeSet;

/// Checks what the private stages behind each set of texts can claim together.
pub(crate) fn claims(experiment: &Experiment, diagnostics: &mut Vec<Diagnostic>) {
    one_data_set(experiment, diagnostics);
    one_column_of_people(experiment, diagnostics);
    let mut told = BTreeSet::new();
    for sample in &experiment.stages {
        if sample.kind != Kind::Sample {
            continue;
        }
        let private: Vec<&Stage> = behind(experiment, sample)
            .into_iter()
            .filter(|stage| stage.kind.spends())
            .collect();
        one_adjacency(&private, &mut told, diagnostics);
        one_delta(experiment, &private, &mut told, diagnostics);
    }
}

/// A stage's own name and all that it depends on, in the file's order.
fn behind<'a>(experiment: &'a Experiment, stage: &Stage) -> Vec<&'a Stage> {
    let mut names = BTreeSet::new();
    let mut open = vec![stage.name.as_str()];
    while let Some(name) = open.pop() {
        let found = experiment.stages.iter().find(|stage| stage.name == name);
        if let Some(found) = found.filter(|_| names.insert(name)) {
            open.extend(found.needs.iter().map(|(need, _)| need.as_str()));
        }
    }
    let stages = experiment.stages.iter();
    stages
        .filter(|stage| names.contains(stage.name.as_str()))
        .collect()
}

/// People whom one column tells apart are others than those of another column: what protects the ones and what protects the
/// others has no claim together.
fn one_column_of_people(experiment: &Experiment, diagnostics: &mut Vec<Diagnostic>) {
    if experiment.privacy.unit != Unit::User {
        return;
    }
    let mut known: BTreeSet<String> = BTreeSet::new();
    for stage in &experiment.stages {
        if stage.kind != Kind::Preprocess {
            continue;
        }
        let Some(param) = stage.fields.get("unit_column") else {
            continue;
        };
        let Some(column) = param.as_str() else {
            continue;
        };
        let of_axis = column.strip_prefix('$').and_then(|name| {
            let mut axes = experiment.axes.iter();
            axes.find(|axis| axis.name == name)
        });
        match of_axis {
            Some(axis) => known.extend(axis.values().iter().map(ToString::to_string)),
            None => {
                known.insert(serde_json::Value::from(column).to_string());
            }
        }
        if known.len() > 1 {
            let names: Vec<&str> = known.iter().map(String::as_str).collect();
            diagnostics.push(
                Diagnostic::at(
                    Code::MixedClaim,
                    param.origin,
                    format!(
                        "one study tells people apart by {}: who is one person by the one may be several by the other, so that \
                         nothing of both can be claimed together",
                        names.join(" and ")
                    ),
                )
                .help("name one column for all of the study, that of the person whom the release must protect"),
            );
            return;
        }
    }
}

/// The stages of one budget must read one data set: noise that was planned over another protects nobody.
fn one_data_set(experiment: &Experiment, diagnostics: &mut Vec<Diagnostic>) {
    let data = |stage: &Stage| -> Option<(String, Origin)> {
        let reads = |name: &str| {
            let mut stages = experiment.stages.iter();
            stages.any(|other| other.name == name && other.kind == Kind::Preprocess)
        };
        let mut needs = stage.needs.iter();
        needs.find(|(name, _)| reads(name)).cloned()
    };
    let members: Vec<&Stage> = experiment
        .stages
        .iter()
        .filter(|stage| experiment.privacy.split.contains_key(&stage.name))
        .collect();
    let Some((first, rest)) = members.split_first() else {
        return;
    };
    let Some((own, origin)) = data(first) else {
        return;
    };
    for stage in rest {
        if let Some((other, at)) = data(stage).filter(|(other, _)| *other != own) {
            diagnostics.push(
                Diagnostic::at(
                    Code::MixedBudget,
                    at,
                    format!(
                        "`{}` and `{}` share one budget, but one reads `{other}` and the other `{own}`",
                        stage.name, first.name
                    ),
                )
                .context(origin, "the other data set")
                .help("a budget is spent on one data set: leave one of the stages out of `split`, or let both read the same"),
            );
        }
    }
}

fn one_adjacency(
    private: &[&Stage],
    told: &mut BTreeSet<(String, &'static str)>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let stated = |stage: &&&Stage| {
        stage.kind == Kind::Train
            && stage.fields.entry("sampling_rate").is_some()
            && stage.fields.entry("steps").is_some()
    };
    let Some(one) = private.iter().find(stated) else {
        return;
    };
    let Some(other) = private.iter().find(|stage| !stated(stage)) else {
        return;
    };
    let Some(entry) = one.fields.entry("sampling_rate") else {
        return;
    };
    if told.insert((one.name.clone(), "adjacency")) {
        diagnostics.push(
            Diagnostic::at(
                Code::MixedClaim,
                entry.key_origin,
                format!(
                    "`{}` states its sampling rate, so its guarantee is under add/remove adjacency, but that of `{}` behind the same \
                     texts is under zero-out adjacency",
                    one.name, other.name
                ),
            )
            .context(other.origin, "zero-out: the data set size is public")
            .help("one claim has one adjacency: leave out `sampling_rate` and `steps`, or the other stage"),
        );
    }
}

/// What a stage says of its delta.
struct Stated<'a> {
    stage: &'a Stage,
    /// Every value that it may have, as they are written.
    values: BTreeSet<String>,
    /// The axis that they are of.
    axis: Option<String>,
    origin: Origin,
}

impl<'a> Stated<'a> {
    fn of(experiment: &Experiment, stage: &'a Stage) -> Self {
        let written = stage.fields.entry("delta");
        let (value, origin) = match written {
            Some(entry) => (entry.node.to_json(), entry.node.origin),
            // `[privacy]` speaks for it, where it says a number.
            None => (
                serde_json::to_value(experiment.privacy.delta)
                    .ok()
                    .filter(|delta| !delta.is_null())
                    .unwrap_or_else(|| "auto".into()),
                stage.origin,
            ),
        };
        let axis = value.as_str().and_then(|text| text.strip_prefix('$'));
        let values = axis.and_then(|name| {
            let mut axes = experiment.axes.iter();
            Some(axes.find(|axis| axis.name == name)?.values())
        });
        Self {
            stage,
            axis: axis.map(str::to_owned),
            values: values
                .unwrap_or_else(|| vec![value.clone()])
                .iter()
                .map(|value| match value.as_f64() {
                    Some(number) => format!("{number:e}"),
                    None => value.to_string(),
                })
                .collect(),
            origin,
        }
    }

    /// Whether two stages have the same delta behind every set of texts: one axis has one value there.
    fn agrees(&self, other: &Self) -> bool {
        let is_one_axis = self.axis.is_some() && self.axis == other.axis;
        is_one_axis || (self.values == other.values && self.values.len() == 1)
    }

    fn words(&self) -> String {
        let values: Vec<&str> = self.values.iter().map(String::as_str).collect();
        values.join(" or ")
    }
}

fn one_delta(
    experiment: &Experiment,
    private: &[&Stage],
    told: &mut BTreeSet<(String, &'static str)>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut stated = private.iter().map(|stage| Stated::of(experiment, stage));
    let Some(first) = stated.next() else {
        return;
    };
    for other in stated {
        if !other.agrees(&first) && told.insert((other.stage.name.clone(), "delta")) {
            diagnostics.push(
                Diagnostic::at(
                    Code::MixedClaim,
                    other.origin,
                    format!(
                        "`{}` has delta {}, but `{}` behind the same texts has {}",
                        other.stage.name,
                        other.words(),
                        first.stage.name,
                        first.words()
                    ),
                )
                .context(first.origin, "the other")
                .help("one claim has one delta: write the same for both, or `\"auto\"`"),
            );
        }
    }
}
