//! `README.md` of a release: a dataset card that `datasets.load_dataset` and the Hugging Face Hub read. A function of the
//! statement alone.

use super::model_card;
use super::officer::generated;
use super::statement::{MODEL_FOLDER, Statement, Texts};
use super::words::{claimed, code, events};
use dpx_schema::{PublicInputs, Unit, counted};
use dpx_stages::sample::MESSAGES_COLUMN;
use serde_json::Value;
use std::fmt::Write;

pub(crate) fn card(statement: &Statement) -> String {
    if let Some(export) = &statement.export {
        return model_card::card(statement, export);
    }
    let mut card = front(statement);
    let _ = write!(
        card,
        "\n# Synthetic texts: {}\n\n{}: {} made with dpx {} on {}. Short phrases may coincide with training texts.\n\n",
        plain(&statement.study),
        capital(&generated(statement)),
        counted(statement.rows(), "text"),
        statement.dpx_version,
        statement.date,
    );
    guarantee(&mut card, statement);
    files(&mut card, statement);
    loading(&mut card, statement);
    card
}

/// The beginning of the metadata in YAML, which texts and models share: language and license. Strings are written as JSON, which
/// YAML reads, so that `no` stays a word.
pub(super) fn begin(statement: &Statement) -> String {
    let mut front = String::from("---\n");
    if !statement.language.is_empty() {
        front.push_str("language:\n");
        for language in &statement.language {
            let _ = writeln!(front, "- {}", quoted(language));
        }
    }
    let _ = writeln!(front, "license: {}", quoted(&statement.license.id));
    if let Some(name) = &statement.license.name {
        let _ = writeln!(front, "license_name: {}", quoted(name));
    }
    front
}

/// The metadata of texts.
fn front(statement: &Statement) -> String {
    let mut front = begin(statement);
    let _ = writeln!(front, "pretty_name: {}", quoted(&statement.study));
    // One label stands for none.
    let task = if statement.labels.len() < 2 {
        "text-generation"
    } else {
        "text-classification"
    };
    let _ = write!(
        front,
        "task_categories:\n- {task}\nsize_categories:\n- {}\nannotations_creators:\n- machine-generated\nlanguage_creators:\n- machine-generated\ntags:\n- synthetic\n- differential-privacy\n",
        quoted(size_category(statement.rows()))
    );
    front.push_str("configs:\n");
    for texts in &statement.texts {
        // Only JSON lines hold conversations as lists of turns.
        let ending = if has_conversations(texts) {
            "jsonl"
        } else {
            "parquet"
        };
        let _ = write!(
            front,
            "- config_name: {}\n  data_files:\n  - split: train\n    path: {}\n",
            quoted(&texts.name),
            quoted(&format!("{}.{ending}", texts.name))
        );
    }
    front.push_str("dataset_info:\n");
    for texts in &statement.texts {
        let _ = write!(
            front,
            "- config_name: {}\n  features:\n{}",
            quoted(&texts.name),
            features(statement, texts)
        );
    }
    front.push_str("---\n");
    front
}

fn has_conversations(texts: &Texts) -> bool {
    texts.columns.iter().any(|column| column == MESSAGES_COLUMN)
}

fn features(statement: &Statement, texts: &Texts) -> String {
    let mut features = String::new();
    for column in &texts.columns {
        let _ = writeln!(features, "  - name: {}", quoted(column));
        match column.as_str() {
            "text" => features.push_str("    dtype: string\n"),
            MESSAGES_COLUMN => features.push_str(
                "    list:\n    - name: role\n      dtype: string\n    - name: content\n      dtype: string\n",
            ),
            "label" if statement.labels.is_empty() => features.push_str("    dtype: string\n"),
            "label" => {
                features.push_str("    dtype:\n      class_label:\n        names:\n");
                for (number, label) in statement.labels.iter().enumerate() {
                    let _ = writeln!(features, "          \"{number}\": {}", quoted(label));
                }
            }
            name if name.starts_with("p_") => features.push_str("    dtype: float64\n"),
            _ => features.push_str("    dtype: string\n"),
        }
    }
    features
}

pub(super) fn guarantee(card: &mut String, statement: &Statement) {
    card.push_str("## Guarantee\n");
    if let (Some(claim), Some(total)) = (&statement.claim, &statement.total) {
        let _ = write!(
            card,
            "All files here together: **{claim}** (unit: one {}; adjacency: {}). With every earlier release of the same people known to the publisher, and with the choice of the rows: **{total}**. What ran: {}.\n\n",
            match statement.unit() {
                Unit::Example => Unit::Example.word(),
                Unit::User if statement.has_several_owners() =>
                    "person with what they wrote in all of their records; which records are whose is taken to be public",
                Unit::User => "person with all of their records",
            },
            claim.adjacency(),
            events(claim)
        );
    } else {
        let what = if statement.export.is_some() {
            "the model comes"
        } else {
            "all texts come"
        };
        let but = if statement.declared_overlap.is_empty() {
            ""
        } else {
            ", some of which is declared to hold private records"
        };
        let _ = write!(
            card,
            "No private data used: {what} from public data{but}.\n\n"
        );
    }
    let inputs = PublicInputs {
        declared_overlap: statement.declared_overlap.clone(),
        provenance: statement.provenance.clone(),
    };
    for sentence in inputs.sentences() {
        let _ = write!(card, "{sentence}\n\n");
    }
    card.push_str("[PRIVACY.md](PRIVACY.md) says in plain words what that means and what it does not cover; [privacy.json](privacy.json) holds what is needed to compute it again: `dpx verify DIR`, with this folder and nothing else.\n\n");
}

fn files(card: &mut String, statement: &Statement) {
    card.push_str("## Files\n| configuration | texts | written by | private runs behind it |\n| --- | --- | --- | --- |\n");
    for texts in &statement.texts {
        let _ = writeln!(
            card,
            "| {} | {} | {} | {} |",
            code(&texts.name),
            texts.rows,
            code(&texts.instance),
            runs(&texts.runs)
        );
    }
    card.push_str("\nEach is there as `.parquet` (zstd), `.csv` and `.jsonl`: `text` and `label`");
    let all = || statement.texts.iter().flat_map(|texts| &texts.columns);
    let mut more: Vec<&String> = all()
        .filter(|name| !["text", "label", MESSAGES_COLUMN].contains(&name.as_str()))
        .filter(|name| !name.starts_with("p_"))
        .collect();
    more.dedup();
    for name in more {
        let _ = write!(card, ", {}", code(name));
    }
    if all().any(|name| name == MESSAGES_COLUMN) {
        card.push_str(", and `messages`, the turns of a conversation as `role` and `content` (a list in `.jsonl`, JSON in the other files), which TRL and Axolotl train on");
    }
    if all().any(|name| name.starts_with("p_")) {
        card.push_str(", and `p_LABEL`, a private teacher's probability of each label");
    }
    card.push_str(". Texts are kept as they were generated: a spreadsheet may take one that begins with `=`, `+`, `-` or `@` in a `.csv` for a formula.\n");
    for model in &statement.models {
        let _ = write!(
            card,
            "\nThe model that {} trained lies in [`{MODEL_FOLDER}/{}`]({MODEL_FOLDER}/{}), in the layout of `transformers`; private runs behind it: {}.\n",
            code(&model.instance),
            model.name,
            link(&model.name),
            runs(&model.runs)
        );
    }
}

fn runs(runs: &[String]) -> String {
    if runs.is_empty() {
        claimed(None)
    } else {
        super::words::listed(runs)
    }
}

fn loading(card: &mut String, statement: &Statement) {
    let Some(first) = statement.texts.first() else {
        return;
    };
    let _ = write!(
        card,
        "\n```python\nfrom datasets import load_dataset\ntexts = load_dataset(\"PATH/TO/THIS/FOLDER\", {}, split=\"train\")\n```\n",
        quoted(&first.name)
    );
}

/// The size category of the Hub.
const fn size_category(rows: u64) -> &'static str {
    match rows {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        10_000_000..100_000_000 => "10M<n<100M",
        100_000_000..1_000_000_000 => "100M<n<1B",
        _ => "1B<n<10B",
    }
}

/// A string as JSON, which is YAML too; what ends a line in YAML alone is escaped.
pub(super) fn quoted(text: &str) -> String {
    let escaped = |character: char| match character {
        '\u{7f}' | '\u{85}' | '\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
            format!("\\u{:04x}", u32::from(character))
        }
        other => other.to_string(),
    };
    Value::from(text).to_string().chars().map(escaped).collect()
}

pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn link(name: &str) -> String {
    name.replace('(', "%28")
        .replace(')', "%29")
        .replace(' ', "%20")
}

pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_yaml_would_take_for_something_else_are_strings() {
        assert_eq!(quoted("no"), "\"no\"");
        assert_eq!(
            quoted("a\"b\n\u{85}\u{2028}"),
            "\"a\\\"b\\n\\u0085\\u2028\""
        );
        assert_eq!(size_category(999), "n<1K");
        assert_eq!(size_category(1_000), "1K<n<10K");
        assert_eq!(size_category(24_000), "10K<n<100K");
    }
}
