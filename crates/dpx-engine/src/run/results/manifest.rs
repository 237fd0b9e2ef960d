//! Which files of a results folder are dpx's own.

use super::ResultsError;
use crate::cache::{CacheError, manifest_of_folder};
use dpx_schema::files::write_whole;
use dpx_schema::{Digest, FileEntry};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// Name of the manifest in a results folder.
pub(crate) const MANIFEST: &str = ".dpx-results.json";

/// What results had before there was a manifest.
const BEFORE_MANIFESTS: [&str; 6] = [
    "report-partial.html",
    "results.json",
    "results.csv",
    "summary.md",
    "experiment.toml",
    "report.html",
];

#[derive(Debug, Serialize, Deserialize)]
struct Written {
    dpx_results: u32,
    /// Set while the folder is being filled: everything in it is dpx's, or a link to what the results folder has too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    filling: bool,
    /// Digest of everything that the files are made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made_from: Option<Digest>,
    files: Vec<FileEntry>,
}

const VERSION: u32 = 1;

/// The files that dpx made, with size and digest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnFiles {
    files: BTreeMap<String, (u64, Digest)>,
    pub(super) filling: bool,
    /// Digest of everything that the files were made from; nothing where one was written apart since.
    pub(super) made_from: Option<Digest>,
    /// Written by a dpx without manifests: the names it used are its own, whatever they hold.
    before_manifests: bool,
    /// The manifest is there and cannot be understood: nothing in the folder is known to be dpx's.
    damaged: bool,
}

impl OwnFiles {
    pub(super) fn filling() -> Self {
        Self {
            filling: true,
            ..Self::default()
        }
    }

    /// Every file that a fresh folder holds.
    pub(super) fn of(folder: &Path) -> Result<Self, CacheError> {
        let manifest = manifest_of_folder(folder)?;
        let files = manifest.files.into_iter();
        Ok(Self {
            files: files
                .filter(|file| file.path != MANIFEST)
                .map(|file| (file.path, (file.size, file.digest)))
                .collect(),
            ..Self::default()
        })
    }

    /// The manifest of a folder; empty where there is none. One that cannot be understood counts as none: nothing in the
    /// folder is dpx's then.
    pub(super) fn read(folder: &Path) -> Result<Self, ResultsError> {
        let path = folder.join(MANIFEST);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Self {
                    before_manifests: is_older_study(folder),
                    ..Self::default()
                });
            }
            Err(error) => return Err(ResultsError::io("read", &path)(error)),
        };
        let Ok(written) = serde_json::from_slice::<Written>(&bytes) else {
            return Ok(Self {
                damaged: true,
                ..Self::default()
            });
        };
        let files = written.files.into_iter();
        Ok(Self {
            files: files
                .map(|file| (file.path, (file.size, file.digest)))
                .collect(),
            filling: written.filling,
            made_from: written.made_from,
            ..Self::default()
        })
    }

    /// Why files of a folder are not replaced.
    pub(super) fn refusal(&self, folder: &Path, files: Vec<String>) -> ResultsError {
        let folder = folder.to_owned();
        if self.damaged {
            ResultsError::Unlisted { folder, files }
        } else {
            ResultsError::Foreign { folder, files }
        }
    }

    /// Writes the manifest whole or not at all.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let files = self.files.iter();
        let written = Written {
            dpx_results: VERSION,
            filling: self.filling,
            made_from: self.made_from,
            files: files
                .map(|(path, (size, digest))| FileEntry {
                    path: path.clone(),
                    size: *size,
                    digest: *digest,
                })
                .collect(),
        };
        let mut bytes = serde_json::to_vec_pretty(&written)?;
        bytes.push(b'\n');
        write_whole(&folder.join(MANIFEST), &bytes)
    }

    /// Puts files that belong together beside the results of a folder, in the place of those of dpx's own files that `of_set` names.
    /// The results count as changed from then on: the next whole ones replace everything.
    ///
    /// Of the files that were there, one that somebody edited since stays, unless a new one has its name.
    ///
    /// # Errors
    /// [`ResultsError::Foreign`] where a file of such a name is not dpx's, or was edited since, and nothing is written then; or a
    /// refused write.
    pub fn write_set(
        folder: &Path,
        files: &[(String, Vec<u8>)],
        of_set: impl Fn(&str) -> bool,
    ) -> Result<(), ResultsError> {
        fs::create_dir_all(folder).map_err(ResultsError::io("make the folder", folder))?;
        let mut own = Self::read(folder)?;
        let taken = files.iter().map(|(name, _)| name).filter(|name| {
            let path = folder.join(name);
            fs::symlink_metadata(&path).is_ok() && !own.made(folder, &path)
        });
        let taken: Vec<String> = taken.cloned().collect();
        if !taken.is_empty() {
            return Err(own.refusal(folder, taken));
        }
        let is_new = |name: &str| files.iter().any(|(new, _)| new == name);
        let gone: Vec<String> = own
            .paths()
            .filter(|name| of_set(name) && !is_new(name) && own.made(folder, &folder.join(name)))
            .map(str::to_owned)
            .collect();
        if files.is_empty() && gone.is_empty() {
            return Ok(());
        }
        // A crash before the manifest is written leaves files that count as edited: they are told of, not lost.
        for (name, bytes) in files {
            let path = folder.join(name);
            path.parent()
                .map_or(Ok(()), fs::create_dir_all)
                .and_then(|()| write_whole(&path, bytes))
                .map_err(ResultsError::io("write", &path))?;
            let entry = (bytes.len() as u64, Digest::of(bytes));
            own.files.insert(name.clone(), entry);
        }
        for name in &gone {
            let path = folder.join(name);
            fs::remove_file(&path).map_err(ResultsError::io("remove", &path))?;
            own.files.remove(name);
            // A folder that is empty now was dpx's; one that is not stays.
            if let Some(parent) = path.parent().filter(|parent| *parent != folder) {
                drop(fs::remove_dir(parent));
            }
        }
        own.made_from = None;
        if own.before_manifests {
            return Ok(());
        }
        own.write(folder)
            .map_err(ResultsError::io("write", &folder.join(MANIFEST)))
    }

    /// The names of dpx's own files in a results folder; nothing where the folder holds no results.
    ///
    /// # Errors
    /// The list is there and cannot be read.
    pub fn names(folder: &Path) -> Result<Option<Vec<String>>, ResultsError> {
        if !folder.join(MANIFEST).exists() && !is_older_study(folder) {
            return Ok(None);
        }
        let own = Self::read(folder)?;
        if own.before_manifests {
            return Ok(Some(BEFORE_MANIFESTS.map(str::to_owned).to_vec()));
        }
        Ok(Some(own.paths().map(str::to_owned).collect()))
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Whether every file is there as dpx wrote it.
    pub(super) fn all_whole(&self, folder: &Path) -> bool {
        !self.files.is_empty()
            && self
                .paths()
                .all(|path| self.made(folder, &folder.join(path)))
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// Whether a file of the folder is dpx's own, and still what dpx wrote.
    pub(super) fn made(&self, folder: &Path, file: &Path) -> bool {
        let Some(inside) = file.strip_prefix(folder).ok().and_then(Path::to_str) else {
            return false;
        };
        if self.before_manifests {
            let synthetic = inside.strip_prefix("synthetic/");
            return BEFORE_MANIFESTS.contains(&inside)
                || synthetic.is_some_and(|name| {
                    name == "README.md"
                        || !name.contains('/')
                            && Path::new(name).extension().is_some_and(|end| end == "csv")
                });
        }
        let Some((size, digest)) = self.files.get(inside) else {
            return false;
        };
        fs::symlink_metadata(file).is_ok_and(|found| found.is_file() && found.len() == *size)
            && fs::read(file).is_ok_and(|bytes| Digest::of(&bytes) == *digest)
    }
}

/// Whether a folder without a manifest holds the results of an older dpx.
fn is_older_study(folder: &Path) -> bool {
    let study: Option<serde_json::Value> = fs::read(folder.join("results.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    study.is_some_and(|study| {
        study["schema_version"].is_u64()
            && study["dpx_version"].is_string()
            && study["experiment"].is_string()
    })
}
