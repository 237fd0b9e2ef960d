//! Running many prompts through a model in batches.

use super::{Sampling, Steering};
use crate::KvCache;
use crate::model::{CausalModel, ModelError};
use crate::seed::Stream;
use dpx_schema::Device;
use rayon::prelude::*;
use std::sync::Arc;

/// Most batches side by side: each has a cache of its own.
const MAX_AT_ONCE: usize = 8;

/// A model that continues token sequences, with a cache of keys and values.
///
/// Row `i` of what it returns must depend on row `i` of what it is given alone, and not on the number of rows.
pub trait Decoder: Sync {
    /// Keys and values of the tokens seen so far, for some rows.
    type KvCache: Send;

    /// Batches that are best written side by side.
    fn batches_at_once(&self) -> usize {
        1
    }

    /// Size of the vocabulary: the width of the logits.
    fn vocabulary(&self) -> usize;

    /// Most tokens of prompt and text together.
    fn max_positions(&self) -> usize;

    /// Reads prompts of any, also unequal, lengths and makes room for `capacity` tokens a row, the prompt included. Gives
    /// the cache and the logits after each prompt's last token, `[rows, vocabulary]`, row-major.
    ///
    /// # Errors
    /// When a prompt is empty or too long, or a token has no embedding.
    fn prefill(
        &self,
        prompts: &[&[u32]],
        capacity: usize,
    ) -> Result<(Self::KvCache, Vec<f32>), ModelError>;

    /// Reads one more token for each row of the cache. Gives the logits after it, `[rows, vocabulary]`.
    ///
    /// # Errors
    /// When a row is full.
    fn step(&self, cache: &mut Self::KvCache, tokens: &[u32]) -> Result<Vec<f32>, ModelError>;

    /// Keeps the given rows of the cache, in this order (ascending), and forgets the others.
    fn keep_rows(&self, cache: &mut Self::KvCache, rows: &[usize]);
}

impl<M: CausalModel> Decoder for M {
    type KvCache = KvCache;

    /// On the processor a thread for each batch waits less than all threads at one; a device computes one after the other.
    fn batches_at_once(&self) -> usize {
        if self.parameters().device() == Device::Cpu {
            rayon::current_num_threads().min(MAX_AT_ONCE)
        } else {
            1
        }
    }

    fn vocabulary(&self) -> usize {
        CausalModel::vocabulary(self)
    }

    fn max_positions(&self) -> usize {
        self.context()
    }

    fn prefill(
        &self,
        prompts: &[&[u32]],
        capacity: usize,
    ) -> Result<(KvCache, Vec<f32>), ModelError> {
        if prompts.iter().any(|prompt| prompt.is_empty()) {
            return Err(ModelError::Input(
                "a prompt has no token: a text must continue at least one".into(),
            ));
        }
        let (cache, logits) = CausalModel::prefill(self, prompts, capacity)?;
        Ok((cache, logits.to_vec()))
    }

    fn step(&self, cache: &mut KvCache, tokens: &[u32]) -> Result<Vec<f32>, ModelError> {
        Ok(self.decode(cache, tokens)?.to_vec())
    }

    fn keep_rows(&self, cache: &mut KvCache, rows: &[usize]) {
        cache.keep(rows);
    }
}

/// One text to write.
#[derive(Debug, Clone)]
pub struct Request {
    /// Tokens that the text continues; at least one.
    pub prompt: Vec<u32>,
    /// A prompt that the text is steered away from by [`Sampling::guidance`]; given to all requests of a call or to none.
    pub negative: Option<Vec<u32>>,
    /// Words that are made likelier or rarer in it.
    pub steering: Option<Arc<Steering>>,
    /// Random numbers of this text alone, so that no other text of the batch can change it.
    pub stream: Stream,
}

/// What was written for a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Tokens after the prompt, without the end token.
    pub tokens: Vec<u32>,
    /// Whether an end token was drawn; otherwise the text was cut at its longest.
    pub ended: bool,
}

/// A text that is being written.
struct Row {
    request: usize,
    /// Prompt and text.
    tokens: Vec<u32>,
    prompt: usize,
    negative: Option<Vec<u32>>,
    steering: Option<Arc<Steering>>,
    /// Where the text stands among the steered words.
    steered: Option<usize>,
    stream: Stream,
}

impl Row {
    fn new((request, asked): (usize, Request)) -> Self {
        Self {
            request,
            prompt: asked.prompt.len(),
            tokens: asked.prompt,
            negative: asked.negative,
            steering: asked.steering,
            steered: None,
            stream: asked.stream,
        }
    }

    fn choose(
        &mut self,
        logits: &mut [f32],
        mut against: Option<&mut [f32]>,
        sampling: &Sampling,
    ) -> u32 {
        if let Some(steering) = &self.steering {
            steering.apply(self.steered, logits);
            if let Some(against) = against.as_deref_mut() {
                steering.apply(self.steered, against);
            }
        }
        let token = sampling.choose(logits, against, &self.tokens, &mut self.stream);
        if let Some(steering) = &self.steering {
            self.steered = steering.after(self.steered, token);
        }
        token
    }

    /// Tokens that the model has read when it reads the longer of the two prompts.
    fn read(&self) -> usize {
        let negative = self.negative.as_ref().map_or(0, Vec::len);
        self.tokens.len() + negative.saturating_sub(self.prompt)
    }
}

/// What a model has read after one prompt of each row, and what it says comes next.
struct Reading<C> {
    cache: C,
    logits: Vec<f32>,
}

impl<C> Reading<C> {
    fn start<D: Decoder<KvCache = C>>(
        decoder: &D,
        prompts: &[&[u32]],
        sampling: &Sampling,
    ) -> Result<Self, ModelError> {
        let max_seq_len = prompts.iter().map(|prompt| prompt.len()).max().unwrap_or(0);
        let capacity = (max_seq_len + sampling.max_new_tokens).min(decoder.max_positions());
        let (cache, logits) = decoder.prefill(prompts, capacity)?;
        Ok(Self { cache, logits })
    }

    fn step<D: Decoder<KvCache = C>>(
        &mut self,
        decoder: &D,
        stay: Option<&[usize]>,
        tokens: &[u32],
    ) -> Result<(), ModelError> {
        if let Some(rows) = stay {
            decoder.keep_rows(&mut self.cache, rows);
        }
        self.logits = decoder.step(&mut self.cache, tokens)?;
        Ok(())
    }
}

/// The likeliest `most` tokens after each prompt, `batch` at a time; no end token ends a text.
///
/// # Errors
/// When a prompt is empty or longer than the model reads.
pub fn greedy<D: Decoder>(
    decoder: &D,
    prompts: &[Vec<u32>],
    most: usize,
    batch: usize,
) -> Result<Vec<Vec<u32>>, ModelError> {
    let requests = prompts.iter().map(|prompt| Request {
        prompt: prompt.clone(),
        negative: None,
        steering: None,
        stream: Stream::new(0, "greedy", &[]),
    });
    let sampling = Sampling {
        temperature: 0.0,
        max_new_tokens: most,
        ..Sampling::default()
    };
    let texts = generate(decoder, requests.collect(), &sampling, batch, |_| {})?;
    Ok(texts.into_iter().map(|text| text.tokens).collect())
}

/// Writes a text for each request, `batch` at a time, in order; a few batches at once where the decoder wants it. `on_done`
/// hears how many more are finished, from any thread.
///
/// # Errors
/// When a prompt is empty or longer than the model reads.
pub fn generate<D: Decoder>(
    decoder: &D,
    requests: Vec<Request>,
    sampling: &Sampling,
    batch: usize,
    on_done: impl Fn(usize) + Sync,
) -> Result<Vec<Generated>, ModelError> {
    let mut results: Vec<Option<Generated>> = vec![None; requests.len()];
    let mut waiting = requests.into_iter().enumerate();
    let at_once = decoder.batches_at_once().max(1);
    loop {
        let batches: Vec<Vec<Row>> = (0..at_once)
            .map(|_| waiting.by_ref().take(batch.max(1)).map(Row::new).collect())
            .take_while(|rows: &Vec<Row>| !rows.is_empty())
            .collect();
        if batches.is_empty() {
            break;
        }
        let written: Vec<Vec<(usize, Generated)>> = batches
            .into_par_iter()
            .map(|rows| write_batch(decoder, rows, sampling, &on_done))
            .collect::<Result<_, _>>()?;
        for (request, text) in written.into_iter().flatten() {
            results[request] = Some(text);
        }
    }
    Ok(results
        .into_iter()
        .map(|result| result.expect("every request was put into a batch and left it finished"))
        .collect())
}

/// Writes a batch: the numbers of its requests with their texts.
fn write_batch<D: Decoder>(
    decoder: &D,
    mut rows: Vec<Row>,
    sampling: &Sampling,
    on_done: &(impl Fn(usize) + Sync),
) -> Result<Vec<(usize, Generated)>, ModelError> {
    let mut written = Vec::with_capacity(rows.len());
    let mut finished = |row: &Row, ended: bool| {
        let tokens = row.tokens[row.prompt..].to_vec();
        written.push((row.request, Generated { tokens, ended }));
        on_done(1);
    };
    if sampling.max_new_tokens == 0 {
        for row in &rows {
            finished(row, false);
        }
        return Ok(written);
    }
    let vocabulary = decoder.vocabulary();
    let prompts: Vec<&[u32]> = rows.iter().map(|row| row.tokens.as_slice()).collect();
    let mut reading = Reading::start(decoder, &prompts, sampling)?;
    let negatives: Option<Vec<&[u32]>> = rows.iter().map(|row| row.negative.as_deref()).collect();
    let mut against = negatives
        .filter(|_| sampling.guidance != 0.0)
        .map(|prompts| Reading::start(decoder, &prompts, sampling))
        .transpose()?;
    loop {
        let chosen: Vec<u32> = match &mut against {
            None => rows
                .par_iter_mut()
                .zip(reading.logits.par_chunks_mut(vocabulary))
                .map(|(row, logits)| row.choose(logits, None, sampling))
                .collect(),
            Some(against) => rows
                .par_iter_mut()
                .zip(reading.logits.par_chunks_mut(vocabulary))
                .zip(against.logits.par_chunks_mut(vocabulary))
                .map(|((row, logits), other)| row.choose(logits, Some(other), sampling))
                .collect(),
        };
        let mut stay = Vec::with_capacity(rows.len());
        for (index, (row, token)) in rows.iter_mut().zip(chosen).enumerate() {
            let ended = sampling.end_tokens.contains(&token);
            if !ended {
                row.tokens.push(token);
            }
            let full = row.tokens.len() - row.prompt >= sampling.max_new_tokens
                || row.read() >= decoder.max_positions();
            if ended || full {
                finished(row, ended);
            } else {
                stay.push(index);
            }
        }
        if stay.is_empty() {
            return Ok(written);
        }
        let fewer = stay.len() < rows.len();
        if fewer {
            let mut index = 0;
            rows.retain(|_| {
                index += 1;
                stay.binary_search(&(index - 1)).is_ok()
            });
        }
        let last: Vec<u32> = rows
            .iter()
            .map(|row| row.tokens[row.tokens.len() - 1])
            .collect();
        let stay = fewer.then_some(stay.as_slice());
        reading.step(decoder, stay, &last)?;
        if let Some(against) = &mut against {
            against.step(decoder, stay, &last)?;
        }
    }
}
