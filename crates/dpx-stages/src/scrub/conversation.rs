//! Scrubbing of conversations: turn by turn, with one placeholder for each person, address or number of a conversation.
//!
//! `Anna` in one turn and `Anna Miller` in another are `[PERSON_1]` both; who is another person is `[PERSON_2]`. Numbers begin
//! anew in each conversation, so that a conversation changes nothing but itself.

use super::apply::apply_named;
use super::{Scrubbed, Span};
use std::collections::BTreeSet;

/// Words before names that tell nobody apart.
const TITLES: [&str; 9] = [
    "mr", "mrs", "ms", "miss", "dr", "prof", "sir", "madam", "mx",
];

/// The placeholders of one conversation.
#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    /// What was given out, and whose it is.
    known: Vec<Known>,
    /// What people typed themselves, without the brackets.
    typed: BTreeSet<String>,
}

#[derive(Debug)]
struct Known {
    kind: String,
    name: String,
    words: BTreeSet<String>,
}

impl Placeholders {
    /// Those of a conversation with these turns: what looks like a placeholder there is given to nobody.
    pub(crate) fn of<'a>(turns: impl IntoIterator<Item = &'a str>) -> Self {
        let typed = turns.into_iter().flat_map(|turn| {
            let pieces = turn.split('[').skip(1);
            pieces.filter_map(|piece| piece.split_once(']').map(|(name, _)| name.to_owned()))
        });
        Self {
            known: Vec::new(),
            typed: typed.collect(),
        }
    }

    /// A turn with `[KIND_NUMBER]` in the place of each span.
    pub(crate) fn apply(&mut self, turn: &str, found: &[Vec<Span>]) -> Scrubbed {
        apply_named(turn, found, |span, piece| self.name(&span.kind, piece))
    }

    fn name(&mut self, kind: &str, piece: &str) -> String {
        let words = words(kind, piece);
        // A person is called by a part of a name; an address or number is another where a letter differs.
        let same = |known: &BTreeSet<String>| {
            *known == words
                || kind == "PERSON"
                    && !words.is_empty()
                    && (known.is_superset(&words) || known.is_subset(&words))
        };
        let mut of_kind = self.known.iter_mut().filter(|known| known.kind == kind);
        if let Some(known) = of_kind.find(|known| same(&known.words)) {
            known.words.extend(words);
            return known.name.clone();
        }
        let free = |name: &String| {
            !self.typed.contains(name) && self.known.iter().all(|known| known.name != *name)
        };
        let name = (1..=self.known.len() + self.typed.len() + 1)
            .map(|number| format!("{kind}_{number}"))
            .find(free)
            .expect("there is one number more than names");
        self.known.push(Known {
            kind: kind.to_owned(),
            name: name.clone(),
            words,
        });
        name
    }
}

fn words(kind: &str, piece: &str) -> BTreeSet<String> {
    let lower = piece.to_lowercase();
    if kind != "PERSON" {
        let letters = lower.chars().filter(|letter| !letter.is_whitespace());
        return BTreeSet::from([letters.collect()]);
    }
    let words = lower
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty() && !TITLES.contains(word))
        .map(str::to_owned);
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str, pieces: &[(&str, &str)]) -> Vec<Vec<Span>> {
        let span = |(piece, kind): &(&str, &str)| {
            let start = text.find(piece).unwrap();
            Span {
                start,
                end: start + piece.len(),
                kind: (*kind).to_owned(),
            }
        };
        vec![pieces.iter().map(span).collect()]
    }

    #[test]
    fn what_people_typed_is_nobodys_placeholder() {
        let turns = [
            "[EMAIL_1] and [EMAIL_3] are mine",
            "write to a@b.org or c@d.org",
        ];
        let mut placeholders = Placeholders::of(turns);
        let pieces = [("a@b.org", "EMAIL"), ("c@d.org", "EMAIL")];
        let scrubbed = placeholders.apply(turns[1], &spans(turns[1], &pieces));
        assert_eq!(scrubbed.text, "write to [EMAIL_2] or [EMAIL_4]");
    }

    #[test]
    fn one_person_has_one_placeholder_in_a_conversation() {
        let mut placeholders = Placeholders::default();
        let mut scrub = |text: &str, pieces: &[(&str, &str)]| {
            placeholders.apply(text, &spans(text, pieces)).text
        };
        assert_eq!(
            scrub(
                "I am Anna Miller, mail a@b.example, he is Bob",
                &[
                    ("Anna Miller", "PERSON"),
                    ("a@b.example", "EMAIL"),
                    ("Bob", "PERSON")
                ]
            ),
            "I am [PERSON_1], mail [EMAIL_1], he is [PERSON_2]"
        );
        assert_eq!(
            scrub(
                "Hi anna! Is A@b.example yours, or c@b.example?",
                &[
                    ("anna", "PERSON"),
                    ("A@b.example", "EMAIL"),
                    ("c@b.example", "EMAIL")
                ]
            ),
            "Hi [PERSON_1]! Is [EMAIL_1] yours, or [EMAIL_2]?"
        );
        assert_eq!(
            scrub(
                "Dr. Miller and Robert",
                &[("Dr. Miller", "PERSON"), ("Robert", "PERSON")]
            ),
            "[PERSON_1] and [PERSON_3]"
        );
        // Another conversation begins anew.
        let text = "Robert";
        let fresh = Placeholders::default().apply(text, &spans(text, &[("Robert", "PERSON")]));
        assert_eq!(fresh.text, "[PERSON_1]");
    }
}
