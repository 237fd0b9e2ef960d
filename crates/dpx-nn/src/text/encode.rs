//! Prompts as token ids.

use super::{TextError, Tokenizer};
use dpx_schema::Prompt;

/// The tokens of a training sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedExample {
    /// Prompt, text, end token; at most as long as asked.
    pub ids: Vec<u32>,
    /// Number of leading ids that belong to the prompt, on which there is no loss.
    pub prompt_length: usize,
    /// Tokens at its end that there was no room for.
    pub cut: usize,
}

/// A prompt in a tokenizer's ids.
pub trait EncodePrompt {
    /// The ids a generator is given for a prefix: a begin token where the model expects one, then the prefix.
    ///
    /// # Errors
    /// When the tokenizer fails.
    fn encode_prefix(&self, tokenizer: &Tokenizer, prefix: &str) -> Result<Vec<u32>, TextError>;

    /// The training sequence of a label and a text: prompt, text, end token, cut off after `max_seq_len` tokens (a text is
    /// never split over several sequences; one example is one sequence).
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
        let mut ids = self.encode_prefix(tokenizer, prefix)?;
        let prompt_length = ids.len().min(max_seq_len);
        ids.extend(tokenizer.encode(&self.body(text))?);
        ids.extend(tokenizer.end());
        let cut = ids.len().saturating_sub(max_seq_len);
        ids.truncate(max_seq_len);
        Ok(EncodedExample {
            ids,
            prompt_length,
            cut,
        })
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
