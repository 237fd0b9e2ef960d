//! Tests of sampling and batching with a model that needs no weights.

use super::*;
use crate::model::ModelError;
use crate::seed::Stream;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Logits are a fixed function of the tokens read so far.
struct Toy {
    vocabulary: usize,
    max_seq_len: usize,
}

impl Toy {
    fn logits(&self, tokens: &[u32]) -> Vec<f32> {
        let state = tokens.iter().fold(7u64, |state, token| {
            (state ^ u64::from(*token)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        });
        (0..self.vocabulary as u64)
            .map(|token| {
                let mixed = (state ^ token).wrapping_mul(0xD6E8_FEB8_6659_FD93);
                (mixed >> 40) as f32 / (1u64 << 24) as f32 * 4.0
            })
            .collect()
    }
}

impl Decoder for Toy {
    type KvCache = Vec<Vec<u32>>;

    fn batches_at_once(&self) -> usize {
        3
    }

    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn max_positions(&self) -> usize {
        self.max_seq_len
    }

    fn prefill(
        &self,
        prompts: &[&[u32]],
        _: usize,
    ) -> Result<(Self::KvCache, Vec<f32>), ModelError> {
        let cache: Vec<Vec<u32>> = prompts.iter().map(|prompt| prompt.to_vec()).collect();
        let logits = cache.iter().flat_map(|row| self.logits(row)).collect();
        Ok((cache, logits))
    }

    fn step(&self, cache: &mut Self::KvCache, tokens: &[u32]) -> Result<Vec<f32>, ModelError> {
        assert_eq!(cache.len(), tokens.len(), "one token for each row");
        for (row, token) in cache.iter_mut().zip(tokens) {
            row.push(*token);
        }
        Ok(cache.iter().flat_map(|row| self.logits(row)).collect())
    }

    fn keep_rows(&self, cache: &mut Self::KvCache, rows: &[usize]) {
        *cache = rows.iter().map(|row| cache[*row].clone()).collect();
    }
}

fn requests(count: u64) -> Vec<Request> {
    (0..count)
        .map(|index| Request {
            prompt: (0..=index % 4).map(|token| token as u32 + 3).collect(),
            negative: None,
            steering: None,
            stream: Stream::new(5, "test", &[index]),
        })
        .collect()
}

#[test]
fn a_text_does_not_depend_on_its_batch() {
    let toy = Toy {
        vocabulary: 20,
        max_seq_len: 100,
    };
    let sampling = Sampling {
        top_p: 0.9,
        end_tokens: vec![0, 1],
        max_new_tokens: 15,
        ..Sampling::default()
    };
    let write = |batch| generate(&toy, requests(41), &sampling, batch, |_| {}).unwrap();
    let alone = write(1);
    for batch in [2, 7, 41, 64] {
        assert_eq!(write(batch), alone, "batches of {batch}");
    }
    assert!(alone.iter().any(|text| text.ended));
    assert!(
        alone
            .iter()
            .any(|text| !text.ended && text.tokens.len() == 15)
    );
    assert!(
        alone
            .iter()
            .all(|text| !text.tokens.contains(&0) && !text.tokens.contains(&1))
    );
    // The stream, not the position in the list, makes the text.
    let mut reversed = requests(41);
    reversed.reverse();
    let mut texts = generate(&toy, reversed, &sampling, 8, |_| {}).unwrap();
    texts.reverse();
    assert_eq!(texts, alone);
}

#[test]
fn no_text_grows_beyond_what_the_model_reads() {
    let toy = Toy {
        vocabulary: 9,
        max_seq_len: 6,
    };
    let done = AtomicUsize::new(0);
    let texts = generate(&toy, requests(8), &Sampling::default(), 3, |more| {
        done.fetch_add(more, Ordering::Relaxed);
    })
    .unwrap();
    for (request, text) in requests(8).iter().zip(&texts) {
        assert_eq!(request.prompt.len() + text.tokens.len(), 6);
        assert!(!text.ended);
    }
    assert_eq!(done.into_inner(), 8);
    let none = Sampling {
        max_new_tokens: 0,
        ..Sampling::default()
    };
    let texts = generate(&toy, requests(2), &none, 3, |_| {}).unwrap();
    assert!(texts.iter().all(|text| text.tokens.is_empty()));
}

/// How often each token is drawn from fixed logits.
fn frequencies(sampling: &Sampling, logits: &[f32], draws: u64) -> Vec<f64> {
    let mut counts = vec![0.0; logits.len()];
    for draw in 0..draws {
        let mut stream = Stream::new(11, "frequencies", &[draw]);
        let token = sampling.choose(&mut logits.to_vec(), None, &[], &mut stream);
        counts[token as usize] += 1.0;
    }
    counts
}

/// Pearson's chi-square statistic of counts against probabilities; an impossible token that was drawn is infinite.
fn chi_square(counts: &[f64], probabilities: &[f64]) -> f64 {
    let total: f64 = counts.iter().sum();
    counts
        .iter()
        .zip(probabilities)
        .map(|(count, probability)| match (*probability, *count) {
            (0.0, 0.0) => 0.0,
            (probability, count) => (count - total * probability).powi(2) / (total * probability),
        })
        .sum()
}

fn softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
    let weights: Vec<f64> = logits
        .iter()
        .map(|l| (f64::from(*l) / temperature).exp())
        .collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

fn renormalized(probabilities: &[f64], keep: &[usize]) -> Vec<f64> {
    let total: f64 = keep.iter().map(|token| probabilities[*token]).sum();
    (0..probabilities.len())
        .map(|token| {
            if keep.contains(&token) {
                probabilities[token] / total
            } else {
                0.0
            }
        })
        .collect()
}

#[test]
fn drawn_tokens_follow_the_filtered_softmax() {
    let logits = [1.0f32, -0.5, 2.0, 0.0, 0.7, -3.0, 1.5, 0.2];
    // 99.99 % quantile of chi-square with 7 degrees of freedom; fewer degrees make it safer. Streams are fixed: no flakes.
    let limit = 29.9;
    let plain = softmax(&logits, 1.0);
    let check = |sampling: Sampling, expected: &[f64]| {
        let counts = frequencies(&sampling, &logits, 20_000);
        let statistic = chi_square(&counts, expected);
        assert!(statistic < limit, "{sampling:?}: {statistic}");
        // And the test can fail: the plain softmax is another distribution.
        if expected != plain {
            assert!(chi_square(&counts, &plain) > 100.0, "{sampling:?}");
        }
    };
    check(Sampling::default(), &plain);
    let cool = Sampling {
        temperature: 0.7,
        ..Sampling::default()
    };
    check(cool, &softmax(&logits, 0.7));
    let top_k = Sampling {
        top_k: 3,
        ..Sampling::default()
    };
    check(top_k, &renormalized(&plain, &[0, 2, 6]));
    // 2.0, 1.5, 1.0 and 0.7 hold 0.39, 0.24, 0.14 and 0.11 of the mass.
    let top_p = Sampling {
        top_p: 0.8,
        ..Sampling::default()
    };
    check(top_p, &renormalized(&plain, &[0, 2, 4, 6]));
    let suppressed = Sampling {
        suppressed: vec![2],
        ..Sampling::default()
    };
    check(suppressed, &renormalized(&plain, &[0, 1, 3, 4, 5, 6, 7]));
}

#[test]
fn a_large_vocabulary_is_cut_like_a_small_one() {
    // Many equal tokens: the mass is reached far behind the first tokens that are sorted.
    let logits: Vec<f32> = (0..5000)
        .map(|token| if token < 10 { 3.0 } else { 0.0 })
        .collect();
    let sampling = Sampling {
        top_p: 0.5,
        ..Sampling::default()
    };
    let mass = 10.0 * 3f64.exp() + 4990.0;
    let kept = 10 + ((0.5 * mass - 10.0 * 3f64.exp()).ceil() as usize);
    let counts = frequencies(&sampling, &logits, 4000);
    let beyond: f64 = counts[kept..].iter().sum();
    assert_eq!(
        beyond, 0.0,
        "equal tokens are kept in order of their numbers"
    );
    assert!(counts[kept - 200..kept].iter().sum::<f64>() > 100.0);
}

#[test]
fn temperature_zero_takes_the_first_of_the_likeliest() {
    let greedy = Sampling {
        temperature: 0.0,
        ..Sampling::default()
    };
    let mut stream = Stream::new(1, "unused", &[]);
    assert_eq!(
        greedy.choose(&mut [0.0, 2.0, f32::NAN, 2.0], None, &[], &mut stream),
        1
    );
    let penalized = Sampling {
        repetition_penalty: 1.5,
        ..greedy
    };
    assert_eq!(
        penalized.choose(&mut [0.0, 2.0, 1.0, 1.9], None, &[1, 1], &mut stream),
        3
    );
    // Negative logits are multiplied, so that they fall too.
    assert_eq!(
        penalized.choose(&mut [-1.0, -1.2], None, &[0], &mut stream),
        1
    );
    assert_eq!(
        stream.next_u64(),
        Stream::new(1, "unused", &[]).next_u64(),
        "greedy choices take no random numbers"
    );
}

#[test]
fn guidance_moves_the_draws_by_the_difference_of_two_prompts() {
    let toy = Toy {
        vocabulary: 6,
        max_seq_len: 8,
    };
    let (prompt, negative) = (vec![1, 2], vec![3]);
    let sampling = |guidance| Sampling {
        guidance,
        max_new_tokens: 1,
        ..Sampling::default()
    };
    let drawn = |guidance, draws: u64| {
        let requests = (0..draws)
            .map(|index| Request {
                prompt: prompt.clone(),
                negative: Some(negative.clone()),
                steering: None,
                stream: Stream::new(5, "guided", &[index]),
            })
            .collect();
        let texts = generate(&toy, requests, &sampling(guidance), 16, |_| {}).unwrap();
        let mut counts = [0.0; 6];
        for text in texts {
            counts[text.tokens[0] as usize] += 1.0 / draws as f64;
        }
        counts
    };
    for guidance in [0.0, 0.7] {
        let raw: Vec<f64> = toy
            .logits(&prompt)
            .iter()
            .zip(toy.logits(&negative))
            .map(|(logit, other)| {
                let (logit, other) = (f64::from(*logit), f64::from(other));
                (logit + guidance * (logit - other)).exp()
            })
            .collect();
        let total: f64 = raw.iter().sum();
        for (share, weight) in drawn(guidance, 20_000).iter().zip(raw) {
            assert!(
                (share - weight / total).abs() < 0.015,
                "{share} {}",
                weight / total
            );
        }
    }
}

#[test]
fn a_guided_text_does_not_depend_on_its_batch_and_stays_within_what_the_model_reads() {
    let toy = Toy {
        vocabulary: 11,
        max_seq_len: 12,
    };
    let sampling = Sampling {
        guidance: 1.5,
        top_p: 0.9,
        max_new_tokens: 20,
        end_tokens: vec![0],
        ..Sampling::default()
    };
    let guided = || {
        let asked = requests(9).into_iter().zip(0u32..);
        asked
            .map(|(request, index)| Request {
                negative: Some((0..=index % 5).map(|token| token + 2).collect()),
                steering: None,
                ..request
            })
            .collect()
    };
    let whole = generate(&toy, guided(), &sampling, 9, |_| {}).unwrap();
    assert_eq!(
        whole,
        generate(&toy, guided(), &sampling, 2, |_| {}).unwrap()
    );
    let max_tokens = |index: usize| 12 - (1 + index % 4).max(1 + index % 5);
    for (index, text) in whole.iter().enumerate() {
        assert!(text.tokens.len() <= max_tokens(index), "{index}: {text:?}");
    }
}
