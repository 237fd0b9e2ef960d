//! Figures about texts and predictions: utility, fidelity, diversity, leakage.
//!
//! Everything here works on plain slices: labels as indices, texts as strings, embeddings as `[n, d]` in row-major order.
//! Nothing here is covered by a privacy guarantee where real texts go in: such figures are internal.
//!
//! | file | figures | source |
//! |---|---|---|
//! | [`confusion`] | accuracy, macro-F1, confusion, per label | scikit-learn's definitions |
//! | [`bootstrap`] | bootstrap intervals over test texts | Efron 1979 |
//! | [`interval`] | Wilson intervals, mean and standard deviation | Wilson 1927 |
//! | [`similarity`] | mean cosine between sets, both ways, with its ceiling | DESIGN: sets, never pairs |
//! | [`mauve`] ([`pca`], [`kmeans`]) | MAUVE and MAUVE* | Pillutla et al. 2021, 2023 |
//! | [`discriminator`] | how well a linear classifier tells real from synthetic | Lopez-Paz and Oquab 2017 |
//! | [`support`] | k-nearest-neighbour precision and recall | Kynkäänniemi et al. 2019 |
//! | [`diversity`] | distinct-n, self-BLEU | Li et al. 2016, Zhu et al. 2018 |
//! | [`distribution`] | distances between lengths and between labels | Wasserstein-1, total variation, Jensen-Shannon |
//! | [`perplexity`] | perplexity, bits per byte | |
//! | [`copies`] | texts copied word for word, or in eight words | Carlini et al. 2023 |
//! | [`neighbours`] | distance to the nearest training and held-out text | diagnostics, no guarantee |
//! | [`facts`] | made-up facts that synthetic texts state | ContinuousBench 2026, for the question |
//! | [`planted`] | planted personal data that reappears | Carlini et al. 2019 |

pub(crate) mod bootstrap;
pub(crate) mod choose;
pub(crate) mod confusion;
pub(crate) mod copies;
pub(crate) mod discriminator;
pub mod distribution;
pub(crate) mod diversity;
pub(crate) mod embeddings;
pub mod facts;
pub(crate) mod interval;
pub(crate) mod kmeans;
pub(crate) mod mauve;
pub(crate) mod neighbours;
pub(crate) mod pca;
pub(crate) mod perplexity;
pub mod planted;
pub(crate) mod similarity;
pub(crate) mod support;
pub mod words;

pub use bootstrap::{ClassificationIntervals, Interval, classification_intervals};
pub use confusion::{Classification, ConfusionError, LabelFigures};
pub use copies::Copies;
pub use diversity::Diversity;
pub use embeddings::Embeddings;
pub use interval::{Share, Spread};
pub use mauve::Mauve;
pub use neighbours::{Nearer, Neighbours, Null};
pub use perplexity::{Perplexity, TextLoss};
pub use similarity::SetSimilarity;
pub use support::Support;

#[cfg(test)]
mod tests;
