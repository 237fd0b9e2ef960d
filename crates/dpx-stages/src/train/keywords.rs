//! Which rows are trained with a keyword in their prompt, so that the generator can later be asked for one.

use crate::counts::{keyword_list, keywords_of, said};
use dpx_data::Row;
use dpx_nn::seed::Stream;
use dpx_schema::StageError;
use std::collections::HashMap;

/// A public vocabulary and a public coin for each row.
///
/// What a row becomes depends on its number, text and label and on nothing else in the data, so that a row still changes one
/// training sequence alone: the sensitivity is that of training without keywords.
#[derive(Debug)]
pub(super) struct Keywords {
    words: Vec<String>,
    index: HashMap<String, usize>,
    seed: u64,
}

impl Keywords {
    /// Reads the vocabulary of a name; nothing for an empty one.
    pub(super) fn new(name: &str, seed: u64) -> Result<Option<Self>, StageError> {
        if name.is_empty() {
            return Ok(None);
        }
        let words = keyword_list(name)?;
        if words.is_empty() {
            return Err(StageError::new(format!(
                "`keywords`: `{name}` holds no word; expected one a line"
            )));
        }
        let index = words
            .iter()
            .enumerate()
            .map(|(at, word)| (word.clone(), at))
            .collect();
        Ok(Some(Self { words, index, seed }))
    }

    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }

    /// The first keyword of what a row says, for the half of the rows whose coin shows heads.
    pub(super) fn of(&self, row: &Row, conversations: bool) -> Option<&str> {
        let heads = Stream::new(self.seed, "train keyword", &[row.id]).next_u64() & 1 == 1;
        if !heads {
            return None;
        }
        let found = keywords_of(&said(&row.text, conversations), &self.index, 1);
        found.first().map(|&at| self.words[at].as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u64, text: &str) -> Row {
        Row {
            id,
            text: text.to_owned(),
            label: "joy".into(),
            owners: Vec::new(),
            planted: Vec::new(),
        }
    }

    #[test]
    fn half_of_the_rows_that_hold_a_keyword_get_their_first() {
        let keywords = Keywords::new("builtin:feelings", 3).unwrap().unwrap();
        let of = |id| keywords.of(&row(id, "So HAPPY and not afraid."), false);
        let given = (0..1000).filter_map(of).collect::<Vec<_>>();
        assert!(given.iter().all(|word| *word == "happy"));
        assert!((430..570).contains(&given.len()), "{}", given.len());
        assert!((0..50).all(|id| keywords.of(&row(id, "the table"), false).is_none()));
        // Another experiment's seed tosses other coins.
        let other = Keywords::new("builtin:feelings", 4).unwrap().unwrap();
        let happy = |keywords: &Keywords, id| keywords.of(&row(id, "happy"), false).is_some();
        assert!((0..50).any(|id| happy(&other, id) != happy(&keywords, id)));
    }

    #[test]
    fn names_of_roles_are_no_keywords() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "user\nassistant\nparcel\n").unwrap();
        let keywords = Keywords::new(&file.path().display().to_string(), 3);
        let keywords = keywords.unwrap().unwrap();
        let chat = "User: where is it\nAssistant: the parcel is with a user";
        let of = |id| keywords.of(&row(id, chat), true);
        assert!((0..50).any(|id| of(id) == Some("parcel")));
        assert!((0..50).all(|id| of(id).is_none_or(|word| word == "parcel")));
        assert!((0..50).any(|id| keywords.of(&row(id, chat), false) == Some("user")));
    }

    #[test]
    fn no_name_is_no_vocabulary_and_an_empty_file_is_refused() {
        assert!(Keywords::new("", 3).unwrap().is_none());
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Keywords::new(&file.path().display().to_string(), 3).unwrap_err();
        assert!(error.to_string().contains("holds no word"), "{error}");
    }
}
