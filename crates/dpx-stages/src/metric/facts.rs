//! Made-up facts that synthetic texts state, by the number of training texts that stated them.

use super::Share;
use super::words::words;
use dpx_data::Fact;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What is left of the facts that as many training texts stated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FactRecall {
    /// Training texts that stated each of them.
    pub copies: u64,
    /// Facts whose name and thing stand together in a synthetic text.
    pub stated: Share,
    /// Facts whose name stands beside the thing of another: what chance, or a confused model, gives.
    pub confused: Share,
    /// Facts whose name stands in any synthetic text.
    pub named: Share,
}

/// Counts, by the number of training texts, the facts that synthetic texts state. Words count whole, without case.
pub(crate) fn fact_recall<T: AsRef<str>>(facts: &[Fact], synthetic: &[T]) -> Vec<FactRecall> {
    let names: HashMap<&str, usize> = facts
        .iter()
        .enumerate()
        .map(|(number, fact)| (fact.name.as_str(), number))
        .collect();
    let things: HashSet<&str> = facts.iter().map(|fact| fact.thing.as_str()).collect();
    let mut found = vec![[false; 3]; facts.len()];
    for text in synthetic {
        let words = words(text.as_ref());
        for number in words.iter().filter_map(|word| names.get(word.as_str())) {
            let own = facts[*number].thing.as_str();
            let [stated, confused, named] = &mut found[*number];
            *named = true;
            *stated |= words.iter().any(|word| word == own);
            *confused |= words
                .iter()
                .any(|word| word != own && things.contains(word.as_str()));
        }
    }
    let mut by_copies: BTreeMap<u64, [u64; 4]> = BTreeMap::new();
    for (fact, found) in facts.iter().zip(found) {
        let counts = by_copies.entry(fact.copies).or_default();
        counts[3] += 1;
        for (count, found) in counts.iter_mut().zip(found) {
            *count += u64::from(found);
        }
    }
    by_copies
        .into_iter()
        .map(|(copies, [stated, confused, named, all])| FactRecall {
            copies,
            stated: Share::of(stated, all),
            confused: Share::of(confused, all),
            named: Share::of(named, all),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_count_once_each_and_need_their_own_thing() {
        let fact = |name: &str, thing: &str, copies| Fact {
            name: name.into(),
            thing: thing.into(),
            copies,
        };
        let facts = [
            fact("brald", "cat", 1),
            fact("zendo", "boat", 4),
            fact("plisk", "lamp", 4),
        ];
        let texts = [
            "Zendo has a boat!",
            "the boat of zendo",
            "plisk and her cat",
            "bralds cat, and a lamp",
        ];
        let found = fact_recall(&facts, &texts);
        let counts = |at: usize| {
            let FactRecall {
                stated,
                confused,
                named,
                ..
            } = &found[at];
            (stated.count, confused.count, named.count, named.total)
        };
        assert_eq!((found[0].copies, found[1].copies), (1, 4));
        assert_eq!(counts(0), (0, 0, 0, 1));
        assert_eq!(counts(1), (1, 1, 2, 2));
        assert!(fact_recall(&[], &texts).is_empty());
    }
}
