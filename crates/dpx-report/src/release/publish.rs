//! From what was gathered to a folder: names of files, what is public about inputs, the statement, the files.

use super::model::{self, ModelFiles};
use super::statement::{
    Author, CARD_FILE, CHECKSUMS_FILE, Disclosure, Export, Format, GROUPS, Group, License,
    MODEL_FOLDER, OFFICER_FILE, Run, STATEMENT_FILE, Statement, Texts,
};
use super::{Release, ReleaseError, card, checksums, page, public_name, unfinished};
use crate::sources::Sources;
use crate::texts;
use dpx_accounting::Claim;
use dpx_engine::experiment::source_fields;
use dpx_engine::plan::InstanceId;
use dpx_schema::privacy::NOT_COVERED;
use dpx_schema::{Guarantee, Kind, MODEL_SCHEMA_FILE, PublicSchema, ReleaseLabel, SCHEMA_FILE};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What a release states by the word of its publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// License of the texts, or of a model that is released alone.
    pub license: License,
    /// Languages of the texts, where declared.
    pub language: Vec<String>,
    /// Version of dpx that writes the release.
    pub dpx_version: String,
}

/// One set of texts on its way.
#[derive(Debug)]
pub(super) struct TextFile {
    pub(super) told: Texts,
    pub(super) csv: Vec<u8>,
}

/// What is said of the study as a whole.
#[derive(Debug)]
pub(super) struct About {
    pub(super) study: String,
    pub(super) labels: Vec<String>,
    pub(super) public_inputs: Vec<String>,
    pub(super) scrubbing: Vec<String>,
    pub(super) models: Vec<ModelFiles>,
    pub(super) export: Option<Export>,
}

/// The texts of the chosen `sample` instances, under names of their own.
pub(super) fn texts(
    sources: &Sources<'_>,
    chosen: &[InstanceId],
    runs: &BTreeMap<InstanceId, String>,
) -> Result<Vec<TextFile>, ReleaseError> {
    let plan = sources.plan;
    // Where a row has several sets of texts, the stage tells them apart.
    let stages: BTreeSet<&str> = plan
        .instances
        .iter()
        .filter(|instance| instance.kind == Kind::Sample)
        .map(|instance| instance.stage.as_str())
        .collect();
    let mut names = Names::default();
    let mut texts = Vec::new();
    for &id in chosen {
        let instance = &plan.instances[id];
        let csv = sources
            .file(id, "synthetic.csv")?
            .ok_or_else(|| unfinished(&instance.name))?;
        let table = texts::Texts::read(&csv)?;
        let behind = plan.ancestors(id);
        let kind = |id: &InstanceId| plan.instances[*id].kind;
        let by_model = behind
            .iter()
            .any(|id| matches!(kind(id), Kind::Train | Kind::Pretrain));
        let told = Texts {
            name: names.fresh(&file_name(&instance.name, stages.len() > 1)),
            instance: instance.name.to_string(),
            rows: table.rows() as u64,
            columns: table.header,
            author: if by_model {
                Author::Model
            } else {
                Author::Counts
            },
            max_new_tokens: longest(sources, id),
            runs: runs_of(&behind, runs),
        };
        texts.push(TextFile { told, csv });
    }
    Ok(texts)
}

/// The instances that wrote the texts.
pub(super) fn instances(texts: &[TextFile]) -> Vec<String> {
    texts
        .iter()
        .map(|file| file.told.instance.clone())
        .collect()
}

/// Most tokens of a text: where texts are read from another stage, those that it wrote.
fn longest(sources: &Sources<'_>, id: InstanceId) -> u64 {
    let instance = &sources.plan.instances[id];
    let other = instance
        .needs
        .iter()
        .find(|need| sources.plan.instances[need.instance].kind == Kind::Sample);
    match other {
        Some(other) => longest(sources, other.instance),
        None => instance.params["max_new_tokens"].as_u64().unwrap_or(0),
    }
}

pub(super) fn runs_of(
    behind: &BTreeSet<InstanceId>,
    runs: &BTreeMap<InstanceId, String>,
) -> Vec<String> {
    behind
        .iter()
        .filter_map(|id| runs.get(id))
        .cloned()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// What is public about everything behind the texts.
pub(super) fn about(
    sources: &Sources<'_>,
    behind: &BTreeSet<InstanceId>,
) -> Result<About, ReleaseError> {
    let plan = sources.plan;
    let mut labels: Option<Vec<String>> = None;
    let mut public_inputs = BTreeSet::new();
    let mut scrubbing = Vec::new();
    for &id in behind {
        let instance = &plan.instances[id];
        for field in source_fields(instance.kind) {
            let named = names_in(&instance.params[field.key])
                .filter(|name| !field.words.contains(name) || *name == "rules")
                .filter(|name| !name.starts_with("stage:") && !name.is_empty())
                .filter(|_| field.counts(&instance.params));
            match (instance.kind, field.key) {
                // The private data itself.
                (Kind::Preprocess, "dataset") => {}
                (Kind::Preprocess, _) => {
                    for name in named.map(public_name) {
                        if !scrubbing.contains(&name) {
                            scrubbing.push(name);
                        }
                    }
                }
                _ => public_inputs.extend(named.map(public_name)),
            }
        }
        let schema = match instance.kind {
            Kind::Preprocess => SCHEMA_FILE.to_owned(),
            Kind::Train | Kind::Pretrain => format!("{MODEL_FOLDER}/{MODEL_SCHEMA_FILE}"),
            _ => continue,
        };
        if let Some(schema) = sources.json::<PublicSchema>(id, &schema)? {
            // The data's own comes last where a model was made for other labels.
            if labels.is_none() || instance.kind == Kind::Preprocess {
                labels = Some(schema.labels);
            }
        }
    }
    Ok(About {
        study: plan.experiment.clone(),
        labels: labels.unwrap_or_default(),
        public_inputs: public_inputs.into_iter().collect(),
        scrubbing,
        models: Vec::new(),
        export: None,
    })
}

fn names_in(value: &Value) -> impl Iterator<Item = &str> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    items.iter().filter_map(Value::as_str)
}

/// The models behind the chosen texts: those that were trained, or the public one where none was.
pub(super) fn models(
    sources: &Sources<'_>,
    chosen: &[InstanceId],
    runs: &BTreeMap<InstanceId, String>,
) -> Result<Vec<ModelFiles>, ReleaseError> {
    let plan = sources.plan;
    let mut ids = BTreeSet::new();
    for &id in chosen {
        let behind = plan.ancestors(id);
        let of = |kind: Kind| {
            behind
                .iter()
                .copied()
                .filter(move |&id| plan.instances[id].kind == kind)
        };
        let trained: Vec<InstanceId> = of(Kind::Train).collect();
        if trained.is_empty() {
            ids.extend(of(Kind::Pretrain));
        } else {
            ids.extend(trained);
        }
    }
    if ids.is_empty() {
        return Err(ReleaseError::Missing(
            "there is no model behind these texts: leave `--model` out".to_owned(),
        ));
    }
    for &id in &ids {
        let instance = &plan.instances[id];
        if !matches!(instance.flow, ReleaseLabel::Public | ReleaseLabel::Dp) {
            return Err(ReleaseError::Refused(
                instance.name.to_string(),
                "its model depends on private texts without a guarantee",
            ));
        }
    }
    let mut names = Names::default();
    model::behind(sources, ids, runs, |instance| {
        names.fresh(&file_name(instance, true))
    })
}

/// Names that differ also where a file system does not tell upper from lower case.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn fresh(&mut self, name: &str) -> String {
        let mut fresh = name.to_owned();
        let mut number = 1;
        while !self.0.insert(fresh.to_lowercase()) {
            number += 1;
            fresh = format!("{name}-{number}");
        }
        fresh
    }
}

/// The name of an instance's files: what tells its row from others, in characters that every file system takes.
pub(super) fn file_name(instance: &str, with_stage: bool) -> String {
    let (stage, axes) = instance.split_once('@').unwrap_or((instance, ""));
    let name = match (with_stage, axes) {
        (_, "") => stage.to_owned(),
        (true, _) => format!("{stage}-{axes}"),
        (false, _) => axes.to_owned(),
    };
    name.chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() || "=.,-_".contains(character) {
                character
            } else {
                '_'
            }
        })
        .collect()
}

impl Release {
    /// The statement of the release, with all that is known of earlier ones.
    ///
    /// # Errors
    /// Nothing can be claimed at the disclosure's delta.
    pub fn statement(
        &self,
        disclosure: &Disclosure,
        publication: &Publication,
    ) -> Result<Statement, ReleaseError> {
        let records = self.records.iter().map(|(_, record)| record);
        let adjacency = disclosure.total.as_ref().map(Claim::adjacency);
        let claim = Guarantee::under(records, disclosure.delta, adjacency)
            .map_err(nothing)?
            .claim()
            .cloned();
        let runs: BTreeMap<String, Run> = self
            .records
            .iter()
            .filter_map(|(kind, record)| {
                let run = record.private()?;
                let data_set = self.data_sets.get(&run.part().instance);
                Some(Run::of(*kind, run, data_set.copied().unwrap_or(1)))
            })
            .collect();
        let groups = disclosure
            .total
            .as_ref()
            .map_or_else(|| Ok(Vec::new()), |total| groups(total).map_err(nothing))?;
        let not_covered = if claim.is_some() {
            NOT_COVERED.map(str::to_owned).to_vec()
        } else {
            Vec::new()
        };
        Ok(Statement {
            format: Format::Release,
            version: Statement::VERSION,
            dpx_version: publication.dpx_version.clone(),
            date: disclosure.date.clone(),
            study: self.about.study.clone(),
            language: publication.language.clone(),
            license: publication.license.clone(),
            labels: self.about.labels.clone(),
            texts: self.texts.iter().map(|file| file.told.clone()).collect(),
            models: self
                .about
                .models
                .iter()
                .map(|model| model.told.clone())
                .collect(),
            export: self.about.export.clone(),
            claim,
            runs,
            selection: disclosure.selection.clone(),
            prior: disclosure.prior.clone(),
            rebuilt_ledger: disclosure.rebuilt_ledger,
            total: disclosure.total.clone(),
            groups,
            public_inputs: self.about.public_inputs.clone(),
            declared_overlap: self.public_inputs.declared_overlap.clone(),
            provenance: self.public_inputs.provenance.clone(),
            scrubbing: self.about.scrubbing.clone(),
            not_covered,
        })
    }

    /// Writes everything into an empty folder: texts, models, statement, pages, checksums. Returns the SHA-256 of the list of
    /// checksums, by which the ledger knows the release.
    ///
    /// # Errors
    /// When writing fails, or nothing can be claimed.
    pub fn write(&self, folder: &Path, statement: &Statement) -> Result<String, ReleaseError> {
        fs::create_dir_all(folder)?;
        for file in &self.texts {
            texts::write(folder, &file.told.name, &file.csv, &statement.labels)?;
        }
        for model in &self.about.models {
            let place = statement.place(&model.told);
            for file in &model.told.files {
                let path = folder.join(format!("{place}{file}"));
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
                // Not a copy, which would keep permissions.
                let mut from = fs::File::open(model.folder.path().join(file))?;
                std::io::copy(&mut from, &mut fs::File::create(path)?)?;
            }
        }
        let json = statement.to_json().map_err(std::io::Error::other)?;
        fs::write(folder.join(STATEMENT_FILE), json)?;
        fs::write(folder.join(OFFICER_FILE), page(statement))?;
        fs::write(folder.join(CARD_FILE), card(statement))?;
        let mut sums = BTreeMap::new();
        for path in statement.files() {
            if path != CHECKSUMS_FILE {
                sums.insert(path.clone(), checksums::sha256(&folder.join(path))?);
            }
        }
        let list = folder.join(CHECKSUMS_FILE);
        fs::write(&list, checksums::write(&sums))?;
        Ok(checksums::sha256(&list)?)
    }
}

fn groups(total: &Claim) -> Result<Vec<Group>, dpx_accounting::ClaimError> {
    GROUPS
        .iter()
        .map(|&records| {
            Ok(Group {
                records,
                epsilon: total.group(records)?.epsilon,
            })
        })
        .collect()
}

#[expect(clippy::needless_pass_by_value, reason = "a function for map_err")]
fn nothing(error: dpx_accounting::ClaimError) -> ReleaseError {
    ReleaseError::Missing(format!("nothing can be claimed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_their_row_and_their_stage_where_a_row_has_several() {
        assert_eq!(file_name("sample@epsilon=3", false), "epsilon=3");
        assert_eq!(file_name("taught@epsilon=3", true), "taught-epsilon=3");
        assert_eq!(file_name("sample", true), "sample");
        assert_eq!(file_name("sample@model=a/b", false), "model=a_b");
    }

    #[test]
    fn no_two_rows_share_a_file() {
        let mut names = Names::default();
        let fresh: Vec<String> = ["a/b", "a_b", "A_b", "c"]
            .map(|name| names.fresh(&file_name(name, false)))
            .to_vec();
        assert_eq!(fresh, ["a_b", "a_b-2", "A_b-3", "c"]);
    }

    #[test]
    fn paths_are_nobodys_business() {
        assert_eq!(public_name("hf:a/b@c"), "hf:a/b@c");
        assert_eq!(public_name("builtin:base"), "builtin:base");
        for path in ["/home/ada/model", "../texts.csv", "model"] {
            assert_eq!(public_name(path), "files of the publisher's own");
        }
    }
}
