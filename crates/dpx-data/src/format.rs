//! How files are written, as far as the experiment file says: what it may say, and of which files.

use super::read::{SplitFiles, extension};
use super::{DataError, Format};
use std::path::PathBuf;

/// Refuses characters that cannot be told from others in a file.
pub(crate) fn check(format: Format) -> Result<(), DataError> {
    let fits = |value: char| value.is_ascii() && !"\"\r\n".contains(value);
    for (key, value) in [("escape", format.escape), ("delimiter", format.delimiter)] {
        if value.is_some_and(|value| !fits(value)) {
            return Err(DataError::other(format!(
                "`{key}` is not one ASCII character other than a quotation mark or a line break"
            )));
        }
    }
    if format.escape.is_some() && format.escape == format.delimiter {
        return Err(DataError::other(
            "`escape` and `delimiter` are one character",
        ));
    }
    Ok(())
}

/// The keys that are set, with the endings of the files that heed them.
fn keys(format: Format) -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    const QUOTED: &[&str] = &["csv", "tsv"];
    const DELIMITED: &[&str] = &["csv", "tsv", "txt"];
    let keys = [
        ("quoting", format.quoting.is_some(), QUOTED),
        ("escape", format.escape.is_some(), QUOTED),
        ("delimiter", format.delimiter.is_some(), DELIMITED),
    ];
    keys.into_iter()
        .filter(|(_, is_set, _)| *is_set)
        .map(|(key, _, endings)| (key, endings))
}

/// Refuses a key that none of the files heeds.
pub(crate) fn refuse_ignored(format: Format, files: &SplitFiles) -> Result<(), DataError> {
    for (key, endings) in keys(format) {
        let heeds = |file: &PathBuf| endings.contains(&extension(file).as_str());
        if let Some(first) = files.all().next()
            && !files.all().any(heeds)
        {
            return Err(DataError::file(
                first,
                format!(
                    "`{key}` says how {} files are written and has no effect on a file of type {}: remove it",
                    endings.join(", "),
                    extension(first)
                ),
            ));
        }
    }
    Ok(())
}

/// Refuses keys that say how files are written where there are none.
pub(crate) fn refuse_all(format: Format, dataset: &str) -> Result<(), DataError> {
    match keys(format).next() {
        Some((key, _)) => Err(DataError::other(format!(
            "`{key}` has no effect on `{dataset}`, which is no file: remove it"
        ))),
        None => Ok(()),
    }
}
