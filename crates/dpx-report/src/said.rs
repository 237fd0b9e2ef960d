//! What a study calls the texts that it was measured on: real ones, or in a rehearsal the public ones that stand in for them.
//! Whatever is written about a study asks here, so that no sentence of a rehearsal speaks of real texts.

use super::study::Study;
use std::borrow::Cow;

const REAL: &str = "real";
const STAND_IN: &str = "stand-in";

impl Study {
    /// The word for the texts that synthetic ones learn from and are compared with: `real` or `stand-in`.
    pub(crate) const fn real(&self) -> &'static str {
        if self.rehearsal { STAND_IN } else { REAL }
    }

    /// A sentence of dpx's own about real texts, as it is true of this study. Not for sentences with names or values of a user's,
    /// which may hold that word: those put [`Study::real`] where it belongs.
    pub(crate) fn said<'a>(&self, sentence: &'a str) -> Cow<'a, str> {
        if !self.rehearsal {
            return sentence.into();
        }
        let word = |word: &'a str| match word.trim_matches(|letter: char| !letter.is_alphanumeric())
        {
            REAL => Cow::from(word.replace(REAL, STAND_IN)),
            _ => Cow::from(word),
        };
        sentence
            .split(' ')
            .map(word)
            .collect::<Vec<_>>()
            .join(" ")
            .into()
    }

    /// What is said of figures that are marked as internal.
    pub(crate) const fn internal(&self) -> &'static str {
        if self.rehearsal {
            "measured on the public texts that stand in for the data"
        } else {
            "internal: measured on private data, not covered by the DP guarantee"
        }
    }
}
