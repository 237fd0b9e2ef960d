//! The Hub played by a local server: its routes, redirects, broken downloads and refusals.

use super::*;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The first download of the large file ends half-way.
    Interrupted,
    /// The large file arrives shorter than announced.
    Short,
    Status(u16),
}

struct Server {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

fn large() -> Vec<u8> {
    (0..200_000_u32).map(|index| (index % 251) as u8).collect()
}

fn body(path: &str) -> Option<Vec<u8>> {
    match path {
        "config.json" => Some(b"{\"model_type\":\"gpt2\"}".to_vec()),
        "tokenizer.json" => Some(b"{}".to_vec()),
        "model.safetensors" => Some(large()),
        "split/train-00000-of-00001.jsonl" => Some(b"{\"text\":\"a\",\"label\":0}\n".to_vec()),
        _ => None,
    }
}

impl Server {
    fn start(fault: Fault, token: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, here) = (Arc::clone(&seen), address.clone());
        std::thread::spawn(move || {
            let mut broken = false;
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                answer(stream, &here, fault, token, &mut broken, &log);
            }
        });
        Self { address, seen }
    }

    fn hub(&self, cache: &Path, token: Option<&str>) -> Hub {
        Hub::new(
            self.address.clone(),
            cache.to_owned(),
            token.map(str::to_owned),
            false,
        )
    }

    fn count(&self, part: &str) -> usize {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .filter(|line| line.contains(part))
            .count()
    }
}

fn answer(
    mut stream: TcpStream,
    here: &str,
    fault: Fault,
    token: Option<&str>,
    broken: &mut bool,
    log: &Mutex<Vec<String>>,
) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(request)) = lines.next() else {
        return;
    };
    let mut range = None;
    let mut authorised = token.is_none();
    for line in lines.by_ref() {
        let line = line.unwrap_or_default();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or(("", ""));
        match name.to_lowercase().as_str() {
            "range" => range = Some(value.trim().trim_start_matches("bytes=").to_owned()),
            "authorization" => {
                authorised = token.is_none_or(|token| value.trim() == format!("Bearer {token}"));
            }
            _ => {}
        }
    }
    let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
    log.lock()
        .unwrap()
        .push(format!("{path} {}", range.as_deref().unwrap_or("")));
    let mut send = |status: &str, headers: &str, body: &[u8], length: usize| {
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n"
        );
        drop(stream.write_all(head.as_bytes()));
        drop(stream.write_all(body));
    };
    if let Fault::Status(status) = fault {
        return send(&format!("{status} Refused"), "", b"", 0);
    }
    if !authorised && !path.starts_with("/cdn/") {
        return send("401 Unauthorized", "", b"", 0);
    }
    if path == "/api/models/who/what/revision/main"
        || path == "/api/datasets/who/what/revision/main"
    {
        let names = [
            "config.json",
            "tokenizer.json",
            "model.safetensors",
            "README.md",
            "../evil.json",
            "pytorch_model.bin",
            "split/train-00000-of-00001.jsonl",
            "unsplit/train.jsonl",
        ];
        let files: Vec<String> = names
            .iter()
            .map(|name| format!("{{\"rfilename\":\"{name}\"}}"))
            .collect();
        let body = format!(
            "{{\"sha\":\"{COMMIT}\",\"siblings\":[{}]}}",
            files.join(",")
        );
        return send(
            "200 OK",
            "Content-Type: application/json\r\n",
            body.as_bytes(),
            body.len(),
        );
    }
    let Some(name) = path
        .strip_prefix(&format!("/who/what/resolve/{COMMIT}/"))
        .or_else(|| path.strip_prefix(&format!("/datasets/who/what/resolve/{COMMIT}/")))
        .or_else(|| path.strip_prefix("/cdn/"))
    else {
        return send("404 Not Found", "", b"", 0);
    };
    let Some(content) = body(name) else {
        return send("404 Not Found", "", b"", 0);
    };
    let etag = format!("\"etag-{}\"", name.replace('/', "-"));
    // Large files lie elsewhere, as on the Hub.
    if name == "model.safetensors" && !path.starts_with("/cdn/") {
        let headers = format!(
            "Location: {here}/cdn/{name}\r\nX-Linked-Etag: {etag}\r\nX-Repo-Commit: {COMMIT}\r\n"
        );
        return send("302 Found", &headers, b"", 0);
    }
    let (from, to) = range
        .as_deref()
        .and_then(|range| range.split_once('-'))
        .unwrap_or(("0", ""));
    let from: usize = from.parse().unwrap_or(0);
    let to: usize = to
        .parse()
        .map_or(content.len(), |to: usize| (to + 1).min(content.len()));
    let headers = format!(
        "ETag: {etag}\r\nX-Repo-Commit: {COMMIT}\r\nContent-Range: bytes {from}-{}/{}\r\n",
        to.saturating_sub(1),
        content.len()
    );
    let mut part = &content[from.min(to)..to];
    let mut length = part.len();
    if name == "model.safetensors" && length > 1 {
        if fault == Fault::Interrupted && !*broken {
            *broken = true;
            part = &part[..length / 2];
        } else if fault == Fault::Short {
            length /= 2;
            part = &part[..length];
        }
    }
    send("206 Partial Content", &headers, part, length);
}

fn fetch(hub: &Hub, role: Role) -> Result<Snapshot, DataError> {
    hub.fetch(role, "who/what", "main", &mut Silent)
}

#[test]
fn fetches_what_dpx_reads_once_and_then_works_offline() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(Fault::None, None);
    let hub = server.hub(cache.path(), None);
    assert_eq!(hub.commit(Role::Model, "who/what", "main").unwrap(), COMMIT);
    let snapshot = fetch(&hub, Role::Model).unwrap();
    assert_eq!(snapshot.commit, COMMIT);
    assert_eq!(
        std::fs::read(snapshot.folder.join("model.safetensors")).unwrap(),
        large()
    );
    assert!(snapshot.folder.join("tokenizer.json").exists());
    assert!(
        !snapshot.folder.join("pytorch_model.bin").exists()
            && !snapshot.folder.join("README.md").exists()
    );
    // The layout of the standard cache folder.
    let root = cache.path().join("models--who--what");
    assert_eq!(
        std::fs::read_to_string(root.join("refs/main")).unwrap(),
        COMMIT
    );
    assert!(root.join("blobs/etag-model.safetensors").is_file());
    assert_eq!(server.count("/cdn/"), 2);
    assert_eq!(fetch(&hub, Role::Model).unwrap(), snapshot);
    assert_eq!(server.count("/cdn/"), 2);
    let offline = Hub::new(
        "http://127.0.0.1:9".into(),
        cache.path().to_owned(),
        None,
        true,
    );
    assert_eq!(fetch(&offline, Role::Model).unwrap(), snapshot);
    assert_eq!(
        offline.commit(Role::Model, "who/what", "main").unwrap(),
        COMMIT
    );
    let unplugged = Hub::new(
        "http://127.0.0.1:9".into(),
        cache.path().to_owned(),
        None,
        false,
    );
    assert_eq!(fetch(&unplugged, Role::Model).unwrap(), snapshot);
}

#[test]
fn a_dataset_is_its_split_files() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(Fault::None, None);
    let snapshot = fetch(&server.hub(cache.path(), None), Role::Dataset).unwrap();
    assert!(
        snapshot
            .folder
            .join("split/train-00000-of-00001.jsonl")
            .exists()
    );
    assert!(
        !snapshot.folder.join("unsplit").exists() && !snapshot.folder.join("config.json").exists()
    );
}

#[test]
fn an_interrupted_download_goes_on_where_it_stopped() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(Fault::Interrupted, None);
    let snapshot = fetch(&server.hub(cache.path(), None), Role::Model).unwrap();
    assert_eq!(
        std::fs::read(snapshot.folder.join("model.safetensors")).unwrap(),
        large()
    );
    assert_eq!(server.count("/cdn/model.safetensors 100000-"), 1);
}

#[test]
fn a_file_of_the_wrong_size_is_removed_and_told() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(Fault::Short, None);
    let error = fetch(&server.hub(cache.path(), None), Role::Model)
        .unwrap_err()
        .to_string();
    assert!(error.contains("`model.safetensors` of `hf:who/what@main` arrived with 100000 bytes, the Hub announced 200000"), "{error}");
    let folder = cache
        .path()
        .join("models--who--what/snapshots")
        .join(COMMIT);
    assert!(!folder.join("model.safetensors").exists());
    assert!(
        !cache
            .path()
            .join("models--who--what/blobs/etag-model.safetensors")
            .exists()
    );
}

#[test]
fn refusals_say_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    let closed = Server::start(Fault::None, Some("sesame"));
    let error = fetch(&closed.hub(cache.path(), None), Role::Model)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the model `hf:who/what@main`: access denied")
            && error.contains("set HF_TOKEN"),
        "{error}"
    );
    let error = fetch(&closed.hub(cache.path(), Some("wrong")), Role::Model)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("HF_TOKEN may not read it") && !error.contains("wrong"),
        "{error}"
    );
    fetch(&closed.hub(cache.path(), Some("sesame")), Role::Model).unwrap();
    let missing = Server::start(Fault::Status(404), None);
    let error = fetch(&missing.hub(cache.path(), None), Role::Dataset)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the dataset `hf:who/what@main`: there is no such repository"),
        "{error}"
    );
    let broken = Server::start(Fault::Status(503), None);
    let error = fetch(&broken.hub(cache.path(), None), Role::Model)
        .unwrap_err()
        .to_string();
    assert!(error.contains("answered with status 503"), "{error}");
}

#[test]
fn without_network_the_error_says_what_where_and_how() {
    let cache = tempfile::tempdir().unwrap();
    for offline in [true, false] {
        let hub = Hub::new(
            "http://127.0.0.1:9".into(),
            cache.path().to_owned(),
            None,
            offline,
        );
        for error in [
            fetch(&hub, Role::Model).unwrap_err(),
            hub.commit(Role::Model, "who/what", "main").unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(
                error.contains("the model `hf:who/what@main` is not on this machine"),
                "{error}"
            );
            assert!(error.contains(&*cache.path().to_string_lossy()), "{error}");
            assert!(
                error.contains("dpx fetch")
                    && error.contains("HF_HOME")
                    && error.contains("HF_ENDPOINT"),
                "{error}"
            );
            assert_eq!(error.contains("HF_HUB_OFFLINE"), offline, "{error}");
        }
    }
}
