//! The Hugging Face Hub: finds commits, downloads files into the standard cache folder.
//!
//! Honours `HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE`. Files lie where `huggingface_hub` for Python keeps
//! them, so that nothing is downloaded twice.

mod download;
mod files;
mod info;

use super::{DataError, Role};
use download::Download;
use files::{expected, is_complete, wanted};
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use info::{Info, InfoError};
use std::path::PathBuf;

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
        if let Some(info) = self.ask(role, repository, revision, false)? {
            return Ok(info.sha);
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
        let Some(info) = self.ask(role, repository, revision, true)? else {
            return self
                .cached_commit(role, repository, revision)
                .map(|commit| (self.folder(role, repository, &commit), commit))
                .filter(|(folder, _)| is_complete(role, folder))
                .map(|(folder, commit)| Snapshot { folder, commit })
                .ok_or_else(|| self.absent(role, repository, revision));
        };
        let names: Vec<&str> = info
            .siblings
            .iter()
            .map(|file| file.name.as_str())
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
        let download = Download {
            hub: self,
            repo: self.repo(role, repository, &info.sha)?,
            role,
            repository,
            revision,
            folder: &folder,
        };
        for file in &info.siblings {
            if wanted.contains(&file.name.as_str()) {
                download.file(file, progress)?;
            }
        }
        self.remember(role, repository, revision, &info.sha)?;
        Ok(Snapshot {
            folder,
            commit: info.sha,
        })
    }

    /// Writes down which commit a branch or tag stands for, as `huggingface_hub` does: what is asked where there is no
    /// network.
    ///
    /// # Errors
    /// When the cache folder cannot be written.
    pub fn remember(
        &self,
        role: Role,
        repository: &str,
        revision: &str,
        commit: &str,
    ) -> Result<(), DataError> {
        if is_commit(revision) {
            return Ok(());
        }
        Cache::new(self.cache.clone())
            .repo(Repo::with_revision(
                repository.to_owned(),
                kind(role),
                revision.to_owned(),
            ))
            .create_ref(commit)
            .map_err(|error| DataError::file(&self.cache, error))
    }

    /// What the Hub says; nothing where it cannot be asked.
    fn ask(
        &self,
        role: Role,
        repository: &str,
        revision: &str,
        files: bool,
    ) -> Result<Option<Info>, DataError> {
        if self.offline {
            return Ok(None);
        }
        match info::ask(&self.repo(role, repository, revision)?, files) {
            Ok(info) => Ok(Some(info)),
            Err(InfoError::Api(error)) if unreachable(&error) => Ok(None),
            Err(InfoError::Api(error)) => {
                Err(self.refused(&error, role, repository, revision, None))
            }
            Err(InfoError::Answer(problem)) => Err(DataError::other(format!(
                "the {} `hf:{repository}@{revision}`: {} gave an answer that is not the Hub's ({problem}): check HF_ENDPOINT",
                role.what(),
                self.endpoint
            ))),
        }
    }

    fn api(&self) -> Result<Api, DataError> {
        ApiBuilder::from_cache(Cache::new(self.cache.clone()))
            .with_endpoint(self.endpoint.clone())
            .with_token(self.token.clone())
            .with_progress(false)
            .with_retries(2)
            .with_user_agent("dpx", env!("CARGO_PKG_VERSION"))
            .build()
            .map_err(|error| DataError::other(format!("the Hub cannot be asked: {error}")))
    }

    fn repo(&self, role: Role, repository: &str, revision: &str) -> Result<ApiRepo, DataError> {
        Ok(self.api()?.repo(Repo::with_revision(
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

impl<'a> Bridge<'a> {
    fn new(progress: &'a mut dyn Progress, name: &'a str, total: &'a mut u64) -> Self {
        Self {
            progress,
            name,
            done: 0,
            total,
        }
    }
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

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
