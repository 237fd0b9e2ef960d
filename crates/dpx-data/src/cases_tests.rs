//! Tests over small awkward inputs: those of `crates/dpx-data/tests/cases`, which went wrong once, and others of each kind.

use super::*;
use dpx_schema::params::{Attribute, LabelsBy, Quoting};
use std::io::Write;
use std::path::{Path, PathBuf};

mod second;
mod shapes;
mod third;

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(name)
}

fn dataset_with(
    path: &Path,
    labels: &[&str],
    change: impl FnOnce(&mut Request<'_>),
) -> Result<Dataset, String> {
    let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
    let path = path.to_string_lossy();
    let mut request = Request {
        validation_share: 0.0,
        test_share: 0.0,
        ..tests::request(&path, &labels)
    };
    change(&mut request);
    load::load_any(&request).map_err(|error| error.to_string())
}

/// All rows in the order of the file, as label and text.
fn load_with(
    path: &Path,
    labels: &[&str],
    change: impl FnOnce(&mut Request<'_>),
) -> Result<(Vec<(String, String)>, DatasetFindings), String> {
    let dataset = dataset_with(path, labels, change)?;
    let mut rows: Vec<&Row> = dataset.train.iter().chain(&dataset.test).collect();
    rows.extend(&dataset.validation);
    rows.sort_by_key(|row| row.id);
    let rows = rows
        .into_iter()
        .map(|row| (row.label.clone(), row.text.clone()));
    Ok((rows.collect(), dataset.findings))
}

fn rows(path: &Path, labels: &[&str]) -> Vec<(String, String)> {
    load_with(path, labels, |_| {})
        .unwrap_or_else(|error| panic!("{error}"))
        .0
}

fn error(path: &Path, labels: &[&str]) -> String {
    load_with(path, labels, |_| {}).unwrap_err()
}

fn count(rows: &[(String, String)], label: &str) -> usize {
    rows.iter().filter(|(found, _)| found == label).count()
}

#[test]
fn cases_that_are_read() {
    let tsv = rows(&case("tsv-open-quote/d.tsv"), &["neg", "pos"]);
    assert_eq!(tsv.len(), 60);
    assert_eq!(
        tsv.iter().filter(|(_, text)| text.starts_with('"')).count(),
        2
    );
    // 1 is the label "1", in whatever order the names are declared.
    let plain = rows(&case("names-1-0/d.csv"), &["1", "0"]);
    assert_eq!(plain[0].0, "1");
    assert_eq!(plain, rows(&case("names-1-0/d.csv"), &["0", "1"]));
    let json = rows(&case("json-string-numbers/d.jsonl"), &["2", "1"]);
    assert_eq!(
        (json[0].0.as_str(), json[1].0.as_str(), json.len()),
        ("2", "1", 60)
    );
    let stars = ["1", "2", "3", "4", "5"];
    let (stars, _) = load_with(&case("stars/reviews.csv"), &stars, |request| {
        request.text_column = "review_body";
        request.label_column = "stars";
    })
    .unwrap();
    assert_eq!(
        (stars.len(), stars[0].0.as_str(), stars[1].0.as_str()),
        (40, "3", "2")
    );
    let (float, findings) =
        load_with(&case("float-labels/d.csv"), &["neg", "pos"], |_| {}).unwrap();
    assert_eq!((count(&float, "neg"), count(&float, "pos")), (28, 32));
    assert_eq!(
        (float[0].0.as_str(), findings.labels_by["index"]),
        ("pos", 60)
    );
    assert!(
        findings
            .messages()
            .join("\n")
            .contains("understood as a place in `labels`")
    );
    for name in ["dictionary-labels/d.parquet", "zstd/d.parquet"] {
        let found = rows(&case(name), &["neg", "pos"]);
        assert_eq!(
            (found.len(), found[0].0.as_str(), found[1].0.as_str()),
            (60, "pos", "neg"),
            "{name}"
        );
    }
    for order in [["pos", "neg"], ["neg", "pos"]] {
        let path = case("classlabel-other-order/d.parquet");
        let (found, findings) = load_with(&path, &order, |_| {}).unwrap();
        assert_eq!((found[0].0.as_str(), found[1].0.as_str()), ("pos", "neg"));
        assert_eq!(findings.labels_by["stored names"], 60);
        assert_eq!(findings.stored_labels.unwrap(), ["neg", "pos"]);
    }
    let composed = rows(&case("nfd-labels/d.csv"), &["caf\u{e9}", "th\u{e9}"]);
    assert_eq!((composed.len(), composed[0].0.as_str()), (80, "caf\u{e9}"));
    let quoted = case("backslash-quotes/d.csv");
    let (quoted, _) = load_with(&quoted, &["neg", "pos"], |request| {
        request.format.escape = Some('\\');
    })
    .unwrap();
    assert_eq!(quoted.len(), 60);
    assert!(
        quoted
            .iter()
            .all(|(_, text)| text.ends_with(" \"quoted\" end") && !text.contains('\\'))
    );
}

#[test]
fn cases_that_are_refused() {
    let escaped = error(&case("backslash-quotes/d.csv"), &["neg", "pos"]);
    assert!(
        escaped.contains("60 problems") && escaped.contains("d.csv:2: "),
        "{escaped}"
    );
    assert!(
        escaped.contains("set `escape = \"\\\\\"`") && escaped.contains("and 40 more"),
        "{escaped}"
    );
    let twice = error(&case("duplicate-header/d.csv"), &["neg", "pos"]);
    assert!(
        twice.contains("d.csv:1: columns 2 and 3 are both called `label`"),
        "{twice}"
    );
    let line = error(&case("line-crlf/d.csv"), &["neg", "pos"]);
    assert!(line.contains("d.csv:11: unknown label"), "{line}");
    let shards = error(&case("stale-shards/data"), &["neg", "pos"]);
    assert!(
        shards.contains("of-00001") && shards.contains("of-00002"),
        "{shards}"
    );
    let mismatch = error(
        &case("classlabel-other-order/d.parquet"),
        &["pos", "negative"],
    );
    assert!(
        mismatch.contains("`neg`, `pos`") && mismatch.contains("`pos`, `negative`"),
        "{mismatch}"
    );
}

/// Reads one file of a temporary folder.
fn read_text(name: &str, content: &str) -> Result<Vec<(String, String)>, String> {
    read_format(name, content, Format::default())
}

fn read_format(name: &str, content: &str, format: Format) -> Result<Vec<(String, String)>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    let read = load_with(&path, &["neg", "pos"], |request| request.format = format);
    read.map(|(rows, _)| rows)
        .map_err(|error| error.replace(&*folder.path().to_string_lossy(), "DATA"))
}

/// A file with so many plain rows before and after others.
fn among(header: &str, separator: &str, others: &str) -> String {
    let mut content = format!("{header}\n");
    for row in 0..12 {
        let label = if row % 2 == 0 { "neg" } else { "pos" };
        content.extend(["text ", &row.to_string(), separator, label, "\n"]);
        if row == 5 {
            content += others;
        }
    }
    content
}

#[test]
fn quotation_marks_swallow_no_row() {
    let (double, none) = (Some(Quoting::Double), Some(Quoting::None));
    for (name, others, quoting, expected) in [
        // What is read, as the texts among the twelve others.
        (
            "a.csv",
            "\"say \"\"hi\"\"\",neg\n",
            None,
            Ok(&["say \"hi\""][..]),
        ),
        (
            "a.csv",
            "\"a, b\",neg\n\"c\n d\n\",pos\n",
            None,
            Ok(&["a, b", "c\n d\n"]),
        ),
        ("a.csv", "5\" wide,neg\n", None, Ok(&["5\" wide"])),
        ("a.csv", "\"x\" ,neg\n", None, Ok(&["x"])),
        ("a.csv", "\"open,neg\n", none, Ok(&["\"open"])),
        ("a.tsv", "\"open\tneg\n", None, Ok(&["\"open"])),
        (
            "a.tsv",
            "\"open\tneg\nclose\"\tpos\n",
            None,
            Ok(&["\"open", "close\""]),
        ),
        (
            "a.tsv",
            "\"open\tneg\n\"shut\tpos\n",
            None,
            Ok(&["\"open", "\"shut"]),
        ),
        (
            "a.tsv",
            "he said \"x\"\tneg\n",
            None,
            Ok(&["he said \"x\""]),
        ),
        (
            "a.tsv",
            "\"say \"\"hi\"\"\"\tneg\n",
            None,
            Ok(&["say \"hi\""]),
        ),
        ("a.tsv", "\"a\tb\"\tneg\n", None, Ok(&["a\tb"])),
        ("a.tsv", "\"a\nb\"\tneg\n", None, Ok(&["a\nb"])),
        ("a.tsv", "\"whole\"\tneg\n", double, Ok(&["whole"])),
        ("a.tsv", "\"whole\"\tneg\n", none, Ok(&["\"whole\""])),
        (
            "a.txt",
            "\"open;neg\n\"shut\";pos\n",
            None,
            Ok(&["\"open", "\"shut\""]),
        ),
        (
            "a.csv",
            "\"a\ntext 1,neg\nb\",neg\n",
            double,
            Ok(&["a\ntext 1,neg\nb"]),
        ),
        // What is refused, at which line.
        ("a.csv", "\"open,neg\n", None, Err(8)),
        ("a.csv", "\"open,neg\nshut\",pos\n", None, Err(8)),
        ("a.csv", "\"open,neg\nx,pos\nshut\",pos\n", None, Err(8)),
        ("a.csv", "fine,neg\n\"open,neg\nx,pos\n", None, Err(9)),
        ("a.csv", "\"in\" the middle,neg\n", None, Err(8)),
        ("a.csv", "\"he said \\\"no\\\"\",neg\n", None, Err(8)),
        ("a.csv", "\"ends \\\"\",neg\n\"more\",pos\n", None, Err(8)),
        ("a.csv", "a,b,neg\n", None, Err(8)),
        ("a.csv", "alone\n", None, Err(8)),
        ("a.tsv", "\"whole\"\tneg\n", None, Err(8)),
        ("a.tsv", "\"open\tneg\textra\n", None, Err(8)),
    ] {
        let separator = match Path::new(name).extension().unwrap().to_str() {
            Some("tsv") => "\t",
            Some("txt") => ";",
            _ => ",",
        };
        let content = among(&format!("text{separator}label"), separator, others);
        let format = Format {
            quoting,
            ..Format::default()
        };
        match (read_format(name, &content, format), expected) {
            (Ok(rows), Ok(expected)) => {
                let texts: Vec<&str> = rows.iter().map(|(_, text)| text.as_str()).collect();
                let others: Vec<&str> = texts
                    .into_iter()
                    .filter(|text| !text.starts_with("text "))
                    .collect();
                assert_eq!(others, expected, "{name} {others:?}");
                assert_eq!(rows.len(), 12 + expected.len(), "{name} {others:?}");
            }
            (Err(error), Err(line)) => {
                assert!(
                    error.contains(&format!("DATA/{name}:{line}: ")),
                    "{others:?}: {error}"
                );
            }
            (found, _) => panic!("{name} {others:?}: {found:?}"),
        }
    }
}

#[test]
fn escapes_delimiters_and_first_lines() {
    for (name, content, escape, delimiter, expected) in [
        (
            "a.csv",
            "text,label\n\"a \\\"b\\\"\",neg\n\"c\\\\\",pos\n",
            Some('\\'),
            None,
            &["a \"b\"", "c\\"][..],
        ),
        (
            "a.tsv",
            "text\tlabel\na\\\tb\tneg\nc\tpos\n",
            Some('\\'),
            None,
            &["a\tb", "c"],
        ),
        (
            "a.csv",
            "text|label\na,b|neg\nc|pos\n",
            None,
            None,
            &["a,b", "c"],
        ),
        (
            "a.csv",
            "text^label\na,b^neg\nc^pos\n",
            None,
            Some('^'),
            &["a,b", "c"],
        ),
        ("a.txt", "a;b|neg\nc|pos\n", None, Some('|'), &["a;b", "c"]),
        (
            "a.csv",
            "sep=;\r\ntext;label\r\na,b;neg\r\nc;pos\r\n",
            None,
            None,
            &["a,b", "c"],
        ),
        (
            "a.csv",
            "\"text\",\"label\"\n\"a\",\"neg\"\n\"c\",\"pos\"\n",
            None,
            None,
            &["a", "c"],
        ),
        (
            "a.tsv",
            "\"text\"\t\"label\"\n\"a\"\t\"neg\"\n\"c\"\t\"pos\"\n",
            None,
            None,
            &["a", "c"],
        ),
        (
            "a.csv",
            ",text,label\n0,a,neg\n1,c,pos\n",
            None,
            None,
            &["a", "c"],
        ),
        (
            "a.csv",
            "text,label\ra,neg\rc,pos\r",
            None,
            None,
            &["a", "c"],
        ),
    ] {
        let format = Format {
            escape,
            delimiter,
            ..Format::default()
        };
        let rows = read_format(name, content, format)
            .unwrap_or_else(|error| panic!("{content:?}: {error}"));
        let texts: Vec<&str> = rows.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, expected, "{content:?}");
    }
    for (escape, delimiter) in [
        (Some('"'), None),
        (None, Some('ü')),
        (Some('|'), Some('|')),
        (None, Some('\n')),
    ] {
        let format = Format {
            escape,
            delimiter,
            ..Format::default()
        };
        assert!(read_format("a.csv", "text,label\na,neg\nb,pos\n", format).is_err());
    }
}

#[test]
fn lines_are_right_and_all_problems_come_at_once() {
    for (name, content, lines) in [
        (
            "a.csv",
            "text,label\r\na,neg\r\n\r\n\r\nb,oops\r\nc,neg\r\n",
            &[5][..],
        ),
        (
            "a.csv",
            "text,label\n\"a\n\nb\",neg\nc,oops\n\nd,oops\n",
            &[5, 7],
        ),
        ("a.csv", "\n\ntext,label\na,oops\nb,pos\n", &[4]),
        (
            "a.csv",
            "text,label\n,neg\nb,\nc,neg,x\nd,pos\n",
            &[2, 3, 4],
        ),
        ("a.csv", "sep=,\ntext,label\na,oops\nb,pos\n", &[3]),
        (
            "a.tsv",
            "text\tlabel\r\na\tneg\r\n\r\nb\toops\r\nc\tpos\n",
            &[4],
        ),
        ("a.txt", "a;neg\r\n\r\nb;oops\r\nnothing\r\n", &[3, 4]),
        (
            "a.jsonl",
            "{\"text\":\"a\",\"label\":\"neg\"}\r\n\r\n{\"text\":\"b\",\"label\":\"oops\"}\r\n{\"text\":3,\"label\":\"neg\"}\r\n[]\r\nnull\r\n",
            &[3, 4, 5, 6],
        ),
        (
            "a.json",
            "[\n {\"text\":\"a\",\"label\":\"neg\"},\n\n {\"text\":\"b\",\n  \"label\":\"oops\"},\n 7\n]",
            &[4, 6],
        ),
        ("a.csv", "text,label\na,neg\nb,po s\nc,POS\n", &[3, 4]),
        ("a.csv", "text,label\r\"a\r\rb\",neg\rc,oops\r", &[5]),
    ] {
        let error = read_text(name, content).unwrap_err();
        let found: Vec<u64> = error
            .match_indices(&format!("DATA/{name}:"))
            .map(|(at, prefix)| {
                let rest = &error[at + prefix.len()..];
                rest[..rest.find(':').unwrap()].parse().unwrap()
            })
            .collect();
        assert_eq!(found, lines, "{content:?}: {error}");
        assert!(!error.contains("oops"), "{error}");
    }
    let mut content = "text,label\n".to_owned();
    for _ in 0..57 {
        content += "secret,oops\n";
    }
    let error = read_text("a.csv", &content).unwrap_err();
    assert!(error.starts_with("57 problems in the data:"), "{error}");
    // One mistake in every row is told once, with the lines of the first twenty.
    assert_eq!(error.lines().count(), 3);
    assert!(error.contains("a.csv:2: ") && error.contains("(the same at 3, 4, 5,"));
    assert!(
        error.ends_with("and 37 more") && !error.contains("secret"),
        "{error}"
    );
}

#[test]
fn json_in_its_forms() {
    let two = vec![
        ("neg".to_owned(), "a".to_owned()),
        ("pos".to_owned(), "b]},{".to_owned()),
    ];
    for (name, content) in [
        (
            "a.jsonl",
            "{\"text\":\"a\",\"label\":\"neg\"}\n{\"label\":\"pos\",\"text\":\"b]},{\",\"more\":{\"x\":[1,2]}}",
        ),
        (
            "a.json",
            "[{\"text\":\"a\",\"label\":\"neg\"},{\"label\":\"pos\",\"text\":\"b]},{\"}]",
        ),
        (
            "a.json",
            "\n[\n{\"text\":\"a\",\"label\":0}\n,\n{\"label\":1,\"text\":\"b]},{\",\"q\":\"\\\"\"}\n]\n",
        ),
        (
            "a.json",
            "{\"text\":\"a\",\"label\":0.0}\n{\"label\":1.0,\"text\":\"b]},{\"}\n",
        ),
        (
            "a.ndjson",
            "\u{feff}{\"text\":\"a\",\"label\":\"0\"}\r\n{\"label\":\"1.0\",\"text\":\"b]},{\"}\r\n",
        ),
    ] {
        assert_eq!(read_text(name, content).unwrap(), two, "{content}");
    }
    for (content, problem) in [
        ("[{\"text\":\"a\",\"label\":\"neg\"}", "not closed"),
        (
            "[{\"text\":\"a\",\"label\":\"neg\"},]",
            "an element of the JSON array is missing",
        ),
        ("[,]", "an element of the JSON array is missing"),
        ("[] []", "something follows the end"),
        ("[]", "holds no row"),
        (
            "{\n \"data\": [1, 2]\n}",
            "one JSON object over several lines",
        ),
        (
            "{\"text\":\"a\",\"text\":\"b\",\"label\":\"neg\"}",
            "`text` stands twice",
        ),
        (
            "{\"text\":\"a\",\"label\":\"neg\",\"x\":1,\"x\":1}",
            "`x` stands twice",
        ),
        (
            "{\"text\":[\"a\"],\"label\":\"neg\"}",
            "`text` is a list or an object",
        ),
        ("{\"text\":null,\"label\":\"neg\"}", "the text is missing"),
        ("{\"text\":\"a\",\"label\":null}", "the label is missing"),
        (
            "{\"text\":\"a\",\"label\":{}}",
            "`label` is a list or an object",
        ),
        (
            "{\"Text\":\"a\",\"label\":\"neg\"}",
            "write `text_column = \"Text\"`",
        ),
        ("{\"text\":\"a\",\"label\":NaN}", "no numbers in JSON"),
        (
            "{\"text\":\"a\",\"label\":\"neg\"} {}",
            "something follows the object",
        ),
        ("{\"my secret key is 7\":\"a\"}", "no column `text`"),
    ] {
        let error = read_text("a.json", content).unwrap_err();
        assert!(error.contains(problem), "{content}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn columns_of_one_name_are_refused() {
    for (name, content) in [
        ("a.csv", "text,label,label\na,neg,pos\nb,neg,pos\n"),
        ("a.csv", "text, text ,label\na,b,pos\nb,c,pos\n"),
        ("a.tsv", "id\ttext\tlabel\tid\n1\ta\tneg\t1\n1\tb\tpos\t1\n"),
        ("a.csv", "\"text\";text;label\na;b;neg\nc;d;pos\n"),
    ] {
        let error = read_text(name, content).unwrap_err();
        assert!(error.contains("are both called"), "{error}");
    }
    // Without a header a private row stands there.
    let error = read_text("a.csv", "my secret is out,my secret is out,pos\na,b,neg\n").unwrap_err();
    assert!(
        error.contains("both called one name") && !error.contains("secret"),
        "{error}"
    );
    // Columns without a name are common, and can be several.
    let rows = read_text("a.csv", "text,label,,\na,neg,,\nb,pos,,\n").unwrap();
    assert_eq!(rows.len(), 2);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

#[test]
fn compressed_files_are_read_and_bombs_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let expected = vec![
        ("neg".to_owned(), "a ü".to_owned()),
        ("pos".to_owned(), "b".to_owned()),
    ];
    for (name, content) in [
        ("a.csv", "text,label\na ü,neg\nb,pos\n"),
        ("a.tsv", "text\tlabel\na ü\tneg\nb\tpos\n"),
        ("a.txt", "a ü;neg\nb;pos\n"),
        (
            "a.jsonl",
            "{\"text\":\"a ü\",\"label\":\"neg\"}\n{\"text\":\"b\",\"label\":\"pos\"}\n",
        ),
        (
            "a.json",
            "[{\"text\":\"a ü\",\"label\":\"neg\"},{\"text\":\"b\",\"label\":\"pos\"}]",
        ),
    ] {
        let (half, rest) = content.as_bytes().split_at(9);
        for (ending, bytes) in [
            ("gz", gzip(content.as_bytes())),
            ("GZ", [gzip(half), gzip(rest)].concat()),
            ("zst", zstd(content.as_bytes())),
            (
                "zst",
                [
                    zstd(half),
                    vec![0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9],
                    zstd(rest),
                ]
                .concat(),
            ),
        ] {
            let path = folder.path().join(format!("{name}.{ending}"));
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(rows(&path, &["neg", "pos"]), expected, "{name}.{ending}");
        }
    }
    let bomb = gzip(&vec![b'\n'; 100 << 20]);
    for (name, bytes, problem) in [
        ("a.csv.gz", &bomb[..], "expands to more than"),
        ("a.csv.gz", b"text,label\n", "cannot be decompressed"),
        (
            "a.csv.gz",
            &gzip(b"text,label\na,neg\n")[..20],
            "cannot be decompressed",
        ),
        ("a.csv.zst", b"text,label\n", "cannot be decompressed"),
        (
            "a.csv.zst",
            &zstd(b"text,label\na,neg\n")[..12],
            "cannot be decompressed",
        ),
        (
            "a.csv.zst",
            &[0x50, 0x2a, 0x4d, 0x18, 200, 0, 0, 0],
            "cut short",
        ),
        ("a.csv", &[0xff, 0xfe, b't', 0, b'e', 0], "UTF-16"),
        ("a.csv.xz", b"x", "unknown file format"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = error(&path, &["neg", "pos"]);
        assert!(error.contains(problem), "{name}: {error}");
    }
}

#[test]
fn names_beside_the_data_count_for_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("train.csv", "text,label\na,1\nb,0\nc,pos\n");
    write(
        "test.jsonl",
        "{\"text\":\"d\",\"label\":1}\n{\"text\":\"e\",\"label\":0}\n",
    );
    write(
        "dataset_infos.json",
        "{\"default\": {\"features\": {\"label\": {\"names\": [\"neg\", \"pos\"], \"_type\": \"ClassLabel\"}}}}",
    );
    let expected: Vec<String> = ["pos", "neg", "pos", "pos", "neg"]
        .map(str::to_owned)
        .to_vec();
    for order in [["pos", "neg"], ["neg", "pos"]] {
        let (rows, findings) = load_with(folder.path(), &order, |_| {}).unwrap();
        let labels: Vec<String> = rows.into_iter().map(|(label, _)| label).collect();
        assert_eq!(labels, expected);
        assert_eq!(
            (
                findings.labels_by["stored names"],
                findings.labels_by["name"]
            ),
            (4, 1)
        );
        assert!(!findings.made_test);
    }
    let error = error(folder.path(), &["good", "bad"]);
    assert!(
        error.contains("`neg`, `pos`") && error.contains("`good`, `bad`"),
        "{error}"
    );
    let (renamed, _) = load_with(folder.path(), &["pos", "neg"], |request| {
        request.labels_by = Some(LabelsBy::Index);
    })
    .unwrap();
    // The names are the same: their order is the stored one, whatever was asked.
    assert_eq!(renamed[0].0, "pos");
    // Those in the data are told as well as those beside them.
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for path in [folder.path(), &cases.join("classlabel-other-order")] {
        let undeclared = self::error(path, &[]);
        assert!(
            undeclared.contains("stores the names `neg`, `pos`"),
            "{undeclared}"
        );
    }
}

#[test]
fn findings_name_files_and_count_rows() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("train.csv", "text,label\na,neg\nb,neg\na,neg\na,pos\n");
    write("test.csv", "text,label\na,neg\nz,neg\n");
    write("eval.csv", "text,label\nq,neg\n");
    let (rows, findings) = load_with(folder.path(), &["neg", "pos"], |_| {}).unwrap();
    assert_eq!(rows.len(), 6);
    assert_eq!(findings.not_read, ["eval.csv"]);
    let train = &findings.splits[0];
    assert_eq!(
        (
            &train.files[..],
            train.texts,
            train.repeated,
            train.largest_multiplicity
        ),
        (&["train.csv".to_owned()][..], 4, 2, 3)
    );
    assert_eq!(findings.train_texts_in_test, 3);
    assert_eq!(findings.labels_without_text("test"), ["pos"]);
    assert_eq!(findings.labels_by["name"], 6);
}

#[test]
fn no_error_shows_what_stands_in_a_row() {
    let secret = "Zebra Quill 7431";
    for (name, content) in [
        (
            "a.csv",
            format!("text,label\n{secret},{secret}\n\"{secret},neg\n{secret},{secret},neg\n"),
        ),
        ("a.csv", format!("{secret},neg\nb,pos\n")),
        ("a.csv", format!("{secret},{secret}\nb,pos\n")),
        (
            "a.tsv",
            format!("text\tlabel\n\"{secret}\"\tneg\n{secret}\n"),
        ),
        ("a.tsv", format!("{secret}\tneg\n")),
        ("a.txt", format!("{secret}\n{secret};{secret}\n")),
        (
            "a.jsonl",
            format!(
                "{{\"{secret}\":1}}\n{{\"text\":\"{secret}\",\"label\":\"{secret}\"}}\n\"{secret}\"\n{{\"{secret}\":1,\"{secret}\":2}}\n"
            ),
        ),
        (
            "a.json",
            format!("[\"{secret}\", {{\"text\":[\"{secret}\"],\"label\":0}}]"),
        ),
        ("a.parquet", format!("PAR1{secret}PAR1")),
        ("a.csv.gz", secret.to_owned()),
    ] {
        let error = read_text(name, &content).unwrap_err();
        for word in secret.split(' ') {
            assert!(!error.contains(word), "{name}: {error}");
        }
    }
}

/// Texts without labels, under the one that is declared; and conversations of several turns.
#[test]
fn texts_without_labels_and_conversations() {
    let unlabelled = rows(&case("unlabelled/texts.csv"), &["text"]);
    assert!(unlabelled.len() > 30);
    assert!(unlabelled.iter().all(|(label, _)| label == "text"));
    let told = error(&case("unlabelled/texts.csv"), &["a", "b"]);
    assert!(told.contains("no column `label`"), "{told}");
    let (chats, _) = load_with(&case("chats/chats.jsonl"), &["chat"], |request| {
        request.text_column = "messages";
    })
    .unwrap();
    assert!(chats.len() > 1);
    for (_, text) in &chats {
        assert!(
            text.starts_with("system: ") || text.starts_with("user: "),
            "{text}"
        );
        assert!(text.contains("\nassistant: "), "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.jsonl");
    std::fs::write(
        &path,
        "{\"messages\": [{\"role\": 3}], \"label\": \"chat\"}\n",
    )
    .unwrap();
    let told = load_with(&path, &["chat"], |request| {
        request.text_column = "messages";
    })
    .unwrap_err();
    assert!(
        told.contains("d.jsonl:1: `messages` is no conversation"),
        "{told}"
    );
}

/// Conversations from every format, labels by several columns, and texts that have none.
#[test]
fn conversations_and_columns_of_labels() {
    let (chats, findings) = load_with(&case("chats/chats.jsonl"), &["text"], |request| {
        request.messages = Some("messages");
        request.label_column = "";
    })
    .unwrap();
    let found = findings.conversations.unwrap();
    assert_eq!(found.conversations, chats.len() as u64);
    assert!(found.turns_without_words > 0, "{found:?}");
    for (label, text) in &chats {
        assert_eq!(label, "text");
        assert!(text.starts_with("System: "), "{text}");
        assert!(dpx_schema::conversation::Conversation::parse(text).is_ok());
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let attribute = |name: &str, values: [&str; 2]| Attribute {
        name: name.into(),
        values: values.map(str::to_owned).to_vec(),
    };
    let both = || {
        vec![
            attribute("intent", ["a", "b"]),
            attribute("mood", ["1", "0"]),
        ]
    };
    let labels = ["a, 1", "a, 0", "b, 1", "b, 0"];
    let csv = "id,chat,mood,intent\n,\"[\"\"hi\"\", \"\"yes\"\"]\",0,b\n7,\"[{\"\"from\"\": \"\"human\"\", \"\"value\"\": \"\"x\"\"}]\",1.0,a\n";
    for (name, content) in [
        ("d.csv", csv.to_owned()),
        (
            "d.jsonl",
            "{\"chat\": [\"hi\", \"yes\"], \"mood\": 0, \"intent\": \"b\"}\n{\"chat\": \"[\\\"x\\\"]\", \"mood\": 1.0, \"intent\": \"a\"}\n"
                .to_owned(),
        ),
    ] {
        let path = write(name, &content);
        let (rows, _) = load_with(&path, &labels, |request| {
            request.messages = Some("chat");
            request.attributes = both();
        })
        .unwrap();
        let expected = [("b, 0", "User: hi\nAssistant: yes"), ("a, 1", "User: x")];
        assert_eq!(rows, expected.map(|(one, other)| (one.to_owned(), other.to_owned())), "{name}");
    }
    // What is wrong is named by its column, and never quoted.
    let path = write(
        "bad.jsonl",
        "{\"chat\": [\"hi\"], \"mood\": \"secret\", \"intent\": \"b\"}\n{\"chat\": \"secret\", \"mood\": 1, \"intent\": \"b\"}\n{\"chat\": [], \"mood\": 1, \"intent\": \"b\"}\n",
    );
    let told = load_with(&path, &labels, |request| {
        request.messages = Some("chat");
        request.attributes = both();
    })
    .unwrap_err();
    assert!(
        told.contains("bad.jsonl:1: `mood`: unknown label"),
        "{told}"
    );
    assert!(told.contains("bad.jsonl:2: `chat` holds no JSON"), "{told}");
    assert!(!told.contains("secret"), "{told}");
    let missing = load_with(&path, &labels, |request| {
        request.messages = Some("turns");
        request.attributes = both();
    })
    .unwrap_err();
    assert!(
        missing.contains("no column `turns`")
            && missing.contains("name the column with `messages`"),
        "{missing}"
    );
    // One column in a table is named by its key, as several are.
    for (name, told) in [
        ("feeling", "the keys of `labels` name the columns"),
        ("Mood", "write `mood` as the key in `labels`"),
    ] {
        let missing = load_with(&path, &["x", "y"], |request| {
            request.messages = Some("chat");
            request.attributes = vec![Attribute {
                name: name.to_owned(),
                values: ["x", "y"].map(str::to_owned).to_vec(),
            }];
        })
        .unwrap_err();
        assert!(missing.contains(told), "{missing}");
        assert!(!missing.contains("label_column"), "{missing}");
    }
    let several = load_with(&path, &["a", "b"], |request| request.label_column = "").unwrap_err();
    assert!(several.contains("`label_column` is empty"), "{several}");
}

/// What stays of one person was decided beside the records of another, also where none that they share is left.
#[test]
fn shared_records_are_known_where_the_bound_leaves_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shared.jsonl");
    let mut left = 0;
    for place in 0..3 {
        let mut owners = vec![r#""ann""#, r#""bob""#];
        owners.insert(place, r#"["ann", "bob"]"#);
        let rows = owners.iter().enumerate();
        let rows: Vec<String> = rows
            .map(|(row, who)| {
                format!("{{\"text\": \"text {row}\", \"label\": \"a\", \"who\": {who}}}")
            })
            .collect();
        std::fs::write(&path, rows.join("\n")).unwrap();
        let dataset = dataset_with(&path, &["a"], |request| {
            request.unit_column = Some("who");
            request.max_per_unit = Some(1);
        })
        .unwrap();
        assert!(dataset.people.unwrap().several_owners, "{place}");
        left += usize::from(dataset.train.iter().any(|row| row.owners.len() > 1));
    }
    assert_eq!(left, 1, "it stays where its number comes first");
}

/// What one person says decides which of their own records stay, and of nobody else's: neither where they say nothing.
#[test]
fn who_says_nothing_holds_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chats.jsonl");
    let read = |silent: bool, limit: Option<u64>, most: u64| {
        let rows: Vec<String> = (0..120)
            .map(|row| {
                let (one, other) = (row % 12, (row * 7 + row / 12) % 12);
                let said = if silent && (one == 0 || other == 0) {
                    String::new()
                } else {
                    format!("words {row}")
                };
                format!(r#"{{"chat": ["{said}", ""], "who": ["p{one}", "p{other}"]}}"#)
            })
            .collect();
        std::fs::write(&path, rows.join("\n")).unwrap();
        let dataset = dataset_with(&path, &["text"], |request| {
            request.messages = Some("chat");
            request.label_column = "";
            request.unit_column = Some("who");
            request.max_per_unit = Some(most);
            request.limit = limit;
        })
        .unwrap();
        let silent = Owner::named("p0");
        let others = dataset
            .train
            .iter()
            .filter(|row| !row.owners.contains(&silent));
        let others: Vec<u64> = others.map(|row| row.id).collect();
        let all = dataset
            .splits()
            .iter()
            .map(|(_, rows)| rows.len())
            .sum::<usize>();
        (others, dataset.train.len(), all)
    };
    for (limit, most) in [(None, 2), (None, 4), (Some(40), 3)] {
        let (with, kept, all) = read(false, limit, most);
        let (without, fewer, fewer_of_all) = read(true, limit, most);
        assert_eq!(with, without, "limit {limit:?}, at most {most}");
        assert!((kept - fewer) as u64 <= most);
        assert!(fewer_of_all < all, "silent ones are left out");
    }
}

/// A record of one person: a limit by people is not moved by who says nothing either.
#[test]
fn who_says_nothing_counts_for_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chats.jsonl");
    let read = |silent: Option<u64>| {
        let rows: Vec<String> = (0..200)
            .map(|row| {
                let said = if silent == Some(row) { "" } else { "words" };
                format!(r#"{{"chat": ["{said}", ""]}}"#)
            })
            .collect();
        std::fs::write(&path, rows.join("\n")).unwrap();
        let dataset = dataset_with(&path, &["text"], |request| {
            request.messages = Some("chat");
            request.label_column = "";
            request.limit = Some(50);
        })
        .unwrap();
        dataset.train.iter().map(|row| row.id).collect::<Vec<u64>>()
    };
    let all = read(None);
    for silent in [all[0], all[7]] {
        let others: Vec<u64> = all.iter().copied().filter(|id| *id != silent).collect();
        assert_eq!(read(Some(silent)), others);
    }
}

#[test]
fn people_whose_names_look_alike_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("names.csv");
    std::fs::write(&path, "text,label,who\nx,a,Zoe\ny,a,zoe\nz,a,bob\n").unwrap();
    let dataset = dataset_with(&path, &["a"], |request| {
        request.unit_column = Some("who");
        request.max_per_unit = Some(4);
    })
    .unwrap();
    let people = dataset.findings.people.as_ref().unwrap();
    assert_eq!((people.people, people.alike), (3, 2));
    let told = dataset.findings.messages().join("\n");
    assert!(told.contains("the names of 2 differ"), "{told}");
    assert!(!told.to_lowercase().contains("zoe"), "{told}");
}

/// Chunks of long texts are told where nothing says that they are one.
#[test]
fn chunks_of_a_note_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.csv");
    let told = |header: &str, second: usize| {
        let rows = (0..9).map(|row| format!("chunk {row},a,{},{}\n", row / 3, row * second));
        std::fs::write(&path, format!("{header}\n{}", rows.collect::<String>())).unwrap();
        let dataset = dataset_with(&path, &["a"], |_| {}).unwrap();
        dataset.findings.messages().join("\n")
    };
    let chunks = told("text,label,Note_ID,row", 1);
    assert!(
        chunks.contains("`Note_ID` looks like that of something that was cut into several records")
            && chunks.contains("the busiest 3 of them"),
        "{chunks}"
    );
    // People come first.
    let people = told("text,label,note_id,patient_id", 0);
    assert!(
        people.contains("`patient_id` looks like that of a person"),
        "{people}"
    );
    let apart = told("text,label,row,note_id", 1);
    assert!(!apart.contains("looks like"), "{apart}");
}
