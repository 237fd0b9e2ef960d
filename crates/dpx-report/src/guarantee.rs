//! What a row promises, from the records of the instances behind it.

use super::fault::fault;
use super::rows::{self, RowPlan, replicate};
use super::sources::{AssembleError, Sources};
use super::study::{Guarantee, GuaranteeKind, MechanismView};
use dpx_accounting::{Claim, ClaimError, DpEvent, EpsilonBound};
use dpx_engine::plan::InstanceId;
use dpx_schema::{
    Guarantee as Promise, InstanceName, Kind, PRIVACY_FILE, PrivacyRecord, PrivateRun, ReleaseLabel,
};
use rayon::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

/// Sizes of groups that the page tells the epsilon of.
const GROUPS: [u32; 2] = [2, 5];

/// The privacy records of every finished private instance, each read once.
pub(super) struct Records(BTreeMap<InstanceId, PrivacyRecord>);

impl Records {
    pub(super) fn read(sources: &Sources<'_>) -> Result<Self, AssembleError> {
        let mut found = BTreeMap::new();
        for (id, instance) in sources.plan.instances.iter().enumerate() {
            // Public models have records too: what is to be said of their corpora belongs to the claim.
            if (instance.kind.spends() || instance.kind == Kind::Pretrain)
                && let Some(record) = sources.privacy(id)?
            {
                found.insert(id, record);
            }
        }
        let records = Self(found);
        records.certify();
        Ok(records)
    }

    /// Certifies every different run on all processors: whoever asks for its bounds later finds them known.
    fn certify(&self) {
        let Some(delta) = self.delta() else { return };
        let mut runs: Vec<&PrivateRun> =
            self.0.values().filter_map(PrivacyRecord::private).collect();
        let mut seen = Vec::new();
        runs.retain(|run| {
            let new = !seen.contains(&&run.event);
            seen.push(&run.event);
            new
        });
        runs.par_iter().for_each(|run| {
            // What cannot be certified is an error where it is asked for.
            if let Ok(claim) = Claim::compose(&[run.part()], delta, run.adjacency, run.unit.name())
            {
                for size in GROUPS {
                    let _ = claim.group(size);
                }
            }
        });
    }

    /// The record of an instance; nothing where it is not finished or not private.
    pub(super) fn get(&self, id: InstanceId) -> Option<&PrivacyRecord> {
        self.0.get(&id)
    }

    /// The one delta of every claim of the study: the least that any of its finished private runs was calibrated for.
    /// Nothing where none ran.
    pub(super) fn delta(&self) -> Option<f64> {
        let runs = self.0.values().filter_map(PrivacyRecord::private);
        let other = if fault!(LargestDelta) {
            f64::max
        } else {
            f64::min
        };
        runs.map(|run| run.delta).reduce(other)
    }
}

/// [`Records::delta`] of a study whose records are needed for nothing else.
pub(super) fn study_delta(sources: &Sources<'_>) -> Result<Option<f64>, AssembleError> {
    Ok(Records::read(sources)?.delta())
}

/// What the row promises: composed from the records of the private instances behind its samples, and of its own.
pub(super) fn guarantee(
    sources: &Sources<'_>,
    row: &RowPlan,
    all: &Records,
) -> Result<Guarantee, AssembleError> {
    let plan = sources.plan;
    let delta = all.delta();
    let first = row
        .own
        .iter()
        .filter_map(|&id| replicate(&plan.instances[id]))
        .min();
    let of_first = |id: InstanceId| {
        let own = replicate(&plan.instances[id]);
        own.is_none() || own == first
    };
    let mut behind = std::collections::BTreeSet::new();
    let mut flow = ReleaseLabel::Public;
    for &id in &row.own {
        let kind = plan.instances[id].kind;
        if kind == Kind::Sample {
            flow = flow.join(plan.instances[id].flow);
        }
        if kind == Kind::Sample || kind.spends() {
            behind.insert(id);
            behind.extend(plan.ancestors(id));
        }
    }
    let has_record = |kind: Kind| kind.spends() || kind == Kind::Pretrain;
    let behind_all: Vec<InstanceId> = behind.iter().copied().collect();
    let private: Vec<InstanceId> = behind
        .into_iter()
        .filter(|&id| has_record(plan.instances[id].kind))
        .collect();
    let target = row.axes.get("epsilon").map(rows::word).or_else(|| {
        private
            .iter()
            .find_map(|&id| target(&plan.instances[id].params))
    });
    let mut records = Vec::new();
    // One replicate: a second one is released only at a further cost, which the joint epsilon tells.
    let mut own = Vec::new();
    let mut finished = true;
    for &id in &private {
        match all.get(id) {
            Some(record) => {
                if of_first(id) {
                    own.push((id, record));
                }
                records.push(record.clone());
            }
            None if of_first(id) => finished = false,
            None => {}
        }
    }
    if fault!(FirstMechanismAlone) {
        own.truncate(1);
    }
    let mut mechanisms = Vec::new();
    for (id, record) in &own {
        if let (Some(run), Some(delta)) = (record.private(), delta) {
            let kind = plan.instances[*id].kind;
            let view = mechanism(sources.name(*id), kind, run, delta);
            mechanisms.push(view.map_err(|error| sources.unusable(*id, PRIVACY_FILE, error))?);
        }
    }
    let promise = Promise::at(own.iter().map(|(_, record)| *record), delta.unwrap_or(0.5));
    let kind = match &promise {
        _ if fault!(GuaranteeByTarget) && target.as_deref() == Some("0") => {
            GuaranteeKind::Untouched
        }
        _ if !finished => GuaranteeKind::Unknown,
        // Adjacencies or units that do not compose: nothing can be claimed of the row.
        Err(_) | Ok(Promise::None) => GuaranteeKind::None,
        _ if flow == ReleaseLabel::Private => GuaranteeKind::None,
        Ok(Promise::Seeded(_)) => GuaranteeKind::Seeded,
        Ok(Promise::NoPrivateData) => GuaranteeKind::Untouched,
        Ok(Promise::Private(_)) if flow == ReleaseLabel::Seeded => GuaranteeKind::Seeded,
        Ok(Promise::Private(_)) => GuaranteeKind::Dp,
    };
    let claim = promise.ok().and_then(|promise| promise.claim().cloned());
    let epsilon = match kind {
        GuaranteeKind::Untouched => Some(EpsilonBound::ZERO),
        GuaranteeKind::Dp | GuaranteeKind::Seeded => claim.as_ref().map(Claim::epsilon),
        GuaranteeKind::None | GuaranteeKind::Unknown => None,
    };
    Ok(Guarantee {
        kind,
        target,
        epsilon,
        delta: claim.as_ref().map(Claim::delta),
        certified: claim.as_ref().map(|claim| *claim.certified()),
        mechanisms,
        groups: match &claim {
            Some(claim) => groups(claim, multiplicity(sources, &behind_all)?),
            None => Vec::new(),
        },
        records,
    })
}

fn mechanism(
    instance: &InstanceName,
    kind: Kind,
    run: &PrivateRun,
    delta: f64,
) -> Result<MechanismView, ClaimError> {
    let claim = Claim::compose(&[run.part()], delta, run.adjacency, run.unit.name())?;
    let certified = claim.certified();
    let (noise_multiplier, sampling_rate, steps) = numbers(&run.event);
    Ok(MechanismView {
        instance: instance.clone(),
        kind,
        epsilon: certified.epsilon,
        epsilon_rdp: certified.rdp,
        epsilon_prv_lower: certified.prv.lower,
        epsilon_prv_upper: certified.prv.upper,
        delta: claim.delta(),
        noise_multiplier,
        sampling_rate,
        steps,
        max_grad_norm: run.max_grad_norm,
        adjacency: run.adjacency.to_string(),
        unit: run.unit_meaning(),
        noise: run.noise,
        statement: run.statement(&claim)?,
        groups: groups(&claim, None),
        record: run.clone(),
    })
}

fn groups(claim: &Claim, multiplicity: Option<u32>) -> Vec<(u64, EpsilonBound)> {
    let mut sizes: Vec<u32> = GROUPS.into_iter().chain(multiplicity).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let of = |records: u32| Some((u64::from(records), claim.group(records).ok()?.epsilon));
    sizes.into_iter().filter_map(of).collect()
}

/// Rows of the most frequent training text behind a row, where one repeats: whoever wrote it has so many examples.
fn multiplicity(
    sources: &Sources<'_>,
    behind: &[InstanceId],
) -> Result<Option<u32>, AssembleError> {
    let mut most = 1;
    for &id in behind {
        if sources.plan.instances[id].kind == Kind::Preprocess
            && let Some(found) = sources.findings(id)?
        {
            most = most.max(found.largest_multiplicity());
        }
    }
    Ok(u32::try_from(most).ok().filter(|most| *most > 1))
}

/// Noise multiplier, sampling rate and steps of an event that has one of each.
fn numbers(event: &DpEvent) -> (Option<f64>, Option<f64>, Option<u64>) {
    match event {
        DpEvent::Gaussian {
            noise_multiplier, ..
        } => (Some(*noise_multiplier), Some(1.0), Some(1)),
        DpEvent::PoissonSampledGaussian {
            sampling_rate,
            noise_multiplier,
            steps,
            ..
        } => (Some(*noise_multiplier), Some(*sampling_rate), Some(*steps)),
        DpEvent::SelfComposed { event, count, .. } => {
            let (noise, rate, steps) = numbers(event);
            (noise, rate, steps.map(|steps| steps.saturating_mul(*count)))
        }
        DpEvent::NonPrivate | DpEvent::Composed { .. } => (None, None, None),
    }
}

/// The budget that was asked for; for display.
fn target(params: &Value) -> Option<String> {
    ["/budget/epsilon", "/epsilon"]
        .iter()
        .find_map(|path| params.pointer(path).filter(|value| !value.is_null()))
        .map(rows::word)
}
