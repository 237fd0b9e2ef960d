//! Which records are behind a record, by the content of what it read.

use dpx_schema::{Digest, Record};
use std::collections::{BTreeMap, BTreeSet};

/// Records by what they made, which several may have in common: equal work has equal bytes.
#[derive(Debug)]
pub struct Ancestry<'a> {
    made: BTreeMap<Digest, Vec<&'a Record>>,
}

impl<'a> Ancestry<'a> {
    /// That of these records among one another.
    pub fn of(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut made: BTreeMap<Digest, Vec<&Record>> = BTreeMap::new();
        for record in records {
            made.entry(record.output.digest()).or_default().push(record);
        }
        Self { made }
    }

    /// Every record that made something which one read, directly or not, as far as they are known; not the record itself.
    pub fn behind(&self, record: &Record) -> Vec<(Digest, &'a Record)> {
        let mut found = Vec::new();
        let mut open: Vec<Digest> = record.inputs.values().copied().collect();
        let mut seen: BTreeSet<Digest> = BTreeSet::new();
        while let Some(digest) = open.pop() {
            if !seen.insert(digest) {
                continue;
            }
            for record in self.made.get(&digest).into_iter().flatten() {
                open.extend(record.inputs.values().copied());
                found.push((digest, *record));
            }
        }
        found
    }
}
