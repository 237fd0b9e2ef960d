//! Which files of a dataset are its train, validation and test splits, and which are not read.

use super::names::{Infos, text};
use super::open::{Packing, refuse_special};
use super::{EXTENSIONS, extension, shards};
use crate::error::listed;
use crate::layout::{self, SplitPaths};
use crate::{DataError, identity};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Endings of other files that hold data; they are named where they are not read.
const OTHER: [&str; 22] = [
    "arrow", "feather", "avro", "orc", "xls", "xlsx", "ods", "zip", "tar", "tgz", "7z", "bz2",
    "xz", "rar", "pkl", "pickle", "npz", "h5", "hdf5", "db", "sqlite", "sql",
];
/// Files with the endings of data that hold none.
const NO_DATA: [&str; 9] = [
    "dataset_info",
    "dataset_infos",
    "dataset_dict",
    "state",
    "readme",
    "license",
    "licence",
    "notice",
    "requirements",
];

#[derive(Debug, Default)]
pub(crate) struct SplitFiles {
    pub(crate) train: Vec<PathBuf>,
    pub(crate) validation: Vec<PathBuf>,
    pub(crate) test: Vec<PathBuf>,
    /// Files of the folder that hold data and are not read, and splits that are declared and not read.
    pub(crate) not_read: Vec<String>,
    /// What the user should know of the files.
    pub(crate) notes: Vec<String>,
    /// What lies beside the data, and the configuration that was chosen.
    infos: Infos,
    config: Option<String>,
    /// Cards in the folders above, which are no part of the dataset, with the configuration whose files these are.
    above: Vec<(PathBuf, Infos, Option<String>)>,
}

/// Label names, and the file that stores them.
pub(crate) type Listed = (PathBuf, Vec<String>);

impl SplitFiles {
    /// The files of a folder whose splits are known already, as those of the Hub are by their card.
    pub(crate) fn of_folder(folder: &Path, splits: SplitPaths) -> Self {
        let infos = Infos::read(folder);
        Self {
            train: splits.train,
            validation: splits.validation,
            test: splits.test,
            not_read: splits.left_out,
            notes: infos.notes.clone(),
            infos,
            config: splits.config,
            above: Vec::new(),
        }
    }

    /// Every file of every split.
    pub(crate) fn all(&self) -> impl Iterator<Item = &PathBuf> {
        let splits = [&self.train, &self.validation, &self.test];
        splits.into_iter().flatten()
    }

    /// The names that each file beside the data stores.
    pub(crate) fn stored_beside(&self, label: &str) -> Vec<(&'static str, Vec<String>)> {
        self.infos.stored(self.config.as_deref(), label)
    }

    /// The files beside the data that store label names which cannot be used.
    pub(crate) fn unusable_beside(&self, label: &str) -> Vec<&'static str> {
        self.infos.unusable(self.config.as_deref(), label)
    }

    /// The names that cards store which are no part of the dataset, though they speak of it.
    pub(crate) fn stored_above(&self, label: &str) -> Vec<Listed> {
        let above = self.above.iter().flat_map(|(folder, infos, config)| {
            let stored = infos.stored(config.as_deref(), label).into_iter();
            stored.map(|(origin, names)| (folder.join(origin), names))
        });
        above.collect()
    }
}

/// What the folders above a path say of it, the nearest first.
fn above(path: &Path, folders: usize) -> Vec<(PathBuf, Infos, Option<String>)> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let folders = path.ancestors().skip(1).take(folders);
    let of = |folder: &Path| {
        let place = path.strip_prefix(folder).unwrap_or(&path);
        let place = place.to_string_lossy().replace('\\', "/");
        let readme = text(&folder.join("README.md"));
        let config = readme.and_then(|readme| layout::config_of(&readme, &place));
        (folder.to_owned(), Infos::read(folder), config)
    };
    folders.map(of).collect()
}

/// A file is all train; of a folder its card or the names tell: `train.csv`, `validation.jsonl.gz`,
/// `data/test-00000-of-00002.parquet`, `train/0000.parquet`.
///
/// # Errors
/// When there is nothing to read, or a split is not one whole set of files.
pub(crate) fn split_files(path: &Path) -> Result<SplitFiles, DataError> {
    refuse_special(path)?;
    if path.is_file() {
        return of_file(path);
    }
    let names = identity::names(path)?;
    for name in &names {
        refuse_special(&path.join(name))?;
    }
    let data: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| is_data(name))
        .collect();
    let readme = text(&path.join("README.md"));
    let layout = layout::choose(&data, readme.as_deref(), None).map_err(|problem| {
        let hint = if problem.contains("no train split") {
            hint(&names, &data)
        } else {
            String::new()
        };
        DataError::file(path, format!("{problem}{hint}"))
    })?;
    for (split, files) in [
        ("train", &layout.train),
        ("validation", &layout.validation),
        ("test", &layout.test),
    ] {
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        shards::whole(split, &files, true).map_err(|problem| DataError::file(path, problem))?;
    }
    let read: BTreeSet<&str> = layout.names().collect();
    refuse_doubled(path, &read)?;
    let folders: BTreeSet<&str> = read.iter().map(|name| shards::folder(name)).collect();
    let beside = |name: &str| {
        let folder = shards::folder(name);
        !folder.is_empty() && folders.contains(folder) && !is_description(name)
    };
    let not_read = names.iter().filter(|name| {
        !read.contains(name.as_str()) && (is_data(name) || is_other(name) || beside(name))
    });
    let mut files = SplitFiles::of_folder(path, layout.paths(path));
    files.not_read = not_read.cloned().collect();
    files.above = above(path, 1);
    Ok(files)
}

/// Refuses two names of one file, by which its rows would be read twice.
fn refuse_doubled(folder: &Path, names: &BTreeSet<&str>) -> Result<(), DataError> {
    let mut seen = BTreeMap::new();
    for name in names {
        let path = folder.join(name);
        let file = identity_of(&path).map_err(|error| DataError::file(&path, error))?;
        if let Some(other) = seen.insert(file, *name) {
            return Err(DataError::file(
                folder,
                format!(
                    "{} are one file, by a link: its rows would be read twice; remove one of them",
                    listed([other, name])
                ),
            ));
        }
    }
    Ok(())
}

/// What two names of one file have in common: its device and number.
#[cfg(unix)]
fn identity_of(path: &Path) -> std::io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// What two names of one file have in common: where links lead.
#[cfg(not(unix))]
fn identity_of(path: &Path) -> std::io::Result<PathBuf> {
    std::fs::canonicalize(path)
}

/// Whether there is a file that could be read: a dataset, even where its splits do not fit together.
pub(crate) fn has_data(path: &Path) -> bool {
    if path.is_file() {
        return EXTENSIONS.contains(&extension(path).as_str());
    }
    identity::names(path).is_ok_and(|names| names.iter().any(|name| is_data(name)))
}

fn of_file(path: &Path) -> Result<SplitFiles, DataError> {
    if !EXTENSIONS.contains(&extension(path).as_str()) {
        return Err(DataError::file(
            path,
            format!(
                "unknown file format: expected one of {}, compressed (.gz, .zst) or not",
                EXTENSIONS.join(", ")
            ),
        ));
    }
    let mut files = SplitFiles {
        train: vec![path.to_owned()],
        above: above(path, 2),
        ..SplitFiles::default()
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if shards::whole("train", &[&*name], false).is_err() {
        files.notes.push(format!(
            "`{name}` is one of several shards by its name, and was given alone: name its folder to read them all"
        ));
    }
    Ok(files)
}

/// What else to say where a folder has no splits.
fn hint(names: &[String], data: &[&str]) -> String {
    let arrow = |name: &&String| {
        Path::new(name)
            .extension()
            .is_some_and(|end| end == "arrow")
    };
    if let Some(arrow) = names.iter().find(arrow) {
        return format!(
            "; `{arrow}` is in the format of `save_to_disk`, which is not read: write the dataset with `to_parquet`"
        );
    }
    match data {
        [] => String::new(),
        [one] => format!("; to read `{one}` alone, give its path"),
        [first, ..] => format!(
            "; of the {} files such as `{first}` none is named so: to read one alone, give its path",
            data.len()
        ),
    }
}

fn is_data(name: &str) -> bool {
    let stem = shards::stem(name).to_lowercase();
    EXTENSIONS.contains(&extension(Path::new(name)).as_str()) && !NO_DATA.contains(&stem.as_str())
}

/// Whether a file beside the data says something of them, or marks that they are whole.
fn is_description(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let ending = Path::new(&base).extension();
    let is = |other: &str| ending.is_some_and(|ending| ending == other);
    is("md") || base == "_success" || (is("json") && NO_DATA.contains(&shards::stem(&base)))
}

fn is_other(name: &str) -> bool {
    let (_, plain) = Packing::of(name);
    let end = plain.rsplit_once('.').map_or("", |(_, end)| end);
    OTHER.contains(&end.to_lowercase().as_str())
}

#[cfg(test)]
mod tests;
