//! The pages, made again from the statement; the texts, each format against the others; the models.

use super::Failures;
use super::folder::read_page;
use crate::release::{self, CARD_FILE, Export, OFFICER_FILE, Statement};
use crate::texts::{FEATURES_KEY, Texts, features};
use dpx_data::{ParquetTable, ParquetValues, read_parquet};
use dpx_schema::conversation::Conversation;
use dpx_schema::{MODEL_SCHEMA_FILE, PublicSchema};
use dpx_stages::export::{LABEL_PROMPTS_FILE, Prompts};
use dpx_stages::sample::MESSAGES_COLUMN;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// `PRIVACY.md`.
pub(super) fn officer(root: &Path, statement: &Statement, failures: &mut Failures) {
    page(root, OFFICER_FILE, &release::page(statement), failures);
}

/// `README.md`.
pub(super) fn card(root: &Path, statement: &Statement, failures: &mut Failures) {
    page(root, CARD_FILE, &release::card(statement), failures);
}

fn page(root: &Path, name: &str, expected: &str, failures: &mut Failures) {
    let found = match read_page(&root.join(name)) {
        Ok(found) => found,
        Err(reason) => return failures.add(format!("{name} {reason}")),
    };
    if found == expected {
        return;
    }
    // With their ends: a page that was saved with others differs in nothing else.
    let (mut found, mut expected) = (found.split_inclusive('\n'), expected.split_inclusive('\n'));
    let same = found.clone().zip(expected.clone());
    let same = same.take_while(|(found, expected)| found == expected);
    let before = same.count();
    let (found, expected) = (found.nth(before), expected.nth(before));
    let end = |line: Option<&str>| line.is_some_and(|line| line.ends_with("\r\n"));
    failures.add(format!(
        "line {} is not what privacy.json says: the page has {:?}, expected {:?}{}",
        before + 1,
        shortened(found),
        shortened(expected),
        if end(found) {
            "; its lines end as Windows ends them (CRLF): unpack or copy the release without converting them"
        } else {
            ""
        }
    ));
}

fn shortened(line: Option<&str>) -> String {
    const MOST: usize = 120;
    let line = line.unwrap_or("nothing");
    if line.chars().count() <= MOST {
        line.to_owned()
    } else {
        let begin: String = line.chars().take(MOST).collect();
        format!("{begin}...")
    }
}

pub(super) fn texts(root: &Path, statement: &Statement, failures: &mut Failures) {
    for told in &statement.texts {
        let name = &told.name;
        let read = fs::read(root.join(format!("{name}.csv")))
            .and_then(|csv| Ok((Texts::read(&csv)?, csv)));
        let (table, bytes) = match read {
            Ok(read) => read,
            Err(error) => {
                failures.add(format!("`{name}.csv` cannot be read: {error}"));
                continue;
            }
        };
        failures.unless(table.header == told.columns, || {
            format!("`{name}.csv` has other columns than privacy.json says")
        });
        failures.unless(table.rows() as u64 == told.rows, || {
            format!(
                "`{name}.csv` holds {} texts, privacy.json says {}",
                table.rows(),
                told.rows
            )
        });
        derived(name, &table, failures);
        // A number of any size could tell what a text may not.
        let share = |number: &f64| (0.0..=1.0).contains(number);
        failures.unless(table.numbers.iter().flatten().all(share), || {
            format!("`{name}.csv` holds a number that is no probability")
        });
        match table.csv() {
            Ok(own) => failures.unless(bytes == own, || {
                format!("`{name}.csv` is not written as dpx writes it: its bytes are not those of its texts")
            }),
            Err(error) => failures.add(format!("`{name}.csv`: {error}")),
        }
        let lines: String = (0..table.rows()).fold(String::new(), |lines, row| {
            lines + &table.json(row).to_string() + "\n"
        });
        match fs::read(root.join(format!("{name}.jsonl"))) {
            Ok(found) => failures.unless(found == lines.as_bytes(), || {
                format!("`{name}.jsonl` holds something else than `{name}.csv`")
            }),
            Err(error) => failures.add(format!("`{name}.jsonl` cannot be read: {error}")),
        }
        match (
            expected(&table, &statement.labels),
            read_parquet(&root.join(format!("{name}.parquet"))),
        ) {
            (Ok(expected), Ok(found)) => {
                failures.unless(found == expected, || {
                    format!("`{name}.parquet` holds something else than `{name}.csv`")
                });
                failures.of(
                    &format!("`{name}.parquet`"),
                    same_bytes(root, name, &table, statement),
                );
            }
            (Err(error), _) => failures.add(format!("`{name}.csv`: {error}")),
            (_, Err(error)) => failures.add(error.to_string()),
        }
    }
}

/// Columns that follow from others: those of labels, which the label joins, and the turns of a conversation, which its text holds.
fn derived(name: &str, table: &Texts, failures: &mut Failures) {
    let columns = || table.header.iter().zip(&table.words).skip(2);
    let of_labels = || columns().filter(|(column, _)| *column != MESSAGES_COLUMN);
    let mut wrong = 0;
    for row in 0..table.rows() {
        let values: Vec<&str> = of_labels().map(|(_, words)| words[row].as_str()).collect();
        let joined = values.is_empty() || values.join(", ") == table.words[1][row];
        let mut turns = columns().filter(|(column, _)| *column == MESSAGES_COLUMN);
        let spoken = turns.all(|(_, words)| {
            let own = Conversation::parse(&table.words[0][row]).unwrap_or_default();
            serde_json::to_string(&own).is_ok_and(|own| own == words[row])
        });
        wrong += u64::from(!(joined && spoken));
    }
    failures.unless(wrong == 0, || {
        format!("`{name}.csv`: columns of {wrong} of its texts do not follow from text and label")
    });
}

/// Whether a parquet file has the bytes that dpx writes for its table: nothing else hides in it. Another version may have compressed
/// pages otherwise; everything else of its file is the same.
fn same_bytes(root: &Path, name: &str, table: &Texts, statement: &Statement) -> io::Result<()> {
    let (labels, version) = (&statement.labels, &statement.dpx_version);
    let found = fs::read(root.join(format!("{name}.parquet")))?;
    if version == env!("CARGO_PKG_VERSION") {
        if table.parquet(labels)? == found {
            return Ok(());
        }
        return Err(io::Error::other(
            "its bytes are not those that dpx writes for these texts",
        ));
    }
    let why = match table.parquet_like(labels, version, &found) {
        Ok(own) if own == found => return Ok(()),
        Ok(_) => String::new(),
        Err(error) => format!(" ({error})"),
    };
    Err(io::Error::other(format!(
        "privacy.json says that dpx {version} wrote it, and beyond the compression of its pages its bytes are not those that this dpx, {}, \
         writes for these texts{why}: something stands in it that belongs to no text, or that version writes other files; check it with \
         dpx {version}",
        env!("CARGO_PKG_VERSION")
    )))
}

/// What the parquet file of a table holds.
fn expected(table: &Texts, labels: &[String]) -> io::Result<ParquetTable> {
    use crate::texts::Column;
    let columns = table.columns(labels)?;
    let kept = features(columns.iter().map(|(name, column)| (*name, column)));
    let values = |column: &Column<'_>| match column {
        Column::Text(texts) => ParquetValues::Text(texts.to_vec()),
        Column::Label(places, _) => ParquetValues::Integer(places.clone()),
        Column::Number(numbers) => ParquetValues::Number(numbers.to_vec()),
    };
    Ok(ParquetTable {
        columns: columns
            .iter()
            .map(|(name, column)| ((*name).to_owned(), values(column)))
            .collect(),
        metadata: BTreeMap::from([(FEATURES_KEY.to_owned(), kept)]),
    })
}

/// The models: what they say of the private data.
pub(super) fn models(root: &Path, statement: &Statement, failures: &mut Failures) {
    for model in &statement.models {
        let place = statement.place(model);
        let path = root.join(format!("{place}{MODEL_SCHEMA_FILE}"));
        if !model.files.iter().any(|file| file == MODEL_SCHEMA_FILE) {
            continue;
        }
        match PublicSchema::load(&path) {
            Ok(schema) => {
                failures.unless(schema.labels == statement.labels, || {
                    format!(
                        "the model `{}` knows other labels than privacy.json",
                        model.name
                    )
                });
                let mut runs = model.runs.iter().filter_map(|run| statement.runs.get(run));
                let disclosed = model.runs.is_empty() || runs.any(|run| run.examples.is_none());
                let hidden = schema.examples == 0 && schema.records.is_none();
                failures.unless(!disclosed || hidden, || {
                    format!("the model `{}` discloses the number of records", model.name)
                });
            }
            Err(error) => failures.add(error.to_string()),
        }
    }
    if let Some(export) = &statement.export {
        prompts(root, export, failures);
    }
}

/// The prompts of a model that is released alone: those that follow from its own files.
fn prompts(root: &Path, export: &Export, failures: &mut Failures) {
    match Prompts::read(root) {
        Ok(own) => {
            let own = Prompts {
                end_tokens: export.prompts.end_tokens.clone(),
                ..own
            };
            failures.unless(own == export.prompts, || {
                "the prompts in privacy.json are not those of the model's public schema and tokenizer".to_owned()
            });
        }
        Err(error) => failures.add(format!("the prompts cannot be made again: {error}")),
    }
    match (
        read_page(&root.join(LABEL_PROMPTS_FILE)),
        export.prompts.to_json(),
    ) {
        (Ok(found), Ok(own)) => failures.unless(found == own, || {
            format!("{LABEL_PROMPTS_FILE} holds something else than privacy.json")
        }),
        (Err(reason), _) => failures.add(format!("{LABEL_PROMPTS_FILE} {reason}")),
        (_, Err(error)) => failures.add(format!("{LABEL_PROMPTS_FILE}: {error}")),
    }
}
