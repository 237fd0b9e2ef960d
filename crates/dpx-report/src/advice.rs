//! Settings that fit a data set before anything is spent: batch size, passes, learning rate, number of texts.
//!
//! What private training does to a model depends on the noise of a step over its batch (McKenna et al. 2025, arXiv:2501.18914): at a
//! fixed epsilon the noise multiplier grows more slowly than the batch, so that larger batches are better until a step costs as
//! much as a pass. The constants are those of the shipped study of `builtin:emotions`, carried to other sizes by a
//! rule of thumb (docs/choosing.md): a place to start, not a law.

use dpx_accounting::FEWEST_STEPS;

/// Words of English per token of a small vocabulary, turned round: tokens of a text of so many words.
const TOKENS_PER_WORD: f64 = 1.5;

/// Settings of a private training and of the sampling after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Texts in a step, in expectation.
    pub batch_size: u64,
    /// Passes over the texts, in expectation.
    pub epochs: f64,
    /// As it is written in the experiment file.
    pub learning_rate: &'static str,
    /// Tokens of a text that are read.
    pub max_length: u64,
    /// Synthetic texts.
    pub count: u64,
    /// What the settings follow from, in a sentence.
    pub why: String,
}

/// Settings for so many training texts, 95 of 100 with at most so many words.
pub fn settings(examples: u64, words: u64) -> Settings {
    let examples = examples.max(2);
    // A power of two near the root of 2.5 times the number, which is 128 for 9,663 texts and 256 for 26,000.
    let target = (2.5 * examples as f64).sqrt();
    let batch_size = 2_f64.powi(target.log2().round() as i32).clamp(16.0, 2048.0);
    let batch_size = batch_size.min((examples / 2).max(1) as f64);
    let steps_per_epoch = examples as f64 / batch_size;
    let epochs = (FEWEST_STEPS as f64 / steps_per_epoch).clamp(0.85, 20.0);
    let epochs = (epochs * 20.0).ceil() / 20.0;
    let max_length =
        ((words as f64 * TOKENS_PER_WORD / 16.0).ceil() * 16.0).clamp(32.0, 512.0) as u64;
    Settings {
        batch_size: batch_size as u64,
        epochs,
        learning_rate: "2e-3",
        max_length,
        count: (examples / 1000 * 1000).clamp(2000, 20_000),
        why: format!(
            "{:.0} steps of batches of {batch_size:.0}: under privacy few large steps are better than many small ones",
            (steps_per_epoch * epochs).round()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_follow_the_size_and_stay_within_their_ranges() {
        let emotions = settings(9663, 25);
        assert_eq!((emotions.batch_size, emotions.max_length), (128, 48));
        assert!((0.8..=1.0).contains(&emotions.epochs), "{emotions:?}");
        let tickets = settings(16_000, 60);
        assert_eq!(
            (tickets.batch_size, tickets.max_length, tickets.count),
            (256, 96, 16_000)
        );
        for examples in [0, 1, 5, 40, 1_000_000_000] {
            let found = settings(examples, 10_000);
            assert!(
                found.batch_size >= 1 && found.batch_size <= examples.max(2),
                "{found:?}"
            );
            assert!(found.epochs <= 20.0 && found.max_length == 512, "{found:?}");
        }
    }
}
