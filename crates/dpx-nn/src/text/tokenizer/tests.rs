//! Tests of loading, saving and the roles of special tokens.

use super::*;
use crate::text::{BpeOptions, train_bpe};

fn trained() -> Tokenizer {
    train_bpe(
        ["i feel happy today", "you feel tired"]
            .iter()
            .cycle()
            .take(20),
        &BpeOptions {
            vocabulary_size: 290,
            ..BpeOptions::default()
        },
    )
    .unwrap()
}

#[test]
fn a_saved_tokenizer_loads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut tokenizer = trained();
    let size = tokenizer.vocabulary_size() as u32;
    let added = tokenizer
        .add_special_tokens(&["<|label:joy|>", "<|label:fear|>"])
        .unwrap();
    assert_eq!(added, [size, size + 1]);
    assert_eq!(
        tokenizer.add_special_tokens(&["<|label:joy|>"]).unwrap(),
        [size]
    );
    tokenizer.save(folder.path(), Some(128)).unwrap();
    let loaded = Tokenizer::load(folder.path()).unwrap();
    let text = "<|label:joy|>: i feel melancholy";
    assert_eq!(
        loaded.encode(text).unwrap(),
        tokenizer.encode(text).unwrap()
    );
    assert_eq!(loaded.encode(text).unwrap()[0], size);
    assert_eq!(loaded.special(), tokenizer.special());
    assert_eq!(loaded.vocabulary_size(), tokenizer.vocabulary_size());
    assert!(!loaded.starts_with_bos());
    let ids = loaded.encode(text).unwrap();
    assert_eq!(loaded.decode(&ids, true).unwrap(), ": i feel melancholy");
    let config = std::fs::read_to_string(folder.path().join("tokenizer_config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["model_max_length"], 128);
    assert_eq!(config["eos_token"], "<|endoftext|>");
}

#[test]
fn reads_a_bert_vocabulary() {
    let folder = tempfile::tempdir().unwrap();
    let words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhappy\nun\n##happy\n,\nzoe\n";
    std::fs::write(folder.path().join("vocab.txt"), words).unwrap();
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    assert_eq!(
        tokenizer.encode_with_special("Unhappy, Zoë").unwrap(),
        [2, 6, 7, 8, 9, 3]
    );
    assert_eq!(tokenizer.encode("happy").unwrap(), [5]);
    assert_eq!(tokenizer.special().pad, Some(0));
    assert_eq!(tokenizer.end(), Some(3));
    let aligned = tokenizer.encode_aligned("Unhappy, Zoë").unwrap();
    assert_eq!(
        aligned.offsets,
        [(0, 0), (0, 2), (2, 7), (7, 8), (9, 13), (0, 0)]
    );
    assert_eq!(aligned.special, [true, false, false, false, false, true]);
    assert_eq!(aligned.words[1], aligned.words[2]);
}

#[test]
fn reads_a_gpt2_vocabulary_with_merges() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("vocab.json"),
        r#"{"h":0,"i":1,"hi":2,"Ġ":3,"Ġhi":4,"<|endoftext|>":5}"#,
    )
    .unwrap();
    std::fs::write(
        folder.path().join("merges.txt"),
        "#version: 0.2\nh i\nĠ hi\n",
    )
    .unwrap();
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    assert_eq!(tokenizer.encode("hi hi<|endoftext|>").unwrap(), [2, 4, 5]);
    assert_eq!(tokenizer.decode(&[2, 4], true).unwrap(), "hi hi");
    assert_eq!(tokenizer.end(), Some(5));
    assert_eq!(tokenizer.pad(), 5);
}

#[test]
fn says_what_is_missing_or_broken() {
    let folder = tempfile::tempdir().unwrap();
    let error = Tokenizer::load(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("holds no tokenizer: expected `tokenizer.json`"),
        "{error}"
    );
    std::fs::write(folder.path().join("tokenizer.json"), "{").unwrap();
    let error = Tokenizer::load(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("tokenizer.json` cannot be understood"),
        "{error}"
    );
}

#[test]
fn what_is_cut_keeps_every_special_token() {
    let folder = tempfile::tempdir().unwrap();
    let words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\n";
    std::fs::write(folder.path().join("vocab.txt"), words).unwrap();
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    let within = |max| tokenizer.encode_within("a b c", max).unwrap();
    assert_eq!(within(9), (vec![2, 4, 5, 6, 3], 0));
    assert_eq!(within(4), (vec![2, 4, 5, 3], 1));
    assert_eq!(within(2), (vec![2, 3], 3));
    assert_eq!(within(1), (vec![2], 3));
}
