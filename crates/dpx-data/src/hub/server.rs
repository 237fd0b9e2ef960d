//! The Hugging Face Hub played by local servers, for tests: its routes, redirects, broken downloads and refusals; and the
//! host that large files lie on.
#![allow(
    dead_code,
    reason = "two crates of tests share this file, and each uses a part of it"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Files are large from so many bytes on: they lie elsewhere and are stored under their SHA-256.
const LARGE: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fault {
    #[default]
    None,
    /// So many downloads of a large file end half-way.
    Interrupted(usize),
    /// A large file is shorter than announced.
    Short,
    /// A large file arrives with other bytes.
    Altered,
    /// Every request is refused.
    Status(u16),
    /// So many requests are refused with a status, and with that for `Retry-After`.
    Busy(usize, u16, Option<&'static str>),
    /// An answer that is not the Hub's.
    Page,
    Gated,
    /// A part of a file that is asked for arrives as the whole.
    Whole,
    /// A part of a large file comes without saying which.
    Unlabelled,
    /// Large files arrive as the pointers that git has of them.
    Pointer,
    /// The host of large files sends back to the endpoint.
    Back,
    /// Addresses of large files have expired so many times.
    Expired(usize),
    /// Redirects without end.
    Loop,
}

/// Bytes by name.
type Files = BTreeMap<String, Vec<u8>>;

#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// `127.0.0.1:PORT`.
    pub(super) host: String,
    pub(super) path: String,
    /// Of `Range: bytes=100-` what follows `=`.
    pub(super) range: Option<String>,
    pub(super) if_range: Option<String>,
    pub(super) authorization: Option<String>,
}

/// What the servers hold and how they behave.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Commits by `models/OWNER/NAME` or `datasets/OWNER/NAME`; `main` is the first, and after it was asked for the last.
    pub(super) repositories: BTreeMap<String, Vec<(String, Files)>>,
    /// A name that leads to another, as `gpt2` does to `openai-community/gpt2`.
    pub(super) renamed: Option<(String, String)>,
    /// What goes wrong.
    pub(super) fault: Fault,
    /// The token that is asked for.
    pub(super) token: Option<String>,
    /// Whether files are listed without sizes and digests, as by a simple mirror.
    pub(super) bare: bool,
    /// git's digests of small files, by name.
    pub(super) blob_ids: BTreeMap<String, String>,
    /// Where large files lie: `http://127.0.0.1:PORT`; with the Hub itself where there is none.
    pub(super) elsewhere: Option<String>,
    pub(super) seen: Vec<Seen>,
}

/// A running server; it ends with the process.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// What `HF_ENDPOINT` is set to.
    pub(super) address: String,
    pub(super) content: Arc<Mutex<Content>>,
}

impl Server {
    /// Starts a server without repositories.
    pub(super) fn start() -> Self {
        Self::listen("127.0.0.1", Arc::default())
    }

    /// Starts a second host, on which large files lie from now on. Its requests are noted with the others.
    pub(super) fn with_second_host(&self) -> Self {
        let second = Self::listen("127.0.0.2", Arc::clone(&self.content));
        self.content.lock().unwrap().elsewhere = Some(second.address.clone());
        second
    }

    fn listen(host: &str, content: Arc<Mutex<Content>>) -> Self {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { address, content };
        let clone = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = clone.clone();
                std::thread::spawn(move || server.answer(stream));
            }
        });
        server
    }

    /// Adds a commit, which is a digit here, to a repository.
    pub(super) fn add(&self, repository: &str, commit: char, files: &[(&str, &[u8])]) {
        let files = files
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()));
        let commit = (commit.to_string().repeat(40), files.collect());
        let mut content = self.content.lock().unwrap();
        let commits = content.repositories.entry(repository.to_owned());
        commits.or_default().push(commit);
    }

    /// Sets what goes wrong from now on.
    pub(super) fn fault(&self, fault: Fault) {
        self.content.lock().unwrap().fault = fault;
    }

    /// How many requests held a text, in their paths with the ranges behind.
    pub(super) fn count(&self, part: &str) -> usize {
        let content = self.content.lock().unwrap();
        let line = |seen: &Seen| format!("{} {}", seen.path, seen.range.as_deref().unwrap_or(""));
        let seen = content.seen.iter().filter(|seen| line(seen).contains(part));
        seen.count()
    }

    /// The requests that this server had, rather than another host that shares its content.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let content = self.content.lock().unwrap();
        let own = |seen: &&Seen| self.address.ends_with(&seen.host);
        content.seen.iter().filter(own).cloned().collect()
    }

    fn answer(&self, mut stream: TcpStream) {
        let Some(mut request) = Seen::read(&stream) else {
            return;
        };
        self.address["http://".len()..].clone_into(&mut request.host);
        let mut content = self.content.lock().unwrap();
        content.seen.push(request.clone());
        let answer = content.answer(&request, &self.address);
        drop(content);
        let head = format!(
            "HTTP/1.1 {}\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n",
            answer.status, answer.length, answer.headers
        );
        drop(stream.write_all(head.as_bytes()));
        drop(stream.write_all(&answer.body));
    }
}

impl Seen {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
        let first = lines.next()?.ok()?;
        let mut request = Self {
            path: first.split(' ').nth(1)?.to_owned(),
            ..Self::default()
        };
        for line in lines {
            let line = line.ok()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            let value = value.trim().to_owned();
            match name.to_lowercase().as_str() {
                "range" => request.range = Some(value.replace("bytes=", "")),
                "if-range" => request.if_range = Some(value),
                "authorization" => request.authorization = Some(value),
                _ => {}
            }
        }
        Some(request)
    }
}

struct Answer {
    status: String,
    headers: String,
    body: Vec<u8>,
    length: usize,
}

impl Answer {
    fn new(status: impl Into<String>, headers: impl Into<String>, body: Vec<u8>) -> Self {
        Self {
            status: status.into(),
            headers: headers.into(),
            length: body.len(),
            body,
        }
    }

    fn empty(status: impl Into<String>) -> Self {
        Self::new(status, "", Vec::new())
    }
}

impl Content {
    fn answer(&mut self, request: &Seen, here: &str) -> Answer {
        let decoded = decode(request.path.split('?').next().unwrap_or(""));
        let path = decoded.as_str();
        let elsewhere = path.strip_prefix("/cdn");
        match &mut self.fault {
            Fault::Status(status) => return Answer::empty(format!("{status} Refused")),
            Fault::Busy(times, status, after) if *times > 0 => {
                *times -= 1;
                let headers =
                    after.map_or_else(String::new, |after| format!("Retry-After: {after}\r\n"));
                return Answer::new(format!("{status} Busy"), headers, Vec::new());
            }
            Fault::Gated => {
                return Answer::new("403 Forbidden", "X-Error-Code: GatedRepo\r\n", Vec::new());
            }
            Fault::Loop => {
                let headers = format!("Location: {}\r\n", request.path);
                return Answer::new("302 Found", headers, Vec::new());
            }
            Fault::Page => {
                return Answer::new(
                    "200 OK",
                    "",
                    b"<html>welcome to this network</html>".to_vec(),
                );
            }
            _ => {}
        }
        // As a store of objects with signed addresses: two ways of authorization at once are refused.
        if self.elsewhere.as_deref() == Some(here) && request.authorization.is_some() {
            return Answer::empty("400 Bad Request");
        }
        if let Fault::Expired(times) = &mut self.fault
            && elsewhere.is_some()
            && *times > 0
        {
            *times -= 1;
            return Answer::empty("403 Forbidden");
        }
        if self.fault == Fault::Back && self.elsewhere.as_deref() == Some(here) {
            let hub = self.seen[0].host.clone();
            let headers = format!("Location: http://{hub}{}\r\n", request.path);
            return Answer::new("302 Found", headers, Vec::new());
        }
        let wanted = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let open = elsewhere.is_some() && self.fault != Fault::Back;
        if !open && wanted.is_some() && request.authorization != wanted {
            return Answer::empty("401 Unauthorized");
        }
        if let Some((old, new)) = &self.renamed
            && path.contains(old.as_str())
        {
            let place = request.path.replace(old.as_str(), new);
            return Answer::new("307 Moved", format!("Location: {place}\r\n"), Vec::new());
        }
        if let Some(rest) = path.strip_prefix("/api/") {
            let with_sizes = request.path.ends_with("?blobs=true");
            return self
                .info(rest, with_sizes)
                .unwrap_or_else(|| Answer::empty("404 Not Found"));
        }
        self.file(
            elsewhere.unwrap_or(path),
            elsewhere.is_some(),
            request,
            here,
        )
        .unwrap_or_else(|| Answer::empty("404 Not Found"))
    }

    fn info(&mut self, path: &str, with_sizes: bool) -> Option<Answer> {
        let (repository, revision) = path.split_once("/revision/")?;
        let commits = self.repositories.get_mut(repository)?;
        let at = if revision == "main" {
            0
        } else {
            commits.iter().position(|(commit, _)| commit == revision)?
        };
        let (commit, files) = commits[at].clone();
        if revision == "main" && commits.len() > 1 {
            commits.rotate_left(1);
        }
        let files: Vec<serde_json::Value> = files
            .iter()
            .map(|(name, bytes)| {
                let mut file = serde_json::json!({"rfilename": name});
                if let Some(id) = self.blob_ids.get(name).filter(|_| with_sizes) {
                    file["blobId"] = id.as_str().into();
                }
                if with_sizes && !self.bare {
                    file["size"] = bytes.len().into();
                    if bytes.len() >= LARGE {
                        file["lfs"] =
                            serde_json::json!({"sha256": digest(bytes), "size": bytes.len()});
                    }
                }
                file
            })
            .collect();
        let body = serde_json::json!({"sha": commit, "siblings": files}).to_string();
        let headers = "Content-Type: application/json\r\n";
        Some(Answer::new("200 OK", headers, body.into_bytes()))
    }

    fn file(&mut self, path: &str, elsewhere: bool, request: &Seen, here: &str) -> Option<Answer> {
        let (repository, rest) = path.strip_prefix('/')?.split_once("/resolve/")?;
        let repository = if repository.starts_with("datasets/") {
            repository.to_owned()
        } else {
            format!("models/{repository}")
        };
        let (commit, name) = rest.split_once('/')?;
        let commits = self.repositories.get(&repository)?;
        let (_, files) = commits.iter().find(|(known, _)| known == commit)?;
        let mut bytes = files.get(name)?.clone();
        let large = bytes.len() >= LARGE;
        let etag = if large {
            digest(&bytes)
        } else {
            format!("etag-{commit}-{}", name.replace('/', "-"))
        };
        if large && !elsewhere {
            let host = self.elsewhere.as_deref().unwrap_or(here);
            let path = request.path.split('?').next().unwrap_or("");
            let headers = format!(
                "Location: {host}/cdn{path}?Signature=abc\r\nX-Linked-Etag: \"{etag}\"\r\nX-Repo-Commit: {commit}\r\n"
            );
            return Some(Answer::new("302 Found", headers, Vec::new()));
        }
        match self.fault {
            Fault::Altered if large => bytes[0] ^= 1,
            Fault::Short if large => bytes.truncate(bytes.len() / 2),
            Fault::Pointer if large => {
                let (digest, size) = (digest(&bytes), bytes.len());
                bytes = format!(
                    "version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {size}\n"
                )
                .into_bytes();
            }
            _ => {}
        }
        let total = bytes.len();
        let headers = format!("ETag: \"{etag}\"\r\nX-Repo-Commit: {commit}\r\n");
        let same = request
            .if_range
            .as_ref()
            .is_none_or(|tag| tag.trim_matches('"') == etag);
        let range = request
            .range
            .as_deref()
            .filter(|_| same && self.fault != Fault::Whole);
        let mut answer = match range.and_then(|range| range.split_once('-')) {
            None => Answer::new("200 OK", headers, bytes),
            Some((from, _)) => {
                let from: usize = from.parse().ok()?;
                if from >= total {
                    let headers = format!("Content-Range: bytes */{total}\r\n");
                    return Some(Answer::new(
                        "416 Range Not Satisfiable",
                        headers,
                        Vec::new(),
                    ));
                }
                let range = format!("Content-Range: bytes {from}-{}/{total}\r\n", total - 1);
                let range = if self.fault == Fault::Unlabelled {
                    ""
                } else {
                    &range
                };
                Answer::new(
                    "206 Partial Content",
                    format!("{headers}{range}"),
                    bytes[from..].to_vec(),
                )
            }
        };
        if large
            && let Fault::Interrupted(times) = &mut self.fault
            && *times > 0
        {
            *times -= 1;
            answer.body.truncate(answer.length / 2);
        }
        Some(answer)
    }
}

/// A path without its percent signs.
fn decode(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let two: Option<Vec<u8>> = (byte == b'%').then(|| rest.by_ref().take(2).collect());
        let digits = two.and_then(|two| String::from_utf8(two).ok());
        let decoded = digits.and_then(|digits| u8::from_str_radix(&digits, 16).ok());
        bytes.push(decoded.unwrap_or(byte));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The SHA-256 in hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    use std::fmt::Write;
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
