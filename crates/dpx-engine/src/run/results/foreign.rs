//! What lies in a results folder and is not dpx's: it is carried over into the new folder by a second name, never touched.

use super::{MANIFEST, OwnFiles, ResultsError};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a results folder holds, by path in it.
#[derive(Debug, Default)]
struct Holdings {
    /// Files and links that dpx did not make, or that were edited since.
    foreign: Vec<PathBuf>,
    /// Empty folders: dpx makes none.
    empty: Vec<PathBuf>,
    /// Folders that hold something, the results folder itself among them.
    folders: Vec<PathBuf>,
}

impl Holdings {
    fn of(folder: &Path, own: &OwnFiles) -> Result<Self, ResultsError> {
        let mut found = Self::default();
        let mut open = vec![PathBuf::new()];
        while let Some(inside) = open.pop() {
            let here = folder.join(&inside);
            let entries =
                fs::read_dir(&here).map_err(ResultsError::io("read the folder", &here))?;
            let mut is_empty = true;
            for entry in entries {
                let entry = entry.map_err(ResultsError::io("read the folder", &here))?;
                is_empty = false;
                let path = inside.join(entry.file_name());
                let kind = entry
                    .file_type()
                    .map_err(ResultsError::io("look at", &entry.path()))?;
                if kind.is_dir() {
                    open.push(path);
                } else if path != Path::new(MANIFEST) && !own.made(folder, &entry.path()) {
                    found.foreign.push(path);
                }
            }
            let list = if is_empty {
                &mut found.empty
            } else {
                &mut found.folders
            };
            list.push(inside);
        }
        found.foreign.sort_unstable();
        Ok(found)
    }
}

/// Links whatever dpx did not make from the old folder into the new one, under the same paths. Gives back those paths.
pub(super) fn link_foreign(
    old_folder: &Path,
    fresh: &Path,
    old: &OwnFiles,
    made: &OwnFiles,
) -> Result<Vec<String>, ResultsError> {
    let holdings = Holdings::of(old_folder, old)?;
    let mut kept = Vec::new();
    for path in holdings.foreign {
        let inside = path.parent().unwrap_or(Path::new(""));
        make_like(old_folder, fresh, inside).map_err(ResultsError::io("make folders in", fresh))?;
        let file = old_folder.join(&path);
        keep(&file, &fresh.join(&path))
            .map_err(ResultsError::io("keep, by a link or a copy,", &file))?;
        kept.push(path.display().to_string());
    }
    for inside in &holdings.empty {
        make_like(old_folder, fresh, inside).map_err(ResultsError::io("make folders in", fresh))?;
    }
    debug_assert!(
        kept.iter().all(|path| !made.has(path)),
        "collisions were refused"
    );
    Ok(kept)
}

/// Finds out whether the folder could be exchanged for a new one: everything that dpx did not make can be kept, and what it
/// made can be removed. Tries it in a fresh folder beside.
pub(super) fn can_be_replaced(
    folder: &Path,
    fresh: &Path,
    own: &OwnFiles,
) -> Result<(), ResultsError> {
    let holdings = Holdings::of(folder, own)?;
    let second = fresh.join("second-name");
    for path in &holdings.foreign {
        let file = folder.join(path);
        let kept = match fs::hard_link(&file, &second) {
            Ok(()) => fs::remove_file(&second),
            // It will be copied, which has to read it.
            Err(_) if fs::symlink_metadata(&file).is_ok_and(|found| found.is_file()) => {
                fs::File::open(&file).map(drop)
            }
            Err(error) => Err(error),
        };
        kept.map_err(ResultsError::io("keep, by a link or a copy,", &file))?;
    }
    for inside in &holdings.folders {
        let here = folder.join(inside);
        takes_changes(&here).map_err(ResultsError::io("replace files in", &here))?;
    }
    Ok(())
}

#[cfg(unix)]
fn takes_changes(folder: &Path) -> io::Result<()> {
    use rustix::fs::{Access, access};
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

#[cfg(not(unix))]
fn takes_changes(_: &Path) -> io::Result<()> {
    Ok(())
}

/// A second name for a file, or a copy where the file system has no second names or forbids this one.
fn keep(file: &Path, target: &Path) -> io::Result<()> {
    let linked = fs::hard_link(file, target);
    if linked.is_ok() || !fs::symlink_metadata(file)?.is_file() {
        return linked;
    }
    fs::copy(file, target).map(drop)
}

/// Makes a folder inside another tree, with the permissions that it has in this one.
fn make_like(old_folder: &Path, fresh: &Path, inside: &Path) -> io::Result<()> {
    let mut path = PathBuf::new();
    for part in inside {
        path.push(part);
        let folder = fresh.join(&path);
        if !folder.is_dir() {
            fs::create_dir(&folder)?;
        }
        fs::set_permissions(&folder, fs::metadata(old_folder.join(&path))?.permissions())?;
    }
    Ok(())
}
