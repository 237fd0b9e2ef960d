//! The real binary, called in a folder of the test's own, where it keeps its state too.

use std::path::Path;
use std::process::{Command, Output};

/// A call yet to be made.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("dpx"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("DPX_STATE_DIR", folder.join("state"))
        .env_remove("DPX_CACHE");
    command
}

/// Calls dpx, whatever comes of it.
pub(crate) fn dpx(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

/// Calls dpx; panics where it fails.
pub(crate) fn succeeds(folder: &Path, arguments: &[&str]) -> Output {
    let output = dpx(folder, arguments);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}");
    output
}

/// What was printed.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
