//! How many texts of each label are asked for.

use super::keywords::places;
use crate::counts::NoisyCounts;
use dpx_schema::StageError;
use dpx_schema::params::LabelCounts;

/// Texts by label, in the order of the declared labels; `private` holds the noisy counts where they were paid for.
pub(super) fn by_label(
    wanted: &LabelCounts,
    count: u64,
    labels: &[String],
    private: Option<&NoisyCounts>,
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
        LabelCounts::Private => {
            let private = private.ok_or_else(|| {
                StageError::new(
                    "`labels = \"private\"` needs the noisy counts of a `counts` stage: add one to `needs`",
                )
            })?;
            let shares = private.label_shares();
            let places = places(private, labels)?;
            let shares: Vec<f64> = places.into_iter().map(|place| shares[place]).collect();
            Ok(apportion(count, &shares))
        }
        LabelCounts::Uniform => {
            let share = count / labels.len() as u64;
            let rest = count % labels.len() as u64;
            Ok((0..labels.len() as u64)
                .map(|label| share + u64::from(label < rest))
                .collect())
        }
    }
}

/// Whole numbers that add up to `count` in proportion to shares that add up to 1, by largest remainders (Hamilton); of equal
/// remainders the first comes first.
fn apportion(count: u64, shares: &[f64]) -> Vec<u64> {
    let exact: Vec<f64> = shares.iter().map(|share| share * count as f64).collect();
    let mut counts: Vec<u64> = exact.iter().map(|value| value.floor() as u64).collect();
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by(|one, other| exact[*other].fract().total_cmp(&exact[*one].fract()));
    let rest = count.saturating_sub(counts.iter().sum());
    for label in order.into_iter().cycle().take(rest as usize) {
        counts[label] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Noisy;

    #[test]
    fn private_shares_become_whole_numbers_that_add_up() {
        assert_eq!(apportion(10, &[0.55, 0.25, 0.2]), [6, 2, 2]);
        assert_eq!(apportion(7, &[0.5, 0.0, 0.5]), [4, 0, 3]);
        assert_eq!(apportion(0, &[1.0]), [0]);
    }

    #[test]
    fn private_counts_are_taken_by_name() {
        let private = NoisyCounts {
            labels: vec!["fear".into(), "joy".into()],
            label_counts: Noisy {
                cells: vec![30.0, 10.0],
                noise_std: 1.0,
            },
            combinations: None,
            keywords: Vec::new(),
            keywords_per_text: 2,
            keyword_counts: Noisy::default(),
            length_edges: Vec::new(),
            length_counts: Noisy::default(),
            threshold: 2.5,
        };
        let labels = ["joy".to_owned(), "fear".to_owned()];
        let counts = by_label(&LabelCounts::Private, 8, &labels, Some(&private)).unwrap();
        assert_eq!(counts, [2, 6]);
    }
}
