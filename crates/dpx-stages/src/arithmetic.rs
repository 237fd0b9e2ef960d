//! From a precision to the arithmetic of a device.

use dpx_nn::Arithmetic;
use dpx_nn::device::DeviceExt;
use dpx_schema::params::Precision;
use dpx_schema::{Device, StageError};

/// The arithmetic that a precision stands for, where the device has it.
pub(crate) fn arithmetic(precision: Precision, device: Device) -> Result<Arithmetic, StageError> {
    match precision {
        Precision::F32 => Ok(Arithmetic::F32),
        Precision::Bf16 => match device.multiplies_bf16() {
            Ok(true) => Ok(Arithmetic::Bf16),
            Ok(false) => Err(StageError::new(format!(
                "`precision` is `bf16`, which the device `{device}` does not compute: use `f32`, or a GPU that does"
            ))),
            Err(error) => Err(error.into()),
        },
    }
}
