//! The synthetic texts as csv, jsonl and parquet, with a dataset card that `datasets.load_dataset` reads.

#![expect(
    clippy::format_push_string,
    reason = "a page is written once, and reads better this way"
)]

use super::study::{Row, SampleRef, Study};
use super::table::number;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Writes one synthetic artifact, given as the content of its `synthetic.csv`, as `NAME.csv`, `NAME.jsonl` and
/// `NAME.parquet`.
///
/// # Errors
/// When the content is no CSV with the columns `text` and `label`, or a file cannot be written.
pub fn write(folder: &Path, name: &str, synthetic: &[u8]) -> io::Result<u64> {
    let mut reader = csv::Reader::from_reader(synthetic);
    let mut texts = Vec::new();
    let mut labels = Vec::new();
    for row in reader.deserialize::<(String, String)>() {
        let (text, label) = row.map_err(io::Error::other)?;
        texts.push(text);
        labels.push(label);
    }
    fs::write(folder.join(format!("{name}.csv")), synthetic)?;
    let mut lines = io::BufWriter::new(File::create(folder.join(format!("{name}.jsonl")))?);
    for (text, label) in texts.iter().zip(&labels) {
        let line = serde_json::json!({ "text": text, "label": label });
        writeln!(lines, "{line}")?;
    }
    lines.flush()?;
    let count = texts.len() as u64;
    let columns: [(&str, ArrayRef); 2] = [
        ("text", Arc::new(StringArray::from(texts))),
        ("label", Arc::new(StringArray::from(labels))),
    ];
    let batch = RecordBatch::try_from_iter(columns).map_err(io::Error::other)?;
    let file = File::create(folder.join(format!("{name}.parquet")))?;
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).map_err(io::Error::other)?;
    writer.write(&batch).map_err(io::Error::other)?;
    writer.close().map_err(io::Error::other)?;
    Ok(count)
}

/// The dataset card: one configuration per synthetic artifact, over its parquet file.
pub fn card(study: &Study, written: &[(&Row, &SampleRef)]) -> String {
    let mut text = String::from(
        "---\nlanguage:\n- en\ntask_categories:\n- text-classification\ntags:\n- synthetic\nconfigs:\n",
    );
    for (_, sample) in written {
        text.push_str(
            &format!(
                "- config_name: {0}\n  data_files:\n  - split: train\n    path: {0}.parquet\n",
                serde_json::Value::from(sample.file.as_str())
            )
            .replace("path: \"", "path: ")
            .replace("\".parquet", ".parquet"),
        );
    }
    text.push_str(&format!(
        "---\n\n# Synthetic texts of the study `{}`\n\nWritten by dpx {}. No text in these files was written by a person. Each configuration is one row of the study; the columns are `text` and `label`.\n\n```python\nfrom datasets import load_dataset\ntexts = load_dataset(\"PATH/TO/THIS/FOLDER\", \"{}\", split=\"train\")\n```\n\n| configuration | guarantee | epsilon | delta |\n| --- | --- | --- | --- |\n",
        study.experiment,
        study.dpx_version,
        written.first().map_or("CONFIGURATION", |(_, sample)| &sample.file)
    ));
    for (row, sample) in written {
        let guarantee = &row.guarantee;
        text.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            sample.file,
            guarantee.kind.words(),
            guarantee
                .epsilon
                .map_or_else(|| "inf".into(), |epsilon| number(epsilon, 3)),
            guarantee
                .delta
                .map_or_else(|| "–".into(), |delta| format!("{delta:.1e}")),
        ));
    }
    text.push_str("\nThis folder holds every row of the study, those without a guarantee included: it is internal. To share texts, make a release with `dpx release`, which holds only what the guarantee covers.\n");
    text
}
