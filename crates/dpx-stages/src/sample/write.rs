//! Writing the texts: attempts, empty texts, duplicates.

use dpx_schema::StageError;
use dpx_schema::params::{DuplicatePolicy, EmptyPolicy, SampleParams, UnparsedPolicy};
use std::collections::HashSet;

/// Attempts after the first.
const RETRIES: u64 = 10;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    /// Place of its label.
    pub(super) label: usize,
    /// Its number among the texts that were written for a label.
    pub(super) number: u64,
    pub(super) content: String,
    /// Unknown of a text that another stage wrote.
    pub(super) length: Option<Length>,
    /// A teacher's probability of each label, where it left them.
    pub(super) probabilities: Option<Vec<f64>>,
}

/// How long a text became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Length {
    pub(super) tokens: u64,
    /// Whether an end token closed it.
    pub(super) ended: bool,
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
    pub(super) undecodable_retried: u64,
    pub(super) undecodable_dropped: u64,
    pub(super) unparsed_retried: u64,
    pub(super) unparsed_dropped: u64,
    /// Conversations that were cut at a turn, as they had no end.
    pub(super) cut_at_a_turn: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) label: usize,
    pub(super) number: u64,
}

pub(super) struct Attempt {
    pub(super) text: String,
    pub(super) ended: bool,
    pub(super) tokens: usize,
    pub(super) form: Form,
}

/// What a text is, where conversations are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    /// A conversation without an end, of which the whole turns are left.
    Cut,
    /// No conversation.
    Broken,
}

pub(super) trait Source {
    /// One attempt at each of the slots, in order. A text depends on its slot and the number of the attempt alone.
    fn attempt(&mut self, slots: &[Slot], attempt: u64) -> Result<Vec<Attempt>, StageError>;

    /// What an error says when not a word came of all attempts.
    fn wrote_nothing(&self) -> &'static str;
}

/// Writes so many texts of each label.
pub(super) fn write(
    source: &mut dyn Source,
    params: &SampleParams,
    counts: &[u64],
) -> Result<Written, StageError> {
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
        let attempts = source.attempt(&wanted, attempt)?;
        let last = attempt == RETRIES;
        let mut again = Vec::new();
        // In the order of the slots, so that which of two equal texts is the duplicate does not depend on batches.
        for (index, made) in open.iter().copied().zip(attempts) {
            match judge(params, &made, seen.contains(&made.text), last, &mut written) {
                Verdict::Accept => {
                    seen.insert(made.text.clone());
                    written.cut_at_a_turn += u64::from(made.form == Form::Cut);
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
                length: Some(Length {
                    tokens: made.tokens as u64,
                    ended: made.ended,
                }),
                probabilities: None,
            });
        }
    }
    if written.texts.is_empty() {
        if written.unparsed_dropped > 0 {
            return Err(StageError::new(format!(
                "none of {} texts is a conversation: train the model longer, or raise `max_new_tokens` if turns are longer than that",
                slots.len()
            )));
        }
        return Err(StageError::new(source.wrote_nothing()));
    }
    Ok(written)
}

fn judge(
    params: &SampleParams,
    made: &Attempt,
    known: bool,
    last: bool,
    written: &mut Written,
) -> Verdict {
    // Bytes that are no text: whoever reads the texts would take the sign in their place for a part of the language.
    if is_undecodable(&made.text) {
        return if !last && params.temperature > 0.0 {
            written.undecodable_retried += 1;
            Verdict::Retry
        } else {
            written.undecodable_dropped += 1;
            Verdict::Drop
        };
    }
    if made.text.is_empty() {
        return match params.empty {
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
    if made.form == Form::Broken {
        return if params.unparsed == UnparsedPolicy::Retry && !last && params.temperature > 0.0 {
            written.unparsed_retried += 1;
            Verdict::Retry
        } else {
            written.unparsed_dropped += 1;
            Verdict::Drop
        };
    }
    if !known {
        return Verdict::Accept;
    }
    match params.duplicates {
        // The same prompt has the same likeliest text: writing it again changes nothing.
        DuplicatePolicy::Retry if !last && params.temperature > 0.0 => {
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

/// Whether a text holds the sign that stands for bytes which are no text (U+FFFD).
pub(super) fn is_undecodable(text: &str) -> bool {
    text.contains(char::REPLACEMENT_CHARACTER)
}

enum Verdict {
    Accept,
    Retry,
    Drop,
}
