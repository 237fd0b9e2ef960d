//! From a plan, its records and its artifacts to the study.

use super::facts::{facts, written};
use super::floor::floor;
use super::guarantee::{Records, guarantee};
use super::row_figures::Figures;
use super::rows::{self, RowPlan, has_teacher, replicate, role};
use super::settings::settings;
use super::sources::{AssembleError, Sources};
use super::study::{Audit, Axis, Guarantee, InstanceView, Reference, Role, Row, SampleRef, Study};
use super::values::score_figures;
use dpx_engine::plan::{InstanceId, Plan};
use dpx_schema::{INTERNAL_FOLDER, InstanceName, Kind, PrivacyRecord, PublicInputs};
use dpx_stages::audit::{AUDIT_FILE, AuditReport};
use dpx_stages::metric::{Classification, Spread};
use dpx_stages::preprocess::DatasetFindings;
use dpx_stages::sample::{SAMPLE_FILE, SampleReport};
use dpx_stages::score::{SCORES_FILE, Scores};
use dpx_stages::scrub::Tally;
use dpx_stages::truncation::{TRUNCATION_FILE, Truncation};
use std::collections::BTreeMap;

/// Puts the study together from whatever is finished.
///
/// # Errors
/// A file of a finished instance cannot be read or is not what it should be.
pub fn assemble(sources: &Sources<'_>) -> Result<Study, AssembleError> {
    let plan = sources.plan;
    let records = Records::read(sources)?;
    let rows: Vec<Row> = rows::rows(plan)
        .iter()
        .map(|row| assemble_row(sources, row, &records))
        .collect::<Result<_, _>>()?;
    let benchmark = assemble_benchmark(sources)?;
    let labels = benchmark
        .iter()
        .chain(&rows)
        .find_map(|row| row.classifications.first())
        .map(|found| found.figures.labels.clone())
        .or_else(|| {
            Some(
                rows.iter()
                    .find_map(|row| row.scores.as_ref())?
                    .labels
                    .clone(),
            )
        })
        .unwrap_or_default();
    let majority = majority(benchmark.as_ref(), &rows);
    let findings = findings(sources, &rows)?;
    let mut facts = facts(sources)?;
    let reference = own_reference(sources, &mut facts.notes);
    facts.notes.extend(several_columns(plan, &rows));
    let records = rows.iter().flat_map(|row| &row.guarantee.records);
    let declared_overlap = PublicInputs::of(records).declared_overlap;
    Ok(Study {
        schema_version: Study::SCHEMA_VERSION,
        dpx_version: env!("CARGO_PKG_VERSION").into(),
        experiment: plan.experiment.clone(),
        title: sources.title.unwrap_or(&plan.experiment).to_owned(),
        description: plan.description.clone(),
        seed: plan.seed,
        axes: plan
            .axes
            .iter()
            .map(|axis| Axis {
                name: axis.name.clone(),
                values: axis.values.clone(),
            })
            .collect(),
        labels,
        settings: settings(plan),
        finished: sources
            .known
            .iter()
            .filter(|known| known.record.is_some())
            .count() as u64,
        planned: plan.instances.len() as u64,
        benchmark,
        joint: super::joint::joint(&rows),
        rows,
        majority,
        reference,
        scrubbing: scrubbing(sources)?,
        findings,
        facts,
        declared_overlap,
        rehearsal: plan.is_rehearsal(),
        instances: (0..plan.instances.len())
            .map(|id| instance_view(sources, id))
            .collect(),
    })
}

/// Where texts have several columns of labels: which of them the figures without a column's name are of, and the figures of all.
fn several_columns(plan: &Plan, rows: &[Row]) -> Option<String> {
    let first = rows.iter().find_map(|row| row.classifications.first())?;
    let mut of_kind = plan.instances.iter();
    let main = of_kind
        .find(|instance| instance.stage == first.stage)
        .and_then(|instance| instance.params["attribute"].as_str())?;
    let of_row = |row: &Row| {
        let own = row.figures.iter().filter_map(|(id, spread)| {
            let column = id.strip_prefix("accuracy.")?;
            Some(format!("{column} {:.3}", spread.mean))
        });
        let own: Vec<String> = own.collect();
        (own.len() > 1).then(|| format!("row {}: {}", row.name, own.join(", ")))
    };
    let all: Vec<String> = rows.iter().filter_map(of_row).collect();
    (!all.is_empty()).then(|| {
        format!(
            "Accuracy, macro-F1 and the verdict are those of the column `{main}`. Accuracy by column, {}.",
            all.join("; ")
        )
    })
}

/// Published figures, where the study reads the data that they were measured on: figures of two data sets have no common axis.
fn own_reference(sources: &Sources<'_>, notes: &mut Vec<String>) -> Option<Reference> {
    let reference = sources.reference?;
    let at_any_commit = |name: &str| name.split('@').next().unwrap_or(name).to_owned();
    let data: Vec<String> = sources
        .plan
        .instances
        .iter()
        .filter(|instance| instance.kind == Kind::Preprocess)
        .filter_map(|instance| instance.params["dataset"].as_str().map(at_any_commit))
        .collect();
    let of = reference.dataset.as_deref().map(at_any_commit);
    let reads = |of: &String| !data.is_empty() && data.iter().all(|own| own == of);
    if of.as_ref().is_some_and(reads) {
        return Some(reference.clone());
    }
    let source = reference.source.as_deref().unwrap_or("published figures");
    notes.push(match of {
        Some(of) => format!(
            "Published figures are left out: they were measured on {of}, and this study reads other data ({source})."
        ),
        None => format!(
            "Published figures are left out: `[report.reference]` does not say which `dataset` they were measured on ({source})."
        ),
    });
    None
}

fn scrubbing(sources: &Sources<'_>) -> Result<BTreeMap<InstanceName, Tally>, AssembleError> {
    let mut found = BTreeMap::new();
    for (id, instance) in sources.plan.instances.iter().enumerate() {
        if instance.kind == Kind::Preprocess
            && let Some(tally) = sources.json(id, "scrub.json")?
        {
            found.insert(instance.name.clone(), tally);
        }
    }
    Ok(found)
}

/// What each finished instance found that a reader of the figures should know.
fn findings(
    sources: &Sources<'_>,
    rows: &[Row],
) -> Result<BTreeMap<InstanceName, Vec<String>>, AssembleError> {
    let mut found = BTreeMap::new();
    for (id, instance) in sources.plan.instances.iter().enumerate() {
        let lines = match instance.kind {
            Kind::Preprocess => sources.findings(id)?.map(|found| {
                let mut lines = found.messages();
                lines.extend(groups(rows, &found));
                lines
            }),
            Kind::Train | Kind::Classify => sources
                .json::<Truncation>(id, &format!("{INTERNAL_FOLDER}/{TRUNCATION_FILE}"))?
                .map(|found| found.messages()),
            Kind::Sample => sources
                .json::<SampleReport>(id, SAMPLE_FILE)?
                .map(|found| found.messages()),
            _ => None,
        };
        if let Some(lines) = lines.filter(|lines| !lines.is_empty()) {
            found.insert(instance.name.clone(), lines);
        }
    }
    Ok(found)
}

/// The epsilon of whoever has most records, as far as can be told, in each row.
fn groups(rows: &[Row], found: &DatasetFindings) -> Vec<String> {
    let multiplicity = found.largest_multiplicity();
    let busiest = found
        .people
        .as_ref()
        .is_some_and(|people| people.busiest == multiplicity);
    let of = |row: &Row| {
        let mut found = row.guarantee.groups.iter();
        let (size, epsilon) = found.find(|(size, _)| *size == multiplicity)?;
        let whom = if busiest {
            format!("the one who has {size} records")
        } else {
            format!("whoever wrote all {size} rows of one text")
        };
        Some(format!("{}: epsilon {epsilon} for {whom}", row.name))
    };
    if multiplicity < 2 {
        return Vec::new();
    }
    rows.iter().filter_map(of).collect()
}

fn instance_view(sources: &Sources<'_>, id: InstanceId) -> InstanceView {
    let instance = &sources.plan.instances[id];
    let record = sources.record(id);
    InstanceView {
        name: instance.name.clone(),
        stage: instance.stage.clone(),
        kind: instance.kind,
        needs: instance
            .needs
            .iter()
            .map(|need| sources.name(need.instance).clone())
            .collect(),
        state: sources.known[id].state,
        seconds: record.map(|record| record.wall_seconds),
        device: record.map(|record| record.device.clone()),
        finished_at: record.map(|record| record.finished_at.clone()),
        flow: record.map_or(instance.flow, |record| record.flow),
        dpx_version: record.map(|record| record.dpx_version.clone()),
        kind_version: record.map(|record| record.kind_version),
        key: record.map(|record| record.key.to_string()),
    }
}

fn assemble_row(
    sources: &Sources<'_>,
    row: &RowPlan,
    records: &Records,
) -> Result<Row, AssembleError> {
    let plan = sources.plan;
    let mut figures = Figures::default();
    let mut scores: Option<Scores> = None;
    let mut audit = None;
    let scored_stage = main_score_stage(plan, &row.own);
    for &id in &row.own {
        let instance = &plan.instances[id];
        match instance.kind {
            Kind::Classify => match (role(plan, id), taught_nothing(plan, records, id)) {
                (Some(role), false) => figures.classify(sources, id, role)?,
                // Such texts carry the generator's own labels, as those of the row's other samples do.
                (Some(Role::WithTeacher), true) if !has_own_labels(plan, &row.own) => {
                    figures.classify(sources, id, Role::OwnLabels)?;
                }
                _ => {}
            },
            Kind::Score if Some(instance.stage.as_str()) == scored_stage => {
                if let Some(found) = sources.json::<Scores>(id, SCORES_FILE)? {
                    for (name, value, ceiling) in score_figures(&found) {
                        figures.add(&name, value);
                        if let Some(ceiling) = ceiling {
                            figures.ceilings.entry(name).or_default().push(ceiling);
                        }
                    }
                    scores.get_or_insert(found);
                }
            }
            Kind::Audit => {
                if let Some(found) = sources
                    .json::<AuditReport>(id, AUDIT_FILE)?
                    .map(Audit::from)
                {
                    figures.add("audit_lower", found.lower);
                    audit.get_or_insert(found);
                }
            }
            _ => {}
        }
    }
    let samples: Vec<SampleRef> = rows::samples(plan, row)
        .map(|id| sample_ref(sources, row, id))
        .collect::<Result<_, _>>()?;
    let replicates: std::collections::BTreeSet<_> = row
        .own
        .iter()
        .map(|&id| replicate(&plan.instances[id]))
        .collect();
    let replicates = replicates
        .iter()
        .filter(|value| value.is_some())
        .count()
        .max(1);
    let guarantee = guarantee(sources, row, records)?;
    let texts = samples.first().and_then(|sample| sample.texts);
    let floor = if figures.classifications.is_empty() {
        None
    } else {
        floor(sources, row, &guarantee, texts)
    };
    Ok(Row {
        name: row.name.clone(),
        label: row.label.clone(),
        axes: row.axes.clone(),
        guarantee,
        intervals: figures.intervals(),
        floor,
        written: written(sources, &row.own)?,
        replicates: replicates as u64,
        replicates_finished: figures.values.values().map(Vec::len).max().unwrap_or(0) as u64,
        complete: row.own.iter().all(|&id| sources.known[id].record.is_some()),
        figures: spreads(&figures.values),
        ceilings: spreads(&figures.ceilings)
            .into_iter()
            .map(|(name, spread)| (name, spread.mean))
            .collect(),
        values: figures.values,
        classifications: figures.classifications,
        scores,
        audit,
        instances: row.own.iter().map(|&id| sources.name(id).clone()).collect(),
        seconds: seconds(sources, &row.own),
        samples,
    })
}

/// Whether a classifier has a teacher behind it that learnt nothing, as at epsilon 0: nothing is to be said of it then.
fn taught_nothing(plan: &Plan, records: &Records, id: InstanceId) -> bool {
    plan.ancestors(id).into_iter().any(|teacher| {
        plan.instances[teacher].kind == Kind::Teacher
            && matches!(records.get(teacher), Some(PrivacyRecord::Untouched(_)))
    })
}

fn has_own_labels(plan: &Plan, own: &[InstanceId]) -> bool {
    own.iter()
        .any(|&id| role(plan, id) == Some(Role::OwnLabels))
}

fn spreads(values: &BTreeMap<String, Vec<f64>>) -> BTreeMap<String, Spread> {
    values
        .iter()
        .filter_map(|(name, values)| Some((name.clone(), Spread::of(values.iter().copied())?)))
        .collect()
}

fn seconds(sources: &Sources<'_>, ids: &[InstanceId]) -> f64 {
    ids.iter()
        .filter_map(|&id| sources.record(id))
        .map(|record| record.wall_seconds)
        .sum()
}

/// The score stage whose figures are the row's: that of the generator's own texts before that of a teacher's choice.
fn main_score_stage<'a>(plan: &'a Plan, own: &[InstanceId]) -> Option<&'a str> {
    let scores = own
        .iter()
        .filter(|&&id| plan.instances[id].kind == Kind::Score);
    scores
        .min_by_key(|&&id| {
            let samples = plan.instances[id].needs.iter().map(|need| need.instance);
            let mut samples = samples.filter(|&need| plan.instances[need].kind == Kind::Sample);
            samples.any(|sample| has_teacher(plan, sample))
        })
        .map(|&id| plan.instances[id].stage.as_str())
}

fn sample_ref(
    sources: &Sources<'_>,
    row: &RowPlan,
    id: InstanceId,
) -> Result<SampleRef, AssembleError> {
    let instance = &sources.plan.instances[id];
    let report: Option<SampleReport> = sources.json(id, SAMPLE_FILE)?;
    Ok(SampleRef {
        instance: instance.name.clone(),
        replicate: replicate(instance),
        texts: report.map(|report| report.texts),
        file: rows::sample_file(sources.plan, row, id),
        flow: sources
            .record(id)
            .map_or(instance.flow, |record| record.flow),
    })
}

fn assemble_benchmark(sources: &Sources<'_>) -> Result<Option<Row>, AssembleError> {
    let plan = sources.plan;
    let own: Vec<InstanceId> = (0..plan.instances.len())
        .filter(|&id| role(plan, id) == Some(Role::Benchmark))
        .collect();
    if own.is_empty() {
        return Ok(None);
    }
    let mut figures = Figures::default();
    for &id in &own {
        figures.classify(sources, id, Role::Benchmark)?;
    }
    Ok(Some(Row {
        name: Row::BENCHMARK.into(),
        label: Row::BENCHMARK.into(),
        axes: BTreeMap::new(),
        guarantee: Guarantee::none(),
        intervals: figures.intervals(),
        floor: None,
        written: None,
        replicates: own.len() as u64,
        replicates_finished: figures.values.values().map(Vec::len).max().unwrap_or(0) as u64,
        complete: own.iter().all(|&id| sources.known[id].record.is_some()),
        figures: spreads(&figures.values),
        ceilings: BTreeMap::new(),
        values: figures.values,
        classifications: figures.classifications,
        scores: None,
        audit: None,
        instances: own.iter().map(|&id| sources.name(id).clone()).collect(),
        seconds: seconds(sources, &own),
        samples: Vec::new(),
    }))
}

/// The floor on the test texts that the classifications were made on.
fn majority(benchmark: Option<&Row>, rows: &[Row]) -> Option<Classification> {
    let figures = &benchmark
        .into_iter()
        .chain(rows)
        .find_map(|row| row.classifications.first())?
        .figures;
    let support: Vec<u64> = figures
        .per_label
        .iter()
        .map(|label| label.support)
        .collect();
    let training = rows
        .iter()
        .find_map(|row| row.scores.as_ref())
        .map(|scores| &scores.label_shares.real);
    let frequencies = training
        .filter(|counts| counts.len() == support.len())
        .unwrap_or(&support);
    let mut winner = 0;
    for (index, frequency) in frequencies.iter().enumerate() {
        if *frequency > frequencies[winner] {
            winner = index;
        }
    }
    let matrix = support
        .iter()
        .map(|&count| {
            (0..support.len())
                .map(|label| if label == winner { count } else { 0 })
                .collect()
        })
        .collect();
    Classification::from_matrix(&figures.labels, matrix).ok()
}
