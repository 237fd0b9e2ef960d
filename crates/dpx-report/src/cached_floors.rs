//! Floors of rows, computed once and remembered beside the cache's records.

use super::Floors;
use dpx_engine::cache::{ArtifactReader, Cache, FLOORS};
use dpx_schema::files::write_swapped;
use dpx_schema::{Digest, PublicSchema, Record, SCHEMA_FILE};
use dpx_stages::floor::{FLOOR_VERSION, FloorRequest, floor};
use dpx_stages::metric::Classification;
use serde_json::json;
use std::cell::Cell;
use std::path::PathBuf;

/// Floors that the cache knows, and perhaps those that it does not know yet.
pub struct CachedFloors {
    artifacts: ArtifactReader,
    folder: PathBuf,
    /// Told of the first that cannot be computed, where those that are not known are computed, which takes seconds.
    compute: Option<fn(&str)>,
    told: Cell<bool>,
}

impl CachedFloors {
    /// Those that were computed before.
    pub fn known(cache: &Cache) -> Self {
        Self {
            // Its own reader: a file that cannot be read is no floor, and no damage of the report's.
            artifacts: ArtifactReader::new(cache.clone()),
            folder: cache.root().join(FLOORS),
            compute: None,
            told: Cell::new(false),
        }
    }

    /// Those, and the others computed; why the first of them cannot be computed goes to `note`.
    pub fn computing(cache: &Cache, note: fn(&str)) -> Self {
        Self {
            compute: Some(note),
            ..Self::known(cache)
        }
    }

    fn compute(
        &self,
        data: &Record,
        request: &FloorRequest,
        note: fn(&str),
    ) -> Option<Classification> {
        let file = |name: &str| self.artifacts.read(data, name).ok().flatten();
        let schema: PublicSchema = serde_json::from_slice(&file(SCHEMA_FILE)?).ok()?;
        if schema.labels.len() < 2 {
            return None;
        }
        match floor(
            &file("train.jsonl")?,
            &file("test.jsonl")?,
            &schema,
            request,
        ) {
            Ok(found) => Some(found),
            Err(error) => {
                if !self.told.replace(true) {
                    note(&format!("note: no floor was computed: {error}"));
                }
                None
            }
        }
    }
}

impl Floors for CachedFloors {
    fn floor(&self, data: &Record, request: &FloorRequest) -> Option<Classification> {
        let digest = |name: &str| {
            let mut files = data.output.files.iter();
            files
                .find(|file| file.path == name)
                .map(|file| file.digest.to_string())
        };
        let train = digest("train.jsonl")?;
        // What it depends on, and nothing else. Infinity has no number in JSON.
        let key = json!({
            "version": FLOOR_VERSION,
            "train": train,
            "test": digest("test.jsonl")?,
            "schema": digest(SCHEMA_FILE)?,
            "epsilon": request.epsilon.map(f64::to_bits),
            "delta": request.delta.to_bits(),
            "texts": request.texts,
            "records": request.records,
            "seed": request.seed,
        });
        let name = Digest::of(key.to_string().as_bytes());
        let folder = self.folder.join(train);
        let path = folder.join(format!("{name}.json"));
        let known = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if known.is_some() {
            return known;
        }
        let found = self.compute(data, request, self.compute?)?;
        // A floor that is not remembered is computed again.
        if let Ok(bytes) = serde_json::to_vec(&found)
            && std::fs::create_dir_all(&folder).is_ok()
        {
            drop(write_swapped(&path, &bytes));
        }
        Some(found)
    }
}
