//! Texts as bags of words, drawn from released counts: no model, no order of words, no grammar.
//!
//! Each word of a text is drawn independently from `P(word | label)` of the noisy histogram, the number of words from the
//! noisy length histogram. What such texts teach a classifier is what the histogram knows: a language model has to do better.

use super::keywords::places;
use super::write::{Attempt, Form, Slot, Source};
use crate::counts::NoisyCounts;
use dpx_data::builtin;
use dpx_nn::seed::Stream;
use dpx_schema::progress::ProgressUpdate;
use dpx_schema::{StageContext, StageError};
use serde_json::{Map, Value, json};
use std::cell::LazyCell;
use std::collections::HashMap;
use std::ops::RangeInclusive;

/// Words of a text where there is no length histogram, or none of its cells stands out of the noise.
const USUAL_WORDS: u64 = 20;

/// Things in proportion to their probabilities.
#[derive(Debug, Clone, PartialEq)]
struct Categorical<T> {
    things: Vec<T>,
    /// Sums of the probabilities up to each thing.
    sums: Vec<f64>,
}

impl<T> Categorical<T> {
    fn of(weighed: Vec<(T, f64)>) -> Self {
        let mut sum = 0.0;
        let (things, sums) = weighed
            .into_iter()
            .map(|(thing, weight)| {
                sum += weight;
                (thing, sum)
            })
            .unzip();
        Self { things, sums }
    }

    /// One of them; nothing where there is none.
    fn draw(&self, stream: &mut Stream) -> Option<&T> {
        let at = stream.uniform() * self.sums.last()?;
        let place = self.sums.partition_point(|sum| *sum <= at);
        // Rounding may carry the product up to the sum itself.
        self.things.get(place).or_else(|| self.things.last())
    }
}

/// What a label draws its words from.
#[derive(Debug, Clone, PartialEq)]
struct Words {
    law: Categorical<usize>,
    /// None of its cells stands out of the noise: the law is that of the public frequencies.
    public: bool,
}

/// Draws texts from noisy counts.
pub(super) struct Bags<'a> {
    vocabulary: &'a [String],
    labels: &'a [String],
    words: Vec<Words>,
    lengths: Categorical<RangeInclusive<u64>>,
    /// Longest text in words.
    most: u64,
    context: &'a StageContext<'a>,
    /// Texts finished and texts begun, retries included.
    progress: (u64, u64),
}

impl<'a> Bags<'a> {
    /// The laws of noisy counts, in the order of `labels`; no text has more than `most` words.
    pub(super) fn new(
        counts: &'a NoisyCounts,
        labels: &'a [String],
        most: u64,
        context: &'a StageContext<'a>,
    ) -> Result<Self, StageError> {
        if counts.keywords.is_empty() {
            return Err(StageError::new(
                "without a model, texts are drawn from the words of the `counts` stage, which counted none: give it `keywords = \"builtin:words\"`",
            ));
        }
        let public_law = LazyCell::new(|| public_law(&counts.keywords));
        let words = places(counts, labels)?
            .into_iter()
            .map(|place| {
                let law = counts.word_law(place);
                let public = law.is_empty();
                let law = if public { public_law.clone() } else { law };
                Words {
                    law: Categorical::of(law),
                    public,
                }
            })
            .collect();
        Ok(Self {
            vocabulary: &counts.keywords,
            labels,
            words,
            lengths: Categorical::of(counts.length_law()),
            most,
            context,
            progress: (0, 0),
        })
    }

    /// How many words each label draws from, and whence.
    pub(super) fn report(&self) -> Value {
        let by_label: Map<String, Value> = self
            .labels
            .iter()
            .zip(&self.words)
            .map(|(label, words)| {
                let source = if words.public { "public" } else { "private" };
                let told = json!({"words": words.law.things.len(), "frequencies": source});
                (label.clone(), told)
            })
            .collect();
        let lengths = if self.lengths.things.is_empty() {
            json!(USUAL_WORDS.min(self.most))
        } else {
            json!("private")
        };
        json!({"drawn_from": by_label, "length": lengths})
    }

    /// One text: a function of seed, label, number and attempt.
    fn text(&self, slot: Slot, attempt: u64) -> Attempt {
        let purpose = format!("sample words {}", self.labels[slot.label]);
        let mut stream = Stream::new(self.context.seed, &purpose, &[slot.number, attempt]);
        let length = match self.lengths.draw(&mut stream) {
            Some(range) => range.start() + stream.below(range.end() - range.start() + 1),
            None => USUAL_WORDS,
        };
        let law = &self.words[slot.label].law;
        let words: Vec<&str> = (0..length.min(self.most))
            .filter_map(|_| law.draw(&mut stream))
            .map(|&word| self.vocabulary[word].as_str())
            .collect();
        Attempt {
            ended: length <= self.most,
            tokens: words.len(),
            form: Form::Whole,
            text: words.join(" "),
        }
    }
}

impl Source for Bags<'_> {
    fn attempt(&mut self, slots: &[Slot], attempt: u64) -> Result<Vec<Attempt>, StageError> {
        if self.context.progress.stop_requested() {
            return Err(StageError::interrupted());
        }
        self.progress.1 += slots.len() as u64;
        let texts: Vec<Attempt> = slots.iter().map(|slot| self.text(*slot, attempt)).collect();
        self.progress.0 += texts.len() as u64;
        let (done, all) = self.progress;
        self.context
            .progress
            .update(&ProgressUpdate::texts(done, all));
        Ok(texts)
    }

    fn wrote_nothing(&self) -> &'static str {
        "nothing but empty texts was drawn: no count stands out from its noise; raise epsilon, or count fewer `keywords`"
    }
}

/// Words in proportion to their frequency in `builtin:words`; one that is not there counts as if it were there once.
fn public_law(vocabulary: &[String]) -> Vec<(usize, f64)> {
    let counts: HashMap<String, u64> = builtin::words().into_iter().collect();
    vocabulary
        .iter()
        .enumerate()
        .map(|(place, word)| (place, counts.get(word).copied().unwrap_or(1).max(1) as f64))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Noisy;
    use dpx_schema::Kind;
    use dpx_schema::context::NoProgress;
    use std::collections::BTreeMap;

    fn counts() -> NoisyCounts {
        NoisyCounts {
            labels: vec!["fear".into(), "joy".into(), "love".into()],
            label_counts: Noisy::default(),
            combinations: None,
            keywords: ["glad", "merry", "afraid", "the"]
                .map(str::to_owned)
                .to_vec(),
            keywords_per_text: 2,
            keyword_counts: Noisy {
                // Rows are words; columns fear, joy, love. Noise is 2: what is below 5 is zero.
                cells: vec![
                    4.9, 60.0, 4.0, -7.0, 20.0, 1.0, 50.0, 3.0, 2.0, 50.0, 20.0, 4.9,
                ],
                noise_std: 2.0,
            },
            length_edges: vec![3, 6],
            length_counts: Noisy {
                cells: vec![30.0, 10.0, 1.0],
                noise_std: 1.0,
            },
            threshold: 2.5,
        }
    }

    fn context(seed: u64) -> StageContext<'static> {
        let nowhere = std::path::PathBuf::new();
        StageContext {
            instance: "sample".into(),
            kind: Kind::Sample,
            params: Value::Null,
            performance: Value::Null,
            inputs: BTreeMap::new(),
            output: nowhere.clone(),
            state: nowhere.clone(),
            secrets: nowhere.clone(),
            ledger: nowhere.into(),
            key: String::new(),
            seed,
            device: dpx_schema::Device::Cpu,
            others: Vec::new(),
            progress: &NoProgress,
        }
    }

    fn slots(label: usize, numbers: std::ops::Range<u64>) -> Vec<Slot> {
        numbers.map(|number| Slot { label, number }).collect()
    }

    fn texts(bags: &mut Bags<'_>, slots: &[Slot], attempt: u64) -> Vec<String> {
        let made = bags.attempt(slots, attempt).unwrap();
        made.into_iter().map(|attempt| attempt.text).collect()
    }

    #[test]
    fn words_and_lengths_follow_the_cells_and_zeroed_cells_are_never_drawn() {
        let (counts, context) = (counts(), context(1));
        let labels = ["joy", "fear"].map(str::to_owned);
        let mut bags = Bags::new(&counts, &labels, 48, &context).unwrap();
        let made = texts(&mut bags, &slots(0, 0..6000), 0);
        let (mut seen, mut lengths) = (HashMap::new(), [0_u64; 7]);
        for text in &made {
            let words: Vec<&str> = text.split(' ').collect();
            lengths[words.len()] += 1;
            for word in words {
                *seen.entry(word).or_insert(0.0) += 1.0;
            }
        }
        let all: f64 = seen.values().sum();
        for (word, share) in [("glad", 0.6), ("merry", 0.2), ("the", 0.2)] {
            let found = seen[word] / all;
            assert!((found - share).abs() < 0.02, "{word}: {found}");
        }
        assert!(!seen.contains_key("afraid"));
        // Three in four have one to three words, the others four to six, evenly.
        assert_eq!(lengths[0], 0);
        for (length, expected) in [
            (1, 1500),
            (2, 1500),
            (3, 1500),
            (4, 500),
            (5, 500),
            (6, 500),
        ] {
            assert!(lengths[length].abs_diff(expected) < 150, "{lengths:?}");
        }
        for text in texts(&mut bags, &slots(1, 0..2000), 0) {
            assert!(text.split(' ').all(|word| matches!(word, "afraid" | "the")));
        }
    }

    #[test]
    fn a_text_depends_on_seed_label_number_and_attempt_alone() {
        let (counts, context) = (counts(), context(1));
        let labels = ["joy", "fear"].map(str::to_owned);
        let mut bags = Bags::new(&counts, &labels, 48, &context).unwrap();
        let all = texts(&mut bags, &slots(0, 0..200), 0);
        assert_eq!(texts(&mut bags, &slots(0, 50..60), 0), all[50..60]);
        assert_ne!(texts(&mut bags, &slots(0, 0..200), 1), all);
        // The order of the labels does not matter.
        let turned = ["fear", "joy"].map(str::to_owned);
        let mut other = Bags::new(&counts, &turned, 48, &context).unwrap();
        assert_eq!(texts(&mut other, &slots(1, 0..200), 0), all);
        let seed = self::context(2);
        let mut other = Bags::new(&counts, &labels, 48, &seed).unwrap();
        assert_ne!(texts(&mut other, &slots(0, 0..200), 0), all);
    }

    #[test]
    fn a_label_within_the_noise_draws_from_public_frequencies() {
        let (counts, context) = (counts(), context(1));
        let labels = ["love", "joy"].map(str::to_owned);
        let mut bags = Bags::new(&counts, &labels, 48, &context).unwrap();
        let told = bags.report();
        assert_eq!(
            told["drawn_from"],
            json!({"love": {"words": 4, "frequencies": "public"}, "joy": {"words": 3, "frequencies": "private"}})
        );
        let made = texts(&mut bags, &slots(0, 0..500), 0).join(" ");
        let the = made.split(' ').filter(|word| *word == "the").count() as f64;
        assert!(
            the > 0.99 * made.split(' ').count() as f64,
            "`the` is the most frequent word"
        );
    }

    #[test]
    fn without_a_length_histogram_texts_have_the_usual_number_of_words_but_no_more_than_asked() {
        let context = context(1);
        let counts = NoisyCounts {
            length_edges: Vec::new(),
            length_counts: Noisy::default(),
            ..counts()
        };
        let labels = ["joy".to_owned()];
        for (most, words) in [(48, 20), (7, 7)] {
            let mut bags = Bags::new(&counts, &labels, most, &context).unwrap();
            assert_eq!(bags.report()["length"], words);
            for attempt in bags.attempt(&slots(0, 0..20), 0).unwrap() {
                assert_eq!(attempt.tokens as u64, words);
                assert_eq!(attempt.ended, most == 48);
            }
        }
        let empty = NoisyCounts {
            combinations: None,
            keywords: Vec::new(),
            ..counts
        };
        let error = Bags::new(&empty, &labels, 48, &context).err().unwrap();
        assert!(error.to_string().contains("counted none"), "{error}");
    }
}
