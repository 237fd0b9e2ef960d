//! The training sequences: one per row, prompt, text and end token, cut, never split; and the canaries of an audit.

mod conversation;
#[cfg(test)]
mod conversation_tests;

pub(super) use conversation::Writing;

use super::keywords::Keywords;
use crate::truncation::Truncation;
use chacha20::cipher::StreamCipher;
use dpx_data::Row;
use dpx_nn::seed::Stream;
use dpx_nn::text::{EncodePrompt, EncodedExample, Tokenizer};
use dpx_nn::{Batch, Sequence};
use dpx_schema::StageError;
use dpx_schema::conversation::Conversation;
use dpx_schema::params::LossOn;
use dpx_schema::{Prompt, UnitBounds};
use dpx_sgd::key::{Key, Purpose};
use dpx_sgd::trainer::{Examples, Idle};
use dpx_sgd::units::Units;
use serde::{Deserialize, Serialize};

/// A text that nobody wrote, in the data with probability one half.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Canary {
    pub(crate) label: String,
    pub(crate) text: String,
    pub(crate) included: bool,
    /// Its loss in nats under the public model, before training; none where that is not finite.
    #[serde(default)]
    pub(crate) base_loss: Option<f64>,
}

/// Words of a canary, letters of a word.
const WORDS: usize = 6;
const LETTERS: usize = 6;

/// Draws canaries, and whether each is planted, from the canary streams of the first key.
pub(super) fn draw(key: &Key, count: u64, labels: &[String]) -> Vec<Canary> {
    (0..count)
        .map(|number| {
            let mut bytes = [0; 2 + WORDS * LETTERS];
            key.stream(Purpose::Canary, 0, number)
                .apply_keystream(&mut bytes);
            let words: Vec<String> = bytes[2..]
                .chunks(LETTERS)
                .map(|word| {
                    word.iter()
                        .map(|byte| char::from(b'a' + byte % 26))
                        .collect()
                })
                .collect();
            let label = labels
                .get(bytes[1] as usize % labels.len().max(1))
                .cloned()
                .unwrap_or_default();
            Canary {
                label,
                text: words.join(" "),
                included: bytes[0] & 1 == 1,
                base_loss: None,
            }
        })
        .collect()
}

/// Texts that nobody wrote, of several lengths: the same in every run, so that nothing depends on a record.
fn made_up(labels: &[String]) -> Vec<Canary> {
    let mut texts = draw(&Key::seeded(0, "made-up texts"), 3, labels);
    for (number, text) in texts.iter_mut().enumerate() {
        let words: Vec<&str> = text.text.split(' ').take(WORDS - 2 * number).collect();
        text.text = words.join(" ");
        text.included = true;
    }
    texts
}

/// How rows become sequences. All of it is public.
pub(super) struct Encoder<'a> {
    pub(super) prompt: &'a Prompt,
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) keywords: Option<&'a Keywords>,
    /// Most tokens of a sequence: `max_length`, or the model's context where that is smaller.
    pub(super) max_seq_len: usize,
    pub(super) max_length: u64,
    pub(super) context: usize,
    pub(super) loss_on: LossOn,
    pub(super) mismatch: Option<Mismatch<'a>>,
    pub(super) sampled: Sampled,
    /// How conversations are written; none where texts are no conversations.
    pub(super) conversations: Option<Writing<'a>>,
}

/// The prompt-mismatch loss.
#[derive(Clone, Copy)]
pub(super) struct Mismatch<'a> {
    pub(super) weight: f32,
    /// The labels, of which a row is given a wrong one by a public coin.
    pub(super) labels: &'a [String],
    pub(super) seed: u64,
}

impl<'a> Mismatch<'a> {
    /// A label that is not the row's, which depends on its number and label alone; none where there is only one.
    fn label(self, number: u64, label: &str) -> Option<&'a str> {
        let others: Vec<&'a String> = self.labels.iter().filter(|other| *other != label).collect();
        let coin = Stream::new(self.seed, "train mismatch", &[number]).next_u64();
        let at = coin.checked_rem(others.len() as u64)?;
        others.get(at as usize).map(|other| other.as_str())
    }
}

/// How people are sampled, or their records. All of it is public.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sampled {
    /// Each record is a unit.
    Records,
    /// People, of whom at most so many records take part in a step.
    People(usize),
    /// The records of people, of whom each has at most so many.
    RecordsOfPeople(usize),
}

impl Sampled {
    pub(super) fn of(bounds: Option<UnitBounds>) -> Self {
        match bounds {
            None => Self::Records,
            Some(bounds) => bounds
                .examples_per_unit
                .map_or(Self::RecordsOfPeople(bounds.max_per_unit as usize), |few| {
                    Self::People(few as usize)
                }),
        }
    }

    /// Most records that are bounded as one.
    pub(super) const fn records_at_once(self) -> usize {
        match self {
            Self::Records | Self::RecordsOfPeople(_) => 1,
            Self::People(few) => few,
        }
    }
}

pub(super) struct Encoded {
    rows: Vec<Encoding>,
    sampled: Sampled,
    /// The rows of each person, where people are sampled.
    people: Option<Units>,
    mismatch: Option<f32>,
    /// Most tokens of a sequence; public.
    max_seq_len: usize,
    /// What was cut off the texts; canaries are none.
    pub(super) truncation: Truncation,
}

#[derive(Clone)]
struct Encoding {
    own: Tokens,
    /// The same text under a wrong label.
    wrong: Option<Tokens>,
}

#[derive(Default, Clone)]
struct Tokens {
    ids: Vec<u32>,
    counted_from: usize,
    prompt_length: usize,
    /// Tokens that there was no room for.
    cut: usize,
    /// Of the tokens those that count, where not all do behind `counted_from`.
    counted: Option<Vec<bool>>,
    turns_cut: usize,
    /// Turns that are there, of a conversation.
    turns: usize,
    marks_taken_apart: usize,
    /// Whether the text spelled a special token.
    typed: bool,
    /// Whether prompt and text were read one by one.
    apart: bool,
}

impl Tokens {
    /// A text that is no conversation; the loss is on nothing yet.
    fn of(example: EncodedExample) -> Self {
        Self {
            prompt_length: example.prompt_length,
            cut: example.cut,
            ids: example.ids,
            typed: example.typed,
            apart: example.apart,
            ..Self::default()
        }
    }

    fn sequence(&self) -> Sequence<'_> {
        Sequence {
            ids: &self.ids,
            counted_from: self.counted_from,
        }
    }

    /// Whether a role was named whose tokens alone count, and none of them is there.
    fn counts_nothing(&self) -> bool {
        self.counted.as_ref().is_some_and(|counted| {
            let mut counted = counted.iter().skip(self.counted_from.max(1));
            !counted.any(|counts| *counts)
        })
    }

    fn hash(&self, hasher: &mut blake3::Hasher) {
        hasher.update(&(self.ids.len() as u64).to_le_bytes());
        hasher.update(&(self.counted_from as u64).to_le_bytes());
        for id in &self.ids {
            hasher.update(&id.to_le_bytes());
        }
        for counted in self.counted.iter().flatten() {
            hasher.update(&[u8::from(*counted)]);
        }
    }
}

impl Encoder<'_> {
    /// Encodes every row on its own.
    pub(super) fn encode(&self, rows: &[Row]) -> Result<Encoded, StageError> {
        let encoded = rows.iter().map(|row| {
            let keyword = self
                .keywords
                .and_then(|keywords| keywords.of(row, self.conversations.is_some()));
            self.encoding(row.id, &row.label, keyword, &row.text)
        });
        let rows: Vec<Encoding> = encoded.collect::<Result<_, _>>()?;
        let mut truncation = Truncation::new(self.max_length, self.context);
        for own in rows.iter().map(|row| &row.own) {
            truncation.add(own.ids.len() - own.prompt_length + own.cut, own.cut);
            truncation.cut_at_a_turn += u64::from(own.turns_cut > 0);
            truncation.turns_cut += own.turns_cut as u64;
            truncation.marks_taken_apart += own.marks_taken_apart as u64;
            truncation.special_typed += u64::from(own.typed);
            truncation.read_apart += u64::from(own.apart);
            truncation.without_counted += u64::from(own.counts_nothing());
        }
        if truncation.texts > 0 && truncation.without_counted == truncation.texts {
            return Err(StageError::new(format!(
                "no conversation has a token that `loss_on` counts within {} tokens: every gradient would be zero, and the budget \
                 be spent on nothing; name another role, or raise `max_length`",
                self.max_seq_len
            )));
        }
        Ok(Encoded {
            rows,
            sampled: self.sampled,
            people: None,
            mismatch: self.mismatch.map(|mismatch| mismatch.weight),
            max_seq_len: self.max_seq_len,
            truncation,
        })
    }

    /// Refuses prompts that leave no room for a text: its gradient would be zero, and the budget spent on nothing.
    pub(super) fn check(&self, labels: &[String]) -> Result<(), StageError> {
        let length = |label: &str, keyword: Option<&str>| {
            Ok::<_, StageError>(self.tokens(label, keyword, "", None)?.prompt_length)
        };
        let mut longest: Option<(usize, &str)> = None;
        for label in labels {
            let found = length(label, None)?;
            if longest.is_none_or(|(most, _)| found > most) {
                longest = Some((found, label));
            }
        }
        let Some((mut most, label)) = longest else {
            return Ok(());
        };
        for word in self.keywords.into_iter().flat_map(Keywords::words) {
            most = most.max(length(label, Some(word))?);
        }
        if most < self.max_seq_len {
            return Ok(());
        }
        Err(StageError::new(format!(
            "the prompt of the label `{}` fills all {} tokens of a training sequence, so that no text would be learned and the \
             budget be spent on nothing: {}",
            label.escape_debug(),
            self.max_seq_len,
            if self.max_length > self.context as u64 {
                "the model reads no more; shorten `prompt`"
            } else {
                "raise `max_length`, or shorten `prompt`"
            }
        )))
    }

    /// Rows of [`made_up`] texts alone; where people are sampled of people with one of them, with two, and with as many as take
    /// part in a step.
    pub(super) fn made_up(&self, labels: &[String]) -> Result<Encoded, StageError> {
        let bare = Encoder {
            sampled: Sampled::Records,
            ..*self
        };
        let texts = made_up(labels);
        let mut encoded = bare.plant(&texts, bare.encode(&[])?)?;
        encoded.sampled = self.sampled;
        if let Sampled::People(few) = self.sampled {
            let last = texts.len() - 1;
            let some: Vec<usize> = (0..last).rev().take(few).collect();
            let most: Vec<usize> = (0..few).map(|at| (last + at) % texts.len()).collect();
            encoded.people = Some(Units::new(vec![vec![0], some, most], few));
        }
        Ok(encoded)
    }

    /// Everything that is sampled: the rows, and whose they are.
    pub(super) fn people(&self, members: Vec<Vec<usize>>, mut encoded: Encoded) -> Encoded {
        if let Sampled::People(few) = self.sampled {
            encoded.people = Some(Units::new(members, few));
        }
        encoded
    }

    /// One row more for each canary; a canary that is not planted leaves its row empty, so that their number stays public. Where
    /// people are protected a canary is a person with as many records as anybody can bring, all of them alike.
    pub(super) fn plant(
        &self,
        canaries: &[Canary],
        mut encoded: Encoded,
    ) -> Result<Encoded, StageError> {
        for canary in canaries {
            let place = encoded.rows.len();
            let number = place as u64;
            let row = if canary.included {
                self.encoding(number, &canary.label, None, &canary.text)?
            } else {
                Encoding {
                    own: Tokens::default(),
                    wrong: None,
                }
            };
            match (self.sampled, &mut encoded.people) {
                (Sampled::People(few), Some(people)) => {
                    people.push(vec![place; few]);
                    encoded.rows.push(row);
                }
                (Sampled::RecordsOfPeople(most), _) => {
                    encoded.rows.extend(std::iter::repeat_n(row, most));
                }
                _ => encoded.rows.push(row),
            }
        }
        Ok(encoded)
    }

    fn encoding(
        &self,
        number: u64,
        label: &str,
        keyword: Option<&str>,
        text: &str,
    ) -> Result<Encoding, StageError> {
        let own_label = label;
        let mut own = self.tokens(label, keyword, text, None)?;
        let other = self
            .mismatch
            .and_then(|mismatch| mismatch.label(number, label));
        let mut wrong = other
            .map(|label| self.tokens(label, keyword, text, None))
            .transpose()?;
        // A longer prompt may leave room for fewer turns: both then have these.
        if let (Some(label), Some(found)) = (other, &wrong)
            && found.turns != own.turns
        {
            let turns = Some(found.turns.min(own.turns));
            own = self.tokens(own_label, keyword, text, turns)?;
            wrong = Some(self.tokens(label, keyword, text, turns)?);
        }
        let wrong = wrong.map(|mut wrong| {
            let counted = |tokens: &Tokens| tokens.ids.len() - tokens.counted_from;
            let count = counted(&own).min(counted(&wrong));
            own.cut += counted(&own) - count;
            own.ids.truncate(own.counted_from + count);
            wrong.ids.truncate(wrong.counted_from + count);
            wrong
        });
        Ok(Encoding { own, wrong })
    }

    /// The tokens of a text; of a conversation at most so many turns.
    fn tokens(
        &self,
        label: &str,
        keyword: Option<&str>,
        text: &str,
        turns: Option<usize>,
    ) -> Result<Tokens, StageError> {
        let prefix = match keyword {
            Some(keyword) => self.prompt.prefix_with_keyword(label, keyword),
            None => self.prompt.prefix(label),
        };
        // What is no conversation, such as a canary, is trained as it is.
        if let Some(writing) = &self.conversations
            && let Ok(conversation) = Conversation::parse(text)
        {
            return writing.tokens(self, &prefix, &conversation, turns);
        }
        let example = self
            .prompt
            .encode_after(self.tokenizer, &prefix, text, self.max_seq_len)?;
        Ok(Tokens {
            counted_from: self.counted_from(example.prompt_length),
            ..Tokens::of(example)
        })
    }

    const fn counted_from(&self, prompt_length: usize) -> usize {
        match self.loss_on {
            LossOn::All => 1,
            LossOn::Text | LossOn::User | LossOn::Assistant => prompt_length,
        }
    }
}

impl Encoded {
    /// Enters all rows in a digest.
    pub(super) fn hash(&self, hasher: &mut blake3::Hasher) {
        hasher.update(&(self.rows.len() as u64).to_le_bytes());
        for row in &self.rows {
            row.own.hash(hasher);
            if let Some(wrong) = &row.wrong {
                wrong.hash(hasher);
            }
        }
        // Whose a row is decides what it is bounded with.
        if let Some(people) = &self.people {
            hasher.update(b"people");
            hasher.update(&(people.len() as u64).to_le_bytes());
            for person in 0..people.len() {
                let rows = people.rows(person);
                hasher.update(&(rows.len() as u64).to_le_bytes());
                for &row in rows {
                    hasher.update(&(row as u64).to_le_bytes());
                }
            }
        }
    }
}

impl Examples for Encoded {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn length(&self, row: usize) -> usize {
        let Encoding { own, wrong } = &self.rows[row];
        own.ids.len() + wrong.as_ref().map_or(0, |wrong| wrong.ids.len())
    }

    fn sequences(&self) -> usize {
        if self.mismatch.is_some() { 2 } else { 1 }
    }

    fn inputs(&self, row: usize) -> Vec<usize> {
        let Encoding { own, wrong } = &self.rows[row];
        let mut inputs = vec![own.sequence().inputs()];
        inputs.extend(wrong.as_ref().map(|wrong| wrong.sequence().inputs()));
        inputs
    }

    fn max_seq_len(&self) -> usize {
        self.max_seq_len
    }

    fn units(&self) -> Option<&Units> {
        self.people.as_ref()
    }

    fn batch(&self, rows: &[usize], idle: Idle<'_>) -> Batch {
        let rows = rows.iter().map(|&row| &self.rows[row]);
        let Some(weight) = self.mismatch else {
            let own: Vec<&Tokens> = rows.map(|row| &row.own).collect();
            let sequences: Vec<Sequence<'_>> = own.iter().map(|own| own.sequence()).collect();
            let mut batch = Batch::causal_with_idle(&sequences, idle.lengths, idle.every_row);
            if own.iter().any(|own| own.counted.is_some()) {
                conversation::weigh(&mut batch, &own);
            }
            return batch;
        };
        let nothing = Tokens::default();
        let pairs: Vec<[Sequence<'_>; 2]> = rows
            .map(|row| {
                let wrong = row.wrong.as_ref().unwrap_or(&nothing);
                [row.own.sequence(), wrong.sequence()]
            })
            .collect();
        Batch::causal_pairs_with_idle(&pairs, weight, idle.lengths, idle.every_row)
    }
}
