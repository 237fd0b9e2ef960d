//! One file of a repository: downloaded, resumed, and checked before it is believed.

use super::address::encode;
use super::cache::Folders;
use super::digest::Stated;
use super::http::{Client, Failure, Range, Reply, of_io, text};
use super::info::File;
use super::refusal::{Asked, written};
use super::sink::Sink;
use super::{DataError, Hub, HubName, Opened, Progress, Role};
use crate::read::POINTER;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// Bytes read and written at a time.
pub(super) const PIECE: usize = 256 << 10;
/// A connection that breaks after so many bytes has brought the download on: it is not counted as a failure.
const PROGRESS: u64 = 1 << 20;
/// Longest file of which no size is stated, in bytes.
const MAX_UNSTATED: u64 = 16 << 30;

/// Downloads files of one repository at one commit.
pub(super) struct Download<'a> {
    pub(super) hub: &'a Hub,
    pub(super) client: &'a Client,
    pub(super) folders: &'a Folders,
    pub(super) role: Role,
    pub(super) name: &'a HubName,
    pub(super) commit: &'a str,
}

/// A file that arrived whole, as far as its length tells.
struct Arrived {
    size: u64,
    /// What its content should be and what it is, where the former is stated.
    digest: Option<(Stated, String)>,
    /// The name under which the server keeps it.
    etag: Option<String>,
    /// Whether its beginning was there from an earlier attempt.
    resumed: bool,
}

impl Download<'_> {
    /// Makes sure that a file is there, of the size and with the digest that the Hub states. Gives its size in bytes.
    pub(super) fn file(&self, file: &File, progress: &mut dyn Progress) -> Result<u64, DataError> {
        let path = self.folders.snapshot(self.commit).join(&file.name);
        let is_whole = || -> Option<u64> {
            let found = std::fs::metadata(&path).ok()?;
            let fits = file.stated_size().is_none_or(|size| size == found.len());
            (found.is_file() && fits).then_some(found.len())
        };
        if let Some(size) = is_whole() {
            return Ok(size);
        }
        let stated = file.stated();
        let key = match &stated {
            Some(stated) => stated.digits().to_owned(),
            None => self.fallback_key(&file.name),
        };
        let on_disk = |error| DataError::file(&path, format!("could not be written: {error}"));
        let mut blocked = || progress.blocked(&file.name);
        let _lock = self.folders.lock(&key, &mut blocked).map_err(on_disk)?;
        // Another process may have brought it meanwhile.
        if let Some(size) = is_whole() {
            return Ok(size);
        }
        // Cut short by a full disk or a crash of whoever wrote it.
        self.folders.remove(self.commit, &file.name);
        let blob = self.folders.blob(&key);
        let known = std::fs::metadata(&blob).ok().filter(|found| {
            stated.is_some() && file.stated_size() == Some(found.len()) && found.is_file()
        });
        if let Some(known) = known {
            self.folders
                .link(self.commit, &file.name, &key)
                .map_err(on_disk)?;
            return Ok(known.len());
        }
        let part = self.folders.part(&key);
        if let Some(folder) = part.parent() {
            std::fs::create_dir_all(folder).map_err(on_disk)?;
        }
        let arrived = match self.checked(file, &part, stated.as_ref(), progress) {
            // What was there before was the beginning of something else: once more, from the first byte on.
            Err((_, true)) => self.checked(file, &part, stated.as_ref(), progress),
            other => other,
        }
        .map_err(|(error, _)| error)?;
        let key = match (arrived.digest, stated, arrived.etag) {
            (Some((stated, _)), _, _) => stated.digits().to_owned(),
            (None, None, Some(etag)) => etag,
            _ => key,
        };
        std::fs::rename(&part, self.folders.blob(&key)).map_err(on_disk)?;
        self.folders
            .link(self.commit, &file.name, &key)
            .map_err(on_disk)?;
        Ok(arrived.size)
    }

    /// Begins to read a file, of which nothing is kept and nothing is checked.
    pub(super) fn open(
        &self,
        file: &File,
        progress: &mut dyn Progress,
    ) -> Result<Opened, DataError> {
        let asked = self.asked(&file.name);
        let mut waiting = |why: &str, pause: Duration| progress.waiting(&file.name, why, pause);
        let reply = self
            .client
            .get(&self.url(&file.name), None, &mut waiting)
            .map_err(|failure| Hub::failed(&failure, asked))?;
        if reply.status != 200 {
            return Err(self.hub.refused(&reply, asked));
        }
        Ok(Opened {
            name: file.name.clone(),
            size: file.stated_size().or_else(|| content_length(&reply)),
            reader: Box::new(reply.body.into_reader()),
        })
    }

    /// Downloads a file and compares it with what is stated; one that differs is removed, so that it is not taken for
    /// whole the next time. An error comes with whether an earlier attempt's bytes were part of the file.
    fn checked(
        &self,
        file: &File,
        part: &Path,
        stated: Option<&Stated>,
        progress: &mut dyn Progress,
    ) -> Result<Arrived, (DataError, bool)> {
        let arrived = self
            .transfer(file, part, stated, progress)
            .map_err(|error| (error, false))?;
        let problem = if let Some(problem) = self.is_pointer(part, arrived.size) {
            problem
        } else {
            match &arrived.digest {
                Some((stated, found)) if found != stated.digits() => format!(
                    "arrived with the {what} {found}, the Hub states {}: it was removed; try again",
                    stated.digits(),
                    what = stated.what(),
                ),
                _ => return Ok(arrived),
            }
        };
        drop(std::fs::remove_file(part));
        Err((self.problem(file, &problem), arrived.resumed))
    }

    /// A server without the Hub's storage of large files gives their pointers.
    fn is_pointer(&self, part: &Path, size: u64) -> Option<String> {
        let mut start = [0; POINTER.len()];
        let is_one = size < 1024
            && std::fs::File::open(part)
                .and_then(|mut file| file.read_exact(&mut start))
                .is_ok()
            && start == POINTER;
        is_one.then(|| {
            format!(
                "arrived as a Git LFS pointer instead of the file itself, since {} does not serve large files: it was removed; set HF_ENDPOINT to a server that does",
                self.hub.settings.endpoint
            )
        })
    }

    /// Brings all bytes of a file, going on where an attempt broke off.
    fn transfer(
        &self,
        file: &File,
        part: &Path,
        stated: Option<&Stated>,
        progress: &mut dyn Progress,
    ) -> Result<Arrived, DataError> {
        let asked = self.asked(&file.name);
        let mut sink = Sink::open(part, stated.cloned(), file.stated_size())?;
        let resumed = sink.size() > 0;
        let (mut etag, mut strong) = (None, None);
        let (mut failures, mut restarts) = (0, 0);
        let mut total = file.stated_size();
        while sink.size() == 0 || total != Some(sink.size()) {
            // Nothing would tell whether the parts belong together.
            if sink.size() > 0 && !sink.is_checked() && strong.is_none() {
                sink.restart()?;
            }
            let range = (sink.size() > 0).then(|| Range {
                from: sink.size(),
                if_range: strong.clone(),
            });
            let mut waiting = |why: &str, pause: Duration| progress.waiting(&file.name, why, pause);
            let mut reply = self
                .client
                .get(&self.url(&file.name), range.as_ref(), &mut waiting)
                .map_err(|failure| Hub::failed(&failure, asked))?;
            let (from, whole) = match reply.status {
                200 => (0, content_length(&reply)),
                206 => content_range(&reply).unwrap_or((u64::MAX, None)),
                // More is there than the server has: it is not the beginning of this file.
                416 if sink.size() > 0 && restarts == 0 => (u64::MAX, None),
                // The address that the endpoint gave has expired meanwhile: a new one is asked for.
                403 if !reply.from_endpoint && restarts == 0 => {
                    restarts += 1;
                    continue;
                }
                _ => return Err(self.hub.refused(&reply, asked)),
            };
            if text(&reply.headers, "Content-Encoding").is_some_and(|coding| coding != "identity") {
                return Err(self.problem(file, "arrived encoded, though it was asked for as it is"));
            }
            let other = from > 0 && !sink.is_checked() && strong_tag(&reply) != strong;
            if other || from == u64::MAX || (from != 0 && from != sink.size()) {
                restarts += 1;
                if restarts > 2 {
                    return Err(self.problem(file, "arrives in parts that do not fit together"));
                }
                sink.restart()?;
                continue;
            }
            if from == 0 && sink.size() > 0 {
                sink.restart()?;
            }
            if let (Some(whole), Some(stated)) = (whole, file.stated_size())
                && whole != stated
            {
                drop(std::fs::remove_file(part));
                return Err(self.problem(
                    file,
                    &format!("arrived with {whole} bytes, the Hub announced {stated}: it was removed; try again"),
                ));
            }
            let before = sink.size();
            total = file.stated_size().or(whole);
            sink.expect(total, answered_digest(&reply));
            etag = etag.or_else(|| stored_name(&reply));
            strong = strong_tag(&reply);
            let broke = match self.read(&mut reply, &mut sink, total, file, progress) {
                Ok(()) if total.is_none_or(|total| total == sink.size()) => break,
                Ok(()) => Failure::Broken(format!("{} ended it early", reply.origin)),
                Err(Stopped::Failure(failure)) => failure,
                Err(Stopped::Error(error)) => return Err(error),
            };
            let arrived = sink.size() - before;
            failures = if arrived >= PROGRESS { 1 } else { failures + 1 };
            let last = failures >= self.client.patience.attempts;
            if last || matches!(broke, Failure::Unusable(_)) {
                sink.flush()?;
                return Err(Hub::failed(&broke, asked));
            }
            if arrived == 0 {
                let pause = self.client.patience.after(failures);
                let (Failure::Unreachable(why) | Failure::Broken(why) | Failure::Unusable(why)) =
                    &broke;
                progress.waiting(&file.name, why, pause);
                std::thread::sleep(pause);
            }
        }
        sink.flush()?;
        let size = sink.size();
        Ok(Arrived {
            size,
            digest: sink.finish(),
            etag,
            resumed,
        })
    }

    /// Reads an answer to its end into the part of the file that is there; more than was announced is an error.
    fn read(
        &self,
        reply: &mut Reply,
        sink: &mut Sink,
        total: Option<u64>,
        file: &File,
        progress: &mut dyn Progress,
    ) -> Result<(), Stopped> {
        let host = reply.origin.host();
        let mut reader = reply.body.as_reader();
        let mut piece = vec![0; PIECE];
        loop {
            let read = match reader.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) => {
                    let failure = match of_io(&error, &host) {
                        // In the middle of an answer no error says that the host cannot be reached.
                        Failure::Unreachable(why) => Failure::Broken(why),
                        failure => failure,
                    };
                    return Err(Stopped::Failure(failure));
                }
            };
            let limit = total.unwrap_or(MAX_UNSTATED);
            if sink.size() + read as u64 > limit {
                drop(std::fs::remove_file(sink.path()));
                let problem = match total {
                    Some(_) => format!(
                        "arrives with more than the {limit} bytes that were announced: it was removed"
                    ),
                    None => format!(
                        "arrives without its size and is longer than {limit} bytes: it was removed"
                    ),
                };
                return Err(Stopped::Error(self.problem(file, &problem)));
            }
            sink.write(&piece[..read]).map_err(Stopped::Error)?;
            progress.update(&file.name, sink.size(), total.unwrap_or(sink.size()));
        }
    }

    fn url(&self, file: &str) -> String {
        let folder = if self.role == Role::Model {
            ""
        } else {
            "datasets/"
        };
        format!(
            "{}/{folder}{}/resolve/{}/{}",
            self.hub.settings.endpoint,
            self.name.repository,
            self.commit,
            encode(file, true)
        )
    }

    /// A name for a blob whose digest the Hub does not state.
    fn fallback_key(&self, file: &str) -> String {
        let text = format!("{}/{file}", self.commit);
        blake3::hash(text.as_bytes()).to_hex()[..40].to_owned()
    }

    fn asked<'a>(&'a self, file: &'a str) -> Asked<'a> {
        Asked {
            role: self.role,
            name: self.name,
            file: Some(file),
        }
    }

    fn problem(&self, file: &File, problem: &str) -> DataError {
        DataError::other(format!(
            "`{}` of `{}` {problem}",
            file.name,
            written(self.name)
        ))
    }
}

/// Why reading an answer stopped before its end.
enum Stopped {
    Failure(Failure),
    /// Anything else: this machine, or what was sent.
    Error(DataError),
}

/// The bytes of an answer, where it states them.
fn content_length(reply: &Reply) -> Option<u64> {
    text(&reply.headers, "Content-Length")?.parse().ok()
}

/// Where a part begins, and the length of the whole where it is stated.
fn content_range(reply: &Reply) -> Option<(u64, Option<u64>)> {
    let (part, whole) = text(&reply.headers, "Content-Range")?
        .strip_prefix("bytes ")?
        .split_once('/')?;
    let (from, _) = part.split_once('-')?;
    Some((from.trim().parse().ok()?, whole.trim().parse().ok()))
}

/// The entity tag, where equal tags mean equal bytes.
fn strong_tag(reply: &Reply) -> Option<String> {
    let tag = text(&reply.headers, "ETag")?;
    (tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"')).then(|| tag.to_owned())
}

/// The name under which the server keeps the file, where it can be the name of one here too.
fn stored_name(reply: &Reply) -> Option<String> {
    let tag = reply
        .linked_etag
        .as_deref()
        .or_else(|| text(&reply.headers, "ETag"))?;
    let name = tag.trim_start_matches("W/").trim_matches('"');
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    (!name.is_empty() && name.len() <= 128 && name.chars().all(allowed)).then(|| name.to_owned())
}

/// The digest in the endpoint's own answer, for servers that do not list any. Other servers' tags are digests of their own.
fn answered_digest(reply: &Reply) -> Option<Stated> {
    let own = reply.from_endpoint.then(|| text(&reply.headers, "ETag"));
    let tag = reply.linked_etag.as_deref().or_else(|| own.flatten())?;
    Stated::sha256(tag.trim_matches('"'))
}
