//! The linear layer, with a low-rank adapter where there is one.

use super::kernel::{self, Side};
use super::{Array, GradSample, Layout, Lora, PackedLayout, ParameterId, Parameters, Tape};

/// `y = x W (+ bias)`, plus `scale x A B` when it carries an adapter.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Linear {
    /// Place of the weight, stored as `layout` says.
    pub weight: ParameterId,
    /// Place of the bias `[outputs]`, where the layer has one.
    pub bias: Option<ParameterId>,
    pub layout: Layout,
    /// The adapter, where one was entered.
    pub lora: Option<Lora>,
}

impl Linear {
    /// A layer over parameters that were entered before, without an adapter.
    pub const fn new(weight: ParameterId, bias: Option<ParameterId>, layout: Layout) -> Self {
        Self {
            weight,
            bias,
            layout,
            lora: None,
        }
    }

    /// `[inputs, outputs]`, whatever the layout.
    pub fn shape(&self, parameters: &Parameters) -> [usize; 2] {
        let weight = parameters.value(self.weight);
        match self.layout {
            Layout::InOut => [weight.rows(), weight.width()],
            Layout::OutIn => [weight.width(), weight.rows()],
        }
    }

    /// The output `[rows, outputs]`, bias included.
    pub fn forward(&self, parameters: &Parameters, input: &Array) -> Array {
        let mut output = self.forward_without_bias(parameters, input);
        if let Some(bias) = self.bias {
            kernel::add_bias(&mut output, parameters.value(bias));
        }
        output
    }

    /// The output plus a residual, bias included.
    pub(crate) fn forward_residual(
        &self,
        parameters: &Parameters,
        input: &Array,
        residual: &Array,
    ) -> Array {
        let mut output = self.forward_without_bias(parameters, input);
        match self.bias {
            Some(bias) => {
                kernel::add_bias_residual(&mut output, parameters.value(bias), residual);
            }
            None => kernel::add(&mut output, residual),
        }
        output
    }

    /// The output without the bias, for callers that add it together with what comes next.
    pub(crate) fn forward_without_bias(&self, parameters: &Parameters, input: &Array) -> Array {
        let weight = parameters.value(self.weight);
        let side = match self.layout {
            Layout::InOut => Side::Plain,
            Layout::OutIn => Side::Transposed,
        };
        let mut output = kernel::matmul(input, Side::Plain, weight, side);
        if let Some(lora) = &self.lora {
            lora.add_forward(parameters, input, &mut output);
        }
        output
    }

    /// Records the uses of weight and bias; returns the gradient of the input.
    pub fn backward(
        &self,
        parameters: &Parameters,
        rows: &PackedLayout,
        input: &Array,
        gradient: &Array,
        tape: &mut Tape,
    ) -> Array {
        self.record(parameters, rows, input, gradient, tape);
        let weight = parameters.value(self.weight);
        let side = match self.layout {
            Layout::InOut => Side::Transposed,
            Layout::OutIn => Side::Plain,
        };
        let mut input_gradient = kernel::matmul(gradient, Side::Plain, weight, side);
        if let Some(lora) = &self.lora {
            lora.backward(parameters, rows, input, gradient, &mut input_gradient, tape);
        }
        input_gradient
    }

    fn record(
        &self,
        parameters: &Parameters,
        rows: &PackedLayout,
        input: &Array,
        gradient: &Array,
        tape: &mut Tape,
    ) {
        tape.record(parameters, self.weight, || GradSample::Linear {
            parameter: self.weight,
            layout: self.layout,
            rows: rows.clone(),
            input: input.clone(),
            gradient: gradient.clone(),
        });
        if let Some(bias) = self.bias {
            tape.record(parameters, bias, || GradSample::PerExample {
                parameter: bias,
                gradient: kernel::column_sums(rows, gradient),
            });
        }
    }
}
