//! `dpx cache` and the cache that machines share: send, fetch, check, clean.

use super::cache::bytes;
use super::experiment::{ExperimentArgs, build};
use super::readings::Readings;
use super::remote::RemoteArgs;
use super::{Error, ExitCode, output};
use dpx_engine::cache::{Cache, Pushed, Remote, TryLock};
use dpx_engine::plan::{Plan, State, decide};
use dpx_engine::run::View;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

/// A bar on a terminal, nothing elsewhere.
fn bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) =
        ProgressStyle::with_template("{msg} {wide_bar:.green} {pos}/{len}  {elapsed}")
    {
        bar.set_style(style);
    }
    bar
}

fn planned(
    arguments: &ExperimentArgs,
    cache: &Cache,
    remote: &RemoteArgs,
) -> Result<(Plan, Remote), Error> {
    let experiment = arguments.load()?;
    let remote = remote.required(Some((&experiment.cache, arguments.file.as_path())))?;
    cache.prepare()?;
    let plan = build(&experiment, &Readings::new(cache.root()))?;
    Ok((plan, remote))
}

/// Sends everything that the experiment has in the cache.
pub(crate) fn push(
    arguments: &ExperimentArgs,
    cache: &Cache,
    remote: &RemoteArgs,
) -> Result<ExitCode, Error> {
    let (plan, remote) = planned(arguments, cache, remote)?;
    let decisions = decide(&plan, &View::new(cache.clone()), &BTreeSet::new());
    let bar = bar(decisions.len() as u64);
    let (mut new, mut already, mut repaired, mut private, mut missing) = (0, 0, 0, 0, 0);
    for decision in &decisions {
        bar.set_message(plan.instances[decision.instance].name.to_string());
        match &decision.state {
            State::Cached { record, .. } => match remote.push(cache, record)? {
                Pushed::New => new += 1,
                Pushed::Already => already += 1,
                Pushed::Repaired => repaired += 1,
                Pushed::Private => private += 1,
                Pushed::ReadOnly => {
                    return Err(Error::usage(format!(
                        "nothing is sent to {}: `[cache] readonly = true`",
                        remote.describe()
                    )));
                }
            },
            State::Run { .. } | State::OnlyIf { .. } => missing += 1,
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let mut told = vec![format!(
        "{}: {new} sent, {already} there already",
        remote.describe()
    )];
    if repaired > 0 {
        told.push(format!(
            "{repaired} sent again: what was there was missing or changed"
        ));
    }
    if private > 0 {
        told.push(format!(
            "{private} hold private texts or figures and stay here (`[cache] private = true` shares them, encrypted)"
        ));
    }
    if missing > 0 {
        told.push(format!("{missing} not in the cache"));
    }
    output::print(&told.join("\n"))?;
    Ok(ExitCode::Done)
}

/// Fetches everything that the experiment needs and the shared cache has.
pub(crate) fn pull(
    arguments: &ExperimentArgs,
    cache: &Cache,
    remote: &RemoteArgs,
) -> Result<ExitCode, Error> {
    let (plan, remote) = planned(arguments, cache, remote)?;
    let bar = bar(plan.instances.len() as u64);
    let (mut fetched, mut bad) = (0, 0);
    let mut asked = BTreeSet::new();
    // What comes first says under which key the next is found.
    let missing = loop {
        let decisions = decide(&plan, &View::new(cache.clone()), &BTreeSet::new());
        let missing = decisions
            .iter()
            .filter(|decision| !decision.state.is_cached());
        let keys: BTreeSet<_> = missing
            .clone()
            .filter_map(|decision| decision.key)
            .collect();
        let new: Vec<_> = keys.into_iter().filter(|key| asked.insert(*key)).collect();
        bar.set_position((plan.instances.len() - missing.clone().count()) as u64);
        if new.is_empty() {
            break missing.count();
        }
        for key in new {
            if let TryLock::Taken(lock) = cache.try_lock(&key, "dpx cache pull")? {
                match remote.pull(cache, &lock) {
                    Ok(found) => fetched += usize::from(found.is_some()),
                    Err(error) => {
                        bad += 1;
                        bar.suspend(|| output::note(&format!("not taken: {error}")));
                    }
                }
            }
        }
    };
    bar.finish_and_clear();
    let mut told = format!(
        "{}: {fetched} fetched, {} not there",
        remote.describe(),
        missing.saturating_sub(bad)
    );
    if bad > 0 {
        let _ = write!(told, ", {bad} bad and not taken");
    }
    output::print(&told)?;
    Ok(if bad == 0 {
        ExitCode::Done
    } else {
        ExitCode::Failed
    })
}

/// Reads and checks everything in the shared cache.
pub(crate) fn verify(remote: &Remote, delete: bool) -> Result<ExitCode, Error> {
    let found = remote.verify(delete)?;
    let mut told: Vec<String> = Vec::new();
    for record in &found.bad_records {
        let whose = if record.own {
            "this key wrote it, and it was changed"
        } else if delete {
            "another key wrote it, or it was changed. It is not removed, since nothing shows that this key wrote it: delete it in \
             the store where it is known to be damage"
        } else {
            "another key wrote it, or it was changed"
        };
        told.push(format!("{}: bad signature ({whose})", record.name));
    }
    for (name, found) in &found.other_versions {
        told.push(format!(
            "{name}: written by another version of dpx ({found}): neither checked nor removed"
        ));
    }
    for (instance, path) in &found.bad_objects {
        told.push(format!("{instance}: `{path}` is missing or was changed"));
    }
    if delete {
        told.push(format!("{} removed", found.removed));
    }
    let sound = if found.is_sound() && found.other_versions.is_empty() {
        ", all sound"
    } else {
        ""
    };
    told.push(format!(
        "{}: read {} records and {} objects{sound}",
        remote.describe(),
        found.records,
        found.objects
    ));
    output::print(&told.join("\n"))?;
    Ok(if found.is_sound() {
        ExitCode::Done
    } else {
        ExitCode::Failed
    })
}

/// Makes room in the shared cache.
pub(crate) fn collect(
    remote: &Remote,
    unused_days: Option<u64>,
    max_gb: Option<f64>,
    yes: bool,
) -> Result<ExitCode, Error> {
    if unused_days.is_none() && max_gb.is_none() {
        return Err(Error::usage(
            "nothing is said that may go: give `--unused-days N` or `--max-gb N`",
        ));
    }
    let unused = unused_days.map(|days| Duration::from_secs(days.saturating_mul(24 * 3600)));
    let most = max_gb.map(|gb| (gb.max(0.0) * 1e9) as u64);
    let garbage = remote.collect(unused, most, yes)?;
    let verb = if yes { "deleted" } else { "would delete" };
    let mut told: Vec<String> = garbage
        .records
        .iter()
        .map(|instance| format!("  {instance}"))
        .collect();
    told.push(format!(
        "{verb} {} records and {} objects ({}); {} records and {} objects ({}) stay",
        garbage.records.len(),
        garbage.objects,
        bytes(garbage.bytes),
        garbage.kept_records,
        garbage.kept_objects,
        bytes(garbage.kept_bytes)
    ));
    if garbage.unopened + garbage.other_versions > 0 {
        told.push(format!(
            "{} of the records cannot be opened: {} written by another key, or changed, and {} by another version of dpx. They stay, \
             and so do {} objects that they may name. `dpx cache verify --remote` names these records; with the key or version \
             that wrote them, `dpx cache gc` clears them",
            garbage.unopened + garbage.other_versions,
            garbage.unopened,
            garbage.other_versions,
            garbage.spared
        ));
    }
    if !yes && (garbage.objects > 0 || !garbage.records.is_empty()) {
        told.push("nothing was deleted: add `--yes` to delete".to_owned());
    }
    output::print(&told.join("\n"))?;
    Ok(ExitCode::Done)
}
