//! Replacing a results folder as a whole: the last good one stays until the new one is whole.

use std::fs;
use std::io;
use std::path::Path;

/// Has a fresh folder beside `folder` filled, then swaps the two and removes the old one.
///
/// Whoever looks at `folder` sees the old results or all of the new ones.
///
/// # Errors
/// Whatever `fill` fails with, or a refused write; `folder` is as it was then.
pub fn replace_folder<E: From<io::Error>>(
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let parent = match folder.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let fresh = tempfile::Builder::new()
        .prefix(&format!(".{name}-"))
        .tempdir_in(parent)?;
    fill(fresh.path())?;
    open_to_others(fresh.path())?;
    sync_tree(fresh.path())?;
    if folder.exists() {
        swap(fresh.path(), folder)?;
        // The old results now lie in the temporary folder, which goes when it is dropped.
    } else {
        fs::rename(fresh.path(), folder)?;
    }
    sync_folder(parent)?;
    Ok(())
}

/// A temporary folder is made for its owner alone; results are as open as any other new folder.
#[cfg(unix)]
fn open_to_others(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn open_to_others(_folder: &Path) -> io::Result<()> {
    Ok(())
}

fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            fs::File::open(entry.path())?.sync_all()?;
        }
    }
    sync_folder(folder)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Exchanges two folders in one step, where the system can.
fn swap(fresh: &Path, folder: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        if renameat_with(CWD, fresh, CWD, folder, RenameFlags::EXCHANGE).is_ok() {
            return Ok(());
        }
    }
    // Two steps: a crash between them leaves the old results beside the place of the new ones.
    let aside = fresh.with_extension("old");
    fs::rename(folder, &aside)?;
    if let Err(error) = fs::rename(fresh, folder) {
        fs::rename(&aside, folder)?;
        return Err(error);
    }
    fs::remove_dir_all(&aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_results_stay_until_the_new_ones_are_whole() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("results/emotion");
        let fill = |text: &'static str| {
            move |path: &Path| -> io::Result<()> {
                fs::create_dir(path.join("texts"))?;
                fs::write(path.join("texts/a.csv"), text)
            }
        };
        replace_folder(&folder, fill("one")).unwrap();
        fs::write(folder.join("stray"), "x").unwrap();
        replace_folder(&folder, fill("two")).unwrap();
        assert_eq!(
            fs::read_to_string(folder.join("texts/a.csv")).unwrap(),
            "two"
        );
        assert!(
            !folder.join("stray").exists(),
            "the folder is replaced as a whole"
        );
        let failed = replace_folder(&folder, |path| {
            fs::write(path.join("half"), "x")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(
            fs::read_to_string(folder.join("texts/a.csv")).unwrap(),
            "two"
        );
        let left: Vec<_> = fs::read_dir(root.path().join("results")).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing is left over: {left:?}");
    }
}
