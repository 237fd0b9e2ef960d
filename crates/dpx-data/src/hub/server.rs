//! The Hugging Face Hub played by a local server, for tests: its routes, redirects, broken downloads and refusals.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Files are large from so many bytes on: they lie elsewhere and are stored under their SHA-256.
const LARGE: usize = 10_000;

/// What the server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// So many downloads of a large file end half-way.
    Interrupted(usize),
    /// A large file arrives shorter than announced.
    Short,
    /// A large file arrives with other bytes.
    Altered,
    /// Every request is refused.
    Status(u16),
    /// An answer that is not the Hub's.
    Page,
}

/// Bytes by name.
type Files = BTreeMap<String, Vec<u8>>;

/// What the server holds and how it behaves.
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
    /// Path and range of each request.
    pub(super) seen: Vec<String>,
}

/// A running server; it ends with the process.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// What `HF_ENDPOINT` is set to.
    pub(super) address: String,
    /// Shared with the server.
    pub(super) content: Arc<Mutex<Content>>,
}

impl Server {
    /// Starts a server without repositories.
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let content = Arc::new(Mutex::new(Content::default()));
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

    /// How many requests held a text.
    pub(super) fn count(&self, part: &str) -> usize {
        let content = self.content.lock().unwrap();
        let seen = content.seen.iter().filter(|line| line.contains(part));
        seen.count()
    }

    fn answer(&self, mut stream: TcpStream) {
        let Some(request) = Request::read(&stream) else {
            return;
        };
        let mut content = self.content.lock().unwrap();
        let range = request.range.as_deref().unwrap_or("");
        content.seen.push(format!("{} {range}", request.path));
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

struct Request {
    path: String,
    range: Option<String>,
    authorization: Option<String>,
}

impl Request {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
        let first = lines.next()?.ok()?;
        let mut request = Self {
            path: first.split(' ').nth(1)?.to_owned(),
            range: None,
            authorization: None,
        };
        for line in lines {
            let line = line.ok()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            match name.to_lowercase().as_str() {
                "range" => request.range = Some(value.trim().replace("bytes=", "")),
                "authorization" => request.authorization = Some(value.trim().to_owned()),
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
    fn answer(&mut self, request: &Request, here: &str) -> Answer {
        let path = request.path.split('?').next().unwrap_or("");
        let elsewhere = path.strip_prefix("/cdn");
        match self.fault {
            Fault::Status(status) => return Answer::empty(format!("{status} Refused")),
            Fault::Page => {
                return Answer::new(
                    "200 OK",
                    "",
                    b"<html>welcome to this network</html>".to_vec(),
                );
            }
            _ => {}
        }
        let wanted = self.token.as_ref().map(|token| format!("Bearer {token}"));
        if elsewhere.is_none() && wanted.is_some() && request.authorization != wanted {
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
                if with_sizes {
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

    fn file(
        &mut self,
        path: &str,
        elsewhere: bool,
        request: &Request,
        here: &str,
    ) -> Option<Answer> {
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
            let headers = format!(
                "Location: {here}/cdn{path}\r\nX-Linked-Etag: \"{etag}\"\r\nX-Repo-Commit: {commit}\r\n"
            );
            return Some(Answer::new("302 Found", headers, Vec::new()));
        }
        let total = bytes.len();
        let (from, to) = request
            .range
            .as_deref()
            .and_then(|range| range.split_once('-'))
            .unwrap_or(("0", ""));
        let from = from.parse().unwrap_or(0).min(total);
        let to = to.parse().map_or(total, |to: usize| (to + 1).min(total));
        if self.fault == Fault::Altered && large {
            bytes[total / 2] ^= 1;
        }
        let headers = format!(
            "ETag: \"{etag}\"\r\nX-Repo-Commit: {commit}\r\nContent-Range: bytes {from}-{}/{total}\r\n",
            to.saturating_sub(1)
        );
        let part = bytes[from..to.max(from)].to_vec();
        let mut answer = Answer::new("206 Partial Content", headers, part);
        // One byte is asked for to learn of the size.
        if large && answer.length > 1 {
            let half = answer.length / 2;
            match &mut self.fault {
                Fault::Interrupted(times) if *times > 0 => {
                    *times -= 1;
                    answer.body.truncate(half);
                }
                Fault::Short => {
                    answer.body.truncate(half);
                    answer.length = half;
                }
                _ => {}
            }
        }
        Some(answer)
    }
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
