//! The experiment as one file: everything that it extends and every `--set` laid over one another, so that whoever runs that file
//! runs the same study.
//!
//! Paths start from the folder of the file that they stand in, so that those in a copy elsewhere are written anew. Where one file
//! was read and nothing laid over it, its text stays as it is but for these, comments included.

use super::checked::Experiment;
use super::files::Origin;
use super::node::{Node, Table, Value};
use super::reference::{SourceRef, source_fields};
use dpx_data::Source;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

/// Values that are written otherwise in the copy, as TOML: paths from another folder, and numbers that were chosen.
type Moved = BTreeMap<Origin, String>;

impl Experiment {
    /// The text of one file that stands for the experiment and is to lie in `folder`.
    pub fn merged(&self, folder: &Path) -> String {
        let moved = self.moved(folder);
        let mut files = self.files.iter();
        if let (Some(only), None) = (files.next(), files.next()) {
            return rewritten(&only.text, &moved);
        }
        let mut text = String::from("# One file of several, written by dpx:\n");
        for file in self.files.iter() {
            let name = match file.name.as_str() {
                "--set" => format!("--set {}", file.text),
                name => name.to_owned(),
            };
            let _ = writeln!(text, "#     {}", name.replace(char::is_control, " "));
        }
        print_table(&mut text, "", &self.root, &moved);
        text
    }

    /// Relative paths as they are written in another folder, and the number in the place of each `"auto"`.
    fn moved(&self, folder: &Path) -> Moved {
        let mut moved = Moved::new();
        let mut add = |node: &Node, path: &Path| {
            if path.is_relative() {
                let full = self.files.file(node.origin).folder.join(path);
                moved.insert(node.origin, quoted(&relative(folder, &full)));
            }
        };
        for stage in &self.stages {
            for field in source_fields(stage.kind) {
                let Some(node) = stage.fields.get(field.key) else {
                    continue;
                };
                for node in self.values(node) {
                    if let Some(text) = node.as_str()
                        && let Ok(SourceRef::Source(Source::Path(path))) = field.parse(text)
                    {
                        add(node, &path);
                    }
                }
            }
        }
        let privacy = self.root.get("privacy").and_then(Node::as_table);
        if let Some(node) = privacy.and_then(|privacy| privacy.get("ledger"))
            && let Some(text) = node.as_str()
        {
            add(node, Path::new(text));
        }
        for chosen in &self.chosen {
            moved.insert(chosen.origin, chosen.choice.batch_size.to_string());
        }
        moved
    }

    /// The single values of a parameter: itself, the items of a list, or those of the axis that it stands for.
    fn values<'a>(&'a self, node: &'a Node) -> Vec<&'a Node> {
        if let Some(axis) = node.axis() {
            let axis = self.axes.iter().find(|own| own.name == axis);
            return axis.map_or_else(Vec::new, |axis| axis.nodes.iter().collect());
        }
        match node.as_array() {
            Some(items) => items.iter().flat_map(|item| self.values(item)).collect(),
            None => vec![node],
        }
    }
}

/// A path as it is written in a file of another folder.
pub fn relative(folder: &Path, path: &Path) -> String {
    let whole = |path: &Path| -> Option<PathBuf> {
        let path = std::path::absolute(path).ok()?;
        // Links are followed where there is something: `..` goes up from where they lead.
        Some(path.canonicalize().unwrap_or(path))
    };
    let (Some(folder), Some(path)) = (whole_parent(folder), whole(path)) else {
        return path.display().to_string();
    };
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (folder.components().collect(), path.components().collect());
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if common == 0 {
        return path.display().to_string();
    }
    let mut way = PathBuf::new();
    for _ in common..from.len() {
        way.push("..");
    }
    way.extend(&to[common..]);
    way.display().to_string()
}

/// A folder that perhaps does not exist yet, with every link in what exists followed.
fn whole_parent(folder: &Path) -> Option<PathBuf> {
    let folder = std::path::absolute(folder).ok()?;
    let mut missing = Vec::new();
    let mut there = folder.as_path();
    loop {
        if let Ok(real) = there.canonicalize() {
            return Some(real.join(missing.iter().rev().collect::<PathBuf>()));
        }
        missing.push(PathBuf::from(there.file_name()?));
        there = there.parent()?;
    }
}

/// A text with some of its values written otherwise.
fn rewritten(text: &str, moved: &Moved) -> String {
    let mut rest = 0;
    let mut out = String::new();
    for (origin, value) in moved {
        let range = origin.range();
        if range.start < rest || range.end > text.len() {
            continue;
        }
        out.push_str(&text[rest..range.start]);
        out.push_str(value);
        rest = range.end;
    }
    out.push_str(&text[rest..]);
    out
}

/// A table under its header: plain values first, then the tables in it.
fn print_table(text: &mut String, name: &str, table: &Table, moved: &Moved) {
    // A dotted table that is all tables needs no header; stages do, one each.
    let (tables, values): (Vec<_>, Vec<_>) = table
        .entries
        .iter()
        .partition(|entry| matches!(entry.node.value, Value::Table(_)) && is_header(name));
    if !values.is_empty() {
        if !name.is_empty() {
            let _ = writeln!(text, "\n[{name}]");
        }
        for entry in values {
            let value = inline(&entry.node, moved);
            // The file is merged: it extends no other.
            if !(name == "experiment" && entry.key == "extends") {
                let _ = writeln!(text, "{} = {value}", key(&entry.key));
            }
        }
    }
    for entry in tables {
        if let Some(inner) = entry.node.as_table() {
            let name = match name {
                "" => key(&entry.key),
                name => format!("{name}.{}", key(&entry.key)),
            };
            print_table(text, &name, inner, moved);
        }
    }
}

/// Whether tables in a table have headers of their own: those of the file, and the stages.
fn is_header(name: &str) -> bool {
    name.is_empty() || name == "stage"
}

fn inline(node: &Node, moved: &Moved) -> String {
    match &node.value {
        Value::String(text) => {
            let moved = moved.get(&node.origin).cloned();
            moved.unwrap_or_else(|| quoted(text))
        }
        Value::Integer(number) => number.to_string(),
        Value::Float(number) if number.is_nan() => "nan".into(),
        Value::Float(number) if number.is_infinite() => {
            if *number > 0.0 { "inf" } else { "-inf" }.into()
        }
        // With a point or an exponent, as TOML tells them from whole numbers.
        Value::Float(number) => format!("{number:?}"),
        Value::Boolean(value) => value.to_string(),
        Value::Datetime(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| inline(item, moved)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(table) => {
            let entries: Vec<String> = table
                .entries
                .iter()
                .map(|entry| format!("{} = {}", key(&entry.key), inline(&entry.node, moved)))
                .collect();
            if entries.is_empty() {
                "{}".into()
            } else {
                format!("{{ {} }}", entries.join(", "))
            }
        }
    }
}

/// A string of TOML 1.0 on one line.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            letter if letter.is_control() => {
                let _ = write!(out, "\\u{:04X}", letter as u32);
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

fn key(name: &str) -> String {
    let bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;

    fn study(folder: &Path, name: &str, text: &str, sets: &[&str]) -> Experiment {
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        let loaded = load(&file, &sets);
        loaded
            .experiment
            .unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
    }

    /// Everything that a plan is made from.
    fn same(a: &Experiment, b: &Experiment) {
        let bare = |experiment: &Experiment| {
            let mut values = inline(
                &Node {
                    value: Value::Table(experiment.root.clone()),
                    origin: Origin::new(0, 0..0),
                },
                &Moved::new(),
            );
            values = values.replace("extends = \"base.toml\", ", "");
            (values, experiment.experiment.seed, experiment.stages.len())
        };
        assert_eq!(bare(a), bare(b));
    }

    const BASE: &str = r#"# A comment.
[experiment]
name = "base"
[sweep]
epsilon = ["inf", 8, 0.5]
[stage.preprocess]
kind = "preprocess"
dataset = "data.csv"               # mine
labels = ["a \\ b", "say \"c\"", "d.e"]
[stage.train]
kind = "train"
needs = ["preprocess"]
model = "builtin:base"
epsilon = "$epsilon"
learning_rate = 1e-3
[report.reference]
accuracy = { inf = 0.8, 8 = 0.5 }
"#;

    #[test]
    fn one_file_keeps_its_comments_and_finds_its_data_from_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("data.csv"), "text,label\n").unwrap();
        let experiment = study(folder.path(), "base.toml", BASE, &[]);
        let results = folder.path().join("results/base");
        let merged = experiment.merged(&results);
        assert_eq!(merged, BASE.replace("\"data.csv\" ", "\"../../data.csv\" "));
        std::fs::create_dir_all(&results).unwrap();
        let again = study(&results, "experiment.toml", &merged, &[]);
        // Copied once more it leads to the same file.
        assert!(again.merged(&results).contains("\"../../data.csv\""));
    }

    #[test]
    fn several_files_and_overrides_become_one_that_says_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(folder.path().join("data.csv"), "text,label\n").unwrap();
        std::fs::write(inner.join("more.csv"), "text,label\n").unwrap();
        std::fs::write(folder.path().join("base.toml"), BASE).unwrap();
        let text =
            "[experiment]\nname = \"mine\"\nextends = \"base.toml\"\n[stage]\ntrain.epochs = 2.0\n";
        let sets = [
            "stage.train.max_grad_norm=0.5",
            "sweep.epsilon=[\"inf\", 3]",
            "experiment.seed=7",
        ];
        let experiment = study(folder.path(), "mine.toml", text, &sets);
        let merged = experiment.merged(&folder.path().join("results/mine"));
        assert!(merged.starts_with("# One file of several"), "{merged}");
        assert!(merged.contains("#     --set experiment.seed=7"), "{merged}");
        assert!(!merged.contains("extends ="), "{merged}");
        let results = folder.path().join("results/mine");
        std::fs::create_dir_all(&results).unwrap();
        let again = study(&results, "experiment.toml", &merged, &[]);
        assert_eq!(
            again.stages[0].fields.get("dataset").unwrap().as_str(),
            Some("../../data.csv")
        );
        let beside = experiment.merged(folder.path());
        same(&experiment, &study(folder.path(), "one.toml", &beside, &[]));
    }
}
