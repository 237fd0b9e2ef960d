//! Names of files, and writing a file whole or not at all.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How a pointer of Git LFS begins, which lies in the place of a large file until it is asked for.
pub const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// A name as part of a path on every file system: what is not plain becomes `_`.
pub fn safe_name(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "=,.-_@".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect()
}

/// Whether a file is called as GGUF files are.
pub fn is_gguf(path: impl AsRef<Path>) -> bool {
    let ending = path.as_ref().extension();
    ending.is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"))
}

/// A name beside a path that no other process or thread uses.
///
/// Files of that name are left where a process dies between making and renaming one.
pub fn fresh_name(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".dpx-{}-{number}", std::process::id()))
}

/// Whether a file has a name of [`fresh_name`]'s making.
pub fn is_fresh_name(name: &OsStr) -> bool {
    let numbers = name.to_str().and_then(|name| {
        let (process, number) = name.strip_prefix(".dpx-")?.split_once('-')?;
        Some([process, number])
    });
    numbers.is_some_and(|numbers| {
        numbers
            .iter()
            .all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// Writes a file so that whoever reads it, also after a crash or a power cut, finds the old content or the new one whole.
///
/// # Errors
/// The file or its folder cannot be written; the old content is still there then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_whole_by(&fresh_name(path), path, |file| file.write_all(bytes))
}

/// Like [`write_whole`], of what `write` writes, under a stated name until then: where only one process writes a file, a
/// fixed name leaves at most one file behind, however often that process is killed.
///
/// # Errors
/// As [`write_whole`], and whatever `write` fails with.
pub fn write_whole_by(
    fresh: &Path,
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let written = (|| {
        let mut file = File::create(fresh)?;
        write(&mut file)?;
        file.sync_all()
    })();
    keep_or_remove(written.and_then(|()| rename_durably(fresh, path)), fresh)
}

/// Writes a file so that whoever reads it finds the old content or the new one whole, unless the power is cut: for what is
/// shown to people, or checked before it is believed.
///
/// # Errors
/// The file cannot be written; the old content is still there then.
pub fn write_swapped(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = fresh_name(path);
    let written = fs::write(&fresh, bytes).and_then(|()| fs::rename(&fresh, path));
    keep_or_remove(written, &fresh)
}

fn keep_or_remove(written: io::Result<()>, fresh: &Path) -> io::Result<()> {
    // What cannot be removed either is no loss: nobody reads a file of that name.
    written.inspect_err(|_| drop(fs::remove_file(fresh)))
}

/// Gives a file or folder its final name, and forces that name to the medium.
///
/// # Errors
/// Either fails.
pub fn rename_durably(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => sync_folder(folder),
        _ => sync_folder(Path::new(".")),
    }
}

/// Forces every file and folder below a folder to the medium.
///
/// # Errors
/// A folder cannot be read, or a file or folder cannot be synced. Files that may not be opened are passed over.
pub fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            // A foreign file that only its owner may read needs no syncing.
            if let Ok(file) = File::open(entry.path()) {
                file.sync_all()?;
            }
        }
    }
    sync_folder(folder)
}

/// Forces the entries of a folder to the medium, where folders can be synced.
///
/// # Errors
/// The folder cannot be opened or synced.
#[cfg(unix)]
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Forces the entries of a folder to the medium, where folders can be synced.
///
/// # Errors
/// Never here.
#[cfg(not(unix))]
pub fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::create_dir(folder.path().join("folder")).unwrap();
        assert!(write_whole(&folder.path().join("folder"), b"three").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(write_whole(&folder.path().join("none/file"), b"four").is_err());
        write_swapped(&path, b"five").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"five");
        assert!(write_swapped(&folder.path().join("folder"), b"six").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_fails_half_way_leaves_the_old_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.bin");
        write_whole(&path, b"old").unwrap();
        let fresh = folder.path().join("state.new");
        let failed = write_whole_by(&fresh, &path, |file| {
            file.write_all(b"ne")?;
            Err(io::Error::other("the disk is full"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "the disk is full");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert!(!fresh.exists());
    }

    #[test]
    fn names_of_files_are_plain() {
        assert_eq!(
            safe_name("train@epsilon=8,model=a/b"),
            "train@epsilon=8,model=a_b"
        );
    }
}
