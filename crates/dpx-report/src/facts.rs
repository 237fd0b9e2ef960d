//! What a reader asks first: how many texts, of what quality, when, with what, how long.

use super::sources::{AssembleError, Sources};
use super::study::Row;
use super::table::{Column, NOTHING, Table, number};
use dpx_engine::clock::duration;
use dpx_engine::plan::InstanceId;
use dpx_schema::{INTERNAL_FOLDER, InstanceName, Kind, grouped};
use dpx_stages::sample::{SAMPLE_FILE, SampleReport};
use dpx_stages::truncation::{TRUNCATION_FILE, Truncation};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Facts of the whole study.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// The data, one per `preprocess` instance.
    pub data: Vec<Data>,
    /// When the last instance ended, RFC 3339.
    pub finished_at: Option<String>,
    /// Devices that instances really ran on.
    pub devices: Vec<String>,
    /// Seconds that all workers took, one after the other.
    pub seconds: f64,
    /// What is left out of the report, and why.
    pub notes: Vec<String>,
}

/// The texts of one `preprocess` instance; internal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Data {
    pub instance: InstanceName,
    pub training: u64,
    pub validation: u64,
    /// Texts of the test split.
    pub held_out: u64,
    /// Training texts that stand in an earlier row.
    pub repeated: u64,
}

/// What happened while texts were written, all replicates of a row together; of a row under a guarantee as public as the texts.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Written {
    /// Texts that the stages were asked for.
    pub asked: u64,
    /// Texts that the artifacts hold.
    pub texts: u64,
    /// Share of them that ended by themselves; nothing where no model wrote them.
    pub ended: Option<f64>,
    /// Texts that were left out: empty, with bytes that are no text, or there already.
    pub dropped: u64,
    /// Texts that were kept although they stood there already.
    pub repeated: u64,
    /// Training texts of the generator that were cut, of all; internal.
    pub truncated: Option<(u64, u64)>,
}

/// The facts of a study but for its notes.
pub(crate) fn facts(sources: &Sources<'_>) -> Result<Facts, AssembleError> {
    let mut found = Facts::default();
    let mut devices = BTreeSet::new();
    for (id, instance) in sources.plan.instances.iter().enumerate() {
        let Some(record) = sources.record(id) else {
            continue;
        };
        found.seconds += record.wall_seconds;
        found.finished_at = found.finished_at.max(Some(record.finished_at.clone()));
        devices.insert(record.device.clone());
        if instance.kind == Kind::Preprocess
            && let Some(findings) = sources.findings(id)?
        {
            let split = |name: &str| findings.splits.iter().find(|split| split.split == name);
            let texts = |name: &str| split(name).map_or(0, |split| split.texts);
            found.data.push(Data {
                instance: instance.name.clone(),
                training: texts("train"),
                validation: texts("validation"),
                held_out: texts("test"),
                repeated: split("train").map_or(0, |split| split.repeated),
            });
        }
    }
    found.devices = devices.into_iter().collect();
    Ok(found)
}

/// What happened while the texts of some instances were written.
pub(crate) fn written(
    sources: &Sources<'_>,
    own: &[InstanceId],
) -> Result<Option<Written>, AssembleError> {
    let mut all: Option<Written> = None;
    let (mut ended, mut models) = (0.0, 0);
    for &id in own {
        match sources.plan.instances[id].kind {
            Kind::Sample => {
                let Some(report) = sources.json::<SampleReport>(id, SAMPLE_FILE)? else {
                    continue;
                };
                let sum = all.get_or_insert_default();
                sum.asked += report.asked();
                sum.texts += report.texts;
                sum.dropped += report.dropped();
                sum.repeated += report.duplicates.kept;
                if let Some(share) = report.ended_share {
                    ended += share * report.texts as f64;
                    models += report.texts;
                }
            }
            Kind::Train => {
                let file = format!("{INTERNAL_FOLDER}/{TRUNCATION_FILE}");
                if let Some(found) = sources.json::<Truncation>(id, &file)? {
                    let sum = all.get_or_insert_default();
                    let (cut, texts) = sum.truncated.unwrap_or_default();
                    sum.truncated = Some((cut + found.texts_cut, texts + found.texts));
                }
            }
            _ => {}
        }
    }
    if let Some(all) = all.as_mut().filter(|_| models > 0) {
        all.ended = Some(ended / models as f64);
    }
    Ok(all.filter(|all| all.texts > 0))
}

impl Facts {
    /// Numbers, date, devices and time in a sentence or two.
    pub fn sentence(&self, dpx_version: &str) -> String {
        let data: Vec<String> = self
            .data
            .iter()
            .map(|data| {
                let name = if self.data.len() > 1 {
                    format!("{}: ", data.instance)
                } else {
                    String::new()
                };
                let repeated = match data.repeated {
                    0 => String::new(),
                    repeated => format!(" ({} of them repeat an earlier one)", grouped(repeated)),
                };
                format!(
                    "{name}{} training texts{repeated}, {} validation, {} held out (test)",
                    grouped(data.training),
                    grouped(data.validation),
                    grouped(data.held_out)
                )
            })
            .collect();
        let mut parts = Vec::new();
        if !data.is_empty() {
            parts.push(format!("{}.", data.join("; ")));
        }
        let mut run = vec![format!("dpx {dpx_version}")];
        if let Some(date) = &self.finished_at {
            run.push(date.chars().take(10).collect());
        }
        if !self.devices.is_empty() {
            run.push(format!("on {}", self.devices.join(", ")));
        }
        if self.seconds > 0.0 {
            run.push(format!("{} of worker time", duration(self.seconds)));
        }
        parts.push(format!("{}.", run.join(", ")));
        parts.join(" ")
    }
}

/// One line per row: how many texts there are, and what became of those that were to be.
pub(crate) fn table(rows: &[Row]) -> Table {
    let percent = |share: f64| format!("{} %", number(share * 100.0, 1));
    let lines = rows.iter().filter_map(|row| {
        let written = row.written.as_ref()?;
        let of_texts = |count: u64| {
            format!(
                "{} ({})",
                grouped(count),
                percent(count as f64 / written.texts.max(1) as f64)
            )
        };
        Some(vec![
            row.name.clone(),
            grouped(written.texts),
            grouped(written.asked),
            written.ended.map_or_else(|| NOTHING.into(), percent),
            grouped(written.dropped),
            of_texts(written.repeated),
            written.truncated.map_or_else(
                || NOTHING.into(),
                |(cut, texts)| percent(cut as f64 / texts.max(1) as f64),
            ),
        ])
    });
    let mut columns = vec![
        Column::text("row"),
        Column::numbers("synthetic texts"),
        Column::numbers("asked for"),
        Column::numbers("ended by themselves"),
        Column::numbers("left out"),
        Column::numbers("repeated"),
    ];
    columns.push(Column::numbers("training texts truncated").internal());
    Table {
        caption: "Texts of each row, all replicates together: those that did not end by themselves were cut at max_new_tokens; left out are empty ones and ones with bytes that are no text".into(),
        columns,
        rows: lines.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_numbers_date_device_and_time() {
        let facts = Facts {
            data: vec![Data {
                instance: "preprocess".into(),
                training: 7730,
                validation: 966,
                held_out: 967,
                repeated: 12,
            }],
            finished_at: Some("2026-11-30T08:15:00Z".into()),
            devices: vec!["cpu".into()],
            seconds: 754.0,
            notes: Vec::new(),
        };
        assert_eq!(
            facts.sentence("0.1.0"),
            "7,730 training texts (12 of them repeat an earlier one), 966 validation, 967 held out (test). dpx 0.1.0, 2026-11-30, on cpu, 12m 34s of worker time."
        );
        assert_eq!(Facts::default().sentence("0.1.0"), "dpx 0.1.0.");
        assert_eq!(
            [0, 999, 1000, 1234567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
