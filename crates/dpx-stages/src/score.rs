//! `score`: compares synthetic with real texts. Everything it writes is internal.

mod compute;
mod conversations;
mod models;
pub mod read;
mod run;
mod scores;
mod student;

pub use compute::{Embedder, LmScorer, Models, Texts, compute};
pub use conversations::{ConversationScores, Order};
pub use run::run;
pub use scores::{Compared, CopyFigures, Counts, Examples, Perplexities, SCORES_FILE, Scores};

#[cfg(test)]
mod tests;
