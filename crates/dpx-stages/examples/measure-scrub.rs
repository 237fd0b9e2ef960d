//! Measures scrubbing on sentences with marked entities: rules alone, a model alone, both.
//!
//! usage: measure-scrub MODEL FILE...    (FILE: lines of `token label` or `token TAB label`, an empty line between sentences)
//!
//! Recall: marked entities of which nothing is left. Precision: replaced spans that touch a marked entity; what is personal
//! data but not marked counts against it.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a small program for developers"
)]

use dpx_stages::scrub::{Ner, Rules, Scrubber, Span, apply};
use std::collections::BTreeMap;

struct Sentence {
    text: String,
    entities: Vec<(String, usize, usize)>,
}

fn read(path: &str) -> Vec<Sentence> {
    let content = std::fs::read_to_string(path).unwrap();
    content
        .split("\n\n")
        .filter(|block| !block.trim().is_empty())
        .map(|block| {
            let mut sentence = Sentence {
                text: String::new(),
                entities: Vec::new(),
            };
            for line in block.lines().filter(|line| !line.trim().is_empty()) {
                let (token, label) = line.trim_end().rsplit_once(['\t', ' ']).unwrap();
                if !sentence.text.is_empty() {
                    sentence.text.push(' ');
                }
                let start = sentence.text.len();
                sentence.text.push_str(token.trim());
                let end = sentence.text.len();
                match label.split_once('-') {
                    Some(("I", kind))
                        if sentence
                            .entities
                            .last()
                            .is_some_and(|last| last.0 == kind && last.2 + 1 == start) =>
                    {
                        sentence.entities.last_mut().unwrap().2 = end;
                    }
                    Some((_, kind)) => sentence.entities.push((kind.to_owned(), start, end)),
                    None => {}
                }
            }
            sentence
        })
        .collect()
}

/// What one scrubber finds in each sentence.
fn find(scrubber: &dyn Scrubber, sentences: &[Sentence]) -> Vec<Vec<Span>> {
    sentences
        .chunks(256)
        .flat_map(|chunk| {
            let texts: Vec<&str> = chunk
                .iter()
                .map(|sentence| sentence.text.as_str())
                .collect();
            scrubber.find(&texts).unwrap()
        })
        .collect()
}

fn measure(name: &str, found: &[&[Vec<Span>]], sentences: &[Sentence]) {
    let mut kinds: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    let (mut replaced, mut correct) = (0_u32, 0_u32);
    for (index, sentence) in sentences.iter().enumerate() {
        let lists: Vec<_> = found.iter().map(|lists| lists[index].clone()).collect();
        let spans = apply(&sentence.text, &lists).spans;
        for (kind, start, end) in &sentence.entities {
            let left = sentence.text[*start..*end]
                .char_indices()
                .filter(|(_, letter)| letter.is_alphanumeric())
                .any(|(at, _)| {
                    !spans
                        .iter()
                        .any(|span| span.start <= start + at && start + at < span.end)
                });
            let entry = kinds.entry(kind).or_default();
            entry.0 += 1;
            entry.1 += u32::from(!left);
        }
        for span in &spans {
            replaced += 1;
            correct += u32::from(
                sentence
                    .entities
                    .iter()
                    .any(|(_, start, end)| *start < span.end && span.start < *end),
            );
        }
    }
    let (all, removed) = kinds
        .values()
        .fold((0, 0), |sum, kind| (sum.0 + kind.0, sum.1 + kind.1));
    println!(
        "{name:<12} recall {:.3} ({removed} of {all}), precision {:.3} ({correct} of {replaced})",
        f64::from(removed) / f64::from(all),
        f64::from(correct) / f64::from(replaced.max(1)),
    );
    for (kind, (all, removed)) in kinds {
        println!(
            "    {kind:<14} recall {:.3} ({removed} of {all})",
            f64::from(removed) / f64::from(all)
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (rules, ner) = (
        Rules::new(),
        Ner::load(&arguments[0], dpx_schema::Device::Cpu).unwrap(),
    );
    for file in &arguments[1..] {
        let sentences = read(file);
        println!("{file}: {} sentences", sentences.len());
        let (by_rules, by_model) = (find(&rules, &sentences), find(&ner, &sentences));
        measure("rules", &[&by_rules], &sentences);
        measure("model", &[&by_model], &sentences);
        measure("rules, model", &[&by_rules, &by_model], &sentences);
    }
}
