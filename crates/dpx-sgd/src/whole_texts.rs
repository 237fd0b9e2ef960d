//! Texts that are learned whole, without a prompt: what devices are checked and timed with.

use super::trainer::{Examples, Idle};
use dpx_nn::{Batch, Sequence};

/// Rows of one text each, of which every token but the first is a target.
#[derive(Debug, Clone)]
pub struct WholeTexts {
    /// Token ids of each row; a row without any trains nothing.
    pub ids: Vec<Vec<u32>>,
    /// Most tokens that a text may have, whether or not one has so many: shapes follow from it, so that it may not depend on
    /// private texts.
    pub max_seq_len: usize,
}

impl Examples for WholeTexts {
    fn rows(&self) -> usize {
        self.ids.len()
    }

    fn length(&self, row: usize) -> usize {
        self.ids[row].len()
    }

    fn batch(&self, rows: &[usize], idle: Idle<'_>) -> Batch {
        let sequences: Vec<_> = rows
            .iter()
            .map(|&row| Sequence::whole(&self.ids[row]))
            .collect();
        Batch::causal_with_idle(&sequences, idle.lengths, idle.every_row)
    }

    fn inputs(&self, row: usize) -> Vec<usize> {
        vec![Sequence::whole(&self.ids[row]).inputs()]
    }

    fn max_seq_len(&self) -> usize {
        self.max_seq_len
    }
}
