//! What lies in the folder: regular files, with the checksums that are stated, and no others.

use super::Failures;
use crate::release::{CHECKSUMS_FILE, Statement, checksums};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

/// Most files that are looked at.
const MOST_FILES: usize = 100_000;
/// Largest list of checksums and largest page, in bytes.
pub(super) const LARGEST_PAGE: u64 = 64 << 20;

/// The paths of all files in a folder, with `/`.
///
/// # Errors
/// The folder itself cannot be read.
pub(super) fn walk(root: &Path, failures: &mut Failures) -> io::Result<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    let mut open = vec![(root.to_owned(), String::new())];
    let mut first = true;
    while let Some((folder, prefix)) = open.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if first => return Err(error),
            Err(error) => {
                failures.add(format!("`{prefix}` cannot be read: {error}"));
                continue;
            }
        };
        first = false;
        let mut empty = true;
        for entry in entries {
            let entry = entry?;
            empty = false;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                failures.add("a name is not UTF-8");
                continue;
            };
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push((entry.path(), format!("{path}/")));
            } else if kind.is_file() {
                files.insert(path);
            } else {
                failures.add(format!(
                    "`{path}` is a link or something else that is no file"
                ));
            }
            if files.len() > MOST_FILES {
                failures.add(format!("it holds more than {MOST_FILES} files"));
                return Ok(files);
            }
        }
        if empty && !prefix.is_empty() {
            failures.add(format!("`{prefix}` is an empty folder"));
        }
    }
    Ok(files)
}

/// Compares the checksums of all files.
pub(super) fn checksums(root: &Path, there: &BTreeSet<String>, failures: &mut Failures) {
    let text = match read_page(&root.join(CHECKSUMS_FILE)) {
        Ok(text) => text,
        Err(reason) => return failures.add(format!("{CHECKSUMS_FILE} {reason}")),
    };
    let sums = match checksums::read(&text) {
        Ok(sums) => sums,
        Err(reason) => return failures.add(format!("{CHECKSUMS_FILE}: {reason}")),
    };
    for (path, stated) in &sums {
        if path == CHECKSUMS_FILE {
            failures.add(format!("{CHECKSUMS_FILE} states a checksum of itself"));
        } else if !there.contains(path) {
            failures.add(format!("`{path}` is missing"));
        } else {
            match checksums::sha256(&root.join(path)) {
                Ok(found) => failures.unless(found == *stated, || {
                    format!("`{path}` was changed: its checksum is another")
                }),
                Err(error) => failures.add(format!("`{path}` cannot be read: {error}")),
            }
        }
    }
    for path in there {
        failures.unless(sums.contains_key(path) || path == CHECKSUMS_FILE, || {
            format!("`{path}` has no checksum")
        });
    }
}

/// Compares the files with those that the statement speaks of.
pub(super) fn files(there: &BTreeSet<String>, statement: &Statement, failures: &mut Failures) {
    let stated: BTreeSet<String> = statement.files().into_iter().collect();
    for path in stated.difference(there) {
        failures.add(format!("`{path}` is missing"));
    }
    for path in there.difference(&stated) {
        failures.add(format!("`{path}` is no part of the release"));
    }
}

/// A small file of text. The reason why it cannot be read goes after its name.
pub(super) fn read_page(path: &Path) -> Result<String, String> {
    let found = fs::symlink_metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if !found.is_file() {
        return Err("is no file".to_owned());
    }
    if found.len() > LARGEST_PAGE {
        return Err(format!(
            "has {} bytes, at most {LARGEST_PAGE} are read",
            found.len()
        ));
    }
    let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}
