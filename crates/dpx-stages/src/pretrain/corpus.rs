//! The public lines: reading, holding out, encoding, and which of them a step sees.

use super::order;
use dpx_data::{Role, Source};
use dpx_nn::text::Tokenizer;
use dpx_schema::{Context, StageError};
use std::sync::Mutex;

/// Encoded lines. A line that is the start of a sequence for one in eight begins with the end token, so that the model can
/// also write without any prompt.
pub(super) struct Corpus {
    pub(super) train: Vec<Vec<u32>>,
    pub(super) validation: Vec<Vec<u32>>,
    /// The order of the epoch that was asked for last.
    epoch: Mutex<(u64, Vec<u32>)>,
}

/// Reads the lines of all sources in order: text files, plain or `.gz`; empty lines are skipped.
pub(super) fn read(sources: &[String]) -> Result<Vec<String>, StageError> {
    let mut lines = Vec::new();
    for source in sources {
        let text =
            dpx_data::public_text(Role::Corpus, &Source::parse(source)).context("`corpus`")?;
        lines.extend(
            text.lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(str::to_owned),
        );
    }
    if lines.is_empty() {
        return Err(StageError::new(format!(
            "`corpus` ({}) holds no line of text",
            sources.join(", ")
        )));
    }
    Ok(lines)
}

impl Corpus {
    /// Encodes lines as sequences of at most `max_seq_len` tokens, line and end token; holds out the share whose hash is lowest,
    /// so that equal lines are held out together.
    pub(super) fn encode(
        lines: &[String],
        tokenizer: &Tokenizer,
        max_seq_len: usize,
        validation_share: f64,
    ) -> Result<Self, StageError> {
        let encoded = tokenizer.encode_all(lines)?;
        let end = tokenizer.end();
        let (mut train, mut validation) = (Vec::new(), Vec::new());
        for (line, ids) in lines.iter().zip(encoded) {
            let hash = blake3::hash(line.as_bytes());
            let mut word = [0; 8];
            word.copy_from_slice(&hash.as_bytes()[..8]);
            let place = u64::from_le_bytes(word) as f64 / u64::MAX as f64;
            let start = end.filter(|_| hash.as_bytes()[8].is_multiple_of(8));
            let mut sequence: Vec<u32> = start.into_iter().chain(ids).chain(end).collect();
            sequence.truncate(max_seq_len);
            if sequence.len() < 2 {
                continue;
            }
            if place < validation_share {
                validation.push(sequence);
            } else {
                train.push(sequence);
            }
        }
        if train.is_empty() {
            return Err(StageError::new("the corpus leaves no line to train on"));
        }
        Ok(Self {
            train,
            validation,
            epoch: Mutex::new((u64::MAX, Vec::new())),
        })
    }

    /// Number of tokens to train on.
    pub(super) fn tokens(&self) -> usize {
        self.train.iter().map(Vec::len).sum()
    }

    /// The rows of a step: every row once in each epoch, in a new order each time.
    pub(super) fn rows_of_step(&self, seed: u64, step: u64, batch_size: u64) -> Vec<usize> {
        let rows = self.train.len() as u64;
        let mut epoch = self
            .epoch
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        (step * batch_size..(step + 1) * batch_size)
            .map(|place| {
                let number = place / rows;
                if epoch.0 != number {
                    *epoch = (number, order(seed, number, rows as usize));
                }
                epoch.1[(place % rows) as usize] as usize
            })
            .collect()
    }
}
