//! `score`: compares synthetic with real texts. Everything it writes is internal.

mod compute;
mod conversations;
mod models;
pub mod read;
mod run;
mod scores;
mod student;

pub use compute::Surprise;
pub use compute::{Embedder, Models, Texts, compute};
pub use conversations::ConversationScores;
pub use conversations::Order;
pub use run::run;
pub use scores::{Compared, CopyFigures, Counts, Perplexities};
pub use scores::{Examples, SCORES_FILE, Scores};

#[cfg(test)]
mod tests;
