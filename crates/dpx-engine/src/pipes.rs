//! Paths that cannot be read twice.

use std::path::Path;

/// What a path is that gives its content only once, or never ends: a pipe, a device, a socket, or one of this process's
/// own files. Nothing for files, folders, and paths that lead nowhere.
pub(crate) fn unreadable_twice(path: &Path) -> Option<&'static str> {
    // `/dev/stdin` may lead to a file here and to another one in a worker.
    if ["/dev", "/proc"]
        .iter()
        .any(|place| path.starts_with(place))
    {
        return Some("a device or an open file of one process");
    }
    let kind = std::fs::metadata(path).ok()?.file_type();
    if kind.is_file() || kind.is_dir() {
        return None;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Some("a pipe");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
    }
    Some("a device")
}
