//! How the names of people look: two that may be one, and one that may be several.

use super::{Owner, Owners};
use crate::labels::look;
use std::collections::{HashMap, HashSet};

/// What people may write between the names of several.
const BETWEEN_NAMES: [char; 4] = [',', ';', '|', '\n'];

/// People by how their names look, so that those are told who may be one, or several.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// In how many different names each part of a name stands; a whole name is a part of itself.
    parts: HashMap<Owner, u32>,
    /// The parts of each name that has several.
    joined: HashMap<Owner, Vec<Owner>>,
    seen: HashSet<Owner>,
    /// The first of each look, which is known by its digest.
    first: HashMap<Owner, Owner>,
    alike: HashSet<Owner>,
}

impl Looks {
    /// Takes in the names of a file.
    pub(crate) fn add(&mut self, owners: &Owners) {
        for name in owners.names() {
            let owner = Owner::named(name);
            let first = *self
                .first
                .entry(Owner::named(&look_of(name)))
                .or_insert(owner);
            if first != owner {
                self.alike.extend([first, owner]);
            }
            if !self.seen.insert(owner) {
                continue;
            }
            let parts: HashSet<Owner> = name
                .split(BETWEEN_NAMES)
                .filter(|part| !part.trim().is_empty())
                .map(Owner::named)
                .collect();
            for part in &parts {
                *self.parts.entry(*part).or_default() += 1;
            }
            if parts.len() > 1 {
                self.joined.insert(owner, parts.into_iter().collect());
            }
        }
    }

    /// How many names look like several people's: each of their parts stands in another name, too.
    pub(crate) fn joined(&self) -> u64 {
        let is_elsewhere = |part: &Owner| self.parts.get(part).is_some_and(|&count| count > 1);
        let joined = self.joined.values();
        joined
            .filter(|parts| parts.iter().all(is_elsewhere))
            .count() as u64
    }

    /// How many people have a name that looks like another's.
    pub(crate) fn alike(&self) -> u64 {
        self.alike.len() as u64
    }
}

/// What is left of a name without capitals, white space, characters that are not seen, and of a number in one spelling.
fn look_of(name: &str) -> String {
    let look = look(name);
    if look.bytes().all(|byte| byte.is_ascii_digit()) {
        return look.trim_start_matches('0').to_owned();
    }
    let is_number = |letter: char| letter.is_ascii_digit() || "+-.e".contains(letter);
    match look.parse::<f64>() {
        // Without a point or an exponent, as whole numbers are.
        Ok(number) if number.is_finite() && look.chars().all(is_number) => number.to_string(),
        _ => look,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::Named;

    #[test]
    fn names_that_look_alike_are_counted() {
        let looks = |names: &[&str]| {
            let names = names.iter().zip(0..).map(|(name, line)| {
                let names = vec![(*name).to_owned()];
                (
                    line,
                    Named {
                        names: Ok(names),
                        text: None,
                    },
                )
            });
            let mut looks = Looks::default();
            looks.add(&Owners(names.collect()));
            looks.alike()
        };
        assert_eq!(looks(&["ann", "bob", "ann", " bob ", "7", "7.0", ""]), 0);
        assert_eq!(looks(&["Zoe", "zoe", "Z oe", "bob", "a", "a\u{200b}"]), 5);
        assert_eq!(looks(&["1000", "1e3", "1000.00", "01000", "1001"]), 4);
        assert_eq!(looks(&["1e17", "100000000000000000"]), 2);
        // Long numbers that a floating-point number cannot tell apart.
        assert_eq!(looks(&["100000000000000001", "100000000000000000"]), 0);
        assert_eq!(looks(&["inf", "nan", "e", "-"]), 0);
    }

    #[test]
    fn names_of_several_in_one_string_are_counted() {
        let joined = |names: &[&str]| {
            let names = names.iter().zip(0..).map(|(name, line)| {
                let names = Ok(vec![(*name).to_owned()]);
                (line, Named { names, text: None })
            });
            let mut looks = Looks::default();
            looks.add(&Owners(names.collect()));
            looks.joined()
        };
        assert_eq!(joined(&["ann, bob", "ann", "bob;cyd", "cyd, ann"]), 3);
        assert_eq!(joined(&["Miller, Ann", "Smith, Bob", "zoe", "zoe"]), 0);
    }
}
