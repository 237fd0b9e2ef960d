//! Inputs that a second look found read wrongly: swapped labels, swallowed rows, keys without effect, damage read as data.

use super::*;
use crate::read::{write_parquet, write_parquet_with_names};

/// Files of a folder, which is read whole.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    folder
}

fn info(names: &str) -> String {
    format!("{{\"features\": {{\"label\": {{\"names\": {names}, \"_type\": \"ClassLabel\"}}}}}}")
}

fn card(names: &str) -> String {
    format!(
        "---\ndataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names: {names}\n---\n"
    )
}

fn labels_of(rows: &[(String, String)]) -> Vec<&str> {
    rows.iter().map(|(label, _)| label.as_str()).collect()
}

const NUMBERS: &str = "text,label\na,0\nb,1\n";

#[test]
fn an_index_is_never_a_name() {
    let content = "text,label\na,1\nb,2\nc,3\n";
    let stars = folder(&[("d.csv", content)]);
    let read = |by| {
        load_with(&stars.path().join("d.csv"), &["1", "2", "3"], |request| {
            request.labels_by = by;
        })
    };
    let told = read(Some(LabelsBy::Index)).unwrap_err();
    assert!(told.contains("d.csv:4: "), "{told}");
    assert!(told.contains("no index from 0 to 2"), "{told}");
    assert_eq!(labels_of(&read(None).unwrap().0), ["1", "2", "3"]);
    // Names that are stored and are numbers: text is a name throughout, and never one time a place.
    let stored = folder(&[
        ("train.csv", "text,label\na,1\nb,2\nc,0\n"),
        ("README.md", card("['1', '2', '3']").as_str()),
    ]);
    let told = error(stored.path(), &["1", "2", "3"]);
    assert!(told.contains("train.csv:4: "), "{told}");
}

#[test]
fn stored_names_hold_for_all_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let order = ["neg", "pos"];
    write_parquet_with_names(
        &path("train.parquet"),
        &["a", "b"],
        &[0, 1],
        &["pos", "neg"],
    );
    write_parquet(&path("test.parquet"), &["c", "d"], &[0, 1]);
    let (found, findings) = load_with(folder.path(), &order, |_| {}).unwrap();
    assert_eq!(labels_of(&found), ["pos", "neg", "pos", "neg"]);
    assert_eq!(findings.stored_labels.as_deref().unwrap(), ["pos", "neg"]);
    let told = findings.messages().join("\n");
    assert!(
        told.contains("`test.parquet` stores no names, so that its numbers are read by those of `train.parquet`"),
        "{told}"
    );
    assert!(
        !told.contains("understood as a place in `labels`"),
        "{told}"
    );
    // Each file by its own names, and both lists told.
    write_parquet_with_names(&path("test.parquet"), &["c", "d"], &[0, 1], &order);
    let (found, findings) = load_with(folder.path(), &order, |_| {}).unwrap();
    assert_eq!(labels_of(&found), ["pos", "neg", "neg", "pos"]);
    assert_eq!(findings.stored_labels, None);
    let told = findings.messages().join("\n");
    assert!(
        told.contains("`train.parquet` `pos`, `neg`; `test.parquet` `neg`, `pos`"),
        "{told}"
    );
    // A third file without names cannot be read by either, unless its labels are text.
    std::fs::write(path("validation.csv"), NUMBERS).unwrap();
    let told = error(folder.path(), &order);
    assert!(
        told.contains("validation.csv`: it stores no label names")
            && told.contains("`train.parquet` has `pos`, `neg`"),
        "{told}"
    );
    std::fs::write(path("validation.csv"), "text,label\ne,pos\n").unwrap();
    assert_eq!(rows(folder.path(), &order).len(), 5);
}

#[test]
fn files_beside_the_data_that_differ_are_told() {
    let readme = card("{'0': pos, '1': neg}");
    let infos = format!("{{\"default\": {}}}", info("[\"neg\", \"pos\"]"));
    let both = [
        ("train.csv", NUMBERS),
        ("README.md", readme.as_str()),
        ("dataset_infos.json", infos.as_str()),
    ];
    let told = error(folder(&both).path(), &["neg", "pos"]);
    assert!(
        told.contains("`README.md` has `pos`, `neg`")
            && told.contains("`dataset_infos.json` has `neg`, `pos`"),
        "{told}"
    );
    let one = folder(&both[..2]);
    assert_eq!(
        labels_of(&rows(one.path(), &["neg", "pos"])),
        ["pos", "neg"]
    );
    let parquet = folder(&[("README.md", readme.as_str())]);
    let path = parquet.path().join("train.parquet");
    write_parquet_with_names(&path, &["a", "b"], &[0, 1], &["neg", "pos"]);
    let (found, findings) = load_with(parquet.path(), &["neg", "pos"], |_| {}).unwrap();
    assert_eq!(labels_of(&found), ["neg", "pos"]);
    let told = findings.messages().join("\n");
    assert!(
        told.contains("`README.md` `pos`, `neg`; `train.parquet`"),
        "{told}"
    );
}

/// The names that lie beside a file, or above a folder, are no part of it: where they matter, the folder has to be given.
#[test]
fn a_file_alone_is_not_read_otherwise_than_its_folder() {
    for ((name, content), dataset) in [
        (
            ("data/dataset_info.json", info("[\"pos\", \"neg\"]")),
            "data/train.csv",
        ),
        (("README.md", card("[pos, neg]")), "data/train.csv"),
        (("README.md", card("[pos, neg]")), "data"),
    ] {
        let folder = folder(&[("data/train.csv", NUMBERS), (name, content.as_str())]);
        let path = folder.path().join(dataset);
        let told = error(&path, &["neg", "pos"]);
        assert!(
            told.contains("its labels are numbers") && told.contains("`pos`, `neg`"),
            "{dataset}: {told}"
        );
        assert_eq!(labels_of(&rows(&path, &["pos", "neg"])), ["pos", "neg"]);
        std::fs::write(
            folder.path().join("data/train.csv"),
            "text,label\na,neg\nb,pos\n",
        )
        .unwrap();
        assert_eq!(labels_of(&rows(&path, &["neg", "pos"])), ["neg", "pos"]);
    }
    // Of a card with several configurations the one that the file belongs to counts.
    let several = "---\nconfigs:\n- config_name: a\n  data_files: a.csv\n- config_name: b\n  data_files: b.csv\ndataset_info:\n- config_name: a\n  features:\n  - name: label\n    dtype: {class_label: {names: [pos, neg]}}\n- config_name: b\n  features:\n  - name: label\n    dtype: {class_label: {names: [neg, pos]}}\n---\n";
    let folder = folder(&[
        ("a.csv", NUMBERS),
        ("b.csv", NUMBERS),
        ("README.md", several),
    ]);
    error(&folder.path().join("a.csv"), &["neg", "pos"]);
    let found = rows(&folder.path().join("b.csv"), &["neg", "pos"]);
    assert_eq!(labels_of(&found), ["neg", "pos"]);
}

fn unlabelled(content: &str) -> Result<(Vec<String>, String), String> {
    let folder = folder(&[("d.csv", content)]);
    let read = load_with(&folder.path().join("d.csv"), &["text"], |_| {})?;
    let texts = read.0.into_iter().map(|(_, text)| text).collect();
    Ok((texts, read.1.messages().join("\n")))
}

#[test]
fn rows_without_labels_are_not_swallowed() {
    let numbered = |from: u32, more: &str| {
        let rows = (0..12).map(|row| format!("{},more {row}\n", from + row));
        let rows = rows.collect::<Vec<_>>().concat();
        format!("id,text\n{more}{rows}")
    };
    let told = unlabelled(&numbered(
        6,
        "1,row a\n2,\"row b\n3,row c\n4,row d\n5,row e\"\n",
    ));
    let told = told.unwrap_err();
    assert!(
        told.contains("d.csv:3: ") && told.contains("looks like rows"),
        "{told}"
    );
    // Lines of a text that have a comma, and no number before it.
    let (texts, told) = unlabelled(&numbered(
        2,
        "1,\"Dear all, well\nI write, you read\nbye\"\n",
    ))
    .unwrap();
    assert_eq!((texts.len(), texts[0].lines().count()), (13, 3));
    assert!(
        told.contains("`d.csv`: 1 text goes over several lines, the longest from line 2 over 3"),
        "{told}"
    );
    let dated =
        "text,when\none,2026-01-02\n\"two,2026-01-03\nthree,2026-01-04\nfour\",2026-01-05\n";
    assert!(unlabelled(dated).unwrap_err().contains("d.csv:3: "));
    // In one column nothing tells; it is said, and refused where it cannot be.
    let column = |lines: usize| {
        let swallowed = "row\n".repeat(lines - 2);
        format!("text\nrow a\n\"row b\n{swallowed}row e\"\nmore\n\"two\nlines\"\n")
    };
    let (texts, told) = unlabelled(&column(4)).unwrap();
    assert_eq!(texts.len(), 4);
    assert!(
        told.contains("2 texts go over several lines, the longest from line 3 over 4"),
        "{told}"
    );
    let told = unlabelled(&column(40)).unwrap_err();
    assert!(
        told.contains("d.csv:3: ") && told.contains("over 40 lines, as no other does"),
        "{told}"
    );
}

#[test]
fn rows_with_delimiters_in_their_texts_are_not_swallowed() {
    for (header, others) in [
        (
            "text,label",
            "\"I said, hi,pos\nhe said, no,neg\nyes, end\",pos\n",
        ),
        ("text,label", "\"I said,hi,pos\nhe said\",pos\n"),
    ] {
        let told = read_text("a.csv", &among(header, ",", others)).unwrap_err();
        assert!(told.contains("DATA/a.csv:8: "), "{others:?}: {told}");
    }
    let first = "label,text\nneg,a\nneg,\"pos, b\npos,I said, hi\nneg,he said, no\"\npos,c\n";
    let told = read_text("a.csv", first).unwrap_err();
    assert!(told.contains("DATA/a.csv:3: "), "{told}");
    // A line of a text that ends in a word which is a label too.
    let prose = among(
        "text,label",
        ",",
        "\"Well, I said, pos\nit was, and, neg\nend\",pos\n",
    );
    assert_eq!(read_text("a.csv", &prose).unwrap().len(), 13);
}

#[test]
fn escapes_in_tab_separated_files_are_told() {
    let content = among(
        "text\tlabel",
        "\t",
        "a \\\"q\\\" b\tpos\n\"a \\\"q\\\"\tb\"\tneg\n",
    );
    let told = read_text("a.tsv", &content).unwrap_err();
    assert!(
        told.contains("a.tsv:8: ") && told.contains("`escape = \"\\\\\"`"),
        "{told}"
    );
    let format = |quoting, escape| Format {
        quoting,
        escape,
        ..Format::default()
    };
    let read = read_format("a.tsv", &content, format(None, Some('\\'))).unwrap();
    assert!(read.iter().any(|(_, text)| text == "a \"q\"\tb"));
    let plain = among(
        "text\tlabel",
        "\t",
        "a \\\"q\\\" b\tpos\n\"a \\\"q\\\" b\"\tneg\n",
    );
    assert!(read_text("a.tsv", &plain).is_err());
    let read = read_format("a.tsv", &plain, format(Some(Quoting::None), None)).unwrap();
    assert!(read.iter().any(|(_, text)| text == "\"a \\\"q\\\" b\""));
}

#[test]
fn keys_without_effect_are_refused() {
    let json = "{\"text\":\"a\",\"label\":\"neg\"}\n{\"text\":\"b\",\"label\":\"pos\"}\n";
    let formats = [
        (
            "quoting",
            Format {
                quoting: Some(Quoting::Double),
                ..Format::default()
            },
        ),
        (
            "escape",
            Format {
                escape: Some('\\'),
                ..Format::default()
            },
        ),
        (
            "delimiter",
            Format {
                delimiter: Some('|'),
                ..Format::default()
            },
        ),
    ];
    for (key, format) in formats {
        let told = read_format("a.jsonl", json, format).unwrap_err();
        assert!(
            told.contains(&format!("`{key}` says how csv, tsv")),
            "{told}"
        );
        let told = load_with(Path::new("builtin:emotions"), &[], |request| {
            request.format = format;
        });
        assert!(
            told.unwrap_err()
                .contains(&format!("`{key}` has no effect")),
            "{key}"
        );
        let pairs = read_format("a.txt", "a|neg\nb|pos\n", format);
        assert_eq!(pairs.is_ok(), key == "delimiter", "{pairs:?}");
    }
    // It may be meant for another file of the dataset.
    let folder = folder(&[
        ("train.csv", "text,label\na,neg\nb,pos\n"),
        ("test.jsonl", json),
    ]);
    load_with(folder.path(), &["neg", "pos"], |request| {
        request.format = formats[0].1;
    })
    .unwrap();
}

#[test]
fn messages_fit_what_is_wrong() {
    for (name, content, expected) in [
        (
            "a.jsonl",
            "{\"text\":\"\\ud83d\",\"label\":\"pos\"}\n",
            "half of a character",
        ),
        (
            "a.jsonl",
            "{\"text\":\"a\tb\",\"label\":\"pos\"}\n",
            "a control character",
        ),
        (
            "a.jsonl",
            "{\"text\":\"a\",\"label\":NaN}\n",
            "(column 21): NaN and Infinity are no numbers",
        ),
        (
            "a.jsonl",
            "{\"text\":\"a\"} {}\n",
            "something follows the object",
        ),
        ("a.jsonl", "{\"text\":\"a\n", "is not closed"),
        ("a.jsonl", "3\n", "not a JSON object"),
        (
            "a.jsonl",
            "{\"text\":\"a\",\"label\":123456789012345678901234567890}\n",
            "write the labels of this column as text",
        ),
        (
            "a.csv",
            "text,label\na,pos\u{200b}\n",
            "differs from `pos` in invisible characters",
        ),
        (
            "a.csv",
            "text,label\na,ｐｏｓ\n",
            "differs from `pos` in invisible characters or forms",
        ),
        (
            "a.csv",
            "version https://git-lfs.github.com/spec/v1\noid sha256:abc\n",
            "a pointer of Git LFS",
        ),
        (
            "a.parquet",
            "version https://git-lfs.github.com/spec/v1\noid sha256:abc\n",
            "a pointer of Git LFS",
        ),
        ("a.csv", "f0,neg\nf1,pos\n", "does not look like a header"),
        ("a.csv", "f0,x\nf1,x\n", "does not look like a header"),
        ("a.csv", "17,x\n18,y\n", "does not look like a header"),
        (
            "a.csv",
            "te\u{301}xt,label\na,pos\n",
            "the file has `te\u{301}xt`, `label`",
        ),
    ] {
        let told = read_text(name, content).unwrap_err();
        assert!(told.contains(expected), "{content:?}: {told}");
        assert!(!told.contains("f0"), "{told}");
    }
    let exact = folder(&[("d.jsonl", "{\"text\":\"a\",\"label\":9007199254740993}\n")]);
    let path = exact.path().join("d.jsonl");
    assert_eq!(
        rows(&path, &["9007199254740993", "x"])[0].0,
        "9007199254740993"
    );
}

#[test]
fn columns_are_found_in_any_form_of_unicode() {
    for (name, content) in [
        ("d.csv", "te\u{301}xt,label\na,pos\n"),
        ("d.jsonl", "{\"te\u{301}xt\":\"a\",\"label\":\"pos\"}\n"),
    ] {
        let folder = folder(&[(name, content)]);
        let found = load_with(&folder.path().join(name), &["pos"], |request| {
            request.text_column = "t\u{e9}xt";
        });
        assert_eq!(found.unwrap().0.len(), 1, "{name}");
    }
    let twice = read_text("a.csv", "cafe\u{301},caf\u{e9},text,label\n1,2,a,pos\n").unwrap_err();
    assert!(twice.contains("columns 1 and 2"), "{twice}");
    let twice = "{\"te\u{301}xt\":\"a\",\"t\u{e9}xt\":\"b\",\"text\":\"c\",\"label\":\"pos\"}\n";
    assert!(
        read_text("a.jsonl", twice)
            .unwrap_err()
            .contains("stands twice")
    );
}

#[test]
fn ends_of_lines_of_all_kinds() {
    let two = [
        ("neg".to_owned(), "a".to_owned()),
        ("pos".to_owned(), "b".to_owned()),
    ];
    for (name, content) in [
        ("a.csv", "sep=;\rtext;label\ra;neg\rb;pos\r"),
        ("a.csv", "sep=;\ntext;label\na;neg\nb;pos\n"),
        ("a.txt", "a;neg\rb;pos\r"),
        ("a.txt", "a;neg\r\nb;pos"),
        (
            "a.jsonl",
            "{\"text\":\"a\",\"label\":\"neg\"}\r{\"text\":\"b\",\"label\":\"pos\"}\r",
        ),
    ] {
        assert_eq!(read_text(name, content).unwrap(), two, "{content:?}");
    }
    let told = read_text("a.json", "[\r{\"text\":\"a\",\"label\":\"neg\"},\r3]").unwrap_err();
    assert!(told.contains("a.json:3: "), "{told}");
    let long = format!(
        "text,label\r{}",
        "some words of a text,neg\r".repeat(40_000)
    );
    assert_eq!(read_text("a.csv", &long).unwrap().len(), 40_000);
    let spaces = Format {
        delimiter: Some(' '),
        ..Format::default()
    };
    let read = read_format("a.csv", "text label\n\"a b\" pos\nc neg\n", spaces).unwrap();
    assert_eq!(read[0], ("pos".to_owned(), "a b".to_owned()));
}

/// Every bit of a compressed file is under its checksum, or changes nothing.
#[test]
fn damage_under_a_checksum_is_told() {
    let content = "text,label\nthe quick brown fox,neg\njumps over,pos\nthe quick brown dog,neg\n";
    let folder = tempfile::tempdir().unwrap();
    for (name, packed) in [
        ("a.csv.zst", zstd(content.as_bytes())),
        ("a.csv.gz", gzip(content.as_bytes())),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, &packed).unwrap();
        let whole = rows(&path, &["neg", "pos"]);
        let mut told = 0;
        for bit in 0..8 * packed.len() {
            let mut broken = packed.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &broken).unwrap();
            match load_with(&path, &["neg", "pos"], |_| {}) {
                Ok((read, _)) => assert_eq!(read, whole, "{name}: bit {bit}"),
                Err(_) => told += 1,
            }
        }
        assert!(
            told > 6 * packed.len(),
            "{name}: {told} of {} bits",
            8 * packed.len()
        );
    }
}

#[test]
fn damage_of_a_parquet_page_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.parquet");
    for version in ["v1", "v2"] {
        let file = case("page-checksum")
            .join(version)
            .with_extension("parquet");
        assert_eq!(rows(&file, &["neg", "pos"]).len(), 12, "{version}");
        let mut bytes = std::fs::read(file).unwrap();
        let at = bytes.windows(5).position(|word| word == b"quick").unwrap();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let told = error(&path, &["neg", "pos"]);
        assert!(
            told.contains("a page does not fit its checksum"),
            "{version}: {told}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_name_that_is_not_utf8_is_named() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder(&[("train.csv", NUMBERS)]);
    let name = std::ffi::OsStr::from_bytes(b"b\xff.csv");
    std::fs::write(folder.path().join(name), "x").unwrap();
    let told = error(folder.path(), &["neg", "pos"]);
    assert!(told.contains("the name is not UTF-8"), "{told}");
}

#[test]
fn numbered_files_are_one_split() {
    let rows_of = |tag: &str| format!("text,label\n{tag},neg\n{tag} b,pos\n");
    let series = folder(&[
        ("train-0.csv", rows_of("a").as_str()),
        ("train-1.csv", rows_of("b").as_str()),
    ]);
    assert_eq!(rows(series.path(), &["neg", "pos"]).len(), 4);
    for (names, expected) in [
        (["train-0.csv", "train-2.csv"], "of which 2 are there"),
        (
            ["train-00000-of-00000.csv", "notes.md"],
            "beyond those of a set of 0",
        ),
    ] {
        let content = rows_of("a");
        let folder = folder(&names.map(|name| (name, content.as_str())));
        let told = error(folder.path(), &["neg", "pos"]);
        assert!(told.contains(expected), "{names:?}: {told}");
    }
    // What a browser calls a second download is no part of the split, and named.
    let content = rows_of("a");
    let twice = folder(&[("train.csv", &content), ("train (1).csv", &content)]);
    let (rows, findings) = load_with(twice.path(), &["neg", "pos"], |_| {}).unwrap();
    assert_eq!((rows.len(), findings.not_read.len()), (2, 1));
}
