//! From the name of a model or dataset to its files on this machine, and to what stands for its content.

use super::identity::{content_identity, file_digest};
use super::read::{SplitFiles, split_files};
use super::{DataError, Role, Source, SplitPaths, builtin, hub};
use std::path::PathBuf;

/// Files on this machine that a name stands for.
#[derive(Debug)]
pub struct Resolved {
    /// The file or folder.
    pub path: PathBuf,
    /// Of a dataset from the Hub its files by split, as its card or its folders tell; for anything else the reader goes by
    /// the names of the files in `path`.
    pub splits: Option<SplitPaths>,
    /// Holds the files of an embedded model for as long as this lives.
    _temporary: Option<tempfile::TempDir>,
}

impl Source {
    /// Finds the files, downloading them where need be.
    ///
    /// # Errors
    /// When they cannot be found: says what was looked for, where, and how to provide it.
    pub fn resolve(&self, role: Role) -> Result<Resolved, DataError> {
        match self {
            Self::Builtin(_) => self.unpack(role),
            Self::Hub(name) => {
                let snapshot = hub::Hub::from_env().fetch(role, name, &mut hub::Silent)?;
                Ok(Resolved::from(snapshot))
            }
            Self::Path(path) if path.exists() => Ok(Resolved {
                path: path.clone(),
                splits: None,
                _temporary: None,
            }),
            Self::Path(path) => Err(DataError::file(path, "no such file or folder")),
        }
    }

    /// What stands in keys and records: a digest of the content, or `hf:OWNER/NAME[/CONFIG]@COMMIT`. Nothing but the
    /// name of the commit is downloaded.
    ///
    /// # Errors
    /// When it cannot be found.
    pub fn identity(&self, role: Role, hub: &hub::Hub) -> Result<String, DataError> {
        match self {
            Self::Builtin(name) => {
                let parts = builtin::parts(name).ok_or_else(|| no_builtin(name, role))?;
                let mut hasher = blake3::Hasher::new();
                for part in parts {
                    hasher
                        .update(&(part.len() as u64).to_le_bytes())
                        .update(part);
                }
                Ok(hasher.finalize().to_hex().to_string())
            }
            // A commit never happens to be called `main`, so that it is always part of what is written.
            Self::Hub(name) => Ok(name.at(&hub.commit(role, name)?).to_string()),
            Self::Path(path) => content_identity(path, &mut file_digest),
        }
    }

    /// Writes the files of an embedded model to a temporary folder.
    fn unpack(&self, role: Role) -> Result<Resolved, DataError> {
        let Self::Builtin(name) = self else {
            return Err(DataError::other("only embedded files can be unpacked"));
        };
        if name != "base" || role != Role::Model || builtin::BASE_FILES.is_empty() {
            return Err(no_builtin(name, role));
        }
        let folder = tempfile::tempdir().map_err(|error| {
            DataError::other(format!("no temporary folder for `builtin:{name}`: {error}"))
        })?;
        for (file, content) in builtin::BASE_FILES {
            let path = folder.path().join(file);
            std::fs::write(&path, content).map_err(|error| DataError::file(&path, error))?;
        }
        Ok(Resolved {
            path: folder.path().to_owned(),
            splits: None,
            _temporary: Some(folder),
        })
    }
}

impl Resolved {
    /// The files of a dataset by split: as the Hub's card tells, or else by their names.
    ///
    /// # Errors
    /// When there is no train split, or several files could be one.
    pub(crate) fn split_files(&self) -> Result<SplitFiles, DataError> {
        match &self.splits {
            Some(splits) => Ok(SplitFiles {
                train: splits.train.clone(),
                validation: splits.validation.clone(),
                test: splits.test.clone(),
            }),
            None => split_files(&self.path),
        }
    }
}

impl From<hub::Snapshot> for Resolved {
    fn from(snapshot: hub::Snapshot) -> Self {
        Self {
            path: snapshot.folder,
            splits: snapshot.splits,
            _temporary: None,
        }
    }
}

fn no_builtin(name: &str, role: Role) -> DataError {
    let carried = |known: &str| known != "base" || !builtin::BASE_FILES.is_empty();
    let known: Vec<String> = role
        .builtins()
        .iter()
        .copied()
        .filter(|known| carried(known))
        .map(|known| format!("`builtin:{known}`"))
        .collect();
    let known = if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    };
    DataError::other(format!(
        "there is no {} `builtin:{name}`: this build of dpx carries {known}",
        role.what()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_sources_have_identities_of_their_own() {
        let hub = hub::Hub::new("http://127.0.0.1:9".into(), "nowhere".into(), None, true);
        let identity = |name: &str| Source::parse(name).identity(Role::Dataset, &hub);
        assert_ne!(
            identity("builtin:emotions").unwrap(),
            identity("builtin:words").unwrap()
        );
        assert!(identity("builtin:poems").is_err());
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(
            identity(&format!("hf:who/what/en@{commit}")).unwrap(),
            format!("hf:who/what/en@{commit}")
        );
        let error = Source::parse("no/such/file").resolve(Role::Dataset);
        assert!(error.unwrap_err().to_string().contains("no such file"));
    }
}
