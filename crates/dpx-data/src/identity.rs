//! The digest of a file or folder: what stands for its content in keys and records.

use crate::DataError;
use crate::read::refuse_special;
use std::path::{Path, PathBuf};

/// Folders within folders, files within them all.
const DEEPEST: usize = 12;
const MOST: usize = 100_000;

/// The digest of a file or of all files of a folder: names within the folder, and contents. The names of the file itself or
/// of the folder do not count, but the file's extension does, since readers go by it. Hidden files and folders, such as
/// `.git`, are left out.
///
/// `digest` gives the BLAKE3 digest of one file; a caller that remembers digests need not read a file twice.
///
/// # Errors
/// When something cannot be read or is neither a regular file nor a folder; names it.
pub fn content_identity(
    path: &Path,
    digest: &mut dyn FnMut(&Path) -> std::io::Result<[u8; 32]>,
) -> Result<String, DataError> {
    refuse_special(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    let mut of_file = |path: &Path| {
        // A pipe or device may never end.
        refuse_special(path)?;
        digest(path).map_err(|error| DataError::file(path, format!("could not be read: {error}")))
    };
    if path.is_dir() {
        part(b"dpx folder v1");
        let names = names(path)?;
        for name in &names {
            part(name.as_bytes());
            part(&of_file(&path.join(name))?);
        }
    } else {
        part(b"dpx file v1");
        let extension = path.extension().and_then(|name| name.to_str());
        part(extension.unwrap_or("").to_lowercase().as_bytes());
        part(&of_file(path)?);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// The BLAKE3 digest of a file's bytes.
///
/// # Errors
/// When it cannot be read.
pub fn file_digest(path: &Path) -> std::io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::fs::File::open(path)?)?;
    Ok(*hasher.finalize().as_bytes())
}

/// Names of all files below a folder with `/` between their parts, sorted; hidden files and folders are left out.
///
/// # Errors
/// When a folder cannot be read, or there are more folders within folders or more files than any dataset or model has.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, DataError> {
    let mut names = Vec::new();
    let mut open: Vec<(PathBuf, String, usize)> = vec![(folder.to_owned(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = open.pop() {
        let failed = |error| DataError::file(&folder, format!("could not be read: {error}"));
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().into_string().map_err(|name| {
                DataError::file(
                    &folder.join(name),
                    "the name is not UTF-8: rename the file, so that it can be found by its name",
                )
            })?;
            if name.starts_with('.') {
                continue;
            }
            let path = entry.path();
            if !path.is_dir() {
                names.push(format!("{prefix}{name}"));
            } else if depth < DEEPEST {
                open.push((path, format!("{prefix}{name}/"), depth + 1));
            } else {
                return Err(DataError::file(
                    &path,
                    format!(
                        "folders are nested more than {DEEPEST} deep: do links lead in a circle?"
                    ),
                ));
            }
            if names.len() + open.len() > MOST {
                return Err(DataError::file(
                    &folder,
                    format!("the folder holds more than {MOST} files: is it a dataset or a model?"),
                ));
            }
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_follow_content_and_extension() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let identity = |path: &Path| content_identity(path, &mut file_digest).unwrap();
        std::fs::write(&path, "text,label\n").unwrap();
        let first = (identity(&path), identity(folder.path()));
        std::fs::create_dir(folder.path().join(".git")).unwrap();
        std::fs::write(folder.path().join(".git/x"), "hidden").unwrap();
        assert_eq!(identity(folder.path()), first.1);
        let (copy, renamed) = (folder.path().join("b.csv"), folder.path().join("b.tsv"));
        std::fs::copy(&path, &copy).unwrap();
        assert_eq!(identity(&copy), first.0);
        std::fs::rename(&copy, &renamed).unwrap();
        assert_ne!(identity(&renamed), first.0);
        assert_ne!(identity(folder.path()), first.1);
        std::fs::remove_file(&renamed).unwrap();
        std::fs::write(&path, "text;label\n").unwrap();
        assert!(identity(&path) != first.0 && identity(folder.path()) != first.1);
        let error = content_identity(&folder.path().join("gone"), &mut file_digest);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("gone`: no such file or folder"), "{error}");
    }
}
