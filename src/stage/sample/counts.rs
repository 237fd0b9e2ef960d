//! How many texts of each label are asked for.

use crate::stage::StageError;
use crate::stage::params::LabelCounts;

/// Texts by label, in the order of the declared labels.
pub(super) fn by_label(
    wanted: &LabelCounts,
    count: u64,
    labels: &[String],
) -> Result<Vec<u64>, StageError> {
    match wanted {
        LabelCounts::Table(table) => {
            if let Some(unknown) = table.keys().find(|label| !labels.contains(label)) {
                return Err(StageError::new(format!(
                    "`labels` asks for `{unknown}`, which the model does not declare: it knows `{}`",
                    labels.join("`, `")
                )));
            }
            let counts: Vec<u64> = labels
                .iter()
                .map(|label| table.get(label).copied().unwrap_or(0))
                .collect();
            if counts.iter().all(|count| *count == 0) {
                return Err(StageError::new("`labels` asks for no text at all"));
            }
            Ok(counts)
        }
        LabelCounts::Uniform | LabelCounts::Private => {
            let share = count / labels.len() as u64;
            let rest = count % labels.len() as u64;
            Ok((0..labels.len() as u64)
                .map(|label| share + u64::from(label < rest))
                .collect())
        }
    }
}
