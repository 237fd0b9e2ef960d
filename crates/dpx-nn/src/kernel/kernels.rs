//! The operations that layers are made of, as each place that computes them provides them.

use super::{Disentangled, Factor, Gelu, Heads, Normalized, SquaredNorms, Tied};
use crate::{Array, PackedLayout};

/// Operations on arrays that are all in one place: [`HostKernels`](super::HostKernels) on the host, `DeviceKernels` on devices.
///
/// The functions of [`kernel`](crate::kernel) say what each operation computes, and have checked the shapes.
pub(crate) trait Kernels {
    fn matmul(&self, a: Factor<'_>, b: Factor<'_>) -> Array;
    fn precise_matmul(&self, a: Factor<'_>, b: Factor<'_>) -> Array;
    fn matmul_add(&self, c: &mut Array, a: Factor<'_>, b: Factor<'_>);

    fn add_bias(&self, y: &mut Array, bias: &Array);
    fn add_bias_residual(&self, y: &mut Array, bias: &Array, x: &Array);
    fn add(&self, y: &mut Array, x: &Array);
    fn multiply(&self, y: &mut Array, x: &Array);
    fn scale(&self, y: &mut Array, factor: f32);

    fn scaled_rows(&self, x: &Array, factors: &[Option<f32>]) -> Array;
    fn gather_rows(&self, x: &Array, rows: &[usize]) -> Array;
    fn scatter_rows(&self, x: &Array, rows: &[usize], total: usize) -> Array;
    /// Arrays of `rows` rows side by side, `[rows, width]`.
    fn join_columns(&self, parts: &[&Array], shape: [usize; 2]) -> Array;
    /// Columns `from..from + count`, `[rows, count]`.
    fn columns(&self, x: &Array, from: usize, count: usize) -> Array;

    fn embedding(&self, table: &Array, ids: &[u32]) -> Array;
    fn embedding_add(&self, y: &mut Array, table: &Array, ids: &[u32]);
    fn scatter_add(&self, table: &mut Array, ids: &[u32], x: &Array, factors: &[Option<f32>]);

    fn gelu(&self, x: &Array, form: Gelu) -> Array;
    fn bias_gelu(&self, x: &mut Array, bias: &Array, form: Gelu) -> Array;
    fn gelu_backward(&self, x: &Array, gradient: &mut Array, form: Gelu);
    fn swiglu(&self, gate: &Array, up: &Array) -> Array;
    /// `[gate, up]`: the gradients of both, for that of `silu(gate) * up`.
    fn swiglu_backward(&self, gate: &Array, up: &Array, gradient: &Array) -> [Array; 2];
    fn relu(&self, x: &mut Array);
    fn relu_backward(&self, y: &Array, gradient: &mut Array);
    fn tanh(&self, x: &mut Array);
    fn tanh_backward(&self, y: &Array, gradient: &mut Array);

    fn layer_norm(
        &self,
        x: &Array,
        weight: &Array,
        bias: &Array,
        epsilon: f32,
    ) -> (Array, Normalized);
    fn rms_norm(&self, x: &Array, weight: &Array, epsilon: f32) -> (Array, Normalized);
    fn norm_backward(
        &self,
        saved: &Normalized,
        weight: &Array,
        gradient: &Array,
        residual: Option<&Array>,
    ) -> Array;

    /// The output and the probabilities.
    fn attention(
        &self,
        heads: &Heads,
        rows: &PackedLayout,
        qkv: &Array,
        bias: Option<&Array>,
    ) -> [Array; 2];
    fn attention_backward(
        &self,
        heads: &Heads,
        rows: &PackedLayout,
        qkv: &Array,
        probabilities: &Array,
        gradient: &Array,
    ) -> Array;
    /// The output and the probabilities, of `qkv` and places.
    fn disentangled(&self, over: Disentangled<'_>, inputs: [&Array; 2]) -> [Array; 2];
    /// Gradients of `qkv` and places, from both, the probabilities and the gradient of the output.
    fn disentangled_backward(&self, over: Disentangled<'_>, inputs: [&Array; 4]) -> [Array; 2];
    /// `angles` are cosines and sines `[positions, half]`; `sign` is 1, or -1 to rotate back.
    fn rotate(
        &self,
        heads: &Heads,
        qkv: &mut Array,
        positions: &[u32],
        angles: [&Array; 2],
        sign: f32,
    );
    /// Stores the keys (part 0) or values (part 1) of whole prompts.
    fn store_prompts(
        &self,
        heads: &Heads,
        rows: &PackedLayout,
        qkv: &Array,
        part: usize,
        cached: &mut Array,
    );
    fn attention_step(
        &self,
        heads: &Heads,
        lengths: &[usize],
        qkv: &Array,
        keys: &mut Array,
        values: &mut Array,
    ) -> Array;
    fn keep_rows(&self, cached: &mut Array, rows: &[usize], lengths: &[usize]);

    fn cross_entropy_with_gradient(
        &self,
        logits: &mut Array,
        targets: &[u32],
        weights: &[f32],
    ) -> Vec<f32>;
    fn cross_entropy(&self, logits: &Array, targets: &[u32]) -> Vec<f32>;

    fn column_sums(&self, rows: &PackedLayout, x: &Array) -> Array;
    fn product_sums(&self, rows: &PackedLayout, x: &Array, y: &Array) -> Array;
    fn weighted_sum(&self, out: &mut Array, x: &Array, factors: &[Option<f32>]);
    fn row_squared_norms(&self, x: &Array) -> SquaredNorms;
    fn linear_squared_norms(
        &self,
        rows: &PackedLayout,
        input: &Array,
        gradient: &Array,
    ) -> SquaredNorms;
    fn embedding_squared_norms(
        &self,
        rows: &PackedLayout,
        ids: &[u32],
        gradient: &Array,
    ) -> SquaredNorms;
    fn tied_products(&self, tied: Tied<'_>) -> SquaredNorms;
}
