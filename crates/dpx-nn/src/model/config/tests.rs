//! Tests of reading `config.json`.

use super::*;
use serde_json::json;

fn parse(value: Value) -> Result<ModelConfig, String> {
    let Value::Object(raw) = value else {
        panic!("an object is meant")
    };
    ModelConfig::parse(raw, Path::new("m/config.json")).map_err(|error| error.to_string())
}

fn gpt2() -> Value {
    json!({"model_type": "gpt2", "vocab_size": 97, "n_positions": 32, "n_embd": 32, "n_layer": 2, "n_head": 4,
        "n_inner": null, "eos_token_id": 2, "pad_token_id": 0, "unknown": [1]})
}

fn llama() -> Value {
    json!({"model_type": "llama", "vocab_size": 97, "hidden_size": 36, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 9, "num_key_value_heads": 3, "eos_token_id": [2, 3]})
}

fn bert() -> Value {
    json!({"model_type": "bert", "vocab_size": 97, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4})
}

fn decoder(config: &ModelConfig) -> &DecoderConfig {
    match &config.architecture {
        Architecture::Decoder(stack) => stack,
        Architecture::Encoder(_) => panic!("a decoder is meant"),
    }
}

fn with(mut base: Value, key: &str, value: Value) -> Value {
    base[key] = value;
    base
}

#[test]
fn sizes_are_read_with_their_defaults() {
    let config = parse(gpt2()).unwrap();
    let sizes = decoder(&config).sizes;
    assert_eq!((sizes.intermediate, sizes.max_positions), (128, 32));
    assert_eq!(config.end_tokens, [2]);
    assert_eq!(config.head, Head::CausalLm);
    let config = parse(llama()).unwrap();
    let stack = decoder(&config);
    assert_eq!(stack.sizes.head_dim, 4);
    assert_eq!(stack.rotary, [Rotary::plain(4, 10_000.0)]);
    assert_eq!(config.end_tokens, [2, 3]);
}

#[test]
fn the_rotary_base_stands_in_either_place() {
    let rotary = |value: Value| decoder(&parse(value).unwrap()).rotary.clone();
    let wanted = |theta| [Rotary::plain(4, theta)];
    assert_eq!(rotary(with(llama(), "rope_theta", json!(5e4))), wanted(5e4));
    let table = json!({"rope_theta": 1e5, "rope_type": "default"});
    assert_eq!(rotary(with(llama(), "rope_parameters", table)), wanted(1e5));
}

#[test]
fn what_is_not_supported_is_named() {
    let cases = [
        (
            json!({"model_type": "t5"}),
            "`gpt2`, `llama`, `bert` and `mpnet`",
        ),
        (json!({}), "`model_type` is missing"),
        (with(gpt2(), "activation_function", json!("relu")), "`relu`"),
        (
            with(gpt2(), "scale_attn_by_inverse_layer_idx", json!(true)),
            "`scale_attn_by_inverse_layer_idx`",
        ),
        (with(gpt2(), "n_head", json!(5)), "no multiple of `n_head`"),
        (with(gpt2(), "n_embd", json!(-1)), "`n_embd` is `-1`"),
        (
            with(llama(), "attention_bias", json!(true)),
            "`attention_bias`",
        ),
        (
            with(llama(), "rope_scaling", json!({"type": "linear"})),
            "`linear`",
        ),
        (
            with(llama(), "rope_parameters", json!({"rope_type": "llama3"})),
            "`llama3`",
        ),
        (
            with(llama(), "num_key_value_heads", json!(2)),
            "`num_key_value_heads`",
        ),
        (
            with(bert(), "position_embedding_type", json!("relative_key")),
            "`relative_key`",
        ),
        (with(bert(), "hidden_act", json!("relu")), "`hidden_act`"),
        (with(bert(), "is_decoder", json!(true)), "`is_decoder`"),
        (
            with(
                gpt2(),
                "architectures",
                json!(["GPT2ForTokenClassification"]),
            ),
            "`GPT2ForTokenClassification`",
        ),
    ];
    for (value, needle) in cases {
        let error = parse(value.clone()).unwrap_err();
        assert!(error.contains(needle), "{value}: {error}");
        assert!(error.contains("m/config.json"), "{error}");
    }
}

#[test]
fn classes_are_read_and_written_in_order() {
    let classifier = with(
        bert(),
        "architectures",
        json!(["BertForSequenceClassification"]),
    );
    assert_eq!(
        parse(classifier.clone()).unwrap().labels,
        ["LABEL_0", "LABEL_1"]
    );
    let table: Map<String, Value> = (0..11)
        .map(|id| (id.to_string(), json!(format!("l{id}"))))
        .collect();
    let config = parse(with(classifier.clone(), "id2label", Value::Object(table))).unwrap();
    assert_eq!(config.labels[10], "l10");
    let gap = parse(with(classifier, "id2label", json!({"0": "a", "2": "b"}))).unwrap_err();
    assert!(gap.contains("`1`"), "{gap}");

    let dir = tempfile::tempdir().unwrap();
    let labels = ["joy".to_owned(), "fear".to_owned()];
    let config = parse(gpt2())
        .unwrap()
        .with_classes(Head::SequenceClassification, &labels);
    config.write(dir.path()).unwrap();
    let read = ModelConfig::read(dir.path()).unwrap();
    assert_eq!(
        (read.head, read.labels),
        (Head::SequenceClassification, labels.to_vec())
    );
    assert_eq!(
        read.raw["architectures"],
        json!(["GPT2ForSequenceClassification"])
    );
    assert_eq!(read.raw["unknown"], json!([1]), "unknown keys are kept");
}
