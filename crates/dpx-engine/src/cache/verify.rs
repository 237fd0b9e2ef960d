//! Reading everything in the cache to see whether it is sound.

use super::disk::digest_file;
use super::layout::names;
use super::{Cache, CacheError};
use dpx_schema::{Digest, InstanceName, Key};
use rayon::prelude::*;
use std::fs;

/// What reading the whole cache found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Objects that were read, sound or not.
    pub objects: usize,
    /// Bytes of the objects that were read.
    pub bytes: u64,
    /// Records that were read, sound or not.
    pub records: usize,
    /// Objects whose content is not what their name says; set aside.
    pub damaged_objects: Vec<Digest>,
    /// Records that cannot be read or were altered; set aside.
    pub damaged_records: Vec<Key>,
    /// Instances that must be rebuilt because an object is missing or was set aside, by instance name and key.
    pub to_rebuild: Vec<(InstanceName, Key)>,
}

impl Verification {
    /// Whether nothing was wrong.
    pub const fn is_sound(&self) -> bool {
        self.damaged_objects.is_empty()
            && self.damaged_records.is_empty()
            && self.to_rebuild.is_empty()
    }
}

impl Cache {
    /// Reads every object and record; sets aside what is damaged. The next run rebuilds what it needs of it.
    ///
    /// # Errors
    /// When a folder cannot be read or a damaged file cannot be moved.
    pub fn verify(&self) -> Result<Verification, CacheError> {
        let digests: Vec<Digest> = names(&self.layout.folder("objects"))?
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect();
        let sizes: Vec<Option<u64>> = digests
            .par_iter()
            .map(|digest| match digest_file(&self.layout.object(digest)) {
                Ok((found, size)) if found == *digest => Some(size),
                _ => None,
            })
            .collect();
        let mut result = Verification {
            objects: digests.len(),
            bytes: sizes.iter().flatten().sum(),
            ..Verification::default()
        };
        let _exclusive = sizes.contains(&None).then(|| self.exclude()).transpose()?;
        for (digest, _) in digests
            .iter()
            .zip(&sizes)
            .filter(|(_, size)| size.is_none())
        {
            let object = self.layout.object(digest);
            // Meanwhile it may have been collected, or rebuilt: look again now that nobody commits.
            let vanished = fs::symlink_metadata(&object).is_err();
            let rebuilt = digest_file(&object).is_ok_and(|(found, _)| found == *digest);
            if !vanished && !rebuilt {
                self.set_aside(digest)?;
                result.damaged_objects.push(*digest);
            }
        }
        for key in self.keys()? {
            result.records += 1;
            match self.read_record(&key) {
                Some(record) if self.is_whole(&record) => {}
                Some(record) => result.to_rebuild.push((record.instance, key)),
                None => {
                    self.move_aside(&self.layout.record(&key), &format!("{key}.json"))?;
                    result.damaged_records.push(key);
                }
            }
        }
        Ok(result)
    }
}
