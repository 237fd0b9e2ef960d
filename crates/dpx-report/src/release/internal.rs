//! A model for internal use: marked in every place that somebody might look at, with no guarantee, no entry in a ledger, and
//! nothing that `dpx verify` would take for a release.

use super::model::{Wanted, alone};
use super::publish::file_name;
use super::statement::{CARD_FILE, STATEMENT_FILE};
use super::words::code;
use super::{ReleaseError, SEEDED, unfinished};
use crate::sources::Sources;
use dpx_schema::ReleaseLabel;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What `format` of `privacy.json` says in such a folder.
pub(crate) const INTERNAL_FORMAT: &str = "dpx internal model";

/// Writes a model into an empty folder, marked as not for release. Returns why it is none.
///
/// # Errors
/// It is seeded, does not exist, is not finished, has no adapter where one is asked for, or cannot be written.
pub fn write_internal(
    sources: &Sources<'_>,
    wanted: &Wanted,
    dpx_version: &str,
    folder: &Path,
) -> Result<&'static str, ReleaseError> {
    let id = wanted.find(sources.plan)?;
    let instance = &sources.plan.instances[id];
    if sources.record(id).is_none() {
        return Err(unfinished(&instance.name));
    }
    let why = match instance.flow {
        ReleaseLabel::Private => {
            "it was trained on private texts without a guarantee: whoever has it may learn any of them"
        }
        ReleaseLabel::Seeded => {
            return Err(ReleaseError::Refused(instance.name.to_string(), SEEDED));
        }
        ReleaseLabel::Dp | ReleaseLabel::Public => {
            "it was written for internal use and entered in no ledger; `dpx export` without `--internal` releases it"
        }
    };
    let none = BTreeMap::new();
    let (model, export, _) = alone(sources, id, wanted.form, &none, |name| {
        file_name(name, true)
    })?;
    fs::create_dir_all(folder)?;
    for file in &model.told.files {
        let mut from = fs::File::open(model.folder.path().join(file))?;
        std::io::copy(&mut from, &mut fs::File::create(folder.join(file))?)?;
    }
    let marked = json!({
        "format": INTERNAL_FORMAT,
        "not_for_release": true,
        "why": why,
        "dpx_version": dpx_version,
        "study": sources.plan.experiment,
        "instance": instance.name.to_string(),
        "form": export.form,
        "dtype": export.dtype,
        "base_precision": export.base_precision,
        "base": export.base,
        "prompts": export.prompts,
    });
    fs::write(folder.join(STATEMENT_FILE), format!("{marked:#}\n"))?;
    let card = format!(
        "---\ntags:\n- not-for-release\n---\n\n# INTERNAL, NOT FOR RELEASE\n\n**This model must not leave: {why}.**\n\nThe model of {} in the study {}, written by dpx {dpx_version}. No guarantee is stated for this folder, and no ledger knows of it. `label_prompts.json` says how to ask the model for texts.\n",
        code(&instance.name),
        code(&sources.plan.experiment),
    );
    fs::write(folder.join(CARD_FILE), card)?;
    Ok(why)
}
