//! Models of sentencepiece as `transformers` reads them (tests/python/sentencepiece_fixtures.py).

use super::*;
use crate::text::Tokenizer;
use std::path::{Path, PathBuf};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/sentencepiece")
}

#[test]
fn a_model_alone_reads_texts_as_transformers_does() {
    for name in [
        "llama",
        "llama-legacy",
        "bpe",
        "bpe-no-prefix",
        "unigram",
        "unigram-bytes",
    ] {
        let folder = fixtures().join(name);
        let tokenizer = Tokenizer::load(&folder).unwrap();
        let expected = std::fs::read(folder.join("expected.json")).unwrap();
        let expected: Vec<Value> = serde_json::from_slice(&expected).unwrap();
        assert_eq!(expected.len(), 12);
        for case in expected {
            let text = case["text"].as_str().unwrap();
            assert_eq!(
                json!(tokenizer.encode(text).unwrap()),
                case["ids"],
                "{name}: {text:?}"
            );
            let with_special = tokenizer.encode_with_special(text).unwrap();
            assert_eq!(
                json!(with_special),
                case["with_special"],
                "{name}: {text:?}"
            );
        }
    }
}

#[test]
fn it_is_written_as_tokenizer_json_and_read_again() {
    let tokenizer = Tokenizer::load(fixtures().join("unigram")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    tokenizer.save(folder.path(), None).unwrap();
    let again = Tokenizer::load(folder.path()).unwrap();
    let text = "i feel ﬁ ① so glad";
    assert_eq!(again.encode(text).unwrap(), tokenizer.encode(text).unwrap());
    let ids = again.encode("i feel so glad").unwrap();
    assert_eq!(again.decode(&ids, true).unwrap(), "i feel so glad");
}

#[test]
fn what_cannot_be_read_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.model");
    let bytes = std::fs::read(fixtures().join("bpe/tokenizer.model")).unwrap();
    let told = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Tokenizer::load(folder.path())
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert!(told(&bytes).is_ok());
    for cut in (1..bytes.len()).step_by(97) {
        if let Err(error) = told(&bytes[..cut]) {
            assert!(error.contains("tokenizer.model"), "{error}");
        }
    }
    for at in (0..bytes.len()).step_by(31) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0xFF;
        if let Err(error) = told(&bytes) {
            assert!(error.contains("tokenizer.model"), "{error}");
        }
    }
    let error = told(b"version https://git-lfs.github.com/spec/v1\n").unwrap_err();
    assert!(error.contains("Git LFS"), "{error}");
    std::fs::write(&path, &bytes).unwrap();
    let config = folder.path().join("tokenizer_config.json");
    std::fs::write(config, r#"{"tokenizer_class": "T5Tokenizer"}"#).unwrap();
    let error = Tokenizer::load(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("`T5Tokenizer`") && error.contains("save_pretrained"),
        "{error}"
    );
    std::fs::rename(&path, folder.path().join("spiece.model")).unwrap();
    let error = Tokenizer::load(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("spiece.model") && error.contains("save_pretrained"),
        "{error}"
    );
}

#[test]
fn bytes_as_base64() {
    for (bytes, text) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
    ] {
        assert_eq!(base64(bytes.as_bytes()), text);
    }
}
