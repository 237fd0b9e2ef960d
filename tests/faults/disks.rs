//! Full disks: file systems of several sizes, each of which fills up somewhere in the run.

use super::{Place, Random, rounds, told};
use std::process::{Command, Stdio};

/// Mounts a small file system in a name space of its own, runs there, gives it room, and runs again.
const SCRIPT: &str = r#"
set -eu
mkdir disk
mount -t tmpfs -o size="$1" none disk
cp faults.toml texts.csv disk
cd disk
export TMPDIR="$PWD" DPX_STATE_DIR="$PWD/state"
"$2" run faults.toml >/dev/null 2>../said && echo full=0 || echo full=$?
mount -o remount,size=256m .
"$2" run faults.toml >/dev/null 2>>../said || exit 9
"$2" cache verify >/dev/null 2>>../said || exit 8
"$2" ledger >../ledger 2>>../said || exit 7
cp -r cache results ..
find state/secrets -name '*.key' | grep . && exit 6
exit 0
"#;

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user"]);
    command
}

#[test]
fn a_full_disk_loses_nothing() {
    let can_mount = unshare()
        .args(["sh", "-c", "mount -t tmpfs none /mnt"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !can_mount {
        eprintln!("no small file system can be mounted here: full disks are passed over");
        return;
    }
    let mut random = Random::of("disks");
    let all = rounds(3, 187);
    let mut full = 0;
    for round in 0..all {
        let place = Place::new("secure");
        let kilobytes = 40 + random.below(1800);
        let output = unshare()
            .args(["sh", "-c", SCRIPT, "sh", &format!("{kilobytes}k")])
            .arg(place.command().get_program())
            .current_dir(place.0.path())
            .output()
            .unwrap();
        let said = std::fs::read_to_string(place.path("said")).unwrap_or_default();
        let script = String::from_utf8_lossy(&output.stderr).into_owned();
        let after = format!("a disk of {kilobytes} kB (round {round})");
        assert!(
            output.status.success(),
            "{after}: {}\n{script}\n{said}",
            output.status
        );
        assert!(!said.contains("panicked"), "{after}: {said}");
        full += usize::from(!String::from_utf8_lossy(&output.stdout).contains("full=0"));
        let ledger = std::fs::read_to_string(place.path("ledger")).unwrap();
        assert_eq!(super::count_runs(&ledger), 2, "{after}");
        place.check(&after);
    }
    assert!(full > 0, "none of the disks was too small");
    told(
        "full disks",
        &format!("{all}, of which {full} were too small"),
    );
}
