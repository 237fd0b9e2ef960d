//! Identity and key of a private run, kept through every attempt at its instance: a kill, a full disk or an interrupt is no
//! second look at the data.
//!
//! The identity rests in the state folder, or with the secret key. The key goes only once the closing manifest is on disk
//! ([`Finish`]): until then an attempt that begins again draws the very same noise.

use dpx_schema::{Finish, StageContext, StageError};
use dpx_sgd::key::{Key, KeyFile, Opened, RunId, sweep_orphans};
use std::fs;
use std::path::Path;

/// What is told where a key could not be gone on with.
pub(crate) const REPLACED: &str = "the key of an earlier attempt belongs to other inputs or is damaged: restarts with a new \
                                   key; what the abandoned run spent stays in the ledger";

/// A private run of one sitting: no checkpoints, and the key stays that of step 0.
pub(crate) struct KeyedRun {
    /// Random identity of the run, as the ledger knows it.
    pub(crate) id: String,
    /// The key that its noise is drawn from.
    pub(crate) key: Key,
    file: Option<KeyFile>,
}

impl KeyedRun {
    /// Opens the run of an instance. `binding` is a digest of everything that the result depends on: under another one the
    /// kept key is destroyed, and the run is a new one. Without `secure` the key follows from the seed.
    pub(crate) fn open(
        context: &StageContext<'_>,
        binding: [u8; 32],
        secure: bool,
    ) -> Result<Self, StageError> {
        if !secure {
            return Ok(Self {
                id: run_identity(context)?,
                key: Key::seeded(context.seed, &context.instance),
                file: None,
            });
        }
        fs::create_dir_all(&context.state)?;
        destroy_orphans(context)?;
        let (file, opened) = KeyFile::open(&context.secrets, &context.key, binding)?;
        if let Opened::Replaced { .. } = opened {
            context.progress.log(REPLACED);
        }
        Ok(Self {
            id: hexadecimal(file.run()),
            key: file.key().clone(),
            file: Some(file),
        })
    }

    /// What is left to be done once the artifact is safe.
    pub(crate) fn finish(self) -> Finish {
        destroy_later(self.file)
    }
}

/// Destroys a key once the artifact is safe.
pub(crate) fn destroy_later(file: Option<KeyFile>) -> Finish {
    file.map_or_else(Finish::nothing, |file| {
        Finish::with(move || Ok(file.destroy()?))
    })
}

/// Destroys the keys of this cache whose runs can never go on, but for that of the instance itself.
pub(crate) fn destroy_orphans(context: &StageContext<'_>) -> Result<(), StageError> {
    let states = context.state.parent().unwrap_or(&context.state);
    let swept = sweep_orphans(&context.secrets, states, Some(&context.key))?;
    if swept > 0 {
        context.progress.log(&format!(
            "destroyed {swept} keys of runs that can never go on"
        ));
    }
    Ok(())
}

/// Destroys the keys of a cache whose runs are over or can never go on, and says how many there were: a worker that is
/// killed after its closing manifest leaves one. `secrets` is the folder of this cache's keys, `states` the one with its
/// checkpoints.
///
/// # Errors
/// When a folder cannot be read.
pub fn destroy_orphaned_keys(secrets: &Path, states: &Path) -> Result<usize, StageError> {
    Ok(sweep_orphans(secrets, states, None)?)
}

/// The identity of a run as 32 digits.
pub(crate) fn hexadecimal(run: RunId) -> String {
    format!("{:032x}", u128::from_be_bytes(run))
}

/// The identity of a run that has no key file: drawn once, kept in the state folder, the same for every attempt.
pub(crate) fn run_identity(context: &StageContext<'_>) -> Result<String, StageError> {
    fs::create_dir_all(&context.state)?;
    let path = context.state.join("run");
    match fs::read_to_string(&path) {
        Ok(text) => {
            if let Some(run) = checked(&text) {
                return Ok(run.to_owned());
            }
            context.progress.log(
                "the identity of an earlier attempt is damaged: this attempt is another run in the ledger",
            );
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {}
        Err(error) => return Err(error.into()),
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| {
        StageError::new(format!(
            "the operating system gave no random numbers: {error}"
        ))
    })?;
    let run = format!("{:032x}", u128::from_le_bytes(random));
    let text = format!("{run} {}\n", check(&run));
    dpx_schema::files::write_whole(&path, text.as_bytes())?;
    Ok(run)
}

/// The identity in the content of its file, if that is whole: one digit of another value would be another run.
fn checked(text: &str) -> Option<&str> {
    let (run, found) = text.strip_suffix('\n')?.split_once(' ')?;
    (found == check(run)).then_some(run)
}

fn check(run: &str) -> String {
    blake3::hash(run.as_bytes()).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpx_data::{Rows, builtin};
    use dpx_schema::{
        Device, Input, Kind, LabelIntegration, NoProgress, PublicSchema, ReleaseLabel, SCHEMA_FILE,
    };
    use dpx_sgd::privatize::{NoiseSpec, privatize};
    use dpx_sgd::sum::GradientSum;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn context<'a>(root: &Path, kind: Kind, params: Value) -> StageContext<'a> {
        let input = Input {
            kind: Kind::Preprocess,
            path: root.join("preprocess"),
            digest: "d".repeat(64),
            flow: ReleaseLabel::Private,
        };
        StageContext {
            instance: kind.name().into(),
            kind,
            params,
            performance: json!({}),
            inputs: BTreeMap::from([("preprocess".to_owned(), input)]),
            output: root.join("output"),
            state: root.join("state/key"),
            secrets: root.join("secrets"),
            ledger: root.join("ledger").into(),
            key: "key".into(),
            seed: 1,
            device: Device::Cpu,
            others: Vec::new(),
            progress: &NoProgress,
        }
    }

    /// Attempts that die draw the same noise under the same identity; after the end the key is gone and a run is another.
    #[test]
    fn attempts_share_identity_and_key_until_the_end() {
        let noise = |run: &KeyedRun| {
            let protection = NoiseSpec::Gaussian {
                noise_multiplier: 1.0,
                sensitivity: 1.0,
                rounding_allowance: 0.0,
            };
            let sum = GradientSum::of(vec![vec![0.0; 4]]);
            privatize(&sum, &protection, &run.key, 1.0).to_vec(0)
        };
        for secure in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let context = context(folder.path(), Kind::Counts, json!({}));
            let open = |binding| KeyedRun::open(&context, [binding; 32], secure).unwrap();
            let first = open(1);
            let (id, drawn) = (first.id.clone(), noise(&first));
            drop(first);
            let second = open(1);
            assert_eq!((&second.id, noise(&second)), (&id, drawn.clone()));
            let key = folder.path().join("secrets/key.key");
            let finish = second.finish();
            assert_eq!(key.exists(), secure, "it waits for the closing manifest");
            finish.run().unwrap();
            assert!(!key.exists());
            let third = open(1);
            assert_eq!(third.id == id, !secure);
            assert_eq!(noise(&third) == drawn, !secure);
            let id = third.id.clone();
            drop(third);
            assert_eq!(
                open(2).id == id,
                !secure,
                "other inputs, another secret run"
            );
        }
    }

    /// Workers that are killed at any moment before the closing manifest spend nothing twice: whatever they wrote, the next
    /// attempt writes the same under the same entry of the ledger.
    #[test]
    fn cut_attempts_of_a_stage_are_one_entry_and_one_noise() {
        let cases = [
            (Kind::Counts, "counts.json", json!({"epsilon": 2})),
            (
                Kind::Teacher,
                "teacher.safetensors",
                json!({"epsilon": 8, "steps": 2}),
            ),
        ];
        for (kind, file, params) in cases {
            for noise in ["secure", "seeded"] {
                let folder = tempfile::tempdir().unwrap();
                let root = folder.path();
                let dataset = builtin::emotions();
                fs::create_dir(root.join("preprocess")).unwrap();
                for (name, rows) in [("train", &dataset.train), ("validation", &dataset.test)] {
                    let path = root.join(format!("preprocess/{name}.jsonl"));
                    Rows::write(path, &rows[..200]).unwrap();
                }
                PublicSchema::new(
                    dataset.labels,
                    "{label}: {text}",
                    LabelIntegration::Prefix,
                    200,
                )
                .save(root.join("preprocess").join(SCHEMA_FILE))
                .unwrap();
                let mut params = params.clone();
                params["noise"] = json!(noise);
                let attempt = || {
                    drop(fs::remove_dir_all(root.join("output")));
                    fs::create_dir(root.join("output")).unwrap();
                    let context = context(root, kind, params.clone());
                    crate::people::know(&context);
                    let finish = crate::run(&context).unwrap();
                    (fs::read(root.join("output").join(file)).unwrap(), finish)
                };
                let ledger = dpx_ledger::Ledger::at(root.join("ledger"));
                let spent = || ledger.history().unwrap().runs().len();
                let (first, _) = attempt();
                for _ in 0..3 {
                    assert!(attempt().0 == first, "{kind}, {noise}: the same noise");
                }
                let (last, finish) = attempt();
                finish.run().unwrap();
                assert!(last == first && spent() == 1, "{kind}, {noise}");
                assert!(!root.join("secrets/key.key").exists());
                // The runner clears the state once the record stands: from then on it is another run.
                fs::remove_dir_all(root.join("state")).unwrap();
                let (again, finish) = attempt();
                finish.run().unwrap();
                assert_eq!(again == first, noise == "seeded", "{kind}");
                assert_eq!(spent(), 2);
            }
        }
    }
}
