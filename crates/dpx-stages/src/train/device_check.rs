//! Before a private run trusts a device: made-up texts on it and on the processor.

use super::examples::Encoder;
use super::start::Start;
use dpx_nn::model::CausalLm;
use dpx_schema::Device;
use dpx_schema::PublicSchema;
use dpx_schema::params::{Precision, TrainParams};
use dpx_schema::{StageContext, StageError};
use dpx_sgd::device_check::{DeviceCheckError, check_device};

/// Refuses a device on which clipped gradients are not those of the processor. The processor is not checked.
pub(super) fn run(
    context: &StageContext<'_>,
    params: &TrainParams,
    schema: &PublicSchema,
    there: &CausalLm,
    encoder: &Encoder<'_>,
) -> Result<(), StageError> {
    if context.device == Device::Cpu {
        return Ok(());
    }
    // Roundings of TF32 and bfloat16 stay far below, wrong kernels far above.
    let most = match params.precision {
        Precision::F32 => 0.05,
        Precision::Bf16 => 0.25,
    };
    let here = Start::load(context, Device::Cpu, params, schema)?.network;
    let examples = encoder.made_up(&schema.labels)?;
    let clipping = params.clipping.into();
    match check_device(there, &here, clipping, &examples, most) {
        Ok(difference) => {
            context.progress.log(&format!(
                "clipped gradients of made-up texts on `{}` differ from the processor's by {difference:.1e} of their size",
                context.device
            ));
            Ok(())
        }
        Err(error @ (DeviceCheckError::Network(_) | DeviceCheckError::Clip(_))) => {
            Err(error.into())
        }
        Err(error) => Err(StageError::new(format!(
            "`{}` computes wrongly, so no guarantee could be given: of made-up texts, {error}; update its driver, or train \
             with `--device cpu`",
            context.device
        ))),
    }
}
