//! `dpx attach`: follow a run from another terminal.

use super::experiment::CacheArgs;
use super::{Error, ExitCode, output};
use dpx_engine::cache::{Cache, RunFile};
use dpx_engine::run::{Follow, line_for_people, outcome};
use std::time::Duration;

/// How often the journal is read.
const LOOK: Duration = Duration::from_millis(300);

/// Follow a run until it ends, and end as it does; leaving this command leaves the run alone.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run [default: the last one]
    #[arg(value_name = "RUN")]
    run: Option<String>,
    #[command(flatten)]
    cache: CacheArgs,
    /// Print the lines of the journal as they are
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let cache = Cache::at(&args.cache.cache)?;
    let run = run_named(&cache, args.run.as_deref())?;
    let id = run.id.clone();
    let mut follow = Follow::new(run);
    loop {
        // Asked before the journal is read: what a run says last is not missed.
        let live = cache.runs()?.iter().any(|run| run.id == id && run.live);
        for line in follow.lines() {
            if args.json {
                output::print(&line.to_string())?;
            } else if let Some(text) = line_for_people(&line) {
                output::print(&text)?;
            }
            if let Some(outcome) = outcome(&line) {
                return Ok(match outcome {
                    "done" => ExitCode::Done,
                    "interrupted" => ExitCode::Interrupted,
                    _ => ExitCode::Failed,
                });
            }
        }
        if !live {
            return Err(Error::failed(format!("the run {id} ended without a word: it was killed, or its machine stopped"))
                .hint("`dpx run` with the same file goes on where it was, and takes over workers that live"));
        }
        std::thread::sleep(LOOK);
    }
}

/// The run of a name, or the last one: of those that live if any does.
pub(crate) fn run_named(cache: &Cache, name: Option<&str>) -> Result<RunFile, Error> {
    let runs = cache.runs()?;
    let found = match name {
        Some(name) => runs.iter().find(|run| run.id == name),
        None => runs.iter().rev().find(|run| run.live).or(runs.last()),
    };
    found.cloned().ok_or_else(|| {
        let root = cache.root().display();
        match name {
            Some(name) => Error::usage(format!("the cache `{root}` knows no run `{name}`")),
            None => Error::usage(format!("the cache `{root}` knows no run")),
        }
        .hint("`dpx status` shows runs; `--cache DIR` names another cache")
    })
}
