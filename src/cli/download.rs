//! Downloads from the Hub with a bar per file, before anything is run.

use super::Error;
use crate::data::{self, hub};
use crate::run::HubAsset;
use crate::spec::Role;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeSet;

/// Downloads what is not there yet, so that workers find everything on this machine, and offline too.
pub(super) fn assets(assets: &BTreeSet<HubAsset>) -> Result<(), Error> {
    let hub = hub::Hub::from_env();
    for asset in assets {
        let role = role(asset.role);
        one(&hub, role, &asset.repository, &asset.commit)?;
        hub.remember(role, &asset.repository, &asset.revision, &asset.commit)
            .map_err(|error| Error::failed(error.to_string()))?;
    }
    Ok(())
}

/// Downloads one model or dataset.
pub(super) fn one(
    hub: &hub::Hub,
    role: data::Role,
    repository: &str,
    revision: &str,
) -> Result<hub::Snapshot, Error> {
    let mut bar = Bar::default();
    let snapshot = hub.fetch(role, repository, revision, &mut bar);
    bar.finish();
    snapshot.map_err(|error| Error::failed(error.to_string()))
}

pub(super) fn role(role: Role) -> data::Role {
    if role == Role::Dataset {
        data::Role::Dataset
    } else {
        data::Role::Model
    }
}

/// A bar per file; hidden where standard error is no terminal.
#[derive(Default)]
struct Bar(Option<(String, ProgressBar)>);

impl Bar {
    fn finish(&self) {
        if let Some((_, bar)) = &self.0 {
            bar.finish();
        }
    }
}

impl hub::Progress for Bar {
    fn update(&mut self, file: &str, done: u64, total: u64) {
        if self.0.as_ref().is_none_or(|(name, _)| name != file) {
            self.finish();
            let bar = ProgressBar::new(total);
            let template = "{msg} [{wide_bar}] {bytes}/{total_bytes} ({eta})";
            bar.set_style(
                ProgressStyle::with_template(template).expect("the template is well formed"),
            );
            bar.set_message(file.to_owned());
            self.0 = Some((file.to_owned(), bar));
        }
        if let Some((_, bar)) = &self.0 {
            bar.set_position(done);
        }
    }
}
