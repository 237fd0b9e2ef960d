//! Which plans and records are those of a rehearsal: the same study on public texts, by `dpx rehearse`.

use super::Plan;
use crate::cache::REHEARSAL;
use dpx_schema::{Kind, Record};
use std::path::Path;

/// What follows the name of a study in that of its rehearsal.
const ENDING: &str = "-rehearsal";

/// The name of the rehearsal of a study.
pub fn rehearsal_of(study: &str) -> String {
    format!("{study}{ENDING}")
}

impl Plan {
    /// Whether the study reads the stand-ins that `dpx rehearse` wrote, and nothing else. A name alone does not tell: a study
    /// of private data may be called anything.
    pub fn is_rehearsal(&self) -> bool {
        let Some(study) = self.experiment.strip_suffix(ENDING) else {
            return false;
        };
        let mut data = self
            .instances
            .iter()
            .filter(|instance| instance.kind == Kind::Preprocess)
            .peekable();
        let stands_in = |dataset: &str, stage: &str| {
            Path::new(dataset).ends_with(Path::new(REHEARSAL).join(study).join(stage))
        };
        data.peek().is_some()
            && data.all(|instance| {
                let dataset = instance.params["dataset"].as_str();
                dataset.is_some_and(|dataset| stands_in(dataset, &instance.stage))
            })
    }
}

/// Whether the name of a study is that of a rehearsal.
pub(super) fn is_named_so(experiment: &str) -> bool {
    experiment.ends_with(ENDING)
}

/// Whether a record was made under such a name.
pub(super) fn is_of_one(record: &Record) -> bool {
    is_named_so(&record.experiment)
}
