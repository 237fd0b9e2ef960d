//! Words of a text and of the lines before it, with hashes by which any of them in a row are found.

use super::{EMBEDDED, PIECE};
use crate::fault::fault;
use unicode_normalization::{UnicodeNormalization, is_nfc_quick};

/// What may stand between two words of a sentence.
const GOES_ON: [char; 8] = [' ', '\t', '\u{a0}', '\'', '\u{2019}', '-', '/', '_'];
/// An odd multiplier without structure (the golden ratio).
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

/// The words of one text: normalized, one after the other, with hashes of every beginning.
#[derive(Default)]
pub(super) struct Words {
    text: String,
    /// Where each word ends in `text`.
    pub(super) ends: Vec<usize>,
    /// Whether a stop stands behind each word: a mark or the end of a line, not just a space.
    stops: Vec<bool>,
    /// The hash of the words before each word, and of all.
    prefixes: Vec<u64>,
    composed: String,
}

impl Words {
    pub(super) fn read(&mut self, text: &str) {
        self.text.clear();
        self.ends.clear();
        self.stops.clear();
        self.prefixes.clear();
        self.prefixes.push(0);
        if is_nfc_quick(text.chars()) == unicode_normalization::IsNormalized::Yes {
            self.split(text);
        } else {
            let mut composed = std::mem::take(&mut self.composed);
            composed.clear();
            composed.extend(text.nfc());
            self.split(&composed);
            self.composed = composed;
        }
    }

    fn split(&mut self, text: &str) {
        let mut hash = 0;
        let mut start = 0;
        let mut script = Script::Spaced;
        for letter in text.chars().chain([' ']) {
            if letter.is_ascii_alphanumeric() {
                if script != Script::Spaced {
                    self.end(&mut start, &mut hash);
                }
                script = Script::Spaced;
                let letter = letter.to_ascii_lowercase();
                self.text.push(letter);
                hash = mixed(hash ^ u64::from(letter as u8));
            } else if !letter.is_ascii() && letter.is_alphanumeric() {
                let kind = Script::of(letter);
                // Where nothing parts words, signs do: a text is found within any other.
                if kind != script || kind == Script::Han {
                    self.end(&mut start, &mut hash);
                }
                script = kind;
                for letter in letter.to_lowercase() {
                    self.text.push(letter);
                    hash = mixed(hash ^ u64::from(letter));
                }
            } else {
                self.end(&mut start, &mut hash);
                if let Some(stop) = self.stops.last_mut() {
                    *stop |= !GOES_ON.contains(&letter);
                }
            }
        }
    }

    /// Ends the word that began at `start`, where there is a letter of it; the next one begins behind it.
    fn end(&mut self, start: &mut usize, hash: &mut u64) {
        if self.text.len() == *start {
            return;
        }
        self.ends.push(self.text.len());
        self.stops.push(false);
        let before = self.prefixes[self.prefixes.len() - 1];
        self.prefixes
            .push(before.wrapping_mul(BASE).wrapping_add(finished(*hash)));
        (*start, *hash) = (self.text.len(), 0);
    }

    pub(super) fn word(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    /// The hash of some words in a row.
    pub(super) fn hash(&self, at: usize, length: usize) -> u64 {
        piece_hash(self.prefixes[at], self.prefixes[at + length], length)
    }

    /// What a private text is found by: all pieces, or the whole where it is shorter; hash and first word.
    pub(super) fn windows(&self) -> impl Iterator<Item = (u64, usize)> + '_ {
        let count = self.ends.len();
        let length = count.min(PIECE);
        let places = if count == 0 { 0 } else { count - length + 1 };
        (0..places).map(move |at| (self.hash(at, length), at))
    }

    /// Behind which of some words in a row the text goes on without a stop: a bit each.
    pub(super) fn joined(&self, at: usize, length: usize) -> u16 {
        let stops = self.stops[at..at + length].iter().enumerate();
        stops.fold(0, |bits, (place, stop)| bits | u16::from(!stop) << place)
    }

    pub(super) fn digest(&self, at: usize, length: usize) -> [u8; 16] {
        digest((at..at + length).map(|index| self.word(index)))
    }
}

/// How a script parts its words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    /// By spaces and marks.
    Spaced,
    /// Not at all: each sign is taken for a word.
    Han,
    /// Not at all: signs of one kind in a row are.
    Hiragana,
    Katakana,
}

impl Script {
    /// Of a letter that is not ASCII.
    fn of(letter: char) -> Self {
        if fault!(UnspacedAsOneWord) || (letter as u32) < 0x3005 {
            return Self::Spaced;
        }
        match letter {
            '\u{3005}'..='\u{3007}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}' => Self::Han,
            '\u{3041}'..='\u{309f}' => Self::Hiragana,
            '\u{30a0}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}' => {
                Self::Katakana
            }
            _ => Self::Spaced,
        }
    }
}

/// The last words before a line, in which pieces that cross its beginning begin.
#[derive(Default)]
pub(super) struct Tail {
    /// Word, its hash, its line.
    words: std::collections::VecDeque<(String, u64)>,
    prefixes: std::collections::VecDeque<u64>,
}

impl Tail {
    /// Takes in a line. `look` is given the hash and the number of words of everything of [`EMBEDDED`] to [`PIECE`] words that
    /// begins in an earlier line and ends in this one; asked, it tells the words' digest, the line in which they begin, and
    /// behind which of them a line ends.
    pub(super) fn push(
        &mut self,
        words: &Words,
        number: u64,
        mut look: impl FnMut(u64, usize, &dyn Fn() -> ([u8; 16], u64, u16)),
    ) {
        let before = self.words.len();
        // Only as many words of this line as can end a piece that begins before it.
        let count = words.ends.len();
        let mut prefix = self.prefixes.back().copied().unwrap_or(0);
        if self.prefixes.is_empty() {
            self.prefixes.push_back(0);
        }
        let first = count.saturating_sub(PIECE - 1);
        let crossing = count.min(PIECE - 1);
        let word_hash = |index: usize| {
            words.prefixes[index + 1].wrapping_sub(words.prefixes[index].wrapping_mul(BASE))
        };
        for index in 0..crossing {
            prefix = prefix.wrapping_mul(BASE).wrapping_add(word_hash(index));
            self.words.push_back((words.word(index).to_owned(), number));
            self.prefixes.push_back(prefix);
            let end = before + index + 1;
            for length in EMBEDDED.max(index + 2)..=PIECE.min(end) {
                let at = end - length;
                let hash = piece_hash(self.prefixes[at], self.prefixes[end], length);
                look(hash, length, &|| self.place(at, end));
            }
        }
        // What the next line can be crossed from: the last twelve words.
        if first > 0 {
            self.words.clear();
            self.prefixes.clear();
            self.prefixes.push_back(0);
            let mut prefix: u64 = 0;
            for index in first..count {
                prefix = prefix.wrapping_mul(BASE).wrapping_add(word_hash(index));
                self.words.push_back((words.word(index).to_owned(), number));
                self.prefixes.push_back(prefix);
            }
        }
        while self.words.len() > PIECE - 1 {
            self.words.pop_front();
            self.prefixes.pop_front();
        }
    }

    /// The digest of some words, the line in which they begin, and behind which of them a line ends.
    fn place(&self, at: usize, end: usize) -> ([u8; 16], u64, u16) {
        let words = || self.words.range(at..end);
        let breaks = words().zip(words().skip(1)).enumerate();
        let breaks = breaks.fold(0, |bits, (place, ((_, line), (_, next)))| {
            bits | u16::from(line != next) << place
        });
        (
            digest(words().map(|(word, _)| word.as_str())),
            self.words[at].1,
            breaks,
        )
    }
}

fn digest<'a>(words: impl Iterator<Item = &'a str>) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for word in words {
        hasher.update(word.as_bytes());
        hasher.update(b" ");
    }
    let mut digest = [0; 16];
    digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    digest
}

/// The hash of words from the hashes of what ends before them and with them.
fn piece_hash(before: u64, with: u64, length: usize) -> u64 {
    const POWERS: [u64; PIECE + 1] = powers();
    let hash = with.wrapping_sub(before.wrapping_mul(POWERS[length]));
    finished(hash ^ (length as u64) << 56)
}

const fn powers() -> [u64; PIECE + 1] {
    let mut powers = [1u64; PIECE + 1];
    let mut at = 1;
    while at <= PIECE {
        powers[at] = powers[at - 1].wrapping_mul(BASE);
        at += 1;
    }
    powers
}

const fn mixed(value: u64) -> u64 {
    value.rotate_left(5).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// Spreads a hash over all of its bits (the end of `MurmurHash3`).
const fn finished(mut value: u64) -> u64 {
    value ^= value >> 33;
    value = value.wrapping_mul(0xff51_afd7_ed55_8ccd);
    value ^= value >> 33;
    value = value.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    value ^ (value >> 33)
}
