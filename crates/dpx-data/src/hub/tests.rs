//! The Hub as a local server plays it: pinned downloads, their checks, what is broken or refused, and no network at all.

use super::server::{Fault, Server};
use super::*;
use std::path::Path;

const COMMIT: &str = "1111111111111111111111111111111111111111";

fn large() -> Vec<u8> {
    (0..200_000_u32).map(|index| (index % 251) as u8).collect()
}

/// A server with a model and a dataset, each with what dpx does not read beside what it does.
fn server() -> Server {
    let server = Server::start();
    server.add(
        "models/who/what",
        '1',
        &[
            ("config.json", b"{\"model_type\":\"gpt2\"}"),
            ("tokenizer.json", b"{}"),
            ("model.safetensors", &large()),
            ("adapter.safetensors", b"other"),
            ("README.md", b"read me"),
            ("../evil.json", b"evil"),
            ("pytorch_model.bin", b"pickle"),
        ],
    );
    server.add(
        "datasets/who/what",
        '1',
        &[
            (
                "split/train-00000-of-00001.jsonl",
                b"{\"text\":\"a\",\"label\":0}\n",
            ),
            ("unsplit/train.jsonl", b"{}"),
            ("README.md", b"read me"),
        ],
    );
    server
}

const PATIENCE: Patience = Patience {
    attempts: 4,
    pause: Duration::from_millis(5),
    longest: Duration::from_secs(5),
};

fn hub(server: &Server, cache: &Path, token: Option<&str>) -> Hub {
    let settings = Settings {
        endpoint: server.address.clone(),
        cache: cache.to_owned(),
        token: token.and_then(Token::new),
        offline: false,
        certificates: None,
    };
    Hub::with(settings, PATIENCE)
}

fn name(text: &str) -> HubName {
    HubName::parse(text)
}

fn unplugged(cache: &Path, offline: bool) -> Hub {
    Hub::new("http://127.0.0.1:9".into(), cache.to_owned(), None, offline)
}

fn fetch(hub: &Hub, role: Role) -> Result<Snapshot, DataError> {
    hub.fetch(role, &name("who/what"), &mut Silent)
}

fn refusal(hub: &Hub, role: Role) -> String {
    fetch(hub, role).unwrap_err().to_string()
}

/// What is left of the large file, as link and as blob.
fn left(cache: &Path) -> (bool, bool) {
    let root = cache.join("models--who--what");
    let link = root
        .join("snapshots")
        .join(COMMIT)
        .join("model.safetensors");
    let blob = root.join("blobs").join(server::digest(&large()));
    (link.exists(), blob.exists())
}

#[test]
fn fetches_what_dpx_reads_once_and_then_works_offline() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    let hub = hub(&server, cache.path(), None);
    assert_eq!(hub.commit(Role::Model, &name("who/what")).unwrap(), COMMIT);
    let snapshot = fetch(&hub, Role::Model).unwrap();
    assert_eq!(snapshot.commit, COMMIT);
    assert_eq!(
        std::fs::read(snapshot.folder.join("model.safetensors")).unwrap(),
        large()
    );
    assert!(snapshot.folder.join("tokenizer.json").exists());
    // The card tells the license.
    assert!(snapshot.folder.join("README.md").exists());
    for name in ["pytorch_model.bin", "adapter.safetensors"] {
        assert!(!snapshot.folder.join(name).exists(), "{name}");
    }
    // The layout of the standard cache folder.
    let root = cache.path().join("models--who--what");
    assert_eq!(
        std::fs::read_to_string(root.join("refs/main")).unwrap(),
        COMMIT
    );
    assert_eq!(left(cache.path()), (true, true));
    assert_eq!(server.count("/cdn/"), 1);
    assert_eq!(fetch(&hub, Role::Model).unwrap(), snapshot);
    assert_eq!(server.count("/cdn/"), 1);
    // A commit whose files are all there is not asked for again.
    let asked = server.count("");
    hub.fetch(Role::Model, &name("who/what").at(COMMIT), &mut Silent)
        .unwrap();
    assert_eq!(server.count(""), asked);
    for offline in [true, false] {
        let hub = unplugged(cache.path(), offline);
        assert_eq!(fetch(&hub, Role::Model).unwrap(), snapshot);
        let by_commit = hub.fetch(Role::Model, &name("who/what").at(COMMIT), &mut Silent);
        assert_eq!(by_commit.unwrap(), snapshot);
        assert_eq!(hub.commit(Role::Model, &name("who/what")).unwrap(), COMMIT);
    }
}

#[test]
fn a_dataset_is_its_split_files() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    let snapshot = fetch(&hub(&server, cache.path(), None), Role::Dataset).unwrap();
    let file = snapshot.folder.join("split/train-00000-of-00001.jsonl");
    assert!(file.exists());
    // The card is there, for the names of labels; other configurations are not.
    assert!(
        !snapshot.folder.join("unsplit").exists() && snapshot.folder.join("README.md").exists()
    );
    assert_eq!(snapshot.splits.unwrap().train, [file]);
}

#[test]
fn an_interrupted_download_goes_on_where_it_stopped() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    server.fault(Fault::Interrupted(1));
    let snapshot = fetch(&hub(&server, cache.path(), None), Role::Model).unwrap();
    assert_eq!(
        std::fs::read(snapshot.folder.join("model.safetensors")).unwrap(),
        large()
    );
    let rest = format!("/cdn/who/what/resolve/{COMMIT}/model.safetensors?Signature=abc 100000-");
    assert_eq!(server.count(&rest), 1);
}

#[test]
fn a_file_that_is_not_what_the_hub_states_is_removed_and_told() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    let hub = hub(&server, cache.path(), None);
    server.fault(Fault::Short);
    let error = refusal(&hub, Role::Model);
    assert!(error.contains("`model.safetensors` of `hf:who/what@main` arrived with 100000 bytes, the Hub announced 200000: it was removed"), "{error}");
    assert_eq!(left(cache.path()), (false, false));
    server.fault(Fault::Altered);
    let error = refusal(&hub, Role::Model);
    let stated = server::digest(&large());
    assert!(
        error.contains("arrived with the SHA-256 ")
            && error.contains(&format!("the Hub states {stated}: it was removed")),
        "{error}"
    );
    assert_eq!(left(cache.path()), (false, false));
    server.fault(Fault::None);
    fetch(&hub, Role::Model).unwrap();
    assert_eq!(left(cache.path()), (true, true));
}

#[test]
fn what_was_cut_short_on_disk_is_downloaded_again() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    let hub = hub(&server, cache.path(), None);
    let snapshot = fetch(&hub, Role::Model).unwrap();
    let path = snapshot.folder.join("model.safetensors");
    let blob = path.canonicalize().unwrap();
    std::fs::write(&blob, &large()[..1000]).unwrap();
    fetch(&hub, Role::Model).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), large());
    // What lies there of an earlier download may be longer than the whole, whole but not in its place, or of other bytes.
    let part = blob.with_file_name(format!("{}.incomplete", server::digest(&large())));
    let mut longer = large();
    longer.push(0);
    let mut other = large();
    other[7] ^= 1;
    let before = server.count("/cdn/");
    for (there, downloads) in [
        (longer, 1),
        (large(), 0),
        (other.clone(), 1),
        (other[..5000].to_vec(), 2),
    ] {
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(&blob).unwrap();
        std::fs::write(&part, there).unwrap();
        let count = server.count("/cdn/");
        fetch(&hub, Role::Model).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), large());
        assert!(!part.exists());
        assert_eq!(server.count("/cdn/") - count, downloads);
    }
    assert_eq!(server.count("/cdn/") - before, 4);
}

#[test]
fn refusals_say_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    server.content.lock().unwrap().token = Some("sesame".to_owned());
    let with = |token| hub(&server, cache.path(), token);
    let error = refusal(&with(None), Role::Model);
    assert!(
        error.contains("the model `hf:who/what@main`: access denied")
            && error.contains("set HF_TOKEN"),
        "{error}"
    );
    let error = refusal(&with(Some("wrong")), Role::Model);
    assert!(
        error.contains("HF_TOKEN may not read it") && !error.contains("wrong"),
        "{error}"
    );
    fetch(&with(Some("sesame")), Role::Model).unwrap();
    server.fault(Fault::Status(404));
    let error = refusal(&with(None), Role::Dataset);
    assert!(
        error.contains("the dataset `hf:who/what@main`: there is no such repository"),
        "{error}"
    );
    server.fault(Fault::Status(503));
    let error = refusal(&with(None), Role::Model);
    assert!(error.contains("answered with status 503"), "{error}");
    assert_eq!(server.count("/api/models/") as u32, 3 + PATIENCE.attempts);
    server.fault(Fault::Page);
    let error = refusal(&with(None), Role::Model);
    assert!(error.contains("an answer that is not the Hub's"), "{error}");
}

#[test]
fn weights_in_other_formats_are_refused_before_anything_is_downloaded() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.add(
        "models/who/what",
        '1',
        &[("config.json", b"{}"), ("pytorch_model.bin", b"pickle")],
    );
    let error = refusal(&hub(&server, cache.path(), None), Role::Model);
    assert!(
        error.contains("expected config.json, model.safetensors"),
        "{error}"
    );
    assert_eq!(server.count("/resolve/"), 0);
}

#[test]
fn without_network_the_error_says_what_where_and_how() {
    let cache = tempfile::tempdir().unwrap();
    for offline in [true, false] {
        let hub = unplugged(cache.path(), offline);
        for error in [
            fetch(&hub, Role::Model).unwrap_err(),
            hub.commit(Role::Model, &name("who/what")).unwrap_err(),
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

#[test]
fn half_a_model_does_not_count_without_network() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    let snapshot = fetch(&hub(&server, cache.path(), None), Role::Model).unwrap();
    std::fs::remove_file(snapshot.folder.join("model.safetensors")).unwrap();
    let error = refusal(&unplugged(cache.path(), true), Role::Model);
    assert!(error.contains("is not on this machine"), "{error}");
}

#[test]
fn the_token_goes_to_the_endpoint_alone() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    server.content.lock().unwrap().token = Some("sesame".to_owned());
    let second = server.with_second_host();
    let snapshot = fetch(&hub(&server, cache.path(), Some("sesame")), Role::Model).unwrap();
    assert_eq!(
        std::fs::read(snapshot.folder.join("model.safetensors")).unwrap(),
        large()
    );
    let (first, second) = (server.seen(), second.seen());
    assert!(
        first.len() > 3
            && first
                .iter()
                .all(|seen| seen.authorization.as_deref() == Some("Bearer sesame"))
    );
    assert_eq!(second.len(), 1);
    assert!(second[0].path.contains("/model.safetensors?Signature="));
    assert!(
        second.iter().all(|seen| seen.authorization.is_none()),
        "{second:?}"
    );
}

#[test]
fn a_redirect_back_to_the_endpoint_has_the_token_again() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    server.content.lock().unwrap().token = Some("sesame".to_owned());
    let second = server.with_second_host();
    server.fault(Fault::Back);
    fetch(&hub(&server, cache.path(), Some("sesame")), Role::Model).unwrap();
    assert!(
        second
            .seen()
            .iter()
            .all(|seen| seen.authorization.is_none())
    );
    let back = server
        .seen()
        .into_iter()
        .filter(|seen| seen.path.starts_with("/cdn/"));
    let back: Vec<_> = back.map(|seen| seen.authorization).collect();
    assert_eq!(back, [Some("Bearer sesame".to_owned())]);
}

#[test]
fn the_same_host_at_another_port_is_another_host() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    let other = Server::start();
    other.content.lock().unwrap().fault = Fault::Status(404);
    server.content.lock().unwrap().elsewhere = Some(other.address.clone());
    let error = refusal(&hub(&server, cache.path(), Some("sesame")), Role::Model);
    assert!(
        error.contains("keeps its files, answered with status 404"),
        "{error}"
    );
    let seen = other.seen();
    assert!(!seen.is_empty() && seen.iter().all(|seen| seen.authorization.is_none()));
}

#[test]
fn redirects_without_end_are_refused() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    server.fault(Fault::Loop);
    let error = refusal(&hub(&server, cache.path(), None), Role::Model);
    assert!(error.contains("redirects more than 10 times"), "{error}");
    assert_eq!(server.count(""), 11);
}

/// Remembers the pauses that it is told of.
#[derive(Default)]
struct Pauses(Vec<(String, Duration)>);

impl Progress for Pauses {
    fn update(&mut self, _file: &str, _done: u64, _total: u64) {}

    fn waiting(&mut self, _file: &str, why: &str, pause: Duration) {
        self.0.push((why.to_owned(), pause));
    }
}

#[test]
fn a_busy_server_is_waited_for_as_long_as_it_asks() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    let hub = hub(&server, cache.path(), None);
    for (status, after, pause) in [
        (429, Some("1"), Duration::from_secs(1)),
        (503, Some("Wed, 21 Oct 2015 07:28:00 GMT"), Duration::ZERO),
        (502, None, PATIENCE.pause),
    ] {
        server.fault(Fault::Busy(1, status, after));
        let mut pauses = Pauses::default();
        hub.fetch(Role::Dataset, &name("who/what"), &mut pauses)
            .unwrap();
        assert_eq!(pauses.0.len(), 1);
        assert_eq!(pauses.0[0].1, pause);
        assert!(
            pauses.0[0].0.contains(&status.to_string()),
            "{pauses:?}",
            pauses = pauses.0
        );
    }
    // Nobody waits for an hour, and nobody asks for ever.
    server.fault(Fault::Busy(1, 429, Some("3600")));
    let error = refusal(&hub, Role::Model);
    assert!(
        error.contains("status 429: try again in 3600 seconds"),
        "{error}"
    );
    server.fault(Fault::Busy(100, 429, Some("0")));
    let before = server.count("");
    let error = refusal(&hub, Role::Model);
    assert!(error.contains("answered with status 429"), "{error}");
    assert_eq!((server.count("") - before) as u32, PATIENCE.attempts);
}

#[test]
fn the_whole_in_answer_to_a_range_is_not_added_to_the_part() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    let blobs = cache.path().join("models--who--what/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    let part = blobs.join(format!("{}.incomplete", server::digest(&large())));
    for (fault, downloads) in [(Fault::Whole, 1), (Fault::Unlabelled, 2)] {
        std::fs::write(&part, &large()[..70_000]).unwrap();
        server.fault(fault);
        let before = server.count("/cdn/");
        let hub = hub(&server, cache.path(), None);
        let snapshot = fetch(&hub, Role::Model).unwrap();
        let path = snapshot.folder.join("model.safetensors");
        assert_eq!(std::fs::read(&path).unwrap(), large());
        assert!(server.count(" 70000-") > 0);
        assert_eq!(server.count("/cdn/") - before, downloads, "{fault:?}");
        std::fs::remove_file(path.canonicalize().unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_part_is_asked_for_on_condition_that_the_file_is_the_same() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    // Without sizes and digests the tag is all that ties the parts together.
    server.content.lock().unwrap().bare = true;
    server.fault(Fault::Interrupted(2));
    let snapshot = fetch(&hub(&server, cache.path(), None), Role::Model).unwrap();
    let path = snapshot.folder.join("model.safetensors");
    assert_eq!(std::fs::read(&path).unwrap(), large());
    let tags: Vec<_> = server
        .seen()
        .into_iter()
        .filter(|seen| seen.range.is_some())
        .collect();
    assert!(!tags.is_empty());
    let tag = format!("\"{}\"", server::digest(&large()));
    assert!(
        tags.iter()
            .all(|seen| seen.if_range.as_deref() == Some(&tag)),
        "{tags:?}"
    );
    // The blob has the name that the Hub gives it, and is checked against it.
    assert_eq!(left(cache.path()), (true, true));
    std::fs::remove_file(path.canonicalize().unwrap()).unwrap();
    server.fault(Fault::Altered);
    let error = refusal(&hub(&server, cache.path(), None), Role::Model);
    assert!(error.contains("arrived with the SHA-256 "), "{error}");
}

#[test]
fn small_files_are_compared_with_git_s_digest() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    let id = |content: &str| {
        let stated = digest::Stated::git(&"0".repeat(40)).unwrap();
        let mut hasher = stated.hasher(content.len() as u64);
        hasher.update(content.as_bytes());
        hasher.finish()
    };
    let right = id("{\"model_type\":\"gpt2\"}");
    let state = |id: &str| {
        let mut content = server.content.lock().unwrap();
        content.blob_ids.insert("config.json".into(), id.to_owned());
    };
    state(&id("something else"));
    let error = refusal(&hub(&server, cache.path(), None), Role::Model);
    assert!(
        error.contains("`config.json` of `hf:who/what@main` arrived with the git digest "),
        "{error}"
    );
    state(&right);
    let snapshot = fetch(&hub(&server, cache.path(), None), Role::Model).unwrap();
    // Under the name that `huggingface_hub` gives it.
    let blob = snapshot.folder.join("config.json").canonicalize().unwrap();
    assert_eq!(blob.file_name().unwrap().to_str(), Some(right.as_str()));
}

#[test]
fn a_gated_repository_names_its_page() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    server.fault(Fault::Gated);
    for (role, token, page) in [
        (Role::Model, None, "/who/what, then set HF_TOKEN"),
        (
            Role::Dataset,
            Some("sesame"),
            "/datasets/who/what with the account of the token",
        ),
    ] {
        let error = refusal(&hub(&server, cache.path(), token), role);
        let page = format!(
            "it is gated; accept its license at {}{page}",
            server.address
        );
        assert!(error.contains(&page), "{error}");
        assert!(!error.contains("sesame"), "{error}");
    }
}

#[test]
fn pointers_of_large_files_are_not_taken_for_them() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    server.content.lock().unwrap().bare = true;
    server.fault(Fault::Pointer);
    let error = refusal(&hub(&server, cache.path(), None), Role::Model);
    assert!(
        error.contains("`model.safetensors` of `hf:who/what@main` arrived as a Git LFS pointer"),
        "{error}"
    );
    assert_eq!(left(cache.path()), (false, false));
}

#[test]
fn an_address_that_expired_is_asked_for_anew() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    server.with_second_host();
    server.fault(Fault::Expired(1));
    fetch(&hub(&server, cache.path(), None), Role::Model).unwrap();
    let cache = tempfile::tempdir().unwrap();
    server.fault(Fault::Expired(9));
    let error = refusal(&hub(&server, cache.path(), None), Role::Model);
    assert!(
        error.contains("answered with status 403: try again later"),
        "{error}"
    );
}

#[test]
fn a_branch_that_moves_between_plan_and_run_changes_nothing() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    server.add("datasets/who/what", '2', &[("train.csv", b"other rows")]);
    let hub = hub(&server, cache.path(), None);
    let asked = name("who/what");
    let commit = hub.commit(Role::Dataset, &asked).unwrap();
    assert_eq!(commit, COMMIT);
    assert_eq!(hub.commit(Role::Dataset, &asked).unwrap(), "2".repeat(40));
    let snapshot = hub
        .fetch(Role::Dataset, &asked.at(&commit), &mut Silent)
        .unwrap();
    hub.remember(Role::Dataset, &asked, &commit).unwrap();
    assert_eq!(snapshot.commit, COMMIT);
    assert!(!snapshot.folder.join("train.csv").exists());
    // Offline the branch is what it was when it was planned.
    let unplugged = unplugged(cache.path(), true);
    assert_eq!(
        unplugged.fetch(Role::Dataset, &asked, &mut Silent).unwrap(),
        snapshot
    );
}

#[test]
fn configurations_are_fetched_alone() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start();
    let card = b"---\nconfigs:\n- config_name: en\n  default: true\n  data_files: texts/en*\n- config_name: de\n  data_files:\n  - split: train\n    path: texts/de 1.csv\n  - split: test\n    path: texts/de#2.csv\n---\n";
    let files: [(&str, &[u8]); 4] = [
        ("README.md", card),
        ("texts/en.csv", b"text,label\n"),
        ("texts/de 1.csv", b"text,label\na,b\n"),
        ("texts/de#2.csv", b"text,label\nc,d\n"),
    ];
    server.add("datasets/who/texts", '1', &files);
    let hub = hub(&server, cache.path(), None);
    let fetch = |hub: &Hub, text: &str| hub.fetch(Role::Dataset, &name(text), &mut Silent);
    let snapshot = fetch(&hub, "who/texts/de").unwrap();
    let splits = snapshot.splits.clone().unwrap();
    assert_eq!(splits.train, [snapshot.folder.join("texts/de 1.csv")]);
    assert_eq!(splits.test, [snapshot.folder.join("texts/de#2.csv")]);
    assert_eq!(std::fs::read(&splits.test[0]).unwrap(), files[3].1);
    assert!(!snapshot.folder.join("texts/en.csv").exists());
    let error = fetch(&hub, "who/texts/fr").unwrap_err().to_string();
    assert!(
        error.contains("the dataset `hf:who/texts/fr@main`: there is no configuration `fr`: expected one of `en`, `de`"),
        "{error}"
    );
    // Offline there is what was fetched.
    let unplugged = unplugged(cache.path(), true);
    assert_eq!(fetch(&unplugged, "who/texts/de").unwrap(), snapshot);
    assert!(fetch(&unplugged, "who/texts/en").is_err());
    let default = fetch(&hub, "who/texts").unwrap();
    assert_eq!(
        default.splits.unwrap().train,
        [default.folder.join("texts/en.csv")]
    );
    assert!(fetch(&unplugged, "who/texts/en").is_ok());
}

#[test]
fn one_file_can_be_had_before_the_others() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    let hub = hub(&server, cache.path(), None);
    let file = |name_of: &str| hub.file(Role::Model, &name("who/what"), name_of, &mut Silent);
    let path = file("config.json").unwrap().unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"{\"model_type\":\"gpt2\"}");
    assert_eq!(file("nothing.json").unwrap(), None);
    assert_eq!(file("../evil.json").unwrap(), None);
    assert_eq!(server.count("/resolve/"), 1);
}

#[test]
fn what_another_process_wrote_is_used() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    // As `huggingface_hub` leaves it: another commit's blob, under its digest.
    let blob = cache
        .path()
        .join("models--who--what/blobs")
        .join(server::digest(&large()));
    std::fs::create_dir_all(blob.parent().unwrap()).unwrap();
    std::fs::write(&blob, large()).unwrap();
    let snapshot = fetch(&hub(&server, cache.path(), None), Role::Model).unwrap();
    assert_eq!(server.count("/cdn/"), 0);
    let link = snapshot.folder.join("model.safetensors");
    assert_eq!(link.canonicalize().unwrap(), blob.canonicalize().unwrap());
}

#[test]
fn several_threads_download_once() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| fetch(&hub(&server, cache.path(), None), Role::Model).unwrap());
        }
    });
    assert_eq!(server.count("/cdn/"), 1);
    assert_eq!(left(cache.path()), (true, true));
}

#[test]
fn a_hub_that_cannot_be_reached_is_tried_once() {
    let cache = tempfile::tempdir().unwrap();
    // Nobody listens there any more.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let hub = Hub::new(address, cache.path().to_owned(), None, false);
    let first = refusal(&hub, Role::Model);
    assert!(
        first.contains("cannot be reached (no connection to 127.0.0.1:"),
        "{first}"
    );
    assert!(hub.unreachable.get().is_some());
    assert_eq!(refusal(&hub.clone(), Role::Model), first);
}

#[test]
fn a_gguf_file_is_a_model() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start();
    let (small, big) = (large(), [large(), large()].concat());
    server.add(
        "models/who/one",
        '1',
        &[
            ("README.md", b"a card"),
            ("config.json", b"{}"),
            ("one-Q8_0.GGUF", &small),
        ],
    );
    server.add(
        "models/who/many",
        '1',
        &[
            ("LICENSE", b"mine"),
            ("many-Q4_K_M.gguf", &small),
            ("Q8/many-Q8_0.gguf", &big),
            ("F16/many-00001-of-00002.gguf", &small),
        ],
    );
    server.add(
        "models/who/both",
        '1',
        &[
            ("config.json", b"{}"),
            ("model.safetensors", &small),
            ("both.gguf", &big),
        ],
    );
    let hub = hub(&server, cache.path(), None);
    let fetch = |hub: &Hub, text: &str| hub.fetch(Role::Model, &name(text), &mut Silent);
    let path = |hub: &Hub, text: &str| {
        let found = fetch(hub, text).unwrap();
        let file = found.gguf.clone().unwrap();
        let file = file.strip_prefix(&found.folder).unwrap().to_owned();
        (file, crate::Resolved::from(found))
    };
    // The beginning can be read before anything is kept.
    let mut begun = hub.gguf(&name("who/one"), &mut Silent).unwrap().unwrap();
    let mut bytes = [0; 100];
    begun.reader.read_exact(&mut bytes).unwrap();
    assert_eq!(
        (&bytes[..], begun.size),
        (&small[..100], Some(small.len() as u64))
    );
    assert!(!cache.path().join("models--who--one/blobs").exists());
    // The only one of its repository, with what tells its license.
    let (file, found) = path(&hub, "who/one");
    assert_eq!(file, Path::new("one-Q8_0.GGUF"));
    assert_eq!(std::fs::read(&found.path).unwrap(), small);
    assert!(found.card_folder().join("README.md").is_file());
    assert!(!found.card_folder().join("config.json").exists());
    // One of several has to be named.
    for told in [
        fetch(&hub, "who/many").unwrap_err().to_string(),
        hub.gguf(&name("who/many"), &mut Silent)
            .err()
            .unwrap()
            .to_string(),
    ] {
        for part in [
            "3 GGUF files",
            "`many-Q4_K_M.gguf`",
            "`Q8/many-Q8_0.gguf`",
            "hf:OWNER/NAME/",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }
    let told = fetch(&hub, "who/many/other.gguf").unwrap_err().to_string();
    assert!(
        told.contains("no `other.gguf`") && told.contains("`Q8/many-Q8_0.gguf`"),
        "{told}"
    );
    let told = fetch(&hub, "who/many/F16/many-00001-of-00002.gguf")
        .unwrap_err()
        .to_string();
    assert!(told.contains("--merge"), "{told}");
    assert_eq!(server.count("many-Q4_K_M.gguf"), 0);
    let (file, found) = path(&hub, "who/many/Q8/many-Q8_0.gguf");
    assert_eq!(file, Path::new("Q8/many-Q8_0.gguf"));
    assert_eq!(std::fs::read(&found.path).unwrap(), big);
    assert!(found.card_folder().join("LICENSE").is_file());
    // Safetensors count for more where no file is named.
    assert_eq!(fetch(&hub, "who/both").unwrap().gguf, None);
    assert!(hub.gguf(&name("who/both"), &mut Silent).unwrap().is_none());
    assert_eq!(path(&hub, "who/both/both.gguf").0, Path::new("both.gguf"));
    // All of it again without network; what was not asked for is not taken for the only one.
    let offline = unplugged(cache.path(), true);
    for text in [
        "who/one",
        "who/many/Q8/many-Q8_0.gguf",
        "who/both/both.gguf",
    ] {
        path(&offline, text);
        assert!(
            offline.gguf(&name(text), &mut Silent).unwrap().is_some(),
            "{text}"
        );
    }
    fetch(&offline, "who/many").unwrap_err();
    fetch(&offline, "who/many/many-Q4_K_M.gguf").unwrap_err();
}
