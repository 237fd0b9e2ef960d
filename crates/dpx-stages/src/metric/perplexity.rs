//! Perplexity of texts under a language model, from the losses of its tokens.

use serde::{Deserialize, Serialize};

/// What a model says of one text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextLoss {
    /// Sum over the text's target tokens of their negative log-likelihood, in nats.
    pub nats: f64,
    /// How many tokens that sum is over.
    pub tokens: u64,
    /// Length of the text in bytes of UTF-8.
    pub bytes: u64,
}

/// Perplexity of a set of texts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Perplexity {
    /// exp of the mean negative log-likelihood per token. Compares only between models of one tokenizer.
    pub perplexity: f64,
    /// Bits per byte of text, which compares between tokenizers too.
    pub bits_per_byte: f64,
    /// Tokens over which the mean was taken.
    pub tokens: u64,
    /// Texts that these tokens are of.
    pub texts: u64,
}

/// The perplexity over all tokens of all texts; nothing where there is no token, or a loss is not finite.
pub(crate) fn perplexity(losses: &[TextLoss]) -> Option<Perplexity> {
    let nats: f64 = losses.iter().map(|loss| loss.nats).sum();
    let tokens: u64 = losses.iter().map(|loss| loss.tokens).sum();
    let bytes: u64 = losses.iter().map(|loss| loss.bytes).sum();
    (tokens > 0 && nats.is_finite()).then(|| Perplexity {
        perplexity: (nats / tokens as f64).exp(),
        bits_per_byte: nats / std::f64::consts::LN_2 / bytes.max(1) as f64,
        tokens,
        texts: losses.len() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_weigh_equally_not_texts() {
        let loss = |nats, tokens| TextLoss {
            nats,
            tokens,
            bytes: 10,
        };
        let found = perplexity(&[loss(1.0, 1), loss(9.0, 3)]).unwrap();
        assert!((found.perplexity - 2.5_f64.exp()).abs() < 1e-9);
        assert!((found.bits_per_byte - 10.0 / std::f64::consts::LN_2 / 20.0).abs() < 1e-12);
        assert!(perplexity(&[]).is_none());
        assert!(perplexity(&[loss(f64::NAN, 1)]).is_none());
    }
}
