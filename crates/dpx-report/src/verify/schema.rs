//! `privacy.json`: every field known, of its type, in the one form that a statement has.

use super::Failures;
use super::folder::read_page;
use crate::release::{Export, ExportForm, INTERNAL_FORMAT, STATEMENT_FILE, Statement, public_name};
use dpx_schema::MODEL_SCHEMA_FILE;
use dpx_schema::params::is_column_of_labels;
use dpx_schema::privacy::NOT_COVERED;
use dpx_schema::publication::{NO_LICENSE, check_language, check_license, check_license_name};
use dpx_stages::export::LABEL_PROMPTS_FILE;
use dpx_stages::sample::MESSAGES_COLUMN;
use std::collections::BTreeSet;
use std::path::Path;

/// Reads the statement; nothing where nothing can be concluded from it.
pub(super) fn read(path: &Path, failures: &mut Failures) -> Option<Statement> {
    let text = match read_page(path) {
        Ok(text) => text,
        Err(reason) => {
            failures.add(format!("{STATEMENT_FILE} {reason}"));
            return None;
        }
    };
    let statement: Statement = match serde_json::from_str(&text) {
        Ok(statement) => statement,
        Err(error) => {
            failures.add(match version(&text) {
                _ if is_internal(&text) => format!(
                    "{STATEMENT_FILE} marks the folder as internal, not for release: nothing in it has a guarantee"
                ),
                Some(version) if version != Statement::VERSION => format!(
                    "{STATEMENT_FILE} is of version {version}, this dpx knows version {}: use the dpx that made the release",
                    Statement::VERSION
                ),
                _ => format!("{STATEMENT_FILE} is no statement of a release: {error}"),
            });
            return None;
        }
    };
    if statement.version != Statement::VERSION {
        failures.add(format!(
            "{STATEMENT_FILE} is of version {}, this dpx knows version {}: use the dpx that made the release",
            statement.version,
            Statement::VERSION
        ));
        return None;
    }
    // One statement has one form: nothing hides in repeated keys, spaces, or digits that are read away.
    failures.unless(statement.to_json().is_ok_and(|own| own == text), || {
        format!("{STATEMENT_FILE} is not written as dpx writes it: its bytes are not those of its content")
    });
    let before = failures.0.len();
    names(&statement, failures);
    // Names that are none are never opened.
    let sound = failures.0.len() == before;
    fields(&statement, failures);
    sound.then_some(statement)
}

fn version(text: &str) -> Option<u32> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    value["version"].as_u64()?.try_into().ok()
}

/// Whether `dpx export --internal` wrote it.
fn is_internal(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text)
        .is_ok_and(|value| value["format"] == INTERNAL_FORMAT)
}

/// Whether a name is one that a release gives its files.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !name.starts_with('.')
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "=.,-_".contains(letter))
}

fn names(statement: &Statement, failures: &mut Failures) {
    let of_texts = statement.texts.iter().map(|texts| &texts.name);
    let of_models = statement.models.iter().map(|model| &model.name);
    for (what, names) in [
        ("texts", of_texts.collect::<Vec<_>>()),
        ("models", of_models.collect()),
    ] {
        let mut seen = BTreeSet::new();
        for name in names {
            failures.unless(is_name(name), || {
                format!("{name:?} is no name that a release gives {what}")
            });
            failures.unless(seen.insert(name.to_lowercase()), || {
                format!("two {what} are called {name:?}")
            });
        }
    }
    for model in &statement.models {
        for file in &model.files {
            failures.unless(file.split('/').all(is_name), || {
                format!("{file:?} is no path of a file in a model")
            });
        }
        let different: BTreeSet<&String> = model.files.iter().collect();
        failures.unless(
            different.len() == model.files.len() && !model.files.is_empty(),
            || "a model lists a file twice, or none".to_owned(),
        );
    }
    match &statement.export {
        None => failures.unless(!statement.texts.is_empty(), || {
            "there are no texts in the release".to_owned()
        }),
        Some(export) => self::export(statement, export, failures),
    }
}

/// A model that is released alone.
fn export(statement: &Statement, export: &Export, failures: &mut Failures) {
    failures.unless(
        statement.texts.is_empty() && statement.models.len() == 1,
        || "a model that is released alone is one model without texts".to_owned(),
    );
    let dtypes: &[&str] = match export.form {
        ExportForm::Model => &["float32", "bfloat16"],
        ExportForm::Adapter => &["float32"],
    };
    failures.unless(dtypes.contains(&export.dtype.as_str()), || {
        format!("`dtype` is {:?}: expected one of {dtypes:?}", export.dtype)
    });
    if let Some(base) = &export.base {
        failures.unless(*base == public_name(base), || {
            format!("{base:?} is no name that dpx gives a public model")
        });
    }
    let plain = |text: &String| text.len() <= 200 && !text.chars().any(char::is_control);
    failures.unless(export.base_license.as_ref().is_none_or(plain), || {
        "`base_license` is no short line".to_owned()
    });
    let weights = match export.form {
        ExportForm::Model => "model.safetensors",
        ExportForm::Adapter => "adapter_model.safetensors",
    };
    let files = statement.models.iter().flat_map(|model| &model.files);
    for needed in [weights, MODEL_SCHEMA_FILE, LABEL_PROMPTS_FILE] {
        failures.unless(files.clone().any(|file| file == needed), || {
            format!("the model has no {needed}")
        });
    }
}

fn fields(statement: &Statement, failures: &mut Failures) {
    let is_version = statement.dpx_version.len() < 40
        && statement
            .dpx_version
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || ".-+".contains(letter));
    failures.unless(is_version, || "`dpx_version` is no version".to_owned());
    for name in statement.scrubbing.iter().chain(&statement.public_inputs) {
        failures.unless(*name == public_name(name), || {
            format!("{name:?} is no name that dpx gives a public input or a scrubber")
        });
    }
    failures.unless(is_day(&statement.date), || {
        format!(
            "`date` is {:?}: expected a day such as 2026-11-30",
            statement.date
        )
    });
    for language in &statement.language {
        failures.of("`language`", check_language(language));
    }
    failures.of("`license`", check_license(&statement.license.id));
    if let Some(name) = &statement.license.name {
        failures.of("`license`", check_license_name(name));
        failures.unless(statement.license.id == NO_LICENSE, || {
            "`license` has both an identifier and a name".to_owned()
        });
    }
    let labels: BTreeSet<&String> = statement.labels.iter().collect();
    failures.unless(labels.len() == statement.labels.len(), || {
        "`labels` names a label twice".to_owned()
    });
    let expected: &[&str] = if statement.claim.is_some() {
        &NOT_COVERED
    } else {
        &[]
    };
    failures.unless(statement.not_covered == expected, || {
        "`not_covered` is not the list of what no claim covers".to_owned()
    });
    let known: Vec<&str> = statement
        .public_inputs
        .iter()
        .filter_map(|input| dpx_data::builtin::provenance(input))
        .collect();
    failures.unless(
        statement
            .provenance
            .iter()
            .all(|sentence| known.contains(&sentence.as_str())),
        || "`provenance` says something that dpx does not say of the public inputs".to_owned(),
    );
    let soft: Vec<String> = statement
        .labels
        .iter()
        .map(|label| format!("p_{label}"))
        .collect();
    for texts in &statement.texts {
        failures.unless(has_known_columns(&texts.columns, &soft), || {
            format!("`{}` has columns that no release has", texts.name)
        });
    }
}

/// Whether columns are those of a release, in their order: `text`, `label`, columns of labels, the turns of conversations, a
/// teacher's probabilities.
fn has_known_columns(columns: &[String], soft: &[String]) -> bool {
    let [text, label, rest @ ..] = columns else {
        return false;
    };
    let rest = rest.strip_suffix(soft).unwrap_or(rest);
    let rest = match rest {
        [rest @ .., last] if last == MESSAGES_COLUMN => rest,
        rest => rest,
    };
    let distinct: BTreeSet<&String> = rest.iter().collect();
    text == "text"
        && label == "label"
        && distinct.len() == rest.len()
        && rest.iter().all(|name| is_column_of_labels(name))
}

/// Whether a text is a day, `2026-11-30`.
fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |text: &str, digits: usize| {
        let fits = text.len() == digits && text.chars().all(|digit| digit.is_ascii_digit());
        fits.then(|| text.parse::<u32>().ok()).flatten()
    };
    let [year, month, day] = parts.as_slice() else {
        return false;
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2))
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (1..=12).contains(&month) && (1..=last).contains(&day)
}
