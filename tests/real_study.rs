//! One small study, really run by the real binary, for the tests that look at what a run leaves: made once, when first asked.

use crate::binary;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The teacher study with two replicates, epsilon 0 and an audit, made small. Its figures mean nothing.
const STUDY: &str = r#"
[experiment]
name = "real"
extends = "EXPERIMENTS/emotion-teacher.toml"

[sweep]
epsilon = ["inf", 8, 3, 0]
replicate = [1, 2]

[stage.base]
kind = "pretrain"
corpus = ["builtin:dialogue"]
vocabulary_size = 400
layers = 1
width = 16
heads = 2
context = 32
batch_size = 8
steps = 20

[stage]
preprocess.limit = 300
train = { needs = ["preprocess", "base"], model = "stage:base", batch_size = 100, epochs = 2, max_length = 24, canaries = 40 }
teacher.steps = 5
sample = { count = 30, max_new_tokens = 8 }
taught = { count = 30, max_new_tokens = 8 }
score = { max_texts = 30, examples = 3 }
audit = { kind = "audit", needs = ["train"] }
"#;

/// A finished run.
pub(crate) struct RealStudy {
    folder: tempfile::TempDir,
    /// What `dpx run` printed on standard output.
    pub(crate) printed: String,
}

impl RealStudy {
    /// The study; the first caller runs it.
    pub(crate) fn get() -> &'static Self {
        static STUDY: OnceLock<RealStudy> = OnceLock::new();
        STUDY.get_or_init(Self::run)
    }

    fn run() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let experiments = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
        let text = STUDY.replace("EXPERIMENTS", &experiments.display().to_string());
        std::fs::write(folder.path().join("real.toml"), text).unwrap();
        let mut study = Self {
            folder,
            printed: String::new(),
        };
        let output = study.dpx(&["run", "real.toml"]);
        study.printed = String::from_utf8(output.stdout).unwrap();
        study
    }

    /// The folder in which it was run: `real.toml`, `cache`, `results/real`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file or folder of the results.
    pub(crate) fn results(&self, name: &str) -> PathBuf {
        self.folder().join("results/real").join(name)
    }

    /// Calls dpx there; panics where it fails.
    pub(crate) fn dpx(&self, arguments: &[&str]) -> Output {
        binary::succeeds(self.folder(), arguments)
    }

    /// A call of dpx there.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        binary::command(self.folder(), arguments)
    }
}
