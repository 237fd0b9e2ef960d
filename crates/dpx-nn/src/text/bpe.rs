//! Trains a byte-level BPE tokenizer on public text.

use super::{TextError, Tokenizer, load};
use tokenizers::AddedToken;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

/// What a tokenizer is trained for.
#[derive(Debug, Clone, Copy)]
pub struct BpeOptions<'a> {
    /// Size of the vocabulary: 256 bytes, the end token, merges.
    pub vocabulary_size: usize,
    /// Words that should stay whole, such as words of feeling, which carry the label and are rare.
    pub words: &'a [String],
    /// How often each of them is counted on top of the corpus, with a space before it; half as often at the start of a text.
    pub word_weight: usize,
    /// The token that begins, ends and pads.
    pub end: &'a str,
}

impl Default for BpeOptions<'_> {
    fn default() -> Self {
        Self {
            vocabulary_size: 4096,
            words: &[],
            word_weight: 1000,
            end: "<|endoftext|>",
        }
    }
}

/// Trains a byte-level BPE tokenizer on `lines` (public text: nothing of this is private). The result depends on the
/// lines and options alone.
///
/// # Errors
/// When the trainer fails.
pub fn train_bpe<I, S>(lines: I, options: &BpeOptions) -> Result<Tokenizer, TextError>
where
    I: Iterator<Item = S> + Send,
    S: AsRef<str> + Send,
{
    let failed = |error: tokenizers::Error| TextError::Tokenizer(error.to_string());
    let mut inner = tokenizers::Tokenizer::new(BPE::default());
    load::byte_level(&mut inner, false);
    let mut trainer = TrainerWrapper::from(
        BpeTrainer::builder()
            .vocab_size(options.vocabulary_size)
            .min_frequency(2)
            .show_progress(false)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .special_tokens(vec![AddedToken::from(options.end, true)])
            .build(),
    );
    // One line per word and place keeps the over-sampling cheap: the trainer counts whole words once.
    let repeated = options.words.iter().flat_map(|word| {
        let inside = format!(" {word}").repeat(options.word_weight);
        let first = std::iter::repeat_n(word.clone(), options.word_weight / 2);
        std::iter::once(inside).chain(first)
    });
    let lines = lines
        .map(Line::Corpus)
        .chain(repeated.collect::<Vec<_>>().into_iter().map(Line::Word));
    inner.train(&mut trainer, lines).map_err(failed)?;
    Ok(Tokenizer::new(inner, load::gpt2_config(options.end)))
}

enum Line<S> {
    Corpus(S),
    Word(String),
}

impl<S: AsRef<str>> AsRef<str> for Line<S> {
    fn as_ref(&self) -> &str {
        match self {
            Self::Corpus(line) => line.as_ref(),
            Self::Word(line) => line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&str; 4] = [
        "i feel happy today and i like it",
        "you feel tired today and i do not like that",
        "we like to walk and to talk and to feel the wind",
        "today i talk to you",
    ];

    fn train(words: &[String]) -> Tokenizer {
        let options = BpeOptions {
            vocabulary_size: 330,
            words,
            word_weight: 50,
            ..BpeOptions::default()
        };
        train_bpe(LINES.iter().cycle().take(40), &options).unwrap()
    }

    #[test]
    fn gives_the_same_vocabulary_every_time() {
        let (first, second) = (train(&[]), train(&[]));
        assert!(first.vocabulary_size() <= 330 && first.vocabulary_size() > 270);
        for id in 0..first.vocabulary_size() as u32 {
            assert_eq!(first.token(id), second.token(id));
        }
    }

    #[test]
    fn keeps_over_sampled_words_whole() {
        let word = "melancholy".to_owned();
        assert!(train(&[]).encode(" melancholy").unwrap().len() > 2);
        assert_eq!(train(&[word]).encode(" melancholy").unwrap().len(), 1);
    }

    #[test]
    fn any_text_survives_a_round_trip() {
        let tokenizer = train(&[]);
        for text in [
            "",
            "Ünïcode 🙂 text\twith\u{a0}odd  spaces",
            " i feel",
            "日本語",
        ] {
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!(tokenizer.decode(&ids, true).unwrap(), text);
        }
        assert_eq!(tokenizer.end(), Some(0));
        assert_eq!(tokenizer.pad(), 0);
    }
}
