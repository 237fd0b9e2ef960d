//! What is printed while a run goes on: bars on a terminal, lines elsewhere, versioned JSON lines on request.

use super::Observer;
use super::event::{Event, Finish, Outcome, Planned, Stamped};
use crate::clock::duration;
use anstyle::{AnsiColor, Style};
use dpx_schema::{InstanceName, printable, printable_lines};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Yellow.on_default();

/// One line about what a run is going to do: how much is cached, how much runs, how long that took in earlier runs.
pub(crate) fn summary_line(experiment: &str, instances: &[Planned]) -> String {
    let count = |state: &str| instances.iter().filter(|one| one.state == state).count();
    let (cached, run, only_if) = (count("cached"), count("run"), count("only-if"));
    let mut parts = vec![format!("{experiment}: {cached} cached, {run} to run")];
    if only_if > 0 {
        parts.push(format!("{only_if} to re-run if their inputs change"));
    }
    let to_run = || instances.iter().filter(|one| one.state == "run");
    let known: Vec<f64> = to_run().filter_map(|one| one.estimate).collect();
    if !known.is_empty() {
        let rest = run - known.len();
        let of = if rest == 0 {
            String::new()
        } else {
            format!(" for {} of them", known.len())
        };
        let total = duration(known.iter().sum());
        parts.push(format!("about {total}{of}, estimated from earlier runs"));
    }
    parts.join(", ")
}

/// What people are told of an event, as lines; none where it only moves a bar.
fn describe(event: &Event) -> Option<String> {
    Some(match event {
        Event::RunStarted {
            experiment,
            instances,
            ..
        } => summary_line(experiment, instances),
        Event::Unchanged { instance, .. } => {
            format!("{instance}: {GOOD}cached{GOOD:#}, its inputs did not change")
        }
        Event::Waiting {
            instance, owner, ..
        } => {
            let owner = owner
                .as_ref()
                .map_or_else(|| "another process".to_owned(), ToString::to_string);
            format!("{instance}: {NOTE}waiting{NOTE:#} for {owner}")
        }
        Event::Started {
            instance, reasons, ..
        } => {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            format!("{instance}: started ({})", reasons.join("; "))
        }
        Event::Placed { instance, place } => format!("{instance}: {place}"),
        Event::Damaged { instance, what } => {
            format!("{instance}: {NOTE}runs again{NOTE:#}: {what}")
        }
        Event::Finished {
            instance,
            how,
            seconds: took,
            ..
        } => match how {
            Finish::Ran => format!("{instance}: {GOOD}done{GOOD:#} in {}", duration(*took)),
            Finish::Adopted => {
                format!("{instance}: {GOOD}done{GOOD:#}, finished by a worker of an earlier run")
            }
            Finish::Reused => format!("{instance}: {GOOD}done{GOOD:#} by another run"),
            Finish::Pulled => format!("{instance}: {GOOD}done{GOOD:#}, from the remote cache"),
        },
        Event::Failed { .. } => failure(event)?,
        Event::Stopped { instance } => format!("{instance}: {NOTE}stopped{NOTE:#}"),
        Event::Interrupted { count: 1 } => {
            "stopping at the next checkpoint; again to kill".to_owned()
        }
        Event::Interrupted { .. } => "killing the workers".to_owned(),
        Event::RunFinished {
            outcome,
            ran,
            cached,
            failed,
            not_run,
            seconds: took,
        } => {
            let word = match outcome {
                Outcome::Done => format!("{GOOD}done{GOOD:#}"),
                Outcome::Failed => format!("{BAD}failed{BAD:#}"),
                Outcome::Interrupted => format!("{NOTE}interrupted{NOTE:#}"),
            };
            let took = duration(*took);
            let mut parts = vec![format!("{word} in {took}: {ran} ran, {cached} cached")];
            for (names, what) in [(failed, "failed"), (not_run, "not run")] {
                if !names.is_empty() {
                    parts.push(format!("{} {what} ({})", names.len(), names.join(", ")));
                }
            }
            parts.join(", ")
        }
        Event::Progress { .. } | Event::Log { .. } => return None,
    })
}

/// A failure in full: instance, cause, last lines, log, and the command that re-runs just it.
pub(super) fn failure(event: &Event) -> Option<String> {
    let Event::Failed {
        instance,
        reason,
        log,
        last_lines,
        command,
        ..
    } = event
    else {
        return None;
    };
    let mut lines = vec![format!("{instance}: {BAD}failed{BAD:#}: {reason}")];
    let told = last_lines.iter().filter(|line| !line.ends_with(reason));
    lines.extend(told.map(|line| format!("  | {line}")));
    lines.push(format!("  log:   {}", log.display()));
    lines.push(format!("  again: {command}"));
    Some(lines.join("\n"))
}

/// The failures of a run once more, for its end.
pub fn failures_again(failures: &[Event]) -> String {
    let told: Vec<String> = failures.iter().filter_map(failure).collect();
    told.join("\n")
}

/// Plain lines on standard error, for logs and pipes.
#[derive(Debug, Default)]
pub struct PlainLines;

impl Observer for PlainLines {
    fn observe(&mut self, event: &Event) {
        if let Some(text) = describe(event) {
            // Nobody may be left to read; the run goes on.
            let text = shown(&text);
            drop(writeln!(anstream::stderr().lock(), "{text}"));
        }
    }
}

/// What stages and files say, without commands to a terminal; colors are dpx's own.
fn shown(text: &str) -> String {
    let parts = text.split("\u{1b}[");
    let parts = parts.enumerate().map(|(at, part)| {
        let color = part.find('m').filter(|end| {
            at > 0
                && part[..*end]
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b';')
        });
        match color {
            Some(end) => format!(
                "\u{1b}[{}{}",
                &part[..=end],
                printable_lines(&part[end + 1..])
            ),
            None => printable_lines(part),
        }
    });
    parts.collect()
}

/// Every event as one line of JSON on standard output.
#[derive(Debug, Default)]
pub struct JsonLines {
    lost: Arc<OnceLock<String>>,
}

impl JsonLines {
    /// Why events were lost is left in `lost`: an observer cannot end a run. A closed pipe is no loss, since nobody listens.
    pub const fn new(lost: Arc<OnceLock<String>>) -> Self {
        Self { lost }
    }
}

impl Observer for JsonLines {
    fn observe(&mut self, event: &Event) {
        if let Ok(mut line) = serde_json::to_vec(&Stamped::now(event)) {
            line.push(b'\n');
            let mut stdout = std::io::stdout().lock();
            let written = stdout.write_all(&line).and_then(|()| stdout.flush());
            if let Err(error) = written
                && error.kind() != std::io::ErrorKind::BrokenPipe
            {
                drop(self.lost.set(error.to_string()));
            }
        }
    }
}

/// Progress bars on standard error: one for the whole, one per running instance; finished ones scroll above.
#[derive(Debug)]
pub struct Bars {
    screen: MultiProgress,
    total: ProgressBar,
    running: BTreeMap<InstanceName, ProgressBar>,
    left: Left,
}

/// What is left of the whole study.
#[derive(Debug, Default)]
struct Left {
    experiment: String,
    /// Workers at most.
    jobs: usize,
    /// Seconds of each instance that is not finished, where earlier runs or its own progress tell.
    seconds: BTreeMap<InstanceName, Option<f64>>,
    started: BTreeMap<InstanceName, Instant>,
}

impl Left {
    fn follow(&mut self, event: &Event) {
        match event {
            Event::RunStarted {
                experiment,
                jobs,
                instances,
                ..
            } => {
                self.experiment.clone_from(experiment);
                self.jobs = *jobs;
                let open = instances.iter();
                let open = open.filter(|one| matches!(one.state, "run" | "only-if"));
                self.seconds = open
                    .map(|one| (one.instance.clone(), one.estimate))
                    .collect();
            }
            Event::Started { instance, .. } => {
                self.started.insert(instance.clone(), Instant::now());
            }
            Event::Progress { instance, update } => {
                if let (Some(started), Some(seconds)) =
                    (self.started.get(instance), self.seconds.get_mut(instance))
                    && update.done > 0
                    && update.total >= update.done
                {
                    let each = started.elapsed().as_secs_f64() / update.done as f64;
                    *seconds = Some(each * update.total as f64);
                }
            }
            Event::Finished { instance, .. }
            | Event::Unchanged { instance, .. }
            | Event::Failed { instance, .. }
            | Event::Stopped { instance } => {
                self.seconds.remove(instance);
                self.started.remove(instance);
            }
            _ => {}
        }
    }

    /// `emotion, about 3m 20s left`.
    fn message(&self) -> String {
        let known: f64 = self
            .seconds
            .iter()
            .filter_map(|(instance, seconds)| {
                let begun = self.started.get(instance);
                let passed = begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
                Some(((*seconds)? - passed).max(0.0))
            })
            .sum();
        let unknown = self
            .seconds
            .values()
            .filter(|seconds| seconds.is_none())
            .count();
        let at_once = self.jobs.clamp(1, self.seconds.len().max(1));
        let mut text = self.experiment.clone();
        if known > 0.0 {
            let _ = write!(text, ", about {} left", duration(known / at_once as f64));
        }
        if unknown > 0 && known > 0.0 {
            let _ = write!(text, " and {unknown} that never ran");
        }
        text
    }
}

impl Default for Bars {
    fn default() -> Self {
        let screen = MultiProgress::new();
        let total = screen.add(ProgressBar::new(0));
        total.set_style(style("{msg} {wide_bar:.green} {pos}/{len}  {elapsed}"));
        Self {
            screen,
            total,
            running: BTreeMap::new(),
            left: Left::default(),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

impl Bars {
    fn remove(&mut self, instance: &str) {
        if let Some(bar) = self.running.remove(instance) {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
    }

    fn move_bars(&mut self, event: &Event) {
        self.left.follow(event);
        self.total.set_message(self.left.message());
        match event {
            Event::RunStarted { instances, .. } => {
                let asked = instances.iter().filter(|one| one.state != "not-asked");
                let cached = instances.iter().filter(|one| one.state == "cached");
                self.total.set_length(asked.count() as u64);
                self.total.set_position(cached.count() as u64);
                self.total.enable_steady_tick(Duration::from_millis(500));
            }
            Event::Started { instance, .. } => {
                let bar = self.screen.add(ProgressBar::new_spinner());
                bar.set_style(style("  {spinner} {prefix} {wide_msg} {elapsed}"));
                bar.set_prefix(instance.to_string());
                bar.enable_steady_tick(Duration::from_millis(500));
                self.running.insert(instance.clone(), bar);
            }
            Event::Progress { instance, update } => {
                if let Some(bar) = self.running.get(instance) {
                    if update.total > 0 && bar.length() != Some(update.total) {
                        bar.set_length(update.total);
                        let unit = update.unit;
                        bar.set_style(style(&format!(
                            "  {{spinner}} {{prefix}} {{bar:12.cyan}} {{pos}}/{{len}} {unit} {{wide_msg}} {{elapsed}}, {{eta}} left",
                        )));
                    }
                    bar.set_position(update.done);
                    bar.set_message(printable(&update.to_string()));
                }
            }
            Event::Finished { instance, .. } | Event::Unchanged { instance, .. } => {
                self.remove(instance);
                self.total.inc(1);
            }
            Event::Failed { instance, .. } | Event::Stopped { instance } => self.remove(instance),
            Event::Damaged { .. } => self
                .total
                .set_position(self.total.position().saturating_sub(1)),
            Event::RunFinished { .. } => self.total.finish_and_clear(),
            Event::Placed { instance, place } => {
                if let Some(bar) = self.running.get(instance) {
                    bar.set_message(printable(place));
                }
            }
            Event::Waiting { .. } | Event::Log { .. } | Event::Interrupted { .. } => {}
        }
    }
}

impl Observer for Bars {
    fn observe(&mut self, event: &Event) {
        self.move_bars(event);
        // A bar says as much as the line about its start.
        if matches!(event, Event::Started { .. } | Event::Placed { .. }) {
            return;
        }
        if let Some(text) = describe(event) {
            self.screen
                .suspend(|| drop(writeln!(anstream::stderr().lock(), "{}", shown(&text))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_states_and_estimates() {
        let planned = |state, estimate| Planned {
            instance: "x".into(),
            state,
            key: None,
            estimate,
        };
        let line = summary_line(
            "emotion",
            &[
                planned("cached", Some(9.0)),
                planned("run", Some(100.0)),
                planned("run", None),
                planned("only-if", Some(5.0)),
            ],
        );
        insta::assert_snapshot!(line, @"emotion: 1 cached, 2 to run, 1 to re-run if their inputs change, about 1m 40s for 1 of them, estimated from earlier runs");
    }

    #[test]
    fn the_time_left_is_that_of_the_whole_study() {
        let planned = |instance: &str, state, estimate| Planned {
            instance: instance.into(),
            state,
            key: None,
            estimate,
        };
        let mut left = Left::default();
        left.follow(&Event::RunStarted {
            run: "1".into(),
            experiment: "emotion".into(),
            dpx_version: "0",
            pid: 1,
            host: "here".into(),
            jobs: 2,
            devices: Vec::new(),
            instances: vec![
                planned("a", "cached", Some(500.0)),
                planned("b", "run", Some(100.0)),
                planned("c", "run", Some(300.0)),
                planned("d", "run", None),
            ],
        });
        assert_eq!(
            left.message(),
            "emotion, about 3m 20s left and 1 that never ran"
        );
        for instance in ["c", "d"] {
            left.follow(&Event::Stopped {
                instance: instance.into(),
            });
        }
        assert_eq!(
            left.message(),
            "emotion, about 1m 40s left",
            "one instance fills one worker"
        );
    }

    #[test]
    fn a_failure_names_everything() {
        let event = Event::Failed {
            instance: "train@epsilon=8".into(),
            key: dpx_schema::Digest::of(b"k"),
            reason: "out of memory".into(),
            log: "cache/runs/1/000-train.log".into(),
            last_lines: vec!["step 3".into(), "error: out of memory".into()],
            command: "dpx run emotion.toml --only train@epsilon=8".into(),
        };
        let text = anstream::adapter::strip_str(&failure(&event).unwrap()).to_string();
        insta::assert_snapshot!(text, @r"
        train@epsilon=8: failed: out of memory
          | step 3
          log:   cache/runs/1/000-train.log
          again: dpx run emotion.toml --only train@epsilon=8
        ");
    }
}
