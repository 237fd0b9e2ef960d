//! Parameters that name a model, a dataset or a file, and the forms that such a name has.

use super::suggest::did_you_mean;
use dpx_data::{NameError, Role, Source};
use dpx_schema::Kind;
use serde_json::Value;

/// What a name of something to read leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceRef {
    /// A word of the parameter, such as `rules` or `bag-of-words`: nothing is read.
    Word(String),
    /// `stage:NAME`: the artifact of a need.
    Stage(String),
    /// A model, dataset or file: built in, on the Hub or at a path.
    Source(Source),
}

/// A built-in model that is no language model.
const ENCODER: &str = "builtin:encoder";

/// A parameter that names something to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceField {
    /// Name of the parameter.
    pub key: &'static str,
    /// What is read there, which says where names are looked up.
    pub role: Role,
    /// Words that name nothing to read, such as `rules`.
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
    const ENCODES: &[SourceField] = &[field("encoder", Role::Model)];
    match kind {
        Kind::Preprocess => PREPROCESS,
        Kind::Pretrain => PRETRAIN,
        Kind::Train => TRAIN,
        Kind::Counts => COUNTS,
        Kind::Teacher => TEACHER,
        Kind::Classify => CLASSIFY,
        Kind::Score | Kind::Select => ENCODES,
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
    pub fn parse(&self, text: &str) -> Result<SourceRef, (String, Option<String>)> {
        if self.words.contains(&text) {
            return Ok(SourceRef::Word(text.to_owned()));
        }
        if let Some(name) = text.strip_prefix("stage:") {
            if self.stage {
                return Ok(SourceRef::Stage(name.to_owned()));
            }
            return Err((
                format!("`{}` cannot be the artifact of a stage", self.key),
                None,
            ));
        }
        let source = Source::parse(text);
        if self.key != "encoder" && text == ENCODER {
            return Err((
                format!(
                    "`{ENCODER}` turns texts into vectors: it serves as `encoder`, never as `{}`",
                    self.key
                ),
                Some("builtin:base".to_owned()),
            ));
        }
        match source.check(self.role) {
            Ok(()) => Ok(SourceRef::Source(source)),
            Err(NameError::Empty) => Err((format!("`{}` is empty", self.key), None)),
            Err(error) => {
                let near = match &error {
                    NameError::UnknownBuiltin { name, role } => {
                        let known = role.builtins().iter().copied();
                        did_you_mean(name, known.clone()).or_else(|| known.clone().next())
                    }
                    _ => None,
                };
                let near = near.map(|near| format!("builtin:{near}"));
                Err((error.to_string(), near))
            }
        }
    }

    /// The names after `builtin:` that may stand there: the encoder is nothing but an encoder.
    pub fn builtins(&self) -> impl Iterator<Item = &'static str> {
        let encodes = self.key == "encoder";
        let names = self.role.builtins().iter().copied();
        names.filter(move |name| encodes || !ENCODER.ends_with(name))
    }

    /// The forms that a name may have, in words.
    pub fn forms(&self) -> String {
        let mut forms: Vec<String> = self
            .words
            .iter()
            .filter(|word| !word.is_empty())
            .map(|word| format!("`{word}`"))
            .collect();
        forms.extend(self.builtins().map(|name| format!("`builtin:{name}`")));
        if self.role.on_hub() {
            forms.push("`hf:OWNER/NAME`".into());
        }
        if self.stage {
            forms.push("`stage:NAME`".into());
        }
        format!("{}, or a path", forms.join(", "))
    }
}
