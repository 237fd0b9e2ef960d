//! Experiment files bent at random, in search of two claims of one study that disagree.
//!
//! `DPX_FUZZ_FILES=100000` tries more of them than a run of the tests does.

use super::random::{self, Random};
use super::{Executed, Ran, planned};
use crate::assemble::assemble;
use crate::export;
use crate::release::Release;
use crate::rows::word;
use crate::study::{GuaranteeKind, Row};
use dpx_engine::plan::InstanceId;
use dpx_schema::{Kind, PrivacyRecord};
use dpx_stages::Spending;
use std::collections::BTreeSet;

/// Files of a run of the tests.
const FILES: u64 = 80;

/// What lines are bent with.
const WORDS: [&str; 26] = [
    "0",
    "1",
    "3",
    "0.5",
    "\"inf\"",
    "-1",
    "1e-9",
    "1e300",
    "\"$epsilon\"",
    "\"$replicate\"",
    "\"$strength\"",
    "true",
    "\"auto\"",
    "delta = 1e-6",
    "delta = 0.9",
    "sampling_rate = 0.1",
    "steps = 7",
    "canaries = 100",
    "noise = \"seeded\"",
    "epsilon = 2",
    "epsilon = \"$epsilon\"",
    "needs = [\"train0\"]",
    "needs = [\"preprocess\"]",
    "limit = 100",
    "epochs = 2",
    "teacher = \"agree\"",
];

fn bent(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..=random.below(3) {
        let at = random.below(lines.len());
        match random.below(6) {
            0 => {
                lines.remove(at);
            }
            1 => lines.insert(at, random.one(&WORDS).to_owned()),
            2 => {
                if let Some((key, _)) = lines[at].split_once('=') {
                    lines[at] = format!("{key}= {}", random.one(&WORDS));
                }
            }
            3 => {
                let other = random.below(lines.len());
                lines.swap(at, other);
            }
            4 => {
                let digits = |c: char| if c.is_ascii_digit() { '2' } else { c };
                lines[at] = lines[at].chars().map(digits).collect();
            }
            _ => {
                let other = random.below(lines.len());
                let copy = lines[other].clone();
                lines.insert(at, copy);
            }
        }
        if lines.is_empty() {
            break;
        }
    }
    lines.join("\n") + "\n"
}

/// Private instances behind some, by the plan's own graph.
fn private_behind(ran: &Ran, ids: &[InstanceId]) -> BTreeSet<InstanceId> {
    let all = ids.iter().flat_map(|&id| ran.plan.ancestors(id));
    all.filter(|&id| ran.plan.instances[id].kind.spends())
        .collect()
}

/// Stages of one budget plan the same division.
fn one_division(ran: &Ran, examples: u64) -> Result<(), String> {
    let mut first: std::collections::BTreeMap<String, (String, Spending)> =
        std::collections::BTreeMap::new();
    for instance in &ran.plan.instances {
        let budget = &instance.params["budget"];
        if !instance.kind.spends() || budget.is_null() {
            continue;
        }
        let Ok(plan) = planned(instance, examples) else {
            continue;
        };
        let Spending::Noise { planned, .. } = &plan.spending else {
            continue;
        };
        let whole = Spending::Noise {
            noise_multiplier: 0.0,
            planned: planned.clone(),
        };
        let (other, known) = first
            .entry(budget.to_string())
            .or_insert_with(|| (instance.name.to_string(), whole.clone()));
        if *known != whole {
            return Err(format!(
                "{} and {other} divide one budget differently",
                instance.name
            ));
        }
    }
    Ok(())
}

/// Whether everything that is claimed of the study agrees.
fn agree(ran: &Ran) -> Result<(), String> {
    let sources = ran.sources();
    let shown = assemble(&sources).map_err(|error| error.to_string())?;
    let json: serde_json::Value = serde_json::from_str(&export::json(&shown).unwrap()).unwrap();
    let plan = &ran.plan;
    let replicates = plan.axes.iter().filter(|axis| axis.name == "replicate");
    let lowest = replicates
        .flat_map(|axis| axis.values.iter().map(word))
        .min();
    let samples_of = |row: &Row, all: bool| -> Vec<InstanceId> {
        let first = |id: InstanceId| {
            let own = plan.instances[id].axes.get("replicate").map(word);
            own.is_none() || own == lowest
        };
        (0..plan.instances.len())
            .filter(|&id| plan.instances[id].kind == Kind::Sample && ran.in_row(id, row))
            .filter(|&id| all || first(id))
            .collect()
    };
    let release = |ids: &[InstanceId]| {
        let names: Vec<String> = ids
            .iter()
            .map(|&id| plan.instances[id].name.to_string())
            .collect();
        Release::gather(&sources, &names, false)
    };
    let mut all = Vec::new();
    for (at, row) in shown.rows.iter().enumerate() {
        let holds = row.guarantee.kind == GuaranteeKind::Dp;
        let told = json["rows"][at]["guarantee"]["epsilon"].as_f64();
        let epsilon = row
            .guarantee
            .epsilon
            .map(dpx_accounting::EpsilonBound::value);
        if told != epsilon.filter(|epsilon| epsilon.is_finite()) {
            return Err(format!(
                "{}: {epsilon:?}, in results.json {told:?}",
                row.name
            ));
        }
        let samples = samples_of(row, false);
        let done = |ids: &[InstanceId]| ids.iter().all(|&id| ran.known[id].record.is_some());
        if samples.is_empty() || !done(&samples) || row.guarantee.kind == GuaranteeKind::Unknown {
            continue;
        }
        let released = release(&samples);
        if holds && released.is_err() {
            return Err(format!(
                "{} holds, its release: {:?}",
                row.name,
                released.err()
            ));
        }
        let Ok(released) = released else { continue };
        let released = released
            .claim()
            .map_or(0.0, |claim| claim.epsilon().value());
        match epsilon {
            None => return Err(format!("{} promises nothing and is released", row.name)),
            Some(epsilon) if released > epsilon => {
                return Err(format!("{}: {epsilon}, released at {released}", row.name));
            }
            Some(epsilon) => {
                let spent = ran
                    .executed
                    .iter()
                    .filter(|(_, one)| matches!(one, Executed::Noise(_)));
                let noisy: BTreeSet<InstanceId> = spent.map(|(&id, _)| id).collect();
                let behind = private_behind(ran, &samples);
                let own = row.guarantee.mechanisms.len();
                if behind.intersection(&noisy).count() == own && released != epsilon {
                    return Err(format!("{}: {epsilon}, released at {released}", row.name));
                }
            }
        }
        if holds {
            all.extend(samples_of(row, true));
        }
    }
    let done = all.iter().all(|&id| ran.known[id].record.is_some());
    if let (Some(joint), true, false) = (&shown.joint, done, all.is_empty()) {
        let released = release(&all).map_err(|error| error.to_string())?;
        let released = released
            .claim()
            .map_or(0.0, |claim| claim.epsilon().value());
        let largest = shown
            .rows
            .iter()
            .filter(|row| row.guarantee.kind == GuaranteeKind::Dp)
            .filter_map(|row| row.guarantee.epsilon)
            .map(dpx_accounting::EpsilonBound::value)
            .fold(0.0, f64::max);
        if released > joint.epsilon.value() || joint.epsilon.value() < largest {
            return Err(format!(
                "joint {}, released {released}, a row {largest}",
                joint.epsilon
            ));
        }
    }
    // A file that says less than it should is no record.
    for id in 0..plan.instances.len() {
        if let Ok(Some(PrivacyRecord::Untouched(_))) = sources.privacy(id)
            && ran.executed.get(&id) != Some(&Executed::Nothing)
        {
            return Err(format!("{} is called untouched", plan.instances[id].name));
        }
    }
    Ok(())
}

#[test]
fn no_bent_file_has_two_claims_that_disagree() {
    let asked = std::env::var("DPX_FUZZ_FILES").ok();
    let files = asked.and_then(|text| text.parse().ok()).unwrap_or(FILES);
    let mut accepted = 0;
    for seed in 0..files {
        let mut random = Random::new(seed * 2 + 1_000_001);
        let study = random::Study::new(&mut random);
        let text = bent(&study.file(), &mut random);
        let Some(ran) = Ran::of(text, study.examples, &mut random) else {
            continue;
        };
        accepted += 1;
        let found = one_division(&ran, study.examples).and_then(|()| agree(&ran));
        if let Err(reason) = found {
            panic!("file {seed}: {reason}\n{}", ran.text);
        }
    }
    assert!(
        accepted * 10 >= files,
        "{accepted} of {files} files are studies"
    );
}
