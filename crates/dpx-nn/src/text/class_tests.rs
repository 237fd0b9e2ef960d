//! Tokenizers as `transformers` 5.24 reads them by class and by configuration: ids computed with it (`AutoTokenizer`).

use super::{Tokenizer, has_rules, reading};
use serde_json::{Value, json};
use std::path::Path;

/// Pieces like those of Llama 2, with the rules that its `tokenizer.json` holds.
fn pieces() -> Value {
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added(&["<unk>", "<s>", "</s>"]),
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ]},
        "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, "▁": 3, "a": 4, "b": 5, "▁a": 6, "▁▁": 7, "<0x21>": 8, "<pad>": 9},
            "merges": [["▁", "a"], ["▁", "▁"]],
        },
    })
}

/// Pieces with likelihoods, between two tokens.
fn likely() -> Value {
    let token = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let around = json!([token("<s>"), {"Sequence": {"id": "A", "type_id": 0}}, token("</s>")]);
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added(&["<s>", "<pad>", "</s>", "<unk>"]),
        "normalizer": null,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
        "post_processor": {"type": "TemplateProcessing", "single": around, "pair": around, "special_tokens": {
            "<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}, "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}}},
        "decoder": null,
        "model": {"type": "Unigram", "unk_id": 3, "byte_fallback": false, "vocab": [
            ["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["▁", -1.0], ["a", -2.0], ["▁a", -1.5], ["b", -2.0],
            ["B", -3.0], [".", -3.0], ["▁.", -3.5]]},
    })
}

fn added(tokens: &[&str]) -> Value {
    let token = |(id, token): (usize, &&str)| json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    tokens.iter().enumerate().map(token).collect()
}

/// A folder of a model of a type with such files.
fn folder(model_type: &str, tokenizer: &Value, config: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    put(
        folder.path(),
        "config.json",
        &json!({"model_type": model_type}),
    );
    put(folder.path(), "tokenizer.json", tokenizer);
    put(folder.path(), "tokenizer_config.json", config);
    folder
}

fn put(folder: &Path, name: &str, value: &Value) {
    std::fs::write(folder.join(name), value.to_string()).unwrap();
}

fn ids(folder: &Path, texts: &[&str]) -> Vec<Vec<u32>> {
    let tokenizer = Tokenizer::load(folder).unwrap();
    let encode = |text: &&str| tokenizer.encode_with_special(text).unwrap();
    texts.iter().map(encode).collect()
}

fn refused(folder: &Path) -> String {
    Tokenizer::load(folder).unwrap_err().to_string()
}

#[test]
fn pieces_of_llama_are_read_as_the_class_reads_them() {
    let file: [&[u32]; 2] = [&[6, 2, 6], &[3, 6, 6, 8, 0]];
    for (model_type, config, wanted) in [
        ("llama", json!({}), file),
        (
            "llama",
            json!({"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": false, "legacy": true}),
            file,
        ),
        (
            "mistral",
            json!({"tokenizer_class": "LlamaTokenizer"}),
            file,
        ),
        (
            "llama",
            json!({"tokenizer_class": "LlamaTokenizer"}),
            [&[6, 2, 4], &[6, 6, 8]],
        ),
        (
            "llama",
            json!({"tokenizer_class": "LlamaTokenizerFast", "legacy": true}),
            [&[6, 2, 6], &[6, 6, 8]],
        ),
        (
            "llama",
            json!({"tokenizer_class": "LlamaTokenizer", "add_prefix_space": false}),
            [&[4, 2, 4], &[6, 6, 8]],
        ),
        (
            "llama",
            json!({"tokenizer_class": "GemmaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "mask_token": null}),
            [&[4, 2, 4], &[6, 6, 8, 0]],
        ),
    ] {
        let folder = folder(model_type, &pieces(), &config);
        assert_eq!(
            ids(folder.path(), &["a</s>a", " a a!z"]),
            wanted,
            "{model_type} {config}"
        );
    }
}

#[test]
fn pieces_with_likelihoods_are_read_as_the_class_reads_them() {
    let file: [&[u32]; 3] = [&[0, 6, 2, 6, 2], &[0, 6, 4, 6, 8, 9, 2], &[0, 10, 2]];
    let roles = |more: Value| {
        let mut roles = json!({"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>",
            "eos_token": "</s>", "mask_token": null});
        roles
            .as_object_mut()
            .unwrap()
            .append(&mut more.as_object().unwrap().clone());
        roles
    };
    for (model_type, config, wanted) in [
        (
            "xlm-roberta",
            json!({"tokenizer_class": "PreTrainedTokenizerFast"}),
            file,
        ),
        (
            "xlm-roberta",
            json!({}),
            [file[0], &[0, 6, 6, 8, 9, 2], file[2]],
        ),
        (
            "xlm-roberta",
            json!({"tokenizer_class": "XLMRobertaTokenizer", "add_prefix_space": false}),
            [&[0, 5, 2, 5, 2], &[0, 5, 5, 8, 9, 2], &[0, 9, 2]],
        ),
        (
            "deberta-v2",
            roles(json!({})),
            [file[0], &[0, 6, 6, 8, 9, 2], file[2]],
        ),
        (
            "deberta-v2",
            roles(json!({"do_lower_case": true})),
            [file[0], &[0, 6, 6, 7, 9, 2], file[2]],
        ),
        (
            "deberta-v2",
            roles(json!({"split_by_punct": true})),
            [file[0], &[0, 6, 6, 8, 10, 2], file[2]],
        ),
        (
            "deberta-v2",
            roles(json!({"add_prefix_space": false})),
            [&[0, 6, 2, 5, 2], &[0, 6, 6, 8, 9, 2], file[2]],
        ),
    ] {
        let folder = folder(model_type, &likely(), &config);
        assert_eq!(
            ids(folder.path(), &["a</s>a", " a  aB.", "."]),
            wanted,
            "{model_type} {config}"
        );
    }
    // The class would put `[CLS]` and `[SEP]` around a text, which the file does not.
    let told = refused(folder("deberta-v2", &likely(), &json!({})).path());
    assert!(told.contains("`cls_token` `[CLS]`"), "{told}");
}

#[test]
fn what_is_saved_is_read_alike_by_class_and_file() {
    for class in [
        "LlamaTokenizer",
        "GemmaTokenizer",
        "PreTrainedTokenizerFast",
    ] {
        let config = json!({"tokenizer_class": class, "bos_token": "<s>", "eos_token": "</s>", "legacy": true,
            "added_tokens_decoder": {"2": {"content": "</s>", "special": true}}});
        let folder = folder("llama", &pieces(), &config);
        let mut tokenizer = Tokenizer::load(folder.path()).unwrap();
        tokenizer.add_special_tokens(&["<|label:joy|>"]).unwrap();
        tokenizer.save(folder.path(), None).unwrap();
        let saved = std::fs::read(folder.path().join("tokenizer_config.json")).unwrap();
        let saved: Value = serde_json::from_slice(&saved).unwrap();
        assert_eq!(
            saved["tokenizer_class"], "PreTrainedTokenizerFast",
            "{class}"
        );
        // A list in which the label is missing would hide it from classes that make their own rules.
        assert!(saved.get("added_tokens_decoder").is_none(), "{class}");
        let text = "</s><|label:joy|></s>a a";
        let wanted = tokenizer.encode(text).unwrap();
        assert_eq!(
            Tokenizer::load(folder.path())
                .unwrap()
                .encode(text)
                .unwrap(),
            wanted,
            "{class}"
        );
    }
}

#[test]
fn a_class_is_kept_where_it_reads_the_file_alike() {
    use super::rules::reads_alike;
    let plain = json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": true});
    let digits = json!({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}, plain]});
    let with = |words: &Value, normalizer: Value| json!({"pre_tokenizer": words, "normalizer": normalizer});
    let alike = |class: &str, tokenizer: &Value, config: Value| {
        reads_alike(class, tokenizer, config.as_object().unwrap())
    };
    let nfc = json!({"type": "NFC"});
    assert!(alike("GPT2", &with(&plain, Value::Null), json!({})));
    assert!(!alike(
        "GPT2",
        &with(&plain, Value::Null),
        json!({"add_prefix_space": true})
    ));
    assert!(!alike("GPT2", &with(&digits, Value::Null), json!({})));
    assert!(!alike("GPT2", &with(&plain, nfc.clone()), json!({})));
    assert!(alike("GPTNeoX", &with(&plain, nfc), json!({})));
    assert!(alike("", &with(&digits, Value::Null), json!({})));
    let lower = json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true});
    let bert = with(&json!({"type": "BertPreTokenizer"}), lower);
    assert!(alike("Bert", &bert, json!({})));
    assert!(!alike("Bert", &bert, json!({"do_lower_case": false})));
    assert!(!alike("Llama", &bert, json!({})));
}

#[test]
fn a_class_that_is_not_known_or_does_not_fit_is_named() {
    for (class, told) in [
        ("CohereTokenizerFast", "`CohereTokenizer`, whose rules"),
        (
            "BertTokenizer",
            "`BertTokenizer`, but `tokenizer.json` holds",
        ),
        ("GPTNeoXTokenizer", "`GPTNeoXTokenizer`, but"),
        ("XLMRobertaTokenizer", "`XLMRobertaTokenizer`, but"),
    ] {
        let folder = folder("llama", &pieces(), &json!({"tokenizer_class": class}));
        let error = refused(folder.path());
        assert!(
            error.contains(told)
                && error.contains("PreTrainedTokenizerFast")
                && error.contains("tokenizer_config.json"),
            "{error}"
        );
    }
    // Such a file is read as it is, by whatever name of Llama's class.
    let mut bytes = pieces();
    bytes["normalizer"] = Value::Null;
    bytes["pre_tokenizer"] = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let byte_level = folder(
        "llama",
        &bytes,
        &json!({"tokenizer_class": "LlamaTokenizer"}),
    );
    assert_eq!(ids(byte_level.path(), &["a"]), [[4]]);
}

#[test]
fn tokens_that_the_configuration_names_are_added_as_transformers_adds_them() {
    let numbered = |content: &str, strip: bool| {
        json!({"content": content, "special": true, "lstrip": strip, "rstrip": strip,
        "normalized": false, "single_word": false})
    };
    let none = json!({});
    let by_file: (&[u32], &[u32]) = (&[6, 0, 5, 3, 0, 4, 0, 6, 3, 0], &[6, 3, 2, 3, 6]);
    let with_x: (&[u32], &[u32]) = (&[6, 10, 3, 5, 3, 0, 4, 0, 6, 3, 0], by_file.1);
    for (config, file, content, wanted) in [
        (json!({}), "other.json", &none, by_file),
        (
            json!({"pad_token": "<pad>"}),
            "other.json",
            &none,
            (&[6, 0, 5, 3, 9, 3, 6, 3, 0][..], by_file.1),
        ),
        (json!({"pad_token": "<x>"}), "other.json", &none, with_x),
        (
            json!({}),
            "special_tokens_map.json",
            &json!({"pad_token": "<x>"}),
            with_x,
        ),
        (
            json!({"pad_token": "<y>"}),
            "special_tokens_map.json",
            &json!({"pad_token": "<x>"}),
            with_x,
        ),
        (
            json!({"pad_token": "<y>", "added_tokens_decoder": {}}),
            "special_tokens_map.json",
            &json!({"pad_token": "<x>"}),
            (&[6, 0, 5, 3, 0, 4, 0, 6, 3, 10], by_file.1),
        ),
        (json!({"image_token": "<x>"}), "other.json", &none, with_x),
        (
            json!({"image_token": "<x>", "pad_token": "<y>"}),
            "other.json",
            &none,
            (&[6, 11, 3, 5, 3, 0, 4, 0, 6, 3, 10], by_file.1),
        ),
        (
            json!({"extra_special_tokens": {"k": "<x>"}}),
            "other.json",
            &none,
            with_x,
        ),
        (
            json!({"additional_special_tokens": ["<x>"], "extra_special_tokens": ["<y>"]}),
            "other.json",
            &none,
            (&[6, 0, 5, 3, 0, 4, 0, 6, 3, 10], by_file.1),
        ),
        (
            json!({}),
            "added_tokens.json",
            &json!({"<pad>": 9}),
            (&[6, 0, 5, 9, 6, 3, 0], by_file.1),
        ),
        (
            json!({"added_tokens_decoder": {}}),
            "added_tokens.json",
            &json!({"<x>": 400}),
            by_file,
        ),
        (
            json!({"added_tokens_decoder": {"2": numbered("</s>", true)}}),
            "other.json",
            &none,
            (by_file.0, &[6, 2, 6]),
        ),
    ] {
        let mut config = config;
        config["tokenizer_class"] = "PreTrainedTokenizerFast".into();
        let folder = folder("llama", &pieces(), &config);
        put(folder.path(), file, content);
        let found = ids(folder.path(), &["a<x>b <pad> a <y>", "a </s> a"]);
        assert_eq!(found, [wanted.0, wanted.1], "{config} {file} {content}");
    }
    let roles = folder("llama", &pieces(), &json!({"pad_token": "<x>"}));
    let tokenizer = Tokenizer::load(roles.path()).unwrap();
    assert_eq!((tokenizer.pad(), tokenizer.vocabulary_size()), (10, 11));
}

#[test]
fn tokens_that_cannot_be_added_so_are_refused_by_key() {
    let told = |config: Value, added: Value| {
        let folder = folder("llama", &pieces(), &config);
        put(folder.path(), "added_tokens.json", &added);
        refused(folder.path())
    };
    let error = told(json!({}), json!({"<x>": 400}));
    assert!(
        error.contains("`added_tokens.json` gives `<x>` the number 400"),
        "{error}"
    );
    let error = told(json!({"split_special_tokens": true}), json!({}));
    assert!(error.contains("`split_special_tokens`"), "{error}");
    let error = told(
        json!({"image_token": "<x>", "audio_token": "<y>"}),
        json!({}),
    );
    assert!(error.contains("`<y>` and `<x>`"), "{error}");
    let error = told(json!({"pad_token": 3}), json!({}));
    assert!(error.contains("`pad_token` is `3`"), "{error}");
}

#[test]
fn keys_of_other_classes_change_nothing() {
    let mut bytes = pieces();
    bytes["normalizer"] = json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
        "lowercase": true});
    bytes["pre_tokenizer"] = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    for key in [
        "add_prefix_space",
        "do_lower_case",
        "strip_accents",
        "tokenize_chinese_chars",
    ] {
        for given in [false, true] {
            let mut config = json!({"tokenizer_class": "PreTrainedTokenizerFast"});
            config[key] = given.into();
            let folder = folder("llama", &bytes, &config);
            assert_eq!(ids(folder.path(), &["Aáb"]), [[4, 4, 5]], "{key}");
        }
    }
}

/// Every model of type `qwen2` has its words, whatever class is named and whatever words the file has.
#[test]
fn words_of_qwen2_are_those_of_its_class() {
    let vocabulary = [
        "<|endoftext|>",
        "a",
        "b",
        "1",
        "2",
        "Ġ",
        "12",
        "Ġ1",
        "Ġ12",
        "Ċ",
        "ĊĊ",
        "ĠĠ",
    ];
    let vocabulary: Value = vocabulary
        .into_iter()
        .zip(0..)
        .map(|(piece, id): (&str, u32)| (piece.to_owned(), Value::from(id)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added(&["<|endoftext|>"]),
        "normalizer": null, "pre_tokenizer": bytes, "post_processor": null, "decoder": bytes,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocabulary,
            "merges": [["1", "2"], ["Ġ", "1"], ["Ġ", "12"], ["Ċ", "Ċ"], ["Ġ", "Ġ"]],
        },
    });
    let texts = ["a 12", "a  12", "b\n\na"];
    let of_file: [Vec<u32>; 3] = [vec![1, 8], vec![1, 5, 8], vec![2, 9, 9, 1]];
    let of_class: [Vec<u32>; 3] = [vec![1, 5, 3, 4], vec![1, 5, 5, 3, 4], vec![2, 10, 1]];
    for (model_type, class, wanted) in [
        ("qwen2", "PreTrainedTokenizerFast", &of_class),
        ("qwen2", "Qwen2Tokenizer", &of_class),
        ("llama", "PreTrainedTokenizerFast", &of_file),
    ] {
        let config = json!({"tokenizer_class": class});
        let folder = folder(model_type, &tokenizer, &config);
        assert_eq!(ids(folder.path(), &texts), *wanted, "{model_type} {class}");
        assert_eq!(reading(folder.path()).is_some(), model_type == "qwen2");
    }
}

/// What the cache holds of a tokenizer that is read by other rules than those of its file is not taken for what is computed now; of all
/// others it stays, private training above all.
#[test]
fn a_reading_is_told_where_the_rules_of_a_class_differ_from_those_of_the_file() {
    let told = |model_type: &str, tokenizer: &Value, config: Value| {
        let folder = folder(model_type, tokenizer, &config);
        let told = reading(folder.path());
        assert!(told.is_none() || has_rules(folder.path()));
        told
    };
    let llama = json!({"tokenizer_class": "LlamaTokenizer"});
    let of_llama = told("llama", &pieces(), llama.clone()).unwrap();
    // Raised by itself with the rules: a change here runs what such tokenizers have part in again, and spends privacy.
    assert_eq!(of_llama, "LlamaTokenizer, rules a86bcb38f33f6ed1");
    let legacy = json!({"tokenizer_class": "LlamaTokenizerFast", "legacy": true});
    let legacy = told("llama", &pieces(), legacy).unwrap();
    assert_ne!(legacy, of_llama);
    for (model_type, config) in [
        ("llama", json!({})),
        (
            "llama",
            json!({"tokenizer_class": "PreTrainedTokenizerFast", "legacy": true}),
        ),
        ("mistral", llama.clone()),
    ] {
        assert_eq!(told(model_type, &pieces(), config), None, "{model_type}");
    }
    // The file as the class itself wrote it, and as older programs did.
    let mut same = pieces();
    same["model"]["unk_token"] = "".into();
    same["normalizer"] = Value::Null;
    same["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false}]});
    same["decoder"] = json!({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]});
    assert_eq!(told("llama", &same, llama.clone()), None);
    let mut bytes = pieces();
    bytes["decoder"] = json!({"type": "ByteLevel"});
    assert_eq!(told("llama", &bytes, llama), None);
    let mut older = likely();
    older["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"},
        {"type": "Metaspace", "replacement": "▁", "str_rep": "▁", "add_prefix_space": true}]});
    older["decoder"] = json!({"type": "Metaspace", "replacement": "▁", "add_prefix_space": true});
    assert_eq!(told("xlm-roberta", &older, json!({})), None);
    assert!(told("xlm-roberta", &likely(), json!({})).is_some());
    assert!(
        told(
            "deberta-v2",
            &likely(),
            json!({"cls_token": "<s>", "sep_token": "</s>"})
        )
        .is_some()
    );
}
