//! `dpx fetch`: downloads all that a file needs and runs nothing.

use super::experiment::{ExperimentArgs, build};
use super::{Error, ExitCode, download, families, output};
use dpx_data::{HubName, Role, Source, hub};
use dpx_engine::plan::{SourceError, Sources};
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
    let plan = build(&experiment, &names)?;
    let hub = hub::Hub::from_env();
    let names = names.0.into_inner();
    // What cannot be computed is told before anything is downloaded.
    for (_, name) in names.iter().filter(|(role, _)| *role == Role::Model) {
        families::of_hub(&hub, name)?;
    }
    families::uses(&plan, true, || Ok(families::all(&plan)))?;
    for (role, name) in &names {
        let snapshot = download::one(&hub, *role, name)?;
        output::print(&format!(
            "{} in {}",
            name.at(&snapshot.commit),
            snapshot.folder.display()
        ))?;
    }
    if names.is_empty() {
        output::print("the file names nothing on the Hub: nothing to fetch")?;
    }
    Ok(ExitCode::Done)
}

/// Remembers every name on the Hub that a plan asks for.
#[derive(Default)]
struct Names(RefCell<BTreeSet<(Role, HubName)>>);

impl Sources for Names {
    fn identity(&self, role: Role, source: &Source) -> Result<String, SourceError> {
        if let Source::Hub(name) = source {
            self.0.borrow_mut().insert((role, name.clone()));
        }
        Ok("to be fetched".to_owned())
    }
}
