//! Choosing the next token from logits.

use crate::seed::Stream;
use std::cmp::Ordering;

/// How the next token is drawn. The order is that of `transformers`: repetition penalty, temperature, top-k, top-p.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the likeliest token (the first among equals).
    pub temperature: f64,
    /// Keep only so many likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the fewest likeliest tokens that together reach this probability (Holtzman et al. 2020).
    pub top_p: f64,
    /// Divides the positive and multiplies the negative logits of tokens in prompt and text (Keskar et al. 2019).
    pub repetition_penalty: f64,
    /// Adds so many times the difference between the logits after the prompt and those after a request's negative prompt:
    /// classifier-free guidance with a negative prompt (Sanchez et al. 2023, arXiv:2306.17806, eq. 7), among the tokens that
    /// top-k and top-p keep. 0 reads no negative prompt.
    pub guidance: f64,
    /// Most tokens written after the prompt.
    pub max_new_tokens: usize,
    /// Tokens that end a text; they are not part of it.
    pub end_tokens: Vec<u32>,
    /// Tokens that are never written.
    pub suppressed: Vec<u32>,
}

impl Default for Sampling {
    /// Plain sampling from the softmax, without an end.
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            repetition_penalty: 1.0,
            guidance: 0.0,
            max_new_tokens: 48,
            end_tokens: Vec::new(),
            suppressed: Vec::new(),
        }
    }
}

/// A token with its unnormalised probability.
type Weighed = (u32, f64);

/// Likelier first; equals by number, so that the order is total and the same everywhere.
fn likelier(left: &Weighed, right: &Weighed) -> Ordering {
    right.1.total_cmp(&left.1).then(left.0.cmp(&right.0))
}

impl Sampling {
    /// Draws the next token. `logits` holds one number per token of the vocabulary and is used up, as is `against`, the
    /// logits after a negative prompt; `written` are the tokens of prompt and text so far. Takes exactly one number of the
    /// stream unless the temperature is 0.
    pub fn choose(
        &self,
        logits: &mut [f32],
        against: Option<&mut [f32]>,
        written: &[u32],
        stream: &mut Stream,
    ) -> u32 {
        self.penalise(logits, written);
        let against = against.map(|against| {
            self.penalise(against, written);
            &*against
        });
        if self.temperature == 0.0 {
            if let Some(against) = against {
                for (logit, other) in logits.iter_mut().zip(against) {
                    if logit.is_finite() {
                        *logit += self.guidance as f32 * (*logit - other);
                    }
                }
            }
            return greedy(logits);
        }
        let draw = stream.uniform();
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if !highest.is_finite() {
            // Nothing is left to choose from, or a logit overflowed: the likeliest is all that can be said.
            return greedy(logits);
        }
        let mut weights: Vec<Weighed> = logits
            .iter()
            .enumerate()
            .map(|(token, logit)| {
                let scaled = f64::from(*logit - highest) / self.temperature;
                (
                    token as u32,
                    if scaled.is_nan() { 0.0 } else { scaled.exp() },
                )
            })
            .collect();
        if self.top_k > 0 {
            keep_likeliest(&mut weights, self.top_k);
        }
        if self.top_p < 1.0 {
            keep_mass(&mut weights, self.top_p);
        }
        if let Some(against) = against {
            self.guide(&mut weights, logits, against);
        }
        pick(&weights, draw)
    }

    /// Weighs the tokens that are left by how much the prompt speaks for them beside the negative prompt.
    fn guide(&self, weights: &mut [Weighed], logits: &[f32], against: &[f32]) {
        let lead = |token: u32| {
            let (logit, other) = (logits[token as usize], against[token as usize]);
            f64::from(logit) - f64::from(other)
        };
        let scale = self.guidance / self.temperature;
        let most = weights
            .iter()
            .map(|(token, _)| lead(*token))
            .filter(|lead| lead.is_finite())
            .fold(f64::NEG_INFINITY, f64::max);
        for (token, weight) in weights {
            let lead = lead(*token);
            if lead.is_finite() {
                *weight *= (scale * (lead - most)).exp();
            }
        }
    }

    fn penalise(&self, logits: &mut [f32], written: &[u32]) {
        if self.repetition_penalty != 1.0 {
            let mut tokens = written.to_vec();
            tokens.sort_unstable();
            tokens.dedup();
            let penalty = self.repetition_penalty as f32;
            for token in tokens {
                if let Some(logit) = logits.get_mut(token as usize) {
                    *logit = if *logit > 0.0 {
                        *logit / penalty
                    } else {
                        *logit * penalty
                    };
                }
            }
        }
        for token in &self.suppressed {
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }
}

/// The likeliest token, the first among equals; never one that is not a number.
fn greedy(logits: &[f32]) -> u32 {
    let mut best = 0;
    let mut highest = f32::NEG_INFINITY;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > highest {
            (best, highest) = (token, *logit);
        }
    }
    best as u32
}

fn keep_likeliest(weights: &mut Vec<Weighed>, count: usize) {
    if count < weights.len() {
        weights.select_nth_unstable_by(count - 1, likelier);
        weights.truncate(count);
        // Back in the order of tokens, so that a draw does not depend on how the selection moved them.
        weights.sort_unstable_by_key(|(token, _)| *token);
    }
}

/// Keeps the fewest likeliest tokens whose probabilities reach `mass`.
fn keep_mass(weights: &mut Vec<Weighed>, mass: f64) {
    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let wanted = mass * total;
    // Few tokens carry the mass as a rule: sorting the likeliest 256, then 1,024, ... spares sorting the vocabulary.
    let mut head = 256;
    loop {
        let whole = head >= weights.len();
        if !whole {
            weights.select_nth_unstable_by(head - 1, likelier);
        }
        let end = head.min(weights.len());
        weights[..end].sort_unstable_by(likelier);
        let mut sum = 0.0;
        for (position, (_, weight)) in weights[..end].iter().enumerate() {
            sum += weight;
            if sum >= wanted {
                weights.truncate(position + 1);
                return;
            }
        }
        if whole {
            return;
        }
        head *= 4;
    }
}

/// The token at a place between 0 and 1 of the weights laid end to end.
fn pick(weights: &[Weighed], draw: f64) -> u32 {
    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let place = draw * total;
    let mut sum = 0.0;
    let mut last = 0;
    for (token, weight) in weights {
        if *weight > 0.0 {
            sum += weight;
            last = *token;
            if place < sum {
                return *token;
            }
        }
    }
    // Rounding can leave the place just behind the last token.
    last
}
