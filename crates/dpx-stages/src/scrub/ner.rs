//! Named entities by a token classifier in the Hugging Face layout, with any set of labels.

use super::entities::{Tag, spans};
use super::{Scrubber, Span};
use dpx_nn::model::{Classifier, Head, groups, load_classifier};
use dpx_nn::text::{AlignedEncoding, Tokenizer};
use dpx_schema::{Device, StageError};
use std::path::Path;

/// Most tokens computed at once.
const TOKENS: usize = 4096;

/// A scrubber that asks a token classifier.
#[derive(Debug)]
pub struct Ner {
    model: Classifier,
    tokenizer: Tokenizer,
    tags: Vec<Tag>,
}

/// A part of a text that fits the model, with the tokens before it.
struct Window {
    text: usize,
    first: usize,
    ids: Vec<u32>,
    /// Whether a begin token was put before the window's own tokens.
    framed: bool,
}

impl Ner {
    /// Reads a model folder onto a device.
    ///
    /// # Errors
    /// When it holds no token classifier with a tokenizer.
    pub fn load(folder: impl AsRef<Path>, device: Device) -> Result<Self, StageError> {
        let folder = folder.as_ref();
        let model = load_classifier(folder, device)?;
        if model.config().head != Head::TokenClassification {
            return Err(StageError::new(format!(
                "`{}` classifies texts, not tokens: scrubbing needs a `...ForTokenClassification`",
                folder.display()
            )));
        }
        let tokenizer = Tokenizer::load(folder)?;
        let tags = model
            .labels()
            .iter()
            .map(|label| Tag::parse(label))
            .collect();
        Ok(Self {
            model,
            tokenizer,
            tags,
        })
    }

    /// Cuts the tokens of a text into windows that the model takes, between words.
    fn windows(&self, text: usize, encoding: &AlignedEncoding) -> Vec<Window> {
        let max_seq_len = self.model.config().max_positions();
        if encoding.ids.len() <= max_seq_len {
            return vec![Window {
                text,
                first: 0,
                ids: encoding.ids.clone(),
                framed: false,
            }];
        }
        let special = self.tokenizer.special();
        let room = max_seq_len.saturating_sub(2).max(1);
        let (mut windows, mut first) = (Vec::new(), 1);
        // The special tokens at both ends are left out and put around every window.
        let last = encoding.ids.len() - 1;
        while first < last {
            let mut end = (first + room).min(last);
            while end < last && end > first + 1 && encoding.words[end] == encoding.words[end - 1] {
                end -= 1;
            }
            let mut ids = vec![special.cls.or(special.bos).unwrap_or(encoding.ids[0])];
            ids.extend(&encoding.ids[first..end]);
            ids.push(encoding.ids[last]);
            windows.push(Window {
                text,
                first,
                ids,
                framed: true,
            });
            first = end;
        }
        windows
    }
}

impl Scrubber for Ner {
    fn find(&self, texts: &[&str]) -> Result<Vec<Vec<Span>>, StageError> {
        let encodings = texts
            .iter()
            .map(|text| self.tokenizer.encode_aligned(text))
            .collect::<Result<Vec<_>, _>>()?;
        let windows: Vec<Window> = encodings
            .iter()
            .enumerate()
            .filter(|(_, encoding)| !encoding.ids.is_empty())
            .flat_map(|(text, encoding)| self.windows(text, encoding))
            .collect();
        let outside = Tag::parse("O");
        let mut tags: Vec<Vec<&Tag>> = encodings
            .iter()
            .map(|encoding| vec![&outside; encoding.ids.len()])
            .collect();
        let lengths: Vec<usize> = windows.iter().map(|window| window.ids.len()).collect();
        for group in groups(&lengths, TOKENS) {
            let sequences: Vec<&[u32]> = group
                .iter()
                .map(|index| windows[*index].ids.as_slice())
                .collect();
            let scores = self.model.logits(&sequences)?.to_vec();
            let mut rows = scores.chunks_exact(self.tags.len());
            for index in group {
                let window = &windows[index];
                for place in 0..window.ids.len() {
                    let row = rows.next().ok_or_else(|| {
                        StageError::new("the model gave fewer scores than tokens")
                    })?;
                    let own = !window.framed || (place > 0 && place + 1 < window.ids.len());
                    if own {
                        let token = window.first + place - usize::from(window.framed);
                        tags[window.text][token] = &self.tags[best(row)];
                    }
                }
            }
        }
        Ok(encodings
            .iter()
            .enumerate()
            .map(|(index, encoding)| spans(texts[index], encoding, &tags[index]))
            .collect())
    }
}

fn best(scores: &[f32]) -> usize {
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = index;
        }
    }
    best
}

#[cfg(test)]
mod tests;
