//! Keeping a shared cache sound and small.

use super::transfer::all_pieces;
use super::{Opened, Remote, RemoteError};
use dpx_schema::{InstanceName, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

/// Objects that no record names are left alone for this long: somebody may be about to write their record.
const UNDER_WAY: Duration = Duration::from_hours(24);

/// What reading everything in the store found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteCheck {
    /// Records that were read, sound or not.
    pub records: usize,
    /// Objects that were read, sound or not.
    pub objects: usize,
    /// Records with a bad signature.
    pub bad_records: Vec<BadRecord>,
    /// Names of records that another version of dpx wrote, and which: they are neither checked nor removed.
    pub other_versions: Vec<(String, String)>,
    /// Records with an object that is missing or was changed: instance and the object's path.
    pub bad_objects: Vec<(InstanceName, String)>,
    /// Objects and records that were removed.
    pub removed: usize,
}

/// A record in the store that cannot be opened with the team's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// Its name in the store.
    pub name: String,
    /// Whether this key wrote it, so that it was changed. Otherwise another key may have written it, and it is never removed.
    pub own: bool,
}

impl RemoteCheck {
    /// Whether nothing was wrong.
    pub const fn is_sound(&self) -> bool {
        self.bad_records.is_empty() && self.bad_objects.is_empty()
    }
}

/// What a collection of the shared cache removes, or would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct RemoteGarbage {
    /// Instances whose records go, those first that were not used for the longest time.
    pub records: Vec<InstanceName>,
    pub objects: usize,
    /// Bytes of the objects that go.
    pub bytes: u64,
    /// Records that stay, those included that cannot be opened.
    pub kept_records: usize,
    pub kept_objects: usize,
    /// Bytes of the objects that stay.
    pub kept_bytes: u64,
    /// Records that cannot be opened with this key: another key wrote them, or they were changed.
    pub unopened: usize,
    /// Records that another version of dpx wrote.
    pub other_versions: usize,
    /// Objects that no record names as far as can be told, and that stay since records cannot be opened that may name them.
    pub spared: usize,
}

impl Remote {
    /// Reads everything in the store and checks it; on request, what is bad is removed, so that it is made anew.
    ///
    /// # Errors
    /// When the store fails.
    pub fn verify(&self, delete: bool) -> Result<RemoteCheck, RemoteError> {
        let mut check = RemoteCheck::default();
        let mut seen = BTreeSet::new();
        for listed in self.patiently(|| self.store.list("records/"))? {
            let Some(sealed) = self.patiently(|| self.store.get(&listed.name))? else {
                continue;
            };
            check.records += 1;
            let shared = match self.open_record(&listed.name, &sealed) {
                Opened::Sound(shared) => shared,
                Opened::OtherVersion(found) => {
                    check.other_versions.push((listed.name, found));
                    continue;
                }
                Opened::BadSignature => {
                    let used = listed.name.replacen("records/", "used/", 1);
                    let mark = self.patiently(|| self.store.get(&used))?;
                    let own = mark.is_some_and(|mark| mark == self.mark(&listed.name).as_bytes());
                    if delete && own {
                        self.patiently(|| self.store.delete(&listed.name))?;
                        check.removed += 1;
                    }
                    check.bad_records.push(BadRecord {
                        name: listed.name,
                        own,
                    });
                    continue;
                }
            };
            let mut broken = false;
            for file in &shared.record.output.files {
                if !seen.insert(file.digest) {
                    continue;
                }
                check.objects += 1;
                if !self.check_object(file)? {
                    broken = true;
                    seen.remove(&file.digest);
                    check
                        .bad_objects
                        .push((shared.record.instance.clone(), file.path.clone()));
                    if delete {
                        for piece in 0..super::transfer::pieces(file.size) {
                            let name = self.piece_name(&file.digest, piece);
                            self.patiently(|| self.store.delete(&name))?;
                            check.removed += 1;
                        }
                    }
                }
            }
            if broken && delete {
                self.patiently(|| self.store.delete(&listed.name))?;
                check.removed += 1;
            }
        }
        Ok(check)
    }

    /// Removes records that were not used for longer than `unused`, then those that were not used for the longest time until what
    /// is left has at most `bytes`; then every object that no record names any more. Without `yes` it only says so. Objects that
    /// nothing names stay as long as there is a record that cannot be opened: it may name them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn collect(
        &self,
        unused: Option<Duration>,
        bytes: Option<u64>,
        yes: bool,
    ) -> Result<RemoteGarbage, RemoteError> {
        let now = SystemTime::now();
        let mut used: BTreeMap<String, SystemTime> = BTreeMap::new();
        for listed in self.patiently(|| self.store.list("used/"))? {
            used.insert(
                listed.name.replacen("used/", "records/", 1),
                listed.modified,
            );
        }
        let mut records: Vec<(SystemTime, String, Record)> = Vec::new();
        let mut garbage = RemoteGarbage::default();
        for listed in self.patiently(|| self.store.list("records/"))? {
            let sealed = self.patiently(|| self.store.get(&listed.name))?;
            let Some(sealed) = sealed else { continue };
            match self.open_record(&listed.name, &sealed) {
                // What this key did not write is not its to remove.
                Opened::BadSignature => garbage.unopened += 1,
                Opened::OtherVersion(_) => garbage.other_versions += 1,
                Opened::Sound(shared) => {
                    let last = used
                        .get(&listed.name)
                        .copied()
                        .unwrap_or(listed.modified)
                        .max(listed.modified);
                    records.push((last, listed.name, shared.record));
                }
            }
        }
        // The last used first.
        records.sort_by(|one, other| (other.0, &other.1).cmp(&(one.0, &one.1)));
        let mut kept: BTreeSet<String> = BTreeSet::new();
        let mut freed: BTreeSet<String> = BTreeSet::new();
        let mut doomed = Vec::new();
        let mut kept_bytes = 0;
        for (last, name, record) in records {
            let mut added = 0;
            let mut named = BTreeSet::new();
            for (file, piece) in all_pieces(&record) {
                let piece_name = self.piece_name(&file.digest, piece);
                if !kept.contains(&piece_name) && named.insert(piece_name) {
                    added += super::transfer::piece_size(file.size, piece);
                }
            }
            let old =
                unused.is_some_and(|unused| now.duration_since(last).unwrap_or_default() > unused);
            let large = bytes.is_some_and(|bytes| kept_bytes + added > bytes);
            if old || large {
                freed.extend(named);
                doomed.push((name, record.instance));
            } else {
                garbage.kept_records += 1;
                kept_bytes += added;
                kept.extend(named);
            }
        }
        doomed.reverse();
        let mut objects = Vec::new();
        for listed in self.patiently(|| self.store.list("objects/"))? {
            let resting = now.duration_since(listed.modified).unwrap_or_default() > UNDER_WAY;
            let unnamed = !kept.contains(&listed.name);
            // Names of objects differ from key to key, so that what this key's records named is not another's.
            let goes = if freed.contains(&listed.name) {
                garbage.other_versions == 0
            } else {
                resting && garbage.other_versions + garbage.unopened == 0
            };
            if unnamed && goes {
                garbage.objects += 1;
                garbage.bytes += listed.size;
                objects.push(listed.name);
            } else {
                garbage.spared += usize::from(unnamed && (resting || freed.contains(&listed.name)));
                garbage.kept_objects += 1;
                garbage.kept_bytes += listed.size;
            }
        }
        garbage.kept_records += garbage.other_versions + garbage.unopened;
        if yes {
            for (name, _) in &doomed {
                self.patiently(|| self.store.delete(name))?;
                self.patiently(|| self.store.delete(&name.replacen("records/", "used/", 1)))?;
            }
            self.at_once(&objects, |name| self.patiently(|| self.store.delete(name)))?;
        }
        garbage.records = doomed.into_iter().map(|(_, instance)| instance).collect();
        Ok(garbage)
    }
}
