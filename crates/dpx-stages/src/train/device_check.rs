//! Before a private run trusts its devices: made-up texts on them and on the processor.

use super::examples::Encoder;
use super::start::Start;
use dpx_nn::model::CausalLm;
use dpx_schema::Device;
use dpx_schema::PublicSchema;
use dpx_schema::params::{Precision, TrainParams};
use dpx_schema::{StageContext, StageError, device_list};
use dpx_sgd::device_check::{DeviceCheckError, check_device, check_mates};
use dpx_sgd::replicas::Replicas;
use dpx_sgd::trainer::MicroBatches;

/// Refuses a device on which the gradient of an example changes with its mates, the processor included; several that compute it
/// to other bits; and another one than the processor where clipped gradients are not the processor's.
pub(super) fn run(
    context: &StageContext<'_>,
    params: &TrainParams,
    schema: &PublicSchema,
    ((first, replicas), encoder): ((&CausalLm, &Replicas), &Encoder<'_>),
    (micro_batches, expected_rows): (MicroBatches, f64),
) -> Result<(), StageError> {
    let clipping = params.clipping.into();
    let examples = encoder.made_up(&schema.labels)?;
    let all: Vec<Device> = [context.device]
        .iter()
        .chain(&context.others)
        .copied()
        .collect();
    check_mates(
        first,
        replicas,
        clipping,
        &examples,
        micro_batches,
        expected_rows,
    )
    .map_err(|error| refused(&device_list(&all), error))?;
    if context.device == Device::Cpu {
        return Ok(());
    }
    // Roundings of TF32 and bfloat16 stay far below, wrong kernels far above.
    let most = match params.precision {
        Precision::F32 => 0.05,
        Precision::Bf16 => 0.25,
    };
    let here = Start::on_processor(context, params, schema)?.network;
    let checked = replicas.each(first, |there| {
        let device = there.parameters().device();
        match check_device(there, &here, clipping, &examples, most) {
            Ok(difference) => Ok((device, difference)),
            Err(error) => Err(refused(&device.to_string(), error)),
        }
    });
    for outcome in checked {
        let (device, difference) = outcome?;
        context.progress.log(&format!(
            "clipped gradients of made-up texts on `{device}` differ from the processor's by {difference:.1e} of their size"
        ));
    }
    Ok(())
}

fn refused(devices: &str, error: DeviceCheckError) -> StageError {
    match error {
        DeviceCheckError::Network(_) | DeviceCheckError::Clip(_) => error.into(),
        DeviceCheckError::Devices { .. } => StageError::new(format!(
            "a training cannot be divided over {devices}, so that no guarantee could be given: of made-up texts, {error}; take \
             devices of one model with one driver, or train on one of them"
        )),
        error => StageError::new(format!(
            "`{devices}` computes wrongly, so no guarantee could be given: of made-up texts, {error}; update its driver, or train \
             with `--device cpu`"
        )),
    }
}
