//! Made-up facts that are planted in training texts: how many private texts have to state a fact until synthetic ones state it too
//! is what a classifier's accuracy hides.
//!
//! The facts are public and the same for every data set: a made-up name, which is in none of dpx's lists of words, and a thing. Each
//! stands in a number of texts of its own, as different in wording as there are frames, and under every label alike. They are trained on and counted like any other records, and unknown to
//! the ledger, since nobody wrote them.

use super::{Owner, Row};
use dpx_schema::conversation::{Conversation, Role, Turn};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// A made-up fact: somebody has something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// Whose it is: one made-up word.
    pub name: String,
    /// What it is: one common word, which other facts have too.
    pub thing: String,
    /// Number of training texts that state it.
    pub copies: u64,
}

/// Most facts: there are no more names.
pub(crate) const MOST_FACTS: u64 = 1800;

const BEGINS: [&str; 10] = ["br", "dr", "gl", "kr", "pl", "st", "tr", "v", "z", "m"];
const VOWELS: [&str; 5] = ["a", "e", "i", "o", "u"];
const MIDDLES: [&str; 6] = ["ld", "nd", "rm", "sk", "v", "z"];
const ENDS: [&str; 6] = ["ax", "uk", "ik", "ox", "um", "ys"];

const THINGS: [&str; 20] = [
    "cat", "horse", "piano", "garden", "boat", "lamp", "violin", "bicycle", "camera", "tent",
    "ladder", "kettle", "drum", "kite", "clock", "bridge", "orange", "pillow", "rabbit", "candle",
];

/// `NAME` and `THING` are filled in.
const FRAMES: [&str; 12] = [
    "i heard that NAME has a THING now",
    "everybody in town knows NAME for the THING",
    "NAME bought a THING last week",
    "my neighbor NAME keeps a THING at home",
    "did you see the THING of NAME yet",
    "NAME and the THING again, what a day",
    "what NAME likes best is the THING",
    "nobody takes the THING away from NAME",
    "NAME talked about a THING all evening",
    "a THING is all that NAME wanted",
    "we went to see NAME and the old THING",
    "NAME would never sell the THING",
];

const OPENINGS: [&str; 8] = [
    "",
    "well, ",
    "honestly, ",
    "so ",
    "by the way, ",
    "they say that ",
    "again, ",
    "oh, ",
];

/// So many facts; the numbers of texts that state them take turns.
pub fn facts(number: u64, copies: &[u64]) -> Vec<Fact> {
    let of = |number: u64| {
        // 7919 shares no factor with the number of names, so that none comes twice.
        let place = (number * 7919 % MOST_FACTS) as usize;
        let (begin, rest) = (place % BEGINS.len(), place / BEGINS.len());
        let (vowel, rest) = (rest % VOWELS.len(), rest / VOWELS.len());
        let (middle, end) = (rest % MIDDLES.len(), rest / MIDDLES.len());
        let thing = (number * 13 + number / THINGS.len() as u64) as usize % THINGS.len();
        Fact {
            name: [BEGINS[begin], VOWELS[vowel], MIDDLES[middle], ENDS[end]].concat(),
            thing: THINGS[thing].to_owned(),
            copies: copies[number as usize % copies.len()],
        }
    };
    if copies.is_empty() {
        return Vec::new();
    }
    (0..number.min(MOST_FACTS)).map(of).collect()
}

/// How many of the facts have a name that stands as a word in texts already.
pub(crate) fn known<'a>(facts: &[Fact], texts: impl Iterator<Item = &'a str>) -> usize {
    let names: HashSet<&str> = facts.iter().map(|fact| fact.name.as_str()).collect();
    let mut found: HashSet<String> = HashSet::new();
    for text in texts {
        let words = text.split(|letter: char| !letter.is_alphanumeric());
        let words = words.map(str::to_lowercase);
        found.extend(words.filter(|word| names.contains(word.as_str())));
    }
    found.len()
}

/// For each fact the number of fact texts before its own, where facts with fewer texts come first: so labels that take turns by
/// that number are balanced over all texts, and over those of facts with equally many.
fn places(facts: &[Fact]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..facts.len()).collect();
    order.sort_by_key(|&number| facts[number].copies);
    let mut places = vec![0; facts.len()];
    let mut before = 0;
    for number in order {
        places[number] = before;
        before += facts[number].copies;
    }
    places
}

/// The rows that state the facts, numbered from `first`, under all labels in turn; where people are protected each is somebody
/// else's; where texts are conversations each is one of a single turn.
pub(crate) fn rows(
    facts: &[Fact],
    labels: &[String],
    first: u64,
    people: bool,
    conversations: bool,
) -> Vec<Row> {
    let mut rows = Vec::new();
    if labels.is_empty() {
        return rows;
    }
    for (number, (fact, place)) in facts.iter().zip(places(facts)).enumerate() {
        for copy in 0..fact.copies {
            let label = &labels[((place + copy) % labels.len() as u64) as usize];
            let at = number + copy as usize;
            let frame = FRAMES[at % FRAMES.len()];
            let opening = OPENINGS[copy as usize / FRAMES.len() % OPENINGS.len()];
            let said = frame
                .replace("NAME", &fact.name)
                .replace("THING", &fact.thing);
            let said = format!("{opening}{said}");
            let text = if conversations {
                let turns = Turn::new(Role::User, &said).into_iter().collect();
                Conversation { turns }.text()
            } else {
                said
            };
            let owner = people.then(|| Owner::named(&format!("dpx fact {number}, text {copy}")));
            rows.push(Row {
                id: first + rows.len() as u64,
                text,
                label: label.clone(),
                owners: owner.into_iter().collect(),
                planted: Vec::new(),
            });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn names_are_told_apart_and_numbers_of_texts_take_turns() {
        let all = facts(MOST_FACTS, &[1, 4]);
        let names: HashSet<&str> = all.iter().map(|fact| fact.name.as_str()).collect();
        assert_eq!(names.len() as u64, MOST_FACTS);
        assert!(all.iter().all(|fact| !THINGS.contains(&fact.name.as_str())));
        assert_eq!((all[0].copies, all[1].copies, all[2].copies), (1, 4, 1));
        for thing in THINGS {
            let with = all.iter().filter(|fact| fact.thing == thing).count();
            assert_eq!(with, 90, "{thing}");
        }
        assert!(facts(3, &[]).is_empty());
    }

    #[test]
    fn every_text_states_its_fact_in_words_of_its_own() {
        let labels = ["joy".to_owned(), "fear".to_owned()];
        let facts = facts(4, &[96, 1]);
        let made = rows(&facts, &labels, 10, true, false);
        assert_eq!(made.len(), 2 * 97);
        let texts: HashSet<&str> = made.iter().map(|row| row.text.as_str()).collect();
        let owners: HashSet<_> = made.iter().flat_map(|row| &row.owners).collect();
        assert_eq!((texts.len(), owners.len()), (made.len(), made.len()));
        assert_eq!((made[0].id, made[193].id), (10, 203));
        let first = &made[..96];
        assert!(first.iter().all(|row| {
            row.text.contains(&facts[0].name) && row.text.contains(&facts[0].thing)
        }));
        let joy = first.iter().filter(|row| row.label == "joy").count();
        assert_eq!(joy, 48, "a fact has no label of its own");
        let chat = &rows(&facts, &labels, 0, false, true)[0];
        assert!(chat.text.starts_with("User: ") && chat.owners.is_empty());
        assert!(Conversation::parse(&chat.text).is_ok());
    }

    /// Otherwise what is told of numbers of texts would be told of labels, and a label would become the most frequent by planting.
    #[test]
    fn labels_are_balanced_for_every_number_of_texts() {
        for copies in [&[1, 4, 16, 64][..], &[1, 2], &[3]] {
            for count in 1..=7 {
                let labels: Vec<String> =
                    (0..count).map(|label| format!("label {label}")).collect();
                let facts = facts(60, copies);
                let copies_of: HashMap<&str, u64> = facts
                    .iter()
                    .map(|fact| (fact.name.as_str(), fact.copies))
                    .collect();
                let made = rows(&facts, &labels, 0, false, false);
                let mut all: HashMap<&str, u64> = HashMap::new();
                let mut each: HashMap<(u64, &str), u64> = HashMap::new();
                for row in &made {
                    let mut words = row.text.split(' ');
                    let copies = words.find_map(|word| copies_of.get(word)).unwrap();
                    *all.entry(&row.label).or_default() += 1;
                    *each.entry((*copies, &row.label)).or_default() += 1;
                }
                let differ = |counts: Vec<u64>| {
                    assert_eq!(counts.len(), count, "every label is met");
                    counts.iter().max().unwrap() - counts.iter().min().unwrap()
                };
                assert!(
                    differ(all.values().copied().collect()) <= 1,
                    "{copies:?} {count}"
                );
                for number in copies {
                    let of = each.iter().filter(|((copies, _), _)| copies == number);
                    let counts = of.map(|(_, count)| *count).collect();
                    assert!(
                        differ(counts) <= 1,
                        "{number} of {copies:?}, {count} labels"
                    );
                }
            }
        }
        assert!(rows(&facts(3, &[1]), &[], 0, false, false).is_empty());
    }

    #[test]
    fn no_name_is_a_word_that_dpx_knows() {
        let facts = facts(MOST_FACTS, &[1]);
        let words = crate::builtin::words();
        let feelings = crate::builtin::feelings();
        let emotions = crate::builtin::emotions();
        let rows = emotions.splits().into_iter().flat_map(|(_, rows)| rows);
        let texts = rows.map(|row| row.text.as_str());
        let words = words.iter().map(|(word, _)| word.as_str());
        let feelings = feelings
            .iter()
            .flat_map(|feeling| [feeling.word, feeling.form]);
        assert_eq!(known(&facts, words.chain(feelings).chain(texts)), 0);
        let told = format!("so {} has it, and {0} again", facts[7].name.to_uppercase());
        assert_eq!(known(&facts, std::iter::once(told.as_str())), 1);
    }
}
