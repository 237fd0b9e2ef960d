//! How far a ledger had come when a cache last saw it: an older copy of the ledger that is put back has forgotten what was run
//! and released since, and nothing in the ledger's own folder can tell.

use super::StudyError;
use dpx_engine::cache::Cache;
use dpx_ledger::{Ledger, Standing};
use dpx_schema::files::write_swapped;
use std::path::PathBuf;

/// Folder in the cache: a file per ledger.
const FOLDER: &str = "ledgers";

fn file(cache: &Cache, standing: &Standing) -> PathBuf {
    cache
        .root()
        .join(FOLDER)
        .join(format!("{}.json", standing.ledger))
}

/// Refuses a ledger that is older than the cache has seen it.
pub fn check(ledger: &Ledger, cache: &Cache) -> Result<(), StudyError> {
    let Some(standing) = ledger.standing()? else {
        return Ok(());
    };
    // A note that cannot be read says nothing: it is a second look, beside the ledger's own seals.
    let seen = std::fs::read(file(cache, &standing)).ok();
    let seen: Option<Standing> = seen.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    match seen {
        Some(seen) => Ok(ledger.continues(&seen)?),
        None => Ok(()),
    }
}

/// Notes in the cache how far the ledger has come.
pub fn note(ledger: &Ledger, cache: &Cache) -> Result<(), StudyError> {
    let Some(standing) = ledger.standing()? else {
        return Ok(());
    };
    let path = file(cache, &standing);
    // Shared until the file has its name.
    let _shared = cache.share()?;
    let written = std::fs::create_dir_all(cache.root().join(FOLDER))
        .and_then(|()| Ok(serde_json::to_vec(&standing)?))
        .and_then(|bytes| write_swapped(&path, &bytes));
    written
        .map_err(|error| StudyError::failed(format!("cannot write `{}`: {error}", path.display())))
}
