//! The shared cache on servers of objects: moto's S3, which heeds conditions, and s3rver, which does not.

use super::remote::{Machine, SHARED, key, out, shared_by_two};
use super::{SHORT_EPOCHS, local, text};
use dpx_engine::cache::{Listed, Store};
use rustix::process::{Pid, Signal, kill_process_group};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts a server; nothing where it cannot be had, which is said.
    fn start(kind: &str, port: u16) -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stores");
        let mut child = Command::new(root.join("tests/cluster/stores.sh"))
            .arg(kind)
            .arg(&folder)
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        // What it needs may have to be installed.
        for _ in 0..1500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(Self { child, port });
            }
            if let Some(status) = child.try_wait().unwrap() {
                assert_eq!(status.code(), Some(3), "{kind} does not start");
                eprintln!("passed over: {kind} cannot be had");
                return None;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("{kind} does not answer");
    }

    fn stop(&mut self) {
        kill_process_group(Pid::from_child(&self.child), Signal::KILL).ok();
        drop(self.child.wait());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The environment that leads to a server; the same for all tests of a process, since `object_store` reads it.
fn lead(port: u16, key_id: &str, secret: &str) -> Vec<(String, String)> {
    [
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", key_id.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// A test of this binary, run again in a process with that environment.
fn again(test: &str, environment: Vec<(String, String)>) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("DPX_TEST_STORE", "here")
        .envs(environment)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}

fn is_again() -> bool {
    std::env::var_os("DPX_TEST_STORE").is_some()
}

fn bucket() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| "s3://dpx/team".to_owned())
}

/// Makes the bucket of a server, whatever it held before.
fn make_bucket(port: u16) {
    let made = Command::new("python3")
        .args([
            "-c",
            "import sys, urllib.request as u; u.urlopen(u.Request(sys.argv[1], method='PUT'))",
        ])
        .arg(format!("http://127.0.0.1:{port}/dpx"))
        .status()
        .unwrap();
    assert!(made.success());
}

/// Objects in the bucket of a server.
fn objects(port: u16) -> usize {
    let listed = Command::new("python3")
        .args([
            "-c",
            "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode().count('/objects/'))",
        ])
        .arg(format!("http://127.0.0.1:{port}/dpx?list-type=2"))
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&listed.stdout);
    printed.trim().parse().unwrap_or(0)
}

#[test]
fn two_machines_share_a_bucket_that_heeds_conditions() {
    if !is_again() {
        let Some(server) = Server::start("moto", 45_731) else {
            return;
        };
        make_bucket(server.port);
        return again(
            "cluster::stores::two_machines_share_a_bucket_that_heeds_conditions",
            lead(server.port, "test", "test"),
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path());
    shared_by_two(bucket(), &key);
    tampered(&key);
    let store = dpx_remote::open("s3://dpx/raw").unwrap();
    for round in 0..10 {
        let name = format!("records/{round}");
        let won: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|writer| {
                    let (store, name) = (&store, &name);
                    scope.spawn(move || {
                        store
                            .create(name, format!("writer {writer}").as_bytes())
                            .unwrap()
                    })
                })
                .collect();
            let made = threads.into_iter().map(|thread| thread.join().unwrap());
            made.filter(|made| *made == dpx_engine::cache::Created::New)
                .count()
        });
        assert_eq!(won, 1, "round {round}");
    }
    // Larger than what a list shows at once is not needed: names and sizes are told.
    assert_eq!(store.list("records/").unwrap().len(), 10);
    assert_eq!(
        store.size("records/0").unwrap(),
        Some(store.get("records/0").unwrap().unwrap().len() as u64)
    );
    store.delete("records/0").unwrap();
    assert_eq!(store.get("records/0").unwrap(), None);
    store.put("objects/a", &vec![7; 3 << 20]).unwrap();
    assert_eq!(store.get("objects/a").unwrap().unwrap().len(), 3 << 20);
}

/// Whoever runs the store changes what lies there: every object, then every record. Each is told, nothing of it is taken, what is
/// made here has the right bytes, and `cache verify` finds and removes what was not sent anew.
fn tampered(key: &str) {
    let store = dpx_remote::open(bucket()).unwrap();
    // Objects are sent anew by who found them bad; records that nobody can read are in the way until somebody removes them.
    let changes: [(&str, &[&str]); 2] = [
        ("objects/", &["not taken from the remote cache"]),
        ("records/", &["has a bad signature"]),
    ];
    for (kind, told) in changes {
        let names = store.list(kind).unwrap();
        assert!(names.len() >= 10, "{kind}: {}", names.len());
        for Listed { name, .. } in names {
            let mut bytes = store.get(&name).unwrap().unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            store.put(&name, &bytes).unwrap();
        }
        let machine = Machine::new(bucket(), key);
        let run = machine.run();
        assert_eq!(run.status.code(), Some(0), "{}", text(&run));
        for words in told {
            assert!(text(&run).contains(words), "{kind}: {}", text(&run));
        }
        assert_eq!(machine.place.artifacts(), local(SHORT_EPOCHS), "{kind}");
        let found = machine.dpx(&["cache", "verify"]);
        let sound = found.status.code() == Some(0);
        assert!(!sound || kind == "objects/", "{kind}: {}", out(&found));
        let cleaned = machine.dpx(&["cache", "verify", "--remote", bucket(), "--delete"]);
        assert!(out(&cleaned).contains("removed"), "{}", out(&cleaned));
        let pushed = machine.dpx(&["cache", "push", "away.toml", "--set", "cache.private=true"]);
        assert_eq!(pushed.status.code(), Some(0), "{}", text(&pushed));
        let other = Machine::new(bucket(), key);
        let run = other.run();
        assert!(text(&run).contains(": 0 ran, 10 cached"), "{}", text(&run));
    }
}

#[test]
fn a_bucket_that_heeds_no_conditions_is_found_out() {
    if !is_again() {
        let Some(server) = Server::start("s3rver", 45_732) else {
            return;
        };
        return again(
            "cluster::stores::a_bucket_that_heeds_no_conditions_is_found_out",
            lead(server.port, "S3RVER", "S3RVER"),
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path());
    let one = Machine::new(bucket(), &key);
    let run = one.run();
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    assert!(text(&run).contains("If-None-Match"), "{}", text(&run));
    // Read, and never written to.
    let store = dpx_remote::open(bucket()).unwrap();
    for kind in ["records/", "objects/"] {
        assert_eq!(store.list(kind).unwrap().len(), 0, "{kind}");
    }
}

/// The server dies when the first objects are there, and comes back empty: the run ends well, and what it made is shared later.
#[test]
fn a_server_that_dies_in_the_middle_loses_nothing() {
    let Some(mut server) = Server::start("moto", 45_733) else {
        return;
    };
    make_bucket(server.port);
    let port = server.port;
    let environment = lead(port, "test", "test");
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path());
    let one = Machine::new(bucket(), &key).led_by(&environment);
    let run = one
        .start(&SHARED)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    super::until("the first objects are there", || objects(port) > 0);
    server.stop();
    let run = run.wait_with_output().unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    assert!(text(&run).contains("not shared"), "{}", text(&run));
    let again = one.alone(&["run", "away.toml"]);
    assert!(
        text(&again).contains(": 0 ran, 10 cached"),
        "{}",
        text(&again)
    );
    assert_eq!(one.place.artifacts(), local(SHORT_EPOCHS));
    let verified = one.alone(&["cache", "verify"]);
    assert!(out(&verified).contains("all sound"), "{}", out(&verified));
    let back = Server::start("moto", port).unwrap();
    make_bucket(back.port);
    let told = out(&one.dpx(&["cache", "push", "away.toml", "--set", "cache.private=true"]));
    assert!(told.contains("10 sent"), "{told}");
    let other = Machine::new(bucket(), &key).led_by(&environment);
    let run = other.run();
    assert!(text(&run).contains(": 0 ran, 10 cached"), "{}", text(&run));
    assert_eq!(other.place.artifacts(), local(SHORT_EPOCHS));
}
