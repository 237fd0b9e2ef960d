//! A million private texts against a public corpus of 50 MB: seconds to take the texts in, and to compare.
//!
//! `cargo bench -p dpx-data --bench overlap -- [TEXTS] [MEGABYTES]`
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use dpx_data::PrivateTexts;
use std::fmt::Write;
use std::time::Instant;

/// Texts of 4 to 40 words, as many different ones as there are in a large corpus.
fn text(state: &mut u64, line: &mut String) {
    let mut next = || {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state >> 33
    };
    line.clear();
    for word in 0..4 + next() % 37 {
        let space = if word > 0 { " " } else { "" };
        // Frequent words are short, as in a language.
        let rank = next() % 50_000 * (next() % 1000) / 1000;
        let _ = write!(line, "{space}w{rank:x}");
    }
}

fn main() {
    let numbers: Vec<usize> = std::env::args()
        .filter_map(|one| one.parse().ok())
        .collect();
    let count = numbers.first().copied().unwrap_or(1_000_000);
    let bytes = numbers.get(1).copied().unwrap_or(50) * 1_000_000;
    let mut line = String::new();
    let mut state = 7;
    let texts: Vec<String> = (0..count)
        .map(|_| {
            text(&mut state, &mut line);
            line.clone()
        })
        .collect();
    let mut corpus = String::with_capacity(bytes + 1000);
    state = 8;
    let is_short = |text: &&String| (8..13).contains(&text.split(' ').count());
    let mut short = texts.iter().filter(is_short).cycle();
    let (mut lines, mut planted) = (0, 0);
    while corpus.len() < bytes {
        match lines % 100_000 {
            // One line in a hundred thousand is a private text, and two are one of 8 to 12 words.
            99_999 => {
                corpus.push_str(&texts[lines % count]);
                planted += 1;
            }
            49_999 => {
                let text = short.next().map_or("", String::as_str);
                let middle = text.match_indices(' ').nth(3).map_or(0, |(at, _)| at);
                let (first, rest) = text.split_at(middle);
                corpus.extend([first, "\n", rest]);
                planted += u64::from(!text.is_empty());
                lines += 1;
            }
            _ => {
                text(&mut state, &mut line);
                corpus.push_str(&line);
            }
        }
        corpus.push('\n');
        lines += 1;
    }
    let start = Instant::now();
    let private = PrivateTexts::new(texts.iter().map(String::as_str));
    let taken = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let overlap = private.overlap(&corpus);
    let compared = start.elapsed().as_secs_f64();
    println!(
        "{count} texts taken in: {taken:.2} s; {} MB of {lines} lines compared: {compared:.2} s; {} lines found, {} expected",
        corpus.len() / 1_000_000,
        overlap.lines,
        planted,
    );
}
