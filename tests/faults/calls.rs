//! System calls that fail or kill: the Nth call of a kind, in the runner and in each worker, by strace.

use super::{Place, Random, finished, has, recovers, rounds, told};
use std::process::{Command, Stdio};

/// Calls that change files, and those that read them.
const CALLS: &[&str] = &[
    "openat",
    "read",
    "write",
    "rename",
    "renameat2",
    "fsync",
    "unlink",
    "unlinkat",
    "mkdir",
    "link",
    "linkat",
    "flock",
    "ftruncate",
    "statx",
    "getdents64",
    "fchmod",
    "pwrite64",
    "sendfile",
    "copy_file_range",
    "lseek",
    "close",
];

/// What becomes of the call.
const FAULTS: &[&str] = &[
    "error=ENOSPC",
    "error=EIO",
    "error=EACCES",
    "error=EMFILE",
    "error=EINTR",
    "signal=KILL",
    "signal=KILL",
];

fn strace(place: &Place, call: &str, fault: &str, when: usize) -> Command {
    let plain = place.command();
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-o", "/dev/null"])
        .args(["-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:{fault}:when={when}")])
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(place.0.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// One call of a kind fails or kills in each thread that gets so far; whatever comes of that run, the next one ends with the
/// bytes of an undisturbed one.
#[test]
fn the_nth_call_fails_or_kills() {
    if !has("strace") {
        return;
    }
    let mut random = Random::of("calls");
    let all = rounds(5, 488);
    let mut failed = 0;
    for round in 0..all {
        let place = Place::new("seeded");
        let (call, fault) = (*random.pick(CALLS), *random.pick(FAULTS));
        // Calls at the start of a process load it; those that matter come later, and rare kinds have few of them.
        let most = if ["openat", "read", "statx", "close", "lseek", "write"].contains(&call) {
            300
        } else {
            25
        };
        let when = 1 + random.below(most);
        let after = format!("{call} number {when}: {fault} (round {round})");
        let child = strace(&place, call, fault, when).spawn().unwrap();
        let (status, _) = finished(child, &after);
        failed += usize::from(!status.success());
        recovers(&place, &after);
    }
    told(
        "system calls",
        &format!("{all}, of which {failed} ended the run"),
    );
}
