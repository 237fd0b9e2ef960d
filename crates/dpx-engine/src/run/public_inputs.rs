//! Public is checked: every corpus, vocabulary and list of keywords of a plan, and every sentence of its parameters, is compared
//! with every private data set of it before anything runs, and files with what dpx wrote from private data.
//!
//! What the comparison finds is itself a function of the private texts, without noise: it is told to whoever runs the study,
//! in numbers of lines alone, remembered in the cache by content, and never released. What a release states is what the
//! experiment file declares, whether or not there is an overlap.

mod same_file;
mod stated;
mod written;

use super::RunError;
use super::freeze::{NamedSource, named_sources, pinned};
use crate::cache::Cache;
use crate::plan::{InstanceId, Plan};
use dpx_data::{Overlap, PrivateTexts, Request, Role, Source, public_text};
use dpx_schema::Kind;
use dpx_schema::files::write_swapped;
use dpx_schema::params::PreprocessParams;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

/// What was found before, by what was compared; in the cache's folder.
const MEMO: &str = "overlaps.json";

/// A public text of the plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Public {
    stage: String,
    key: &'static str,
    name: String,
    identity: String,
    role: Role,
    source: PublicSource,
    declared: bool,
}

impl Public {
    /// Enters what was found in it: a note where it is declared, else a refusal with the reason and what to do in the place of a
    /// declaration.
    fn say(
        &self,
        what: &str,
        why: &str,
        advice: &str,
        notes: &mut Vec<String>,
        refused: &mut String,
    ) {
        let Self { stage, key, .. } = self;
        if self.declared {
            notes.push(format!(
                "note: {what}; `declared_overlap` says so, and every claim states it"
            ));
        } else {
            let _ = write!(
                refused,
                "\n  {what}{why}\n    {advice} `declared_overlap = [\"{key}\"]` in `[stage.{stage}]`: every claim then states it"
            );
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum PublicSource {
    Builtin(String),
    Path(PathBuf),
}

/// A private data set of the plan.
struct Private {
    stage: String,
    params: PreprocessParams,
    identity: String,
    /// The instances that read it.
    instances: Vec<InstanceId>,
}

/// Compares, and says what was declared or may be a coincidence: lines for whoever runs the study.
///
/// # Errors
/// [`RunError::Overlap`] where a public text holds private ones and the experiment file does not say so, or where they cannot
/// be compared although both are there.
pub(super) fn check(
    plan: &Plan,
    cache: &Cache,
    is_cached: impl Fn(InstanceId) -> bool,
) -> Result<Vec<String>, RunError> {
    let (publics, sentences) = (public_texts(plan), stated::of(plan));
    if publics.is_empty() && sentences.is_empty() {
        return Ok(Vec::new());
    }
    let memo = cache.root().join(MEMO);
    let mut known: BTreeMap<String, Overlap> = std::fs::read(&memo)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let before = known.len();
    let (mut notes, mut refused) = (Vec::new(), String::new());
    for private in private_data(plan) {
        let open: Vec<&Public> = publics
            .iter()
            .filter(|public| !known.contains_key(&place(&private, public)))
            .collect();
        let of_sentence = |sentence| place_of(&private, stated::compared(sentence));
        let is_open = sentences
            .iter()
            .any(|sentence| !known.contains_key(&of_sentence(sentence)));
        if !open.is_empty() || is_open {
            let dataset = match dpx_data::load(&whole(&private.params)) {
                Ok(dataset) => dataset,
                // It is told by the stage, without whose artifact nothing private begins.
                Err(_) if !private.instances.iter().any(|&id| is_cached(id)) => continue,
                Err(error) => {
                    return Err(RunError::NotCompared {
                        stage: private.stage,
                        reason: error.to_string(),
                    });
                }
            };
            let pieces = dataset.pieces();
            let texts = if private.params.messages.is_some() {
                PrivateTexts::of_turns(pieces)
            } else {
                PrivateTexts::new(pieces)
            };
            for public in open {
                if let Some(text) = comparable(public) {
                    known.insert(place(&private, public), texts.overlap(&text));
                }
            }
            for sentence in &sentences {
                let place = of_sentence(sentence);
                known
                    .entry(place)
                    .or_insert_with(|| texts.overlap(&sentence.text));
            }
        }
        for sentence in &sentences {
            if let Some(found) = known.get(&of_sentence(sentence)) {
                stated::tell(&private, sentence, found, &mut refused);
            }
        }
        for public in &publics {
            if let Some(file) = same_file::of(&private, public) {
                tell_same(&private, public, &file, &mut notes, &mut refused);
                continue;
            }
            let Some(found) = known.get(&place(&private, public)) else {
                continue;
            };
            tell(&private, public, found, &mut notes, &mut refused);
        }
    }
    written::check(cache, &publics, &mut known, &mut notes, &mut refused)?;
    if known.len() > before {
        remember(cache, &known);
    }
    if refused.is_empty() {
        Ok(notes)
    } else {
        Err(RunError::Overlap { lines: refused })
    }
}

/// A file of the data set: it is not asked what stands in it.
fn tell_same(
    private: &Private,
    public: &Public,
    file: &std::path::Path,
    notes: &mut Vec<String>,
    refused: &mut String,
) {
    let Public {
        stage, key, name, ..
    } = public;
    let what = format!(
        "`{name}` (`{key}` of `{stage}`) holds private texts: it is `{}`, of the data set that `{}` reads",
        file.display(),
        private.stage
    );
    let advice = "give another file; or, if the texts are public anyway, write";
    public.say(&what, "", advice, notes, refused);
}

fn tell(
    private: &Private,
    public: &Public,
    found: &Overlap,
    notes: &mut Vec<String>,
    refused: &mut String,
) {
    let Public {
        stage, key, name, ..
    } = public;
    if found.is_none() {
        if found.coincidences > 0 {
            notes.push(format!(
                "note: {} short lines of `{name}` (`{key}` of `{stage}`), or sentences of neighboring lines, equal texts that \
                 `{}` reads, few enough to be a coincidence",
                found.coincidences, private.stage
            ));
        }
        return;
    }
    let numbers: Vec<String> = found.first.iter().map(u64::to_string).collect();
    let more = if found.lines > found.first.len() as u64 {
        ", ..."
    } else {
        ""
    };
    let what = format!(
        "`{name}` (`{key}` of `{stage}`) holds private texts that `{}` reads: {} of its lines do ({}{more})",
        private.stage,
        found.lines,
        numbers.join(", ")
    );
    let advice = "remove these lines; or, if the texts are public anyway, write";
    public.say(&what, "", advice, notes, refused);
}

/// The whole data set, whatever share of it the stage reads: rows left out are private too, also those beyond `max_per_unit`.
fn whole(params: &PreprocessParams) -> Request<'_> {
    Request {
        limit: None,
        unit_column: None,
        max_per_unit: None,
        facts: Vec::new(),
        ..Request::from(params)
    }
}

fn private_data(plan: &Plan) -> Vec<Private> {
    let mut found: Vec<Private> = Vec::new();
    for (id, instance) in plan.instances.iter().enumerate() {
        if instance.kind != Kind::Preprocess {
            continue;
        }
        let params = pinned(instance.kind, &instance.params, &instance.sources);
        let (Ok(params), Some(identity)) = (
            serde_json::from_value::<PreprocessParams>(params),
            instance.sources.get("dataset"),
        ) else {
            continue;
        };
        let private = Private {
            stage: instance.stage.clone(),
            params,
            identity: identity.clone(),
            instances: vec![id],
        };
        let content = content_of(&private);
        match found.iter_mut().find(|other| content_of(other) == content) {
            Some(other) => other.instances.push(id),
            None => found.push(private),
        }
    }
    found
}

fn public_texts(plan: &Plan) -> BTreeSet<Public> {
    let mut found = BTreeSet::new();
    for instance in &plan.instances {
        if instance.kind == Kind::Preprocess {
            continue;
        }
        for NamedSource {
            role,
            key,
            place,
            source,
            ..
        } in named_sources(instance.kind, &instance.params)
        {
            let (name, source) = match (role, source) {
                // Of a model no text is known.
                (Role::Dataset | Role::Model, _) | (_, Source::Hub(_)) => continue,
                (_, Source::Builtin(name)) => {
                    (format!("builtin:{name}"), PublicSource::Builtin(name))
                }
                (_, Source::Path(path)) => (path.display().to_string(), PublicSource::Path(path)),
            };
            let declared = instance.params["declared_overlap"]
                .as_array()
                .is_some_and(|list| list.iter().any(|declared| declared == key));
            if let Some(identity) = instance.sources.get(&place) {
                found.insert(Public {
                    stage: instance.stage.clone(),
                    key,
                    name,
                    identity: identity.clone(),
                    role,
                    source,
                    declared,
                });
            }
        }
    }
    found
}

/// The text of a public input as it is compared: of a vocabulary the words without their counts. Nothing where the stage that
/// reads it will say what is wrong.
fn comparable(public: &Public) -> Option<String> {
    let source = match &public.source {
        PublicSource::Builtin(name) => Source::Builtin(name.clone()),
        PublicSource::Path(path) => Source::Path(path.clone()),
    };
    let text = public_text(public.role, &source).ok()?;
    Some(match public.role {
        Role::Vocabulary => {
            let words = text.lines().map(|line| line.split_whitespace().next());
            let words: Vec<&str> = words.map(Option::unwrap_or_default).collect();
            words.join("\n")
        }
        _ => text,
    })
}

/// What of a data set decides which texts it holds.
fn content_of(private: &Private) -> Value {
    let params = &private.params;
    let mut content = json!({
        "dataset": private.identity,
        "text_column": params.text_column,
        "label_column": params.label_column,
        "quoting": params.quoting,
        "escape": params.escape,
        "delimiter": params.delimiter,
    });
    // What is remembered of texts stays known.
    if params.messages.is_some() {
        content["messages"] = json!(params.messages);
        content["roles"] = json!(params.roles);
    }
    content
}

/// The place of a comparison among those that are remembered.
fn place(private: &Private, public: &Public) -> String {
    place_of(
        private,
        json!({ "public": public.identity, "role": public.role.what() }),
    )
}

/// Likewise of anything that is compared with a data set.
fn place_of(private: &Private, mut compared: Value) -> String {
    // 2: texts of 8 to 12 words are found where lines break them; 3: behind escapes, and in scripts without spaces.
    compared["version"] = json!(3);
    compared["private"] = content_of(private);
    known_place(&compared)
}

fn known_place(compared: &Value) -> String {
    blake3::hash(compared.to_string().as_bytes())
        .to_hex()
        .to_string()
}

/// A failure only costs time, so it is not told.
fn remember(cache: &Cache, known: &BTreeMap<String, Overlap>) {
    if let Ok(bytes) = serde_json::to_vec(known) {
        drop(write_swapped(&cache.root().join(MEMO), &bytes));
    }
}
