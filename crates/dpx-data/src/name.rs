//! Names of models, datasets and files as users write them: `builtin:NAME`, `hf:OWNER/NAME/CONFIG@REVISION`, `hf:OWNER/NAME/FILE.gguf` or a
//! path.

use dpx_schema::files::is_gguf;
use std::fmt;
use std::path::PathBuf;

/// The branch that a Hub name without a revision means.
const DEFAULT_REVISION: &str = "main";

/// What a name is for: decides which built-in names there are and whether the Hub has such things.
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
    /// The word for it in messages.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::Model => "model",
            Self::Corpus => "corpus",
            Self::Vocabulary => "vocabulary",
            Self::Keywords => "list of keywords",
        }
    }

    /// The names that may stand after `builtin:`.
    pub const fn builtins(self) -> &'static [&'static str] {
        match self {
            Self::Dataset => &["emotions"],
            Self::Model => &["base", "encoder"],
            Self::Corpus => &["dialogue"],
            Self::Vocabulary => &["words"],
            Self::Keywords => &["feelings", "words"],
        }
    }

    /// Whether the Hub has such things.
    pub const fn on_hub(self) -> bool {
        matches!(self, Self::Dataset | Self::Model)
    }
}

/// A repository on the Hub at a revision, and perhaps one configuration of a dataset, or one GGUF file of a model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HubName {
    /// `OWNER/NAME`, or the bare name of one of the oldest repositories, such as `gpt2`.
    pub repository: String,
    /// The configuration of a dataset, or the GGUF file of a model, where one is named.
    pub config: Option<String>,
    /// Branch, tag or commit; `main` where none is given.
    pub revision: String,
}

impl HubName {
    /// Parses what follows `hf:`. Whatever stands after the second `/` is the configuration or file; [`HubName::check`] tells
    /// whether the parts are well formed.
    pub fn parse(text: &str) -> Self {
        let (path, revision) = text.split_once('@').unwrap_or((text, DEFAULT_REVISION));
        let (repository, config) = match path.match_indices('/').nth(1) {
            Some((at, _)) => (&path[..at], Some(path[at + 1..].to_owned())),
            None => (path, None),
        };
        Self {
            repository: repository.to_owned(),
            config,
            revision: revision.to_owned(),
        }
    }

    /// Whether every part may stand in an address and in the cache folder.
    ///
    /// # Errors
    /// What is wrong with the name and what was expected.
    pub fn check(&self, role: Role) -> Result<(), NameError> {
        let wrong = |problem: String| Err(NameError::Malformed(problem));
        let plain = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !matches!(part, "" | "." | "..") && part.chars().all(allowed)
        };
        let expected = match role {
            Role::Dataset => {
                "`hf:OWNER/NAME`, `hf:OWNER/NAME/CONFIG`, or either with `@REVISION` behind it"
            }
            _ => "`hf:OWNER/NAME`, `hf:OWNER/NAME/FILE.gguf`, or either with `@REVISION` behind it",
        };
        let is_part = match role {
            Role::Dataset => is_config,
            _ => is_gguf_path,
        };
        let well_formed = self.repository.split('/').all(plain)
            && self.config.as_deref().is_none_or(is_part)
            && is_revision(&self.revision);
        if !well_formed {
            return wrong(format!("`{self}` is not a Hub name: expected {expected}"));
        }
        Ok(())
    }

    /// The same repository, configuration and file at another revision.
    #[must_use]
    pub fn at(&self, revision: &str) -> Self {
        Self {
            revision: revision.to_owned(),
            ..self.clone()
        }
    }
}

/// As a user would write it, the revision `main` left out.
impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hf:{}", self.repository)?;
        if let Some(config) = &self.config {
            write!(f, "/{config}")?;
        }
        if self.revision == DEFAULT_REVISION {
            return Ok(());
        }
        write!(f, "@{}", self.revision)
    }
}

/// Configurations have looser names than repositories (`20231101.en`, `en-US plain`), but name folders.
fn is_config(config: &str) -> bool {
    !matches!(config, "" | "." | "..")
        && config
            .chars()
            .all(|c| !c.is_control() && !"/\\:*?\"<>|".contains(c))
}

/// A GGUF file, which may lie in folders of the repository.
fn is_gguf_path(path: &str) -> bool {
    is_gguf(path) && path.split('/').all(is_config)
}

/// A revision may have folders, as `refs/convert/parquet` does: each part names a file in the cache folder.
fn is_revision(revision: &str) -> bool {
    revision.split('/').all(|part| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
        !matches!(part, "" | "." | "..") && part.chars().all(allowed)
    })
}

/// Where a model, dataset or file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `builtin:NAME`: part of the binary.
    Builtin(String),
    /// `hf:OWNER/NAME[/CONFIG][@REVISION]`, or with a GGUF file in the place of a configuration: the Hugging Face Hub.
    Hub(HubName),
    /// A file or folder on this machine.
    Path(PathBuf),
}

impl Source {
    /// Parses a name; what has no known prefix is a path. Whether the parts are well formed tells [`Source::check`].
    pub fn parse(name: &str) -> Self {
        if let Some(name) = name.strip_prefix("builtin:") {
            Self::Builtin(name.to_owned())
        } else if let Some(name) = name.strip_prefix("hf:") {
            Self::Hub(HubName::parse(name))
        } else {
            Self::Path(PathBuf::from(name))
        }
    }

    /// Whether the name can stand for such a thing, as far as can be told from the name alone.
    ///
    /// # Errors
    /// What is wrong with the name and what was expected.
    pub fn check(&self, role: Role) -> Result<(), NameError> {
        match self {
            Self::Builtin(name) if role.builtins().contains(&name.as_str()) => Ok(()),
            Self::Builtin(name) => Err(NameError::UnknownBuiltin {
                role,
                name: name.clone(),
            }),
            Self::Hub(_) if !role.on_hub() => Err(NameError::NotOnHub(role)),
            Self::Hub(name) => name.check(role),
            Self::Path(path) if path.as_os_str().is_empty() => Err(NameError::Empty),
            Self::Path(_) => Ok(()),
        }
    }
}

/// A name that cannot stand for what it is given for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum NameError {
    /// `builtin:NAME` with a name that dpx does not carry.
    #[error("there is no built-in {} `{name}`: expected {}", role.what(), alternatives(*role))]
    UnknownBuiltin {
        role: Role,
        /// The name behind `builtin:`.
        name: String,
    },
    /// `hf:` before a name of something that the Hub does not have.
    #[error("a {} cannot come from the Hub", _0.what())]
    NotOnHub(Role),
    /// A Hub name with parts missing, too many, or not allowed.
    #[error("{0}")]
    Malformed(String),
    /// An empty path.
    #[error("the name is empty")]
    Empty,
}

/// The built-in names, such as "`feelings` or `words`".
fn alternatives(role: Role) -> String {
    let names: Vec<String> = role.builtins().iter().map(|n| format!("`{n}`")).collect();
    names.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(repository: &str, config: Option<&str>, revision: &str) -> Source {
        Source::Hub(HubName {
            repository: repository.into(),
            config: config.map(str::to_owned),
            revision: revision.into(),
        })
    }

    #[test]
    fn names_are_parsed_and_written_back() {
        for (text, source) in [
            ("hf:gpt2", hub("gpt2", None, "main")),
            ("hf:who/what", hub("who/what", None, "main")),
            ("hf:who/what@v1", hub("who/what", None, "v1")),
            ("hf:who/what/en@v1", hub("who/what", Some("en"), "v1")),
            (
                "hf:who/what/20231101.en@refs/convert/parquet",
                hub("who/what", Some("20231101.en"), "refs/convert/parquet"),
            ),
        ] {
            assert_eq!(Source::parse(text), source);
            source.check(Role::Dataset).unwrap();
            let Source::Hub(name) = source else { panic!() };
            assert_eq!(name.to_string(), text);
        }
        assert_eq!(Source::parse("a/b"), Source::Path("a/b".into()));
        assert_eq!(
            Source::parse("builtin:base"),
            Source::Builtin("base".into())
        );
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        let check = |role, text: &str| Source::parse(text).check(role);
        for text in [
            "hf:",
            "hf:a/",
            "hf:/b",
            "hf:a/b/",
            "hf:a/b/c/d",
            "hf:a/b@",
            "hf:a/..",
            "hf:../b",
            "hf:a/b/..",
            "hf:a/b@../c",
            "hf:a/b@x//y",
            "hf:a/b@/x",
            "hf:a b/c",
            "hf:a/b\\c",
            "hf:a/b@x\0",
            "hf:a/b?x=1",
            "hf:a/b@x?y",
            "hf:a/b@C:\\x",
        ] {
            let error = check(Role::Dataset, text).unwrap_err().to_string();
            assert!(
                error.contains("is not a Hub name: expected"),
                "{text}: {error}"
            );
        }
        // Models have no configurations, but may be one file.
        for text in [
            "hf:a/b/c",
            "hf:a/b/../c.gguf",
            "hf:a/b//c.gguf",
            "hf:a/b/.gguf",
        ] {
            let error = check(Role::Model, text).unwrap_err().to_string();
            assert!(error.contains("FILE.gguf"), "{text}: {error}");
        }
        for text in ["hf:a/b/c.gguf", "hf:a/b/Q4/c-Q4_K_M.GGUF@v1"] {
            check(Role::Model, text).unwrap();
        }
        check(Role::Model, "hf:a/b").unwrap();
        assert_eq!(
            check(Role::Keywords, "builtin:word")
                .unwrap_err()
                .to_string(),
            "there is no built-in list of keywords `word`: expected `feelings` or `words`"
        );
        assert_eq!(
            check(Role::Corpus, "hf:a/b").unwrap_err().to_string(),
            "a corpus cannot come from the Hub"
        );
        assert_eq!(check(Role::Corpus, ""), Err(NameError::Empty));
        check(Role::Corpus, "texts.txt").unwrap();
    }
}
