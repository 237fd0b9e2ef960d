//! Writing the texts: attempts, empty texts, duplicates.

use super::Generator;
use super::keywords::Keywords;
use crate::model::CausalModel;
use crate::model::generate::{Request, Sampling, Steering, generate};
use crate::seed::Stream;
use crate::stage::params::{DuplicatePolicy, EmptyPolicy, SampleParams};
use crate::stage::{StageContext, StageError};
use std::collections::HashSet;
use std::sync::Arc;

/// Attempts after the first.
const RETRIES: u64 = 10;
/// Batches after which the stage asks whether it should stop.
const BATCHES_AT_ONCE: usize = 8;

/// A finished text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// Place of its label.
    pub(super) label: usize,
    /// Its number among the texts that were written for a label.
    pub(super) number: u64,
    pub(super) content: String,
    /// Whether an end token closed it.
    pub(super) ended: bool,
    pub(super) tokens: u64,
}

/// The texts with what happened on the way.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// The texts, by label and number.
    pub(super) texts: Vec<Text>,
    pub(super) empty_retried: u64,
    pub(super) empty_dropped: u64,
    pub(super) duplicates_retried: u64,
    pub(super) duplicates_kept: u64,
    pub(super) duplicates_dropped: u64,
}

/// One text to be written.
#[derive(Clone, Copy)]
struct Slot {
    label: usize,
    number: u64,
}

/// What it is written for.
#[derive(Clone, Copy)]
enum Purpose {
    /// To be kept: this attempt.
    Attempt(u64),
    /// To be counted in this round.
    Rehearsal(u64),
}

/// One attempt at it.
struct Attempt {
    text: String,
    ended: bool,
    tokens: usize,
}

pub(super) struct Writer<'a> {
    generator: &'a Generator,
    keywords: &'a Keywords,
    params: &'a SampleParams,
    context: &'a StageContext<'a>,
    sampling: Sampling,
    batch: usize,
    /// For each label the words that are made likelier or rarer; empty: none.
    pub(super) steering: Vec<Arc<Steering>>,
    /// Texts finished and texts begun, retries included.
    progress: (u64, u64),
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        generator: &'a Generator,
        keywords: &'a Keywords,
        params: &'a SampleParams,
        context: &'a StageContext<'a>,
        batch: u64,
    ) -> Self {
        let sampling = Sampling {
            temperature: params.temperature,
            top_k: params.top_k as usize,
            top_p: params.top_p,
            repetition_penalty: params.repetition_penalty,
            guidance: params.guidance,
            max_new_tokens: params.max_new_tokens as usize,
            end_tokens: generator.end_tokens(),
            suppressed: generator.suppressed_tokens(),
        };
        Self {
            generator,
            keywords,
            params,
            context,
            sampling,
            batch: batch.max(1) as usize,
            steering: Vec::new(),
            progress: (0, 0),
        }
    }

    /// Writes so many texts of each label that nobody will see: by label, with streams of their own for each round.
    pub(super) fn rehearse(
        &mut self,
        round: u64,
        texts: u64,
    ) -> Result<Vec<Vec<String>>, StageError> {
        let labels = self.generator.schema.labels.len();
        let slots: Vec<Slot> = (0..labels)
            .flat_map(|label| (0..texts).map(move |number| Slot { label, number }))
            .collect();
        let mut written = vec![Vec::new(); labels];
        let attempts = self.attempt(&slots, Purpose::Rehearsal(round))?;
        for (slot, made) in slots.iter().zip(attempts) {
            written[slot.label].push(made.text);
        }
        Ok(written)
    }

    /// Writes so many texts of each label.
    pub(super) fn write(&mut self, counts: &[u64]) -> Result<Written, StageError> {
        let slots: Vec<Slot> = counts
            .iter()
            .enumerate()
            .flat_map(|(label, count)| (0..*count).map(move |number| Slot { label, number }))
            .collect();
        let mut written = Written::default();
        let mut accepted: Vec<Option<Attempt>> = (0..slots.len()).map(|_| None).collect();
        let mut seen: HashSet<String> = HashSet::new();
        let mut open: Vec<usize> = (0..slots.len()).collect();
        for attempt in 0..=RETRIES {
            let wanted: Vec<Slot> = open.iter().map(|index| slots[*index]).collect();
            let attempts = self.attempt(&wanted, Purpose::Attempt(attempt))?;
            let last = attempt == RETRIES;
            let mut again = Vec::new();
            // In the order of the slots, so that which of two equal texts is the duplicate does not depend on batches.
            for (index, made) in open.iter().copied().zip(attempts) {
                match self.judge(&made, seen.contains(&made.text), last, &mut written) {
                    Verdict::Accept => {
                        seen.insert(made.text.clone());
                        accepted[index] = Some(made);
                    }
                    Verdict::Retry => again.push(index),
                    Verdict::Drop => {}
                }
            }
            open = again;
            if open.is_empty() {
                break;
            }
        }
        for (slot, made) in slots.iter().zip(accepted) {
            if let Some(made) = made {
                written.texts.push(Text {
                    label: slot.label,
                    number: slot.number,
                    content: made.text,
                    ended: made.ended,
                    tokens: made.tokens as u64,
                });
            }
        }
        if written.texts.is_empty() {
            return Err(StageError::new(
                "the model wrote nothing but empty texts: it has not learnt to write; train it longer",
            ));
        }
        Ok(written)
    }

    fn judge(&self, made: &Attempt, known: bool, last: bool, written: &mut Written) -> Verdict {
        if made.text.is_empty() {
            return match self.params.empty {
                EmptyPolicy::Keep => Verdict::Accept,
                EmptyPolicy::Retry if !last => {
                    written.empty_retried += 1;
                    Verdict::Retry
                }
                EmptyPolicy::Retry | EmptyPolicy::Drop => {
                    written.empty_dropped += 1;
                    Verdict::Drop
                }
            };
        }
        if !known {
            return Verdict::Accept;
        }
        match self.params.duplicates {
            // The same prompt has the same likeliest text: writing it again changes nothing.
            DuplicatePolicy::Retry if !last && self.params.temperature > 0.0 => {
                written.duplicates_retried += 1;
                Verdict::Retry
            }
            DuplicatePolicy::Keep | DuplicatePolicy::Retry => {
                written.duplicates_kept += 1;
                Verdict::Accept
            }
            DuplicatePolicy::Drop => {
                written.duplicates_dropped += 1;
                Verdict::Drop
            }
        }
    }

    /// One attempt at each of the slots, in order.
    fn attempt(&mut self, slots: &[Slot], purpose: Purpose) -> Result<Vec<Attempt>, StageError> {
        let mut attempts = Vec::with_capacity(slots.len());
        self.progress.1 += slots.len() as u64;
        for part in slots.chunks(self.batch * BATCHES_AT_ONCE) {
            if self.context.progress.stop_requested() {
                return Err(StageError::interrupted());
            }
            let requests = part
                .iter()
                .map(|slot| self.request(*slot, purpose))
                .collect::<Result<Vec<Request>, StageError>>()?;
            let progress = &mut self.progress;
            let context = self.context;
            let texts = generate(
                &self.generator.model,
                requests,
                &self.sampling,
                self.batch,
                |more| {
                    progress.0 += more as u64;
                    context.progress.update(progress.0, progress.1, "texts");
                },
            )
            .map_err(|error| StageError::new(error.to_string()))?;
            for text in texts {
                let decoded = self
                    .generator
                    .tokenizer
                    .decode(&text.tokens, true)
                    .map_err(|error| StageError::new(error.to_string()))?;
                attempts.push(Attempt {
                    text: self.generator.prompt.text_of(&decoded).to_owned(),
                    ended: text.ended,
                    tokens: text.tokens.len(),
                });
            }
        }
        Ok(attempts)
    }

    fn request(&self, slot: Slot, purpose: Purpose) -> Result<Request, StageError> {
        let Generator {
            tokenizer,
            schema,
            prompt,
            model,
        } = self.generator;
        let label = &schema.labels[slot.label];
        // A text keeps its keyword over all attempts: else keywords that often repeat a text would become rarer.
        let prefix = match self
            .keywords
            .draw(self.context.seed, slot.label, slot.number)
        {
            Some(keyword) => prompt.prefix_with_keyword(label, keyword),
            None => prompt.prefix(label),
        };
        let encode = |prefix: &str| {
            let ids = prompt
                .encode_prefix(tokenizer, prefix)
                .map_err(|error| StageError::new(error.to_string()))?;
            if ids.len() >= model.context() {
                return Err(StageError::new(format!(
                    "the prompt `{prefix}` has {} tokens, the model reads {}: shorten `prompt`",
                    ids.len(),
                    model.context()
                )));
            }
            Ok(ids)
        };
        let negative = self
            .other_label(slot)
            .map(|label| encode(&prompt.prefix(label)))
            .transpose()?;
        Ok(Request {
            prompt: encode(&prefix)?,
            negative,
            steering: self.steering.get(slot.label).map(Arc::clone),
            stream: match purpose {
                Purpose::Attempt(attempt) => Stream::new(
                    self.context.seed,
                    &format!("sample {label}"),
                    &[slot.number, attempt],
                ),
                Purpose::Rehearsal(round) => Stream::new(
                    self.context.seed,
                    &format!("rehearse {label}"),
                    &[slot.number, round],
                ),
            },
        })
    }

    /// The label that guidance steers a text away from: the others in turn.
    fn other_label(&self, slot: Slot) -> Option<&str> {
        let labels = &self.generator.schema.labels;
        if self.params.guidance == 0.0 || labels.len() < 2 {
            return None;
        }
        let further = 1 + slot.number as usize % (labels.len() - 1);
        Some(&labels[(slot.label + further) % labels.len()])
    }
}

enum Verdict {
    Accept,
    Retry,
    Drop,
}
