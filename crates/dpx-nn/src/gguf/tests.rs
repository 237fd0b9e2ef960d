//! GGUF files that the package `gguf` wrote (tests/python/gguf_fixtures.py), beside the models that they were made from.

use super::*;
use crate::model::{CausalModel, ModelConfig, Weights, load_causal};
use crate::text::Tokenizer;
use crate::{Batch, Network, Sequence};
use dpx_schema::Device;
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

fn file(name: &str) -> PathBuf {
    fixtures().join("gguf").join(format!("{name}.gguf"))
}

/// The losses of a model.
fn losses(folder: &Path) -> Vec<f64> {
    let model = load_causal(folder, Device::Cpu).unwrap();
    let ids: Vec<Vec<u32>> = vec![vec![3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5], vec![27, 18, 28, 96]];
    let sequences: Vec<Sequence<'_>> = ids.iter().map(|ids| Sequence::whole(ids)).collect();
    assert!(model.context() >= 11);
    model.forward_loss(&Batch::causal(&sequences)).unwrap()
}

#[test]
fn every_family_is_the_model_that_it_was_made_from() {
    for name in [
        "llama-tiny",
        "llama-tiny-untied",
        "llama3-rope-tiny",
        "qwen2-tiny",
        "qwen3-tiny",
        "smollm3-tiny",
        "phi3-tiny",
        "olmo2-tiny",
        "gpt2-tiny",
        "gpt-neox-tiny",
        "gemma3-tiny",
    ] {
        let folder = fixtures().join(name);
        let own = load_causal(&folder, Device::Cpu).unwrap();
        let found = load_causal(file(name), Device::Cpu).unwrap();
        let tensors = own.parameters().iter().zip(found.parameters().iter());
        assert_eq!(
            own.parameters().iter().count(),
            found.parameters().iter().count()
        );
        for ((_, own), (_, found)) in tensors {
            assert_eq!(own.name, found.name);
            let pairs = own.value.to_vec().into_iter().zip(found.value.to_vec());
            for (own, found) in pairs {
                // One was added to the norms of Gemma and is taken off again.
                let same = if name == "gemma3-tiny" {
                    (own - found).abs() < 1e-6
                } else {
                    own.to_bits() == found.to_bits()
                };
                assert!(same, "{name}: {own} {found}");
            }
        }
        let both = losses(&folder).into_iter().zip(losses(&file(name)));
        for (own, found) in both {
            assert!((own - found).abs() < 1e-5, "{name}: {own} {found}");
        }
        assert_eq!(
            own.config().architecture,
            found.config().architecture,
            "{name}"
        );
    }
}

#[test]
fn blocks_of_every_type_are_what_gguf_makes_of_them() {
    let text = std::fs::read(fixtures().join("gguf/blocks.json")).unwrap();
    let all: Value = serde_json::from_slice(&text).unwrap();
    let all = all.as_object().unwrap();
    assert_eq!(all.len(), 10);
    for (name, case) in all {
        let quant = (0..64)
            .filter_map(Quant::of)
            .find(|quant| quant.name() == name)
            .unwrap();
        let hex = case["bytes"].as_str().unwrap();
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect();
        let expected = case["values"].as_array().unwrap().iter();
        let expected: Vec<f32> = expected
            .map(|bits| f32::from_bits(bits.as_u64().unwrap() as u32))
            .collect();
        assert_eq!(quant.decode(&bytes), expected, "{name}");
    }
}

#[test]
fn quantized_models_are_near() {
    let (own, found) = (
        losses(&fixtures().join("llama-tiny")),
        losses(&file("llama-tiny-q8_0")),
    );
    for (own, found) in own.iter().zip(&found) {
        assert!(
            (own - found).abs() < 0.1 && own.to_bits() != found.to_bits(),
            "{own} {found}"
        );
    }
}

#[test]
fn a_folder_with_one_file_is_a_model() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(file("llama-tiny"), folder.path().join("some.gguf")).unwrap();
    assert_eq!(losses(folder.path()), losses(&file("llama-tiny")));
    assert_eq!(Tokenizer::load(folder.path()).unwrap().end(), Some(1));
    std::fs::copy(file("qwen2-tiny"), folder.path().join("other.GGUF")).unwrap();
    for error in [
        ModelConfig::read(folder.path()).unwrap_err().to_string(),
        Weights::open(folder.path(), "").unwrap_err().to_string(),
        Tokenizer::load(folder.path()).unwrap_err().to_string(),
    ] {
        assert!(
            error.contains("holds 2 GGUF files") && error.contains("`some.gguf`"),
            "{error}"
        );
    }
    // Weights of `transformers` count for more.
    std::fs::write(folder.path().join("model.safetensors"), "").unwrap();
    assert_eq!(find(folder.path()), Ok(None));
}

#[test]
fn byte_level_vocabularies_become_tokenizers() {
    let tokenizer = Tokenizer::load(file("llama-tiny")).unwrap();
    let id = |token: &str| tokenizer.id(token).unwrap();
    let glad = id("Ġglad");
    assert_eq!(
        tokenizer.encode("i am glad").unwrap(),
        [id("i"), id("Ġam"), glad]
    );
    assert_eq!(
        tokenizer.encode("am<sep>am<|end|> glad").unwrap(),
        [id("am"), id("<sep>"), id("am"), 1, glad]
    );
    // Each digit by itself, as in SmolLM's.
    assert_eq!(
        tokenizer.encode("12\n").unwrap(),
        [id("1"), id("2"), id("Ċ")]
    );
    assert_eq!(
        tokenizer.decode(&[0, id("i"), glad, 1], true).unwrap(),
        "i glad"
    );
    assert_eq!(
        (tokenizer.special().bos, tokenizer.end()),
        (Some(0), Some(1))
    );
    assert!(!tokenizer.starts_with_bos());
    // What fills the table up is no token.
    assert_eq!(tokenizer.id("[PAD96]"), None);
    // It is written and read as any other.
    let folder = tempfile::tempdir().unwrap();
    tokenizer.save(folder.path(), None).unwrap();
    let again = Tokenizer::load(folder.path()).unwrap();
    assert_eq!(
        again.encode("i am<sep> glad").unwrap(),
        tokenizer.encode("i am<sep> glad").unwrap()
    );
}

#[test]
fn pieces_with_scores_become_tokenizers() {
    let tokenizer = Tokenizer::load(file("llama-tiny-q8_0")).unwrap();
    let id = |token: &str| tokenizer.id(token).unwrap();
    assert_eq!(
        tokenizer.encode("i am glad").unwrap(),
        [id("▁i"), id("▁am"), id("▁glad")]
    );
    assert_eq!(tokenizer.encode("glad").unwrap(), [id("▁glad")]);
    assert_eq!(
        tokenizer.encode("  i").unwrap(),
        [id("▁"), id("▁"), id("▁i")]
    );
    assert_eq!(tokenizer.encode_with_special("i").unwrap(), [1, id("▁i")]);
    assert!(tokenizer.starts_with_bos());
    let ids = tokenizer.encode("i am glad").unwrap();
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "i am glad");
}

#[test]
fn damaged_files_are_errors_that_name_them() {
    let bytes = std::fs::read(file("llama-tiny")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.gguf");
    let look = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let weights = Weights::open(&path, "model.")
            .map(|_| ())
            .map_err(|error| error.to_string());
        let config = ModelConfig::read(&path)
            .map(|_| ())
            .map_err(|error| error.to_string());
        let tokenizer = Tokenizer::load(&path)
            .map(|_| ())
            .map_err(|error| error.to_string());
        [weights, config, tokenizer]
    };
    for error in look(b"GGUF").into_iter().chain(look(&[b'x'; 100])) {
        let error = error.unwrap_err();
        assert!(
            error.contains("bad.gguf") && error.contains("no GGUF file"),
            "{error}"
        );
    }
    for error in look(&bytes[..bytes.len() - 100]) {
        let error = error.unwrap_err();
        assert!(
            error.contains("bad.gguf") && error.contains("cut short"),
            "{error}"
        );
    }
    // Bytes of the header changed, one by one: an error or another model, never a panic.
    let header = bytes.len() - 70_000;
    for at in (4..header).step_by(19) {
        for change in [0xFF, 0x80] {
            let mut bytes = bytes.clone();
            bytes[at] ^= change;
            for error in look(&bytes).into_iter().filter_map(Result::err) {
                assert!(error.contains("bad.gguf"), "{error}");
            }
        }
    }
    // Numbers that promise more than there is.
    for (at, size) in [(8, 8), (16, 8), (24, 8)] {
        let mut bytes = bytes.clone();
        bytes[at..at + size].fill(0xFF);
        bytes[at + size - 1] = 0x7F;
        for error in look(&bytes) {
            assert!(error.unwrap_err().contains("damaged"));
        }
    }
}

#[test]
fn what_is_not_read_is_named() {
    let bytes = std::fs::read(file("llama-tiny")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.gguf");
    let told = |from: &[u8], to: &[u8]| {
        let at = bytes
            .windows(from.len())
            .position(|part| part == from)
            .unwrap();
        let mut bytes = bytes.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        std::fs::write(&path, bytes).unwrap();
        let config = ModelConfig::read(&path).map(|_| ());
        let tokenizer = Tokenizer::load(&path).map(|_| ());
        config
            .map_err(|error| error.to_string())
            .err()
            .or_else(|| tokenizer.map_err(|error| error.to_string()).err())
            .unwrap()
    };
    let mamba = told(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0mamba");
    assert!(
        mamba.contains("`general.architecture` is `mamba`") && mamba.contains("`qwen3`"),
        "{mamba}"
    );
    let infinite = told(
        b"llama.rope.freq_base\x06\0\0\0\0\x40\x1c\x46",
        b"llama.rope.freq_base\x06\0\0\0\0\0\x80\x7f",
    );
    assert!(
        infinite.contains("`llama.rope.freq_base` is inf"),
        "{infinite}"
    );
    let twice = told(b"llama.context_length", b"llama.rope.freq_base");
    assert!(twice.contains("`llama.rope.freq_base` twice"), "{twice}");
    let same = told(b"\x02\0\0\0\0\0\0\0am", b"\x02\0\0\0\0\0\0\0ad");
    assert!(same.contains("are the same"), "{same}");
    let key = told(b"llama.rope.freq_base", b"llama.rope.freq_basx");
    assert!(key.contains("`llama.rope.freq_basx`"), "{key}");
    let pre = told(b"smollm", b"mollsm");
    assert!(
        pre.contains("`tokenizer.ggml.pre`")
            && pre.contains("`mollsm`")
            && pre.contains("tokenizer.json"),
        "{pre}"
    );
    let embedding = b"token_embd.weight\x02\0\0\0\x20\0\0\0\0\0\0\0\x61\0\0\0\0\0\0\0";
    let quant = told(
        &[&embedding[..], &[0, 0, 0, 0]].concat(),
        &[&embedding[..], &[23, 0, 0, 0]].concat(),
    );
    assert!(
        quant.contains("stored as IQ4_XS") && quant.contains("Q4_K"),
        "{quant}"
    );
}

/// A file with one key more, of an f32 or another number of 4 bytes.
fn with_key(bytes: &[u8], key: &str, kind: u32, value: [u8; 4]) -> Vec<u8> {
    let named = |key: &str| [&(key.len() as u64).to_le_bytes(), key.as_bytes()].concat();
    let mut more = [&named(key)[..], &kind.to_le_bytes(), &value].concat();
    // A text fills up, so that the data stay aligned.
    more.extend([&named("fill")[..], &8_u32.to_le_bytes()].concat());
    let length = (32 - (more.len() + 8) % 32) % 32;
    more.extend(named(&"x".repeat(length)));
    let count = u64::from_le_bytes(bytes[16..24].try_into().unwrap());
    [
        &bytes[..16],
        &(count + 2).to_le_bytes(),
        &more,
        &bytes[24..],
    ]
    .concat()
}

#[test]
fn scaled_positions_are_those_of_llama_cpp_or_refused() {
    let bytes = std::fs::read(file("llama-tiny")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scaled.gguf");
    let read = |key: &str, value: f32| {
        std::fs::write(&path, with_key(&bytes, key, 6, value.to_le_bytes())).unwrap();
        drop(load_causal(&path, Device::Cpu).map_err(|error| error.to_string())?);
        ModelConfig::read(&path).map_err(|error| error.to_string())
    };
    let plain = ModelConfig::read(&file("llama-tiny")).unwrap();
    // A factor without a type is one of linear scaling.
    let scaled = read("llama.rope.scaling.factor", 4.0).unwrap();
    assert_eq!(scaled.raw["rope_scaling"]["rope_type"], "linear");
    assert_ne!(scaled.architecture, plain.architecture);
    let same = read("llama.rope.scaling.factor", 1.0).unwrap();
    assert_eq!(same.architecture, plain.architecture);
    let told = read("llama.rope.scaling.attn_factor", 1.5).unwrap_err();
    assert!(
        told.contains("`llama.rope.scaling.attn_factor` is 1.5"),
        "{told}"
    );
    read("llama.rope.scaling.attn_factor", 1.0).unwrap();
    let told = read("llama.rope.scaling.attn_factor", f32::NAN).unwrap_err();
    assert!(told.contains("NaN"), "{told}");
}
