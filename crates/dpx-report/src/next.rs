//! What to do after a study: release the row that is fit for use, or what keeps all of them from it.

use super::study::{GuaranteeKind, Row, Study};
use super::verdict::offered;
use dpx_engine::run::shell_word;

/// What follows a rehearsal, finished or not.
pub const REHEARSED: &str = "this was a rehearsal on public texts: it tells what the settings do and how long they take, not what your data will give; release nothing of it";

/// Said of a study that writes no texts.
pub(crate) const NO_TEXTS: &str = "no stage of this study writes texts: one of `kind = \"sample\"` does, and `dpx release` shares them";

/// The sentence after a finished study; `release` is the command that releases of it.
pub fn next(study: &Study, release: &str) -> String {
    if study.rehearsal {
        return REHEARSED.to_owned();
    }
    let command = |row: &Row| format!("{release} --row {} --out FOLDER", shell_word(&row.name));
    if let Some(row) = offered(study) {
        return format!("to share texts: {}", command(row));
    }
    let with_texts = |kind: GuaranteeKind| {
        let mut rows = study.rows.iter();
        rows.find(|row| row.guarantee.kind == kind && !row.samples.is_empty())
    };
    if with_texts(GuaranteeKind::Dp).is_some() {
        return "no row is offered for release: none is clearly better than what costs less (see the verdicts); more texts, larger batches, a larger model or a divided budget help: docs/choosing.md".to_owned();
    }
    if study.rows.iter().all(|row| row.samples.is_empty()) {
        return NO_TEXTS.to_owned();
    }
    match with_texts(GuaranteeKind::Untouched) {
        Some(row) => format!(
            "no row was trained under a guarantee: give the sweep an epsilon above 0 and leave `noise` secure\n\
             the texts of {} used no private data and can be released: {}",
            row.name,
            command(row)
        ),
        None => "no row has a guarantee, so none can be released: give the sweep an epsilon and leave `noise` secure".to_owned(),
    }
}
