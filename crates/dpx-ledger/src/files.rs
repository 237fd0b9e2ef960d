//! Files of the ledger: private to their owner, or to the folder's group where the folder is shared with it.

use crate::LedgerError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// An error about a path, made of what the operating system said.
pub(crate) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LedgerError {
    let path = path.to_owned();
    move |source| LedgerError::Io {
        action,
        path,
        source,
    }
}

/// Makes a folder for its owner alone, or for the group as well where the folder above is `shared` with it; one that exists
/// keeps its permissions.
pub(crate) fn make_folder(path: &Path, shared: bool) -> Result<(), LedgerError> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, if shared { 0o770 } else { 0o700 });
    #[cfg(not(unix))]
    let _ = shared;
    builder.create(path).map_err(at("make the folder", path))
}

/// Whether the folder's group may write into it.
pub(crate) fn is_shared(folder: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(folder).is_ok_and(|metadata| metadata.mode() & 0o020 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        false
    }
}

/// How a file of this folder is opened: readable by its owner alone, or by the folder's group too where that may write into
/// the folder, which is how several people share a ledger.
pub(crate) fn options(folder: &Path) -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "modes are of Unix"))]
    let mut options = OpenOptions::new();
    let mode = if is_shared(folder) { 0o660 } else { 0o600 };
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options
}

/// Writes a file whole or not at all, on the medium when it returns.
pub(crate) fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), LedgerError> {
    let path = folder.join(name);
    let fresh = folder.join(format!(".{name}.new"));
    let write = || {
        // Only the holder of the lock writes: what lies there is of one that died.
        fs::remove_file(&fresh).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let mut file = options(folder).write(true).create_new(true).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        sync_folder(folder)
    };
    write().map_err(at("write", &path))
}

/// Puts the names in a folder on the medium.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

/// The content of a file; nothing where there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, LedgerError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at("read", path)(error)),
    }
}
