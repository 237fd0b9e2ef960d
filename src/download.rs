//! Downloads from the Hub with a bar per file, before anything is run.

use super::{Error, output};
use dpx_data::{DataError, HubName, Role, hub};
use dpx_engine::run::HubAsset;
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

/// How often the bar is drawn anew where nothing arrives.
const TICK: Duration = Duration::from_millis(500);

/// Below this many columns there is no room for a bar beside a file's name.
const NARROW: usize = 80;

/// Downloads what is not there yet, so that workers find everything on this machine, and offline too.
pub(super) fn assets(assets: &BTreeSet<HubAsset>) -> Result<(), Error> {
    let hub = hub::Hub::from_env();
    for asset in assets {
        one(&hub, asset.role, &asset.name.at(&asset.commit))?;
        hub.remember(asset.role, &asset.name, &asset.commit)?;
    }
    Ok(())
}

/// Downloads one model or dataset.
pub(super) fn one(hub: &hub::Hub, role: Role, name: &HubName) -> Result<hub::Snapshot, Error> {
    let mut bar = Bar {
        repository: &name.repository,
        file: None,
    };
    let snapshot = hub.fetch(role, name, &mut bar);
    bar.end(snapshot.is_ok());
    Ok(snapshot?)
}

/// Downloads one file of a model or dataset; none where it does not have it.
pub(super) fn file(
    hub: &hub::Hub,
    role: Role,
    name: &HubName,
    file: &str,
) -> Result<Option<PathBuf>, DataError> {
    let mut bar = Bar {
        repository: &name.repository,
        file: None,
    };
    let found = hub.file(role, name, file, &mut bar);
    bar.end(found.is_ok());
    found
}

/// Begins to read the GGUF file of a model; none where it is none.
pub(super) fn gguf(hub: &hub::Hub, name: &HubName) -> Result<Option<hub::Opened>, DataError> {
    let mut bar = Bar {
        repository: &name.repository,
        file: None,
    };
    hub.gguf(name, &mut bar)
}

/// A bar while a file arrives, hidden where standard error is no terminal; then a line that says so.
struct Bar<'a> {
    repository: &'a str,
    file: Option<(String, ProgressBar)>,
}

/// Speed and time left, once enough has arrived to tell them.
fn speed(state: &ProgressState, out: &mut dyn Write) {
    let per_second = state.per_sec();
    if state.elapsed() > TICK * 2 && per_second >= 1.0 {
        let speed = HumanBytes(per_second as u64);
        // A terminal that cannot be written to is not what a download fails of.
        let _ = write!(out, ", {speed}/s, {} left", HumanDuration(state.eta()));
    }
}

impl Bar<'_> {
    /// Ends the bar of a file; nothing is said of one that did not arrive, since an error follows.
    fn end(&mut self, arrived: bool) {
        let Some((file, bar)) = self.file.take() else {
            return;
        };
        let size = HumanBytes(bar.position());
        bar.finish_and_clear();
        if arrived {
            output::note(&format!("hf:{}: {file}, {size}", self.repository));
        }
    }

    fn begin(&mut self, file: &str, done: u64, total: u64) {
        let bar = ProgressBar::new(total).with_position(done);
        let template = if super::results::width() < NARROW {
            "{wide_msg} {bytes}/{total_bytes}"
        } else {
            "{msg} [{wide_bar}] {bytes}/{total_bytes}{speed}"
        };
        let style = ProgressStyle::with_template(template).expect("the template is well formed");
        bar.set_style(style.with_key("speed", speed));
        bar.set_message(file.to_owned());
        // What an earlier attempt left counts for nothing in the speed.
        bar.reset_eta();
        bar.enable_steady_tick(TICK);
        self.file = Some((file.to_owned(), bar));
    }
}

impl hub::Progress for Bar<'_> {
    fn update(&mut self, file: &str, done: u64, total: u64) {
        match &self.file {
            Some((name, bar)) if name == file => bar.set_position(done),
            _ => {
                self.end(true);
                self.begin(file, done, total);
            }
        }
    }

    fn waiting(&mut self, _file: &str, why: &str, pause: Duration) {
        // Short pauses are over before the line is read.
        if pause >= Duration::from_secs(3) {
            output::note(&format!(
                "hf:{}: {why}; next attempt in {} seconds",
                self.repository,
                pause.as_secs()
            ));
        }
    }

    fn blocked(&mut self, file: &str) {
        let repository = self.repository;
        output::note(&format!(
            "hf:{repository}: waiting for another process that downloads {file}"
        ));
    }
}
