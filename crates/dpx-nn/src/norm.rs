//! Layer norm and RMS norm as layers.

use super::kernel::{self, Normalized};
use super::{Array, GradSample, PackedLayout, ParameterId, Parameters, Tape};

/// What a norm computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// Layer norm: the mean is taken away.
    Layer,
    /// RMS norm (Zhang and Sennrich 2019), without a shift.
    Rms,
    /// RMS norm whose scale is 1 plus the stored weight (Gemma).
    RmsPlusOne,
}

/// A norm over the last dimension.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Norm {
    /// Place of the scale `[width]`.
    pub weight: ParameterId,
    /// Shift `[width]` of a layer norm that has one.
    pub bias: Option<ParameterId>,
    /// Added to the variance or mean square.
    pub epsilon: f32,
    pub kind: NormKind,
}

impl Norm {
    /// A layer norm with a shift.
    pub const fn layer(weight: ParameterId, bias: ParameterId, epsilon: f32) -> Self {
        Self {
            weight,
            bias: Some(bias),
            epsilon,
            kind: NormKind::Layer,
        }
    }

    /// An RMS norm whose scale is the weight itself.
    pub const fn rms(weight: ParameterId, epsilon: f32) -> Self {
        Self {
            weight,
            bias: None,
            epsilon,
            kind: NormKind::Rms,
        }
    }

    /// What the normalized input is multiplied by.
    fn scale(&self, parameters: &Parameters) -> Array {
        let weight = parameters.value(self.weight);
        match self.kind {
            NormKind::Layer | NormKind::Rms => weight.clone(),
            NormKind::RmsPlusOne => {
                let mut scale = Array::full(weight.shape(), 1.0).on(weight.device());
                kernel::add(&mut scale, weight);
                scale
            }
        }
    }

    /// The output, and what the backward pass needs.
    pub fn forward(&self, parameters: &Parameters, input: &Array) -> (Array, Normalized) {
        let scale = self.scale(parameters);
        match (self.kind, self.bias) {
            (NormKind::Layer, Some(bias)) => {
                kernel::layer_norm(input, &scale, parameters.value(bias), self.epsilon)
            }
            (NormKind::Layer, None) => {
                let shift = Array::zeros_on(scale.shape(), scale.device());
                kernel::layer_norm(input, &scale, &shift, self.epsilon)
            }
            (NormKind::Rms | NormKind::RmsPlusOne, _) => {
                kernel::rms_norm(input, &scale, self.epsilon)
            }
        }
    }

    /// Records the uses of scale and shift; returns the gradient of the input, plus `residual` where there is one.
    pub fn backward(
        &self,
        parameters: &Parameters,
        rows: &PackedLayout,
        saved: &Normalized,
        gradient: &Array,
        residual: Option<&Array>,
        tape: &mut Tape,
    ) -> Array {
        tape.record(parameters, self.weight, || GradSample::PerExample {
            parameter: self.weight,
            gradient: kernel::product_sums(rows, gradient, &saved.values),
        });
        if let Some(bias) = self.bias {
            tape.record(parameters, bias, || GradSample::PerExample {
                parameter: bias,
                gradient: kernel::column_sums(rows, gradient),
            });
        }
        kernel::norm_backward(saved, &self.scale(parameters), gradient, residual)
    }
}
