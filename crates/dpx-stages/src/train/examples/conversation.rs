//! Conversations as training sequences: cut at a turn, with the loss on one role where that is asked for.

use super::{Encoder, Tokens};
use dpx_nn::text::{EncodePrompt, Joined};
use dpx_nn::{Batch, Targets};
use dpx_schema::StageError;
use dpx_schema::conversation::{ChatTemplate, Conversation, Role};
use std::ops::Range;

/// How conversations are written. All of it is public.
#[derive(Clone, Copy)]
pub(in crate::train) struct Writing<'a> {
    /// The model's own template; none: a line a turn.
    pub(in crate::train) template: Option<&'a ChatTemplate>,
    /// The token that ends a conversation.
    pub(in crate::train) end: Option<u32>,
}

/// A conversation as text, with the places of its turns: what each says, and what ends it.
struct Written {
    text: String,
    turns: Vec<(Role, Range<usize>)>,
    /// What people wrote, of each turn: its content, or all of it where a turn is a line.
    data: Vec<Range<usize>>,
    /// Bytes behind a turn that its speaker writes, as it is said by them that the turn is over: the line break.
    closing: usize,
    marks_taken_apart: usize,
}

impl Writing<'_> {
    /// The sequence of a conversation, or of so many of its turns, after a prompt. Where it is too long, turns at its end are left out, and it ends before
    /// them; where not even the first one has room, that one is cut.
    pub(super) fn tokens(
        &self,
        encoder: &Encoder<'_>,
        prefix: &str,
        conversation: &Conversation,
        most: Option<usize>,
    ) -> Result<Tokens, StageError> {
        let written = self.written(conversation);
        let gap = encoder.prompt.gap().len();
        let joined = |turns: usize| {
            let text = &written.text[..written.turns[turns - 1].1.end];
            let data = &written.data[..turns];
            let prompt = encoder.prompt;
            Ok::<_, StageError>(prompt.join(encoder.tokenizer, prefix, text, data)?)
        };
        let ends = usize::from(self.end.is_some());
        let all = written.turns.len();
        let most = most.map_or(all, |most| most.clamp(1, all));
        let whole = joined(all)?;
        let full = whole.ids.len() + ends;
        let fits = |joined: &Joined| joined.ids.len() + ends <= encoder.max_seq_len;
        let (joined, turns) = if fits(&whole) && most == all {
            (whole, all)
        } else {
            Self::most_turns(most.min(all - usize::from(!fits(&whole))), |turns| {
                Ok(Some(joined(turns)?).filter(fits))
            })?
            .map_or_else(|| Ok((joined(1)?, 1)), Ok::<_, StageError>)?
        };
        let mut counted = encoder.loss_on.role().map(|role| {
            let of_role = |place: &usize| {
                let turns = written.turns.iter();
                turns.filter(|(own, _)| *own == role).any(|(_, range)| {
                    let place = place.saturating_sub(gap);
                    (range.start..range.end + written.closing).contains(&place)
                })
            };
            let last = written.turns[turns - 1].0 == role;
            let own = joined.places.iter().map(of_role);
            let of_prompt = std::iter::repeat_n(false, joined.prompt_length);
            let ended = std::iter::repeat_n(last, ends);
            of_prompt.chain(own).chain(ended).collect::<Vec<bool>>()
        });
        let length = full - joined.prompt_length;
        let example = joined.ended(self.end, encoder.max_seq_len);
        if let Some(counted) = &mut counted {
            counted.truncate(encoder.max_seq_len);
        }
        Ok(Tokens {
            counted_from: encoder.counted_from(example.prompt_length),
            cut: length.saturating_sub(example.ids.len() - example.prompt_length),
            counted,
            turns_cut: all - turns,
            turns,
            marks_taken_apart: written.marks_taken_apart,
            ..Tokens::of(example)
        })
    }

    /// The most turns that fit, up to so many: fewer turns are never longer.
    fn most_turns<T>(
        most: usize,
        fits: impl Fn(usize) -> Result<Option<T>, StageError>,
    ) -> Result<Option<(T, usize)>, StageError> {
        let (mut low, mut high) = (1, most);
        let mut best = None;
        while low <= high {
            let middle = usize::midpoint(low, high);
            if let Some(found) = fits(middle)? {
                best = Some((found, middle));
                low = middle + 1;
            } else {
                high = middle - 1;
            }
        }
        Ok(best)
    }

    fn written(&self, conversation: &Conversation) -> Written {
        let mut written = Written {
            text: String::new(),
            turns: Vec::new(),
            data: Vec::new(),
            closing: usize::from(self.template.is_none()),
            marks_taken_apart: 0,
        };
        if let Some(template) = self.template {
            written.text.push_str(template.opening(conversation));
        }
        for (number, turn) in conversation.turns.iter().enumerate() {
            let start;
            if let Some(template) = self.template {
                let (text, held) = template.turn(turn);
                written.marks_taken_apart += usize::from(held);
                let content = template.content_of(turn.role, written.text.len(), text.len());
                start = content.start;
                written.data.push(content);
                written.text.push_str(&text);
            } else {
                if number > 0 {
                    written.text.push('\n');
                }
                let line = written.text.len();
                start = line + turn.role.title().len() + 1;
                written.text.push_str(&turn.text());
                written.data.push(line..written.text.len());
            }
            written.turns.push((turn.role, start..written.text.len()));
        }
        written
    }
}

/// Gives the tokens of a role alone a weight, the same to each; an example without one has a loss of zero.
pub(super) fn weigh(batch: &mut Batch, examples: &[&Tokens]) {
    let Targets::NextToken {
        grouping, weights, ..
    } = &mut batch.targets
    else {
        return;
    };
    let offsets = grouping.offsets().to_vec();
    for (example, range) in examples.iter().zip(offsets.windows(2)) {
        let Some(counted) = &example.counted else {
            continue;
        };
        let weights = &mut weights[range[0]..range[1]];
        let counted = &counted[counted.len() - weights.len()..];
        let from = example.counted_from.max(1);
        let first = example.ids.len() - weights.len();
        let counts = |at: usize| counted[at] && first + at >= from;
        let count = (0..weights.len()).filter(|at| counts(*at)).count();
        for (at, weight) in weights.iter_mut().enumerate() {
            *weight = if counts(at) { 1.0 / count as f32 } else { 0.0 };
        }
    }
}
