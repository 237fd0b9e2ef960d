//! Whether a public input is a file of a data set itself, whatever is in it.

use super::{Private, Public, PublicSource};
use dpx_data::{Source, file_digest};
use std::path::{Path, PathBuf};

/// The file of a data set that a public input is, by its place or byte by byte.
pub(super) fn of(private: &Private, public: &Public) -> Option<PathBuf> {
    let PublicSource::Path(path) = &public.source else {
        return None;
    };
    let Source::Path(data) = Source::parse(&private.params.dataset) else {
        return None;
    };
    // What is not there is told by the stage that reads it.
    let path = path.canonicalize().ok()?;
    let data = data.canonicalize().ok()?;
    if path.starts_with(&data) {
        return Some(path);
    }
    let size = size(&path)?;
    let mut same_size = files(&data);
    same_size.retain(|file| self::size(file) == Some(size));
    if same_size.is_empty() || size == 0 {
        return None;
    }
    let digest = file_digest(&path).ok()?;
    same_size
        .into_iter()
        .find(|file| file_digest(file).is_ok_and(|own| own == digest))
}

fn size(path: &Path) -> Option<u64> {
    let found = std::fs::metadata(path).ok()?;
    found.is_file().then_some(found.len())
}

/// Every regular file of a data set; links to folders are not followed, so that none leads in a circle.
fn files(data: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![data.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_file() {
            found.push(path);
        } else if let Ok(entries) = std::fs::read_dir(&path) {
            let entries = entries.filter_map(Result::ok).map(|entry| entry.path());
            open.extend(entries.filter(|path| path.is_file() || !path.is_symlink()));
        }
    }
    found
}
