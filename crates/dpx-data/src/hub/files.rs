//! Which files of a repository dpx reads.

use super::Role;
use crate::read::split_files;
use std::path::{Path, PathBuf};

/// The files of a repository that dpx reads.
pub(super) fn wanted<'a>(role: Role, names: &[&'a str]) -> Vec<&'a str> {
    let safe = names.iter().copied().filter(|name| {
        Path::new(name)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)))
    });
    match role {
        Role::Model => {
            let kept = [
                "config.json",
                "tokenizer.json",
                "tokenizer_config.json",
                "special_tokens_map.json",
                "vocab.json",
                "merges.txt",
                "vocab.txt",
                "model.safetensors.index.json",
                "generation_config.json",
                "dpx_schema.json",
            ];
            // Other weights beside them, such as adapters or the author's own format, are not read.
            let weights = |name: &str| {
                name == "model.safetensors"
                    || (name.starts_with("model-")
                        && name.ends_with(".safetensors")
                        && !name.contains('/'))
            };
            let names: Vec<&str> = safe.collect();
            if !names.iter().any(|name| weights(name)) {
                return Vec::new();
            }
            names
                .into_iter()
                .filter(|name| kept.contains(name) || weights(name))
                .collect()
        }
        Role::Dataset => {
            let known: Vec<&str> = safe
                .filter(|name| {
                    let path = Path::new(name);
                    let extension = path
                        .extension()
                        .and_then(|extension| extension.to_str())
                        .unwrap_or("");
                    let stem = path
                        .file_stem()
                        .and_then(|stem| stem.to_str())
                        .unwrap_or("");
                    let split = stem.split(['-', '_', '.']).next().unwrap_or("");
                    ["csv", "tsv", "txt", "jsonl", "ndjson", "json", "parquet"].contains(&extension)
                        && [
                            "train",
                            "training",
                            "validation",
                            "valid",
                            "val",
                            "dev",
                            "test",
                        ]
                        .contains(&split)
                })
                .collect();
            // As the reader does: the first folder with a train split.
            for folder in ["", "split/", "data/", "default/"] {
                let here: Vec<&str> = known
                    .iter()
                    .copied()
                    .filter(|name| {
                        name.strip_prefix(folder)
                            .is_some_and(|rest| !rest.contains('/'))
                    })
                    .collect();
                if here
                    .iter()
                    .any(|name| name[folder.len()..].starts_with("train"))
                {
                    return here;
                }
            }
            Vec::new()
        }
    }
}

/// What a repository should hold, in words.
pub(super) const fn expected(role: Role) -> &'static str {
    match role {
        Role::Model => "config.json, model.safetensors and tokenizer.json",
        Role::Dataset => {
            "train as csv, tsv, jsonl or parquet, in the top folder, split/, data/ or default/"
        }
    }
}

/// Whether a snapshot folder of the cache holds all that is needed, as far as can be told without asking the Hub.
pub(super) fn is_complete(role: Role, folder: &Path) -> bool {
    match role {
        Role::Model => {
            folder.join("config.json").exists() && weights(folder).iter().all(|path| path.exists())
        }
        Role::Dataset => split_files(folder).is_ok(),
    }
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
