//! What a run is asked for: names to instances, and small questions to the machine.

use crate::plan::{InstanceId, Plan};
use crate::run::{Options, RunError};
use std::collections::BTreeSet;

/// The instances that are forced to run, and those that may run at all.
pub(crate) fn selection(
    plan: &Plan,
    options: &Options,
) -> Result<(BTreeSet<InstanceId>, BTreeSet<InstanceId>), RunError> {
    let mut forced = BTreeSet::new();
    for name in &options.force {
        forced.extend(matching(plan, "--force", name)?);
    }
    let mut selected = BTreeSet::new();
    for name in &options.only {
        for id in matching(plan, "--only", name)? {
            add_with_needs(plan, id, &mut selected);
        }
    }
    if options.only.is_empty() {
        selected.extend(0..plan.instances.len());
    }
    forced.retain(|id| selected.contains(id));
    Ok((forced, selected))
}

fn matching(plan: &Plan, option: &'static str, name: &str) -> Result<Vec<InstanceId>, RunError> {
    let found = plan.matching(name);
    if found.is_empty() {
        let stages: BTreeSet<_> = plan.instances.iter().map(|one| one.stage.clone()).collect();
        return Err(RunError::UnknownName {
            option,
            name: name.to_owned(),
            known: stages.into_iter().collect(),
        });
    }
    Ok(found)
}

fn add_with_needs(plan: &Plan, id: InstanceId, selected: &mut BTreeSet<InstanceId>) {
    if selected.insert(id) {
        for need in &plan.instances[id].needs {
            add_with_needs(plan, need.instance, selected);
        }
    }
}

/// Processors that this process may use.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Makes a folder that only its owner can look into.
pub(super) fn private_folder(path: &std::path::Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// A word as a shell reads it back.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=@,:+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
