//! A text as the rules read it: full-width letters, spaces of all kinds and invisible characters in their plain form, with the
//! way back to the bytes of the text.

use dpx_schema::is_invisible;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

/// A plain copy of a text.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) text: String,
    /// Of each character of the copy where it begins there, and the bytes of the text that it stands for.
    places: Vec<(usize, usize, usize)>,
}

/// What becomes of characters that show nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Invisible {
    /// They are left out: a soft hyphen hides no part of an address.
    Dropped,
    /// They part words, as in scripts without spaces.
    Spaces,
}

impl Folded {
    /// The copy, or none where the text is plain already.
    pub(super) fn of(text: &str, invisible: Invisible) -> Option<Self> {
        if text.is_ascii() {
            return None;
        }
        let mut folded = Self {
            text: String::with_capacity(text.len()),
            places: Vec::new(),
        };
        let letters: Vec<(usize, char)> = text.char_indices().collect();
        let end = |at: usize| letters.get(at).map_or(text.len(), |(place, _)| *place);
        let mut at = 0;
        while at < letters.len() {
            let (start, letter) = letters[at];
            at += 1;
            if is_invisible(letter) {
                if invisible == Invisible::Spaces {
                    folded.push(' ', start, end(at));
                }
                continue;
            }
            if letter.is_alphanumeric() && !stays(letter) {
                // With its accents, which may be characters of their own.
                let first = at - 1;
                while letters
                    .get(at)
                    .is_some_and(|(_, mark)| canonical_combining_class(*mark) > 0)
                {
                    at += 1;
                }
                let cluster = letters[first..at].iter().map(|(_, letter)| *letter);
                cluster
                    .nfkc()
                    .for_each(|plain| folded.push(plain, start, end(at)));
                continue;
            }
            let beside = |at: usize| letters.get(at).is_some_and(|(_, letter)| is_plain(*letter));
            let between = at >= 2 && beside(at - 2) && beside(at);
            folded.push(plain(letter, between), start, end(at));
        }
        (folded.text != text).then_some(folded)
    }

    fn push(&mut self, letter: char, start: usize, end: usize) {
        self.places.push((self.text.len(), start, end));
        self.text.push(letter);
    }

    /// The bytes of the text that a piece of the copy stands for.
    pub(super) fn back(&self, start: usize, end: usize) -> (usize, usize) {
        let first = self.places.partition_point(|(at, _, _)| *at < start);
        let after = self.places.partition_point(|(at, _, _)| *at < end);
        (self.places[first].1, self.places[after - 1].2)
    }
}

/// Numbers that are no digits: as digits they would run into those beside them, as in `10²` or `1½`.
const fn stays(letter: char) -> bool {
    matches!(
        letter,
        '\u{B2}' | '\u{B3}' | '\u{B9}' | '\u{BC}'..='\u{BE}' | '\u{2070}'..='\u{209F}' | '\u{2150}'..='\u{218F}'
            | '\u{2460}'..='\u{24FF}' | '\u{3200}'..='\u{33FF}' | '\u{1F100}'..='\u{1F1FF}'
    )
}

/// A letter or digit of ASCII, or its full-width form.
const fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric()
        || matches!(letter, '\u{FF10}'..='\u{FF19}' | '\u{FF21}'..='\u{FF3A}' | '\u{FF41}'..='\u{FF5A}')
}

/// The plain form of a space or sign. Between plain letters a full-width dot or slash is one of an address; elsewhere it ends
/// a sentence in Chinese or Japanese.
const fn plain(letter: char, between: bool) -> char {
    match letter {
        '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => {
            ' '
        }
        '\u{FF20}' | '\u{FE6B}' => '@',
        '\u{FF0D}' => '-',
        '\u{FF0B}' => '+',
        '\u{FF08}' => '(',
        '\u{FF09}' => ')',
        '\u{FF3B}' => '[',
        '\u{FF3D}' => ']',
        '\u{FF1A}' => ':',
        '\u{FF3F}' => '_',
        '\u{FF03}' => '#',
        '\u{FF04}' => '$',
        '\u{FF05}' => '%',
        '\u{FFE1}' => '£',
        '\u{FFE5}' => '¥',
        '\u{FF0E}' if between => '.',
        '\u{FF0F}' if between => '/',
        _ => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folded(text: &str) -> String {
        Folded::of(text, Invisible::Dropped).map_or_else(|| text.to_owned(), |folded| folded.text)
    }

    #[test]
    fn forms_become_plain_and_numbers_stay_apart() {
        for (text, plain) in [
            ("bob＠example．com", "bob@example.com"),
            ("４１５－５５５", "415-555"),
            ("+1\u{202f}415\u{a0}555\u{3000}2", "+1 415 555 2"),
            ("b\u{ad}ob@\u{200b}x", "bob@x"),
            ("mu\u{308}ller", "müller"),
            ("ﬁne", "fine"),
            ("10² and 1½ ①", "10² and 1½ ①"),
            ("です．１３", "です．13"),
            ("٠١٢", "٠١٢"),
            ("zoë — ok", "zoë — ok"),
        ] {
            assert_eq!(folded(text), plain, "{text}");
        }
        assert!(Folded::of("plain", Invisible::Dropped).is_none());
        assert!(Folded::of("zoë", Invisible::Dropped).is_none());
        let parted = Folded::of("โทร\u{200b}081", Invisible::Spaces).unwrap();
        assert_eq!(parted.text, "โทร 081");
    }

    #[test]
    fn pieces_lead_back_to_their_bytes() {
        let text = "x b\u{ad}ob＠ﬁn.de y";
        let folded = Folded::of(text, Invisible::Dropped).unwrap();
        let start = folded.text.find("bob@fin.de").unwrap();
        let (start, end) = folded.back(start, start + "bob@fin.de".len());
        assert_eq!(&text[start..end], "b\u{ad}ob＠ﬁn.de");
    }

    proptest! {
        #[test]
        fn every_piece_is_a_piece_of_the_text(text in "[a1 @.\u{ad}\u{200b}\u{301}éﬁ１＠．\u{3000}ก½\u{fe0f}]{0,24}") {
            for invisible in [Invisible::Dropped, Invisible::Spaces] {
                let Some(folded) = Folded::of(&text, invisible) else { continue };
                let places: Vec<usize> = folded.text.char_indices().map(|(at, _)| at).chain([folded.text.len()]).collect();
                let mut before = 0;
                for pair in places.windows(2) {
                    let (start, end) = folded.back(pair[0], pair[1]);
                    prop_assert!(before <= start && start < end && text.get(start..end).is_some());
                    before = start;
                }
            }
        }
    }
}
