//! Parameters that name a model, a dataset or a file, and the forms that such a name has.

use super::suggest::{alternatives, did_you_mean};
use dpx_schema::Kind;
use serde_json::Value;
use std::path::PathBuf;

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A word of the parameter, such as `rules` or `bag-of-words`: nothing is read.
    Word(String),
    /// `builtin:NAME`: part of the binary.
    Builtin(String),
    /// `hf:OWNER/NAME[@REVISION]`: the Hugging Face Hub.
    Hub {
        /// `OWNER/NAME`.
        repository: String,
        /// Branch, tag or commit.
        revision: Option<String>,
    },
    /// `stage:NAME`: the artifact of a need.
    Stage(String),
    /// A file or a folder.
    Path(PathBuf),
}

/// What a name is for; decides where the Hub is asked and which built-in names there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Labelled texts.
    Dataset,
    /// Weights, configuration and tokenizer.
    Model,
    /// Plain texts, one a line.
    Corpus,
    /// Words with their counts.
    Vocabulary,
    /// Keywords, one a line.
    Keywords,
}

impl Role {
    /// The names after `builtin:`.
    pub const fn builtins(self) -> &'static [&'static str] {
        match self {
            Self::Dataset => &["emotions"],
            Self::Model => &["base"],
            Self::Corpus => &["dialogue"],
            Self::Vocabulary => &["words"],
            Self::Keywords => &["feelings", "words"],
        }
    }

    /// Whether the Hub has such things.
    const fn on_hub(self) -> bool {
        matches!(self, Self::Dataset | Self::Model)
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::Model => "model",
            Self::Corpus => "corpus",
            Self::Vocabulary => "vocabulary",
            Self::Keywords => "list of keywords",
        }
    }
}

/// A parameter that names something to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceField {
    /// The parameter.
    pub key: &'static str,
    /// What it names.
    pub role: Role,
    /// Words that stand for themselves.
    pub words: &'static [&'static str],
    /// Whether `stage:NAME` may stand there.
    pub stage: bool,
}

const fn field(key: &'static str, role: Role) -> SourceField {
    SourceField {
        key,
        role,
        words: &[],
        stage: false,
    }
}

/// The parameters of a kind that name something to read.
pub const fn source_fields(kind: Kind) -> &'static [SourceField] {
    const PREPROCESS: &[SourceField] = &[
        field("dataset", Role::Dataset),
        SourceField {
            words: &["none", "rules"],
            ..field("scrub", Role::Model)
        },
    ];
    const PRETRAIN: &[SourceField] = &[
        field("corpus", Role::Corpus),
        field("model", Role::Model),
        field("vocabulary_words", Role::Keywords),
    ];
    const KEYWORDS: SourceField = SourceField {
        words: &[""],
        ..field("keywords", Role::Keywords)
    };
    const TRAIN: &[SourceField] = &[
        SourceField {
            stage: true,
            ..field("model", Role::Model)
        },
        KEYWORDS,
    ];
    const COUNTS: &[SourceField] = &[KEYWORDS];
    const TEACHER: &[SourceField] = &[
        field("vocabulary", Role::Vocabulary),
        field("encoder", Role::Model),
    ];
    const CLASSIFY: &[SourceField] = &[SourceField {
        words: &["bag-of-words", "teacher"],
        ..field("model", Role::Model)
    }];
    const SCORE: &[SourceField] = &[field("encoder", Role::Model)];
    match kind {
        Kind::Preprocess => PREPROCESS,
        Kind::Pretrain => PRETRAIN,
        Kind::Train => TRAIN,
        Kind::Counts => COUNTS,
        Kind::Teacher => TEACHER,
        Kind::Classify => CLASSIFY,
        Kind::Score => SCORE,
        Kind::Sample | Kind::Audit => &[],
    }
}

impl SourceField {
    /// Whether the parameter is read at all, given the others.
    pub fn counts(&self, params: &Value) -> bool {
        !matches!(
            (self.key, params["form"].as_str()),
            ("encoder", Some("linear")) | ("vocabulary", Some("head"))
        )
    }

    /// What a name means.
    ///
    /// # Errors
    /// What is wrong with it and what would be right.
    pub fn parse(&self, text: &str) -> Result<Source, (String, Option<String>)> {
        if self.words.contains(&text) {
            return Ok(Source::Word(text.to_owned()));
        }
        if let Some(name) = text.strip_prefix("builtin:") {
            let known = self.role.builtins();
            if known.contains(&name) {
                return Ok(Source::Builtin(name.to_owned()));
            }
            let near = did_you_mean(name, known.iter().copied()).or_else(|| known.first().copied());
            return Err((
                format!(
                    "there is no built-in {} `{name}`: expected {}",
                    self.role.what(),
                    alternatives(known.iter().copied())
                ),
                near.map(|near| format!("builtin:{near}")),
            ));
        }
        if let Some(rest) = text.strip_prefix("hf:") {
            if !self.role.on_hub() {
                return Err((
                    format!("a {} cannot come from the Hub", self.role.what()),
                    None,
                ));
            }
            let (repository, revision) = match rest.split_once('@') {
                Some((repository, revision)) => (repository, Some(revision)),
                None => (rest, None),
            };
            let part = |part: &str| {
                !part.is_empty()
                    && part
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            };
            let parts: Vec<&str> = repository.split('/').collect();
            if parts.len() > 2
                || !parts.iter().all(|text| part(text))
                || revision.is_some_and(str::is_empty)
            {
                return Err((
                    format!(
                        "`{text}` is no name on the Hub: expected `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION`"
                    ),
                    None,
                ));
            }
            return Ok(Source::Hub {
                repository: repository.to_owned(),
                revision: revision.map(str::to_owned),
            });
        }
        if let Some(name) = text.strip_prefix("stage:") {
            if self.stage {
                return Ok(Source::Stage(name.to_owned()));
            }
            return Err((
                format!("`{}` cannot be the artifact of a stage", self.key),
                None,
            ));
        }
        if text.is_empty() {
            return Err((format!("`{}` is empty", self.key), None));
        }
        Ok(Source::Path(PathBuf::from(text)))
    }

    /// The forms that a name may have, in words.
    pub fn forms(&self) -> String {
        let mut forms: Vec<String> = self
            .words
            .iter()
            .filter(|word| !word.is_empty())
            .map(|word| format!("`{word}`"))
            .collect();
        forms.extend(
            self.role
                .builtins()
                .iter()
                .map(|name| format!("`builtin:{name}`")),
        );
        if self.role.on_hub() {
            forms.push("`hf:OWNER/NAME`".into());
        }
        if self.stage {
            forms.push("`stage:NAME`".into());
        }
        format!("{}, or a path", forms.join(", "))
    }
}
