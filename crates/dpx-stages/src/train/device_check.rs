//! Before a private run trusts a device: made-up texts on it and on the processor.

use super::examples::Encoder;
use super::start::Start;
use dpx_nn::model::CausalLm;
use dpx_schema::Device;
use dpx_schema::PublicSchema;
use dpx_schema::params::{Precision, TrainParams};
use dpx_schema::{StageContext, StageError};
use dpx_sgd::device_check::{DeviceCheckError, check_device, check_mates};
use dpx_sgd::trainer::MicroBatches;

/// Refuses a device on which the gradient of an example changes with its mates, the processor included, and another one than it
/// where clipped gradients are not the processor's.
pub(super) fn run(
    context: &StageContext<'_>,
    params: &TrainParams,
    schema: &PublicSchema,
    (there, encoder): (&CausalLm, &Encoder<'_>),
    (micro_batches, expected_rows): (MicroBatches, f64),
) -> Result<(), StageError> {
    let clipping = params.clipping.into();
    let examples = encoder.made_up(&schema.labels)?;
    check_mates(there, clipping, &examples, micro_batches, expected_rows)
        .map_err(|error| refused(context, error))?;
    if context.device == Device::Cpu {
        return Ok(());
    }
    // Roundings of TF32 and bfloat16 stay far below, wrong kernels far above.
    let most = match params.precision {
        Precision::F32 => 0.05,
        Precision::Bf16 => 0.25,
    };
    let here = Start::on_processor(context, params, schema)?.network;
    match check_device(there, &here, clipping, &examples, most) {
        Ok(difference) => {
            context.progress.log(&format!(
                "clipped gradients of made-up texts on `{}` differ from the processor's by {difference:.1e} of their size",
                context.device
            ));
            Ok(())
        }
        Err(error) => Err(refused(context, error)),
    }
}

fn refused(context: &StageContext<'_>, error: DeviceCheckError) -> StageError {
    match error {
        DeviceCheckError::Network(_) | DeviceCheckError::Clip(_) => error.into(),
        error => StageError::new(format!(
            "`{}` computes wrongly, so no guarantee could be given: of made-up texts, {error}; update its driver, or train \
             with `--device cpu`",
            context.device
        )),
    }
}
