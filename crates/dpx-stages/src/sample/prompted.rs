//! Texts that a language model writes after a prompt.

use super::conversation;
use super::generator::Generator;
use super::keywords::Keywords;
use super::write::{Attempt, Slot, Source};
use dpx_nn::model::CausalModel;
use dpx_nn::model::generate::{Decoder, Request, Sampling, Steering, generate};
use dpx_nn::seed::Stream;
use dpx_nn::text::EncodePrompt;
use dpx_schema::params::SampleParams;
use dpx_schema::progress::ProgressUpdate;
use dpx_schema::{StageContext, StageError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rounds of batches after which the stage asks whether it should stop.
const ROUNDS: usize = 4;

/// What a text is written for.
#[derive(Clone, Copy)]
enum Purpose {
    /// To be kept: this attempt.
    Attempt(u64),
    /// To be counted in this round.
    Rehearsal(u64),
}

/// Asks a model for texts, prompted by label and keyword.
pub(super) struct Prompted<'a> {
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

impl<'a> Prompted<'a> {
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
        let attempts = self.ask(&slots, Purpose::Rehearsal(round))?;
        for (slot, made) in slots.iter().zip(attempts) {
            written[slot.label].push(made.text);
        }
        Ok(written)
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
            let ids = prompt.encode_prefix(tokenizer, prefix)?;
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

    /// One text for each of the slots, in order.
    fn ask(&mut self, slots: &[Slot], purpose: Purpose) -> Result<Vec<Attempt>, StageError> {
        let mut attempts = Vec::with_capacity(slots.len());
        self.progress.1 += slots.len() as u64;
        let round = self.batch * self.generator.model.batches_at_once();
        for part in slots.chunks(round * ROUNDS) {
            if self.context.progress.stop_requested() {
                return Err(StageError::interrupted());
            }
            let requests = part
                .iter()
                .map(|slot| self.request(*slot, purpose))
                .collect::<Result<Vec<Request>, StageError>>()?;
            let (before, begun) = self.progress;
            let finished = AtomicU64::new(before);
            let context = self.context;
            let texts = generate(
                &self.generator.model,
                requests,
                &self.sampling,
                self.batch,
                |more| {
                    let done = finished.fetch_add(more as u64, Ordering::Relaxed) + more as u64;
                    context.progress.update(&ProgressUpdate::texts(done, begun));
                },
            )?;
            self.progress.0 = finished.into_inner();
            for text in texts {
                let bare = self.generator.schema.chat_template.is_none();
                let decoded = self.generator.tokenizer.decode(&text.tokens, bare)?;
                let written = self.generator.prompt.text_of(&decoded);
                let (content, form) =
                    conversation::read(&self.generator.schema, written, text.ended);
                attempts.push(Attempt {
                    text: content,
                    ended: text.ended,
                    tokens: text.tokens.len(),
                    form,
                });
            }
        }
        Ok(attempts)
    }
}

impl Source for Prompted<'_> {
    fn attempt(&mut self, slots: &[Slot], attempt: u64) -> Result<Vec<Attempt>, StageError> {
        self.ask(slots, Purpose::Attempt(attempt))
    }

    fn wrote_nothing(&self) -> &'static str {
        "the model wrote nothing but empty texts: it has not learned to write; train it longer"
    }
}
