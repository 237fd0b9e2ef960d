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

fn hub(server: &Server, cache: &Path, token: Option<&str>) -> Hub {
    Hub::new(
        server.address.clone(),
        cache.to_owned(),
        token.map(str::to_owned),
        false,
    )
}

fn unplugged(cache: &Path, offline: bool) -> Hub {
    Hub::new("http://127.0.0.1:9".into(), cache.to_owned(), None, offline)
}

fn fetch(hub: &Hub, role: Role) -> Result<Snapshot, DataError> {
    hub.fetch(role, "who/what", "main", &mut Silent)
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
    assert_eq!(hub.commit(Role::Model, "who/what", "main").unwrap(), COMMIT);
    let snapshot = fetch(&hub, Role::Model).unwrap();
    assert_eq!(snapshot.commit, COMMIT);
    assert_eq!(
        std::fs::read(snapshot.folder.join("model.safetensors")).unwrap(),
        large()
    );
    assert!(snapshot.folder.join("tokenizer.json").exists());
    for name in ["pytorch_model.bin", "README.md", "adapter.safetensors"] {
        assert!(!snapshot.folder.join(name).exists(), "{name}");
    }
    // The layout of the standard cache folder.
    let root = cache.path().join("models--who--what");
    assert_eq!(
        std::fs::read_to_string(root.join("refs/main")).unwrap(),
        COMMIT
    );
    assert_eq!(left(cache.path()), (true, true));
    assert_eq!(server.count("/cdn/"), 2);
    assert_eq!(fetch(&hub, Role::Model).unwrap(), snapshot);
    assert_eq!(server.count("/cdn/"), 2);
    for offline in [true, false] {
        let hub = unplugged(cache.path(), offline);
        assert_eq!(fetch(&hub, Role::Model).unwrap(), snapshot);
        let by_commit = hub.fetch(Role::Model, "who/what", COMMIT, &mut Silent);
        assert_eq!(by_commit.unwrap(), snapshot);
        assert_eq!(hub.commit(Role::Model, "who/what", "main").unwrap(), COMMIT);
    }
}

#[test]
fn a_dataset_is_its_split_files() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    let snapshot = fetch(&hub(&server, cache.path(), None), Role::Dataset).unwrap();
    let file = "split/train-00000-of-00001.jsonl";
    assert!(snapshot.folder.join(file).exists());
    assert!(
        !snapshot.folder.join("unsplit").exists() && !snapshot.folder.join("README.md").exists()
    );
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
    let rest = format!("/cdn/who/what/resolve/{COMMIT}/model.safetensors 100000-");
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
    // The beginning of a download that is longer than the whole must not stand in the way for good.
    std::fs::remove_file(&path).unwrap();
    std::fs::rename(&blob, blob.with_extension("part")).unwrap();
    let mut longer = large();
    longer.push(0);
    std::fs::write(blob.with_extension("part"), longer).unwrap();
    fetch(&hub, Role::Model).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), large());
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

#[test]
fn half_a_model_does_not_count_without_network() {
    let cache = tempfile::tempdir().unwrap();
    let server = server();
    let snapshot = fetch(&hub(&server, cache.path(), None), Role::Model).unwrap();
    std::fs::remove_file(snapshot.folder.join("model.safetensors")).unwrap();
    let error = refusal(&unplugged(cache.path(), true), Role::Model);
    assert!(error.contains("is not on this machine"), "{error}");
}
