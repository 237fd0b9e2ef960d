//! Features of the head form: embeddings of a public encoder.

use crate::metric::Embeddings;
use crate::text_encoder::TextEncoder;
use dpx_data::builtin;
use dpx_schema::Device;
use dpx_schema::StageError;
use dpx_sgd::softmax::SparseRows;
use std::path::{Path, PathBuf};

/// Public texts whose mean embedding is taken away where embeddings share a large common part.
const CENTRING_TEXTS: usize = 2_000;
/// Feature of the intercept, beside an embedding of norm 1.
const INTERCEPT: f64 = 0.2;

/// Public texts that a device is checked on.
const CHECKED_TEXTS: usize = 6;
/// Most tokens that the processor reads at once for that.
const CHECKED_TOKENS: usize = 512;
/// Most of an embedding's size that roundings of a device explain.
const MAX_DIFFERENCE: f64 = 0.05;

/// Norm of the difference over the norm of `of`.
fn difference(other: &[f32], of: &[f32]) -> f64 {
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let pairs = other.iter().zip(of);
    let apart = length(&mut pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)));
    apart / length(&mut of.iter().map(|x| f64::from(*x))).max(f64::MIN_POSITIVE)
}

/// A public encoder with the public mean of its embeddings.
#[derive(Debug)]
pub(crate) struct EmbeddingFeatures {
    encoder: TextEncoder,
    folder: PathBuf,
    /// What is taken away from every embedding, `[hidden]`; zeros for encoders that need no centring.
    pub(super) centre: Vec<f32>,
}

impl EmbeddingFeatures {
    /// Reads an encoder and, where it needs centring, measures the mean of its embeddings on `builtin:dialogue`.
    ///
    /// # Errors
    /// When the folder holds no model that dpx knows.
    pub(crate) fn new(
        folder: &Path,
        device: Device,
        micro_batch_tokens: usize,
    ) -> Result<Self, StageError> {
        let mut features = Self::with_centre(folder, Vec::new(), device, micro_batch_tokens)?;
        let mut centre = vec![0.0f32; features.encoder.width()];
        if features.encoder.needs_centring() {
            let mut texts = builtin::dialogue();
            texts.truncate(CENTRING_TEXTS);
            let rows = features.encoder.embeddings(&texts)?;
            for row in &rows {
                for (sum, value) in centre.iter_mut().zip(row) {
                    *sum += value / rows.len() as f32;
                }
            }
        }
        features.centre = centre;
        Ok(features)
    }

    /// With the centre that an earlier run measured.
    pub(super) fn with_centre(
        folder: &Path,
        centre: Vec<f32>,
        device: Device,
        micro_batch_tokens: usize,
    ) -> Result<Self, StageError> {
        Ok(Self {
            encoder: TextEncoder::load(folder, device, micro_batch_tokens)?,
            folder: folder.to_owned(),
            centre,
        })
    }

    /// Number of features: those of an embedding, and an intercept.
    pub(crate) fn width(&self) -> usize {
        self.centre.len() + 1
    }

    /// Features of texts: the centred embedding scaled to norm 1, and the intercept; the whole scaled to norm 1.
    pub(super) fn rows(&self, texts: &[String]) -> Result<SparseRows, StageError> {
        Ok(self.rows_of(self.encoder.embeddings(texts)?))
    }

    /// The same for private texts: to the same bits whatever the other texts are.
    pub(super) fn rows_of_each(&self, texts: &[String]) -> Result<SparseRows, StageError> {
        Ok(self.rows_of(self.encoder.embeddings_of_each(texts)?))
    }

    /// The centred embeddings of texts, each scaled to norm 1, `[texts, width]`.
    pub(crate) fn unit(&self, texts: &[String]) -> Result<Embeddings, StageError> {
        self.unit_of(&self.encoder.embeddings(texts)?)
    }

    /// The same for private texts: to the same bits whatever the other texts are.
    pub(crate) fn unit_of_each(&self, texts: &[String]) -> Result<Embeddings, StageError> {
        self.unit_of(&self.encoder.embeddings_of_each(texts)?)
    }

    fn unit_of(&self, rows: &[Vec<f32>]) -> Result<Embeddings, StageError> {
        let centred = |row: &Vec<f32>| -> Vec<f32> {
            let pairs = row.iter().zip(&self.centre);
            pairs.map(|(value, centre)| value - centre).collect()
        };
        let values = rows.iter().flat_map(centred).collect();
        Embeddings::new(values, self.centre.len())
            .map(|rows| rows.normalized())
            .ok_or_else(|| StageError::new("the encoder gave embeddings of unequal width"))
    }

    /// Refuses a device on which an embedding changes with the other texts, or is not that of the processor. It is tried on
    /// public texts.
    pub(crate) fn check_device(&self, device: Device) -> Result<(), StageError> {
        let mut texts = builtin::dialogue();
        texts.truncate(CHECKED_TEXTS);
        let refused = |what: String| {
            StageError::new(format!(
                "`{device}` computes wrongly, so no guarantee could be given: {what}; update its driver, or train with \
                 `--device cpu`"
            ))
        };
        let among = self.encoder.embeddings_of_each(&texts)?;
        for (text, among) in texts.iter().zip(&among) {
            let alone = self
                .encoder
                .embeddings_of_each(std::slice::from_ref(text))?;
            let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
            if !alone[0].iter().zip(among).all(same) {
                return Err(refused(
                    "the embedding of a text changes with other texts".into(),
                ));
            }
        }
        if device == Device::Cpu {
            return Ok(());
        }
        let here = TextEncoder::load(&self.folder, Device::Cpu, CHECKED_TOKENS)?;
        for (ours, theirs) in here.embeddings_of_each(&texts)?.iter().zip(&among) {
            let difference = difference(theirs, ours);
            if difference.is_nan() || difference > MAX_DIFFERENCE {
                return Err(refused(format!(
                    "an embedding differs from the processor's by {difference:.2} of its size"
                )));
            }
        }
        Ok(())
    }

    fn rows_of(&self, embeddings: Vec<Vec<f32>>) -> SparseRows {
        let mut rows = SparseRows::new(self.width());
        for embedding in embeddings {
            let centred: Vec<f64> = embedding
                .iter()
                .zip(&self.centre)
                .map(|(value, centre)| f64::from(value - centre))
                .collect();
            let norm = centred
                .iter()
                .map(|value| value * value)
                .sum::<f64>()
                .sqrt();
            let scale = if norm > 0.0 { 1.0 / norm } else { 0.0 };
            let intercept = (centred.len() as u32, INTERCEPT);
            let values = centred
                .iter()
                .zip(0u32..)
                .map(|(value, at)| (at, value * scale));
            rows.push_normalized(values.chain([intercept]));
        }
        rows
    }

    /// Copies the encoder's files, so that the teacher can be read without the place they came from.
    pub(super) fn save(&self, folder: &Path) -> Result<(), StageError> {
        std::fs::create_dir_all(folder)?;
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let kind = path.extension().and_then(|extension| extension.to_str());
            if let (true, Some("json" | "safetensors" | "txt"), Some(name)) =
                (path.is_file(), kind, path.file_name())
            {
                std::fs::write(folder.join(name), std::fs::read(&path)?)?;
            }
        }
        Ok(())
    }
}
