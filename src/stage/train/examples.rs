//! The training sequences: one per row, prompt, text and end token, cut, never split; and the canaries of an audit.

use super::keywords::Keywords;
use super::told;
use crate::data::Row;
use crate::dp::key::{Key, Purpose};
use crate::dp::trainer::Examples;
use crate::nn::{Batch, Sequence};
use crate::stage::StageError;
use crate::stage::params::LossOn;
use crate::text::{Prompt, Tokenizer};
use chacha20::cipher::StreamCipher;
use serde::{Deserialize, Serialize};

/// A text that nobody wrote, in the data with probability one half.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::stage) struct Canary {
    pub(in crate::stage) label: String,
    pub(in crate::stage) text: String,
    pub(in crate::stage) included: bool,
    /// Its loss in nats under the public model, before training; none where that is not finite.
    #[serde(default)]
    pub(in crate::stage) base_loss: Option<f64>,
}

/// Words of a canary, letters of a word.
const WORDS: usize = 6;
const LETTERS: usize = 6;

/// Draws canaries, and whether each is planted, from the canary streams of the first key.
pub(super) fn draw(key: &Key, count: u64, labels: &[String]) -> Vec<Canary> {
    (0..count)
        .map(|number| {
            let mut bytes = [0; 2 + WORDS * LETTERS];
            key.stream(Purpose::Canary, 0, number)
                .apply_keystream(&mut bytes);
            let words: Vec<String> = bytes[2..]
                .chunks(LETTERS)
                .map(|word| {
                    word.iter()
                        .map(|byte| char::from(b'a' + byte % 26))
                        .collect()
                })
                .collect();
            let label = labels
                .get(bytes[1] as usize % labels.len().max(1))
                .cloned()
                .unwrap_or_default();
            Canary {
                label,
                text: words.join(" "),
                included: bytes[0] & 1 == 1,
                base_loss: None,
            }
        })
        .collect()
}

/// Encoded rows.
pub(super) struct Encoded {
    rows: Vec<Encoding>,
    longest: usize,
    loss_on: LossOn,
}

struct Encoding {
    ids: Vec<u32>,
    counted_from: usize,
}

impl Encoded {
    /// Encodes every row on its own, with a keyword in its prompt where `keywords` gives it one.
    pub(super) fn new(
        rows: &[Row],
        prompt: &Prompt,
        tokenizer: &Tokenizer,
        keywords: Option<&Keywords>,
        longest: usize,
        loss_on: LossOn,
    ) -> Result<Self, StageError> {
        let mut encoded = Self {
            rows: Vec::with_capacity(rows.len()),
            longest,
            loss_on,
        };
        for row in rows {
            let prefix = match keywords.and_then(|keywords| keywords.of(row)) {
                Some(keyword) => prompt.prefix_with_keyword(&row.label, keyword),
                None => prompt.prefix(&row.label),
            };
            encoded.push(prompt, tokenizer, &prefix, &row.text)?;
        }
        Ok(encoded)
    }

    fn push(
        &mut self,
        prompt: &Prompt,
        tokenizer: &Tokenizer,
        prefix: &str,
        text: &str,
    ) -> Result<(), StageError> {
        let example = prompt
            .encode_after(tokenizer, prefix, text, self.longest)
            .map_err(told)?;
        self.rows.push(Encoding {
            counted_from: match self.loss_on {
                LossOn::Text => example.prompt_length,
                LossOn::All => 1,
            },
            ids: example.ids,
        });
        Ok(())
    }

    /// One row more for each canary; a canary that is not planted leaves its row empty, so that their number stays public.
    pub(super) fn with_canaries(
        mut self,
        canaries: &[Canary],
        prompt: &Prompt,
        tokenizer: &Tokenizer,
    ) -> Result<Self, StageError> {
        for canary in canaries {
            if canary.included {
                self.push(
                    prompt,
                    tokenizer,
                    &prompt.prefix(&canary.label),
                    &canary.text,
                )?;
            } else {
                self.rows.push(Encoding {
                    ids: Vec::new(),
                    counted_from: 0,
                });
            }
        }
        Ok(self)
    }

    /// Enters all rows in a digest.
    pub(super) fn hash(&self, hasher: &mut blake3::Hasher) {
        hasher.update(&(self.rows.len() as u64).to_le_bytes());
        for row in &self.rows {
            hasher.update(&(row.ids.len() as u64).to_le_bytes());
            hasher.update(&(row.counted_from as u64).to_le_bytes());
            for id in &row.ids {
                hasher.update(&id.to_le_bytes());
            }
        }
    }
}

impl Examples for Encoded {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn length(&self, row: usize) -> usize {
        self.rows[row].ids.len()
    }

    fn batch(&self, rows: &[usize]) -> Batch {
        let sequences: Vec<Sequence<'_>> = rows
            .iter()
            .map(|&row| Sequence {
                ids: &self.rows[row].ids,
                counted_from: self.rows[row].counted_from,
            })
            .collect();
        Batch::causal(&sequences)
    }
}
