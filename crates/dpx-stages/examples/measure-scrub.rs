//! Measures scrubbing on sentences with marked entities: rules alone, a model alone, both.
//!
//! usage: measure-scrub MODEL FILE...    (FILE: lines of `token label` or `token TAB label`, an empty line between sentences)
//!        measure-scrub rules FILE.jsonl...    (lines of `{"text": ..., "pieces": [[KIND, piece]...]}`, in order; rules alone, and
//!        a piece counts only under its kind)
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

/// Rules on texts in which every piece of personal data is marked with its kind.
fn measure_marked(path: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let cases: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let rules = Rules::new();
    for unseen in [false, true] {
        let (mut marked, mut replaced, mut correct) = (0, 0, 0);
        let mut kinds: BTreeMap<String, [u32; 3]> = BTreeMap::new();
        let cases = cases
            .iter()
            .filter(|case| (case["unseen"] == true) == unseen);
        for case in cases.clone() {
            let text = case["text"].as_str().unwrap();
            let mut pieces: Vec<(String, String)> =
                serde_json::from_value(case["pieces"].clone()).unwrap();
            for (kind, _) in &pieces {
                marked += 1;
                kinds.entry(kind.clone()).or_default()[0] += 1;
            }
            for span in rules.spans(text) {
                replaced += 1;
                let entry = kinds.entry(span.kind.clone()).or_default();
                entry[1] += 1;
                let piece = (span.kind, text[span.start..span.end].to_owned());
                if let Some(at) = pieces.iter().position(|other| *other == piece) {
                    pieces.remove(at);
                    correct += 1;
                    entry[2] += 1;
                } else {
                    println!("    replaced: {} `{}` in `{text}`", piece.0, piece.1);
                }
            }
            for (kind, piece) in pieces {
                println!("    missed: {kind} `{piece}` in `{text}`");
            }
        }
        let which = if unseen { "unseen" } else { "seen" };
        println!(
            "{which}: {} texts, recall {correct} of {marked}, precision {correct} of {replaced}",
            cases.count()
        );
        for (kind, [marked, replaced, correct]) in kinds {
            println!(
                "    {kind:<8} recall {correct} of {marked}, precision {correct} of {replaced}"
            );
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments[0] == "rules" {
        return arguments[1..].iter().for_each(|path| measure_marked(path));
    }
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
