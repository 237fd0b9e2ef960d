//! `scores.json`: every figure that compares synthetic with real texts. All of it is internal.

use super::conversations::ConversationScores;
use crate::metric::copies::Copies;
use crate::metric::distribution::{LabelShares, Lengths};
use crate::metric::diversity::Diversity;
use crate::metric::facts::FactRecall;
use crate::metric::mauve::Mauve;
use crate::metric::neighbours::Neighbours;
use crate::metric::perplexity::Perplexity;
use crate::metric::planted::Replay;
use crate::metric::similarity::SetSimilarity;
use crate::metric::support::Support;
use serde::{Deserialize, Serialize};

/// Name of the file in a `score` artifact.
pub const SCORES_FILE: &str = "scores.json";

/// The content of `scores.json`.
///
/// "Real" are texts of the test split unless it says training. A ceiling is the same figure with training texts in the
/// place of the synthetic ones: real against other real texts, with equal numbers on either side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Scores {
    /// [`Scores::VERSION`] of the program that wrote it.
    pub version: u32,
    /// The encoder whose mean-pooled embeddings were compared.
    pub encoder: String,
    /// The public model of the perplexities under a base model: `builtin:`, `hf:` or `stage:` and its name, or a folder's name.
    #[serde(default)]
    pub base: Option<String>,
    /// Whether the mean of the held-out embeddings was taken away from all, as for causal language models.
    pub centred: bool,
    /// In the declared order.
    pub labels: Vec<String>,
    pub n: Counts,
    /// Mean cosine between the sets; nothing without an encoder.
    pub similarity: Option<Compared<SetSimilarity>>,
    /// MAUVE of synthetic against held-out texts, with that of training texts as ceiling.
    pub mauve: Option<Compared<Mauve>>,
    /// Area under the ROC curve of a linear classifier that tells synthetic from real.
    pub discriminator_auc: Option<Compared<f64>>,
    /// k-nearest-neighbour precision and recall.
    pub support: Option<Compared<Support>>,
    /// Diversity of the synthetic texts, and of as many real training texts.
    pub diversity: Compared<Diversity>,
    /// Lengths in words, beside those of real texts.
    pub lengths: Lengths,
    /// Labels, against the training texts.
    pub label_shares: LabelShares,
    /// Perplexities; nothing where they were not asked for.
    pub perplexity: Option<Perplexities>,
    /// Copies; nothing where they were not asked for.
    pub copies: Option<CopyFigures>,
    /// Nearest training against nearest held-out text.
    pub neighbours: Option<Neighbours>,
    /// Known personal data that reappears, by kind; empty where none is known.
    pub replay: Vec<Replay>,
    /// Made-up facts that synthetic texts state, by the number of training texts that do; empty where none were planted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<FactRecall>,
    /// Synthetic texts for the report: per label, those with the smallest keyed hash, not chosen by hand.
    pub examples: Vec<Examples>,
    /// Figures of conversations, where the texts are such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversations: Option<ConversationScores>,
    /// Perplexity of held-out real texts under the public model after it learnt from the synthetic texts; the ceiling after as
    /// many real training texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub student: Option<Compared<Perplexity>>,
}

impl Scores {
    /// The version that this program writes.
    pub const VERSION: u32 = 1;
}

/// How many texts the figures are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Texts that the generator wrote.
    pub synthetic: u64,
    /// Real texts that it was trained on.
    pub training: u64,
    /// Real held-out texts (the test split).
    pub held_out: u64,
    /// Texts of each side that were embedded.
    pub embedded: u64,
}

/// A figure of synthetic texts, with what real ones reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Compared<T> {
    /// The figure of the synthetic texts.
    pub synthetic: T,
    /// Of as many real texts in their place.
    pub ceiling: Option<T>,
}

/// Which texts surprise which model, and how much; none where a model is not there or was not asked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Perplexities {
    /// Held-out texts with their prompts under the trained model: how much of the domain it learnt.
    pub held_out_under_model: Option<Perplexity>,
    /// Training texts under the trained model: far below the held-out figure means it remembers.
    pub training_under_model: Option<Perplexity>,
    /// Synthetic texts under the base model: are they fluent?
    pub synthetic_under_base: Option<Perplexity>,
    /// Held-out texts under the base model, to compare both others with.
    pub held_out_under_base: Option<Perplexity>,
}

/// Copies of training texts, and of held-out texts, of which nothing can have been copied.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CopyFigures {
    /// Matches with any training text.
    pub training: Copies,
    /// Matches with as many training texts as there are held-out texts.
    pub training_equal: Copies,
    /// Matches with held-out texts.
    pub held_out: Copies,
    /// How often held-out texts match training texts: what is natural in such texts.
    pub natural: Copies,
    /// The same with as many training texts as there are held-out texts.
    #[serde(default)]
    pub natural_equal: Option<Copies>,
}

/// Texts of one label that the page shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examples {
    /// The label that the texts bear.
    pub label: String,
    /// The first few, unpicked.
    pub texts: Vec<String>,
}
