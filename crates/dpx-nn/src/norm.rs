//! Layer norm and RMS norm as layers.

use super::kernel::{self, Normalized};
use super::{Array, GradSample, PackedLayout, ParameterId, Parameters, Tape};

/// Layer norm when it has a bias, RMS norm when not.
#[derive(Debug, Clone, Copy)]
pub struct Norm {
    /// Scale `[width]`.
    pub weight: ParameterId,
    /// Shift `[width]`: its presence makes this a layer norm.
    pub bias: Option<ParameterId>,
    /// Added to the variance or mean square.
    pub epsilon: f32,
}

impl Norm {
    /// A layer norm.
    pub const fn layer(weight: ParameterId, bias: ParameterId, epsilon: f32) -> Self {
        Self {
            weight,
            bias: Some(bias),
            epsilon,
        }
    }

    /// An RMS norm.
    pub const fn rms(weight: ParameterId, epsilon: f32) -> Self {
        Self {
            weight,
            bias: None,
            epsilon,
        }
    }

    /// The output, and what the backward pass needs.
    pub fn forward(&self, parameters: &Parameters, input: &Array) -> (Array, Normalized) {
        let weight = parameters.value(self.weight);
        match self.bias {
            Some(bias) => kernel::layer_norm(input, weight, parameters.value(bias), self.epsilon),
            None => kernel::rms_norm(input, weight, self.epsilon),
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
        kernel::norm_backward(saved, parameters.value(self.weight), gradient, residual)
    }
}
