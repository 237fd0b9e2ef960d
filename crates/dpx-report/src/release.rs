//! What may leave the organisation: synthetic texts of rows under a guarantee, and what the guarantee of all of them is.
//!
//! Only artifacts labelled `public` or `dp` are taken; a row without a guarantee, or with noise from the seed, is refused
//! without exception. Nothing computed from a private text outside a mechanism goes in: no digest, key, score, path or time.

use super::assemble::Sources;
use super::texts;
use dpx_accounting::Phase;
use dpx_accounting::statement::PrivacyStatement;
use dpx_engine::plan::InstanceId;
use dpx_schema::{Flow, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// Why there is no release.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// A row that must not leave.
    #[error("`{0}` cannot be released: {1}")]
    Refused(String, &'static str),
    /// No row fits, or one is not finished.
    #[error("{0}")]
    Missing(String),
    /// Writing failed.
    #[error("the release could not be written: {0}")]
    Io(#[from] std::io::Error),
}

/// Rows to be released together, and their joint guarantee.
#[derive(Debug)]
pub struct Release {
    rows: Vec<(String, Vec<u8>)>,
    statement: Option<PrivacyStatement>,
    canaries: BTreeMap<String, u64>,
}

impl Release {
    /// Gathers the sample instances that `wanted` names (`epsilon=3`, or a whole instance name); without names all that may
    /// leave.
    ///
    /// # Errors
    /// A named row may not leave, does not exist, or is not finished.
    pub fn gather(sources: &Sources<'_>, wanted: &[String]) -> Result<Self, ReleaseError> {
        let plan = sources.plan;
        let samples =
            (0..plan.instances.len()).filter(|&id| plan.instances[id].kind == Kind::Sample);
        // Where a row has several sets of texts, the stage tells them apart.
        let stages: BTreeSet<&str> = plan
            .instances
            .iter()
            .filter(|instance| instance.kind == Kind::Sample)
            .map(|instance| instance.stage.as_str())
            .collect();
        let several = stages.len() > 1;
        let mut rows = Vec::new();
        let mut phases: BTreeMap<String, Phase> = BTreeMap::new();
        let mut first: Option<PrivacyStatement> = None;
        let mut found = BTreeSet::new();
        let mut canaries = BTreeMap::new();
        for id in samples {
            let instance = &plan.instances[id];
            let fits = |name: &&String| {
                **name == instance.name
                    || instance.name.split_once('@').is_some_and(|(_, axes)| {
                        name.split(',')
                            .all(|part| axes.split(',').any(|axis| axis == part))
                    })
            };
            let named: Vec<&String> = wanted.iter().filter(fits).collect();
            if named.is_empty() && !wanted.is_empty() {
                continue;
            }
            found.extend(named.iter().map(|name| (*name).clone()));
            match instance.flow {
                Flow::Public | Flow::Dp => {}
                _ if wanted.is_empty() => continue,
                Flow::Seeded => {
                    return Err(ReleaseError::Refused(
                        instance.name.clone(),
                        "its noise is derived from the seed, and whoever has the seed can subtract it; run it with `noise = \"secure\"`",
                    ));
                }
                Flow::Private => {
                    return Err(ReleaseError::Refused(
                        instance.name.clone(),
                        "it depends on private texts without a guarantee",
                    ));
                }
            }
            let unfinished = || {
                ReleaseError::Missing(format!(
                    "`{}` is not finished: `dpx run` it first",
                    instance.name
                ))
            };
            let record = sources.record(id).ok_or_else(unfinished)?;
            let csv = sources
                .artifacts
                .read(record, "synthetic.csv")
                .ok_or_else(unfinished)?;
            rows.push((file_name(&instance.name, several), csv));
            for source in ancestors(sources, id) {
                if !matches!(
                    plan.instances[source].kind,
                    Kind::Train | Kind::Teacher | Kind::Counts
                ) || plan.instances[source].flow != Flow::Dp
                {
                    continue;
                }
                let name = &plan.instances[source].name;
                let planted = plan.instances[source].params["canaries"].as_u64();
                if let Some(planted) = planted.filter(|&planted| planted > 0) {
                    canaries.insert(name.clone(), planted);
                }
                let statement = sources
                    .record(source)
                    .and_then(|record| sources.artifacts.read(record, "privacy.json"))
                    .and_then(|bytes| serde_json::from_slice::<PrivacyStatement>(&bytes).ok())
                    .ok_or_else(|| {
                        ReleaseError::Refused(
                            name.clone(),
                            "its privacy.json cannot be read, so nothing can be claimed",
                        )
                    })?;
                // Stages of one budget each list all of its mechanisms: by stage and axes each counts once.
                let axes = name.split_once('@').map_or("", |(_, axes)| axes);
                for mechanism in &statement.mechanisms {
                    phases.insert(format!("{}@{axes}", mechanism.name), mechanism.phase);
                }
                first.get_or_insert(statement);
            }
        }
        if let Some(name) = wanted.iter().find(|name| !found.contains(*name)) {
            return Err(ReleaseError::Missing(format!(
                "no `sample` instance is `{name}`: name rows as `dpx plan` does, such as `epsilon=3`"
            )));
        }
        if rows.is_empty() {
            return Err(ReleaseError::Missing(
                "no row of this study may be released".into(),
            ));
        }
        let statement = first
            .map(|first| {
                let named: Vec<(&str, Phase)> = phases
                    .iter()
                    .map(|(name, phase)| (name.as_str(), *phase))
                    .collect();
                PrivacyStatement::new(&named, first.delta, first.adjacency, true)
            })
            .transpose()
            .map_err(|error| {
                ReleaseError::Missing(format!("the joint epsilon cannot be computed: {error}"))
            })?;
        Ok(Self {
            rows,
            statement,
            canaries,
        })
    }

    /// The `train` instances behind the texts that planted canaries, with how many: the guarantee holds, but texts of random
    /// letters were learnt beside the real ones.
    pub fn canaries(&self) -> &BTreeMap<String, u64> {
        &self.canaries
    }

    /// The joint epsilon and its delta; nothing where no row touched private data.
    pub fn epsilon(&self) -> Option<(f64, f64)> {
        self.statement
            .as_ref()
            .map(|statement| (statement.epsilon.epsilon, statement.delta))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Writes texts, statement and card into an empty folder.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&self, folder: &Path) -> Result<(), ReleaseError> {
        std::fs::create_dir_all(folder)?;
        let mut card = String::from("---\ntags:\n- synthetic\nconfigs:\n");
        for (name, csv) in &self.rows {
            texts::write(folder, name, csv)?;
            let _ = write!(
                card,
                "- config_name: \"{name}\"\n  data_files:\n  - split: train\n    path: \"{name}.parquet\"\n"
            );
        }
        card.push_str("---\n\n# Synthetic texts\n\nNo text in these files was written by a person. The columns are `text` and `label`, and where a private teacher left soft labels its probability of each label, `p_LABEL`.\n\n");
        match &self.statement {
            Some(statement) => {
                card.push_str("The guarantee below is that of **all files of this release together**.\n\n```text\n");
                card.push_str(&statement.to_text());
                card.push_str("```\n");
                let json =
                    serde_json::to_string_pretty(statement).map_err(std::io::Error::other)?;
                std::fs::write(folder.join("privacy.json"), json + "\n")?;
            }
            None => card
                .push_str("They depend on no private data: the model that wrote them is public.\n"),
        }
        Ok(std::fs::write(folder.join("README.md"), card)?)
    }
}

fn file_name(instance: &str, with_stage: bool) -> String {
    let (stage, axes) = instance.split_once('@').unwrap_or((instance, ""));
    let name = match (with_stage, axes) {
        (_, "") => stage.to_owned(),
        (true, _) => format!("{stage}-{axes}"),
        (false, _) => axes.to_owned(),
    };
    name.chars()
        .map(|character| {
            if character.is_alphanumeric() || "=.,-_".contains(character) {
                character
            } else {
                '_'
            }
        })
        .collect()
}

/// Everything that an instance depends on.
fn ancestors(sources: &Sources<'_>, id: InstanceId) -> BTreeSet<InstanceId> {
    let mut seen = BTreeSet::new();
    let mut open = vec![id];
    while let Some(id) = open.pop() {
        for need in &sources.plan.instances[id].needs {
            if seen.insert(need.instance) {
                open.push(need.instance);
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn files_are_named_after_their_row_and_their_stage_where_a_row_has_several() {
        assert_eq!(file_name("sample@epsilon=3", false), "epsilon=3");
        assert_eq!(file_name("taught@epsilon=3", true), "taught-epsilon=3");
        assert_eq!(file_name("sample", true), "sample");
        assert_eq!(file_name("sample@model=a/b", false), "model=a_b");
    }
}
