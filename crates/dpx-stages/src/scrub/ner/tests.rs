//! Tests of scrubbing by a model: a tiny token classifier of random weights, given a word-piece vocabulary.

use super::*;
use crate::scrub::apply;
use dpx_schema::Device;
use std::fmt::Write;

/// The folder of the tiny model with a vocabulary; `labels` is put in the place of its own label names.
fn tiny(labels: &[&str]) -> tempfile::TempDir {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/bert-tiny-ner");
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(
        fixture.join("model.safetensors"),
        folder.path().join("model.safetensors"),
    )
    .unwrap();
    let text = std::fs::read_to_string(fixture.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (index, label) in labels.iter().enumerate() {
        config["id2label"][index.to_string()] = (*label).into();
    }
    let size = config["vocab_size"].as_u64().unwrap() as usize;
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let mut vocabulary =
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n.\n,\n'\n-\nanna\nmet\nzoe\nin\nparis\n##s\n##x\n"
            .to_owned();
    for filler in vocabulary.lines().count()..size {
        writeln!(vocabulary, "filler{filler}").unwrap();
    }
    std::fs::write(folder.path().join("vocab.txt"), vocabulary).unwrap();
    folder
}

const LABELS: [&str; 9] = [
    "O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-MISC", "I-MISC",
];

#[test]
fn texts_do_not_depend_on_their_company() {
    let folder = tiny(&LABELS);
    let ner = Ner::load(folder.path(), Device::Cpu).unwrap();
    let texts = [
        "Anna met Zoë in Paris.",
        "",
        "zoe",
        "ANNAS, Paris - \u{1f642} met anna's",
        "in in in Paris met Annax",
    ];
    let together = ner.find(&texts).unwrap();
    assert!(
        together.iter().any(|spans| !spans.is_empty()),
        "the tiny model finds nothing at all"
    );
    for (text, spans) in texts.iter().zip(&together) {
        assert_eq!(&ner.find(&[text]).unwrap()[0], spans);
        // Spans lie between characters and apart from each other.
        let scrubbed = apply(text, std::slice::from_ref(spans));
        assert_eq!(&scrubbed.spans, spans, "{text}");
        for span in spans {
            assert!(["PERSON", "LOCATION", "ORGANIZATION", "MISC"].contains(&span.kind.as_str()));
        }
    }
}

#[test]
fn long_texts_are_read_in_windows() {
    // Without `O` every word is part of an entity: nothing may be left over, wherever the windows are cut.
    let folder = tiny(&["X"; 9]);
    let ner = Ner::load(folder.path(), Device::Cpu).unwrap();
    let text = "anna met zoes in parisx ".repeat(ner.model.config().max_positions());
    let text = text.trim();
    let spans = ner.find(&[text]).unwrap();
    let rest = apply(text, &spans).text.replace("[X]", "");
    assert_eq!(rest.trim(), "");
}

#[test]
fn folders_without_a_token_classifier_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Ner::load(folder.path(), Device::Cpu).is_err());
    let texts =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/bert-tiny-classifier");
    let error = Ner::load(texts, Device::Cpu).unwrap_err();
    assert!(
        error.to_string().contains("classifies texts, not tokens"),
        "{error}"
    );
}
