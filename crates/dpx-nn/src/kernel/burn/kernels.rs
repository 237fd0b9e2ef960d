//! The operations of layers on devices: each takes the tensors out of its arrays and calls the kernel over tensors.
//!
//! Devices have no empty tensors, so that nothing is computed of empty arrays: [`tensors`] finds them. A result that an empty
//! operand leaves without a term is zero; what such an operand would be added to stays as it is.

use super::{
    activation, attention, decode, elementwise, example, loss, norm, precise, rotary, rounded,
};
use crate::device::Tensor;
use crate::kernel::{
    Disentangled, Factor, Gelu, Heads, Kernels, Normalized, Side, SquaredNorm, SquaredNorms, Tied,
};
use crate::{Array, PackedLayout};

/// Kernels for arrays on devices.
pub(crate) struct DeviceKernels;

/// The tensors of arrays, unless one of them is empty.
fn tensors<const N: usize>(arrays: [&Array; N]) -> Option<[Tensor<2>; N]> {
    let present: Vec<_> = arrays.into_iter().filter_map(Array::tensor).collect();
    present.try_into().ok()
}

/// Arrays of some shapes, made of the operands' tensors.
fn made_together<const N: usize, const M: usize>(
    operands: [&Array; N],
    shapes: [&[usize]; M],
    make: impl FnOnce([Tensor<2>; N]) -> [Tensor<2>; M],
) -> [Array; M] {
    let device = operands[0].device();
    let something = shapes.iter().all(|shape| !shape.contains(&0));
    match tensors(operands).filter(|_| something) {
        None => shapes.map(|shape| Array::zeros_on(shape, device)),
        Some(operands) => {
            let mut shapes = shapes.into_iter();
            make(operands).map(|tensor| {
                let shape = shapes.next().expect("a shape for each tensor");
                Array::from_tensor(tensor, shape, device)
            })
        }
    }
}

/// An array of some shape, made of the operands' tensors.
fn made<const N: usize>(
    operands: [&Array; N],
    shape: &[usize],
    make: impl FnOnce([Tensor<2>; N]) -> Tensor<2>,
) -> Array {
    let [array] = made_together(operands, [shape], |operands| [make(operands)]);
    array
}

/// Changes an array by the operands' tensors.
fn change<const N: usize>(
    array: &mut Array,
    operands: [&Array; N],
    change: impl FnOnce(Tensor<2>, [Tensor<2>; N]) -> Tensor<2>,
) {
    if let Some(operands) = tensors(operands) {
        array.change(|tensor| change(tensor, operands));
    }
}

/// The squared norms of `count` gradients, made of the operands' tensors.
fn squares<const N: usize>(
    operands: [&Array; N],
    count: usize,
    make: impl FnOnce([Tensor<2>; N]) -> example::SquaredNorms,
) -> SquaredNorms {
    let device = operands[0].device();
    match tensors(operands).map(make) {
        None => SquaredNorms::known(vec![SquaredNorm::default(); count]),
        Some(squares) => {
            let array = |tensor: Tensor<2>| {
                let shape = tensor.dims();
                Array::from_tensor(tensor, &shape, device)
            };
            let lengths = squares.lengths.map(array);
            SquaredNorms::in_parts(array(squares.parts), lengths, squares.error)
        }
    }
}

impl Factor<'_> {
    pub(super) fn sided(&self, tensor: Tensor<2>) -> Tensor<2> {
        match self.side {
            Side::Plain => tensor,
            Side::Transposed => tensor.transpose(),
        }
    }
}

/// The product, in bfloat16 where a factor asks for it.
fn product(a: Factor<'_>, b: Factor<'_>, [x, y]: [Tensor<2>; 2]) -> Tensor<2> {
    rounded::multiplied(a.sided(x), b.sided(y), rounded::in_bf16(a, b))
}

impl Kernels for DeviceKernels {
    fn matmul(&self, a: Factor<'_>, b: Factor<'_>) -> Array {
        let [m, k, n] = a.times(&b);
        if let Some(matrix) = b.array.rounded_tensor() {
            return made([a.array], &[m, n], |[x]| {
                rounded::product(a, b, matrix, x, [k, n])
            });
        }
        made([a.array, b.array], &[m, n], |factors| {
            product(a, b, factors)
        })
    }

    fn precise_matmul(&self, a: Factor<'_>, b: Factor<'_>) -> Array {
        let [m, _, n] = a.times(&b);
        made([a.array, b.array], &[m, n], |[x, y]| {
            precise::matmul(a.sided(x), b.sided(y))
        })
    }

    fn matmul_add(&self, c: &mut Array, a: Factor<'_>, b: Factor<'_>) {
        change(c, [a.array, b.array], |c, factors| {
            c + product(a, b, factors)
        });
    }

    fn multiply(&self, y: &mut Array, x: &Array) {
        change(y, [x], |y, [x]| y * x);
    }

    fn add_bias(&self, y: &mut Array, bias: &Array) {
        change(y, [bias], |y, [bias]| y + bias);
    }

    fn add_bias_residual(&self, y: &mut Array, bias: &Array, x: &Array) {
        change(y, [bias, x], |y, [bias, x]| y + bias + x);
    }

    fn add(&self, y: &mut Array, x: &Array) {
        change(y, [x], |y, [x]| y + x);
    }

    fn scale(&self, y: &mut Array, factor: f32) {
        change(y, [], |y, []| y * factor);
    }

    fn scaled_rows(&self, x: &Array, factors: &[Option<f32>]) -> Array {
        made([x], x.shape(), |[x]| elementwise::scaled_rows(x, factors))
    }

    fn gather_rows(&self, x: &Array, rows: &[usize]) -> Array {
        made([x], &[rows.len(), x.width()], |[x]| {
            elementwise::gather_rows(x, rows)
        })
    }

    fn scatter_rows(&self, x: &Array, rows: &[usize], total: usize) -> Array {
        made([x], &[total, x.width()], |[x]| {
            elementwise::scatter_rows(x, rows, total)
        })
    }

    fn join_columns(&self, parts: &[&Array], shape: [usize; 2]) -> Array {
        let device = parts[0].device();
        let tensors: Vec<_> = parts.iter().filter_map(|part| part.tensor()).collect();
        if tensors.is_empty() {
            return Array::zeros_on(&shape, device);
        }
        Array::from_tensor(elementwise::join_columns(tensors), &shape, device)
    }

    fn columns(&self, x: &Array, from: usize, count: usize) -> Array {
        made([x], &[x.rows(), count], |[x]| {
            elementwise::columns(x, from, count)
        })
    }

    fn embedding(&self, table: &Array, ids: &[u32]) -> Array {
        let shape = [ids.len(), table.width()];
        if let Some(matrix) = table.rounded_tensor().filter(|_| !ids.is_empty()) {
            let device = table.device();
            let rows = elementwise::rounded_embedding(matrix, ids);
            return Array::from_tensor(rows, &shape, device);
        }
        made([table], &shape, |[table]| {
            elementwise::embedding(table, ids)
        })
    }

    fn embedding_add(&self, y: &mut Array, table: &Array, ids: &[u32]) {
        if table.is_rounded() {
            return self.add(y, &self.embedding(table, ids));
        }
        change(y, [table], |y, [table]| {
            y + elementwise::embedding(table, ids)
        });
    }

    fn scatter_add(&self, table: &mut Array, ids: &[u32], x: &Array, factors: &[Option<f32>]) {
        change(table, [x], |table, [x]| {
            elementwise::scatter_add(table, ids, x, factors)
        });
    }

    fn gelu(&self, x: &Array, form: Gelu) -> Array {
        made([x], x.shape(), |[x]| activation::gelu(x, form))
    }

    fn bias_gelu(&self, x: &mut Array, bias: &Array, form: Gelu) -> Array {
        self.add_bias(x, bias);
        self.gelu(x, form)
    }

    fn gelu_backward(&self, x: &Array, gradient: &mut Array, form: Gelu) {
        change(gradient, [x], |gradient, [x]| {
            activation::gelu_backward(x, gradient, form)
        });
    }

    fn swiglu(&self, gate: &Array, up: &Array) -> Array {
        made([gate, up], gate.shape(), |[gate, up]| {
            activation::swiglu(gate, up)
        })
    }

    fn swiglu_backward(&self, gate: &Array, up: &Array, gradient: &Array) -> [Array; 2] {
        made_together(
            [gate, up, gradient],
            [gate.shape(); 2],
            |[gate, up, gradient]| activation::swiglu_backward(gate, up, gradient).into(),
        )
    }

    fn relu(&self, x: &mut Array) {
        change(x, [], |x, []| activation::relu(x));
    }

    fn relu_backward(&self, y: &Array, gradient: &mut Array) {
        change(gradient, [y], |gradient, [y]| {
            activation::relu_backward(y, gradient)
        });
    }

    fn tanh(&self, x: &mut Array) {
        change(x, [], |x, []| activation::tanh(x));
    }

    fn tanh_backward(&self, y: &Array, gradient: &mut Array) {
        change(gradient, [y], |gradient, [y]| {
            activation::tanh_backward(y, gradient)
        });
    }

    fn layer_norm(
        &self,
        x: &Array,
        weight: &Array,
        bias: &Array,
        epsilon: f32,
    ) -> (Array, Normalized) {
        normalized([x, weight, bias], true, |[x, weight, bias]| {
            norm::forward(x, weight, Some(bias), epsilon)
        })
    }

    fn rms_norm(&self, x: &Array, weight: &Array, epsilon: f32) -> (Array, Normalized) {
        normalized([x, weight], false, |[x, weight]| {
            norm::forward(x, weight, None, epsilon)
        })
    }

    fn norm_backward(
        &self,
        saved: &Normalized,
        weight: &Array,
        gradient: &Array,
        residual: Option<&Array>,
    ) -> Array {
        let operands = [gradient, &saved.values, &saved.inverse, weight];
        made(
            operands,
            saved.values.shape(),
            |[gradient, normalized, inverse, weight]| {
                let saved = norm::Backward {
                    gradient,
                    normalized,
                    inverse,
                    weight,
                    centered: saved.centered,
                };
                norm::backward(saved, residual.and_then(Array::tensor))
            },
        )
    }

    fn attention(
        &self,
        heads: &Heads,
        rows: &PackedLayout,
        qkv: &Array,
        bias: Option<&Array>,
    ) -> [Array; 2] {
        let max_seq_len = rows.lengths().max().unwrap_or(0);
        let out = [rows.count(), heads.out_width()];
        let probabilities = [rows.batch() * heads.heads * max_seq_len, max_seq_len];
        made_together([qkv], [&out, &probabilities], |[qkv]| {
            let bias = bias.and_then(|bias| {
                let (values, size) = (bias.tensor()?, bias.width());
                Some(attention::ScoreBias { values, size })
            });
            attention::forward(heads, &rows.padding(&qkv.device()), qkv, bias).into()
        })
    }

    fn attention_backward(
        &self,
        heads: &Heads,
        rows: &PackedLayout,
        qkv: &Array,
        probabilities: &Array,
        gradient: &Array,
    ) -> Array {
        let operands = [qkv, probabilities, gradient];
        made(operands, qkv.shape(), |[qkv, probabilities, gradient]| {
            let padding = rows.padding(&qkv.device());
            attention::backward(heads, &padding, qkv, probabilities, gradient)
        })
    }

    fn disentangled(&self, over: Disentangled<'_>, inputs: [&Array; 2]) -> [Array; 2] {
        let Disentangled { heads, rows, .. } = over;
        let max_seq_len = rows.lengths().max().unwrap_or(0);
        let out = [rows.count(), heads.out_width()];
        let probabilities = [rows.batch() * heads.heads * max_seq_len, max_seq_len];
        made_together(inputs, [&out, &probabilities], |inputs| {
            super::disentangled::Meetings::new(over, &inputs[0].device()).forward(inputs)
        })
    }

    fn disentangled_backward(&self, over: Disentangled<'_>, inputs: [&Array; 4]) -> [Array; 2] {
        let shapes = [inputs[0].shape(), inputs[1].shape()];
        made_together(inputs, shapes, |inputs| {
            super::disentangled::Meetings::new(over, &inputs[0].device()).backward(inputs)
        })
    }

    fn rotate(
        &self,
        heads: &Heads,
        qkv: &mut Array,
        positions: &[u32],
        angles: [&Array; 2],
        sign: f32,
    ) {
        change(qkv, angles, |qkv, angles| {
            rotary::rotate(heads, qkv, positions, angles, sign)
        });
    }

    fn store_prompts(
        &self,
        heads: &Heads,
        rows: &PackedLayout,
        qkv: &Array,
        part: usize,
        cached: &mut Array,
    ) {
        change(cached, [qkv], |cached, [qkv]| {
            decode::store(heads, &rows.padding(&qkv.device()), qkv, part, cached)
        });
    }

    fn attention_step(
        &self,
        heads: &Heads,
        lengths: &[usize],
        qkv: &Array,
        keys: &mut Array,
        values: &mut Array,
    ) -> Array {
        let out = [lengths.len(), heads.out_width()];
        let shapes = [&out[..], keys.shape(), values.shape()];
        let [out, new_keys, new_values] =
            made_together([qkv, keys, values], shapes, |[qkv, keys, values]| {
                decode::step(heads, lengths, qkv, keys, values)
            });
        (*keys, *values) = (new_keys, new_values);
        out
    }

    fn keep_rows(&self, cached: &mut Array, rows: &[usize], _: &[usize]) {
        let [batch, capacity, width] = [cached.shape()[0], cached.shape()[1], cached.width()];
        let flat = cached.clone().reshape(&[batch, capacity * width]);
        *cached = self
            .gather_rows(&flat, rows)
            .reshape(&[rows.len(), capacity, width]);
    }

    fn cross_entropy_with_gradient(
        &self,
        logits: &mut Array,
        targets: &[u32],
        weights: &[f32],
    ) -> Vec<f32> {
        let mut losses = Array::zeros(&[targets.len(), 1]);
        let (shape, device) = (losses.shape().to_vec(), logits.device());
        change(logits, [], |logits, []| {
            let (gradient, of_rows) = loss::with_gradient(logits, targets, weights);
            losses = Array::from_tensor(of_rows, &shape, device);
            gradient
        });
        losses.to_vec()
    }

    fn cross_entropy(&self, logits: &Array, targets: &[u32]) -> Vec<f32> {
        let losses = made([logits], &[targets.len(), 1], |[logits]| {
            loss::without_gradient(logits, targets)
        });
        losses.to_vec()
    }

    fn column_sums(&self, rows: &PackedLayout, x: &Array) -> Array {
        made([x], &[rows.batch(), x.width()], |[x]| {
            example::column_sums(&rows.padding(&x.device()), x)
        })
    }

    fn product_sums(&self, rows: &PackedLayout, x: &Array, y: &Array) -> Array {
        made([x, y], &[rows.batch(), x.width()], |[x, y]| {
            example::column_sums(&rows.padding(&x.device()), x * y)
        })
    }

    fn weighted_sum(&self, out: &mut Array, x: &Array, factors: &[Option<f32>]) {
        change(out, [x], |out, [x]| example::weighted_sum(out, x, factors));
    }

    fn row_squared_norms(&self, x: &Array) -> SquaredNorms {
        squares([x], x.rows(), |[x]| example::row_squared_norms(x))
    }

    fn linear_squared_norms(
        &self,
        rows: &PackedLayout,
        input: &Array,
        gradient: &Array,
    ) -> SquaredNorms {
        squares([input, gradient], rows.batch(), |[input, gradient]| {
            example::linear_squared_norms(&rows.padding(&input.device()), input, gradient)
        })
    }

    fn embedding_squared_norms(
        &self,
        rows: &PackedLayout,
        ids: &[u32],
        gradient: &Array,
    ) -> SquaredNorms {
        squares([gradient], rows.batch(), |[gradient]| {
            let padding = rows.padding(&gradient.device());
            example::embedding_squared_norms(&padding, rows.offsets(), ids, gradient)
        })
    }

    fn tied_products(&self, tied: Tied<'_>) -> SquaredNorms {
        let operands = [tied.input, tied.logits_gradient, tied.embedding_gradient];
        squares(operands, tied.linear_rows.batch(), |operands| {
            let [input, logits_gradient, embedding_gradient] = operands;
            let device = input.device();
            example::tied_products(example::Tied {
                linear: &tied.linear_rows.padding(&device),
                linear_offsets: tied.linear_rows.offsets(),
                input,
                logits_gradient,
                embedding: &tied.embedding_rows.padding(&device),
                embedding_offsets: tied.embedding_rows.offsets(),
                ids: tied.ids,
                embedding_gradient,
            })
        })
    }
}

/// The output of a norm of `operands[0]` and what its backward pass needs.
fn normalized<const N: usize>(
    operands: [&Array; N],
    centered: bool,
    make: impl FnOnce([Tensor<2>; N]) -> norm::Forward,
) -> (Array, Normalized) {
    let x = operands[0];
    let shapes = [x.shape(), x.shape(), &[x.rows(), 1]];
    let [output, values, inverse] = made_together(operands, shapes, |operands| {
        let made = make(operands);
        [made.output, made.normalized, made.inverse]
    });
    let saved = Normalized {
        values,
        inverse,
        centered,
    };
    (output, saved)
}
