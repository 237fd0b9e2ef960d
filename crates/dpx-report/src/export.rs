//! `results.json`, `results.csv` and Markdown.

#![expect(
    clippy::format_push_string,
    reason = "a page is written once, and reads better this way"
)]

use super::claim;
use super::metric::{Group, METRICS, OF_SOME_STUDIES};
use super::study::Study;
use super::table::{Table, group, interval_note, summary};
use super::verdict::verdict;
use dpx_accounting::{DeltaBound, EpsilonBound};

/// `results.json`.
///
/// # Errors
/// When a figure cannot be written as JSON.
pub fn json(study: &Study) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(study)?;
    text.push('\n');
    Ok(text)
}

/// `results.csv`: one line per row of the study; per figure its mean, standard deviation, number and ceiling.
///
/// # Errors
/// When it cannot be written to memory, which does not happen.
pub fn csv(study: &Study) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header: Vec<String> = vec!["row".into()];
    header.extend(
        study
            .axes
            .iter()
            .filter(|axis| axis.name != "replicate")
            .map(|axis| axis.name.clone()),
    );
    for name in [
        "guarantee",
        "epsilon_certified",
        "epsilon_rdp",
        "epsilon_prv",
        "delta",
        "noise_multiplier",
        "seconds",
        "floor_accuracy",
        "floor_macro_f1",
        "verdict",
        "texts",
        "texts_dropped",
        "texts_repeated",
        "ended_share",
    ] {
        header.push(name.into());
    }
    let has = |id: &str| study.all_rows().any(|row| row.figures.contains_key(id));
    let metrics: Vec<_> = METRICS
        .iter()
        .filter(|metric| !OF_SOME_STUDIES.contains(&metric.id) || has(metric.id))
        .collect();
    for metric in &metrics {
        for part in ["", "_sd", "_n", "_low", "_high", "_ceiling"] {
            header.push(format!("{}{part}", metric.id));
        }
    }
    writer.write_record(&header)?;
    let shown = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    for row in study.all_rows() {
        let mut record = vec![row.name.clone()];
        for axis in study.axes.iter().filter(|axis| axis.name != "replicate") {
            record.push(
                row.axes
                    .get(&axis.name)
                    .map(super::rows::word)
                    .unwrap_or_default(),
            );
        }
        let certified = row.guarantee.certified.as_ref();
        let one = match row.guarantee.mechanisms.as_slice() {
            [one] => one.noise_multiplier,
            _ => None,
        };
        record.push(row.guarantee.kind.words().into());
        record.push(shown(row.guarantee.epsilon.map(EpsilonBound::value)));
        record.push(shown(certified.map(|certified| certified.rdp.value())));
        record.push(shown(
            certified.map(|certified| certified.prv.upper.value()),
        ));
        record.push(shown(row.guarantee.delta.map(DeltaBound::value)));
        record.push(shown(one));
        record.push(row.seconds.to_string());
        record.push(shown(row.floor.map(|floor| floor.accuracy)));
        record.push(shown(row.floor.map(|floor| floor.macro_f1)));
        record.push(
            verdict(study, row)
                .map(|verdict| verdict.short)
                .unwrap_or_default(),
        );
        let written = row.written.as_ref();
        let count = |count: Option<u64>| count.map(|count| count.to_string()).unwrap_or_default();
        record.push(count(written.map(|written| written.texts)));
        record.push(count(written.map(|written| written.dropped)));
        record.push(count(written.map(|written| written.repeated)));
        record.push(shown(written.and_then(|written| written.ended)));
        for metric in &metrics {
            let figure = row.figures.get(metric.id);
            record.push(shown(figure.map(|figure| figure.mean)));
            record.push(shown(figure.and_then(|figure| figure.sd)));
            record.push(
                figure
                    .map(|figure| figure.n.to_string())
                    .unwrap_or_default(),
            );
            let interval = row.intervals.get(metric.id);
            record.push(shown(interval.map(|interval| interval.low)));
            record.push(shown(interval.map(|interval| interval.high)));
            record.push(shown(row.ceilings.get(metric.id).copied()));
        }
        writer.write_record(&record)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// One line per row, replicate and metric, for plotting: name of the row, its axes, guarantee, metric, replicate, value, and
/// where there is one run the interval over its test texts. With no names all metrics, those of each label included.
///
/// # Errors
/// When it cannot be written to memory, which does not happen.
pub fn long_csv(study: &Study, names: &[String]) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let axes: Vec<&str> = study
        .axes
        .iter()
        .map(|axis| axis.name.as_str())
        .filter(|name| *name != "replicate")
        .collect();
    let mut header = vec!["row"];
    header.extend(&axes);
    header.extend([
        "guarantee",
        "epsilon_certified",
        "delta",
        "metric",
        "replicate",
        "value",
        "low",
        "high",
        "ceiling",
    ]);
    writer.write_record(&header)?;
    let shown = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    for row in study.all_rows() {
        for (name, values) in &row.values {
            if !names.is_empty() && !names.contains(name) {
                continue;
            }
            let interval = row.intervals.get(name);
            for (at, value) in values.iter().enumerate() {
                let mut record = vec![row.name.clone()];
                record.extend(axes.iter().map(|axis| {
                    row.axes
                        .get(*axis)
                        .map(super::rows::word)
                        .unwrap_or_default()
                }));
                record.push(row.guarantee.kind.words().into());
                record.push(shown(row.guarantee.epsilon.map(EpsilonBound::value)));
                record.push(shown(row.guarantee.delta.map(DeltaBound::value)));
                record.push(name.clone());
                record.push((at + 1).to_string());
                record.push(value.to_string());
                record.push(shown(interval.map(|interval| interval.low)));
                record.push(shown(interval.map(|interval| interval.high)));
                record.push(shown(row.ceilings.get(name).copied()));
                writer.write_record(&record)?;
            }
        }
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The study in short, as Markdown: its claim, whether the texts are fit for use, and the summary as a table.
pub fn markdown(study: &Study) -> String {
    let mut text = format!("# {}\n\n{}\n\n", study.title, claim::claim(study));
    if let Some(sentence) = claim::fitness(study) {
        text.push_str(&format!("**{sentence}**\n\n"));
    }
    text.push_str(&format!("{}\n\n", study.facts.sentence(&study.dpx_version)));
    for note in &study.facts.notes {
        text.push_str(&format!("{note}\n\n"));
    }
    for warning in claim::warnings(study) {
        text.push_str(&format!("> {warning}\n\n"));
    }
    text.push_str(&markdown_table(&summary(study)));
    text.push_str(&format!(
        "\nColumns marked with * are {}.\n",
        study.internal()
    ));
    if let Some(note) = interval_note(study) {
        text.push_str(&format!("\n{note}.\n"));
    }
    if let Some(note) = claim::few_texts(study) {
        text.push_str(&format!("\n{note}.\n"));
    }
    if let Some(sentence) = claim::measured_with(study) {
        text.push_str(&format!("\n{sentence}\n"));
    }
    for (kind, title) in [
        (Group::Fidelity, "Fidelity"),
        (Group::Leakage, "Leakage (diagnostics, not a guarantee)"),
    ] {
        let table = group(study, kind, title);
        if !table.rows.is_empty() {
            // The heading says already what the caption begins with.
            let more = table.caption.strip_prefix(title).unwrap_or(&table.caption);
            let more = more.trim_start_matches([';', ' ']);
            let mut letters = more.chars();
            let sentence = letters.next().map_or_else(String::new, |first| {
                format!("{}{}.\n\n", first.to_uppercase(), letters.as_str())
            });
            text.push_str(&format!(
                "\n## {title}\n\n{sentence}{}",
                markdown_table(&table)
            ));
        }
    }
    if let Some(joint) = claim::joint(study) {
        text.push_str(&format!("\n{joint}\n"));
    }
    text
}

fn markdown_table(table: &Table) -> String {
    let line = |cells: Vec<String>| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = line(
        table
            .columns
            .iter()
            .map(|column| {
                format!(
                    "{}{}",
                    column.heading,
                    if column.internal { " *" } else { "" }
                )
            })
            .collect(),
    );
    text.push_str(&line(table.columns.iter().map(|_| "---".into()).collect()));
    for row in &table.rows {
        text.push_str(&line(row.clone()));
    }
    text
}
