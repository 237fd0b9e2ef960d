//! Garbage collection: first a plan that can be shown, then its execution.
//!
//! Nothing is collected without roots. What stays: the records and checkpoints of the roots and of live runs, everything
//! newer than the oldest live run, whatever is locked, and every object that a staying record names.

use super::layout::names;
use super::{Cache, CacheError};
use dpx_schema::{Digest, InstanceName, Key};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Journals of this many last runs are kept, with their logs.
const KEPT_RUNS: usize = 20;

/// The keys whose records, objects and checkpoints must stay.
#[derive(Debug, Clone)]
pub struct Roots(BTreeSet<Key>);

impl Roots {
    /// The keys that must stay.
    ///
    /// # Errors
    /// [`CacheError::NoRoots`] when there is none: nothing is deleted without roots.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Result<Self, CacheError> {
        let keys: BTreeSet<_> = keys.into_iter().collect();
        if keys.is_empty() {
            Err(CacheError::NoRoots)
        } else {
            Ok(Self(keys))
        }
    }
}

/// Folder of a cache with floors: in it one for each digest of training texts.
pub const FLOORS: &str = "floors";

/// File of a cache with bounds that accountants certified for its runs.
pub const BOUNDS: &str = "bounds.json";

/// Folder of a cache with the texts of rehearsals: in it one for each experiment.
pub const REHEARSAL: &str = "rehearsal";

/// Why something can go; messages group by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waste {
    /// A record that no root needs.
    Record,
    /// An object that no staying record names.
    Object,
    /// Checkpoints of an instance that no root needs.
    Checkpoints,
    /// Staged files of a dead worker.
    Staging,
    /// The journal and logs of an old run.
    Run,
    /// Metrics of a run that is no longer remembered, for TensorBoard and MLflow.
    Metrics,
    /// Floors of data that no staying record holds.
    Floors,
    /// Bounds of runs, some of which go; the next report computes those of the others again.
    Bounds,
    /// Public texts that stood in for data; the next rehearsal writes them again.
    Rehearsal,
    /// Something that was set aside as damaged.
    Damaged,
    /// A file that never got its final name.
    Temporary,
}

impl Waste {
    /// A word for it, in the plural.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Record => "records",
            Self::Object => "objects",
            Self::Checkpoints => "checkpoints",
            Self::Staging => "staged files",
            Self::Run => "old runs",
            Self::Metrics => "folders of metrics",
            Self::Floors => "folders of floors",
            Self::Bounds => "files of bounds",
            Self::Rehearsal => "texts of rehearsals",
            Self::Damaged => "damaged files",
            Self::Temporary => "temporary files",
        }
    }
}

/// A file or folder of the cache that can go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Doomed {
    pub waste: Waste,
    pub path: PathBuf,
    /// In bytes, with everything in it.
    pub size: u64,
    /// The instance that it belongs to; none: not known, or of several.
    pub instance: Option<InstanceName>,
}

/// What a collection deletes, or would delete; records before the objects that they name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Collection {
    pub doomed: Vec<Doomed>,
    pub kept_records: usize,
    /// Bytes of the objects that stay.
    pub kept_bytes: u64,
}

impl Collection {
    /// Bytes of everything that goes.
    pub fn freed(&self) -> u64 {
        self.doomed.iter().map(|doomed| doomed.size).sum()
    }

    /// How many go for each reason, and their bytes.
    pub fn summary(&self) -> BTreeMap<Waste, (usize, u64)> {
        let mut summary = BTreeMap::new();
        for doomed in &self.doomed {
            let entry: &mut (usize, u64) = summary.entry(doomed.waste).or_default();
            entry.0 += 1;
            entry.1 += doomed.size;
        }
        summary
    }
}

impl Cache {
    /// What a collection would delete now.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn plan_collection(&self, roots: &Roots) -> Result<Collection, CacheError> {
        let runs = self.runs()?;
        let mut keep = roots.0.clone();
        let mut oldest_live = None;
        for run in runs.iter().filter(|run| run.live) {
            keep.extend(run.keys());
            let start = created(&run.path).unwrap_or(SystemTime::UNIX_EPOCH);
            oldest_live = Some(oldest_live.map_or(start, |oldest: SystemTime| oldest.min(start)));
        }
        let recent = |path: &Path| {
            oldest_live.is_some_and(|start| modified(path).is_none_or(|changed| changed >= start))
        };
        let mut plan = Collection::default();
        let mut named: BTreeSet<Digest> = BTreeSet::new();
        let (mut bounds_stay, mut bounds_go) = (false, false);
        for key in self.keys()? {
            let path = self.layout.record(&key);
            let record = self.read_record(&key);
            let spends = record.as_ref().is_none_or(|record| record.kind.spends());
            if keep.contains(&key) || recent(&path) || self.is_locked(&key) {
                plan.kept_records += 1;
                bounds_stay |= spends;
                for file in record.iter().flat_map(|record| &record.output.files) {
                    named.insert(file.digest);
                }
            } else {
                bounds_go |= spends;
                plan.doom(Waste::Record, path, record.map(|record| record.instance));
            }
        }
        for name in names(&self.layout.folder("objects"))? {
            let path = self.layout.folder("objects").join(&name);
            let is_named = name.parse().is_ok_and(|digest| named.contains(&digest));
            if is_named || recent(&path) {
                plan.kept_bytes += size(&path);
            } else {
                plan.doom(Waste::Object, path, None);
            }
        }
        let bounds = self.layout.root.join(BOUNDS);
        if bounds.exists() && (bounds_go || !bounds_stay) {
            plan.doom(Waste::Bounds, bounds, None);
        }
        for name in names(&self.layout.folder(FLOORS))? {
            if !name.parse().is_ok_and(|digest| named.contains(&digest)) {
                plan.doom(Waste::Floors, self.layout.folder(FLOORS).join(name), None);
            }
        }
        // A live run may be a rehearsal.
        if oldest_live.is_none() {
            for name in names(&self.layout.folder(REHEARSAL))? {
                let path = self.layout.folder(REHEARSAL).join(name);
                plan.doom(Waste::Rehearsal, path, None);
            }
        }
        for (waste, folder) in [(Waste::Checkpoints, "state"), (Waste::Staging, "staging")] {
            for name in names(&self.layout.folder(folder))? {
                let stays = name.parse().is_ok_and(|key| {
                    self.is_locked(&key) || (waste == Waste::Checkpoints && keep.contains(&key))
                });
                if !stays {
                    plan.doom(waste, self.layout.folder(folder).join(name), None);
                }
            }
        }
        for run in &runs[..runs.len().saturating_sub(KEPT_RUNS)] {
            if !run.live {
                plan.doom(Waste::Run, run.folder.clone(), None);
                plan.doom(Waste::Run, run.path.clone(), None);
                let claims = super::lock::claims(&run.path);
                if claims.exists() {
                    plan.doom(Waste::Run, claims, None);
                }
            }
        }
        let gone = runs.len().saturating_sub(KEPT_RUNS);
        let kept: BTreeSet<&str> = runs
            .iter()
            .enumerate()
            .filter(|(at, run)| *at >= gone || run.live)
            .map(|(_, run)| run.id.as_str())
            .collect();
        for folder in self.metrics_folders()? {
            if !kept.contains(folder.run.as_str()) {
                plan.doom(Waste::Metrics, folder.path, None);
            }
        }
        for name in names(&self.layout.folder("damaged"))? {
            let path = self.layout.folder("damaged").join(name);
            plan.doom(Waste::Damaged, path, None);
        }
        for path in self.temporary_files()? {
            plan.doom(Waste::Temporary, path, None);
        }
        plan.doomed.sort();
        Ok(plan)
    }

    /// Deletes what [`Cache::plan_collection`] finds, while nobody commits or decides.
    ///
    /// # Errors
    /// When something cannot be read or deleted.
    pub fn collect(&self, roots: &Roots) -> Result<Collection, CacheError> {
        let _exclusive = self.exclude()?;
        let plan = self.plan_collection(roots)?;
        for doomed in &plan.doomed {
            if doomed.path.is_dir() {
                self.disk.remove_folder(&doomed.path)?;
            } else {
                self.disk.remove_file(&doomed.path)?;
            }
        }
        Ok(plan)
    }
}

/// A folder with metrics of one run.
struct MetricsFolder {
    run: String,
    path: PathBuf,
}

impl Cache {
    /// Folders of metrics with the run that they belong to, as `run::metrics` writes them.
    fn metrics_folders(&self) -> Result<Vec<MetricsFolder>, CacheError> {
        let board = self.layout.root.join("metrics/tensorboard");
        let mut folders: Vec<MetricsFolder> = names(&board)?
            .into_iter()
            .map(|run| MetricsFolder {
                path: board.join(&run),
                run,
            })
            .collect();
        let experiments = self.layout.root.join("metrics/mlruns");
        for experiment in names(&experiments)? {
            let experiment = experiments.join(experiment);
            if !experiment.is_dir() {
                continue;
            }
            for name in names(&experiment)? {
                let is_run = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
                let path = experiment.join(name);
                match fs::read_to_string(path.join("params/dpx_run")) {
                    Ok(run) => folders.push(MetricsFolder { run, path }),
                    // Of a run that was killed before it wrote the first file.
                    Err(_) if is_run && path.is_dir() && size(&path) == 0 => {
                        let run = String::new();
                        folders.push(MetricsFolder { run, path });
                    }
                    // Whatever does not say whose it is, is not dpx's.
                    Err(_) => {}
                }
            }
        }
        Ok(folders)
    }
}

impl Collection {
    fn doom(&mut self, waste: Waste, path: PathBuf, instance: Option<InstanceName>) {
        let size = size(&path);
        self.doomed.push(Doomed {
            waste,
            path,
            size,
            instance,
        });
    }
}

/// Bytes of a file, or of all files in a folder.
fn size(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => names(path)
            .unwrap_or_default()
            .iter()
            .map(|name| size(&path.join(name)))
            .sum(),
        Ok(found) => found.len(),
        Err(_) => 0,
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::symlink_metadata(path).ok()?.modified().ok()
}

/// When a run began: its journal's name tells no machine clock, so the first of creation and last change counts.
fn created(path: &Path) -> Option<SystemTime> {
    let found = fs::symlink_metadata(path).ok()?;
    match (found.created(), found.modified()) {
        (Ok(created), Ok(modified)) => Some(created.min(modified)),
        (Err(_), Ok(_)) => None,
        (created, _) => created.ok(),
    }
}
