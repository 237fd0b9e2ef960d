//! Whose records the training texts of a data set hold: told to the ledger by `preprocess`, which alone sees them raw, and
//! looked up by every private stage by the digest of those texts.
//!
//! The keyed digests of the records lie with the ledger and under its secret. Nothing of them is in the artifact: its bytes
//! are the same on every machine, and whoever has the cache cannot find out from them what scrubbing took away.

use dpx_data::{Dataset, Source, content_identity, file_digest};
use dpx_ledger::{Ledger, LedgerError, Noted, Units};
use dpx_schema::params::PreprocessParams;
use dpx_schema::{Digest, StageError};
use std::path::Path;

/// The file of a `preprocess` artifact that private stages read.
pub const TEXTS_FILE: &str = "train.jsonl";

/// The raw texts that private stages are going to learn from: of conversations all that was said, whatever `roles` makes of it.
pub fn texts_of(dataset: &Dataset) -> impl Iterator<Item = &str> {
    dataset.written().iter().map(|row| dataset.said(row))
}

/// The people whose they are, where people are protected.
pub fn owners_of(dataset: &Dataset) -> impl Iterator<Item = u64> {
    let owners = dataset.written().iter().flat_map(|row| &row.owners);
    owners.map(|owner| owner.number())
}

/// The raw records of a data set that private stages are going to learn from.
pub(crate) fn units(
    ledger: &Ledger,
    dataset: &Dataset,
    column: Option<&str>,
) -> Result<Units, LedgerError> {
    let units = ledger.units_of_people(texts_of(dataset), owners_of(dataset))?;
    Ok(units.named_by(column))
}

/// The digest of the training texts in the folder of a `preprocess` artifact.
pub(crate) fn texts(folder: &Path) -> Result<Digest, StageError> {
    Ok(Digest::from_bytes(file_digest(&folder.join(TEXTS_FILE))?))
}

/// Reads a data set again and tells the ledger whose records `texts` holds, the digest of the training texts that were made
/// from it: for a ledger that did not see it when it was preprocessed.
///
/// # Errors
/// The data set or the ledger cannot be read.
pub fn tell(
    ledger: &Ledger,
    params: &PreprocessParams,
    texts: &Digest,
) -> Result<Noted, StageError> {
    let dataset = dpx_data::load(&dpx_data::Request::from(params))?;
    let units = units(ledger, &dataset, params.unit_column.as_deref())?;
    Ok(ledger.note_people(texts, &units, &source(params)?)?)
}

/// What stays the same whichever columns of a data set are read, in whichever order and with whatever limit: one person's
/// title and body are two texts of one record.
///
/// # Errors
/// A file cannot be read.
pub fn source(params: &PreprocessParams) -> Result<String, StageError> {
    Ok(match Source::parse(&params.dataset) {
        Source::Builtin(name) => format!("builtin:{name}"),
        // Whatever its revision.
        Source::Hub(name) => format!("hf:{}", name.repository),
        Source::Path(path) => content_identity(&path, &mut file_digest)?,
    })
}

/// Tells the ledger of a stage's input, as `preprocess` would have.
#[cfg(test)]
pub(crate) fn know(context: &dpx_schema::StageContext<'_>) {
    let input = &context.require(dpx_schema::Kind::Preprocess).unwrap().path;
    let rows = dpx_data::Rows::read(input.join(TEXTS_FILE)).unwrap();
    let ledger = Ledger::at(&context.ledger.folder);
    let units = ledger
        .units(rows.iter().map(|row| row.text.as_str()))
        .unwrap();
    ledger
        .note_people(&texts(input).unwrap(), &units, "tests")
        .unwrap();
}
