//! Which floor a row has.

use super::rows::RowPlan;
use super::sources::Sources;
use super::study::{Floor, Guarantee, GuaranteeKind};
use dpx_accounting::EpsilonBound;
use dpx_schema::Kind;
use dpx_stages::floor::{FloorRequest, MOST_TEXTS};

/// The floor of a row: nothing where a model is not behind its texts, where nothing private is (the majority label is its floor
/// then), or where none is known.
pub(crate) fn floor(
    sources: &Sources<'_>,
    row: &RowPlan,
    guarantee: &Guarantee,
    texts: Option<u64>,
) -> Option<Floor> {
    let plan = sources.plan;
    let sample = row
        .own
        .iter()
        .copied()
        .find(|&id| plan.instances[id].kind == Kind::Sample && sources.record(id).is_some())?;
    let behind = plan.ancestors(sample);
    let kind = |id: usize| plan.instances[id].kind;
    if !behind
        .iter()
        .any(|&id| matches!(kind(id), Kind::Train | Kind::Pretrain))
    {
        return None;
    }
    let epsilon = match guarantee.kind {
        GuaranteeKind::Dp | GuaranteeKind::Seeded => {
            Some(guarantee.epsilon.map(EpsilonBound::value)?)
        }
        GuaranteeKind::None if behind.iter().any(|&id| kind(id) == Kind::Train) => None,
        GuaranteeKind::None | GuaranteeKind::Untouched | GuaranteeKind::Unknown => return None,
    };
    let data = behind
        .iter()
        .copied()
        .find(|&id| kind(id) == Kind::Preprocess)?;
    let request = FloorRequest {
        epsilon,
        delta: guarantee
            .delta
            .map_or(0.5, dpx_accounting::DeltaBound::value),
        texts: texts.unwrap_or(MOST_TEXTS).min(MOST_TEXTS),
        // A record, or a person, whose texts share one vote.
        records: 1,
        seed: plan.seed,
    };
    let found = sources.floors.floor(sources.record(data)?, &request)?;
    Some(Floor {
        accuracy: found.accuracy,
        macro_f1: found.macro_f1,
        texts: request.texts,
    })
}
