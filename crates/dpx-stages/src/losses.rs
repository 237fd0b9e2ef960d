//! The loss of each of many texts under a causal language model, as `score`, `train` and `audit` measure it.

use crate::metric::perplexity::TextLoss;
use dpx_nn::model::{CausalLm, groups};
use dpx_nn::text::{EncodePrompt, Tokenizer};
use dpx_nn::{Batch, Network, Sequence};
use dpx_schema::conversation::{ChatTemplate, Conversation};
use dpx_schema::{Prompt, StageError};
use std::ops::Range;

/// Longest text whose loss is measured, in tokens.
pub(super) const MAX_SEQ_LEN: usize = 128;

/// Longest conversation whose loss is measured, in tokens.
pub(super) const MAX_CONVERSATION: usize = 1024;

/// The tokens of a text by itself, cut off after `max_seq_len`. Special tokens that it spells are plain text, as in training.
pub(super) fn whole_text(
    tokenizer: &Tokenizer,
    text: &str,
    max_seq_len: usize,
) -> Result<Vec<u32>, StageError> {
    let mut ids: Vec<u32> = tokenizer.special().bos.into_iter().collect();
    let data = [Range {
        start: 0,
        end: text.len(),
    }];
    ids.extend(tokenizer.encode_passage(text, &data)?.ids);
    ids.extend(tokenizer.end());
    ids.truncate(max_seq_len);
    Ok(ids)
}

/// What texts are given to a model with, so that they read as in its training.
#[derive(Clone, Copy, Default)]
pub(super) struct Given<'a> {
    /// Texts stand after it, and only the text counts; none: the whole of a text by itself.
    pub(super) prompt: Option<&'a Prompt>,
    /// How conversations are written, where not as their text.
    pub(super) template: Option<&'a ChatTemplate>,
}

impl Given<'_> {
    /// The tokens of a text, cut to so many, from which of them on the loss counts, and the bytes of the text.
    fn tokens(
        self,
        tokenizer: &Tokenizer,
        (label, text): (&str, &str),
        max_seq_len: usize,
    ) -> Result<(Vec<u32>, usize, usize), StageError> {
        let Some(prompt) = self.prompt else {
            return Ok((whole_text(tokenizer, text, max_seq_len)?, 1, text.len()));
        };
        // What is no conversation is trained as it is.
        if let Some(template) = self.template
            && let Ok(conversation) = Conversation::parse(text)
        {
            let (text, data) = template.render_with_places(&conversation);
            let joined = prompt.join(tokenizer, &prompt.prefix(label), &text, &data)?;
            let found = joined.ended(tokenizer.id(&template.end), max_seq_len);
            return Ok((found.ids, found.prompt_length, text.len()));
        }
        let found = prompt.encode(tokenizer, label, text, max_seq_len)?;
        Ok((found.ids, found.prompt_length, text.len()))
    }
}

/// The loss of each text, given as (label, text) and cut to `max_seq_len` tokens.
pub(super) fn text_losses(
    model: &CausalLm,
    tokenizer: &Tokenizer,
    given: Given<'_>,
    max_seq_len: usize,
    micro_batch_tokens: usize,
    texts: &[(&str, &str)],
) -> Result<Vec<TextLoss>, StageError> {
    let encoded = texts
        .iter()
        .map(|text| given.tokens(tokenizer, *text, max_seq_len))
        .collect::<Result<Vec<_>, StageError>>()?;
    let lengths: Vec<usize> = encoded.iter().map(|(ids, ..)| ids.len()).collect();
    let nothing = TextLoss {
        nats: 0.0,
        tokens: 0,
        bytes: 0,
    };
    let mut losses = vec![nothing; texts.len()];
    for group in groups(&lengths, micro_batch_tokens) {
        let sequences: Vec<Sequence<'_>> = group
            .iter()
            .map(|&index| Sequence {
                ids: &encoded[index].0,
                counted_from: encoded[index].1,
            })
            .collect();
        let found = model.forward_loss(&Batch::causal(&sequences))?;
        for (&index, mean) in group.iter().zip(found) {
            let (ids, from, bytes) = &encoded[index];
            let tokens = ids.len().saturating_sub((*from).max(1)) as u64;
            losses[index] = TextLoss {
                nats: mean * tokens as f64,
                tokens,
                bytes: *bytes as u64,
            };
        }
    }
    Ok(losses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpx_nn::text::{BpeOptions, train_bpe};
    use dpx_schema::LabelIntegration;
    use dpx_schema::conversation::Around;

    /// Scores read texts as training does: one end, at the end, whatever people typed.
    #[test]
    fn spelled_special_tokens_are_plain_text() {
        let lines = ["User: i am glad", "<|endoftext|> [u] [/u]"];
        let tokenizer = train_bpe(
            lines.iter().cycle().take(20),
            &BpeOptions {
                vocabulary_size: 300,
                ..BpeOptions::default()
            },
        )
        .unwrap();
        let end = tokenizer.end().unwrap();
        let around = Around {
            before: "<|endoftext|>[u]".into(),
            behind: "[/u]".into(),
        };
        let template = ChatTemplate {
            opening: String::new(),
            system: around.clone(),
            user: around.clone(),
            assistant: around,
            end: "<|endoftext|>".into(),
        };
        let prompt = Prompt::parse("{label}: {text}", LabelIntegration::Prefix).unwrap();
        let ends = |given: Given<'_>, text: &str| {
            let (ids, from, _) = given.tokens(&tokenizer, ("joy", text), 100).unwrap();
            ids[from..].iter().filter(|id| **id == end).count()
        };
        let prompted = Given {
            prompt: Some(&prompt),
            template: None,
        };
        assert_eq!(ends(prompted, "i am <|endoftext|> glad"), 1);
        assert_eq!(ends(Given::default(), "i am <|endoftext|> glad"), 1);
        // Two turns of a template that begins each with that token, and the end.
        let conversation = Given {
            template: Some(&template),
            ..prompted
        };
        assert_eq!(ends(conversation, "User: hi\nAssistant: hi"), 3);
    }
}
