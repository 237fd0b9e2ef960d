//! `dpx fetch`: downloads all that a file needs and runs nothing.

use super::experiment::{ExperimentArgs, build};
use super::{Error, ExitCode, output};
use crate::data::{self, hub};
use crate::plan::{SourceError, Sources};
use crate::spec::{Role, Source};
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Download the models and datasets that an experiment file names, and run nothing.
///
/// They are kept in the standard cache folder of the Hugging Face Hub (HF_HOME), where `dpx run` finds them without network.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    experiment: ExperimentArgs,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let experiment = args.experiment.load()?;
    let names = Names::default();
    build(&experiment, &names)?;
    let hub = hub::Hub::from_env();
    let names = names.0.into_inner();
    for (is_dataset, repository, revision) in &names {
        let role = if *is_dataset {
            data::Role::Dataset
        } else {
            data::Role::Model
        };
        let mut bar = Bar::default();
        let snapshot = hub.fetch(role, repository, revision, &mut bar);
        bar.finish();
        let snapshot = snapshot.map_err(|error| Error::failed(error.to_string()))?;
        output::print(&format!(
            "hf:{repository}@{} in {}",
            snapshot.commit,
            snapshot.folder.display()
        ))?;
    }
    if names.is_empty() {
        output::print("the file names nothing on the Hub: nothing to fetch")?;
    }
    Ok(ExitCode::Done)
}

/// Remembers every name on the Hub that a plan asks for: whether it is a dataset, repository, revision.
#[derive(Default)]
struct Names(RefCell<BTreeSet<(bool, String, String)>>);

impl Sources for Names {
    fn identity(&self, role: Role, source: &Source) -> Result<String, SourceError> {
        if let Source::Hub {
            repository,
            revision,
        } = source
        {
            let revision = revision.clone().unwrap_or_else(|| "main".to_owned());
            let name = (role == Role::Dataset, repository.clone(), revision);
            self.0.borrow_mut().insert(name);
        }
        Ok("to be fetched".to_owned())
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
