//! Choosing the next token from logits.

use crate::kernel::host::math;
use crate::seed::Stream;

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

/// A token with its unnormalized probability.
type Weighed = (u32, f32);

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
        self.penalize(logits, written);
        let against = against.map(|against| {
            self.penalize(against, written);
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
        let mut all = vec![0.0; logits.len()];
        let temperature = (self.temperature as f32).max(f32::MIN_POSITIVE);
        let total = math::weights(logits, highest, temperature, &mut all);
        // Without the tokens below this share of what may go, the others still reach the mass.
        let spared = if self.top_k == 0 && self.top_p < 1.0 {
            ((1.0 - self.top_p) * total / all.len() as f64) as f32
        } else {
            0.0
        };
        let mut weights = at_least(&all, spared);
        if self.top_k > 0 {
            keep_top_k(&mut weights, self.top_k);
        }
        if self.top_p < 1.0 {
            let total = if self.top_k > 0 { sum(&weights) } else { total };
            keep_mass(&mut weights, self.top_p * total);
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
                *weight *= (scale * (lead - most)).exp() as f32;
            }
        }
    }

    fn penalize(&self, logits: &mut [f32], written: &[u32]) {
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

fn keep_top_k(weights: &mut Vec<Weighed>, count: usize) {
    if count < weights.len() {
        // Equals by number, so that the order is total and the same everywhere.
        weights.select_nth_unstable_by(count - 1, |left, right| {
            right.1.total_cmp(&left.1).then(left.0.cmp(&right.0))
        });
        weights.truncate(count);
        // Back in the order of tokens, so that a draw does not depend on how the selection moved them.
        weights.sort_unstable_by_key(|(token, _)| *token);
    }
}

fn sum(weights: &[Weighed]) -> f64 {
    weights.iter().map(|(_, weight)| f64::from(*weight)).sum()
}

/// The tokens of this weight and more, in order.
fn at_least(all: &[f32], min_weight: f32) -> Vec<Weighed> {
    let mut weights: Vec<Weighed> = vec![(0, 0.0); all.len()];
    let mut count = 0;
    // Written in any case, so that there is no branch for the processor to guess.
    for (token, &weight) in (0..).zip(all) {
        weights[count] = (token, weight);
        count += usize::from(weight >= min_weight);
    }
    weights.truncate(count);
    weights
}

/// Keeps the fewest likeliest tokens whose weights reach `wanted`, in order; of equals those of smaller numbers.
fn keep_mass(weights: &mut Vec<Weighed>, wanted: f64) {
    let values: Vec<f32> = weights.iter().map(|(_, weight)| *weight).collect();
    let reach = |threshold: u32| math::sum_from(&values, f32::from_bits(threshold));
    let wanted = wanted.max(f64::MIN_POSITIVE);
    // Weights are not negative, and so ordered as their bits: `low` reaches the mass, `high` does not.
    let (mut low, mut high) = (0, f32::INFINITY.to_bits());
    let mut above = 0.0;
    if reach(low) < wanted {
        return;
    }
    while high - low > 1 {
        let middle = low.midpoint(high);
        let mass = reach(middle);
        if mass >= wanted {
            low = middle;
        } else {
            (high, above) = (middle, mass);
        }
    }
    let threshold = f32::from_bits(low);
    let mut missing = wanted - above;
    weights.retain(|(_, weight)| {
        let kept = *weight > threshold || (*weight == threshold && missing > 0.0);
        if kept && *weight == threshold {
            missing -= f64::from(threshold);
        }
        kept
    });
}

/// The token at a place between 0 and 1 of the weights laid end to end.
fn pick(weights: &[Weighed], draw: f64) -> u32 {
    let place = draw * sum(weights);
    let mut reached = 0.0;
    let mut last = 0;
    for (token, weight) in weights {
        if *weight > 0.0 {
            reached += f64::from(*weight);
            last = *token;
            if place < reached {
                return *token;
            }
        }
    }
    // Rounding can leave the place just behind the last token.
    last
}
