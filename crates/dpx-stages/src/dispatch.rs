//! From a kind to the function that does it.

use dpx_schema::{Finish, Kind, StageContext, StageResult};

/// Runs a stage: reads the inputs, writes the artifact to the output folder. What it gives back is to be run once the
/// artifact is safe.
///
/// # Errors
/// Whatever the stage fails with; [`StageError::interrupted`] is set where it stopped at a checkpoint, as asked.
pub fn run(context: &StageContext<'_>) -> StageResult {
    let done = match context.kind {
        Kind::Counts => return super::counts::run(context),
        Kind::Teacher => return super::teacher::run(context),
        Kind::Select => return super::select::run(context),
        Kind::Train => return super::train::run(context),
        Kind::Preprocess => super::preprocess::run(context),
        Kind::Pretrain => super::pretrain::run(context),
        Kind::Sample => super::sample::run(context),
        Kind::Classify => super::classify::run(context),
        Kind::Score => super::score::run(context),
        Kind::Audit => super::audit::run(context),
    };
    done.map(|()| Finish::nothing())
}
