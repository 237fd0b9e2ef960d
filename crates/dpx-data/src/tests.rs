//! Tests of reading datasets: every format gives the same rows; bad files are told by file and line.

use super::*;
use std::fmt::Write;
use std::path::Path;

fn labels() -> Vec<String> {
    vec!["joy".into(), "fear".into()]
}

pub(super) fn request<'a>(dataset: &'a str, labels: &'a [String]) -> Request<'a> {
    Request {
        dataset,
        text_column: "text",
        label_column: "label",
        labels: labels.into(),
        attributes: Vec::new(),
        messages: None,
        roles: std::collections::BTreeMap::new(),
        labels_by: None,
        unit_column: None,
        max_per_unit: None,
        format: Format::default(),
        validation_share: 0.1,
        test_share: 0.1,
        limit: None,
        facts: Vec::new(),
    }
}

fn read(path: &Path) -> Result<Dataset, DataError> {
    let labels = labels();
    load(&request(&path.to_string_lossy(), &labels))
}

/// The message of reading one bad file as the train split, next to a good test split.
fn complaint(name: &str, content: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("test.csv"), "text,label\nc,joy\n").unwrap();
    std::fs::write(folder.path().join(name), content).unwrap();
    let message = read(folder.path()).unwrap_err().to_string();
    message.replace(&*folder.path().to_string_lossy(), "DATA")
}

#[test]
fn every_format_gives_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let test = "text,label\nc,joy\n";
    let write = |name: &str, content: &str| {
        let folder = folder.path().join(name.replace('.', "-"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join(name), content).unwrap();
        std::fs::write(folder.join("test.csv"), test).unwrap();
        std::fs::write(folder.join("validation.csv"), test).unwrap();
        folder
    };
    let mut folders = vec![
        write(
            "train.csv",
            "\u{feff}id,label,text\r\n7,joy,\"a, b\"\r\n8,fear,ü\r\n",
        ),
        write("train.tsv", "text\tlabel\na, b\t0\nü\t1\n"),
        write("train.txt", "a, b;joy\nü;fear\n"),
        write(
            "train.jsonl",
            "{\"text\":\"a, b\",\"label\":0}\n\n{\"label\":\"fear\",\"text\":\"ü\"}\n",
        ),
    ];
    folders.push(write(
        "train.ndjson",
        "{\"text\":\"a, b\",\"label\":\"joy\"}\n{\"text\":\"ü\",\"label\":\"1\"}",
    ));
    let semicolons = write("training.csv", "text;label\na, b;joy\nü;fear\n");
    folders.push(semicolons);
    let parquet = folder.path().join("parquet/data");
    std::fs::create_dir_all(&parquet).unwrap();
    std::fs::write(parquet.join("test.csv"), test).unwrap();
    std::fs::write(parquet.join("validation.csv"), test).unwrap();
    for (shard, text, label) in [(0, "a, b", 0), (1, "ü", 1)] {
        let file = parquet.join(format!("train-0000{shard}-of-00002.parquet"));
        read::write_parquet(&file, &[text], &[label]);
    }
    folders.push(folder.path().join("parquet"));
    for folder in folders {
        let dataset = read(&folder).unwrap();
        let rows: Vec<_> = dataset
            .train
            .iter()
            .map(|row| (row.id, &*row.text, &*row.label))
            .collect();
        assert_eq!(
            rows,
            [(0, "a, b", "joy"), (1, "ü", "fear")],
            "{}",
            folder.display()
        );
        assert_eq!((dataset.validation.len(), dataset.test.len()), (1, 1));
        assert_eq!(dataset.test[0].id, 3);
    }
}

#[test]
fn bad_files_are_told_by_file_and_line() {
    let long = format!("text,label\nshort,joy\n{},joy\n", "x".repeat(1_000_000));
    for (name, content, expected) in [
        (
            "train.csv",
            b"".as_slice(),
            "DATA/train.csv:1: the file is empty",
        ),
        ("train.csv", b" \n\n", "DATA/train.csv:1: the file is empty"),
        (
            "train.csv",
            b"text,label\n",
            "DATA/train.csv:1: the file holds no row",
        ),
        (
            "train.csv",
            b"text,emotion\na,joy\n",
            "DATA/train.csv:1: no column `label`: the file has `text`, `emotion`; name the column with `label_column`",
        ),
        (
            "train.csv",
            b"my secret is out,joy\na,joy\n",
            "DATA/train.csv:1: no column `text`: the first line does not look like a header; name the column with `text_column`",
        ),
        (
            "train.csv",
            b"text,label\na,joy\nb,hatred\n",
            "DATA/train.csv:3: unknown label: expected one of `joy`, `fear`",
        ),
        (
            "train.csv",
            b"text,label\na,2\n",
            "DATA/train.csv:2: the label is a number that is no index from 0 to 1",
        ),
        (
            "train.csv",
            b"text,label\na,joy\nb\xff,joy\n",
            "DATA/train.csv:3: invalid UTF-8 at byte 2 of the line",
        ),
        (
            "train.csv",
            long.as_bytes(),
            "DATA/train.csv:3: the line is 1000004 bytes long, at most 524288 are read",
        ),
        (
            "train.csv",
            b"text,label\na,b,joy\n",
            "DATA/train.csv:2: 3 fields where the header has 2",
        ),
        (
            "train.csv",
            b"text,label\na,joy\n \t,joy\n",
            "DATA/train.csv:3: the text is empty",
        ),
        (
            "train.csv",
            b"text,label\na,joy\n",
            "holds one example only: at least 2 needed",
        ),
        (
            "train.txt",
            b"a;joy\nno label\n",
            "DATA/train.txt:2: no `;` in the line",
        ),
        (
            "train.jsonl",
            b"{\"text\":\"a\",\"label\":\"joy\"}\n{\"text\":\n",
            "DATA/train.jsonl:2: not JSON (column 8): the object is not closed",
        ),
        (
            "train.jsonl",
            b"{\"text\":\"a\",\"label\":\"joy\"}\n{\"text\":\"a\"}\n",
            "DATA/train.jsonl:2: no column `label`: the file has `text`",
        ),
        (
            "train.jsonl",
            b"{\"text\":1,\"label\":\"joy\"}\n",
            "DATA/train.jsonl:1: `text` is not a string",
        ),
        (
            "train.parquet",
            b"PAR?",
            "`DATA/train.parquet`: unreadable parquet file",
        ),
        (
            "other.csv",
            b"text,label\na,joy\n",
            "`DATA`: it has no train split that dpx reads",
        ),
    ] {
        let message = complaint(name, content);
        assert!(message.contains(expected), "{name}: {message}");
        assert!(
            !message.contains("secret") && !message.contains("hatred"),
            "{message}"
        );
    }
}

#[test]
fn names_that_lead_nowhere_say_so() {
    let none = load(&request("builtin:poems", &[]))
        .unwrap_err()
        .to_string();
    assert!(none.contains("expected `builtin:emotions`"), "{none}");
    let none = load(&request("/no/such/file.csv", &labels()))
        .unwrap_err()
        .to_string();
    assert!(
        none.contains("`/no/such/file.csv`: no such file or folder"),
        "{none}"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data.csv");
    std::fs::write(&file, "text,label\na,joy\n").unwrap();
    let undeclared = load(&request(&file.to_string_lossy(), &[]))
        .unwrap_err()
        .to_string();
    assert!(
        undeclared.contains("`labels` must be declared"),
        "{undeclared}"
    );
    std::fs::write(folder.path().join("train.csv"), "text,label\na,joy\n").unwrap();
    std::fs::write(folder.path().join("train.tsv"), "text\tlabel\na\tjoy\n").unwrap();
    let twice = read(folder.path()).unwrap_err().to_string();
    assert!(
        twice.contains("several files could be the train split (`train.csv`, `train.tsv`)"),
        "{twice}"
    );
    let missing = load(&request("builtin:emotions", &labels()))
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("`labels` does not list `anger`"),
        "{missing}"
    );
}

/// Writes `count` rows, the row `changed` with another text and label.
fn numbered(folder: &Path, count: usize, changed: Option<usize>) -> Dataset {
    let mut content = "text,label\n".to_owned();
    for row in 0..count {
        if Some(row) == changed {
            content.push_str("something else altogether,fear\n");
        } else {
            writeln!(content, "text {row},joy").unwrap();
        }
    }
    let path = folder.join("data.csv");
    std::fs::write(&path, content).unwrap();
    let labels = labels();
    load(&Request {
        limit: Some(900),
        ..request(&path.to_string_lossy(), &labels)
    })
    .unwrap()
}

#[test]
fn made_splits_have_their_shares_and_share_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = numbered(folder.path(), 3000, None);
    assert_eq!(dataset.train.len(), 900);
    for rows in [&dataset.validation, &dataset.test] {
        assert!((240..360).contains(&rows.len()), "{}", rows.len());
    }
    let mut ids: Vec<u64> = dataset
        .splits()
        .iter()
        .flat_map(|(_, rows)| rows.iter().map(|row| row.id))
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[test]
fn a_changed_row_changes_no_other_row() {
    let folder = tempfile::tempdir().unwrap();
    let before = numbered(folder.path(), 3000, None);
    let mut seen = 0;
    for changed in (0..3000).step_by(97) {
        let after = numbered(folder.path(), 3000, Some(changed));
        for ((_, before), (_, after)) in before.splits().into_iter().zip(after.splits()) {
            assert_eq!(before.len(), after.len());
            for (before, after) in before.iter().zip(after) {
                assert_eq!(before.id, after.id);
                if before.id == changed as u64 {
                    seen += 1;
                    assert_ne!(before.text, after.text);
                } else {
                    assert_eq!(before, after);
                }
            }
        }
    }
    assert!(seen > 5);
}

#[test]
fn rows_survive_a_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.jsonl");
    let rows = vec![Row {
        id: 3,
        text: "say \"hi\"\nü 🙂".into(),
        label: "joy".into(),
        owners: Vec::new(),
        planted: Vec::new(),
    }];
    Rows::write(&path, &rows).unwrap();
    assert_eq!(Rows::read(&path).unwrap(), rows);
    std::fs::write(&path, "{\"id\":1}\n").unwrap();
    let error = Rows::read(&path).unwrap_err().to_string();
    assert!(
        error.contains("train.jsonl:1: expected an object"),
        "{error}"
    );
}
