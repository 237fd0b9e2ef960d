//! Low-rank adapters (Hu et al. 2021).

use super::kernel::{self, Side};
use super::{
    Array, GradSample, Initializer, Layout, Linear, PackedLayout, ParameterId, Parameters, Role,
    Tape,
};

/// Adds `scale x A^T B^T` to a linear layer, with PEFT's layouts: A is `[rank, inputs]`, B is `[outputs, rank]`.
#[derive(Debug, Clone)]
pub struct Lora {
    /// Place of the down projection A `[rank, inputs]`.
    pub a: ParameterId,
    /// Place of the up projection B `[outputs, rank]`, zero at first.
    pub b: ParameterId,
    /// `alpha / rank`, by which the adapter's output is multiplied.
    pub scale: f32,
}

impl Lora {
    /// Enters A (normal of deviation 1 / rank) and B (zero) for a layer under PEFT's names.
    pub fn enter(
        parameters: &mut Parameters,
        linear: &Linear,
        rank: usize,
        alpha: f64,
        random: &mut Initializer,
    ) -> Self {
        let [inputs, outputs] = linear.shape(parameters);
        let weight = &parameters.get(linear.weight).name;
        let layer = weight.strip_suffix(".weight").unwrap_or(weight).to_owned();
        let device = parameters.value(linear.weight).device();
        let down = random.normal(&[rank, inputs], 1.0 / rank as f64).on(device);
        let up = Array::zeros_on(&[outputs, rank], device);
        Self {
            a: parameters.add(format!("{layer}.lora_A.weight"), Role::Lora, down),
            b: parameters.add(format!("{layer}.lora_B.weight"), Role::Lora, up),
            scale: (alpha / rank as f64) as f32,
        }
    }

    fn reduced(&self, parameters: &Parameters, input: &Array) -> Array {
        let a = parameters.value(self.a);
        let mut reduced = kernel::matmul(input, Side::Plain, a, Side::Transposed);
        kernel::scale(&mut reduced, self.scale);
        reduced
    }

    /// Adds the adapter's part to the layer's `output` `[rows, outputs]`.
    pub fn add_forward(&self, parameters: &Parameters, input: &Array, output: &mut Array) {
        let reduced = self.reduced(parameters, input);
        let b = parameters.value(self.b);
        kernel::matmul_add(output, &reduced, Side::Plain, b, Side::Transposed);
    }

    /// Records the uses of A and B and adds to the gradient of the input.
    pub fn backward(
        &self,
        parameters: &Parameters,
        rows: &PackedLayout,
        input: &Array,
        gradient: &Array,
        input_gradient: &mut Array,
        tape: &mut Tape,
    ) {
        let (a, b) = (parameters.value(self.a), parameters.value(self.b));
        let mut reduced_gradient = kernel::matmul(gradient, Side::Plain, b, Side::Plain);
        kernel::scale(&mut reduced_gradient, self.scale);
        kernel::matmul_add(
            input_gradient,
            &reduced_gradient,
            Side::Plain,
            a,
            Side::Plain,
        );
        tape.record(parameters, self.b, || GradSample::Linear {
            parameter: self.b,
            layout: Layout::OutIn,
            rows: rows.clone(),
            input: self.reduced(parameters, input),
            gradient: gradient.clone(),
        });
        tape.record(parameters, self.a, || GradSample::Linear {
            parameter: self.a,
            layout: Layout::OutIn,
            rows: rows.clone(),
            input: input.clone(),
            gradient: reduced_gradient,
        });
    }

    /// Adds `scale B A` to a weight, after which the layer computes the same without its adapter.
    pub fn merge(&self, parameters: &mut Parameters, weight: ParameterId, layout: Layout) {
        let mut down = parameters.value(self.a).clone();
        kernel::scale(&mut down, self.scale);
        let up = parameters.value(self.b).clone();
        let weight = parameters.value_mut(weight);
        *weight = weight.widened();
        match layout {
            Layout::OutIn => kernel::matmul_add(weight, &up, Side::Plain, &down, Side::Plain),
            Layout::InOut => {
                kernel::matmul_add(weight, &down, Side::Transposed, &up, Side::Transposed);
            }
        }
    }
}
