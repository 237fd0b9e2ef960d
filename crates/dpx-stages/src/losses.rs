//! The loss of each of many texts under a causal language model, as `score`, `train` and `audit` measure it.

use crate::metric::perplexity::TextLoss;
use dpx_nn::model::{CausalLm, groups};
use dpx_nn::text::{EncodePrompt, Tokenizer};
use dpx_nn::{Batch, Network, Sequence};
use dpx_schema::Prompt;
use dpx_schema::StageError;

/// Longest text whose loss is measured, in tokens.
pub(super) const MAX_SEQ_LEN: usize = 128;

/// Longest conversation whose loss is measured, in tokens.
pub(super) const MAX_CONVERSATION: usize = 1024;

/// The tokens of a text by itself, cut off after `max_seq_len`.
pub(super) fn whole_text(
    tokenizer: &Tokenizer,
    text: &str,
    max_seq_len: usize,
) -> Result<Vec<u32>, StageError> {
    let mut ids: Vec<u32> = tokenizer.special().bos.into_iter().collect();
    ids.extend(tokenizer.encode(text)?);
    ids.extend(tokenizer.end());
    ids.truncate(max_seq_len);
    Ok(ids)
}

/// The loss of each text, given as (label, text) and cut to `max_seq_len` tokens. With a prompt, texts stand after it and only
/// the text counts; without one, the whole.
pub(super) fn text_losses(
    model: &CausalLm,
    tokenizer: &Tokenizer,
    prompt: Option<&Prompt>,
    max_seq_len: usize,
    micro_batch_tokens: usize,
    texts: &[(&str, &str)],
) -> Result<Vec<TextLoss>, StageError> {
    let encoded = texts
        .iter()
        .map(|(label, text)| {
            if let Some(prompt) = prompt {
                let found = prompt.encode(tokenizer, label, text, max_seq_len)?;
                return Ok((found.ids, found.prompt_length));
            }
            Ok((whole_text(tokenizer, text, max_seq_len)?, 1))
        })
        .collect::<Result<Vec<_>, StageError>>()?;
    let lengths: Vec<usize> = encoded.iter().map(|(ids, _)| ids.len()).collect();
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
            let (ids, from) = &encoded[index];
            let tokens = ids.len().saturating_sub((*from).max(1)) as u64;
            losses[index] = TextLoss {
                nats: mean * tokens as f64,
                tokens,
                bytes: texts[index].1.len() as u64,
            };
        }
    }
    Ok(losses)
}
