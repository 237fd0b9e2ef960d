//! Tests of reading and writing weights.

use super::super::{StoredAs, write};
use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A safetensors file from a header as text and data bytes, with nothing aligned.
fn raw(path: &Path, header: &str, data: &[u8]) {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_written_is_read_with_or_without_the_prefix() {
    for name in ["transformer.wte.weight", "wte.weight"] {
        let dir = folder();
        let tensor = (name.to_owned(), vec![2, 2], vec![1.0, -2.5, 3.25, 0.1]);
        write(dir.path(), [tensor], StoredAs::F32).unwrap();
        for asked in ["transformer.wte.weight", "wte.weight"] {
            let mut weights = Weights::open(dir.path(), "transformer.").unwrap();
            assert_eq!(weights.shape(asked), Some([2, 2].as_slice()));
            assert_eq!(
                weights.take(asked, &[2, 2]).unwrap(),
                [1.0, -2.5, 3.25, 0.1]
            );
            weights.finish(|_| false).unwrap();
        }
    }
}

#[test]
fn half_precision_and_unaligned_data_are_read() {
    let dir = folder();
    let mut data = half::bf16::from_f32(-3.0).to_le_bytes().to_vec();
    data.extend(half::f16::from_f32(0.5).to_le_bytes());
    data.extend(7.5f32.to_le_bytes());
    let header = r#"{"b":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]},"h":{"dtype":"F16","shape":[1,1],"data_offsets":[2,4]},"f":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}"#;
    assert_ne!(header.len() % 4, 0, "the data must start unaligned");
    raw(&dir.path().join("model.safetensors"), header, &data);
    let mut weights = Weights::open(dir.path(), "model.").unwrap();
    assert_eq!(weights.take("b", &[1]).unwrap(), [-3.0]);
    assert_eq!(weights.take("h", &[1, 1]).unwrap(), [0.5]);
    assert_eq!(weights.take("f", &[]).unwrap(), [7.5]);
}

#[test]
fn f16_is_rounded_to_nearest() {
    let dir = folder();
    write(
        dir.path(),
        [("a".to_owned(), vec![1], vec![0.1])],
        StoredAs::F16,
    )
    .unwrap();
    let mut weights = Weights::open(dir.path(), "x.").unwrap();
    assert_eq!(weights.take("a", &[1]).unwrap(), [0.099_975_586]);
}

#[test]
fn shards_are_found_through_the_index() {
    let dir = folder();
    for (shard, name) in [("a.safetensors", "one"), ("b.safetensors", "two")] {
        let header = format!(r#"{{"{name}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#);
        raw(&dir.path().join(shard), &header, &1f32.to_le_bytes());
    }
    let index = dir.path().join("model.safetensors.index.json");
    std::fs::write(
        &index,
        r#"{"weight_map":{"one":"a.safetensors","two":"b.safetensors"}}"#,
    )
    .unwrap();
    let mut weights = Weights::open(dir.path(), "model.").unwrap();
    assert_eq!(weights.take("two", &[1]).unwrap(), [1.0]);
    let error = weights.finish(|_| false).unwrap_err().to_string();
    assert!(error.contains("`one`"), "{error}");

    // Stored a second time in the other file.
    let header = r#"{"one":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"two":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    let bytes = [2f32.to_le_bytes(), 1f32.to_le_bytes()].concat();
    raw(&dir.path().join("b.safetensors"), header, &bytes);
    let error = Weights::open(dir.path(), "model.").unwrap_err().to_string();
    assert!(
        error.contains("`one` stands in it and in `a.safetensors`"),
        "{error}"
    );

    std::fs::write(&index, r#"{"weight_map":{"one":"../a.safetensors"}}"#).unwrap();
    let error = Weights::open(dir.path(), "model.").unwrap_err().to_string();
    assert!(error.contains("plain file name"), "{error}");
}

#[test]
fn a_missing_an_extra_and_a_misshapen_tensor_are_named() {
    let dir = folder();
    let tensor = |name: &str| (name.to_owned(), vec![2], vec![0.0, 1.0]);
    write(
        dir.path(),
        [tensor("h.0.ln_1.weight"), tensor("h.0.attn.bias")],
        StoredAs::F32,
    )
    .unwrap();
    let mut weights = Weights::open(dir.path(), "transformer.").unwrap();
    let missing = weights
        .take("h.0.ln_2.weight", &[2])
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("`h.0.ln_2.weight`") && missing.contains("`h.0.ln_1.weight`"),
        "{missing}"
    );
    let shape = weights
        .take("h.0.ln_1.weight", &[3])
        .unwrap_err()
        .to_string();
    assert!(shape.contains("[2]") && shape.contains("[3]"), "{shape}");
    weights.take("h.0.ln_1.weight", &[2]).unwrap();
    let extra = weights.finish(|_| false).unwrap_err().to_string();
    assert!(extra.contains("`h.0.attn.bias`"), "{extra}");

    let mut weights = Weights::open(dir.path(), "transformer.").unwrap();
    weights.take("h.0.ln_1.weight", &[2]).unwrap();
    weights.finish(|name| name.ends_with("attn.bias")).unwrap();
}

#[test]
fn damaged_files_are_refused_before_anything_is_allocated() {
    let dir = folder();
    let path = dir.path().join("model.safetensors");
    let cases: [(&str, &[u8], &str); 5] = [
        (
            r#"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]}}"#,
            &[0; 4],
            "`a`",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#,
            &[0; 4],
            "cut short",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}}"#,
            &[0; 16],
            "cut short",
        ),
        (r#"{"a":{"dtype":"F32","shape":[-1]}}"#, &[0; 4], "`a`"),
        ("[]", &[], "JSON object"),
    ];
    for (header, data, needle) in cases {
        raw(&path, header, data);
        let error = Weights::open(dir.path(), "x.").unwrap_err().to_string();
        assert!(error.contains(needle), "{header}: {error}");
    }
    std::fs::write(&path, u64::MAX.to_le_bytes()).unwrap();
    assert!(Weights::open(dir.path(), "x.").is_err());
    std::fs::write(&path, b"abc").unwrap();
    assert!(Weights::open(dir.path(), "x.").is_err());
    std::fs::remove_file(&path).unwrap();
    let error = Weights::open(dir.path(), "x.").unwrap_err().to_string();
    assert!(error.contains("model.safetensors"), "{error}");
}

#[test]
fn a_number_that_is_none_is_refused() {
    let dir = folder();
    write(
        dir.path(),
        [("a".to_owned(), vec![2], vec![0.0, f32::NAN])],
        StoredAs::F32,
    )
    .unwrap();
    let mut weights = Weights::open(dir.path(), "x.").unwrap();
    let error = weights.take("a", &[2]).unwrap_err().to_string();
    assert!(
        error.contains("`a`") && error.contains("position 1"),
        "{error}"
    );
}
