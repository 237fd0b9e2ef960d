//! Bounds that accountants certified for this cache's studies, remembered from one report to the next.

use dpx_accounting::memo;
use dpx_engine::cache::Cache;
use dpx_schema::Digest;
use dpx_schema::files::write_swapped;
use std::path::PathBuf;

/// The file of a cache, and how many bounds were known when it was read.
pub(crate) struct Bounds {
    file: PathBuf,
    known: usize,
}

impl Bounds {
    /// Takes over what the cache remembers. A file that was damaged counts for nothing: its first line is the digest of the rest.
    pub(crate) fn of(cache: &Cache) -> Self {
        let file = cache.root().join("bounds.json");
        if let Ok(text) = std::fs::read_to_string(&file)
            && let Some((digest, bounds)) = text.split_once('\n')
            && Digest::of(bounds.as_bytes()).to_string() == digest
        {
            memo::remember(bounds);
        }
        Self {
            file,
            known: memo::number(),
        }
    }

    /// Writes what is new. A failure only costs time, so it is not told.
    pub(crate) fn save(&self) {
        if memo::number() > self.known && self.file.parent().is_some_and(std::path::Path::is_dir) {
            let bounds = memo::remembered();
            let digest = Digest::of(bounds.as_bytes());
            drop(write_swapped(&self.file, format!("{digest}\n{bounds}").as_bytes()));
        }
    }
}
