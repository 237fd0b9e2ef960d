//! Which files of a dataset are its train, validation and test splits.

use super::extension;
use crate::DataError;
use std::path::{Path, PathBuf};

const EXTENSIONS: [&str; 7] = ["csv", "tsv", "txt", "jsonl", "ndjson", "json", "parquet"];
/// Where datasets on the Hub keep their files, besides the top folder.
const FOLDERS: [&str; 4] = ["", "split", "data", "default"];

/// Files by split.
#[derive(Debug, Default)]
pub(crate) struct SplitFiles {
    pub(crate) train: Vec<PathBuf>,
    pub(crate) validation: Vec<PathBuf>,
    pub(crate) test: Vec<PathBuf>,
}

/// A file is all train; of a folder the names tell: `train.csv`, `validation.jsonl`, `test-00000-of-00002.parquet`.
pub(crate) fn split_files(path: &Path) -> Result<SplitFiles, DataError> {
    if path.is_file() {
        if !EXTENSIONS.contains(&extension(path).as_str()) {
            return Err(DataError::file(
                path,
                format!(
                    "unknown file format: expected one of {}",
                    EXTENSIONS.join(", ")
                ),
            ));
        }
        return Ok(SplitFiles {
            train: vec![path.to_owned()],
            ..SplitFiles::default()
        });
    }
    if !path.is_dir() {
        return Err(DataError::file(path, "no such file or folder"));
    }
    for folder in FOLDERS {
        let folder = path.join(folder);
        if !folder.is_dir() {
            continue;
        }
        let files = of_folder(&folder)?;
        if !files.train.is_empty() {
            return Ok(files);
        }
    }
    Err(DataError::file(
        path,
        format!(
            "the folder holds no train split: expected `train` with one of the extensions {}",
            EXTENSIONS.join(", ")
        ),
    ))
}

fn of_folder(folder: &Path) -> Result<SplitFiles, DataError> {
    let mut files = SplitFiles::default();
    let entries = std::fs::read_dir(folder).map_err(|error| DataError::file(folder, error))?;
    for entry in entries {
        let path = entry
            .map_err(|error| DataError::file(folder, error))?
            .path();
        if !path.is_file() || !EXTENSIONS.contains(&extension(&path).as_str()) {
            continue;
        }
        let stem = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().to_lowercase())
            .unwrap_or_default();
        match stem.split(['-', '_', '.']).next().unwrap_or("") {
            "train" | "training" => files.train.push(path),
            "validation" | "valid" | "val" | "dev" => files.validation.push(path),
            "test" => files.test.push(path),
            _ => {}
        }
    }
    for (name, list) in [
        ("train", &mut files.train),
        ("validation", &mut files.validation),
        ("test", &mut files.test),
    ] {
        list.sort();
        let sharded = list
            .iter()
            .all(|path| path.to_string_lossy().contains("-of-"));
        if list.len() > 1 && !sharded {
            let names: Vec<_> = list
                .iter()
                .filter_map(|path| path.file_name())
                .map(|name| format!("`{}`", name.to_string_lossy()))
                .collect();
            return Err(DataError::file(
                folder,
                format!(
                    "several files could be the {name} split ({}): keep one",
                    names.join(", ")
                ),
            ));
        }
    }
    Ok(files)
}
