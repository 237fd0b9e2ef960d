//! Earlier records, indexed: which of them agrees with an instance, and which one to compare an instance with.
//!
//! Nothing here looks at every record for every instance. A study has few records of one row (stage and values of the
//! axes), so those are compared one by one, the newest [`SAME_ROW`] of them; of other rows only the newest [`OTHER_ROWS`]
//! of the stage are. A rehearsal is compared with rehearsals and a study with studies: what ran on public stand-ins is no
//! earlier record of the same work, and tells only of the time.

use super::differences::differences;
use super::rehearsal::{is_named_so, is_of_one};
use super::{CacheView, Instance, Plan, Recipe};
use dpx_schema::{Digest, Kind, Record};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

/// Records of one row that are compared with an instance, the newest ones.
const SAME_ROW: usize = 32;

/// Records of other rows of the stage that are compared with an instance which has none of its own.
const OTHER_ROWS: usize = 8;

/// Earlier records by kind, read from the cache when first asked for and not again: what the run itself adds is no history.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Whether it is a rehearsal whose instances are compared.
    rehearsal: bool,
    kinds: BTreeMap<Kind, Sides>,
}

/// Records that may be compared with, and those of the other sort: of rehearsals for a study, of studies for a rehearsal.
#[derive(Debug, Default)]
struct Sides {
    own: OfKind,
    other: OfKind,
}

/// Records of one kind; each list begins with the newest.
#[derive(Debug, Default)]
struct OfKind {
    recipes: HashMap<Digest, Vec<Arc<Record>>>,
    rows: HashMap<String, Vec<Arc<Record>>>,
    stages: HashMap<String, Vec<Arc<Record>>>,
}

impl History {
    /// The history that a plan is compared with.
    pub(super) fn of_plan(plan: &Plan) -> Self {
        Self {
            rehearsal: is_named_so(&plan.experiment),
            kinds: BTreeMap::new(),
        }
    }

    fn sides(&mut self, kind: Kind, view: &dyn CacheView) -> &Sides {
        let rehearsal = self.rehearsal;
        self.kinds.entry(kind).or_insert_with(|| {
            let records = view.history(kind).into_iter();
            let (own, other) = records.partition(|record| is_of_one(record) == rehearsal);
            Sides {
                own: OfKind::new(own),
                other: OfKind::new(other),
            }
        })
    }

    fn of(&mut self, kind: Kind, view: &dyn CacheView) -> &OfKind {
        &self.sides(kind, view).own
    }

    /// The newest record that agrees in everything that is known: recipe, names of the inputs, content of the known inputs.
    /// One of the same row goes before others.
    pub(super) fn agreeing(
        &mut self,
        instance: &Instance,
        inputs: &BTreeMap<String, Digest>,
        view: &dyn CacheView,
    ) -> Option<Arc<Record>> {
        let names = instance.needs.iter().map(|need| need.stage.as_str());
        let recipe = recipe_digest(&instance.recipe(), names);
        let records = self.of(instance.kind, view).recipes.get(&recipe)?;
        let agrees = |record: &&Arc<Record>| {
            instance.needs.iter().all(|need| {
                let new = inputs.get(&need.stage);
                new.is_none() || record.inputs.get(&need.stage) == new
            })
        };
        let same_row =
            |record: &&Arc<Record>| record.stage == instance.stage && record.axes == instance.axes;
        let mut agreeing = records.iter().filter(agrees);
        let first = agreeing.next()?;
        if same_row(&first) {
            return Some(Arc::clone(first));
        }
        let found = agreeing.find(same_row).unwrap_or(first);
        Some(Arc::clone(found))
    }

    /// The record to compare with: of the same stage and the same values of the axes, else of the same stage; with the
    /// fewest differences; the newest.
    pub(super) fn nearest(
        &mut self,
        instance: &Instance,
        inputs: &BTreeMap<String, Digest>,
        view: &dyn CacheView,
    ) -> Option<Arc<Record>> {
        self.of(instance.kind, view).nearest(instance, inputs)
    }

    /// The same among the records of the other sort, which tell of nothing but the time that work takes.
    pub(super) fn nearest_of_others(
        &mut self,
        instance: &Instance,
        inputs: &BTreeMap<String, Digest>,
        view: &dyn CacheView,
    ) -> Option<Arc<Record>> {
        let sides = self.sides(instance.kind, view);
        sides.other.nearest(instance, inputs)
    }
}

impl OfKind {
    fn nearest(
        &self,
        instance: &Instance,
        inputs: &BTreeMap<String, Digest>,
    ) -> Option<Arc<Record>> {
        let candidates = match self.rows.get(&row(&instance.stage, &instance.axes)) {
            Some(records) => &records[..records.len().min(SAME_ROW)],
            None => self.stages.get(&instance.stage)?,
        };
        candidates
            .iter()
            .min_by_key(|record| differences(instance, inputs, &[], record).len())
            .map(Arc::clone)
    }

    fn new(records: Vec<Arc<Record>>) -> Self {
        let mut all = Self::default();
        for record in records {
            let names = record.inputs.keys().map(String::as_str);
            let recipe = recipe_digest(&Recipe::of(&record), names);
            let row = row(&record.stage, &record.axes);
            let of_stage = all.stages.entry(record.stage.clone()).or_default();
            if of_stage.len() < OTHER_ROWS {
                of_stage.push(Arc::clone(&record));
            }
            all.rows.entry(row).or_default().push(Arc::clone(&record));
            all.recipes.entry(recipe).or_default().push(record);
        }
        all
    }
}

/// A digest of a recipe and the names of its inputs, whatever their content.
fn recipe_digest<'a>(recipe: &Recipe<'_>, names: impl Iterator<Item = &'a str>) -> Digest {
    let anything = Digest::from_bytes([0; 32]);
    recipe.key(&names.map(|name| (name.to_owned(), anything)).collect())
}

/// One text for a stage and the values of its axes. Names of stages hold no `@`.
fn row(stage: &str, axes: &BTreeMap<String, Value>) -> String {
    let mut text = format!("{stage}@");
    for (name, value) in axes {
        let _ = write!(text, "{name}={value};");
    }
    text
}
