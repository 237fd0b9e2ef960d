//! Real training texts for a page that is then as private as they are: some of each label, and beside each synthetic text the one
//! that it shares most words with.

use super::sources::{AssembleError, Sources};
use super::study::Study;
use dpx_schema::Kind;
use dpx_stages::metric::words::words;
use dpx_stages::score::Examples;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Real texts of each label that are shown; as many as a score stage keeps of synthetic ones.
const MOST: usize = 20;

/// The real text nearest to a synthetic one.
#[derive(Debug, Clone, PartialEq)]
pub struct Nearest {
    /// A training text, whole.
    pub text: String,
    /// Cosine of their words, each weighed by how rare it is among the real texts. 0 to 1.
    pub cosine: f64,
}

/// What a page shows of real texts; nothing unless it was asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RealTexts {
    /// Up to twenty real texts of each label.
    pub examples: Vec<Examples>,
    /// The nearest real text, by the synthetic one.
    pub nearest: BTreeMap<String, Nearest>,
}

/// Real training texts of each label, and the one nearest to each synthetic text that the page shows; the page is as private as
/// they are.
///
/// # Errors
/// The texts cannot be read.
pub fn real_texts(sources: &Sources<'_>, study: &Study) -> Result<RealTexts, AssembleError> {
    let plan = sources.plan;
    let data = (0..plan.instances.len()).find(|&id| plan.instances[id].kind == Kind::Preprocess);
    let lines = data
        .map(|id| sources.file(id, "train.jsonl"))
        .transpose()?
        .flatten()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default();
    let mut found = RealTexts::default();
    let mut all = Vec::new();
    for line in lines.lines() {
        let Ok(row) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let (Some(text), Some(label)) = (row["text"].as_str(), row["label"].as_str()) else {
            continue;
        };
        all.push(text.to_owned());
        match found.examples.iter_mut().find(|own| own.label == label) {
            Some(own) if own.texts.len() < MOST => own.texts.push(text.to_owned()),
            Some(_) => {}
            None => found.examples.push(Examples {
                label: label.to_owned(),
                texts: vec![text.to_owned()],
            }),
        }
    }
    let index = Index::new(&all);
    let scores = study.rows.iter().filter_map(|row| row.scores.as_ref());
    let shown = scores
        .flat_map(|scores| &scores.examples)
        .flat_map(|own| &own.texts);
    for text in shown {
        if let Some((at, cosine)) = index.nearest(text) {
            let nearest = Nearest {
                text: all[at].clone(),
                cosine,
            };
            found.nearest.insert(text.clone(), nearest);
        }
    }
    Ok(found)
}

/// Real texts by word.
struct Index {
    /// For each word its weight and the texts that hold it.
    texts: HashMap<String, (f64, Vec<u32>)>,
    /// Length of each text's vector.
    lengths: Vec<f64>,
}

impl Index {
    fn new(texts: &[String]) -> Self {
        let mut by_word: HashMap<String, (f64, Vec<u32>)> = HashMap::new();
        for (at, text) in texts.iter().enumerate() {
            for word in words(text).into_iter().collect::<BTreeSet<_>>() {
                by_word.entry(word).or_default().1.push(at as u32);
            }
        }
        let mut squares = vec![0.0; texts.len()];
        for (weight, holders) in by_word.values_mut() {
            *weight = (1.0 + texts.len() as f64 / holders.len() as f64).ln();
            for &at in holders.iter() {
                squares[at as usize] += *weight * *weight;
            }
        }
        Self {
            texts: by_word,
            lengths: squares.into_iter().map(f64::sqrt).collect(),
        }
    }

    /// The text that shares most with another, and the cosine; nothing where none shares a word.
    fn nearest(&self, text: &str) -> Option<(usize, f64)> {
        let mut shared: HashMap<u32, f64> = HashMap::new();
        let mut square = 0.0;
        let unknown = (2.0 + self.lengths.len() as f64).ln();
        for word in words(text).into_iter().collect::<BTreeSet<_>>() {
            let Some((weight, holders)) = self.texts.get(&word) else {
                square += unknown * unknown;
                continue;
            };
            square += weight * weight;
            for &at in holders {
                *shared.entry(at).or_default() += weight * weight;
            }
        }
        let cosine = |at: u32, dot: f64| dot / (square.sqrt() * self.lengths[at as usize]);
        shared
            .into_iter()
            .map(|(at, dot)| (at as usize, cosine(at, dot)))
            // The first among equals.
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_words_decide_which_text_is_nearest() {
        let texts = [
            "the cat sat on the mat",
            "the dog sat on the log",
            "the end",
        ]
        .map(str::to_owned);
        let index = Index::new(&texts);
        assert_eq!(index.nearest("a dog on the log").unwrap().0, 1);
        let same = index.nearest("The cat sat on the mat!").unwrap();
        assert_eq!(same.0, 0);
        assert!((same.1 - 1.0).abs() < 1e-9, "{same:?}");
        assert_eq!(index.nearest("nothing shared"), None);
        assert_eq!(Index::new(&[]).nearest("a"), None);
    }
}
