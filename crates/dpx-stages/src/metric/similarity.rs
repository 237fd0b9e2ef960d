//! Semantic similarity of two sets of labelled texts: mean cosine, never over pairs of one text each.

use super::Embeddings;
use serde::{Deserialize, Serialize};

/// Mean cosine between synthetic and real texts of the same label.
///
/// With unit vectors and `m_l` the mean of the real texts of label `l`, the similarity of a synthetic text `s` of label
/// `l` is `s . m_l`, the mean of its cosines to all real texts of its label; [`SetSimilarity::forward`] is the mean of that
/// over the synthetic texts, [`SetSimilarity::backward`] the same with the roles exchanged (each real text against the
/// synthetic texts of its label). The two differ only by how often each label occurs on either side. Range -1 to 1; a
/// value says nothing by itself: compare it with the ceiling, the same figure of real against other real texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetSimilarity {
    /// Mean over synthetic texts of their mean cosine to the real texts of their label.
    pub forward: f64,
    /// Mean over real texts of their mean cosine to the synthetic texts of their label.
    pub backward: f64,
    /// Per label, in order: the mean cosine over all pairs; nothing where one side has no text of the label.
    pub per_label: Vec<Option<f64>>,
    /// Synthetic texts that were compared (those whose label has a real text).
    pub n_synthetic: u64,
    /// Real texts that were compared (those whose label has a synthetic text).
    pub n_real: u64,
}

/// The similarity of synthetic to real texts; labels are indices below `labels`. Nothing where no label occurs on both sides.
pub(crate) fn set_similarity(
    synthetic: &Embeddings,
    synthetic_labels: &[usize],
    real: &Embeddings,
    real_labels: &[usize],
    labels: usize,
) -> Option<SetSimilarity> {
    let (synthetic_means, synthetic_counts) = label_means(synthetic, synthetic_labels, labels);
    let (real_means, real_counts) = label_means(real, real_labels, labels);
    let per_label: Vec<Option<f64>> = (0..labels)
        .map(|label| {
            (synthetic_counts[label] > 0 && real_counts[label] > 0).then(|| {
                synthetic_means[label]
                    .iter()
                    .zip(&real_means[label])
                    .map(|(a, b)| a * b)
                    .sum()
            })
        })
        .collect();
    let weighted = |counts: &[u64]| {
        let mut sum = 0.0;
        let mut total = 0;
        for (cosine, &count) in per_label.iter().zip(counts) {
            if let Some(cosine) = cosine {
                sum += cosine * count as f64;
                total += count;
            }
        }
        (total > 0).then(|| (sum / total as f64, total))
    };
    let (forward, n_synthetic) = weighted(&synthetic_counts)?;
    let (backward, n_real) = weighted(&real_counts)?;
    Some(SetSimilarity {
        forward,
        backward,
        per_label,
        n_synthetic,
        n_real,
    })
}

/// Per label the mean of its unit vectors and their number.
fn label_means(
    embeddings: &Embeddings,
    labels_of: &[usize],
    labels: usize,
) -> (Vec<Vec<f64>>, Vec<u64>) {
    let mut means = vec![vec![0.0; embeddings.width()]; labels];
    let mut counts = vec![0_u64; labels];
    let unit = embeddings.normalized();
    for (row, &label) in unit.rows().zip(labels_of) {
        if label < labels {
            counts[label] += 1;
            for (sum, &value) in means[label].iter_mut().zip(row) {
                *sum += f64::from(value);
            }
        }
    }
    for (mean, &count) in means.iter_mut().zip(&counts) {
        for value in mean {
            *value /= (count.max(1)) as f64;
        }
    }
    (means, counts)
}
