//! Two studies side by side: what differs, and what it did to each figure.

use super::format::with_interval;
use super::metric::{Direction, METRICS};
use super::study::{Row, Study};
use super::table::{Column, NOTHING, Table, number, spread};
use dpx_stages::metric::{Interval, Spread};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How a figure of one study compares with that of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Better by more than chance.
    Improved,
    /// Worse by more than chance.
    Worsened,
    /// No larger than what chance gives.
    WithinNoise,
    /// One run on either side: nothing is known of how much another run would differ.
    SingleRun,
    /// Measured differently, or on one side only.
    NotComparable,
}

impl Verdict {
    /// In words, as the table shows it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Improved => "improved",
            Self::Worsened => "worsened",
            Self::WithinNoise => "within noise",
            Self::SingleRun => "no verdict: one run",
            Self::NotComparable => "not comparable",
        }
    }
}

/// One figure of one row on both sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Change {
    pub row: String,
    /// Id of the metric.
    pub figure: &'static str,
    /// In the first study, over its replicates.
    pub old: Option<Spread>,
    /// In the second study, over its replicates.
    pub new: Option<Spread>,
    /// Bootstrap interval over the test texts in the first study, where it is one run.
    pub old_interval: Option<Interval>,
    /// The same in the second study.
    pub new_interval: Option<Interval>,
    pub verdict: Verdict,
    /// Why, where it is not comparable.
    pub why: Option<String>,
}

/// What differs between two studies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// What makes the figures hard to compare: other data, another program.
    pub warnings: Vec<String>,
    /// Settings that differ: name, old, new.
    pub settings: Vec<(String, Option<Value>, Option<Value>)>,
    /// Names of rows that only the first study has.
    pub only_old: Vec<String>,
    /// Names of rows that only the second study has.
    pub only_new: Vec<String>,
    /// Every figure of every common row.
    pub changes: Vec<Change>,
}

/// Compares two studies, row by row and figure by figure.
pub fn compare(old: &Study, new: &Study) -> Comparison {
    let (old_settings, new_settings) = (&old.settings, &new.settings);
    let names: BTreeSet<&String> = old_settings.keys().chain(new_settings.keys()).collect();
    let settings = names
        .into_iter()
        .filter(|name| old_settings.get(*name) != new_settings.get(*name))
        // The journal of a run does not tell its seed.
        .filter(|name| {
            name.as_str() != SEED
                || (old_settings.contains_key(SEED) && new_settings.contains_key(SEED))
        })
        .map(|name| {
            (
                name.clone(),
                old_settings.get(name).cloned(),
                new_settings.get(name).cloned(),
            )
        })
        .collect();
    let lacking = |of: &Study, other: &Study| -> Vec<String> {
        of.all_rows()
            .filter(|row| other.all_rows().all(|twin| twin.name != row.name))
            .map(|row| row.name.clone())
            .collect()
    };
    let mut changes = Vec::new();
    for row in old.all_rows() {
        let Some(twin) = new.all_rows().find(|twin| twin.name == row.name) else {
            continue;
        };
        for metric in METRICS {
            let (before, after) = (row.figures.get(metric.id), twin.figures.get(metric.id));
            if before.is_none() && after.is_none() {
                continue;
            }
            let why = obstacle(row, twin, metric.id);
            let verdict = match (before, after, &why) {
                (Some(before), Some(after), None) => verdict(
                    before,
                    after,
                    metric.direction,
                    row.ceilings.get(metric.id).copied(),
                ),
                _ => Verdict::NotComparable,
            };
            changes.push(Change {
                row: row.name.clone(),
                figure: metric.id,
                old: before.copied(),
                new: after.copied(),
                old_interval: row.intervals.get(metric.id).copied(),
                new_interval: twin.intervals.get(metric.id).copied(),
                verdict,
                why: why.or_else(|| match (before, after) {
                    (None, _) => Some("only in the second".into()),
                    (_, None) => Some("only in the first".into()),
                    _ => None,
                }),
            });
        }
    }
    Comparison {
        warnings: warnings(old, new),
        settings,
        only_old: lacking(old, new),
        only_new: lacking(new, old),
        changes,
    }
}

/// Name of the setting that the journal of a run lacks.
pub const SEED: &str = "experiment.seed";

/// What makes the figures hard to compare, whatever the settings say.
fn warnings(old: &Study, new: &Study) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, before) in &old.settings {
        let stage = name
            .strip_suffix(".dataset (content)")
            .and_then(|name| name.strip_prefix("stage."));
        if let (Some(stage), Some(after)) = (stage, new.settings.get(name))
            && before != after
        {
            warnings.push(format!(
                "The data differ: stage `{stage}` read other content. A difference in a figure may come from the texts alone."
            ));
        }
    }
    let (before, after) = (versions(old), versions(new));
    if before != after && !before.is_empty() && !after.is_empty() {
        warnings.push(format!(
            "The versions of dpx differ: {} and {}. A difference in a figure may come from the program alone.",
            before.join(", "),
            after.join(", ")
        ));
    }
    for (kind, version) in meanings(old) {
        match meanings(new).get(&kind) {
            Some(other) if *other != version => warnings.push(format!(
                "Stages of kind `{kind}` changed their meaning between the two (version {version} and {other}): their figures are not of one sort."
            )),
            _ => {}
        }
    }
    warnings
}

/// The versions of dpx that made the artifacts of a study.
fn versions(study: &Study) -> Vec<&str> {
    let instances = study.instances.iter();
    let found: BTreeSet<&str> = instances
        .filter_map(|instance| instance.dpx_version.as_deref())
        .collect();
    found.into_iter().collect()
}

/// The newest version of each kind's meaning among the finished instances.
fn meanings(study: &Study) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for instance in &study.instances {
        if let Some(version) = instance.kind_version {
            let newest = found.entry(instance.kind.to_string()).or_insert(version);
            *newest = version.max(*newest);
        }
    }
    found
}

/// Why two figures of one name measure different things.
fn obstacle(old: &Row, new: &Row, id: &str) -> Option<String> {
    if id.starts_with("accuracy") || id.starts_with("macro_f1") {
        let support = |row: &Row| {
            row.main_classification().map(|found| {
                let labels = found.figures.per_label.iter();
                let times = row.replicates_finished.max(1);
                labels
                    .map(|label| (label.label.clone(), label.support / times))
                    .collect::<Vec<_>>()
            })
        };
        return match (support(old), support(new)) {
            (Some(a), Some(b)) if a != b => Some("other test texts or labels".into()),
            _ => None,
        };
    }
    let (a, b) = (old.scores.as_ref()?, new.scores.as_ref()?);
    if (a.n.training, a.n.held_out) != (b.n.training, b.n.held_out)
        || a.label_shares.real != b.label_shares.real
    {
        return Some("other data".into());
    }
    let embedded = [
        "similarity",
        "similarity_backward",
        "mauve",
        "mauve_star",
        "discriminator_auc",
        "knn_precision",
        "knn_recall",
        "nearer_to_training",
    ];
    if embedded.contains(&id) && a.encoder != b.encoder {
        return Some(format!("other encoder: {} and {}", a.encoder, b.encoder));
    }
    if (embedded.contains(&id) || id.starts_with("distinct") || id == "self_bleu")
        && (a.n.synthetic, a.n.embedded) != (b.n.synthetic, b.n.embedded)
    {
        return Some(format!(
            "other numbers of texts: {} and {}",
            a.n.synthetic, b.n.synthetic
        ));
    }
    if id.starts_with("mauve")
        && let (Some(a), Some(b)) = (&a.mauve, &b.mauve)
        && a.synthetic.clusters != b.synthetic.clusters
    {
        return Some(format!(
            "other numbers of clusters: {} and {}",
            a.synthetic.clusters, b.synthetic.clusters
        ));
    }
    None
}

/// By Welch's test at 95% over the replicates of both sides (Welch 1947). Intervals over test texts say nothing of what another
/// seed would change, so that single runs have no verdict.
fn verdict(old: &Spread, new: &Spread, direction: Direction, ceiling: Option<f64>) -> Verdict {
    if old.mean == new.mean {
        return Verdict::WithinNoise;
    }
    let (Some(before), Some(after)) = (old.sd, new.sd) else {
        return Verdict::SingleRun;
    };
    let [a, b] = [(before, old.n), (after, new.n)].map(|(sd, n)| sd * sd / n as f64);
    let freedom = (a + b).powi(2)
        / (a * a / (old.n - 1) as f64 + b * b / (new.n - 1) as f64).max(f64::MIN_POSITIVE);
    let noise = student_975(freedom) * (a + b).sqrt();
    let gain = match (direction, ceiling) {
        (Direction::Higher, _) | (Direction::Ceiling, None) => new.mean - old.mean,
        (Direction::Lower, _) => old.mean - new.mean,
        (Direction::Ceiling, Some(ceiling)) => {
            (old.mean - ceiling).abs() - (new.mean - ceiling).abs()
        }
    };
    if gain.abs() <= noise {
        Verdict::WithinNoise
    } else if gain > 0.0 {
        Verdict::Improved
    } else {
        Verdict::Worsened
    }
}

/// The 0.975 quantile of Student's t; between the tabled degrees of freedom that of the fewer, which is the larger.
fn student_975(freedom: f64) -> f64 {
    const TABLE: [(f64, f64); 11] = [
        (120.0, 1.980),
        (60.0, 2.000),
        (30.0, 2.042),
        (20.0, 2.086),
        (10.0, 2.228),
        (7.0, 2.365),
        (5.0, 2.571),
        (4.0, 2.776),
        (3.0, 3.182),
        (2.0, 4.303),
        (1.0, 12.706),
    ];
    let found = TABLE.iter().find(|(least, _)| freedom >= *least - 1e-9);
    found.map_or(12.706, |(_, quantile)| *quantile)
}

impl Comparison {
    /// For people: the settings that differ.
    pub fn settings_table(&self) -> Table {
        let shown = |value: &Option<Value>| {
            value
                .as_ref()
                .map_or_else(|| NOTHING.to_owned(), super::rows::word)
        };
        Table {
            caption: "What differs".into(),
            columns: ["setting", "old", "new"].map(Column::text).to_vec(),
            rows: self
                .settings
                .iter()
                .map(|(name, old, new)| vec![name.clone(), shown(old), shown(new)])
                .collect(),
        }
    }

    /// For people: each figure with its verdict, and where `spreads` says so with deviations and intervals. Figures with the same
    /// value on both sides are left out.
    pub fn changes_table(&self, spreads: bool) -> Table {
        let figure = |value: &Option<Spread>, interval: Option<Interval>| match (value, interval) {
            (None, _) => NOTHING.to_owned(),
            (Some(value), _) if !spreads => number(value.mean, 3),
            (Some(value), Some(interval)) if value.sd.is_none() => {
                with_interval(value.mean, interval, 3)
            }
            (Some(value), _) => spread(*value, 3),
        };
        let what = if spreads {
            "; ± standard deviation (replicates), [ ] 95% bootstrap interval over the test texts of one run"
        } else {
            ""
        };
        Table {
            caption: format!("What it did to each figure{what}"),
            columns: ["row", "metric", "old", "new", "verdict"]
                .map(Column::text)
                .to_vec(),
            rows: self
                .changes
                .iter()
                .filter(|change| change.old != change.new)
                .map(|change| {
                    let why = change
                        .why
                        .as_ref()
                        .map(|why| format!(": {why}"))
                        .unwrap_or_default();
                    vec![
                        change.row.clone(),
                        change.figure.to_owned(),
                        figure(&change.old, change.old_interval),
                        figure(&change.new, change.new_interval),
                        format!("{}{why}", change.verdict.words()),
                    ]
                })
                .collect(),
        }
    }
}

/// Flattens a JSON object to dotted names.
pub(crate) fn flatten(prefix: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let path = if prefix.is_empty() {
                    name.clone()
                } else {
                    format!("{prefix}.{name}")
                };
                flatten(&path, value, into);
            }
        }
        other => {
            into.insert(prefix.to_owned(), other.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(mean: f64) -> Spread {
        Spread {
            mean,
            sd: None,
            n: 1,
        }
    }

    #[test]
    fn verdicts_know_noise_and_direction() {
        let spread = |mean, sd| Spread {
            mean,
            sd: Some(sd),
            n: 3,
        };
        let higher = |old: &Spread, new: &Spread| verdict(old, new, Direction::Higher, None);
        assert_eq!(higher(&one(0.60), &one(0.90)), Verdict::SingleRun);
        assert_eq!(higher(&one(0.60), &spread(0.90, 0.01)), Verdict::SingleRun);
        assert_eq!(
            higher(&one(0.60), &one(0.60)),
            Verdict::WithinNoise,
            "the same figure"
        );
        assert_eq!(
            higher(&spread(0.6, 0.1), &spread(0.7, 0.1)),
            Verdict::WithinNoise
        );
        assert_eq!(
            higher(&spread(0.6, 0.01), &spread(0.7, 0.01)),
            Verdict::Improved
        );
        let found = verdict(
            &spread(0.6, 0.01),
            &spread(0.7, 0.01),
            Direction::Lower,
            None,
        );
        assert_eq!(found, Verdict::Worsened);
        // Two replicates each: 2.3 standard errors are not enough, since both deviations are guesses.
        let two = |mean| Spread {
            mean,
            sd: Some(0.01),
            n: 2,
        };
        assert_eq!(higher(&two(0.60), &two(0.623)), Verdict::WithinNoise);
        // Beyond the ceiling is no improvement.
        let found = verdict(
            &spread(0.50, 0.01),
            &spread(0.80, 0.01),
            Direction::Ceiling,
            Some(0.52),
        );
        assert_eq!(found, Verdict::Worsened);
    }

    #[test]
    fn quantiles_of_student_are_never_too_small() {
        assert_eq!(
            [1.0, 1.9, 2.0, 4.5, 1e9, f64::NAN].map(student_975),
            [12.706, 12.706, 4.303, 2.776, 1.980, 12.706]
        );
    }
}
