//! The operations of layers on the host: each takes buffers for its results and calls the kernel over slices.

use super::matmul::{Matrix, Threads, matmul};
use super::{
    activation, attention, decode, disentangled, elementwise, embedding, example, loss, norm,
    rotary, rounded,
};
use crate::kernel::{
    Disentangled, Factor, Gelu, Heads, Kernels, Normalized, Side, SquaredNorm, SquaredNorms, Tied,
};
use crate::pool::Buffer;
use crate::{Array, PackedLayout};

/// Kernels for arrays on the host.
pub(crate) struct HostKernels;

/// An array of some shape that `fill` overwrites.
fn made(shape: &[usize], fill: impl FnOnce(&mut [f32])) -> Array {
    let mut values = Buffer::stale(shape.iter().product());
    fill(&mut values);
    Array::from_buffer(values, shape)
}

impl Factor<'_> {
    pub(super) fn view(&self) -> Matrix<'_> {
        match self.side {
            Side::Plain => Matrix::new(self.array.host(), self.array.width()),
            Side::Transposed => Matrix::transposed(self.array.host(), self.array.width()),
        }
    }
}

impl Kernels for HostKernels {
    fn matmul(&self, a: Factor<'_>, b: Factor<'_>) -> Array {
        let dims @ [m, _, n] = a.times(&b);
        made(&[m, n], |c| match b.array.as_rounded() {
            Some(matrix) => rounded::multiply(a, matrix, b.side, c, false),
            None => matmul(dims, a.view(), b.view(), c, n, false, Threads::All),
        })
    }

    fn precise_matmul(&self, a: Factor<'_>, b: Factor<'_>) -> Array {
        self.matmul(a, b)
    }

    fn matmul_add(&self, c: &mut Array, a: Factor<'_>, b: Factor<'_>) {
        let dims @ [_, _, n] = a.times(&b);
        if let Some(matrix) = b.array.as_rounded() {
            return rounded::multiply(a, matrix, b.side, c.host_mut(), true);
        }
        matmul(
            dims,
            a.view(),
            b.view(),
            c.host_mut(),
            n,
            true,
            Threads::All,
        );
    }

    fn multiply(&self, y: &mut Array, x: &Array) {
        elementwise::multiply(y.host_mut(), x.host());
    }

    fn add_bias(&self, y: &mut Array, bias: &Array) {
        elementwise::add_bias(y.host_mut(), bias.host());
    }

    fn add_bias_residual(&self, y: &mut Array, bias: &Array, x: &Array) {
        elementwise::add_bias_residual(y.host_mut(), bias.host(), x.host());
    }

    fn add(&self, y: &mut Array, x: &Array) {
        elementwise::add(y.host_mut(), x.host());
    }

    fn scale(&self, y: &mut Array, factor: f32) {
        elementwise::scale(y.host_mut(), factor);
    }

    fn scaled_rows(&self, x: &Array, factors: &[Option<f32>]) -> Array {
        made(x.shape(), |y| {
            elementwise::scaled_rows(y, x.host(), x.width(), factors);
        })
    }

    fn gather_rows(&self, x: &Array, rows: &[usize]) -> Array {
        let width = x.width();
        made(&[rows.len(), width], |y| {
            elementwise::gather_rows(y, x.host(), width, rows);
        })
    }

    fn scatter_rows(&self, x: &Array, rows: &[usize], total: usize) -> Array {
        let width = x.width();
        made(&[total, width], |y| {
            elementwise::scatter_rows(y, x.host(), width, rows);
        })
    }

    fn join_columns(&self, parts: &[&Array], shape: [usize; 2]) -> Array {
        made(&shape, |y| {
            let mut to = 0;
            for part in parts {
                let columns = part.width();
                let place = [shape[1], to];
                elementwise::copy_columns(y, place, part.host(), [columns, 0], columns);
                to += columns;
            }
        })
    }

    fn columns(&self, x: &Array, from: usize, count: usize) -> Array {
        made(&[x.rows(), count], |y| {
            elementwise::copy_columns(y, [count, 0], x.host(), [x.width(), from], count);
        })
    }

    fn embedding(&self, table: &Array, ids: &[u32]) -> Array {
        let width = table.width();
        made(&[ids.len(), width], |y| match table.as_rounded() {
            Some(matrix) => matrix.gather(ids, y),
            None => embedding::gather(table.host(), width, ids, y, false),
        })
    }

    fn embedding_add(&self, y: &mut Array, table: &Array, ids: &[u32]) {
        if table.is_rounded() {
            return self.add(y, &self.embedding(table, ids));
        }
        embedding::gather(table.host(), table.width(), ids, y.host_mut(), true);
    }

    fn scatter_add(&self, table: &mut Array, ids: &[u32], x: &Array, factors: &[Option<f32>]) {
        let width = table.width();
        embedding::scatter_add(table.host_mut(), width, ids, x.host(), factors);
    }

    fn gelu(&self, x: &Array, form: Gelu) -> Array {
        made(x.shape(), |y| {
            activation::gelu(x.host(), y, form == Gelu::Tanh);
        })
    }

    fn bias_gelu(&self, x: &mut Array, bias: &Array, form: Gelu) -> Array {
        let shape = x.shape().to_vec();
        made(&shape, |y| {
            activation::bias_gelu(x.host_mut(), bias.host(), y, form == Gelu::Tanh);
        })
    }

    fn gelu_backward(&self, x: &Array, gradient: &mut Array, form: Gelu) {
        activation::gelu_backward(x.host(), gradient.host_mut(), form == Gelu::Tanh);
    }

    fn swiglu(&self, gate: &Array, up: &Array) -> Array {
        made(gate.shape(), |y| {
            activation::swiglu(gate.host(), up.host(), y);
        })
    }

    fn swiglu_backward(&self, gate: &Array, up: &Array, gradient: &Array) -> [Array; 2] {
        let (mut dgate, mut dup) = (Buffer::stale(gate.len()), Buffer::stale(gate.len()));
        let inputs = [gate.host(), up.host(), gradient.host()];
        activation::swiglu_backward(inputs, &mut dgate, &mut dup);
        [dgate, dup].map(|values| Array::from_buffer(values, gate.shape()))
    }

    fn relu(&self, x: &mut Array) {
        activation::relu(x.host_mut());
    }

    fn relu_backward(&self, y: &Array, gradient: &mut Array) {
        activation::relu_backward(y.host(), gradient.host_mut());
    }

    fn tanh(&self, x: &mut Array) {
        activation::tanh(x.host_mut());
    }

    fn tanh_backward(&self, y: &Array, gradient: &mut Array) {
        activation::tanh_backward(y.host(), gradient.host_mut());
    }

    fn layer_norm(
        &self,
        x: &Array,
        weight: &Array,
        bias: &Array,
        epsilon: f32,
    ) -> (Array, Normalized) {
        let parameters = [weight.host(), bias.host()];
        normalized(x, true, |values, inverse, y| {
            norm::layer_norm(x.host(), parameters, epsilon, values, inverse, y);
        })
    }

    fn rms_norm(&self, x: &Array, weight: &Array, epsilon: f32) -> (Array, Normalized) {
        normalized(x, false, |values, inverse, y| {
            norm::rms_norm(x.host(), weight.host(), epsilon, values, inverse, y);
        })
    }

    fn norm_backward(
        &self,
        saved: &Normalized,
        weight: &Array,
        gradient: &Array,
        residual: Option<&Array>,
    ) -> Array {
        let slices = norm::Backward {
            gradient: gradient.host(),
            normalized: saved.values.host(),
            inverse: saved.inverse.host(),
            weight: weight.host(),
            centered: saved.centered,
        };
        made(saved.values.shape(), |dx| {
            norm::backward(slices, residual.map(Array::host), dx);
        })
    }

    fn attention(
        &self,
        heads: &Heads,
        rows: &PackedLayout,
        qkv: &Array,
        bias: Option<&Array>,
    ) -> [Array; 2] {
        let offsets = rows.offsets();
        let ends = attention::probability_offsets(heads, offsets);
        let count = ends.last().copied().unwrap_or(0);
        let mut out = Buffer::stale(rows.count() * heads.out_width());
        let mut probabilities = Buffer::stale(count);
        let bias = bias.map(|bias| attention::ScoreBias {
            values: bias.host(),
            size: bias.width(),
        });
        attention::forward(
            heads,
            offsets,
            qkv.host(),
            bias,
            &mut out,
            &mut probabilities,
        );
        [
            Array::from_buffer(out, &[rows.count(), heads.out_width()]),
            Array::from_buffer(probabilities, &[count]),
        ]
    }

    fn attention_backward(
        &self,
        heads: &Heads,
        rows: &PackedLayout,
        qkv: &Array,
        probabilities: &Array,
        gradient: &Array,
    ) -> Array {
        let inputs = [qkv.host(), probabilities.host(), gradient.host()];
        made(qkv.shape(), |dqkv| {
            attention::backward(heads, rows.offsets(), inputs, dqkv);
        })
    }

    fn disentangled(&self, over: Disentangled<'_>, inputs: [&Array; 2]) -> [Array; 2] {
        let Disentangled { heads, rows, .. } = over;
        let ends = attention::probability_offsets(heads, rows.offsets());
        let count = ends.last().copied().unwrap_or(0);
        let mut out = Buffer::stale(rows.count() * heads.out_width());
        let mut probabilities = Buffer::stale(count);
        disentangled::forward(
            over,
            inputs.map(Array::host),
            [&mut out, &mut probabilities],
        );
        [
            Array::from_buffer(out, &[rows.count(), heads.out_width()]),
            Array::from_buffer(probabilities, &[count]),
        ]
    }

    fn disentangled_backward(&self, over: Disentangled<'_>, inputs: [&Array; 4]) -> [Array; 2] {
        let [qkv, places, ..] = inputs;
        let mut dqkv = Buffer::stale(qkv.len());
        let dplaces = made(places.shape(), |dplaces| {
            disentangled::backward(over, inputs.map(Array::host), [&mut dqkv, dplaces]);
        });
        [Array::from_buffer(dqkv, qkv.shape()), dplaces]
    }

    fn rotate(
        &self,
        heads: &Heads,
        qkv: &mut Array,
        positions: &[u32],
        angles: [&Array; 2],
        sign: f32,
    ) {
        rotary::rotate(
            heads,
            qkv.host_mut(),
            positions,
            angles[0].width(),
            angles.map(Array::host),
            sign,
        );
    }

    fn store_prompts(
        &self,
        heads: &Heads,
        rows: &PackedLayout,
        qkv: &Array,
        part: usize,
        cached: &mut Array,
    ) {
        decode::store(heads, rows.offsets(), qkv.host(), part, cached.host_mut());
    }

    fn attention_step(
        &self,
        heads: &Heads,
        lengths: &[usize],
        qkv: &Array,
        keys: &mut Array,
        values: &mut Array,
    ) -> Array {
        let capacity = keys.shape()[1];
        made(&[lengths.len(), heads.out_width()], |out| {
            let cached = [keys.host_mut(), values.host_mut()];
            decode::step(heads, lengths, qkv.host(), cached, capacity, out);
        })
    }

    fn keep_rows(&self, cached: &mut Array, rows: &[usize], lengths: &[usize]) {
        let [capacity, width] = [cached.shape()[1], cached.width()];
        if rows.is_sorted_by(|one, other| one < other) {
            decode::move_up(cached.host_mut(), rows, lengths, [capacity, width]);
        } else {
            let per_row = capacity * width;
            *cached = made(&[rows.len(), capacity, width], |kept| {
                elementwise::gather_rows(kept, cached.host(), per_row, rows);
            });
        }
    }

    fn cross_entropy_with_gradient(
        &self,
        logits: &mut Array,
        targets: &[u32],
        weights: &[f32],
    ) -> Vec<f32> {
        let mut losses = vec![0.0; targets.len()];
        loss::with_gradient(logits.host_mut(), targets, weights, &mut losses);
        losses
    }

    fn cross_entropy(&self, logits: &Array, targets: &[u32]) -> Vec<f32> {
        let mut losses = vec![0.0; targets.len()];
        loss::without_gradient(logits.host(), targets, &mut losses);
        losses
    }

    fn column_sums(&self, rows: &PackedLayout, x: &Array) -> Array {
        made(&[rows.batch(), x.width()], |sums| {
            example::column_sums(rows.offsets(), x.host(), x.width(), sums);
        })
    }

    fn product_sums(&self, rows: &PackedLayout, x: &Array, y: &Array) -> Array {
        made(&[rows.batch(), x.width()], |sums| {
            example::product_sums(rows.offsets(), [x.host(), y.host()], x.width(), sums);
        })
    }

    fn weighted_sum(&self, out: &mut Array, x: &Array, factors: &[Option<f32>]) {
        example::weighted_sum(x.host(), x.width(), factors, out.host_mut());
    }

    fn row_squared_norms(&self, x: &Array) -> SquaredNorms {
        let squares = example::row_squared_norms(x.host(), x.width()).into_iter();
        let squared = |value| SquaredNorm {
            value,
            magnitude: value,
            error: 0.0,
        };
        SquaredNorms::known(squares.map(squared).collect())
    }

    fn linear_squared_norms(
        &self,
        rows: &PackedLayout,
        input: &Array,
        gradient: &Array,
    ) -> SquaredNorms {
        let factors = [input.host(), gradient.host()];
        let widths = [input.width(), gradient.width()];
        SquaredNorms::known(example::linear_squared_norms(
            rows.offsets(),
            factors,
            widths,
        ))
    }

    fn embedding_squared_norms(
        &self,
        rows: &PackedLayout,
        ids: &[u32],
        gradient: &Array,
    ) -> SquaredNorms {
        let (values, width) = (gradient.host(), gradient.width());
        SquaredNorms::known(example::embedding_squared_norms(
            rows.offsets(),
            ids,
            values,
            width,
        ))
    }

    fn tied_products(&self, tied: Tied<'_>) -> SquaredNorms {
        let products = example::tied_products(example::Tied {
            linear_offsets: tied.linear_rows.offsets(),
            input: tied.input.host(),
            logits_gradient: tied.logits_gradient.host(),
            embedding_offsets: tied.embedding_rows.offsets(),
            ids: tied.ids,
            embedding_gradient: tied.embedding_gradient.host(),
            width: tied.input.width(),
            vocabulary: tied.logits_gradient.width(),
        });
        let product = |value| SquaredNorm {
            value,
            ..SquaredNorm::default()
        };
        SquaredNorms::known(products.into_iter().map(product).collect())
    }
}

/// The output of a norm and what its backward pass needs; `fill` overwrites normalized values, inverse deviations and output.
fn normalized(
    x: &Array,
    centered: bool,
    fill: impl FnOnce(&mut [f32], &mut [f32], &mut [f32]),
) -> (Array, Normalized) {
    let (mut values, mut y) = (Buffer::stale(x.len()), Buffer::stale(x.len()));
    let mut inverse = Buffer::stale(x.rows());
    fill(&mut values, &mut inverse, &mut y);
    let saved = Normalized {
        values: Array::from_buffer(values, x.shape()),
        inverse: Array::from_buffer(inverse, &[x.rows()]),
        centered,
    };
    (Array::from_buffer(y, x.shape()), saved)
}
