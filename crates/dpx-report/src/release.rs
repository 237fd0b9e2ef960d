//! What may leave the organisation: synthetic texts of rows under a guarantee, and what the guarantee of all of them is.
//!
//! Only artifacts labelled `public` or `dp` are taken; a row without a guarantee, or with noise from the seed, is refused
//! without exception. Nothing computed from a private text outside a mechanism goes in: no digest, key, score, path or time.

use super::guarantee::{is_private, study_delta};
use super::rows::ancestors;
use super::sources::{AssembleError, Sources};
use super::texts;
use dpx_accounting::Claim;
use dpx_engine::plan::InstanceId;
use dpx_schema::{Flow, Guarantee, Kind, PublicInputs};
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
    /// A record or text cannot be read.
    #[error(transparent)]
    Unreadable(#[from] AssembleError),
    /// Writing failed.
    #[error("the release could not be written: {0}")]
    Io(#[from] std::io::Error),
}

/// Rows to be released together, and their joint guarantee.
#[derive(Debug)]
pub struct Release {
    rows: Vec<(String, Vec<u8>)>,
    guarantee: Guarantee,
    canaries: BTreeMap<String, u64>,
    public_inputs: PublicInputs,
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
        let mut behind: BTreeSet<InstanceId> = BTreeSet::new();
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
                        instance.name.to_string(),
                        "its noise is derived from the seed, and whoever has the seed can subtract it; run it with `noise = \"secure\"`",
                    ));
                }
                Flow::Private => {
                    return Err(ReleaseError::Refused(
                        instance.name.to_string(),
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
                .map_err(ReleaseError::Missing)?
                .ok_or_else(unfinished)?;
            rows.push((file_name(&instance.name, several), csv));
            behind.extend(ancestors(sources.plan, id));
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
        let delta = study_delta(sources)?;
        let mut records = Vec::new();
        for id in behind {
            let instance = &plan.instances[id];
            if !is_private(instance.kind) && instance.kind != Kind::Pretrain {
                continue;
            }
            let record = sources.privacy(id)?.ok_or_else(|| {
                ReleaseError::Missing(format!(
                    "`{}` is not finished: `dpx run` it first",
                    instance.name
                ))
            })?;
            if let Some(run) = record.private().filter(|run| run.canaries > 0) {
                canaries.insert(instance.name.to_string(), run.canaries);
            }
            records.push(record);
        }
        let guarantee = Guarantee::at(&records, delta.unwrap_or(0.5))
            .map_err(|error| ReleaseError::Missing(format!("nothing can be claimed: {error}")))?;
        match guarantee {
            Guarantee::NoPrivateData | Guarantee::Private(_) => {}
            Guarantee::Seeded(_) | Guarantee::None => {
                return Err(ReleaseError::Missing(
                    "what ran behind these texts has no guarantee that holds against whoever has the seed".into(),
                ));
            }
        }
        Ok(Self {
            rows,
            guarantee,
            canaries,
            public_inputs: PublicInputs::of(&records),
        })
    }

    /// The `train` instances behind the texts that planted canaries, with how many: the guarantee holds, but texts of random
    /// letters were learnt beside the real ones.
    pub fn canaries(&self) -> &BTreeMap<String, u64> {
        &self.canaries
    }

    /// What is to be said of the public inputs behind the texts.
    pub const fn public_inputs(&self) -> &PublicInputs {
        &self.public_inputs
    }

    /// The claim of all rows together; nothing where no row touched private data.
    pub const fn claim(&self) -> Option<&Claim> {
        self.guarantee.claim()
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
        match self.claim() {
            Some(claim) => {
                let _ = writeln!(
                    card,
                    "All files of this release together: {claim:.4} (unit: {}; adjacency: {}).",
                    claim.unit(),
                    claim.adjacency()
                );
                let json = serde_json::to_string_pretty(claim).map_err(std::io::Error::other)?;
                std::fs::write(folder.join("privacy.json"), json + "\n")?;
            }
            None if !self.public_inputs.declared_overlap.is_empty() => {
                card.push_str(
                    "No private data set was read, but a public input holds private texts.\n",
                );
            }
            None => card.push_str("No private data used: the model that wrote them is public.\n"),
        }
        for sentence in self.public_inputs.sentences() {
            let _ = write!(card, "\n{sentence}\n");
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
