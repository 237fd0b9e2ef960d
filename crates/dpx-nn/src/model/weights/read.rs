//! Reading the tensors of a model folder one by one, by name and shape.

use super::header::{self, Entry, Number};
use super::shards;
use crate::RoundedMatrix;
use crate::gguf::{self, Arrange};
use crate::model::ModelError;
use dpx_schema::params::BasePrecision;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The tensors of a model folder. Each is taken once, by name and shape; what is left at the end is an error.
#[derive(Debug)]
pub struct Weights {
    folder: PathBuf,
    files: Vec<PathBuf>,
    tensors: BTreeMap<String, (usize, Entry)>,
    prefix: &'static str,
    taken: BTreeSet<String>,
}

/// About as many bytes as are read at once.
const BLOCK_BYTES: usize = 1 << 22;

impl Weights {
    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` lists, or a GGUF file.
    ///
    /// `prefix`, such as `transformer.`, may stand before every name or be left out, in the files as in what is asked for.
    ///
    /// # Errors
    /// When there is no such file, a shard is missing, or a header does not fit its file.
    pub fn open(folder: &Path, prefix: &'static str) -> Result<Self, ModelError> {
        let found = gguf::find(folder).map_err(|problem| ModelError::malformed(folder, problem))?;
        if let Some(path) = found {
            return Self::open_gguf(path, prefix);
        }
        let single = folder.join("model.safetensors");
        let index = folder.join("model.safetensors.index.json");
        let (tensors, files) = if single.exists() {
            let entries = header::read(&single)?.into_iter();
            let tensors = entries.map(|(name, entry)| (name, (0, entry)));
            (tensors.collect(), vec![single])
        } else if index.exists() {
            shards::read(folder, &index)?
        } else {
            return Err(ModelError::malformed(
                folder,
                "no `model.safetensors`, no `model.safetensors.index.json` and no GGUF file in it; convert other formats with `transformers` (save_pretrained)",
            ));
        };
        Ok(Self {
            folder: folder.into(),
            files,
            tensors,
            prefix,
            taken: BTreeSet::new(),
        })
    }

    fn open_gguf(path: PathBuf, prefix: &'static str) -> Result<Self, ModelError> {
        let tensors = gguf::Gguf::read(&path)
            .and_then(|gguf| gguf::tensors(&gguf))
            .map_err(|problem| ModelError::malformed(&path, problem))?;
        let entry = |(name, (tensor, arrange)): (String, (gguf::Tensor, Arrange))| {
            let entry = Entry {
                number: Number::Gguf(tensor.quant),
                number_name: tensor.quant.name().to_owned(),
                shape: tensor.shape,
                start: tensor.start,
                length: tensor.length,
                arrange,
            };
            (name, (0, entry))
        };
        Ok(Self {
            folder: path.clone(),
            files: vec![path],
            tensors: tensors.into_iter().map(entry).collect(),
            prefix,
            taken: BTreeSet::new(),
        })
    }

    /// Opens one file of tensors; `prefix` as in [`Weights::open`].
    ///
    /// # Errors
    /// When it is missing, or its header does not fit it.
    pub(crate) fn open_file(path: &Path, prefix: &'static str) -> Result<Self, ModelError> {
        let entries = header::read(path)?.into_iter();
        Ok(Self {
            folder: path.into(),
            files: vec![path.into()],
            tensors: entries.map(|(name, entry)| (name, (0, entry))).collect(),
            prefix,
            taken: BTreeSet::new(),
        })
    }

    /// The name under which a tensor stands in the files, where it does.
    fn find(&self, name: &str) -> Option<&str> {
        let bare = name.strip_prefix(self.prefix).unwrap_or(name);
        // Checkpoints that came from TensorFlow call a norm's weight gamma and its bias beta.
        let legacy = bare.contains("LayerNorm").then(|| {
            bare.replace("LayerNorm.weight", "LayerNorm.gamma")
                .replace("LayerNorm.bias", "LayerNorm.beta")
        });
        std::iter::once(bare.to_owned())
            .chain(legacy)
            .flat_map(|bare| [format!("{}{bare}", self.prefix), bare])
            .find_map(|candidate| self.tensors.get_key_value(&candidate))
            .map(|(name, _)| name.as_str())
    }

    /// Whether a tensor is there.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The shape of a tensor, where it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.find(name)
            .map(|name| self.tensors[name].1.shape.as_slice())
    }

    /// Number of values in all tensors but those that `ignorable` names, the prefix taken off.
    pub fn value_count(&self, ignorable: impl Fn(&str) -> bool) -> usize {
        self.tensors
            .iter()
            .filter(|(name, _)| !ignorable(name.strip_prefix(self.prefix).unwrap_or(name)))
            .map(|(_, (_, entry))| entry.shape.iter().product::<usize>())
            .sum()
    }

    /// Reads a tensor, row-major, as f32.
    ///
    /// # Errors
    /// When it is missing (naming the nearest candidate), has another shape, or is stored in another number format.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        self.take_stored(name, shape, &[])
    }

    /// The same where whole numbers of 8 bits stand for themselves, and doubles are rounded, as in tables of model2vec.
    ///
    /// # Errors
    /// As [`Weights::take`].
    pub(crate) fn take_whole(
        &mut self,
        name: &str,
        shape: &[usize],
    ) -> Result<Vec<f32>, ModelError> {
        self.take_stored(name, shape, &[Number::I8, Number::F64])
    }

    /// A list of places, each below `bound`, as whole numbers of 32 or 64 bits.
    ///
    /// # Errors
    /// As [`Weights::take`], and when a place is not below the bound.
    pub(crate) fn take_places(
        &mut self,
        name: &str,
        count: usize,
        bound: usize,
    ) -> Result<Vec<u32>, ModelError> {
        let (found, number, bytes) =
            self.take_bytes(name, &[count], &[Number::I32, Number::I64], true)?;
        let numbers: Vec<i64> = if number == Number::I64 {
            bytes
                .as_chunks::<8>()
                .0
                .iter()
                .map(|chunk| i64::from_le_bytes(*chunk))
                .collect()
        } else {
            bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|chunk| i32::from_le_bytes(*chunk).into())
                .collect()
        };
        let place = |number: i64| {
            u32::try_from(number)
                .ok()
                .filter(|place| (*place as usize) < bound)
        };
        let places: Option<Vec<u32>> = numbers.into_iter().map(place).collect();
        let places = places.ok_or_else(|| ModelError::Tensor {
            path: self.folder.clone(),
            problem: format!(
                "tensor `{found}` holds a number that is none of 0 to {}",
                bound.saturating_sub(1)
            ),
        })?;
        self.taken.insert(found);
        Ok(places)
    }

    fn take_stored(
        &mut self,
        name: &str,
        shape: &[usize],
        besides: &[Number],
    ) -> Result<Vec<f32>, ModelError> {
        let mut values = Vec::with_capacity(shape.iter().product());
        self.read_rows(name, shape, besides, |block| {
            values.extend_from_slice(block);
        })?;
        Ok(values)
    }

    /// Reads a matrix row by row and rounds it, so that there is never a copy of it in f32; none where the precision is f32.
    ///
    /// # Errors
    /// As [`Weights::take`].
    pub(crate) fn take_rounded(
        &mut self,
        name: &str,
        shape: &[usize],
        precision: BasePrecision,
    ) -> Result<Option<RoundedMatrix>, ModelError> {
        let &[rows, width] = shape else {
            return Ok(None);
        };
        let Some(mut matrix) = RoundedMatrix::with_capacity(precision, rows, width) else {
            return Ok(None);
        };
        self.read_rows(name, shape, &[], |block| {
            matrix.push_rows(block);
        })?;
        Ok(Some(matrix))
    }

    /// Reads a tensor in blocks of whole rows; in one block where its rows lie in another order.
    fn read_rows(
        &mut self,
        name: &str,
        shape: &[usize],
        besides: &[Number],
        mut visit: impl FnMut(&[f32]),
    ) -> Result<(), ModelError> {
        let found = self.look_up(name, shape, besides, false)?;
        let (file, entry) = &self.tensors[&found];
        let path = &self.files[*file];
        let failed = |error| ModelError::read(path, error);
        let mut file = std::fs::File::open(path).map_err(failed)?;
        file.seek(SeekFrom::Start(entry.start)).map_err(failed)?;
        let length = entry.length as usize;
        let rows: usize = shape.iter().rev().skip(1).product();
        let row = (length / rows.max(1)).max(1);
        let at_once = if entry.arrange == Arrange::Same {
            (BLOCK_BYTES / row).max(1) * row
        } else {
            length
        };
        let mut bytes = vec![0; at_once.min(length)];
        let (mut left, mut before) = (length, 0);
        while left > 0 {
            let count = left.min(at_once);
            file.read_exact(&mut bytes[..count]).map_err(failed)?;
            let values = entry
                .arrange
                .undo(decode(&bytes[..count], entry.number), shape);
            if let Some(position) = values.iter().position(|value| !value.is_finite()) {
                return Err(ModelError::Tensor {
                    path: self.folder.clone(),
                    problem: format!(
                        "tensor `{found}` holds {} at position {}",
                        values[position],
                        before + position
                    ),
                });
            }
            visit(&values);
            left -= count;
            before += values.len();
        }
        self.taken.insert(found);
        Ok(())
    }

    /// The bytes of a tensor with its name in the files.
    fn take_bytes(
        &self,
        name: &str,
        shape: &[usize],
        besides: &[Number],
        others_alone: bool,
    ) -> Result<(String, Number, Vec<u8>), ModelError> {
        let found = self.look_up(name, shape, besides, others_alone)?;
        let (file, entry) = &self.tensors[&found];
        let path = &self.files[*file];
        let mut bytes = vec![0; entry.length as usize];
        std::fs::File::open(path)
            .and_then(|mut file| {
                file.seek(SeekFrom::Start(entry.start))?;
                file.read_exact(&mut bytes)
            })
            .map_err(|error| ModelError::read(path, error))?;
        let number = entry.number;
        Ok((found, number, bytes))
    }

    /// The name of a tensor in the files, where it has the shape and is stored in one of the usual ways or in one of some others.
    fn look_up(
        &self,
        name: &str,
        shape: &[usize],
        besides: &[Number],
        others_alone: bool,
    ) -> Result<String, ModelError> {
        let problem = |problem: String| ModelError::Tensor {
            path: self.folder.clone(),
            problem,
        };
        let Some(found) = self.find(name).map(str::to_owned) else {
            return Err(problem(format!(
                "tensor `{name}` of shape {shape:?} is missing{}",
                self.nearest(name)
            )));
        };
        let (_, entry) = &self.tensors[&found];
        if entry.shape != shape {
            return Err(problem(format!(
                "tensor `{found}` has shape {:?}, but config.json asks for {shape:?}",
                entry.shape
            )));
        }
        let usual = matches!(
            entry.number,
            Number::F32 | Number::F16 | Number::Bf16 | Number::Gguf(_)
        );
        if !(usual && !others_alone || besides.contains(&entry.number)) {
            let formats = match (others_alone, besides) {
                (true, _) => "I32 and I64",
                (false, []) => "F32, F16 and BF16",
                (false, _) => "F32, F16, BF16, F64 and I8",
            };
            return Err(problem(format!(
                "tensor `{found}` is stored as {}; {formats} are read",
                entry.number_name
            )));
        }
        Ok(found)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When a tensor was not taken and `ignorable` does not name it: the architecture has no place for it. `ignorable`
    /// is asked with the prefix taken off.
    pub fn finish(self, ignorable: impl Fn(&str) -> bool) -> Result<(), ModelError> {
        let extra: Vec<&String> = self
            .tensors
            .keys()
            .filter(|name| !self.taken.contains(*name))
            .filter(|name| !ignorable(name.strip_prefix(self.prefix).unwrap_or(name)))
            .collect();
        let Some(first) = extra.first() else {
            return Ok(());
        };
        let more = match extra.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let near = nearest(first, self.taken.iter().map(String::as_str))
            .map(|near| format!("; the nearest one that has is `{near}`"))
            .unwrap_or_default();
        Err(ModelError::Tensor {
            path: self.folder,
            problem: format!(
                "tensor `{first}`{more} has no place in the architecture that config.json names{near}"
            ),
        })
    }

    fn nearest(&self, name: &str) -> String {
        let free = self
            .tensors
            .keys()
            .filter(|name| !self.taken.contains(*name))
            .map(String::as_str);
        nearest(name, free)
            .map(|near| {
                let shape = &self.tensors[near].1.shape;
                format!("; the nearest one in the files is `{near}` of shape {shape:?}")
            })
            .unwrap_or_default()
    }
}

/// Copies the files that hold the weights of a model folder, byte by byte, with their index.
pub(in crate::model) fn copy_weights(from: &Path, to: &Path) -> Result<(), ModelError> {
    let opened = Weights::open(from, "")?;
    let index = from.join("model.safetensors.index.json");
    let sharded = opened.files.first().is_some_and(|file| {
        file.parent() == Some(from) && index.is_file() && !file.ends_with("model.safetensors")
    });
    let files = opened.files.iter().chain(sharded.then_some(&index));
    for file in files {
        let name = file.file_name().unwrap_or_default();
        std::fs::copy(file, to.join(name)).map_err(|error| ModelError::read(file, error))?;
    }
    Ok(())
}

/// The most similar name, where one is similar at all.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| {
            (
                strsim::normalized_damerau_levenshtein(name, candidate),
                candidate,
            )
        })
        .filter(|(similarity, _)| *similarity > 0.6)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

/// Numbers from bytes that need not be aligned.
fn decode(bytes: &[u8], number: Number) -> Vec<f32> {
    match number {
        Number::F32 => bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|chunk| f32::from_le_bytes(*chunk))
            .collect(),
        Number::F16 => bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|chunk| half::f16::from_le_bytes(*chunk).to_f32())
            .collect(),
        Number::Bf16 => bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|chunk| half::bf16::from_le_bytes(*chunk).to_f32())
            .collect(),
        Number::I8 => bytes
            .iter()
            .map(|byte| f32::from(i8::from_le_bytes([*byte])))
            .collect(),
        Number::Gguf(quant) => quant.decode(bytes),
        Number::F64 => bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|chunk| f64::from_le_bytes(*chunk) as f32)
            .collect(),
        Number::I32 | Number::I64 | Number::Other => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
