//! Keeping a shared cache sound and small.

use super::transfer::all_pieces;
use super::{Remote, RemoteError};
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
    /// Names of records with a bad signature.
    pub bad_records: Vec<String>,
    /// Records with an object that is missing or was changed: instance and the object's path.
    pub bad_objects: Vec<(InstanceName, String)>,
    /// Objects and records that were removed.
    pub removed: usize,
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
    pub kept_records: usize,
    /// Bytes of the objects that stay.
    pub kept_bytes: u64,
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
            let Some(shared) = self.open_record(&listed.name, &sealed) else {
                check.bad_records.push(listed.name.clone());
                if delete {
                    self.patiently(|| self.store.delete(&listed.name))?;
                    check.removed += 1;
                }
                continue;
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
    /// is left has at most `bytes`; then every object that no record names any more. Without `yes` it only says so.
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
        for listed in self.patiently(|| self.store.list("records/"))? {
            let sealed = self.patiently(|| self.store.get(&listed.name))?;
            // What this key did not write is not its to remove.
            if let Some(shared) = sealed.and_then(|sealed| self.open_record(&listed.name, &sealed))
            {
                let last = used
                    .get(&listed.name)
                    .copied()
                    .unwrap_or(listed.modified)
                    .max(listed.modified);
                records.push((last, listed.name, shared.record));
            }
        }
        // The last used first.
        records.sort_by(|one, other| (other.0, &other.1).cmp(&(one.0, &one.1)));
        let mut garbage = RemoteGarbage::default();
        let mut kept: BTreeSet<String> = BTreeSet::new();
        let mut freed: BTreeSet<String> = BTreeSet::new();
        let mut doomed = Vec::new();
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
            let large = bytes.is_some_and(|bytes| garbage.kept_bytes + added > bytes);
            if old || large {
                freed.extend(named);
                doomed.push((name, record.instance));
            } else {
                garbage.kept_records += 1;
                garbage.kept_bytes += added;
                kept.extend(named);
            }
        }
        doomed.reverse();
        let mut objects = Vec::new();
        for listed in self.patiently(|| self.store.list("objects/"))? {
            let resting = now.duration_since(listed.modified).unwrap_or_default() > UNDER_WAY;
            if !kept.contains(&listed.name) && (resting || freed.contains(&listed.name)) {
                garbage.objects += 1;
                garbage.bytes += listed.size;
                objects.push(listed.name);
            }
        }
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
