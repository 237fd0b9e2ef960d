//! Models whose tensors lie in several files, with an index of them.

use super::header::{self, Entry};
use crate::model::ModelError;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

#[derive(serde::Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Where a tensor stands: the number of its file, and its place in it.
type Places = BTreeMap<String, (usize, Entry)>;

/// The tensors that an index lists, and the files that hold them.
pub(super) fn read(folder: &Path, index: &Path) -> Result<(Places, Vec<PathBuf>), ModelError> {
    let text = std::fs::read(index).map_err(|error| ModelError::read(index, error))?;
    let Index { weight_map } = serde_json::from_slice(&text)
        .map_err(|error| ModelError::malformed(index, format!("no index of shards: {error}")))?;
    let (mut tensors, mut files) = (BTreeMap::new(), Vec::new());
    let shards: BTreeSet<&String> = weight_map.values().collect();
    for (number, shard) in shards.into_iter().enumerate() {
        // A name with a folder in it could lead out of the model.
        if Path::new(shard).file_name().and_then(|name| name.to_str()) != Some(shard) {
            return Err(ModelError::malformed(
                index,
                format!("shard `{shard}` must be a plain file name"),
            ));
        }
        let path = folder.join(shard);
        let mut entries = header::read(&path)?;
        for (name, _) in weight_map.iter().filter(|(_, file)| *file == shard) {
            let entry = entries.remove(name).ok_or_else(|| {
                ModelError::malformed(
                    &path,
                    format!("tensor `{name}`, listed in the index, is not there"),
                )
            })?;
            tensors.insert(name.clone(), (number, entry));
        }
        // `transformers` reads every tensor of every shard: which one of two counts would depend on their order.
        let twice = entries
            .keys()
            .find_map(|name| weight_map.get_key_value(name));
        if let Some((name, file)) = twice {
            return Err(ModelError::malformed(
                &path,
                format!(
                    "tensor `{name}` stands in it and in `{file}`, where the index has it; write the model again with save_pretrained"
                ),
            ));
        }
        files.push(path);
    }
    Ok((tensors, files))
}
