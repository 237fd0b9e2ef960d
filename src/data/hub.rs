//! The Hugging Face Hub: finds commits, downloads files into the standard cache folder.
//!
//! Honours `HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE`. Files lie where `huggingface_hub` for Python keeps
//! them, so that nothing is downloaded twice.

use super::{DataError, Role};
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use std::path::{Path, PathBuf};

/// Told how a download goes.
pub trait Progress {
    /// `done` of `total` bytes of a file are there.
    fn update(&mut self, file: &str, done: u64, total: u64);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn update(&mut self, _file: &str, _done: u64, _total: u64) {}
}

/// All files of a repository that dpx reads, at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Folder with the files.
    pub folder: PathBuf,
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
}

/// Access to the Hub.
#[derive(Debug, Clone)]
pub struct Hub {
    endpoint: String,
    cache: PathBuf,
    token: Option<String>,
    offline: bool,
}

impl Hub {
    /// As the environment says.
    pub fn from_env() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let cache = Cache::from_env();
        let offline = variable("HF_HUB_OFFLINE").is_some_and(|value| {
            !matches!(value.to_lowercase().as_str(), "0" | "false" | "no" | "off")
        });
        Self {
            endpoint: variable("HF_ENDPOINT").map_or_else(default_endpoint, |endpoint| {
                endpoint.trim_end_matches('/').to_owned()
            }),
            token: variable("HF_TOKEN").or_else(|| cache.token()),
            cache: cache.path().clone(),
            offline,
        }
    }

    /// With everything given; for tests.
    pub const fn new(
        endpoint: String,
        cache: PathBuf,
        token: Option<String>,
        offline: bool,
    ) -> Self {
        Self {
            endpoint,
            cache,
            token,
            offline,
        }
    }

    /// The commit that a revision stands for: the Hub is asked; where it cannot be, the cache folder is.
    ///
    /// # Errors
    /// When neither knows.
    pub fn commit(
        &self,
        role: Role,
        repository: &str,
        revision: &str,
    ) -> Result<String, DataError> {
        if is_commit(revision) {
            return Ok(revision.to_owned());
        }
        if !self.offline {
            match self.repo(role, repository, revision)?.info() {
                Ok(info) => return Ok(info.sha),
                Err(error) if !unreachable(&error) => {
                    return Err(self.refused(&error, role, repository, revision, None));
                }
                Err(_) => {}
            }
        }
        self.cached_commit(role, repository, revision)
            .ok_or_else(|| self.absent(role, repository, revision))
    }

    /// Downloads the files that dpx reads and that are not in the cache folder yet.
    ///
    /// # Errors
    /// When the Hub refuses, a download fails or has the wrong size, or, without network, the cache folder lacks it.
    pub fn fetch(
        &self,
        role: Role,
        repository: &str,
        revision: &str,
        progress: &mut dyn Progress,
    ) -> Result<Snapshot, DataError> {
        let local = self
            .cached_commit(role, repository, revision)
            .map(|commit| (self.folder(role, repository, &commit), commit));
        if self.offline {
            return local
                .filter(|(folder, _)| is_complete(role, folder))
                .map(|(folder, commit)| Snapshot { folder, commit })
                .ok_or_else(|| self.absent(role, repository, revision));
        }
        let info = match self.repo(role, repository, revision)?.info() {
            Ok(info) => info,
            Err(error) if unreachable(&error) => {
                return local
                    .filter(|(folder, _)| is_complete(role, folder))
                    .map(|(folder, commit)| Snapshot { folder, commit })
                    .ok_or_else(|| self.absent(role, repository, revision));
            }
            Err(error) => return Err(self.refused(&error, role, repository, revision, None)),
        };
        let names: Vec<&str> = info
            .siblings
            .iter()
            .map(|file| file.rfilename.as_str())
            .collect();
        let wanted = wanted(role, &names);
        if wanted.is_empty() {
            return Err(DataError::other(format!(
                "the {} `hf:{repository}@{revision}` holds no file that dpx reads: expected {}",
                role.what(),
                expected(role)
            )));
        }
        let folder = self.folder(role, repository, &info.sha);
        let at_commit = self.repo(role, repository, &info.sha)?;
        for name in wanted {
            if !folder.join(name).exists() {
                self.download(&at_commit, role, repository, revision, name, progress)?;
            }
        }
        // The branch's name leads to the commit, as `huggingface_hub` writes it.
        let reference = Repo::with_revision(repository.to_owned(), kind(role), revision.to_owned());
        Cache::new(self.cache.clone())
            .repo(reference)
            .create_ref(&info.sha)
            .map_err(|error| DataError::file(&self.cache, error))?;
        Ok(Snapshot {
            folder,
            commit: info.sha,
        })
    }

    fn download(
        &self,
        repo: &ApiRepo,
        role: Role,
        repository: &str,
        revision: &str,
        name: &str,
        progress: &mut dyn Progress,
    ) -> Result<(), DataError> {
        let mut announced = 0;
        let bridge = Bridge {
            progress,
            name,
            done: 0,
            total: &mut announced,
        };
        let path = match repo.download_with_progress(name, bridge) {
            Ok(path) => path,
            Err(error) => return Err(self.refused(&error, role, repository, revision, Some(name))),
        };
        let found = std::fs::metadata(&path)
            .map_err(|error| DataError::file(&path, error))?
            .len();
        if found != announced {
            // A file of the wrong size must not be taken for whole the next time.
            if let Ok(blob) = path.canonicalize() {
                drop(std::fs::remove_file(blob));
            }
            drop(std::fs::remove_file(&path));
            return Err(DataError::other(format!(
                "`{name}` of `hf:{repository}@{revision}` arrived with {found} bytes, the Hub announced {announced}: it was removed; try again"
            )));
        }
        Ok(())
    }

    fn repo(&self, role: Role, repository: &str, revision: &str) -> Result<ApiRepo, DataError> {
        let api: Api = ApiBuilder::from_cache(Cache::new(self.cache.clone()))
            .with_endpoint(self.endpoint.clone())
            .with_token(self.token.clone())
            .with_progress(false)
            .with_retries(2)
            .with_user_agent("dpx", env!("CARGO_PKG_VERSION"))
            .build()
            .map_err(|error| DataError::other(format!("the Hub cannot be asked: {error}")))?;
        Ok(api.repo(Repo::with_revision(
            repository.to_owned(),
            kind(role),
            revision.to_owned(),
        )))
    }

    fn folder(&self, role: Role, repository: &str, commit: &str) -> PathBuf {
        let repo = Repo::with_revision(repository.to_owned(), kind(role), commit.to_owned());
        Cache::new(self.cache.clone())
            .repo(repo)
            .pointer_path(commit)
    }

    fn cached_commit(&self, role: Role, repository: &str, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let repo = Repo::with_revision(repository.to_owned(), kind(role), revision.to_owned());
        let reference = self
            .cache
            .join(repo.folder_name())
            .join("refs")
            .join(revision);
        let commit = std::fs::read_to_string(reference).ok()?;
        Some(commit.trim().to_owned())
    }

    fn absent(&self, role: Role, repository: &str, revision: &str) -> DataError {
        let why = if self.offline {
            "HF_HUB_OFFLINE is set".to_owned()
        } else {
            format!("{} cannot be reached", self.endpoint)
        };
        DataError::other(format!(
            "the {what} `hf:{repository}@{revision}` is not on this machine and {why}; looked in `{}`; run `dpx fetch FILE` where there is network, set HF_HOME to a folder that holds it or HF_ENDPOINT to a mirror, or give the path of a folder with its files instead of `hf:{repository}`",
            self.cache.display(),
            what = role.what(),
        ))
    }

    fn refused(
        &self,
        error: &ApiError,
        role: Role,
        repository: &str,
        revision: &str,
        file: Option<&str>,
    ) -> DataError {
        let what = file.map_or_else(
            || format!("the {} `hf:{repository}@{revision}`", role.what()),
            |file| format!("`{file}` of `hf:{repository}@{revision}`"),
        );
        let reason = match status(error) {
            Some(401 | 403) if self.token.is_none() => {
                "access denied: it is private, gated or misspelt; set HF_TOKEN to a token that may read it".to_owned()
            }
            Some(401 | 403) => "access denied: HF_TOKEN may not read it, or it is misspelt".to_owned(),
            Some(404) => "there is no such repository, revision or file: check owner, name and revision".to_owned(),
            Some(code) => format!("{} answered with status {code}: try again later", self.endpoint),
            None => format!("the download from {} failed ({error}): it goes on from where it stopped when you try again", self.endpoint),
        };
        DataError::other(format!("{what}: {reason}"))
    }
}

/// The endpoint where none is set in the environment.
fn default_endpoint() -> String {
    let api = ApiBuilder::new().build();
    // hf-hub keeps its default to itself: it shows in the address of any file.
    let url = api
        .map(|api| api.model("a".to_owned()).url("b"))
        .unwrap_or_default();
    url.trim_end_matches("/a/resolve/main/b").to_owned()
}

struct Bridge<'a> {
    progress: &'a mut dyn Progress,
    name: &'a str,
    done: u64,
    total: &'a mut u64,
}

impl hf_hub::api::Progress for Bridge<'_> {
    fn init(&mut self, size: usize, _filename: &str) {
        *self.total = size as u64;
        self.done = 0;
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        self.progress.update(self.name, self.done, *self.total);
    }

    fn finish(&mut self) {}
}

const fn kind(role: Role) -> RepoType {
    match role {
        Role::Dataset => RepoType::Dataset,
        Role::Model => RepoType::Model,
    }
}

fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match &**error {
            ureq::Error::StatusCode(code) => Some(*code),
            _ => None,
        },
        ApiError::TooManyRetries(error) => status(error),
        _ => None,
    }
}

/// Whether the Hub could not be asked at all.
fn unreachable(error: &ApiError) -> bool {
    match error {
        ApiError::RequestError(error) => matches!(
            &**error,
            ureq::Error::HostNotFound
                | ureq::Error::ConnectionFailed
                | ureq::Error::Io(_)
                | ureq::Error::Timeout(_)
                | ureq::Error::ConnectProxyFailed(_)
        ),
        _ => false,
    }
}

/// The files of a repository that dpx reads.
fn wanted<'a>(role: Role, names: &[&'a str]) -> Vec<&'a str> {
    let safe = names.iter().copied().filter(|name| {
        Path::new(name)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)))
    });
    match role {
        Role::Model => {
            let kept = [
                "config.json",
                "tokenizer.json",
                "tokenizer_config.json",
                "special_tokens_map.json",
                "vocab.json",
                "merges.txt",
                "vocab.txt",
                "model.safetensors.index.json",
                "generation_config.json",
                "dpx_schema.json",
            ];
            safe.filter(|name| {
                kept.contains(name)
                    || (!name.contains('/')
                        && Path::new(name)
                            .extension()
                            .is_some_and(|extension| extension == "safetensors"))
            })
            .collect()
        }
        Role::Dataset => {
            let known: Vec<&str> = safe
                .filter(|name| {
                    let path = Path::new(name);
                    let extension = path
                        .extension()
                        .and_then(|extension| extension.to_str())
                        .unwrap_or("");
                    let stem = path
                        .file_stem()
                        .and_then(|stem| stem.to_str())
                        .unwrap_or("");
                    let split = stem.split(['-', '_', '.']).next().unwrap_or("");
                    ["csv", "tsv", "txt", "jsonl", "ndjson", "json", "parquet"].contains(&extension)
                        && [
                            "train",
                            "training",
                            "validation",
                            "valid",
                            "val",
                            "dev",
                            "test",
                        ]
                        .contains(&split)
                })
                .collect();
            // As the reader does: the first folder with a train split.
            for folder in ["", "split/", "data/", "default/"] {
                let here: Vec<&str> = known
                    .iter()
                    .copied()
                    .filter(|name| {
                        name.strip_prefix(folder)
                            .is_some_and(|rest| !rest.contains('/'))
                    })
                    .collect();
                if here
                    .iter()
                    .any(|name| name[folder.len()..].starts_with("train"))
                {
                    return here;
                }
            }
            Vec::new()
        }
    }
}

const fn expected(role: Role) -> &'static str {
    match role {
        Role::Model => "config.json, model.safetensors and tokenizer.json",
        Role::Dataset => {
            "train as csv, tsv, jsonl or parquet, in the top folder, split/, data/ or default/"
        }
    }
}

/// Whether a snapshot folder of the cache looks usable without asking the Hub.
fn is_complete(role: Role, folder: &Path) -> bool {
    match role {
        Role::Model => folder.join("config.json").exists(),
        Role::Dataset => super::read::split_files(folder).is_ok(),
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
