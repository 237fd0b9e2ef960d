//! How a cache is locked: by the kernel, or by claims in files where the kernel's locks stay on one machine.
//!
//! All machines must do the same, so the answer is written once, when the cache is made.

use super::{Cache, CacheError};
use std::fs;
use std::io;
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locking {
    /// Locks of the kernel: they die with their process.
    Kernel,
    /// Files with an owner and a heartbeat.
    Claims,
}

/// Overrules what the file system looks like when a cache is made: `kernel` or `claims`.
const VARIABLE: &str = "DPX_LOCKS";

impl Locking {
    const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Claims => "claims",
        }
    }

    /// How the cache of a folder is locked. A cache that does not say is older than the question.
    pub(super) fn of(root: &Path) -> Self {
        match fs::read_to_string(root.join("locking")) {
            Ok(text) if text.trim() == Self::Claims.name() => Self::Claims,
            _ => Self::Kernel,
        }
    }
}

impl Cache {
    /// Writes down how the cache is locked, or checks that this machine can lock it so.
    pub(super) fn settle_locking(&self) -> Result<(), CacheError> {
        let path = self.layout.root.join("locking");
        let asked = std::env::var(VARIABLE).ok();
        match fs::read_to_string(&path) {
            Ok(text) if text.trim() == Locking::Claims.name() => return Ok(()),
            Ok(_) if asked.as_deref() == Some(Locking::Kernel.name()) => return Ok(()),
            Ok(_) => {
                return match local_only(&self.layout.root) {
                    None => Ok(()),
                    Some(reason) => Err(CacheError::LocksStayHere { path, reason }),
                };
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(CacheError::io("read", &path)(error)),
        }
        let locking = match asked.as_deref() {
            Some("claims") => Locking::Claims,
            Some("kernel") => Locking::Kernel,
            _ if local_only(&self.layout.root).is_some() => Locking::Claims,
            _ => Locking::Kernel,
        };
        self.place_once(&path, &format!("{}\n", locking.name()))
    }
}

/// Why the kernel's locks on a folder are not seen by other machines that share it; nothing where they are, or where no other
/// machine can share it.
fn local_only(folder: &Path) -> Option<String> {
    if let Some(error) = refused(folder) {
        return Some(format!("its file system does not lock files: {error}"));
    }
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let folder = folder.canonicalize().ok()?;
    let (kind, options) = mount_of(&mounts, &folder)?;
    let has = |option: &str| options.split(',').any(|one| one == option);
    let local = match kind {
        "nfs" | "nfs4" => has("nolock") || has("local_lock=all") || has("local_lock=flock"),
        "lustre" => !has("flock"),
        "9p" | "afs" | "beegfs" | "cifs" | "orangefs" | "smb3" | "virtiofs" | "vboxsf" => true,
        kind => kind.starts_with("fuse."),
    };
    local.then(|| format!("its file system is {kind} ({options})"))
}

/// What the operating system says where it locks nothing at all.
fn refused(folder: &Path) -> Option<io::Error> {
    let probe = tempfile::tempfile_in(folder).ok()?;
    match probe.try_lock() {
        Err(fs::TryLockError::Error(error)) => Some(error),
        _ => None,
    }
}

/// Kind and options of the mount that holds a folder, of the lines of `/proc/self/mounts`.
fn mount_of<'a>(mounts: &'a str, folder: &Path) -> Option<(&'a str, &'a str)> {
    let lines = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (_, place, kind, options) = (
            fields.next()?,
            fields.next()?,
            fields.next()?,
            fields.next()?,
        );
        // Blanks in names are written as octal numbers.
        let place = place.replace("\\040", " ");
        folder
            .starts_with(&place)
            .then_some((place.len(), kind, options))
    });
    // Of mounts on one place, the last hides the others.
    lines
        .max_by_key(|(length, ..)| *length)
        .map(|(_, kind, options)| (kind, options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_is_found_that_holds_a_folder() {
        let mounts = "/dev/sda / ext4 rw 0 0\nserver:/home /home nfs4 rw,vers=4.2,local_lock=none 0 0\n\
            server:/old /home/old\\040data nfs rw,nolock 0 0\nlake /scratch lustre rw,localflock 0 0\n";
        let of = |folder: &str| mount_of(mounts, Path::new(folder)).map(|(kind, _)| kind);
        assert_eq!(of("/tmp/cache"), Some("ext4"));
        assert_eq!(of("/home/me/cache"), Some("nfs4"));
        assert_eq!(of("/home/old data/cache"), Some("nfs"));
        assert_eq!(of("/homes"), Some("ext4"));
        assert_eq!(of("/scratch/cache"), Some("lustre"));
    }

    #[test]
    fn a_folder_of_this_machine_is_locked_by_the_kernel() {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::at(place.path()).unwrap();
        cache.prepare().unwrap();
        assert_eq!(Locking::of(place.path()), Locking::Kernel);
        fs::write(place.path().join("locking"), "claims\n").unwrap();
        cache.prepare().unwrap();
        assert_eq!(Locking::of(place.path()), Locking::Claims);
    }
}
