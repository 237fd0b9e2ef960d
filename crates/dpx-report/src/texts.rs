//! The synthetic texts as csv, jsonl and parquet, with a dataset card that `datasets.load_dataset` reads.

#![expect(
    clippy::format_push_string,
    reason = "a page is written once, and reads better this way"
)]

use super::study::{Row, SampleRef, Study};
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde_json::{Map, Value};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Columns of words, `text` and `label`; those after them are numbers.
const NAMES: usize = 2;

/// Writes one synthetic artifact, given as the content of its `synthetic.csv`, as `NAME.csv`, `NAME.jsonl` and
/// `NAME.parquet`. A teacher's probabilities (`p_LABEL`) are numbers there.
///
/// # Errors
/// When the content is no CSV with texts and then numbers, or a file cannot be written.
pub fn write(folder: &Path, name: &str, synthetic: &[u8]) -> io::Result<u64> {
    let mut reader = csv::Reader::from_reader(synthetic);
    let header = reader.headers().map_err(io::Error::other)?.clone();
    let mut words: Vec<Vec<String>> = vec![Vec::new(); header.len().min(NAMES)];
    let mut numbers: Vec<Vec<f64>> = vec![Vec::new(); header.len().saturating_sub(NAMES)];
    for row in reader.records() {
        let row = row.map_err(io::Error::other)?;
        for (column, field) in words.iter_mut().zip(&row) {
            column.push(field.to_owned());
        }
        for (column, field) in numbers.iter_mut().zip(row.iter().skip(NAMES)) {
            column.push(field.parse().map_err(io::Error::other)?);
        }
    }
    fs::write(folder.join(format!("{name}.csv")), synthetic)?;
    let count = words.first().map_or(0, Vec::len);
    let mut lines = io::BufWriter::new(File::create(folder.join(format!("{name}.jsonl")))?);
    for row in 0..count {
        let words = words.iter().map(|column| Value::from(column[row].as_str()));
        let numbers = numbers.iter().map(|column| Value::from(column[row]));
        let names = header.iter().map(str::to_owned);
        let line: Map<String, Value> = names.zip(words.chain(numbers)).collect();
        writeln!(lines, "{}", Value::from(line))?;
    }
    lines.flush()?;
    let names: Vec<&str> = header.iter().collect();
    write_parquet(
        &folder.join(format!("{name}.parquet")),
        &names,
        &words,
        &numbers,
    )
    .map_err(io::Error::other)?;
    Ok(count as u64)
}

/// Writes columns of words, then columns of numbers, as one row group without nulls.
fn write_parquet(
    path: &Path,
    names: &[&str],
    words: &[Vec<String>],
    numbers: &[Vec<f64>],
) -> Result<(), ParquetError> {
    let field = |name: &&str, physical: Physical, logical: Option<LogicalType>| {
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(logical)
            .build()
            .map(Arc::new)
    };
    let texts = names.iter().take(words.len());
    let rest = names.iter().skip(words.len());
    let fields = texts
        .map(|name| field(name, Physical::BYTE_ARRAY, Some(LogicalType::String)))
        .chain(rest.map(|name| field(name, Physical::DOUBLE, None)));
    let schema = Type::group_type_builder("schema")
        .with_fields(fields.collect::<Result<_, _>>()?)
        .build()?;
    let file = File::create(path)?;
    let properties = WriterProperties::builder()
        .set_created_by(format!("dpx {}", env!("CARGO_PKG_VERSION")))
        .build();
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for column in words {
        let values: Vec<ByteArray> = column.iter().map(|text| text.as_str().into()).collect();
        if let Some(mut writer) = group.next_column()? {
            writer
                .typed::<ByteArrayType>()
                .write_batch(&values, None, None)?;
            writer.close()?;
        }
    }
    for column in numbers {
        if let Some(mut writer) = group.next_column()? {
            writer
                .typed::<DoubleType>()
                .write_batch(column, None, None)?;
            writer.close()?;
        }
    }
    group.close()?;
    writer.close()?;
    Ok(())
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
                Value::from(sample.file.as_str())
            )
            .replace("path: \"", "path: ")
            .replace("\".parquet", ".parquet"),
        );
    }
    text.push_str(&format!(
        "---\n\n# Synthetic texts of the study `{}`\n\nWritten by dpx {}. No text in these files was written by a person. Each configuration is one row of the study; the columns are `text` and `label`, and where a teacher left soft labels its probability of each label, `p_LABEL`.\n\n```python\nfrom datasets import load_dataset\ntexts = load_dataset(\"PATH/TO/THIS/FOLDER\", \"{}\", split=\"train\")\n```\n\n| configuration | guarantee | epsilon | delta |\n| --- | --- | --- | --- |\n",
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
                .map_or_else(|| "inf".into(), |epsilon| format!("{epsilon:.3}")),
            guarantee
                .delta
                .map_or_else(|| "–".into(), |delta| delta.to_string()),
        ));
    }
    text.push_str("\nThis folder holds every row of the study, those without a guarantee included: it is internal. To share texts, make a release with `dpx release`, which holds only what the guarantee covers.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    #[test]
    fn soft_labels_are_numbers_in_every_format() {
        let folder = tempfile::tempdir().unwrap();
        let csv =
            b"text,label,p_joy,p_fear\n\"one, two\",joy,0.750000,0.250000\n\"007\",fear,0.1,0.9\n";
        assert_eq!(write(folder.path(), "soft", csv).unwrap(), 2);
        assert_eq!(fs::read(folder.path().join("soft.csv")).unwrap(), csv);
        let lines = fs::read_to_string(folder.path().join("soft.jsonl")).unwrap();
        let rows: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let expected =
            serde_json::json!({"text": "007", "label": "fear", "p_joy": 0.1, "p_fear": 0.9});
        assert_eq!(rows[1], expected);
        let file = File::open(folder.path().join("soft.parquet")).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let rows: Vec<_> = reader
            .get_row_iter(None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let joy: Vec<f64> = rows.iter().map(|row| row.get_double(2).unwrap()).collect();
        assert_eq!(joy, [0.75, 0.1]);
        assert_eq!(rows[0].get_string(0).unwrap(), "one, two");
        assert_eq!(rows[1].get_string(0).unwrap(), "007");
        let none = b"text,label,p_joy\none,joy,many\n";
        assert!(write(folder.path(), "none", none).is_err());
    }
}
