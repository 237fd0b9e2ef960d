//! A private mechanism before its noise is known: how many units its data have, what it samples, and which bounds it claims.

use dpx_accounting::budget::MechanismSpec;
use dpx_accounting::{Adjacency, Sampling, SamplingPlan, sampling_plan};
use dpx_schema::params::{TeacherParams, TrainParams};
use dpx_schema::{Context, Kind, Population, StageError, UnitBounds, UnitSampling};
use serde_json::Value;

/// A mechanism before its noise is known.
pub(super) struct Unpriced {
    pub(super) examples: u64,
    pub(super) bounds: Option<UnitBounds>,
    pub(super) canaries: u64,
    pub(super) sampling: Option<SamplingPlan>,
    pub(super) mechanism: MechanismSpec,
    pub(super) adjacency: Adjacency,
}

/// Parameters that are not those of the kind.
pub(super) fn unfit(stage: &str) -> impl Fn(serde_json::Error) -> StageError + '_ {
    move |error| StageError::new(format!("the parameters of `{stage}` do not fit: {error}"))
}

/// What a stage is going to do, apart from its noise.
///
/// # Errors
/// The parameters do not fit the kind or the data.
pub(super) fn unpriced(
    kind: Kind,
    stage: &str,
    params: &Value,
    population: Population,
) -> Result<Unpriced, StageError> {
    let bounds = population.people.map(|people| UnitBounds {
        max_per_unit: people.max_per_unit,
        examples_per_unit: None,
        unit_sampling: None,
        records: None,
        several_owners: people.several_owners,
    });
    let gaussian = |count| Unpriced {
        examples: population.units,
        bounds,
        canaries: 0,
        sampling: None,
        mechanism: MechanismSpec::Gaussian { count },
        adjacency: Adjacency::ZeroOut,
    };
    Ok(match kind {
        Kind::Train => {
            let params: TrainParams =
                serde_json::from_value(params.clone()).map_err(unfit(stage))?;
            let asked = match (params.sampling_rate, params.steps) {
                (Some(sampling_rate), Some(steps)) => Sampling::Stated {
                    sampling_rate,
                    steps,
                    batch_size: params.batch_size,
                },
                _ => Sampling::Epochs {
                    batch_size: params.batch_size,
                    epochs: params.epochs,
                },
            };
            let Sampled {
                units,
                canaries,
                records_per_unit,
                bounds,
            } = sampled(stage, &params, population, bounds)?;
            let sampling =
                sampling_plan(units, canaries, asked).context(format_args!("`{stage}`"))?;
            if bounds.is_some_and(|bounds| bounds.several_owners)
                && sampling.adjacency != Adjacency::ZeroOut
            {
                return Err(StageError::new(format!(
                    "records of the data of `{stage}` belong to several people: which of them are kept depends on who is there, so that nothing is promised for adding or removing a person; leave out `sampling_rate` and `steps`"
                )));
            }
            Unpriced {
                examples: population.units.saturating_add(params.canaries),
                bounds: bounds.map(|bounds| UnitBounds {
                    // Under add/remove adjacency no number of the data is public.
                    records: bounds
                        .records
                        .filter(|_| sampling.adjacency == Adjacency::ZeroOut),
                    ..bounds
                }),
                canaries: params.canaries,
                sampling: Some(sampling),
                mechanism: MechanismSpec::PoissonSampledGaussian {
                    sampling_rate: sampling.sampling_rate,
                    steps: sampling.steps,
                    records_per_unit,
                },
                adjacency: sampling.adjacency,
            }
        }
        Kind::Teacher => {
            let params: TeacherParams =
                serde_json::from_value(params.clone()).map_err(unfit(stage))?;
            gaussian(params.steps)
        }
        Kind::Counts | Kind::Select => gaussian(1),
        _ => {
            return Err(StageError::new(format!(
                "`{stage}` is a stage of kind `{kind}`, which spends no budget"
            )));
        }
    })
}

/// What a stage that trains by DP-SGD samples.
struct Sampled {
    /// How many there are: records, or people.
    units: u64,
    /// Canaries among what is sampled.
    canaries: u64,
    /// Records of one person that are sampled one by one.
    records_per_unit: u32,
    bounds: Option<UnitBounds>,
}

/// Records or people, whichever `unit_sampling` says.
fn sampled(
    stage: &str,
    params: &TrainParams,
    population: Population,
    bounds: Option<UnitBounds>,
) -> Result<Sampled, StageError> {
    let Some(bounds) = bounds else {
        return Ok(Sampled {
            units: population.units,
            canaries: params.canaries,
            records_per_unit: 1,
            bounds: None,
        });
    };
    let most = bounds.max_per_unit;
    if let Some(examples_per_unit) = params.examples_per_unit(most) {
        if bounds.several_owners {
            return Err(StageError::new(format!(
                "records of the data of `{stage}` belong to several people: people cannot be sampled, as a record would come with each of them; write `unit_sampling = \"examples\"`"
            )));
        }
        return Ok(Sampled {
            units: population.units,
            canaries: params.canaries,
            records_per_unit: 1,
            bounds: Some(UnitBounds {
                examples_per_unit: Some(examples_per_unit),
                unit_sampling: Some(UnitSampling::Users),
                ..bounds
            }),
        });
    }
    let records = population.records.ok_or_else(|| {
        StageError::new(format!(
            "`{stage}` samples records (`unit_sampling = \"examples\"`), and how many there are is not known before the data are read"
        ))
    })?;
    let records_per_unit = u32::try_from(most).map_err(|_| {
        StageError::new(format!("`max_per_unit` is {most}: expected at most 10000"))
    })?;
    Ok(Sampled {
        units: records,
        // A canary is a person with as many records as anybody may have.
        canaries: params.canaries.saturating_mul(most),
        records_per_unit,
        bounds: Some(UnitBounds {
            unit_sampling: Some(UnitSampling::Examples),
            records: Some(records),
            ..bounds
        }),
    })
}
