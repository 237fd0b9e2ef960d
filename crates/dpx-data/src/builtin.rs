//! What the binary carries: texts, words, feelings and models (see the READMEs of `dpx-assets` and `dpx-assets-encoder`).

use super::{Dataset, Planted, Row};
pub(crate) use dpx_assets::BASE_FILES;
use dpx_assets::{DIALOGUE, EMOTIONS, FEELINGS, WORDS};
use flate2::read::GzDecoder;
use std::io::Read;

/// The labels of `builtin:emotions`, in order.
pub const EMOTION_LABELS: [&str; 6] = ["anger", "fear", "joy", "love", "sadness", "surprise"];

/// A word of the public vocabulary of feelings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feeling {
    /// Its emotion: one of [`EMOTION_LABELS`].
    pub label: &'static str,
    /// The word, lower case.
    pub word: &'static str,
    /// `adjective`, `noun`, `verb` or `interjection`.
    pub form: &'static str,
}

/// `builtin:emotions`: real comments with planted names, addresses, numbers and handles.
pub fn emotions() -> Dataset {
    let mut first = 0;
    let [train, validation, test] = EMOTIONS.map(|packed| {
        let rows = emotion_rows(&unpack(packed), first);
        first += rows.len() as u64;
        rows
    });
    Dataset {
        labels: EMOTION_LABELS.map(str::to_owned).to_vec(),
        train,
        validation,
        test,
        ..Dataset::default()
    }
}

/// `builtin:dialogue`: turns of informal conversation.
pub fn dialogue() -> Vec<String> {
    unpack(DIALOGUE).lines().map(str::to_owned).collect()
}

/// `builtin:words`: a public vocabulary with counts, most frequent first.
pub fn words() -> Vec<(String, u64)> {
    unpack(WORDS)
        .lines()
        .map(|line| {
            let (word, count) = line.split_once(' ').expect("each line is `word count`");
            (word.to_owned(), count.parse().expect("counts are numbers"))
        })
        .collect()
}

/// `builtin:feelings`: a public vocabulary of feelings, each word once.
pub fn feelings() -> Vec<Feeling> {
    FEELINGS
        .lines()
        .map(|line| {
            let mut fields = line.split('\t');
            let mut next = || fields.next().expect("each line is label, word, form");
            Feeling {
                label: next(),
                word: next(),
                form: next(),
            }
        })
        .collect()
}

/// What a reader of a claim has to know of how a built-in input was made; nothing where there is nothing to say.
pub fn provenance(name: &str) -> Option<&'static str> {
    (name == "builtin:base").then_some(BASE_PROVENANCE)
}

/// See `crates/dpx-assets/base/README.md`.
const BASE_PROVENANCE: &str = "The public model `builtin:base` was trained on a corpus from which 133 lines that equal texts of \
GoEmotions (from which `builtin:emotions` comes) or dair-ai/emotion were removed: where these data sets are the private ones, \
the model depends, without noise, on which texts were in them, and no guarantee covers that.";

/// The content of `builtin:NAME` for its digest, in parts; none where there is no such name.
pub(super) fn parts(name: &str) -> Option<Vec<&'static [u8]>> {
    match name {
        "emotions" => Some(EMOTIONS.to_vec()),
        "dialogue" => Some(vec![DIALOGUE]),
        "words" => Some(vec![WORDS]),
        "feelings" => Some(vec![FEELINGS.as_bytes()]),
        _ => {
            let files = model_files(name)?.iter();
            let parts = files.flat_map(|(name, content)| [name.as_bytes(), content]);
            Some(parts.collect())
        }
    }
}

/// The files of the model `builtin:NAME`, name and content; none where there is no such model.
pub fn model_files(name: &str) -> Option<&'static [(&'static str, &'static [u8])]> {
    match name {
        "base" => Some(BASE_FILES),
        "encoder" => Some(dpx_assets_encoder::FILES),
        _ => None,
    }
}

fn unpack(packed: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(packed)
        .read_to_string(&mut text)
        .expect("the embedded files are whole UTF-8");
    text
}

fn emotion_rows(content: &str, first: u64) -> Vec<Row> {
    content
        .lines()
        .zip(first..)
        .map(|(line, id)| {
            let mut fields = line.split('\t');
            let label: usize = fields
                .next()
                .and_then(|number| number.parse().ok())
                .expect("each line begins with the number of its label");
            let text = fields.next().expect("each line has a text").to_owned();
            let planted = fields
                .next()
                .map_or_else(Vec::new, |spans| planted(&text, spans));
            Row {
                id,
                text,
                label: EMOTION_LABELS[label].to_owned(),
                owners: Vec::new(),
                planted,
            }
        })
        .collect()
}

/// Spans such as `n 3 7;e 20 41`: code, first character, character after the last.
fn planted(text: &str, spans: &str) -> Vec<Planted> {
    let mut bytes: Vec<usize> = text.char_indices().map(|(byte, _)| byte).collect();
    bytes.push(text.len());
    spans
        .split(';')
        .map(|span| {
            let fields: Vec<&str> = span.split(' ').collect();
            let at = |field: usize| -> usize {
                bytes[fields[field].parse::<usize>().expect("places are numbers")]
            };
            let kind = match fields[0] {
                "n" => "person",
                "e" => "email",
                "t" => "phone",
                _ => "handle",
            };
            Planted {
                kind,
                start: at(1),
                end: at(2),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn emotions_has_its_texts_labels_and_planted_places() {
        let dataset = emotions();
        let sizes = dataset.splits().map(|(_, rows)| rows.len());
        assert_eq!(sizes, [9663, 1167, 1167]);
        let ids: HashSet<u64> = dataset
            .splits()
            .iter()
            .flat_map(|(_, rows)| rows.iter().map(|row| row.id))
            .collect();
        assert_eq!(ids.len(), sizes.iter().sum::<usize>());
        let joy = dataset.test.iter().filter(|row| row.label == "joy").count();
        assert_eq!(joy, 336);
        let mut planted = 0;
        for row in &dataset.train {
            assert!(!row.text.is_empty() && !row.text.contains("[NAME]"));
            for piece in &row.planted {
                planted += 1;
                let value = &row.text[piece.start..piece.end];
                assert_eq!(value.trim(), value);
                match piece.kind {
                    "handle" => assert!(value.starts_with('@')),
                    "email" => assert!(value.contains('@') || value.contains(" at ")),
                    "phone" => assert!(value.chars().filter(char::is_ascii_digit).count() >= 7),
                    _ => assert!(value.chars().next().is_some_and(char::is_uppercase)),
                }
            }
        }
        assert_eq!(planted, 1642 + 250 + 214 + 191);
    }

    #[test]
    fn words_and_feelings_fit_together() {
        let words = words();
        assert!((20_000..30_000).contains(&words.len()));
        assert!(words.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        let known: HashSet<&str> = words.iter().map(|(word, _)| word.as_str()).collect();
        let feelings = feelings();
        assert!(feelings.len() > 800);
        let distinct: HashSet<&str> = feelings.iter().map(|feeling| feeling.word).collect();
        assert_eq!(distinct.len(), feelings.len());
        for feeling in feelings {
            assert!(EMOTION_LABELS.contains(&feeling.label), "{feeling:?}");
            assert!(known.contains(feeling.word), "{feeling:?}");
        }
        assert_eq!(dialogue().len(), 32_000);
    }
}
