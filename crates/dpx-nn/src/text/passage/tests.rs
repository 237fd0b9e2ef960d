//! Prompts and texts as one sequence, and spelled special tokens, with tokenizers of each kind.

use super::*;
use crate::text::{BpeOptions, train_bpe};
use serde_json::json;

const LINES: [&str; 3] = [
    "joy: i am so glad today",
    "fear: i am afraid of it",
    "<|endoftext|> is what some people type, </s> others",
];

fn byte_level() -> Tokenizer {
    let options = BpeOptions {
        vocabulary_size: 340,
        ..BpeOptions::default()
    };
    let mut tokenizer = train_bpe(LINES.iter().cycle().take(30), &options).unwrap();
    tokenizer
        .add_special_tokens(&["<|label:joy|>", "<|im_end|>"])
        .unwrap();
    tokenizer
}

/// Every letter, and a few words with the space before them.
fn pieces() -> Vec<String> {
    let mut pieces: Vec<String> = ["<unk>", "<s>", "</s>"].map(str::to_owned).to_vec();
    let letters: std::collections::BTreeSet<char> = LINES.concat().chars().collect();
    pieces.extend(
        letters
            .iter()
            .filter(|letter| **letter != ' ')
            .map(char::to_string),
    );
    pieces.extend(
        [
            "▁", "▁i", "▁a", "am", "▁am", "gl", "ad", "glad", "▁glad", "s>", "</",
        ]
        .map(str::to_owned),
    );
    pieces
}

fn added(pieces: &[String]) -> Value {
    let special = |id: usize, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true})
    };
    let mut added: Vec<Value> = (0..3).map(|id| special(id, &pieces[id])).collect();
    added.push(special(pieces.len(), "<|label:joy|>"));
    added.into()
}

/// What `tokenizer.json` of Llama's kind holds: pieces with merges, with the space written as `▁`.
fn sentencepiece(first: bool) -> Tokenizer {
    let pieces = pieces();
    let vocabulary: serde_json::Map<String, Value> = pieces
        .iter()
        .enumerate()
        .map(|(id, piece)| (piece.clone(), id.into()))
        .collect();
    let merges = [
        ["a", "m"],
        ["▁", "am"],
        ["▁", "i"],
        ["▁", "a"],
        ["▁a", "m"],
        ["g", "l"],
        ["a", "d"],
        ["gl", "ad"],
        ["▁", "glad"],
        ["s", ">"],
        ["<", "/"],
        ["</", "s>"],
        ["<", "s>"],
    ];
    let (normalizer, pre) = if first {
        let pre = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false});
        (Value::Null, pre)
    } else {
        let parts = json!([{"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]);
        (
            json!({"type": "Sequence", "normalizers": parts}),
            Value::Null,
        )
    };
    made(
        &json!({"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": false, "ignore_merges": false,
        "vocab": vocabulary, "merges": merges}),
        &normalizer,
        &pre,
        &pieces,
    )
}

/// Pieces with scores, special tokens among them.
fn unigram() -> Tokenizer {
    let pieces = pieces();
    let scored: Vec<Value> = pieces
        .iter()
        .enumerate()
        .map(|(id, piece)| {
            let score = if id < 3 {
                0.0
            } else {
                -10.0 + piece.chars().count() as f64
            };
            json!([piece, score])
        })
        .collect();
    let pre =
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
    made(
        &json!({"type": "Unigram", "unk_id": 0, "vocab": scored, "byte_fallback": false}),
        &Value::Null,
        &pre,
        &pieces,
    )
}

fn made(model: &Value, normalizer: &Value, pre: &Value, pieces: &[String]) -> Tokenizer {
    let all = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added(pieces),
        "normalizer": normalizer, "pre_tokenizer": pre, "post_processor": null,
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}, "model": model});
    let config = json!({"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"});
    Tokenizer::from_bytes(
        all.to_string().as_bytes(),
        Some(config.to_string().as_bytes()),
    )
    .unwrap()
}

fn all() -> [(&'static str, Tokenizer); 4] {
    [
        ("byte level", byte_level()),
        ("prepended", sentencepiece(false)),
        ("first", sentencepiece(true)),
        ("unigram", unigram()),
    ]
}

/// The whole of a text as people's words.
fn whole(text: &str) -> [Range<usize>; 1] {
    [Range {
        start: 0,
        end: text.len(),
    }]
}

#[test]
fn prompt_and_text_are_read_as_one_string() {
    for (kind, tokenizer) in all() {
        for (prefix, body) in [
            ("joy:", " i am glad"),
            ("<|label:joy|>", " i am glad"),
            ("<|label:joy|>", "i am glad"),
            ("<|label:joy|> today:", " i am glad"),
            ("joy:\n", "i am glad"),
            ("", "i am glad"),
            ("joy:", ""),
        ] {
            let joined = tokenizer.encode_joined(prefix, body, &whole(body)).unwrap();
            let text = format!("{prefix}{body}");
            assert_eq!(
                joined.ids,
                tokenizer.encode(&text).unwrap(),
                "{kind}: {text}"
            );
            assert_eq!(
                joined.ids[..joined.prompt_length],
                tokenizer.encode(prefix).unwrap()
            );
            assert!(!joined.apart && !joined.typed, "{kind}: {text}");
            assert_eq!(joined.places.len(), joined.ids.len() - joined.prompt_length);
            assert!(joined.places.iter().all(|place| *place <= body.len()));
        }
    }
    // What went wrong: the text by itself begins with another space.
    let tokenizer = sentencepiece(false);
    let body = tokenizer.encode(" i am glad").unwrap();
    let joined = tokenizer.encode_joined("joy:", " i am glad", &[]).unwrap();
    assert_eq!(body.len(), joined.ids.len() - joined.prompt_length + 1);
}

#[test]
fn a_token_over_the_boundary_is_told_and_the_prompt_stays_whole() {
    for (kind, tokenizer) in [
        ("byte level", byte_level()),
        ("prepended", sentencepiece(false)),
    ] {
        let joined = tokenizer
            .encode_joined("i am gl", "ad", &whole("ad"))
            .unwrap();
        assert!(joined.apart, "{kind}");
        assert_eq!(
            joined.ids[..joined.prompt_length],
            tokenizer.encode("i am gl").unwrap()
        );
        let text = tokenizer.decode(&joined.ids, false).unwrap();
        assert_eq!(text.replace(' ', ""), "iamglad", "{kind}");
    }
}

#[test]
fn what_people_type_is_no_special_token() {
    for (kind, tokenizer) in all() {
        let end = tokenizer.end().unwrap();
        let spelled = tokenizer.token(end).unwrap();
        let label = tokenizer.id("<|label:joy|>").unwrap();
        for body in [
            format!(" i am {spelled} glad"),
            format!("{spelled} i am glad"),
            format!(" i am glad{spelled}"),
            format!(" {spelled}<|label:joy|>{spelled} \u{100000}{end}\u{10FFFD}"),
        ] {
            let joined = tokenizer
                .encode_joined("<|label:joy|>", &body, &whole(&body))
                .unwrap();
            assert_eq!(joined.ids[0], label);
            assert_eq!(joined.prompt_length, 1, "{kind}");
            let text = &joined.ids[1..];
            assert!(
                joined.typed && !text.contains(&end) && !text.contains(&label),
                "{kind}: {body}: {text:?}"
            );
            let places = &joined.places;
            assert!(places.is_sorted() && places.last().is_some_and(|place| *place < body.len()));
            if kind == "byte level" {
                assert_eq!(tokenizer.decode(text, true).unwrap(), body);
            }
            // Unless the experiment wrote it.
            let own = tokenizer
                .encode_joined("<|label:joy|>", &body, &[])
                .unwrap();
            assert!(own.ids[1..].contains(&end) && !own.typed);
            // The end that is added is one.
            let example = joined.ended(Some(end), 1000);
            assert_eq!(example.ids.iter().filter(|id| **id == end).count(), 1);
        }
    }
}

#[test]
fn special_tokens_around_peoples_words_stay() {
    for (kind, tokenizer) in all() {
        let end = tokenizer.end().unwrap();
        let spelled = tokenizer.token(end).unwrap();
        let (one, two) = ("i am glad", format!("so {spelled} am i"));
        let text = format!("{one}{spelled}\n{two}{spelled}");
        let first = one.len() + spelled.len() + 1;
        let data = [0..one.len(), first..first + two.len()];
        let found = tokenizer.encode_passage(&text, &data).unwrap();
        assert!(found.typed, "{kind}");
        let places: Vec<usize> = found
            .ids
            .iter()
            .zip(&found.offsets)
            .filter(|(id, _)| **id == end)
            .map(|(_, (start, _))| *start)
            .collect();
        assert_eq!(places, [one.len(), first + two.len()], "{kind}");
        // The rest is as it is with nothing typed.
        let plain = tokenizer
            .encode_passage(&format!("{one}{spelled}"), &data[..1])
            .unwrap();
        assert!(!plain.typed && found.ids.starts_with(&plain.ids), "{kind}");
    }
}

#[test]
fn labels_that_are_added_later_are_known() {
    let mut tokenizer = byte_level();
    let text = "<|endoftext|> <|later|>";
    assert!(tokenizer.encode_passage(text, &whole(text)).unwrap().typed);
    let later = tokenizer.add_special_tokens(&["<|later|>"]).unwrap()[0];
    let found = tokenizer.encode_passage(text, &whole(text)).unwrap();
    assert!(found.typed && !found.ids.contains(&later));
}
