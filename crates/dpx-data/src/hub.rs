//! The Hugging Face Hub: finds commits, downloads files into the standard cache folder.
//!
//! Honours `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH` and `HF_HUB_OFFLINE`. The token goes to the
//! endpoint alone, never to the hosts that it redirects to. Files lie where `huggingface_hub` for Python keeps them, so that
//! nothing is downloaded twice.

mod address;
mod cache;
mod digest;
mod download;
mod files;
mod http;
mod info;
mod refusal;
mod settings;
mod sink;

use super::{DataError, HubName, Role, SplitPaths};
use address::encode;
use cache::Folders;
use download::Download;
use files::Wanted;
use http::{Client, Failure, Patience};
use info::Info;
use refusal::Asked;
use settings::{Settings, Token};
use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Is told how a download goes, while it goes.
pub trait Progress {
    /// `done` of `total` bytes of a file are there.
    fn update(&mut self, file: &str, done: u64, total: u64);

    /// The server is busy or the connection broke: the next attempt comes after a pause.
    fn waiting(&mut self, _file: &str, _why: &str, _pause: Duration) {}

    /// Another process downloads the file: it is waited for.
    fn blocked(&mut self, _file: &str) {}
}

/// Progress that is told to nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn update(&mut self, _file: &str, _done: u64, _total: u64) {}
}

/// All files of a repository that dpx reads, at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The folder with its files in the cache of `huggingface_hub`.
    pub folder: PathBuf,
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// Of a dataset its files by split: those of the configuration that was asked for, or of the default one.
    pub splits: Option<SplitPaths>,
    /// Of a model that is one GGUF file: the file.
    pub gguf: Option<PathBuf>,
}

/// A file that is read from its beginning, as far as it is read, and not kept.
pub struct Opened {
    /// As the repository calls it.
    pub name: String,
    /// Bytes of the whole, where they are known.
    pub size: Option<u64>,
    /// Its bytes.
    pub reader: Box<dyn Read>,
}

/// Access to the Hub. Clones share what was found out: a Hub that cannot be reached is tried once.
#[derive(Debug, Clone)]
pub struct Hub {
    settings: Settings,
    patience: Patience,
    client: Arc<OnceLock<Client>>,
    /// Why the Hub cannot be reached, once that has shown.
    unreachable: Arc<OnceLock<String>>,
}

impl Hub {
    /// Access as the environment variables of `huggingface_hub` say.
    pub fn from_env() -> Self {
        Self::with(Settings::from_env(), Patience::default())
    }

    /// The same without network.
    pub fn offline_from_env() -> Self {
        let settings = Settings {
            offline: true,
            ..Settings::from_env()
        };
        Self::with(settings, Patience::default())
    }

    /// Access to a server of one's own, for tests.
    pub fn new(endpoint: String, cache: PathBuf, token: Option<String>, offline: bool) -> Self {
        let settings = Settings {
            endpoint,
            cache,
            token: token.and_then(|token| Token::new(&token)),
            offline,
            certificates: None,
        };
        Self::with(settings, Patience::default())
    }

    fn with(settings: Settings, patience: Patience) -> Self {
        Self {
            settings,
            patience,
            client: Arc::default(),
            unreachable: Arc::default(),
        }
    }

    /// The commit that a revision stands for: the Hub is asked; where it cannot be, the cache folder is.
    ///
    /// # Errors
    /// When neither knows.
    pub fn commit(&self, role: Role, name: &HubName) -> Result<String, DataError> {
        check(role, name)?;
        if is_commit(&name.revision) {
            return Ok(name.revision.clone());
        }
        if let Some(info) = self.ask(role, name, false, &mut Silent)? {
            return Ok(info.sha);
        }
        self.folders(role, name)
            .commit(&name.revision)
            .ok_or_else(|| self.absent(asked(role, name), &self.why_not()))
    }

    /// Downloads the files that dpx reads and that are not in the cache folder yet. Where all files of a commit were
    /// fetched before, the Hub is not asked.
    ///
    /// # Errors
    /// When the Hub refuses, a download fails or has the wrong size or digest, the files are not those of a model or
    /// dataset, or, without network, the cache folder lacks them.
    pub fn fetch(
        &self,
        role: Role,
        name: &HubName,
        progress: &mut dyn Progress,
    ) -> Result<Snapshot, DataError> {
        check(role, name)?;
        let folders = self.folders(role, name);
        if is_commit(&name.revision)
            && let Some(snapshot) = fetched(&folders, role, name)
        {
            return Ok(snapshot);
        }
        let Some(info) = self.ask(role, name, true, progress)? else {
            return self.cached(&folders, role, name);
        };
        let download = self.download(&folders, role, name, &info.sha)?;
        let folder = folders.snapshot(&info.sha);
        let names = info.names();
        let find = |name: &str| info.file(name);
        let unfit = |problem: String| unfit(role, name, &problem);
        // The card of a dataset tells which files belong to a configuration.
        let mut readme = None;
        if let (Role::Dataset, Some(file)) = (role, find(files::README)) {
            if file
                .stated_size()
                .is_some_and(|size| size > crate::card::MAX_README)
            {
                return Err(unfit(format!("its {} is too long", files::README)));
            }
            download.file(file, progress)?;
            readme = files::readme(&folder).map_err(unfit)?;
        }
        let wanted = files::wanted(role, &names, readme.as_deref(), name.config.as_deref());
        let wanted = wanted.map_err(unfit)?;
        let mut list = Vec::new();
        for file in wanted.names.iter().filter_map(|name| find(name)) {
            list.push((file.name.clone(), download.file(file, progress)?));
        }
        self.remember(role, name, &info.sha)?;
        folders
            .remember_files(&info.sha, name.config.as_deref(), list)
            .map_err(|error| DataError::file(&self.settings.cache, error))?;
        Ok(snapshot(&folders, info.sha, wanted))
    }

    /// Downloads one file of a repository, such as `config.json`, before anything is decided about the others; none where
    /// the repository does not have it.
    ///
    /// # Errors
    /// As those of [`Hub::fetch`].
    pub fn file(
        &self,
        role: Role,
        name: &HubName,
        file: &str,
        progress: &mut dyn Progress,
    ) -> Result<Option<PathBuf>, DataError> {
        check(role, name)?;
        let folders = self.folders(role, name);
        // A file of a commit never changes.
        let here = folders.snapshot(&name.revision).join(file);
        if is_commit(&name.revision) {
            if here.is_file() {
                return Ok(Some(here));
            }
            // All of it is here, and this is no part of it.
            if fetched(&folders, role, name).is_some() {
                return Ok(None);
            }
        }
        let Some(info) = self.ask(role, name, true, progress)? else {
            let commit = self.known_commit(&folders, role, name)?;
            let path = folders.snapshot(&commit).join(file);
            return Ok(path.is_file().then_some(path));
        };
        let Some(found) = info.file(file) else {
            return Ok(None);
        };
        let download = self.download(&folders, role, name, &info.sha)?;
        download.file(found, progress)?;
        Ok(Some(folders.snapshot(&info.sha).join(file)))
    }

    /// Begins to read the GGUF file of a model, before anything is decided about it; none where the model is none, or where neither
    /// this machine nor the Hub has it.
    ///
    /// # Errors
    /// As those of [`Hub::fetch`], and where there are several such files and none is named.
    pub fn gguf(
        &self,
        name: &HubName,
        progress: &mut dyn Progress,
    ) -> Result<Option<Opened>, DataError> {
        let role = Role::Model;
        check(role, name)?;
        let folders = self.folders(role, name);
        let here = |commit: &str, file: &str| {
            let path = folders.snapshot(commit).join(file);
            let reader = std::fs::File::open(path).ok()?;
            Some(Opened {
                name: file.to_owned(),
                size: Some(reader.metadata().ok()?.len()),
                reader: Box::new(BufReader::new(reader)),
            })
        };
        let known = |commit: &str, all: Option<Snapshot>| match all {
            Some(all) => {
                let file = all.gguf?.strip_prefix(&all.folder).ok()?.to_owned();
                here(commit, file.to_str()?)
            }
            None => here(commit, name.config.as_deref()?),
        };
        if is_commit(&name.revision) {
            let all = fetched(&folders, role, name);
            let all_here = all.is_some();
            let found = known(&name.revision, all);
            if found.is_some() || all_here {
                return Ok(found);
            }
        }
        let Some(info) = self.ask(role, name, true, progress)? else {
            let commit = self.known_commit(&folders, role, name)?;
            return Ok(known(&commit, fetched(&folders, role, &name.at(&commit))));
        };
        let names = info.names();
        let wanted = files::wanted(role, &names, None, name.config.as_deref())
            .map_err(|problem| unfit(role, name, &problem))?;
        let file = wanted.gguf.and_then(|file| info.file(&file));
        let Some(file) = file else { return Ok(None) };
        if let Some(found) = here(&info.sha, &file.name)
            && file
                .stated_size()
                .is_none_or(|size| found.size == Some(size))
        {
            return Ok(Some(found));
        }
        let download = self.download(&folders, role, name, &info.sha)?;
        download.open(file, progress).map(Some)
    }

    /// Writes down which commit a branch or tag stands for, as `huggingface_hub` does: what is asked where there is no
    /// network.
    ///
    /// # Errors
    /// When the cache folder cannot be written.
    pub fn remember(&self, role: Role, name: &HubName, commit: &str) -> Result<(), DataError> {
        if is_commit(&name.revision) {
            return Ok(());
        }
        self.folders(role, name)
            .remember(&name.revision, commit)
            .map_err(|error| DataError::file(&self.settings.cache, error))
    }

    /// What the Hub says; nothing where it cannot be asked.
    fn ask(
        &self,
        role: Role,
        name: &HubName,
        files: bool,
        progress: &mut dyn Progress,
    ) -> Result<Option<Info>, DataError> {
        if self.settings.offline || self.unreachable.get().is_some() {
            return Ok(None);
        }
        let kind = if role == Role::Model {
            "models"
        } else {
            "datasets"
        };
        let url = format!(
            "{}/api/{kind}/{}/revision/{}{}",
            self.settings.endpoint,
            name.repository,
            encode(&name.revision, false),
            if files { "?blobs=true" } else { "" }
        );
        let asked = asked(role, name);
        let mut waiting = |why: &str, pause| progress.waiting(&asked.what(), why, pause);
        let answer = self.client()?.get(&url, None, &mut waiting);
        let mut reply = match answer {
            Ok(reply) => reply,
            Err(Failure::Unreachable(why)) => {
                // Another thread may have found the same.
                drop(self.unreachable.set(why));
                return Ok(None);
            }
            Err(failure) => return Err(Self::failed(&failure, asked)),
        };
        if reply.status != 200 {
            return Err(self.refused(&reply, asked));
        }
        let body = reply.body.with_config().limit(info::MAX_ANSWER);
        let bytes = body.read_to_vec().map_err(|error| error.to_string());
        let info = bytes.and_then(|bytes| info::read(&bytes));
        info.map(Some).map_err(|problem| {
            DataError::other(format!(
                "{}: {} gave an answer that is not the Hub's ({problem}): check HF_ENDPOINT",
                asked.what(),
                self.settings.endpoint
            ))
        })
    }

    fn client(&self) -> Result<&Client, DataError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::new(&self.settings, self.patience).map_err(DataError::other)?;
        Ok(self.client.get_or_init(|| client))
    }

    fn download<'a>(
        &'a self,
        folders: &'a Folders,
        role: Role,
        name: &'a HubName,
        commit: &'a str,
    ) -> Result<Download<'a>, DataError> {
        Ok(Download {
            hub: self,
            client: self.client()?,
            folders,
            role,
            name,
            commit,
        })
    }

    fn folders(&self, role: Role, name: &HubName) -> Folders {
        Folders::new(&self.settings.cache, role, &name.repository)
    }

    fn known_commit(
        &self,
        folders: &Folders,
        role: Role,
        name: &HubName,
    ) -> Result<String, DataError> {
        if is_commit(&name.revision) {
            return Ok(name.revision.clone());
        }
        folders
            .commit(&name.revision)
            .ok_or_else(|| self.absent(asked(role, name), &self.why_not()))
    }

    /// What the cache folder holds, without network.
    fn cached(&self, folders: &Folders, role: Role, name: &HubName) -> Result<Snapshot, DataError> {
        let commit = self.known_commit(folders, role, name)?;
        if let Some(snapshot) = fetched(folders, role, &name.at(&commit)) {
            return Ok(snapshot);
        }
        files::present(role, &folders.snapshot(&commit), name.config.as_deref())
            .map(|wanted| snapshot(folders, commit, wanted))
            .ok_or_else(|| self.absent(asked(role, name), &self.why_not()))
    }

    /// Why the Hub is not asked.
    fn why_not(&self) -> String {
        match self.unreachable.get() {
            Some(why) => format!("{} cannot be reached ({why})", self.settings.endpoint),
            None => "HF_HUB_OFFLINE is set".to_owned(),
        }
    }
}

/// A commit all of whose files dpx fetched before.
fn fetched(folders: &Folders, role: Role, name: &HubName) -> Option<Snapshot> {
    let list = folders.fetched(&name.revision, name.config.as_deref())?;
    let names: Vec<&str> = list.files.iter().map(|(name, _)| name.as_str()).collect();
    let folder = folders.snapshot(&name.revision);
    let readme = files::readme(&folder).ok()?;
    let wanted = files::wanted(role, &names, readme.as_deref(), name.config.as_deref()).ok()?;
    Some(snapshot(folders, name.revision.clone(), wanted))
}

fn snapshot(folders: &Folders, commit: String, wanted: Wanted) -> Snapshot {
    let folder = folders.snapshot(&commit);
    Snapshot {
        splits: wanted.layout.map(|layout| layout.paths(&folder)),
        gguf: wanted.gguf.map(|file| folder.join(file)),
        folder,
        commit,
    }
}

fn unfit(role: Role, name: &HubName, problem: &str) -> DataError {
    DataError::other(format!("{}: {problem}", asked(role, name).what()))
}

const fn asked(role: Role, name: &HubName) -> Asked<'_> {
    Asked {
        role,
        name,
        file: None,
    }
}

fn check(role: Role, name: &HubName) -> Result<(), DataError> {
    let checked = if role.on_hub() {
        name.check(role)
    } else {
        Err(super::NameError::NotOnHub(role))
    };
    checked.map_err(|error| DataError::other(error.to_string()))
}

fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
