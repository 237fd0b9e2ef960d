//! Broken input: experiment files, data and models with bytes changed, cut, doubled; no panic, no hang, no memory.

use super::{Random, rounds, told};
use dpx_schema::Device;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Some changes to bytes, as a bad copy, a wrong editor or a hostile sender makes them.
fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            bytes.push(b'x');
        }
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(16)).min(bytes.len());
        match random.below(9) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => drop(bytes.drain(at..end)),
            3 => {
                let part = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, part);
            }
            4 => bytes.truncate(at),
            5 => bytes[at..end].fill(*random.pick(&[0x00, 0xff, b'9', b'"', b'[', b'\n', b' '])),
            6 => {
                let odd: &[u8] = random.pick::<&[u8]>(&[
                    &b"\xef\xbb\xbf"[..],
                    b"\xff\xfe",
                    b"\r\n",
                    b"\0",
                    b"1e999",
                    b"-1",
                    b"99999999999999999999",
                    b"nan",
                    b"\"\"\"",
                    b"[[[[[[[[",
                    b"\xe2\x80\xae",
                    b"\x1b[31m",
                    b"null",
                    b"{}",
                    b"\\u0000",
                    b"0x",
                    b"''",
                ]);
                bytes.splice(at..at, odd.iter().copied());
            }
            7 if end - at >= 4 => bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes()),
            _ => bytes.swap(at, random.0 as usize % end),
        }
    }
    bytes
}

/// Runs something that must neither panic nor hang.
fn survives(what: &str, bytes: &[u8], run: impl FnOnce()) {
    let begun = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(run));
    let keep = || {
        let path = std::env::temp_dir().join("dpx-fault-input");
        std::fs::write(&path, bytes).unwrap();
        path
    };
    assert!(
        result.is_ok(),
        "{what}: panic; the input is {}",
        keep().display()
    );
    let took = begun.elapsed();
    assert!(
        took < Duration::from_secs(20),
        "{what} took {took:?}; the input is {}",
        keep().display()
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn with_extension(folder: &str, end: &str) -> Vec<PathBuf> {
    let found = super::files(&root().join(folder));
    found
        .into_iter()
        .filter(|path| path.extension().is_some_and(|own| own == end))
        .collect()
}

#[test]
fn experiment_files() {
    let mut random = Random::of("experiment files");
    let sources = with_extension("experiments", "toml");
    let texts: Vec<Vec<u8>> = sources
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.toml");
    let all = rounds(400, 8_100);
    for round in 0..all {
        let text: &Vec<u8> = random.pick(&texts);
        let bytes = mutated(text, &mut random);
        std::fs::write(&path, &bytes).unwrap();
        survives(&format!("experiment file of round {round}"), &bytes, || {
            let loaded = dpx_engine::experiment::load(&path, &[]);
            let told = dpx_engine::experiment::render(&loaded.diagnostics, &loaded.files);
            assert!(loaded.experiment.is_some() || !told.is_empty());
        });
    }
    told("mutated experiment files", &format!("{all}"));
}

#[test]
fn data_files() {
    let mut random = Random::of("data files");
    let csv = "text,label\n\"good, \"\"very\"\" good\",joy\nbad day,sadness\n\"two\nlines\",joy\n"
        .repeat(10);
    let tsv = "text\tlabel\na \"quoted\" word\tjoy\nbad day\tsadness\n".repeat(10);
    let json = "{\"text\": \"good \\u00e9\", \"label\": \"joy\"}\n{\"text\": \"bad\", \"label\": \"sadness\"}\n".repeat(10);
    let chats = "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}\n";
    let mut sources: Vec<(String, Vec<u8>)> = vec![
        ("d.csv".into(), csv.into_bytes()),
        ("d.tsv".into(), tsv.into_bytes()),
        ("d.jsonl".into(), json.into_bytes()),
        ("c.jsonl".into(), chats.repeat(5).into_bytes()),
        ("d.txt".into(), b"a good day;joy\nbad;sadness\n".repeat(10)),
    ];
    for path in with_extension("crates/dpx-data", "parquet") {
        sources.push(("d.parquet".into(), std::fs::read(path).unwrap()));
    }
    assert!(
        sources.iter().any(|(name, _)| name.ends_with("parquet")),
        "no parquet file to mutate"
    );
    let labels = ["joy".to_owned(), "sadness".to_owned()];
    let folder = tempfile::tempdir().unwrap();
    let all = rounds(600, 8_000);
    for round in 0..all {
        let (name, bytes) = random.pick(&sources).clone();
        let bytes = mutated(&bytes, &mut random);
        let path = folder.path().join(&name);
        std::fs::write(&path, &bytes).unwrap();
        survives(&format!("{name} of round {round}"), &bytes, || {
            let name = path.display().to_string();
            let request = serde_json::json!({"dataset": name, "labels": labels, "scrub": "none"});
            let params: dpx_schema::params::PreprocessParams =
                serde_json::from_value(request).unwrap();
            if let Err(error) = dpx_data::load(&dpx_data::Request::from(&params)) {
                assert!(!error.to_string().is_empty());
            }
            drop(dpx_data::describe(&path, "text", "label"));
        });
    }
    told("mutated data files", &format!("{all}"));
}

#[test]
fn model_files() {
    let mut random = Random::of("model files");
    let folders: Vec<PathBuf> = [
        "gpt2-tiny",
        "llama-tiny",
        "bert-tiny-classifier",
        "bert-tiny-ner",
    ]
    .map(|name| root().join("tests/fixtures").join(name))
    .into();
    let place = tempfile::tempdir().unwrap();
    let all = rounds(250, 8_000);
    for round in 0..all {
        let folder = random.pick(&folders);
        let files = super::files(folder);
        let broken = loop {
            let path = random.pick(&files);
            let end = path.extension().and_then(|end| end.to_str());
            if matches!(end, Some("json" | "safetensors")) {
                break path;
            }
        };
        let model = place.path().join("model");
        drop(std::fs::remove_dir_all(&model));
        std::fs::create_dir(&model).unwrap();
        let mut changed = Vec::new();
        for path in &files {
            let to = model.join(path.file_name().unwrap());
            if path == broken {
                let whole = std::fs::read(path).unwrap();
                // The weights of a file are numbers like any others; its header is what can be wrong.
                let head = whole.len().min(4096);
                changed = mutated(&whole[..head], &mut random);
                changed.extend_from_slice(&whole[head..]);
                std::fs::write(to, &changed).unwrap();
            } else {
                std::fs::copy(path, to).unwrap();
            }
        }
        let name = format!("{} of round {round}", broken.display());
        survives(&name, &changed, || {
            if let Ok(tokenizer) = dpx_nn::text::Tokenizer::load(&model) {
                if let Ok(ids) = tokenizer.encode("a good day") {
                    drop(tokenizer.decode(&ids, false));
                }
                drop(tokenizer.encode_with_special("a good day"));
            }
            drop(dpx_nn::model::load_causal(&model, Device::Cpu));
            drop(dpx_nn::model::load_encoder(&model, Device::Cpu));
        });
    }
    told("mutated model files", &format!("{all}"));
}
