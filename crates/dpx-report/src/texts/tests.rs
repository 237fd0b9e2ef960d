//! Texts in every format, and back.

use super::*;
use dpx_data::{ParquetValues, read_parquet};

fn labels() -> Vec<String> {
    ["joy", "fear"].map(str::to_owned).to_vec()
}

#[test]
fn soft_labels_are_numbers_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let csv =
        b"text,label,p_joy,p_fear\n\"one, two\",joy,0.750000,0.250000\n\"007\",fear,0.1,0.9\n";
    assert!(!write(folder.path(), "soft", csv, &labels()).unwrap());
    assert_eq!(fs::read(folder.path().join("soft.csv")).unwrap(), csv);
    let lines = fs::read_to_string(folder.path().join("soft.jsonl")).unwrap();
    let rows: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let expected = serde_json::json!({"text": "007", "label": "fear", "p_joy": 0.1, "p_fear": 0.9});
    assert_eq!(rows[1], expected);
    let table = read_parquet(&folder.path().join("soft.parquet")).unwrap();
    let names: Vec<&str> = table
        .columns
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["text", "label", "p_joy", "p_fear"]);
    let texts = ["one, two", "007"].map(str::to_owned).to_vec();
    assert_eq!(table.columns[0].1, ParquetValues::Text(texts));
    assert_eq!(table.columns[1].1, ParquetValues::Integer(vec![0, 1]));
    assert_eq!(table.columns[2].1, ParquetValues::Number(vec![0.75, 0.1]));
    let kept = &table.metadata[FEATURES_KEY];
    assert!(
        kept.contains(r#""label":{"_type":"ClassLabel","names":["joy","fear"]}"#),
        "{kept}"
    );
    let none = b"text,label,p_joy\none,joy,many\n";
    assert!(write(folder.path(), "none", none, &labels()).is_err());
    let other = b"text,label\none,love\n";
    assert!(write(folder.path(), "other", other, &labels()).is_err());
    assert!(!write(folder.path(), "words", other, &[]).unwrap());
    let table = read_parquet(&folder.path().join("words.parquet")).unwrap();
    assert_eq!(
        table.columns[1].1,
        ParquetValues::Text(vec!["love".to_owned()])
    );
}

/// Pages of a megabyte with few and with many different texts: both encodings of the column, several pages, and smaller
/// than the csv.
#[test]
fn many_texts_survive_compression() {
    let folder = tempfile::tempdir().unwrap();
    for (name, different) in [("few", 3_usize), ("many", 60_000)] {
        let mut csv = String::from("text,label\n");
        for row in 0..60_000_usize {
            let word = row % different;
            csv.push_str(&format!(
                "the text {word} of all {}\u{e9}\u{1f600},joy\n",
                word * 7919 % 10_007
            ));
        }
        write(folder.path(), name, csv.as_bytes(), &labels()).unwrap();
        let path = folder.path().join(format!("{name}.parquet"));
        let table = read_parquet(&path).unwrap();
        let expected = Texts::read(csv.as_bytes()).unwrap();
        assert_eq!(
            table.columns[0].1,
            ParquetValues::Text(expected.words[0].clone())
        );
        let size = fs::metadata(&path).unwrap().len() as usize;
        assert!(size * 2 < csv.len(), "{name}: {size} of {}", csv.len());
    }
}

/// Conversations are lists in JSON lines, JSON in the other files; further columns of labels are words.
#[test]
fn conversations_and_columns_of_labels_are_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let turns =
        r#"[{"role":"user","content":"hi, \"you\""},{"role":"assistant","content":"yes\nno"}]"#;
    let mut file = csv::Writer::from_writer(Vec::new());
    file.write_record(["text", "label", "mood", "messages", "p_joy", "p_fear"])
        .unwrap();
    file.write_record(["User: hi", "joy", "calm", turns, "0.5", "0.5"])
        .unwrap();
    let csv = file.into_inner().unwrap();
    assert!(write(folder.path(), "x", &csv, &labels()).unwrap());
    let line = fs::read_to_string(folder.path().join("x.jsonl")).unwrap();
    let row: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        row["messages"],
        serde_json::from_str::<Value>(turns).unwrap()
    );
    assert_eq!(row["mood"], "calm");
    assert_eq!(row["p_joy"], 0.5);
    let table = read_parquet(&folder.path().join("x.parquet")).unwrap();
    assert_eq!(
        table.columns[2].1,
        ParquetValues::Text(vec!["calm".to_owned()])
    );
    assert_eq!(
        table.columns[3].1,
        ParquetValues::Text(vec![turns.to_owned()])
    );
    assert_eq!(table.columns[4].1, ParquetValues::Number(vec![0.5]));
}
