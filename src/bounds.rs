//! Bounds that accountants certified for this cache's studies, remembered from one report to the next.

use dpx_accounting::{Certified, memo};
use dpx_engine::cache::{BOUNDS, Cache};
use dpx_schema::Digest;
use dpx_schema::files::write_swapped;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Another version computes other bounds.
const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Serialize, Deserialize)]
struct Known {
    version: String,
    bounds: BTreeMap<String, Certified>,
}

/// The file of a cache, and how many bounds were known when it was read.
pub(crate) struct Bounds {
    file: PathBuf,
    known: usize,
}

impl Bounds {
    /// Takes over what the cache remembers. A file that was damaged counts for nothing: its first line is the digest of the rest.
    pub(crate) fn of(cache: &Cache) -> Self {
        let file = cache.root().join(BOUNDS);
        if let Ok(text) = std::fs::read_to_string(&file)
            && let Some((digest, bounds)) = text.split_once('\n')
            && Digest::of(bounds.as_bytes()).to_string() == digest
            && let Ok(known) = serde_json::from_str::<Known>(bounds)
            && known.version == VERSION
        {
            memo::remember(known.bounds);
        }
        Self {
            file,
            known: memo::number(),
        }
    }

    /// Writes what is new. A failure only costs time, so it is not told.
    pub(crate) fn save(&self) {
        if memo::number() > self.known && self.file.parent().is_some_and(std::path::Path::is_dir) {
            let known = Known {
                version: VERSION.to_owned(),
                bounds: memo::remembered(),
            };
            let Ok(bounds) = serde_json::to_string(&known) else {
                return;
            };
            let digest = Digest::of(bounds.as_bytes());
            drop(write_swapped(
                &self.file,
                format!("{digest}\n{bounds}").as_bytes(),
            ));
        }
    }
}
