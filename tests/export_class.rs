//! `dpx export` of models whose tokenizer names a class of `transformers` with rules of its own.

use crate::binary::{succeeds, text};
use crate::export::loads;
use serde_json::{Map, Value, json};
use std::path::Path;

const EXPERIMENT: &str = r#"
[experiment]
name = "small"

[sweep]
epsilon = [3]

[stage.preprocess]
kind = "preprocess"
dataset = "texts.csv"
labels = ["joy", "fear"]
prompt = "</s>{label}</s>{text}"

[stage.train]
kind = "train"
needs = ["preprocess"]
model = "base"
epsilon = "$epsilon"
learning_rate = 0.01
epochs = 1
batch_size = 40
max_length = 24

[stage.sample]
kind = "sample"
needs = ["train"]
count = 12
max_new_tokens = 6
"#;

/// A tiny Llama whose tokenizer is one of pieces, as that of Llama 2 is.
fn llama(folder: &Path) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/llama-tiny");
    std::fs::create_dir(folder).unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(fixture.join(name), folder.join(name)).unwrap();
    }
    let control = ["<unk>", "<s>", "</s>"];
    let letters = ('a'..='z').chain('0'..='9').map(String::from);
    let pieces = control.map(String::from).into_iter().chain(["▁".into()]);
    let merged = ["▁g", "▁d", "▁a"].map(String::from);
    let vocabulary: Map<String, Value> = pieces
        .chain(letters)
        .chain(merged)
        .enumerate()
        .map(|(id, piece)| (piece, id.into()))
        .collect();
    let added = |(id, token): (usize, &str)| json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    let begin = json!({"SpecialToken": {"id": "<s>", "type_id": 0}});
    let whole = json!([begin, {"Sequence": {"id": "A", "type_id": 0}}]);
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": control.into_iter().enumerate().map(added).collect::<Vec<_>>(),
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ]},
        "pre_tokenizer": null,
        "post_processor": {"type": "TemplateProcessing", "single": whole, "pair": whole,
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": vocabulary, "merges": [["▁", "g"], ["▁", "d"], ["▁", "a"]]},
    });
    let config = json!({"tokenizer_class": "LlamaTokenizer", "legacy": false, "bos_token": "<s>", "eos_token": "</s>",
        "unk_token": "<unk>"});
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    std::fs::write(folder.join("tokenizer_config.json"), config.to_string()).unwrap();
}

#[test]
fn a_model_of_llamas_class_is_read_as_it_was_trained() {
    let desk = tempfile::tempdir().unwrap();
    let root = desk.path();
    let rows = (0..120).map(|n| match n % 2 {
        0 => format!("i am glad about day {n},joy\n"),
        _ => format!("the dark of night {n} scares me,fear\n"),
    });
    let rows: String = std::iter::once("text,label\n".to_owned())
        .chain(rows)
        .collect();
    std::fs::write(root.join("texts.csv"), rows).unwrap();
    std::fs::write(root.join("small.toml"), EXPERIMENT).unwrap();
    llama(&root.join("base"));
    succeeds(root, &["run", "small.toml"]);
    // What trained on this reading has a key of its own; it is found again.
    let records: Vec<Value> = std::fs::read_dir(root.join("cache/records"))
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap()["record"].clone())
        .collect();
    let trained = records.iter().find(|record| record["kind"] == "train");
    let reading = &trained.unwrap()["sources"]["model (tokenizer)"];
    let reading = reading.as_str().unwrap();
    assert!(reading.starts_with("LlamaTokenizer, rules "), "{reading}");
    let planned = succeeds(root, &["plan", "small.toml"]);
    let planned = text(&planned.stdout);
    assert!(planned.contains("3 cached"), "{planned}");
    let done = succeeds(
        root,
        &[
            "export",
            "small.toml",
            "--row",
            "epsilon=3",
            "--out",
            "model",
        ],
    );
    assert!(
        text(&done.stdout).contains("model"),
        "{}",
        text(&done.stderr)
    );
    let json = |name: &str| -> Value {
        let bytes = std::fs::read(root.join("model").join(name)).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    assert_eq!(
        json("tokenizer_config.json")["tokenizer_class"],
        "PreTrainedTokenizerFast"
    );
    // A space stands before the first piece of a text alone.
    let prompts = json("label_prompts.json");
    let ids = prompts["labels"][0]["input_ids"].as_array().unwrap();
    let letter = |letter: u8| Value::from(4 + letter - b'a');
    let wanted = [
        1.into(),
        2.into(),
        letter(b'j'),
        letter(b'o'),
        letter(b'y'),
        2.into(),
    ];
    assert_eq!(*ids, wanted);
    loads(root, &["model"]);
}
