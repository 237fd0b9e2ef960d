//! Replacing what dpx made in a results folder, all at once, and nothing else.
//!
//! A results folder is the user's as well: whatever dpx did not make stays where it is. What dpx made stands in a manifest,
//! [`MANIFEST`], with digests, so that a file that somebody edited since is told from one of dpx's own.
//!
//! New results are written to a folder beside, `.NAME-XXXXXX`; foreign files are hard-linked into it; then the two folders
//! are exchanged in one step, and of the old one nothing is removed but dpx's own files and the links that the new one has
//! too. A run that is killed anywhere on this way leaves the old results or all of the new ones, and perhaps a folder
//! beside, which the next one clears away ([`collect_leftovers`]).

mod error;
mod foreign;
mod leftovers;
mod manifest;

pub use error::ResultsError;
pub use leftovers::collect_leftovers;
pub(crate) use manifest::MANIFEST;
pub use manifest::OwnFiles;

use crate::cache::CacheError;
use dpx_schema::Digest;
use dpx_schema::files::{rename_durably, sync_folder, sync_tree};
use foreign::{can_be_replaced, link_foreign};
use leftovers::{clear, one_at_a_time};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What is written to find out whether a folder takes files.
const PROBE: usize = 256 * 1024;

/// Where a new folder is filled.
const CONTENT: &str = "content";

/// A results folder that new results may go to.
#[derive(Debug, Clone)]
pub struct ResultsFolder {
    folder: PathBuf,
    inputs: Vec<PathBuf>,
    experiment_files: Vec<PathBuf>,
}

/// What was done to a results folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replaced {
    /// Files and links that dpx did not make, by path in the folder: they stay as they were.
    pub kept: Vec<String>,
}

impl ResultsFolder {
    /// The results folder of an experiment that reads these files and folders. Touches nothing.
    pub fn new(
        folder: impl Into<PathBuf>,
        inputs: impl IntoIterator<Item = PathBuf>,
        experiment_files: impl IntoIterator<Item = PathBuf>,
    ) -> Self {
        Self {
            folder: folder.into(),
            inputs: inputs.into_iter().collect(),
            experiment_files: experiment_files.into_iter().collect(),
        }
    }

    /// The folder as it was given.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Finds out before anything runs whether results of these paths could be written: everything that [`Self::replace`] does
    /// at the end and may be refused is tried with empty files. What a killed run left beside the folder is cleared away first.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn check(&self, paths: &[String]) -> Result<(), ResultsError> {
        let folder = self.resolved()?;
        self.holds_no_input(&folder)?;
        let parent = parent(&folder);
        fs::create_dir_all(parent).map_err(ResultsError::io("make the folder", parent))?;
        let alone = one_at_a_time(parent);
        if alone.is_some() {
            drop(clear(parent, &folder));
        }
        let own = OwnFiles::read(&folder)?;
        self.collisions(&folder, &own, paths.iter().map(String::as_str))?;
        let fresh = fresh_folder(&folder)?;
        let probe = fresh.path().join("probe");
        OwnFiles::filling()
            .write(fresh.path())
            .and_then(|()| fs::write(&probe, vec![0x5a; PROBE]))
            .and_then(|()| fs::File::open(&probe)?.sync_all())
            .and_then(|()| fs::remove_file(&probe))
            .map_err(ResultsError::io("write results to", parent))?;
        fill_with_empty(fresh.path(), paths)?;
        if is_mounted(&folder, parent) {
            return Err(ResultsError::NoFolder {
                path: self.folder.clone(),
                what: "the top of a file system of its own (a mount point), which cannot be exchanged for new results",
            });
        }
        if folder.is_dir() {
            can_be_replaced(&folder, fresh.path(), &own)?;
        }
        fresh
            .close()
            .map_err(ResultsError::io("remove a folder in", parent))
    }

    /// Whether the folder holds results made from exactly this, each file as it was written.
    pub fn is_current(&self, made_from: &Digest) -> bool {
        let Ok(folder) = self.resolved() else {
            return false;
        };
        let own = OwnFiles::read(&folder);
        own.is_ok_and(|own| {
            !own.filling && own.made_from.as_ref() == Some(made_from) && own.all_whole(&folder)
        })
    }

    /// Whether dpx wrote a file below `place`, a folder of these results.
    pub fn holds(&self, place: &str) -> bool {
        let own = self.resolved().and_then(|folder| OwnFiles::read(&folder));
        own.is_ok_and(|own| own.paths().any(|path| Path::new(path).starts_with(place)))
    }

    /// Has a fresh folder beside this one filled and puts its files in the place of those that dpx made before.
    ///
    /// Whoever looks at the folder sees the old results or all of the new ones. `made_from` stands for everything that they are
    /// made from ([`is_current`](Self::is_current)).
    ///
    /// # Errors
    /// Whatever `fill` fails with, or a [`ResultsError`]; the folder is as it was then.
    pub fn replace<E: From<ResultsError>>(
        &self,
        made_from: Option<Digest>,
        fill: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Replaced, E> {
        let folder = self.resolved()?;
        let parent = parent(&folder);
        fs::create_dir_all(parent).map_err(ResultsError::io("make the folder", parent))?;
        self.holds_no_input(&folder)?;
        let _alone = one_at_a_time(parent);
        drop(clear(parent, &folder));
        let fresh = fresh_folder(&folder)?;
        OwnFiles::filling()
            .write(fresh.path())
            .map_err(ResultsError::io("write to", fresh.path()))?;
        fill(fresh.path())?;
        let replaced = self.put_in_place(&folder, fresh, made_from)?;
        Ok(replaced)
    }

    fn put_in_place(
        &self,
        folder: &Path,
        fresh: tempfile::TempDir,
        made_from: Option<Digest>,
    ) -> Result<Replaced, ResultsError> {
        let mut made = OwnFiles::of(fresh.path()).map_err(told)?;
        made.made_from = made_from;
        let old = OwnFiles::read(folder)?;
        self.collisions(folder, &old, made.paths())?;
        let kept = match fs::symlink_metadata(folder) {
            Ok(_) => link_foreign(folder, fresh.path(), &old, &made)?,
            Err(_) => Vec::new(),
        };
        made.write(fresh.path())
            .and_then(|()| open_like(folder, fresh.path()))
            .and_then(|()| sync_tree(fresh.path()))
            .map_err(ResultsError::io("write", fresh.path()))?;
        let beside = fresh.keep();
        if folder.exists() {
            exchange(&beside, folder).map_err(ResultsError::io("replace", folder))?;
            // What the old folder still holds beyond this is somebody's: it stays beside, and is told.
            leftovers::retire(&beside, folder, &old)
                .map_err(ResultsError::io("clear away the old results in", &beside))?;
        } else {
            fs::rename(&beside, folder).map_err(ResultsError::io("rename a folder to", folder))?;
        }
        let parent = parent(folder);
        sync_folder(parent).map_err(ResultsError::io("sync", parent))?;
        Ok(Replaced { kept })
    }

    /// The folder itself, where the path leads over links.
    fn resolved(&self) -> Result<PathBuf, ResultsError> {
        let absolute =
            std::path::absolute(&self.folder).map_err(ResultsError::io("find", &self.folder))?;
        match fs::metadata(&absolute) {
            Ok(found) if found.is_dir() => absolute
                .canonicalize()
                .map_err(ResultsError::io("find", &absolute)),
            Ok(_) => Err(ResultsError::NoFolder {
                path: self.folder.clone(),
                what: "no folder",
            }),
            Err(_) if fs::symlink_metadata(&absolute).is_ok() => Err(ResultsError::NoFolder {
                path: self.folder.clone(),
                what: "a link that leads nowhere",
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(absolute),
            Err(error) => Err(ResultsError::io("look at", &self.folder)(error)),
        }
    }

    fn holds_no_input(&self, folder: &Path) -> Result<(), ResultsError> {
        for input in &self.inputs {
            let Ok(real) = input.canonicalize() else {
                continue;
            };
            if real.starts_with(folder) {
                return Err(ResultsError::HoldsInput {
                    folder: self.folder.clone(),
                    input: input.clone(),
                });
            }
            if real.is_dir() && folder.starts_with(&real) {
                return Err(ResultsError::InsideInput {
                    folder: self.folder.clone(),
                    input: input.clone(),
                });
            }
        }
        let own = OwnFiles::read(folder)?;
        for file in &self.experiment_files {
            let Ok(real) = file.canonicalize() else {
                continue;
            };
            // The copy that dpx wrote itself may be run again: the new results hold the same text.
            if real.starts_with(folder) && !own.made(folder, &real) {
                return Err(ResultsError::HoldsInput {
                    folder: self.folder.clone(),
                    input: file.clone(),
                });
            }
        }
        Ok(())
    }

    /// What would have to be overwritten although dpx did not make it.
    fn collisions<'a>(
        &self,
        folder: &Path,
        old: &OwnFiles,
        new: impl Iterator<Item = &'a str>,
    ) -> Result<(), ResultsError> {
        let mut files = BTreeSet::new();
        for path in new {
            let mut upper = folder.join(path);
            let Ok(found) = fs::symlink_metadata(&upper) else {
                // A file where a folder is to be is in the way as well.
                while upper.pop() && upper != folder {
                    if fs::symlink_metadata(&upper).is_ok_and(|found| !found.is_dir()) {
                        let inside = upper.strip_prefix(folder).unwrap_or(&upper);
                        files.insert(inside.display().to_string());
                    }
                }
                continue;
            };
            if !found.is_file() || !old.made(folder, &upper) {
                files.insert(path.to_owned());
            }
        }
        if files.is_empty() {
            return Ok(());
        }
        Err(old.refusal(&self.folder, files.into_iter().collect()))
    }
}

/// Has a folder filled that must not exist yet: it appears whole or not at all.
///
/// # Errors
/// Whatever `fill` fails with, or a [`ResultsError`]; there is no such folder then.
pub fn new_folder<E: From<ResultsError>>(
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let folder = std::path::absolute(folder).map_err(ResultsError::io("find", folder))?;
    if fs::symlink_metadata(&folder).is_ok() {
        return Err(ResultsError::NoFolder {
            path: folder,
            what: "there already",
        }
        .into());
    }
    let parent = parent(&folder);
    fs::create_dir_all(parent).map_err(ResultsError::io("make the folder", parent))?;
    let _alone = one_at_a_time(parent);
    drop(clear(parent, &folder));
    let fresh = fresh_folder(&folder)?;
    OwnFiles::filling()
        .write(fresh.path())
        .map_err(ResultsError::io("write to", fresh.path()))?;
    // A folder within: the one around it keeps its manifest until it goes, so that it is known for dpx's own at any moment.
    let content = fresh.path().join(CONTENT);
    fs::create_dir(&content).map_err(ResultsError::io("make the folder", &content))?;
    fill(&content)?;
    open_like(&folder, &content)
        .and_then(|()| sync_tree(&content))
        .and_then(|()| rename_durably(&content, &folder))
        .map_err(ResultsError::io("write", &folder))?;
    // The folder is there, whole: what cannot be removed beside it is cleared away by the next run.
    drop(fresh.close());
    Ok(())
}

fn told(error: CacheError) -> ResultsError {
    match error {
        CacheError::Io {
            action,
            path,
            source,
        } => ResultsError::Io {
            action,
            path,
            source,
        },
        error => ResultsError::Io {
            action: "read the new results",
            path: PathBuf::new(),
            source: io::Error::other(error.to_string()),
        },
    }
}

/// Whether a folder lies on another file system than the one around it.
#[cfg(unix)]
fn is_mounted(folder: &Path, parent: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev());
    matches!((device(folder), device(parent)), (Ok(one), Ok(other)) if one != other)
}

#[cfg(not(unix))]
const fn is_mounted(_: &Path, _: &Path) -> bool {
    false
}

fn parent(folder: &Path) -> &Path {
    match folder.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Makes an empty file for each path, as it will be called: a name that the file system does not take, or takes for that of
/// another file, is found while nothing is lost.
fn fill_with_empty(fresh: &Path, paths: &[String]) -> Result<(), ResultsError> {
    for path in paths {
        let file = fresh.join(path);
        let made = file.parent().map_or(Ok(()), fs::create_dir_all);
        match made.and_then(|()| fs::File::create_new(&file)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(ResultsError::SameName { file: path.clone() });
            }
            Err(error) => {
                return Err(ResultsError::io("make the file", &file)(error));
            }
        }
    }
    Ok(())
}

fn fresh_folder(folder: &Path) -> Result<tempfile::TempDir, ResultsError> {
    let parent = parent(folder);
    tempfile::Builder::new()
        .prefix(&leftovers::prefix(folder))
        .tempdir_in(parent)
        .map_err(ResultsError::io("make a folder in", parent))
}

/// A temporary folder is made for its owner alone; results are as open as those before, or as any other new folder.
#[cfg(unix)]
fn open_like(old_folder: &Path, fresh: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let old = fs::metadata(old_folder).map(|found| found.permissions());
    fs::set_permissions(
        fresh,
        old.unwrap_or_else(|_| fs::Permissions::from_mode(0o755)),
    )
}

#[cfg(not(unix))]
fn open_like(_old_folder: &Path, _fresh: &Path) -> io::Result<()> {
    Ok(())
}

/// Exchanges two folders in one step, where the system can.
fn exchange(fresh: &Path, folder: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        if renameat_with(CWD, fresh, CWD, folder, RenameFlags::EXCHANGE).is_ok() {
            return Ok(());
        }
    }
    // Two steps: a crash between them leaves the old results beside the place of the new ones.
    let mut aside = fresh.as_os_str().to_owned();
    aside.push("x");
    let aside = PathBuf::from(aside);
    fs::rename(folder, &aside)?;
    if let Err(error) = fs::rename(fresh, folder) {
        fs::rename(&aside, folder)?;
        return Err(error);
    }
    fs::rename(&aside, fresh)
}

#[cfg(test)]
mod tests;
