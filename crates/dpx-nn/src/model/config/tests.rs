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
        _ => panic!("a decoder is meant"),
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
        (json!({"model_type": "t5"}), "`modernbert` and `model2vec`"),
        (json!({}), "`model_type` is missing"),
        (with(gpt2(), "activation_function", json!("relu")), "`relu`"),
        (
            with(gpt2(), "scale_attn_by_inverse_layer_idx", json!(true)),
            "`scale_attn_by_inverse_layer_idx`",
        ),
        (with(gpt2(), "n_head", json!(5)), "no multiple of `n_head`"),
        (with(gpt2(), "n_embd", json!(-1)), "`n_embd` is `-1`"),
        (
            with(llama(), "rope_scaling", json!({"type": "linear"})),
            "`rope_scaling.factor`",
        ),
        (
            with(llama(), "rope_parameters", json!({"rope_type": "ntk"})),
            "`ntk`",
        ),
        (
            with(llama(), "rope_parameters", json!({"mrope_section": [1]})),
            "`mrope_section`",
        ),
        (
            with(llama(), "partial_rotary_factor", json!(0.5)),
            "`partial_rotary_factor`",
        ),
        (
            with(
                llama(),
                "quantization_config",
                json!({"quant_method": "gptq"}),
            ),
            "gptq",
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

#[test]
fn an_adapter_beside_a_model_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    parse(gpt2()).unwrap().write(dir.path()).unwrap();
    ModelConfig::read(dir.path()).unwrap();
    std::fs::write(dir.path().join("adapter_config.json"), "{}").unwrap();
    let error = ModelConfig::read(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("adapter_config.json") && error.contains("merge_and_unload"),
        "{error}"
    );
}

/// Every fixture is of the kind and sizes that its file says, and blocks see what `transformers` lets them see.
#[test]
fn kinds_of_blocks_are_those_of_the_files() {
    let folder = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/fixtures")
            .join(name)
    };
    let read = |name: &str| ModelConfig::read(&folder(name)).unwrap();
    let windows = |name: &str| -> Vec<Option<usize>> {
        let config = read(name);
        decoder(&config)
            .layers
            .iter()
            .map(|layer| layer.window)
            .collect()
    };
    assert_eq!(windows("mistral-tiny"), [Some(6); 2]);
    assert_eq!(windows("qwen3-tiny"), [None; 2]);
    assert_eq!(windows("gemma3-tiny"), [Some(6), Some(6), None]);
    assert_eq!(windows("modernbert-tiny-encoder"), [None, Some(4), Some(4)]);
    let config = read("smollm3-tiny");
    let turned: Vec<bool> = decoder(&config)
        .layers
        .iter()
        .map(|layer| layer.rotary.is_some())
        .collect();
    assert_eq!(turned, [true, true, true, false]);
    let config = read("gpt-neox-tiny");
    assert_eq!(decoder(&config).rotary, [Rotary::plain(2, 10_000.0)]);
    assert!(decoder(&config).parallel);
}

#[test]
fn keys_that_change_the_arithmetic_of_a_family_are_named() {
    let read = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/fixtures")
            .join(name);
        let text = std::fs::read_to_string(path.join("config.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    for (name, key, value, needle) in [
        (
            "gemma3-tiny",
            "final_logit_softcapping",
            json!(30.0),
            "`final_logit_softcapping`",
        ),
        (
            "gemma3-tiny",
            "attn_logit_softcapping",
            json!(50.0),
            "`attn_logit_softcapping`",
        ),
        (
            "gemma3-tiny",
            "use_bidirectional_attention",
            json!(true),
            "`use_bidirectional_attention`",
        ),
        (
            "mistral-tiny",
            "layer_types",
            json!(["full_attention", "sliding_attention"]),
            "`layer_types`",
        ),
        (
            "qwen2-tiny",
            "layer_types",
            json!(["chunked_attention", "full_attention"]),
            "chunked_attention",
        ),
        ("qwen3-tiny", "hidden_act", json!("relu"), "`hidden_act`"),
        (
            "smollm3-tiny",
            "no_rope_layers",
            json!([1]),
            "`no_rope_layers`",
        ),
        (
            "phi3-tiny",
            "rope_parameters",
            json!({"rope_type": "yarn"}),
            "`yarn`",
        ),
        ("gpt-neox-tiny", "hidden_act", json!("relu"), "`hidden_act`"),
        (
            "modernbert-tiny-encoder",
            "hidden_activation",
            json!("silu"),
            "`hidden_activation`",
        ),
        (
            "roberta-tiny-classifier",
            "position_embedding_type",
            json!("relative_key"),
            "`relative_key`",
        ),
        (
            "distilbert-tiny-classifier",
            "activation",
            json!("relu"),
            "`activation`",
        ),
    ] {
        let error = parse(with(read(name), key, value)).unwrap_err();
        assert!(error.contains(needle), "{name}: {error}");
    }
}

#[test]
fn a_model_that_writes_sees_no_later_token() {
    let neox = json!({"model_type": "gpt_neox", "vocab_size": 97, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4});
    for base in [gpt2(), llama(), neox] {
        parse(with(base.clone(), "is_causal", json!(true))).unwrap();
        for value in [json!(false), Value::Null] {
            let error = parse(with(base.clone(), "is_causal", value)).unwrap_err();
            assert!(error.contains("`is_causal`"), "{error}");
        }
    }
    parse(with(bert(), "is_causal", json!(false))).unwrap();
}

#[test]
fn gemma_reads_one_table_for_each_kind_of_blocks() {
    let gemma = json!({"model_type": "gemma3_text", "vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 6,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 8});
    let windows = |value: Value| {
        let config = parse(value).unwrap();
        let layers = decoder(&config).layers.iter();
        layers
            .map(|layer| layer.window.is_some())
            .collect::<Vec<_>>()
    };
    let six = windows(gemma.clone());
    assert_eq!(six, [true, true, true, true, true, false]);
    assert_eq!(
        windows(with(gemma.clone(), "_sliding_window_pattern", json!(2))),
        six
    );
    assert_ne!(
        windows(with(gemma.clone(), "sliding_window_pattern", json!(2))),
        six
    );
    let flat = json!({"rope_type": "linear", "factor": 8.0});
    let error = parse(with(gemma.clone(), "rope_parameters", flat.clone())).unwrap_err();
    assert!(
        error.contains("`rope_parameters` holds `factor`"),
        "{error}"
    );
    let kinds = json!({"full_attention": {"rope_type": "default"}});
    let both = with(with(gemma, "rope_parameters", kinds), "rope_scaling", flat);
    let error = parse(both).unwrap_err();
    assert!(error.contains("`rope_scaling` stands beside"), "{error}");
}

#[test]
fn gpt_neox_has_its_own_keys_for_what_others_have_outside_the_table() {
    let neox = json!({"model_type": "gpt_neox", "vocab_size": 97, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "rotary_pct": 0.5});
    parse(with(neox.clone(), "partial_rotary_factor", json!(0.5))).unwrap();
    for (key, value, own) in [
        ("partial_rotary_factor", json!(1.0), "`rotary_pct`"),
        ("rope_theta", json!(5e5), "`rotary_emb_base`"),
    ] {
        let error = parse(with(neox.clone(), key, value)).unwrap_err();
        assert!(error.contains(key) && error.contains(own), "{error}");
    }
}
