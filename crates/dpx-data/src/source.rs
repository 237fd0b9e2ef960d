//! From the name of a model or dataset to its files on this machine, and to what stands for its content.

use super::identity::{content_identity, file_digest, names};
use super::read::{SplitFiles, refuse_special, split_files};
use super::{DataError, Role, Source, SplitPaths, builtin, hub};
use std::path::{Path, PathBuf};

/// Files on this machine that a name stands for.
#[derive(Debug)]
pub struct Resolved {
    /// The file or folder that the name leads to.
    pub path: PathBuf,
    /// Of a dataset from the Hub its files by split, as its card or its folders tell; for anything else the reader goes by
    /// the names of the files in `path`.
    pub splits: Option<SplitPaths>,
    /// Of one file of a repository: the folder with its card.
    repository: Option<PathBuf>,
    /// Holds the files of an embedded model for as long as this lives.
    _temporary: Option<Unpacked>,
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
            Self::Path(path) => {
                refuse_special(path)?;
                if path.is_dir() {
                    for name in names(path)? {
                        refuse_special(&path.join(name))?;
                    }
                }
                Ok(Resolved {
                    path: path.clone(),
                    splits: None,
                    repository: None,
                    _temporary: None,
                })
            }
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
        let files = builtin::model_files(name).filter(|_| role == Role::Model);
        let files = files.ok_or_else(|| no_builtin(name, role))?;
        let folder = Unpacked::new().map_err(|error| {
            DataError::other(format!("no temporary folder for `builtin:{name}`: {error}"))
        })?;
        for (file, content) in files {
            let path = folder.path().join(file);
            std::fs::write(&path, content).map_err(|error| DataError::file(&path, error))?;
        }
        Ok(Resolved {
            path: folder.path().to_owned(),
            splits: None,
            repository: None,
            _temporary: Some(folder),
        })
    }
}

impl Resolved {
    /// The folder with card and license: of one file on the Hub that of its repository, otherwise the path.
    pub fn card_folder(&self) -> &Path {
        self.repository.as_deref().unwrap_or(&self.path)
    }

    /// The files of a dataset by split, with what lies beside them: as the Hub's card tells, or else by their names.
    ///
    /// # Errors
    /// When there is no train split, or a split is not one whole set of files.
    pub(crate) fn split_files(&self) -> Result<SplitFiles, DataError> {
        match &self.splits {
            Some(splits) => Ok(SplitFiles::of_folder(&self.path, splits.clone())),
            None => split_files(&self.path),
        }
    }
}

impl From<hub::Snapshot> for Resolved {
    fn from(snapshot: hub::Snapshot) -> Self {
        Self {
            path: snapshot.gguf.unwrap_or_else(|| snapshot.folder.clone()),
            splits: snapshot.splits,
            repository: Some(snapshot.folder),
            _temporary: None,
        }
    }
}

/// A temporary folder that says by a lock that somebody lives in it, so that those of killed processes can be cleared away.
#[derive(Debug)]
struct Unpacked {
    // Unlocked after the folder is gone.
    folder: tempfile::TempDir,
    _lock: std::fs::File,
}

/// How the names of such folders begin, and the file that is locked.
const UNPACKED: &str = "dpx-builtin-";
const LOCK: &str = "lock";

impl Unpacked {
    fn new() -> std::io::Result<Self> {
        collect(&std::env::temp_dir());
        let folder = tempfile::Builder::new().prefix(UNPACKED).tempdir()?;
        let lock = std::fs::File::create(folder.path().join(LOCK))?;
        lock.lock()?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes what killed processes unpacked. Nothing depends on it, so nothing that fails is told.
fn collect(place: &Path) {
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(UNPACKED);
        let folder = entry.path();
        if !ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let dead = match std::fs::File::open(folder.join(LOCK)) {
            // Whoever lives holds the lock.
            Ok(lock) => lock.try_lock().is_ok(),
            // Made a moment ago, or killed before there was a lock.
            Err(_) => std::fs::metadata(&folder)
                .and_then(|found| found.modified())
                .is_ok_and(|made| {
                    made.elapsed()
                        .is_ok_and(|age| age > std::time::Duration::from_mins(10))
                }),
        };
        if dead {
            drop(std::fs::remove_dir_all(&folder));
        }
    }
}

fn no_builtin(name: &str, role: Role) -> DataError {
    let known: Vec<String> = role
        .builtins()
        .iter()
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

    #[cfg(unix)]
    #[test]
    fn a_folder_with_a_pipe_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("config.json");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for role in [Role::Model, Role::Dataset] {
            let source = Source::parse(&folder.path().to_string_lossy());
            let told = source.resolve(role).unwrap_err().to_string();
            assert!(
                told.contains("config.json") && told.contains("a pipe"),
                "{told}"
            );
        }
    }

    #[test]
    fn what_killed_processes_unpacked_is_cleared_away() {
        let place = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let folder = place.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("model"), "weights").unwrap();
            std::fs::File::create(folder.join(LOCK)).unwrap()
        };
        let living = make("dpx-builtin-a");
        living.lock().unwrap();
        drop(make("dpx-builtin-b"));
        drop(make("somebody-else"));
        std::fs::create_dir(place.path().join("dpx-builtin-c")).unwrap();
        collect(place.path());
        let left = |name: &str| place.path().join(name).exists();
        assert!(left("dpx-builtin-a") && left("somebody-else"));
        assert!(!left("dpx-builtin-b"));
        assert!(left("dpx-builtin-c"), "it may be in the making");
    }

    #[test]
    fn a_dataset_of_the_hub_has_the_label_names_of_its_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let info = |config: &str, names: &str| {
            format!(
                "- config_name: {config}\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names: {names}\n"
            )
        };
        let readme = format!(
            "---\nconfigs:\n- config_name: en\n  default: true\n  data_files: en.csv\n- config_name: de\n  data_files:\n  - split: train\n    path: de.csv\n  - split: unsupervised\n    path: rest.csv\ndataset_info:\n{}{}---\n",
            info("en", "{'0': joy, '1': fear}"),
            info("de", "{'0': fear, '1': joy}")
        );
        std::fs::write(folder.path().join("README.md"), &readme).unwrap();
        let names = ["README.md", "en.csv", "de.csv", "rest.csv"];
        let files = |config: Option<&str>| {
            let layout = crate::layout::choose(&names, Some(&readme), config).unwrap();
            let resolved = Resolved::from(hub::Snapshot {
                folder: folder.path().to_owned(),
                commit: "0".repeat(40),
                gguf: None,
                splits: Some(layout.paths(folder.path())),
            });
            resolved.split_files().unwrap()
        };
        let default = files(None);
        assert_eq!(default.train, [folder.path().join("en.csv")]);
        assert_eq!(default.stored_beside("label")[0].1, ["joy", "fear"]);
        assert!(default.not_read.is_empty() && default.notes.is_empty());
        let other = files(Some("de"));
        assert_eq!(other.train, [folder.path().join("de.csv")]);
        assert_eq!(other.stored_beside("label")[0].1, ["fear", "joy"]);
        assert_eq!(other.not_read, ["unsupervised"]);
    }
}
