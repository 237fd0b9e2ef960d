//! Texts in which people's words stand between the experiment's own: special tokens count in the latter alone.
//!
//! Somebody who types `<|endoftext|>` has not ended the text. The spelling of a special token in people's words is read as the
//! letters that it is, by a copy of the tokenizer that knows its special tokens under names that nobody types: in the
//! experiment's own words they are replaced by these names, so that everything else (what stands before, behind, at the start of
//! a text) is read as ever.

use super::{TextError, Tokenizer, load};
use serde_json::Value;
use std::ops::Range;
use std::path::Path;
use tokenizers::Encoding;

/// The tokens of a text of which some was written by people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Passage {
    pub ids: Vec<u32>,
    /// Bytes of the text that each token covers; space at their ends may be left out.
    pub offsets: Vec<(usize, usize)>,
    /// Whether a special token was spelled in people's words, and read as plain text.
    pub typed: bool,
}

/// A text behind a prompt, as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Begin token where there is one, prompt, text.
    pub ids: Vec<u32>,
    /// Number of leading ids that belong to the prompt.
    pub prompt_length: usize,
    /// The byte of the text's part at which each token behind the prompt begins.
    pub places: Vec<usize>,
    /// Whether a special token was spelled in the text, and read as plain text.
    pub typed: bool,
    /// Whether prompt and text would share a token if they were read at once: they were read one by one.
    pub apart: bool,
}

impl Tokenizer {
    /// The tokens of a text as [`Tokenizer::encode`] gives them, but for `data`, the parts that people wrote: there the
    /// spelling of a special token is plain text.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_passage(&self, text: &str, data: &[Range<usize>]) -> Result<Passage, TextError> {
        let normal = self.with_offsets(text)?;
        let (ids, offsets) = parts(&normal);
        let within = |(start, end): (usize, usize)| {
            data.iter().any(|part| start < part.end && end > part.start)
        };
        let mut tokens = ids.iter().zip(&offsets);
        if !tokens.any(|(id, place)| self.is_control(*id) && within(*place)) {
            return Ok(Passage {
                ids,
                offsets,
                typed: false,
            });
        }
        let first = renamed_from(text);
        let made;
        let renamed = if first == NAMES {
            self.renamed()?
        } else {
            made = Renamed::of(self, first)?;
            &made
        };
        let (plain, offsets) = renamed.encode(text, data)?;
        Ok(Passage {
            typed: plain != ids,
            ids: plain,
            offsets,
        })
    }

    /// Prompt and text as one sequence: the ids of the prompt alone, which a generator is given, and behind them those that the
    /// text has when both are read at once. Where they would share a token they are read one by one, and that is said. `data`
    /// are the parts of `body` that people wrote.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub(crate) fn encode_joined(
        &self,
        prefix: &str,
        body: &str,
        data: &[Range<usize>],
    ) -> Result<Joined, TextError> {
        let begin = self.special().bos.filter(|_| self.starts_with_bos());
        let mut ids: Vec<u32> = begin.into_iter().collect();
        let prompt = self.encode(prefix)?;
        let shifted: Vec<Range<usize>> = data
            .iter()
            .map(|part| part.start + prefix.len()..part.end + prefix.len())
            .collect();
        let whole = self.encode_passage(&format!("{prefix}{body}"), &shifted)?;
        let parted = whole.ids.starts_with(&prompt)
            && prompt.last().is_none_or(|last| {
                // A special token may take the space behind it with it.
                whole.offsets[prompt.len() - 1].1 <= prefix.len() || self.is_control(*last)
            });
        ids.extend(&prompt);
        let prompt_length = ids.len();
        let (rest, places, typed) = if parted {
            let places = whole.offsets[prompt.len()..].iter();
            let places = places.map(|(start, _)| start.saturating_sub(prefix.len()));
            (
                whole.ids[prompt.len()..].to_vec(),
                places.collect(),
                whole.typed,
            )
        } else {
            let alone = self.encode_passage(body, data)?;
            let places = alone.offsets.iter().map(|(start, _)| *start).collect();
            (alone.ids, places, alone.typed)
        };
        ids.extend(rest);
        Ok(Joined {
            ids,
            prompt_length,
            places,
            typed,
            apart: !parted,
        })
    }

    /// The ids of a word as it stands inside a text, behind another one.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_inside(&self, word: &str) -> Result<Vec<u32>, TextError> {
        let mut joined = self.encode_joined("a", &format!(" {word}"), &[])?;
        Ok(joined.ids.split_off(joined.prompt_length))
    }
}

/// Ids, each with the bytes that it stands for.
type Placed = (Vec<u32>, Vec<(usize, usize)>);

fn parts(encoding: &Encoding) -> Placed {
    (encoding.get_ids().to_vec(), encoding.get_offsets().to_vec())
}

/// The first of the characters that names begin with: private ones, of the last plane.
pub(super) const NAMES: char = '\u{100000}';
/// Closes the name that stands for a special token: a character that nobody types.
const NAME_END: char = '\u{10FFFD}';

/// The first such character that a text does not hold.
fn renamed_from(text: &str) -> char {
    (NAMES..NAME_END)
        .find(|character| !text.contains(*character))
        .unwrap_or(NAMES)
}

/// A tokenizer that knows its special tokens under names that a text does not hold.
#[derive(Debug)]
pub(super) struct Renamed {
    inner: tokenizers::Tokenizer,
    /// Each special token as it is spelled, with its name here; longest first.
    names: Vec<(String, String)>,
}

impl Renamed {
    /// A copy with names that begin with some character.
    pub(super) fn of(tokenizer: &Tokenizer, first: char) -> Result<Self, TextError> {
        let mut value = tokenizer.json()?;
        let mut names = Vec::new();
        let mut ids = Vec::new();
        for token in value["added_tokens"].as_array_mut().into_iter().flatten() {
            let id = token["id"].as_u64().and_then(|id| u32::try_from(id).ok());
            let Some(id) = id.filter(|id| tokenizer.is_control(*id)) else {
                continue;
            };
            let content = token["content"].as_str().unwrap_or_default().to_owned();
            let name = format!("{first}{id}{NAME_END}");
            token["content"] = name.clone().into();
            names.push((content, name.clone()));
            ids.push((name, id));
        }
        names.sort_by_key(|(content, _)| std::cmp::Reverse(content.len()));
        rename_in_model(&mut value["model"], &names);
        let path = Path::new("tokenizer.json");
        let inner = load::parse(value.to_string().as_bytes(), path)?;
        for (name, id) in ids {
            if inner.token_to_id(&name) != Some(id) {
                return Err(TextError::Tokenizer(format!(
                    "the special token {id} cannot be told from text that spells it: its number changes when the tokenizer is \
                     written and read again"
                )));
            }
        }
        Ok(Self { inner, names })
    }

    /// Ids and places of a text, special tokens within `data` being plain text.
    fn encode(&self, text: &str, data: &[Range<usize>]) -> Result<Placed, TextError> {
        let rewritten = self.rewritten(text, data);
        let (ids, offsets) = parts(&super::tokenizer::with_offsets(
            &self.inner,
            &rewritten.text,
        )?);
        let back = |(start, end)| (rewritten.back(start, false), rewritten.back(end, true));
        Ok((ids, offsets.into_iter().map(back).collect()))
    }

    /// The text with the names of the special tokens that stand outside `data`.
    fn rewritten(&self, text: &str, data: &[Range<usize>]) -> Rewritten {
        let mut rewritten = Rewritten::default();
        let mut at = 0;
        for part in data {
            self.rewrite(&text[at..part.start], at, &mut rewritten);
            rewritten.keep(&text[part.clone()], part.start);
            at = part.end;
        }
        self.rewrite(&text[at..], at, &mut rewritten);
        rewritten
    }

    fn rewrite(&self, own: &str, from: usize, into: &mut Rewritten) {
        let mut at = 0;
        while at < own.len() {
            let found = |(place, _): &(usize, char)| {
                let rest = &own[at + place..];
                let names = self.names.iter();
                let mut names = names.filter(|(content, _)| rest.starts_with(content.as_str()));
                names.next().map(|name| (*place, name))
            };
            let next = own[at..].char_indices().find_map(|place| found(&place));
            let Some((place, (content, name))) = next else {
                break;
            };
            into.keep(&own[at..at + place], from + at);
            into.replace(name, from + at + place, content.len());
            at += place + content.len();
        }
        into.keep(&own[at..], from + at);
    }
}

/// A text with some parts replaced.
#[derive(Default)]
struct Rewritten {
    text: String,
    /// Of each part: where it begins here and in the original, and how long it was there where it was replaced.
    parts: Vec<(usize, usize, Option<usize>)>,
}

impl Rewritten {
    fn keep(&mut self, text: &str, original: usize) {
        self.parts.push((self.text.len(), original, None));
        self.text.push_str(text);
    }

    fn replace(&mut self, name: &str, original: usize, length: usize) {
        self.parts.push((self.text.len(), original, Some(length)));
        self.text.push_str(name);
    }

    /// The place in the original of a place here, where a token begins or ends.
    fn back(&self, place: usize, end: bool) -> usize {
        let before =
            |(here, ..): &(usize, usize, Option<usize>)| *here < place || (*here == place && !end);
        let count = self.parts.partition_point(before);
        let Some((here, original, replaced)) = self.parts[..count].last() else {
            return 0;
        };
        match replaced {
            None => original + (place - here),
            Some(_) if place == *here => *original,
            Some(length) => original + length,
        }
    }
}

/// Renames tokens in a model's vocabulary, and takes out what would put one together of pieces.
fn rename_in_model(model: &mut Value, names: &[(String, String)]) {
    let name_of = |content: &str| {
        let mut names = names.iter();
        names.find(|(own, _)| own == content).map(|(_, name)| name)
    };
    if let Some(unknown) = model["unk_token"].as_str().and_then(name_of) {
        model["unk_token"] = unknown.as_str().into();
    }
    match &mut model["vocab"] {
        Value::Object(vocabulary) => {
            for (content, name) in names {
                if let Some(id) = vocabulary.remove(content) {
                    vocabulary.insert(name.clone(), id);
                }
            }
        }
        Value::Array(pieces) => {
            for piece in pieces {
                if let Some(name) = piece[0].as_str().and_then(name_of) {
                    piece[0] = name.as_str().into();
                }
            }
        }
        _ => {}
    }
    if let Some(merges) = model["merges"].as_array_mut() {
        merges.retain(|merge| {
            let pair = match merge {
                Value::String(pair) => pair.split_once(' '),
                pair => pair[0].as_str().zip(pair[1].as_str()),
            };
            pair.is_none_or(|(left, right)| {
                let made = format!("{left}{right}");
                [left, right, &made]
                    .into_iter()
                    .all(|part| name_of(part).is_none())
            })
        });
    }
}

#[cfg(test)]
mod tests;
