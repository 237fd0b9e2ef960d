//! Writing `model.safetensors`.

use crate::model::ModelError;
use half::{bf16, f16};
use safetensors::{Dtype, View};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

/// How weights are stored on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoredAs {
    /// Four bytes a number: exact.
    #[default]
    F32,
    /// Two bytes a number, rounded to nearest.
    F16,
    /// Two bytes a number with the range of four, rounded to nearest.
    Bf16,
}

impl StoredAs {
    /// What `dtype` of config.json says: the arithmetic in which `transformers` loads the model. Weights of 16 bits that are to be
    /// computed with in 32 are `float32`.
    pub const fn dtype(self) -> &'static str {
        match self {
            Self::F32 | Self::F16 => "float32",
            Self::Bf16 => "bfloat16",
        }
    }
}

struct Tensor {
    shape: Vec<usize>,
    values: Vec<f32>,
    stored_as: StoredAs,
}

impl View for Tensor {
    fn dtype(&self) -> Dtype {
        match self.stored_as {
            StoredAs::F32 => Dtype::F32,
            StoredAs::F16 => Dtype::F16,
            StoredAs::Bf16 => Dtype::BF16,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(match self.stored_as {
            StoredAs::F32 => self.values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            StoredAs::F16 => self
                .values
                .iter()
                .flat_map(|&v| f16::from_f32(v).to_le_bytes())
                .collect(),
            StoredAs::Bf16 => self
                .values
                .iter()
                .flat_map(|&v| bf16::from_f32(v).to_le_bytes())
                .collect(),
        })
    }

    fn data_len(&self) -> usize {
        self.values.len() * self.dtype().bitsize() / 8
    }
}

/// Writes tensors `(name, shape, values)` to `FOLDER/model.safetensors`: the same tensors give the same bytes.
///
/// Tied weights are given once, under the name of the embedding, as `transformers` expects.
///
/// # Errors
/// When two tensors share a name, or the file cannot be written.
pub(crate) fn write(
    folder: &Path,
    tensors: impl IntoIterator<Item = (String, Vec<usize>, Vec<f32>)>,
    stored_as: StoredAs,
) -> Result<(), ModelError> {
    write_file(&folder.join("model.safetensors"), tensors, stored_as)
}

/// Writes tensors to a file, as [`write`] does.
///
/// # Errors
/// As [`write`].
pub(crate) fn write_file(
    path: &Path,
    tensors: impl IntoIterator<Item = (String, Vec<usize>, Vec<f32>)>,
    stored_as: StoredAs,
) -> Result<(), ModelError> {
    let tensors: Vec<(String, Tensor)> = tensors
        .into_iter()
        .map(|(name, shape, values)| {
            let tensor = Tensor {
                shape,
                values,
                stored_as,
            };
            (name, tensor)
        })
        .collect();
    let mut names: Vec<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some([name, ..]) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(ModelError::Tensor {
            path: path.to_owned(),
            problem: format!("tensor `{name}` would be written twice"),
        });
    }
    // `transformers` refuses files that do not say for which framework they are.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(tensors, Some(metadata), path)
        .map_err(|error| ModelError::malformed(path, format!("cannot be written: {error}")))
}
