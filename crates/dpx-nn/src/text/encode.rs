//! Prompts as token ids.

use super::{Joined, TextError, Tokenizer};
use dpx_schema::Prompt;
use std::ops::Range;

/// The tokens of a training sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedExample {
    /// Prompt, text, end token; at most as long as asked.
    pub ids: Vec<u32>,
    /// Number of leading ids that belong to the prompt, on which there is no loss.
    pub prompt_length: usize,
    /// Tokens at its end that there was no room for.
    pub cut: usize,
    /// Whether the text spelled a special token, which was read as plain text.
    pub typed: bool,
    /// Whether prompt and text would share a token, so that they were read one by one.
    pub apart: bool,
}

impl Joined {
    /// The sequence with the token that ends it, cut off after `max_seq_len` tokens.
    pub fn ended(mut self, end: Option<u32>, max_seq_len: usize) -> EncodedExample {
        self.ids.extend(end);
        let cut = self.ids.len().saturating_sub(max_seq_len);
        self.ids.truncate(max_seq_len);
        EncodedExample {
            prompt_length: self.prompt_length.min(max_seq_len),
            ids: self.ids,
            cut,
            typed: self.typed,
            apart: self.apart,
        }
    }
}

/// A prompt in a tokenizer's ids.
pub trait EncodePrompt {
    /// The ids a generator is given for a prefix: a begin token where the model expects one, then the prefix.
    ///
    /// # Errors
    /// When the tokenizer fails.
    fn encode_prefix(&self, tokenizer: &Tokenizer, prefix: &str) -> Result<Vec<u32>, TextError>;

    /// The training sequence of a label and a text: prompt, text, end token, cut off after `max_seq_len` tokens (a text is
    /// never split over several sequences; one example is one sequence). The text is what people wrote: special tokens that it
    /// spells are plain text.
    ///
    /// # Errors
    /// When the tokenizer fails.
    fn encode(
        &self,
        tokenizer: &Tokenizer,
        label: &str,
        text: &str,
        max_seq_len: usize,
    ) -> Result<EncodedExample, TextError>;

    /// The training sequence of a text after any prompt, such as one with a keyword; as [`Self::encode`].
    ///
    /// # Errors
    /// When the tokenizer fails.
    fn encode_after(
        &self,
        tokenizer: &Tokenizer,
        prefix: &str,
        text: &str,
        max_seq_len: usize,
    ) -> Result<EncodedExample, TextError>;

    /// Prompt and text without an end; `data` are the parts of the text that people wrote.
    ///
    /// # Errors
    /// When the tokenizer fails.
    fn join(
        &self,
        tokenizer: &Tokenizer,
        prefix: &str,
        text: &str,
        data: &[Range<usize>],
    ) -> Result<Joined, TextError>;
}

impl EncodePrompt for Prompt {
    fn encode_prefix(&self, tokenizer: &Tokenizer, prefix: &str) -> Result<Vec<u32>, TextError> {
        let mut ids = Vec::new();
        if tokenizer.starts_with_bos() {
            ids.extend(tokenizer.special().bos);
        }
        ids.extend(tokenizer.encode(prefix)?);
        Ok(ids)
    }

    fn encode(
        &self,
        tokenizer: &Tokenizer,
        label: &str,
        text: &str,
        max_seq_len: usize,
    ) -> Result<EncodedExample, TextError> {
        self.encode_after(tokenizer, &self.prefix(label), text, max_seq_len)
    }

    fn encode_after(
        &self,
        tokenizer: &Tokenizer,
        prefix: &str,
        text: &str,
        max_seq_len: usize,
    ) -> Result<EncodedExample, TextError> {
        let data = [Range {
            start: 0,
            end: text.len(),
        }];
        let joined = self.join(tokenizer, prefix, text, &data)?;
        Ok(joined.ended(tokenizer.end(), max_seq_len))
    }

    fn join(
        &self,
        tokenizer: &Tokenizer,
        prefix: &str,
        text: &str,
        data: &[Range<usize>],
    ) -> Result<Joined, TextError> {
        let gap = self.gap().len();
        let data: Vec<Range<usize>> = data
            .iter()
            .map(|part| part.start + gap..part.end + gap)
            .collect();
        tokenizer.encode_joined(prefix, &self.body(text), &data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{BpeOptions, train_bpe};
    use dpx_schema::LabelIntegration;

    #[test]
    fn a_prompt_is_the_start_of_its_sequence() {
        let tokenizer = train_bpe(
            ["joy: i am so glad", "fear: i am afraid"]
                .iter()
                .cycle()
                .take(20),
            &BpeOptions {
                vocabulary_size: 300,
                ..BpeOptions::default()
            },
        )
        .unwrap();
        let prompt = Prompt::parse("{label}: {text}", LabelIntegration::Prefix).unwrap();
        let example = prompt
            .encode(&tokenizer, "joy", "i am so glad", 100)
            .unwrap();
        let alone = prompt
            .encode_prefix(&tokenizer, &prompt.prefix("joy"))
            .unwrap();
        assert_eq!(example.ids[..example.prompt_length], alone);
        assert_eq!(example.ids.last(), tokenizer.end().as_ref());
        let whole = tokenizer.encode("joy: i am so glad").unwrap();
        assert_eq!(example.ids[..example.ids.len() - 1], whole);
        let short = prompt.encode(&tokenizer, "joy", "i am so glad", 3).unwrap();
        assert_eq!(short.ids, example.ids[..3]);
        assert_eq!((example.cut, short.cut), (0, example.ids.len() - 3));
    }
}
