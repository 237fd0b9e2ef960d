//! Keys: known streams, no stream twice, and a file that forgets.

use super::*;
use crate::fault::{self, Fault};
use chacha20::cipher::StreamCipher;
use std::collections::HashSet;
use std::path::Path;

fn first_block(mut stream: ChaCha20) -> [u8; 64] {
    let mut block = [0; 64];
    stream.apply_keystream(&mut block);
    block
}

/// RFC 8439, section 2.4.2 (with its nonce) and appendix A.1, test vectors 1 and 3: the cipher is the one it is named for.
#[test]
fn the_cipher_is_chacha20_of_rfc_8439() {
    let zero = first_block(ChaCha20::new(&[0; 32].into(), &[0; 12].into()));
    assert_eq!(
        hex(&zero[..16]),
        "76b8e0ada0f13d90405d6ae55386bd28",
        "appendix A.1, vector 1"
    );
    let mut key = [0; 32];
    key[31] = 1;
    let mut stream = ChaCha20::new(&key.into(), &[0; 12].into());
    let mut blocks = [0; 128];
    stream.apply_keystream(&mut blocks);
    assert_eq!(
        hex(&blocks[64..80]),
        "3aeb5224ecf849929b9d828db1ced4dd",
        "appendix A.1, vector 3 (counter 1)"
    );
    let key: [u8; 32] = std::array::from_fn(|index| index as u8);
    let nonce = [0, 0, 0, 0, 0, 0, 0, 0x4a, 0, 0, 0, 0];
    let mut stream = ChaCha20::new(&key.into(), &nonce.into());
    let mut blocks = [0; 128];
    stream.apply_keystream(&mut blocks);
    assert_eq!(
        hex(&blocks[64..80]),
        "224f51f3401bd9e12fde276fb8631ded",
        "section 2.4.2, first block of the key stream"
    );
}

fn hex(bytes: &[u8]) -> String {
    blake3::Hash::from_bytes({
        let mut all = [0; 32];
        all[..bytes.len()].copy_from_slice(bytes);
        all
    })
    .to_hex()[..2 * bytes.len()]
        .to_owned()
}

/// All first blocks differ.
pub(crate) fn streams_are_distinct() -> bool {
    let mut seen = HashSet::new();
    let mut count = 0;
    for instance in [
        "train@epsilon=3",
        "train@epsilon=8",
        "train@epsilon=8,replicate=2",
    ] {
        let mut key = Key::seeded(7, instance);
        for _ in 0..6 {
            for purpose in [
                Purpose::Noise,
                Purpose::Coin,
                Purpose::Dropout,
                Purpose::Canary,
            ] {
                for tensor in 0..12 {
                    for chunk in 0..6 {
                        seen.insert(first_block(key.stream(purpose, tensor, chunk)));
                        count += 1;
                    }
                }
            }
            key = key.ratchet();
        }
    }
    seen.len() == count
}

#[test]
fn no_two_streams_share_a_block() {
    assert!(streams_are_distinct());
    assert!(!fault::with(Fault::OneKeyForAll, streams_are_distinct));
}

#[test]
fn debug_output_holds_no_key_bytes() {
    let key = Key::from_parts(&[0xab; 32], 3);
    let printed = format!("{key:?}");
    assert_eq!(printed, "Key { step: 3, .. }");
}

#[test]
fn two_secure_keys_differ() {
    let (one, other) = (
        Key::from_operating_system().unwrap(),
        Key::from_operating_system().unwrap(),
    );
    assert_ne!(one.bytes(), other.bytes());
}

#[test]
fn a_later_key_follows_from_an_earlier_one_and_not_the_other_way() {
    let key = Key::seeded(1, "train");
    let by_steps = key.ratchet().ratchet().ratchet();
    assert_eq!(key.ratchet_to(3).unwrap().bytes(), by_steps.bytes());
    assert!(by_steps.ratchet_to(2).is_err());
}

const BINDING: [u8; 32] = [5; 32];

fn open(folder: &Path, binding: [u8; 32]) -> (KeyFile, Opened) {
    KeyFile::open(&folder.join("secrets"), "instance", binding).unwrap()
}

#[test]
fn a_key_file_survives_its_worker_and_forgets_old_keys() {
    let folder = tempfile::tempdir().unwrap();
    let (mut file, opened) = open(folder.path(), BINDING);
    assert_eq!(opened, Opened::New);
    let first = file.key().clone();
    file.ratchet_to(5).unwrap();
    let fifth = first.ratchet_to(5).unwrap();
    assert_eq!(file.key().bytes(), fifth.bytes());
    let run = file.run();
    drop(file);

    let content = std::fs::read(folder.path().join("secrets/instance.key")).unwrap();
    assert!(contains(&content, fifth.bytes()));
    assert!(
        !contains(&content, first.bytes()),
        "the old key was overwritten"
    );

    let (file, opened) = open(folder.path(), BINDING);
    assert_eq!(opened, Opened::Resumed { step: 5 });
    assert_eq!(file.run(), run);
    assert_eq!(file.key().bytes(), fifth.bytes());
    file.destroy().unwrap();
    assert!(!folder.path().join("secrets/instance.key").exists());
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

/// A key file whose binding differs gives a new key and a new run, and says which one was abandoned.
pub(crate) fn foreign_keys_are_destroyed() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = open(folder.path(), BINDING);
    let (run, key) = (file.run(), file.key().clone());
    drop(file);
    let (file, opened) = open(folder.path(), [6; 32]);
    let replaced = Opened::Replaced {
        abandoned: Some(run),
    };
    opened == replaced && file.key().bytes() != key.bytes() && file.run() != run
}

#[test]
fn a_key_bound_to_other_inputs_is_destroyed() {
    assert!(foreign_keys_are_destroyed());
    assert!(!fault::with(Fault::UnboundKey, foreign_keys_are_destroyed));
}

#[test]
fn a_torn_or_foreign_key_file_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets/instance.key");
    for damage in [0, 7, 4000, 4096 + 20] {
        drop(open(folder.path(), BINDING));
        let mut content = std::fs::read(&path).unwrap();
        content.truncate(damage);
        std::fs::write(&path, content).unwrap();
        let (_, opened) = open(folder.path(), BINDING);
        assert_eq!(
            opened,
            Opened::Replaced { abandoned: None },
            "cut at {damage}"
        );
    }
}

#[test]
fn two_workers_cannot_hold_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let (_file, _) = open(folder.path(), BINDING);
    let second = KeyFile::open(&folder.path().join("secrets"), "instance", BINDING);
    assert!(matches!(second, Err(KeyFileError::Held(_))));
}

/// Keys are found by their cache and the name of their run, wherever the cache lies: one that moved keeps its keys.
#[test]
fn orphans_are_swept_and_live_keys_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let (secrets, states) = (folder.path().join("secrets"), folder.path().join("states"));
    let moved = folder.path().join("moved");
    std::fs::create_dir_all(states.join("waiting")).unwrap();
    let (live, _) = open(folder.path(), BINDING);
    for name in ["orphan", "waiting", "own"] {
        drop(KeyFile::open(&secrets, name, BINDING).unwrap());
    }
    std::fs::rename(&states, &moved).unwrap();
    assert_eq!(sweep_orphans(&secrets, &moved, Some("own")).unwrap(), 1);
    let there = |name: &str| secrets.join(name).exists();
    assert!(!there("orphan.key") && there("waiting.key") && there("own.key"));
    drop(live);
    assert!(there("instance.key"), "a live worker holds it");
    assert_eq!(sweep_orphans(&secrets, &moved, None).unwrap(), 2);
    assert!(!there("instance.key") && there("waiting.key"));
}

/// A worker that dies while it makes its key leaves a file that nobody takes for a key, and that goes in the end.
#[test]
fn a_half_made_key_is_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let (secrets, states) = (folder.path().join("secrets"), folder.path().join("states"));
    drop(open(folder.path(), BINDING));
    let half = secrets.join("instance.0123456789abcdef.new");
    std::fs::write(&half, [7; 100]).unwrap();
    std::fs::create_dir_all(states.join("instance")).unwrap();
    assert_eq!(sweep_orphans(&secrets, &states, None).unwrap(), 0);
    let old = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
    let file = std::fs::File::options().write(true).open(&half).unwrap();
    file.set_modified(old).unwrap();
    drop(file);
    assert_eq!(sweep_orphans(&secrets, &states, None).unwrap(), 1);
    assert!(!half.exists() && secrets.join("instance.key").exists());
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_a_key_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (_file, _) = open(folder.path(), BINDING);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("secrets/instance.key")), 0o600);
    assert_eq!(mode(&folder.path().join("secrets")), 0o700);
}
