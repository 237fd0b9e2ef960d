//! `dpx status`: what a run in another terminal is at.

use super::experiment::CacheArgs;
use super::{Error, ExitCode, output};
use dpx_engine::cache::Cache;
use dpx_engine::clock::duration;
use dpx_engine::run::{InstanceStatus, RunStatus};
use serde_json::json;

/// Show running studies, or the last one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    cache: CacheArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let runs = Cache::at(&args.cache.cache)?.runs()?;
    let mut shown: Vec<RunStatus> = runs
        .iter()
        .filter(|run| run.live)
        .filter_map(RunStatus::read)
        .collect();
    if shown.is_empty() {
        shown.extend(runs.iter().rev().find_map(RunStatus::read));
    }
    if args.json {
        output::print(&json!({ "version": 1, "runs": shown }).to_string())?;
    } else if shown.is_empty() {
        output::print("no run yet")?;
    } else {
        let told: Vec<String> = shown.iter().map(tell).collect();
        output::print(&told.join("\n\n"))?;
    }
    Ok(ExitCode::Done)
}

fn tell(run: &RunStatus) -> String {
    let mut lines = vec![format!(
        "{} {}{}{}",
        run.experiment,
        match run.state.as_str() {
            "died" | "failed" => run.state.clone(),
            "interrupted" => "was interrupted".to_owned(),
            state => format!("is {state}"),
        },
        match (&run.started, run.pid) {
            (Some(started), Some(pid)) => {
                let host = run.host.as_ref().map(|host| format!(" on {host}"));
                format!(
                    ", begun {started} by process {pid}{}",
                    host.unwrap_or_default()
                )
            }
            _ => String::new(),
        },
        if run.state == "died" {
            ": its runner ended without a word, and the same `dpx run` goes on"
        } else {
            ""
        }
    )];
    lines.push(format!("  {}", queue(run)));
    let longest = run
        .instances
        .iter()
        .map(|one| one.instance.chars().count())
        .max()
        .unwrap_or(0);
    for one in &run.instances {
        let line = format!(
            "  {:longest$}  {:9}  {}",
            one.instance,
            one.state,
            note(one)
        );
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

/// How many instances are in which state, and what the queue is going to take.
fn queue(run: &RunStatus) -> String {
    let count = |states: &[&str]| {
        let all = run.instances.iter();
        all.filter(|one| states.contains(&one.state.as_str()))
            .count()
    };
    let mut parts = Vec::new();
    for (states, word) in [
        (&["done", "cached"][..], "finished"),
        (&["running"][..], "running"),
        (&["run", "only-if"][..], "queued"),
        (&["waiting"][..], "waiting for another process"),
        (&["failed"][..], "failed"),
        (&["stopped"][..], "stopped"),
    ] {
        let number = count(states);
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    if let Some(jobs) = run
        .jobs
        .filter(|_| run.state == "running" && count(&["running"]) > 0)
    {
        parts.push(format!("at most {jobs} at once"));
    }
    parts.join(", ")
}

fn note(one: &InstanceStatus) -> String {
    let mut parts = Vec::new();
    if let Some(live) = &one.live {
        if live.total > 0 {
            parts.push(format!("{} of {} {}", live.done, live.total, live.unit));
        }
        let told = live.to_string();
        if !told.is_empty() {
            parts.push(told);
        }
    }
    let running = one.state == "running";
    if let (true, Some(since)) = (running, elapsed(one.since.as_deref())) {
        parts.push(format!("for {}", duration(since)));
    }
    if let Some(took) = one.seconds {
        let last_time = matches!(
            one.state.as_str(),
            "running" | "run" | "only-if" | "waiting"
        );
        let verb = if last_time { "previous run:" } else { "took" };
        parts.push(format!("{verb} {}", duration(took)));
    }
    parts.extend(one.note.clone());
    parts.join(", ")
}

fn elapsed(since: Option<&str>) -> Option<f64> {
    let since: jiff::Timestamp = since?.parse().ok()?;
    Some(dpx_engine::clock::now().duration_since(since).as_secs_f64())
}
