//! What killed runs leave beside a results folder: `.NAME-XXXXXX`.

use super::manifest::{MANIFEST, OwnFiles};
use dpx_schema::files::is_fresh_name;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Random characters behind the name.
const RANDOM: usize = 6;

/// How the names of folders beside a results folder begin.
pub(super) fn prefix(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}-")
}

/// Lets one process at a time replace results below a folder, where the file system has locks for folders: whatever lies
/// beside is left over then, and nobody's work in progress.
pub(super) fn one_at_a_time(parent: &Path) -> Option<File> {
    let file = File::open(parent).ok()?;
    file.lock().ok()?;
    Some(file)
}

/// Clears away what killed runs left beside every results folder in `parent`, and says how many folders those were.
///
/// Nothing goes but what dpx made, and links to files that the results folder has too.
///
/// # Errors
/// When the folder cannot be read.
pub fn collect_leftovers(parent: &Path) -> io::Result<usize> {
    if !parent.is_dir() {
        return Ok(0);
    }
    let Some(_alone) = one_at_a_time(parent) else {
        return Ok(0);
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(parent)? {
        let name = entry?.file_name();
        let whole = name.to_str().and_then(|name| name.strip_prefix('.'));
        // `NAME-XXXXXX`; the name itself may hold hyphens.
        if let Some((of, _)) = whole.and_then(|whole| whole.rsplit_once('-')) {
            names.push(of.to_owned());
        }
    }
    names.sort_unstable();
    names.dedup();
    let mut cleared = 0;
    for name in names {
        cleared += clear(parent, &parent.join(name))?;
    }
    Ok(cleared)
}

/// Clears away what killed runs left beside one results folder.
pub(super) fn clear(parent: &Path, folder: &Path) -> io::Result<usize> {
    let prefix = prefix(folder);
    let mut cleared = 0;
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        let is_ours = random.is_some_and(|random| {
            let random = random
                .strip_suffix('x')
                .filter(|rest| rest.len() == RANDOM)
                .unwrap_or(random);
            random.len() == RANDOM && random.chars().all(|c| c.is_ascii_alphanumeric())
        });
        if is_ours && entry.file_type()?.is_dir() && clear_one(&entry.path(), folder) {
            cleared += 1;
        }
    }
    Ok(cleared)
}

fn clear_one(beside: &Path, folder: &Path) -> bool {
    // Killed before the first file: an empty folder.
    if fs::remove_dir(beside).is_ok() {
        return true;
    }
    if !beside.join(MANIFEST).is_file() {
        return without_manifest(beside).is_ok();
    }
    let Ok(own) = OwnFiles::read(beside) else {
        return false;
    };
    if own.filling {
        // The exchange never happened: what dpx did not make is a link, and the results folder has the file itself.
        return fs::remove_dir_all(beside).is_ok();
    }
    if !folder.exists() {
        // Whole results whose last step is missing: a crash between the two renames of a system without exchange.
        return fs::rename(beside, folder).is_ok();
    }
    retire(beside, folder, &own).is_ok_and(|()| !beside.exists())
}

/// Removes a folder whose maker was killed while it wrote the manifest: it holds files with unfinished names and nothing else.
fn without_manifest(beside: &Path) -> io::Result<()> {
    for entry in fs::read_dir(beside)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() || !is_fresh_name(&entry.file_name()) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
    }
    fs::remove_dir_all(beside)
}

/// Removes an old results folder: dpx's own files, and links to files that the new folder has too. Whatever somebody put
/// there at the last moment moves to the new folder; where it has something of that name, it stays where it is.
pub(super) fn retire(old: &Path, new: &Path, own: &OwnFiles) -> io::Result<()> {
    let mut folders = vec![old.to_owned()];
    let mut at = 0;
    while at < folders.len() {
        let folder = folders[at].clone();
        at += 1;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = path.strip_prefix(old).unwrap_or(&path);
            let there = new.join(inside);
            let goes = inside == Path::new(MANIFEST)
                || own.made(old, &path)
                || is_same_file(&path, &there);
            if goes {
                fs::remove_file(&path)?;
            } else if fs::symlink_metadata(&there).is_err() {
                if let Some(parent) = there.parent() {
                    fs::create_dir_all(parent)?;
                }
                fs::rename(&path, &there)?;
            }
        }
    }
    // From the innermost; one that is not empty holds somebody's file.
    for folder in folders.iter().rev() {
        drop(fs::remove_dir(folder));
    }
    Ok(())
}

/// Whether both are one file under two names, or a file and its copy.
fn is_same_file(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let identity = |path: &Path| {
            let found = fs::symlink_metadata(path).ok()?;
            Some((found.dev(), found.ino()))
        };
        if identity(one).is_some_and(|one| identity(other) == Some(one)) {
            return true;
        }
    }
    let content = |path: &Path| {
        let is_file = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
        is_file.then(|| fs::read(path).ok()).flatten()
    };
    content(one).is_some_and(|one| content(other) == Some(one))
}

/// Where leftovers of a results folder are.
#[cfg(test)]
pub(super) fn beside(folder: &Path) -> Vec<std::path::PathBuf> {
    let prefix = prefix(folder);
    let parent = folder.parent().unwrap_or(Path::new("."));
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .collect()
}
