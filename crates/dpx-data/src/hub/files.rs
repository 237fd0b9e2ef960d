//! Which files of a repository dpx reads.

use crate::layout::{self, Layout};
use crate::{Role, identity};
use dpx_schema::files::is_gguf;
use dpx_schema::listed;
use std::path::{Path, PathBuf};

/// Files that tell the license of a model.
const LICENSE_FILES: [&str; 8] = [
    README,
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "LICENCE",
    "NOTICE",
    "NOTICE.txt",
    "USE_POLICY.md",
];

/// Files of a model beside its weights.
const MODEL_FILES: [&str; 20] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "chat_template.jinja",
    "chat_template.json",
    "model.safetensors.index.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "adapter_config.json",
    "dpx_schema.json",
];

/// Files of a dataset beside its rows: they tell configurations and the names of labels.
pub(super) const README: &str = "README.md";
const DATASET_FILES: [&str; 3] = [README, "dataset_infos.json", "dataset_info.json"];

/// What is read of a repository.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) names: Vec<String>,
    /// Of a dataset: which of them are which split.
    pub(super) layout: Option<Layout>,
    /// Of a model that is one GGUF file: which of them.
    pub(super) gguf: Option<String>,
}

/// The files of a repository that dpx reads, small ones that tell about the others first.
///
/// # Errors
/// What is missing, and what was expected.
pub(super) fn wanted(
    role: Role,
    names: &[&str],
    readme: Option<&str>,
    config: Option<&str>,
) -> Result<Wanted, String> {
    if role == Role::Model {
        return model(names, config);
    }
    let layout = layout::choose(names, readme, config)?;
    let beside = names
        .iter()
        .copied()
        .filter(|name| DATASET_FILES.contains(name));
    let names = beside.chain(layout.names()).map(str::to_owned).collect();
    Ok(Wanted {
        names,
        layout: Some(layout),
        gguf: None,
    })
}

fn model(names: &[&str], file: Option<&str>) -> Result<Wanted, String> {
    // Other weights beside them, such as the author's own format, are not read.
    let is_weights = |name: &str| {
        name == "model.safetensors"
            || (name.starts_with("model-") && name.ends_with(".safetensors") && !name.contains('/'))
    };
    // Modules of sentence-transformers: `1_Pooling/config.json`, `2_Dense/model.safetensors`.
    let is_module = |name: &str| {
        let numbered = |folder: &str| {
            let (number, kind) = folder.split_once('_').unwrap_or(("", ""));
            !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
                && !kind.is_empty()
        };
        name.split_once('/').is_some_and(|(folder, file)| {
            numbered(folder) && matches!(file, "config.json" | "model.safetensors")
        })
    };
    let tells_license = names.iter().filter(|name| LICENSE_FILES.contains(name));
    if file.is_some() || !names.iter().any(|name| is_weights(name)) {
        let file = gguf(names, file)?;
        let names = tells_license.map(|name| (*name).to_owned());
        return Ok(Wanted {
            names: names.chain([file.clone()]).collect(),
            layout: None,
            gguf: Some(file),
        });
    }
    let small = names
        .iter()
        .filter(|name| MODEL_FILES.contains(name) || is_module(name));
    let large = names.iter().filter(|name| is_weights(name));
    let all = tells_license.chain(small).chain(large);
    Ok(Wanted {
        names: all.map(|name| (*name).to_owned()).collect(),
        layout: None,
        gguf: None,
    })
}

/// The GGUF file that is asked for, or the only one.
fn gguf(names: &[&str], file: Option<&str>) -> Result<String, String> {
    let all: Vec<&str> = names.iter().copied().filter(|name| is_gguf(name)).collect();
    let every = || listed(&all, usize::MAX);
    let chosen = match (file, &all[..]) {
        (_, []) => {
            return Err(format!(
                "it holds no weights that dpx reads: expected config.json, model.safetensors and tokenizer.json, or a GGUF file; found {}",
                found(names)
            ));
        }
        (Some(file), _) if all.contains(&file) => file,
        (Some(file), _) => {
            return Err(format!(
                "it holds no `{file}`; its GGUF files are {}",
                every()
            ));
        }
        (None, [one]) => one,
        (None, [first, ..]) => {
            return Err(format!(
                "it holds no weights as safetensors, but {} GGUF files: name one of them behind the repository, as in \
                 `hf:OWNER/NAME/{first}` ({})",
                all.len(),
                every()
            ));
        }
    };
    if is_part(chosen) {
        return Err(format!(
            "`{chosen}` is one of several parts of a model: download them, put them together with `llama-gguf-split --merge`, and \
             give the path of the file"
        ));
    }
    Ok(chosen.to_owned())
}

/// Whether a file is called as `llama-gguf-split` calls parts: `NAME-00001-of-00003.gguf`.
fn is_part(name: &str) -> bool {
    let stem = &name[..name.len() - ".gguf".len()];
    let number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    stem.rsplit_once("-of-").is_some_and(|(before, last)| {
        number(last)
            && before
                .rsplit_once('-')
                .is_some_and(|(_, first)| number(first))
    })
}

/// The first few names.
fn found(names: &[&str]) -> String {
    if names.is_empty() {
        "no file".to_owned()
    } else {
        listed(names, 8)
    }
}

/// What a snapshot folder of the cache holds, where that is all that is needed, as far as can be told without asking the
/// Hub.
pub(super) fn present(role: Role, folder: &Path, config: Option<&str>) -> Option<Wanted> {
    let names = identity::names(folder).ok()?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let readme = readme(folder).ok()?;
    let wanted = wanted(role, &names, readme.as_deref(), config).ok()?;
    // Whether a GGUF file is the only one of its repository the folder does not tell.
    if wanted.gguf.is_some() && config.is_none() {
        return None;
    }
    let is_there = |path: PathBuf| path.is_file();
    let whole = match role {
        Role::Model if wanted.gguf.is_none() => {
            is_there(folder.join("config.json")) && weights(folder).into_iter().all(is_there)
        }
        _ => wanted.names.iter().all(|name| is_there(folder.join(name))),
    };
    whole.then_some(wanted)
}

/// The README of a snapshot folder, where it has one.
///
/// # Errors
/// When it is too long or not text.
pub(super) fn readme(folder: &Path) -> Result<Option<String>, String> {
    use std::io::Read;
    let Ok(file) = std::fs::File::open(folder.join(README)) else {
        return Ok(None);
    };
    let limit = crate::card::MAX_README;
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("{README}: {error}"))?;
    if bytes.len() as u64 > limit {
        return Err(format!("{README} is longer than {limit} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{README} is not UTF-8"))?;
    Ok(Some(text))
}

/// The files of the weights: those that the index names, or else the one.
fn weights(folder: &Path) -> Vec<PathBuf> {
    let index = std::fs::read(folder.join("model.safetensors.index.json")).ok();
    let index = index.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
    let shards = index
        .as_ref()
        .and_then(|index| index["weight_map"].as_object());
    match shards {
        Some(shards) => shards
            .values()
            .filter_map(|name| Some(folder.join(name.as_str()?)))
            .collect(),
        None => vec![folder.join("model.safetensors")],
    }
}
