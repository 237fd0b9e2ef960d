//! Inputs that a third look found taken without a word: swallowed rows, assumed labels, texts that show nothing, doubled files.

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    folder
}

/// The texts of a file without labels, or what is told of it.
fn unlabelled(content: &str) -> Result<Vec<String>, String> {
    let folder = folder(&[("d.csv", content)]);
    let read = load_with(&folder.path().join("d.csv"), &["text"], |request| {
        request.label_column = "";
    });
    Ok(read?.0.into_iter().map(|(_, text)| text).collect())
}

fn uuid(row: u32) -> String {
    let hash = blake3::hash(&row.to_le_bytes()).to_hex();
    let parts = [&hash[..8], &hash[8..12], &hash[12..16], &hash[16..20]];
    format!("{}-{}", parts.join("-"), &hash[20..32])
}

/// A made-up name, which no other row has.
fn name(row: u32) -> String {
    let letter =
        |place: u32| char::from(b'a' + u8::try_from(row / 26_u32.pow(place) % 26).unwrap());
    format!("Bo {}{}{}", letter(2), letter(1), letter(0))
}

#[test]
fn rows_beside_any_column_are_not_swallowed() {
    let date = |row: u32| format!("2026-01-{:02}", row % 28 + 1);
    let url = |row: u32| format!("https://x.org/{}", uuid(row));
    type Line = Box<dyn Fn(u32, &str) -> String>;
    let kinds: [(&str, Line); 5] = [
        (
            "id,text",
            Box::new(|row, text| format!("{},{text}", uuid(row))),
        ),
        (
            "id,when,text",
            Box::new(move |row, text| format!("{},{},{text}", uuid(row), date(row))),
        ),
        (
            "name,text",
            Box::new(|row, text| format!("{},{text}", name(row))),
        ),
        (
            "text,name",
            Box::new(|row, text| format!("{text},{}", name(row))),
        ),
        (
            "text,url",
            Box::new(move |row, text| format!("{text},{}", url(row))),
        ),
    ];
    for (header, row) in &kinds {
        for (open, shut) in [(10, 12), (10, 13), (30, 90)] {
            let rows = (0..100).map(|number| {
                let text = match number {
                    number if number == open => format!("\"text {number}"),
                    number if number == shut => format!("text {number}\""),
                    number => format!("text {number}"),
                };
                row(number, &text) + "\n"
            });
            let content = format!("{header}\n{}", rows.collect::<String>());
            let told = unlabelled(&content).unwrap_err();
            let line = format!("d.csv:{}: ", open + 2);
            assert!(told.contains(&line), "{header} {open} to {shut}: {told}");
            assert!(!told.contains("Bo ") && !told.contains("text 1"), "{told}");
        }
    }
}

#[test]
fn texts_of_several_lines_stay_readable_beside_any_column() {
    for text in [
        "Dear Ann,\nI came, I saw\nit was good, too\nbye, Bob",
        "shopping:\n- milk\n- bread, butter\n\nthat is all",
        "{\n  \"\"role\"\": \"\"user\"\",\n  \"\"content\"\": \"\"hi\"\"\n}",
        "def f(x):\n    return g(x,1)\n    y = h(x,2)\nf(1)",
        "one\ntwo,three\nfour\nfive\nsix",
    ] {
        let quoted = format!("\"{text}\"");
        for (header, last) in [("name,text", true), ("text,name", false)] {
            let rows = (0..40).map(|row| {
                let text = if row == 20 { quoted.as_str() } else { "plain" };
                if last {
                    format!("{},{text}\n", name(row))
                } else {
                    format!("{text},{}\n", name(row))
                }
            });
            let content = format!("{header}\n{}", rows.collect::<String>());
            let texts = unlabelled(&content).unwrap_or_else(|told| panic!("{text:?}: {told}"));
            assert_eq!(texts.len(), 40);
            assert_eq!(texts[20], text.replace("\"\"", "\""));
        }
    }
}

#[test]
fn commas_of_sentences_are_no_delimiters() {
    let rows: Vec<String> = (0..20).map(|row| format!("plain,{row}\n")).collect();
    let rows = rows.concat();
    let content = format!("text,stars\n{rows}\"Taste, 5\nLooks, 4\nall in all\",9\n");
    assert_eq!(unlabelled(&content).unwrap().len(), 21);
    let told = unlabelled(&content.replace(", ", ",")).unwrap_err();
    assert!(told.contains("d.csv:22: "), "{told}");
}

#[test]
fn rows_with_labels_in_other_spellings_are_not_swallowed() {
    for (labels, plain, others) in [
        (["neg", "pos"], ["neg", "pos"], ["NEG", "Pos"]),
        (["neg", "pos"], ["0", "1"], ["0.0", "1.0"]),
        (["true", "false"], ["true", "false"], ["True", "FALSE"]),
    ] {
        let rows = (0..8).map(|row| format!("a {row},{}\n", plain[row % 2]));
        let rows = rows.collect::<String>();
        let [one, other] = others;
        let content = format!(
            "text,label\n{rows}\"open,{one}\nx,{other}\nclosed\",{}\n",
            plain[0]
        );
        let folder = folder(&[("d.csv", content.as_str())]);
        let told = error(&folder.path().join("d.csv"), &labels);
        assert!(
            told.contains("d.csv:10: ") && told.contains("looks like rows"),
            "{told}"
        );
    }
}

/// Very many columns take no time that grows with their square.
#[test]
fn many_columns_are_compared_once() {
    let header: Vec<String> = (0..50_000).map(|column| format!(",c{column}")).collect();
    let header = header.concat();
    let values = ",1".repeat(50_000);
    let content = format!("text,label{header}\na,neg{values}\nb,pos{values}\n");
    let begun = std::time::Instant::now();
    assert_eq!(
        read_text("a.csv", &content.replace("c49999", "c"))
            .unwrap()
            .len(),
        2
    );
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    let told = read_text("a.csv", &content.replace("c49999", "c7")).unwrap_err();
    assert!(
        told.contains("columns 10 and 50002 are both called `c7`"),
        "{told}"
    );
}

#[test]
fn a_label_that_is_assumed_is_told() {
    for (name, content, expected) in [
        (
            "d.csv",
            "text,lable\na,neg\nb,neg\n",
            "labels: `d.csv`: no column `label`: all 2 rows have `neg`; if `lable` is meant, set `label_column = \"lable\"`",
        ),
        (
            "d.csv",
            "text,category\na,pos\nb,neg\n",
            "no column `label`: all 2 rows have `neg`; its other columns are `category`",
        ),
        ("d.csv", "text\na\nb\n", "all 2 rows have `neg`"),
        (
            "d.csv",
            "text,a\na,pos\nb,neg\n",
            "its other columns are `a`",
        ),
        (
            "d.jsonl",
            "{\"text\":\"a\",\"label\":\"neg\"}\n{\"text\":\"b\"}\n",
            "labels: `d.jsonl`: 1 of 2 rows have no `label`: they have `neg`",
        ),
    ] {
        let folder = folder(&[(name, content)]);
        let path = folder.path().join(name);
        let (rows, findings) = load_with(&path, &["neg"], |_| {}).unwrap();
        assert_eq!(rows.len(), 2);
        let told = findings.messages().join("\n");
        assert!(told.contains(expected), "{content:?}: {told}");
        // Where texts are said to have no label there is nothing to tell.
        let (_, findings) =
            load_with(&path, &["neg"], |request| request.label_column = "").unwrap();
        let told = findings.messages().join("\n");
        assert!(!told.contains("rows have"), "{told}");
    }
}

#[test]
fn texts_that_show_nothing_are_refused() {
    for (name, content, expected) in [
        (
            "a.csv",
            "text,label\n\u{200b},neg\nb,pos\n",
            "a.csv:2: the text holds no visible character",
        ),
        (
            "a.csv",
            "text,label\na,neg\n \u{feff}\u{2060} ,pos\n",
            "a.csv:3: the text holds no visible character",
        ),
        (
            "a.csv",
            "text,label\na\0b,neg\nb,pos\n",
            "a.csv:2: the text holds a NUL character",
        ),
        (
            "a.jsonl",
            "{\"text\":\"\\u0000\",\"label\":\"neg\"}\n",
            "a.jsonl:1: the text holds a NUL character",
        ),
        (
            "a.jsonl",
            "{\"text\":\"\\u0007\",\"label\":\"neg\"}\n",
            "no visible character",
        ),
        (
            "a.csv",
            "text,label\n  ,neg\nb,pos\n",
            "a.csv:2: the text is empty",
        ),
    ] {
        let told = read_text(name, content).unwrap_err();
        assert!(told.contains(expected), "{content:?}: {told}");
    }
    let emoji = "text,label\n👩\u{200d}👧,neg\nb\u{ad}c,pos\n";
    assert_eq!(read_text("a.csv", emoji).unwrap().len(), 2);
    let folder = folder(&[("d.jsonl", "{\"chat\":[\"a\\u0000\"]}\n")]);
    let told = load_with(&folder.path().join("d.jsonl"), &["text"], |request| {
        request.messages = Some("chat");
        request.label_column = "";
    });
    assert!(told.unwrap_err().contains("NUL character"));
}

#[cfg(unix)]
#[test]
fn two_names_of_one_file_are_refused() {
    let rows = "text,label\na,neg\nb,pos\n";
    for (name, link) in [("train-0.csv", "train-1.csv"), ("train.csv", "test.csv")] {
        for hard in [false, true] {
            let folder = folder(&[(name, rows)]);
            let at = folder.path().join(link);
            if hard {
                std::fs::hard_link(folder.path().join(name), at).unwrap();
            } else {
                std::os::unix::fs::symlink(name, at).unwrap();
            }
            let told = error(folder.path(), &["neg", "pos"]);
            assert!(
                told.contains("are one file") && told.contains(link),
                "{told}"
            );
        }
    }
}

#[test]
fn files_in_the_folder_of_a_split_are_named() {
    let rows = "text,label\na,neg\nb,pos\n";
    let folder = folder(&[
        ("train/a.csv", rows),
        ("train/README.txt", "c;neg\n"),
        ("train/part-00001", "c,neg\n"),
        ("train/README.md", "words"),
        ("train/_SUCCESS", ""),
        ("LICENSE.txt", "words"),
    ]);
    let (_, findings) = load_with(folder.path(), &["neg", "pos"], |_| {}).unwrap();
    assert_eq!(findings.not_read, ["train/README.txt", "train/part-00001"]);
}

#[test]
fn stored_names_that_cannot_be_used_are_told() {
    let card = "---\ndataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names: {'0': neg, '2': pos}\n---\n";
    let numbers = folder(&[("train.csv", "text,label\na,0\nb,1\n"), ("README.md", card)]);
    let told = error(numbers.path(), &["neg", "pos"]);
    assert!(
        told.contains(
            "its labels are numbers, and `README.md` stores names for them that cannot be used"
        ),
        "{told}"
    );
    let told = |folder: &tempfile::TempDir, by| {
        let (rows, findings) = load_with(folder.path(), &["neg", "pos"], |request| {
            request.labels_by = by;
        })
        .unwrap();
        assert_eq!((rows[0].0.as_str(), rows[1].0.as_str()), ("neg", "pos"));
        findings.messages().join("\n")
    };
    let said = told(&numbers, Some(LabelsBy::Index));
    assert!(said.contains("the names that `README.md` stores"), "{said}");
    let words = folder(&[
        ("train.csv", "text,label\na,neg\nb,pos\n"),
        ("README.md", card),
    ]);
    assert!(told(&words, None).contains("they are not used"));
}

#[test]
fn stored_names_as_text_are_not_renamed() {
    let info =
        "{\"features\": {\"label\": {\"names\": [\"neg\", \"pos\"], \"_type\": \"ClassLabel\"}}}";
    let folder = folder(&[
        ("train.csv", "text,label\na,neg\nb,secret\n"),
        ("dataset_info.json", info),
    ]);
    let told = load_with(folder.path(), &["bad", "good"], |request| {
        request.labels_by = Some(LabelsBy::Index);
    })
    .unwrap_err();
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[1].contains("renames numbers alone"), "{told}");
    assert!(
        !lines[2].contains("renames") && !told.contains("secret"),
        "{told}"
    );
}
