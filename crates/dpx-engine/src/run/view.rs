//! The cache as decisions see it: every answer is remembered, since decisions are taken again and again.

use crate::cache::{Cache, Lookup};
use crate::plan::{CacheView, Found};
use dpx_schema::Kind;
use dpx_schema::{Key, Record};
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A view of a cache that asks the disk once per key.
#[derive(Debug)]
pub struct View {
    cache: Cache,
    found: RefCell<HashMap<Key, Found>>,
    history: OnceCell<BTreeMap<Kind, Vec<Arc<Record>>>>,
}

impl View {
    /// A view that knows nothing yet.
    pub fn new(cache: Cache) -> Self {
        Self {
            cache,
            found: RefCell::default(),
            history: OnceCell::new(),
        }
    }

    /// Takes in a record that was committed during the run.
    pub fn insert(&self, record: &Arc<Record>) {
        let found = Found::Record(Arc::clone(record));
        self.found.borrow_mut().insert(record.key, found);
    }

    /// What stands under a key may have changed: ask again.
    pub fn forget(&self, key: &Key) {
        self.found.borrow_mut().remove(key);
    }
}

impl CacheView for View {
    fn lookup(&self, key: &Key) -> Found {
        if let Some(found) = self.found.borrow().get(key) {
            return found.clone();
        }
        let found = match self.cache.look(key) {
            Lookup::Nothing => Found::Nothing,
            Lookup::Whole(record) => Found::Record(Arc::new(record)),
            Lookup::Broken(record, what) => Found::Damaged {
                record: record.map(Arc::new),
                what,
            },
        };
        self.found.borrow_mut().insert(*key, found.clone());
        found
    }

    fn history(&self, kind: Kind) -> Vec<Arc<Record>> {
        let records = self.history.get_or_init(|| {
            // A cache whose records cannot be listed has no history; looking up a key will say what is wrong.
            let mut records = self.cache.whole_records().unwrap_or_default();
            records.sort_by(|one, other| other.finished_at.cmp(&one.finished_at));
            let mut by_kind: BTreeMap<Kind, Vec<Arc<Record>>> = BTreeMap::new();
            for record in records {
                by_kind
                    .entry(record.kind)
                    .or_default()
                    .push(Arc::new(record));
            }
            by_kind
        });
        records.get(&kind).cloned().unwrap_or_default()
    }
}
