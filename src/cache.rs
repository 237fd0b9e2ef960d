//! `dpx cache`: look into the cache, check it, clean it.

use super::experiment::{CacheArgs, ExperimentArgs};
use super::readings::Readings;
use super::remote::RemoteArgs;
use super::{Error, ExitCode, OrError, cache_remote, output};
use dpx_engine::cache::{Cache, Collection, Roots, TeamKey};
use dpx_engine::clock::duration;
use dpx_engine::plan::decide;
use dpx_engine::run::{View, collect_leftovers};
use dpx_schema::{Key, Record, counted};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Look into the cache, check it, clean it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List what is cached
    Ls {
        #[command(flatten)]
        cache: CacheArgs,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Read everything in the cache; set aside what is damaged, so that the next run rebuilds it
    Verify {
        #[command(flatten)]
        cache: CacheArgs,
        #[command(flatten)]
        remote: RemoteArgs,
        /// Remove what is bad in the remote cache, which is read instead where `--remote` names one
        #[arg(long, requires = "remote")]
        delete: bool,
    },
    /// Send what an experiment has in the cache to the remote cache
    Push {
        #[command(flatten)]
        experiment: ExperimentArgs,
        #[command(flatten)]
        cache: CacheArgs,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Fetch what an experiment needs from the remote cache; runs nothing
    Pull {
        #[command(flatten)]
        experiment: ExperimentArgs,
        #[command(flatten)]
        cache: CacheArgs,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Make a key for a remote cache, for everybody who shares it
    Key {
        /// File to write, which must not exist
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Delete what neither the given experiments nor the last runs need; shows what would go unless `--yes` is given
    Gc {
        /// Experiment files whose instances stay
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        cache: CacheArgs,
        /// What the last N runs had to do with stays, too
        #[arg(long, value_name = "N")]
        keep_runs: Option<usize>,
        /// Delete
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        remote: RemoteArgs,
        /// In the remote cache, which is collected instead where `--remote` names one: what was not used for N days goes
        #[arg(long, value_name = "N", requires = "remote")]
        unused_days: Option<u64>,
        /// In the remote cache: the longest unused goes until at most N gigabytes are left
        #[arg(long, value_name = "N", requires = "remote")]
        max_gb: Option<f64>,
        /// Folder of results, beside which killed runs may have left unfinished copies
        #[arg(long, value_name = "DIR", default_value = "results")]
        results: PathBuf,
    },
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    match &args.verb {
        Verb::Ls { cache, json } => list(&open(cache)?, *json),
        Verb::Verify {
            cache,
            remote,
            delete,
        } => match remote.open(None)? {
            Some(remote) => cache_remote::verify(&remote, *delete),
            None => verify(&open(cache)?),
        },
        Verb::Push {
            experiment,
            cache,
            remote,
        } => cache_remote::push(experiment, &open(cache)?, remote),
        Verb::Pull {
            experiment,
            cache,
            remote,
        } => cache_remote::pull(experiment, &open(cache)?, remote),
        Verb::Key { file } => {
            TeamKey::make(file)?;
            output::print(&format!(
                "{}: give it to whoever shares the cache, by a way that you trust; who has it can read and write what is shared",
                file.display()
            ))?;
            Ok(ExitCode::Done)
        }
        Verb::Gc {
            files,
            cache,
            keep_runs,
            yes,
            remote,
            unused_days,
            max_gb,
            results,
        } => {
            if let Some(remote) = remote.open(None)? {
                return cache_remote::collect(&remote, *unused_days, *max_gb, *yes);
            }
            let code = collect(&open(cache)?, files, *keep_runs, *yes)?;
            if *yes {
                let cleared = collect_leftovers(results)?;
                if cleared > 0 {
                    output::print(&format!(
                        "{cleared} unfinished copies of results in {}: deleted",
                        results.display()
                    ))?;
                }
            }
            Ok(code)
        }
    }
}

fn open(args: &CacheArgs) -> Result<Cache, Error> {
    Ok(Cache::at(&args.cache)?)
}

fn size_of(record: &Record) -> u64 {
    record.output.files.iter().map(|file| file.size).sum()
}

fn list(cache: &Cache, as_json: bool) -> Result<ExitCode, Error> {
    let mut records = cache.records()?;
    records.sort_by(|one, other| {
        (&one.experiment, &one.finished_at).cmp(&(&other.experiment, &other.finished_at))
    });
    if as_json {
        let list: Vec<_> = records
            .iter()
            .map(|record| json!({ "record": record, "whole": cache.is_whole(record) }))
            .collect();
        output::print(&json!({ "version": 1, "records": list }).to_string())?;
        return Ok(ExitCode::Done);
    }
    if records.is_empty() {
        output::print("nothing is cached")?;
        return Ok(ExitCode::Done);
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header([
        "key",
        "experiment",
        "instance",
        "size",
        "worker time",
        "finished",
        "",
    ]);
    for record in &records {
        let state = if cache.is_whole(record) {
            ""
        } else {
            "files missing"
        };
        table.add_row([
            record.key.short(),
            record.experiment.clone(),
            record.instance.to_string(),
            bytes(size_of(record)),
            duration(record.wall_seconds),
            record.finished_at.clone(),
            state.to_owned(),
        ]);
    }
    // Files that several artifacts share are kept once.
    let files: BTreeSet<_> = records
        .iter()
        .flat_map(|record| &record.output.files)
        .map(|file| (file.digest, file.size))
        .collect();
    let total = files.iter().map(|(_, size)| size).sum();
    output::print(&format!(
        "{table}\n{}, {}",
        counted(records.len() as u64, "record"),
        bytes(total)
    ))?;
    Ok(ExitCode::Done)
}

fn verify(cache: &Cache) -> Result<ExitCode, Error> {
    let found = cache.verify()?;
    let mut lines: Vec<String> = Vec::new();
    for digest in &found.damaged_objects {
        lines.push(format!("object {} was damaged: set aside", digest.short()));
    }
    for key in &found.damaged_records {
        lines.push(format!(
            "record {} could not be read: set aside",
            key.short()
        ));
    }
    for (instance, key) in &found.to_rebuild {
        lines.push(format!(
            "{instance} ({}) must be rebuilt: the next run does",
            key.short()
        ));
    }
    let sound = if found.is_sound() { ", all sound" } else { "" };
    lines.push(format!(
        "read {} ({}) and {}{sound}",
        counted(found.objects as u64, "object"),
        bytes(found.bytes),
        found.records
    ));
    output::print(&lines.join("\n"))?;
    Ok(if found.is_sound() {
        ExitCode::Done
    } else {
        ExitCode::Failed
    })
}

fn collect(
    cache: &Cache,
    files: &[PathBuf],
    keep_runs: Option<usize>,
    yes: bool,
) -> Result<ExitCode, Error> {
    let mut keys = BTreeSet::new();
    for file in files {
        keys.extend(keys_of(cache, file)?);
    }
    if let Some(number) = keep_runs {
        for run in cache.runs()?.iter().rev().take(number) {
            keys.extend(run.keys());
        }
    }
    let roots = Roots::new(keys).or_usage()?;
    let collection = if yes {
        cache.collect(&roots)
    } else {
        cache.plan_collection(&roots)
    };
    let collection = collection?;
    output::print(&tell(&collection, yes))?;
    Ok(ExitCode::Done)
}

/// The keys that an experiment has to do with: of its instances, and of the records that they are compared with.
fn keys_of(cache: &Cache, file: &std::path::Path) -> Result<BTreeSet<Key>, Error> {
    let experiment = ExperimentArgs {
        file: file.to_owned(),
        set: Vec::new(),
    };
    let plan = experiment.plan(&Readings::new(cache.root()))?;
    let decisions = decide(&plan, &View::new(cache.clone()), &BTreeSet::new());
    let nearest = decisions
        .iter()
        .filter(|decision| decision.key.is_none())
        .filter_map(|decision| Some(decision.nearest.as_ref()?.key));
    let own = decisions.iter().filter_map(|decision| decision.key);
    Ok(own.chain(nearest).collect())
}

fn tell(collection: &Collection, done: bool) -> String {
    let verb = if done { "deleted" } else { "would delete" };
    let mut lines: Vec<String> = collection
        .doomed
        .iter()
        .filter_map(|doomed| Some(format!("  {}", doomed.instance.as_ref()?)))
        .collect();
    if !lines.is_empty() {
        lines.insert(0, format!("records {verb}:"));
    }
    for (waste, (number, size)) in collection.summary() {
        lines.push(format!("{number} {}: {}", waste.name(), bytes(size)));
    }
    lines.push(format!(
        "{verb} {}; {} with {} stay",
        bytes(collection.freed()),
        counted(collection.kept_records as u64, "record"),
        bytes(collection.kept_bytes)
    ));
    if !done && !collection.doomed.is_empty() {
        lines.push("nothing was deleted: add `--yes` to delete".to_owned());
    }
    lines.join("\n")
}

/// `0 B`, `12.3 kB`, `4.6 MB`.
pub(crate) fn bytes(number: u64) -> String {
    let mut value = number as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB"] {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if unit == "B" {
        format!("{number} B")
    } else {
        format!("{value:.1} {unit}")
    }
}
