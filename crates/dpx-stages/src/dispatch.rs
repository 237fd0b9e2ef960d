//! From a kind to the function that does it.

use dpx_schema::{Kind, StageContext, StageError};

/// Runs a stage: reads the inputs, writes the artifact to the output folder.
///
/// # Errors
/// Whatever the stage fails with; [`StageError::interrupted`] is set where it stopped at a checkpoint, as asked.
pub fn run(context: &StageContext<'_>) -> Result<(), StageError> {
    match context.kind {
        Kind::Preprocess => super::preprocess::run(context),
        Kind::Pretrain => super::pretrain::run(context),
        Kind::Counts => super::counts::run(context),
        Kind::Teacher => super::teacher::run(context),
        Kind::Sample => super::sample::run(context),
        Kind::Classify => super::classify::run(context),
        Kind::Score => super::score::run(context),
        Kind::Train => super::train::run(context),
        Kind::Audit => super::audit::run(context),
    }
}
