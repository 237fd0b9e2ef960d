//! Names of models and datasets, and where their files are.

use super::{DataError, builtin, hub};
use std::path::{Path, PathBuf};

/// What a name is for; decides where the Hub is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Labelled texts.
    Dataset,
    /// Weights, configuration and tokenizer.
    Model,
}

impl Role {
    /// The word for it in messages.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::Model => "model",
        }
    }
}

/// A parsed name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `builtin:NAME`: part of the binary.
    Builtin(String),
    /// `hf:OWNER/NAME[@REVISION]`: the Hugging Face Hub.
    Hub {
        /// `OWNER/NAME`.
        repository: String,
        /// Branch, tag or commit; `main` where none is given.
        revision: String,
    },
    /// A file or a folder.
    Path(PathBuf),
}

/// Files on this machine that a name stands for.
#[derive(Debug)]
pub struct Resolved {
    /// The file or folder.
    pub path: PathBuf,
    /// What stands in keys and records: a digest of the content, or `hf:OWNER/NAME@COMMIT`.
    pub identity: String,
    /// Holds the files of an embedded model for as long as this lives.
    temporary: Option<tempfile::TempDir>,
}

impl Source {
    /// Parses a name. Whatever has no known prefix is a path.
    pub fn parse(name: &str) -> Self {
        if let Some(name) = name.strip_prefix("builtin:") {
            return Self::Builtin(name.to_owned());
        }
        let Some(name) = name.strip_prefix("hf:") else {
            return Self::Path(PathBuf::from(name));
        };
        let (repository, revision) = name.split_once('@').unwrap_or((name, "main"));
        Self::Hub {
            repository: repository.to_owned(),
            revision: revision.to_owned(),
        }
    }

    /// Finds the files, downloading them where need be.
    ///
    /// # Errors
    /// When they cannot be found: says what was looked for, where, and how to provide it.
    pub fn resolve(&self, role: Role) -> Result<Resolved, DataError> {
        match self {
            Self::Builtin(_) => self.unpack(role),
            Self::Hub {
                repository,
                revision,
            } => {
                let snapshot =
                    hub::Hub::from_env().fetch(role, repository, revision, &mut hub::Silent)?;
                Ok(Resolved {
                    identity: format!("hf:{repository}@{}", snapshot.commit),
                    path: snapshot.folder,
                    temporary: None,
                })
            }
            Self::Path(path) => Ok(Resolved {
                path: path.clone(),
                identity: content_identity(path)?,
                temporary: None,
            }),
        }
    }

    /// The identity alone, which a plan needs: nothing but the name of the commit is downloaded.
    ///
    /// # Errors
    /// When it cannot be found.
    pub fn identity(&self, role: Role) -> Result<String, DataError> {
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
            Self::Hub {
                repository,
                revision,
            } => {
                let commit = hub::Hub::from_env().commit(role, repository, revision)?;
                Ok(format!("hf:{repository}@{commit}"))
            }
            Self::Path(path) => content_identity(path),
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
            identity: self.identity(role)?,
            temporary: Some(folder),
        })
    }
}

impl Resolved {
    /// Whether the files vanish with this value.
    pub const fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }
}

fn no_builtin(name: &str, role: Role) -> DataError {
    let known = match role {
        Role::Dataset => "`builtin:emotions`",
        Role::Model if builtin::BASE_FILES.is_empty() => "no model (this build carries none)",
        Role::Model => "`builtin:base`",
    };
    DataError::other(format!(
        "there is no {} `builtin:{name}`: dpx carries {known}",
        role.what()
    ))
}

/// The digest of a file, or of all files of a folder with their names (hidden ones left out).
fn content_identity(path: &Path) -> Result<String, DataError> {
    super::read::refuse_special(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut files = Vec::new();
    if path.is_dir() {
        walk(path, "", &mut files).map_err(|error| DataError::file(path, error))?;
        files.sort();
    } else if path.exists() {
        files.push((String::new(), path.to_owned()));
    } else {
        return Err(DataError::file(path, "no such file or folder"));
    }
    for (name, file) in files {
        super::read::refuse_special(&file)?;
        let digest = || -> std::io::Result<blake3::Hash> {
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(std::fs::File::open(&file)?)?;
            Ok(hasher.finalize())
        };
        hasher
            .update(&(name.len() as u64).to_le_bytes())
            .update(name.as_bytes());
        hasher.update(
            digest()
                .map_err(|error| DataError::file(&file, error))?
                .as_bytes(),
        );
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            walk(&path, &format!("{prefix}{name}/"), files)?;
        } else {
            files.push((format!("{prefix}{name}"), path));
        }
    }
    Ok(())
}
