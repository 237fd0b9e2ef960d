//! The key of a stage instance.
//!
//! | counts | how | why |
//! |---|---|---|
//! | format version | text `dpx key v1` | so that keys can change their meaning |
//! | kind | its name | |
//! | the kind's version | number | raised when the meaning of a kind changes |
//! | seed | number | the experiment's seed mixed with the axes that reach the instance |
//! | parameters | canonical JSON (RFC 8785) of the resolved values | defaults filled in; order, comments, `1` or `1.0` do not count |
//! | inputs | name and digest of the *content* | a re-run that gives the same bytes stops the wave |
//! | models, datasets | parameter name and digest or commit | |
//! | a tokenizer that is not read as its file says | parameter name, class, digest of its rules | earlier programs read the file's |
//!
//! Not in the key: paths, names of stage, instance and experiment, machine, device, number of jobs and every field of the
//! `Performance` structs. Each part enters the hash with its length before it, so that no two lists of parts look alike.

use dpx_schema::Kind;
use dpx_schema::{Digest, Key, Record};
use serde_json::Value;
use std::collections::BTreeMap;

/// Everything that a key covers but the inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub(crate) struct Recipe<'a> {
    pub kind: Kind,
    /// [`Kind::version`] at the time.
    pub kind_version: u32,
    /// The experiment's seed mixed with the axes that reach the instance.
    pub seed: u64,
    /// Resolved parameters that can change the result, paths replaced.
    pub params: &'a Value,
    /// Identity of each model and dataset, by parameter.
    pub sources: &'a BTreeMap<String, String>,
}

impl<'a> Recipe<'a> {
    /// The recipe that a record was made by.
    pub(crate) fn of(record: &'a Record) -> Self {
        Self {
            kind: record.kind,
            kind_version: record.kind_version,
            seed: record.seed,
            params: &record.params,
            sources: &record.sources,
        }
    }

    /// The key, given the digest of each input's content by stage name.
    pub(crate) fn key(&self, inputs: &BTreeMap<String, Digest>) -> Key {
        let mut hasher = blake3::Hasher::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(b"dpx key v1");
        part(self.kind.name().as_bytes());
        part(&self.kind_version.to_le_bytes());
        part(&self.seed.to_le_bytes());
        part(&canonical(self.params));
        part(&(inputs.len() as u64).to_le_bytes());
        for (name, digest) in inputs {
            part(name.as_bytes());
            part(digest.as_bytes());
        }
        part(&(self.sources.len() as u64).to_le_bytes());
        for (name, identity) in self.sources {
            part(name.as_bytes());
            part(identity.as_bytes());
        }
        Digest::from_bytes(*hasher.finalize().as_bytes())
    }
}

/// Canonical JSON (RFC 8785). Whole numbers above 2^53 would collide there; experiment files with such are refused.
fn canonical(value: &Value) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).expect("a JSON value without NaN has a canonical form")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn inputs(pairs: &[(&str, &[u8])]) -> BTreeMap<String, Digest> {
        pairs
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), Digest::of(bytes)))
            .collect()
    }

    /// Changing this digest makes every cache in the world stale: raise the format version in `Recipe::key` when you must.
    #[test]
    fn one_key_is_pinned() {
        let params = json!({ "epsilon": 8.0, "model": "builtin:base", "labels": ["joy", "fear"] });
        let sources = BTreeMap::from([("model".to_owned(), "0123".to_owned())]);
        let recipe = Recipe {
            kind: Kind::Train,
            kind_version: 1,
            seed: 42,
            params: &params,
            sources: &sources,
        };
        insta::assert_snapshot!(recipe.key(&inputs(&[("preprocess", b"texts")])), @"ddf2b8f8374fc5190ce38c53a9535fd2adf967c4e403490448e1fa53f6bf9474");
    }

    #[test]
    fn spelling_does_not_count_and_everything_else_does() {
        let sources = BTreeMap::from([("model".to_owned(), "0123".to_owned())]);
        let params = json!({ "a": 16, "b": "x" });
        let base = Recipe {
            kind: Kind::Train,
            kind_version: 1,
            seed: 42,
            params: &params,
            sources: &sources,
        };
        let needs = inputs(&[("preprocess", b"texts")]);
        let key = base.key(&needs);
        let respelt = json!({ "b": "x", "a": 16.0 });
        assert_eq!(
            key,
            Recipe {
                params: &respelt,
                ..base
            }
            .key(&needs)
        );

        let removed = json!({ "a": 16 });
        let other_sources = BTreeMap::from([("model".to_owned(), "0124".to_owned())]);
        let renamed_source = BTreeMap::from([("mode".to_owned(), "l0123".to_owned())]);
        let others = [
            Recipe {
                kind: Kind::Teacher,
                ..base
            }
            .key(&needs),
            Recipe {
                kind_version: 2,
                ..base
            }
            .key(&needs),
            Recipe { seed: 43, ..base }.key(&needs),
            Recipe {
                params: &removed,
                ..base
            }
            .key(&needs),
            Recipe {
                sources: &other_sources,
                ..base
            }
            .key(&needs),
            Recipe {
                sources: &renamed_source,
                ..base
            }
            .key(&needs),
            base.key(&inputs(&[("preprocess", b"text")])),
            base.key(&inputs(&[("prep", b"texts")])),
            base.key(&inputs(&[("preprocess", b"texts"), ("x", b"")])),
            base.key(&BTreeMap::new()),
        ];
        let all: std::collections::BTreeSet<_> = others.iter().copied().chain([key]).collect();
        assert_eq!(all.len(), others.len() + 1);
    }
}
