//! The oracle: the gradient of one example by burn's automatic differentiation on burn-flex, in f64.
//!
//! Nothing of `nn` computes here but names and shapes of parameters are read from its registry. One example at a time,
//! every formula as its paper writes it, lookups as products with one-hot rows.

use burn::tensor::{DType, TensorData};
use burn_dispatch::DispatchDevice;
use burn_flex::FlexDevice;
use dpx_nn::device::Tensor;
use dpx_nn::kernel::Heads;
use dpx_nn::{Layout, Parameters};

/// The parameters of a registry as leaves of the graph.
pub(super) struct Leaves {
    device: DispatchDevice,
    list: Vec<Leaf>,
}

struct Leaf {
    name: String,
    shape: Vec<usize>,
    trainable: bool,
    tensor: Tensor<1>,
}

impl Leaves {
    pub(super) fn new(parameters: &Parameters) -> Self {
        let device = DispatchDevice::autodiff(FlexDevice);
        let list = parameters
            .iter()
            .map(|(_, parameter)| {
                let values: Vec<f64> = parameter
                    .value
                    .host()
                    .iter()
                    .copied()
                    .map(f64::from)
                    .collect();
                let length = values.len();
                let data = TensorData::new(values, [length]);
                Leaf {
                    name: parameter.name.clone(),
                    shape: parameter.value.shape().to_vec(),
                    trainable: parameter.trainable,
                    tensor: Tensor::<1>::from_data(data, (&device, DType::F64)).require_grad(),
                }
            })
            .collect();
        Self { device, list }
    }

    fn find(&self, name: &str) -> Option<&Leaf> {
        self.list.iter().find(|leaf| leaf.name == name)
    }

    pub(super) fn vector(&self, name: &str) -> Tensor<1> {
        self.find(name)
            .unwrap_or_else(|| panic!("no `{name}`"))
            .tensor
            .clone()
    }

    pub(super) fn matrix(&self, name: &str) -> Tensor<2> {
        self.matrix_if_any(name)
            .unwrap_or_else(|| panic!("no `{name}`"))
    }

    fn matrix_if_any(&self, name: &str) -> Option<Tensor<2>> {
        self.find(name)
            .map(|leaf| leaf.tensor.clone().reshape([leaf.shape[0], leaf.shape[1]]))
    }

    pub(super) fn constant(&self, values: Vec<f64>, shape: [usize; 2]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values, shape), (&self.device, DType::F64))
    }

    /// Row r is all zero but for a one at `ids[r]`.
    pub(super) fn one_hot(&self, ids: &[u32], count: usize) -> Tensor<2> {
        let mut values = vec![0.0; ids.len() * count];
        for (row, &id) in ids.iter().enumerate() {
            values[row * count + id as usize] = 1.0;
        }
        self.constant(values, [ids.len(), count])
    }

    /// The rows of a table.
    pub(super) fn lookup(&self, table: &str, ids: &[u32]) -> Tensor<2> {
        let table = self.matrix(table);
        let [count, _] = table.dims();
        self.one_hot(ids, count).matmul(table)
    }

    /// `x W (+ bias)` and, where there is an adapter, `scale x A^T B^T`. `name` is that of the layer.
    pub(super) fn linear(
        &self,
        name: &str,
        layout: Layout,
        lora_scale: f64,
        x: Tensor<2>,
    ) -> Tensor<2> {
        let weight = self.matrix(&format!("{name}.weight"));
        let weight = match layout {
            Layout::InOut => weight,
            Layout::OutIn => weight.transpose(),
        };
        let mut y = x.clone().matmul(weight);
        if let Some(bias) = self.find(&format!("{name}.bias")) {
            y = y + bias.tensor.clone().unsqueeze::<2>();
        }
        if let Some(down) = self.matrix_if_any(&format!("{name}.lora_A.weight")) {
            let up = self.matrix(&format!("{name}.lora_B.weight"));
            y = y + x.matmul(down.transpose()).matmul(up.transpose()) * lora_scale;
        }
        y
    }

    /// The loss, and its gradient for every trainable parameter in the order of the registry; zeros where there is no loss.
    pub(super) fn gradient(&self, loss: Option<Tensor<1>>) -> (f64, Vec<Vec<f64>>) {
        let trainable = self.list.iter().filter(|leaf| leaf.trainable);
        let Some(loss) = loss else {
            return (
                0.0,
                trainable
                    .map(|leaf| vec![0.0; leaf.shape.iter().product()])
                    .collect(),
            );
        };
        let value = loss.to_data().to_vec::<f64>().unwrap()[0];
        let gradients = loss.backward();
        let of = |leaf: &Leaf| match leaf.tensor.grad(&gradients) {
            Some(gradient) => gradient.into_data().to_vec::<f64>().unwrap(),
            None => vec![0.0; leaf.shape.iter().product()],
        };
        (value, trainable.map(of).collect())
    }
}

/// Ba, Kiros, Hinton 2016.
pub(super) fn layer_norm(
    x: Tensor<2>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<2> {
    let centered = x.clone() - x.mean_dim(1);
    let variance = (centered.clone() * centered.clone()).mean_dim(1);
    centered / (variance + epsilon).sqrt() * weight.unsqueeze::<2>() + bias.unsqueeze::<2>()
}

/// Zhang and Sennrich 2019.
pub(super) fn rms_norm(x: Tensor<2>, weight: Tensor<1>, epsilon: f64) -> Tensor<2> {
    let mean_square = (x.clone() * x.clone()).mean_dim(1);
    x / (mean_square + epsilon).sqrt() * weight.unsqueeze::<2>()
}

/// Hendrycks and Gimpel 2016, the approximation by tanh.
pub(super) fn gelu_tanh(x: Tensor<2>) -> Tensor<2> {
    let cubic = x.clone() * x.clone() * x.clone() * 0.044_715;
    let inner = (x.clone() + cubic) * (2.0 / std::f64::consts::PI).sqrt();
    x * (inner.tanh() + 1.0) * 0.5
}

/// The same, exact.
pub(super) fn gelu_erf(x: Tensor<2>) -> Tensor<2> {
    let scaled = x.clone() * std::f64::consts::FRAC_1_SQRT_2;
    x * (scaled.erf() + 1.0) * 0.5
}

/// Shazeer 2020: `gate sigmoid(gate) up`.
pub(super) fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    let silu = gate.clone() / ((-gate).exp() + 1.0);
    silu * up
}

/// Columns `first..first + count`.
pub(super) fn columns(x: &Tensor<2>, first: usize, count: usize) -> Tensor<2> {
    x.clone().narrow(1, first, count)
}

/// `softmax(q k^T scale) v` of every head (Vaswani et al. 2017); queries of one group share keys and values (Ainslie et al.
/// 2023). A row holds all queries, then all keys, then all values.
pub(super) fn attention(leaves: &Leaves, heads: &Heads, qkv: &Tensor<2>) -> Tensor<2> {
    let [length, _] = qkv.dims();
    let mask: Vec<f64> = (0..length * length)
        .map(|at| {
            if heads.causal && at % length > at / length {
                -1e9
            } else {
                0.0
            }
        })
        .collect();
    let mask = leaves.constant(mask, [length, length]);
    let dim = heads.head_dim;
    let outputs = (0..heads.heads)
        .map(|head| {
            let shared = head / (heads.heads / heads.kv_heads);
            let query = columns(qkv, head * dim, dim);
            let key = columns(qkv, (heads.heads + shared) * dim, dim);
            let value = columns(qkv, (heads.heads + heads.kv_heads + shared) * dim, dim);
            let scores = query.matmul(key.transpose()) * f64::from(heads.scale) + mask.clone();
            let weights = scores.exp();
            (weights.clone() / weights.sum_dim(1)).matmul(value)
        })
        .collect();
    Tensor::cat(outputs, 1)
}

/// Su et al. 2021, as `transformers` writes it: `x cos + rotate_half(x) sin` on every head, at positions 0, 1, ...
pub(super) fn rotary(leaves: &Leaves, x: &Tensor<2>, dim: usize, theta: f64) -> Tensor<2> {
    let [length, width] = x.dims();
    let half = dim / 2;
    let table = |function: fn(f64) -> f64| {
        let values = (0..length * half)
            .map(|at| {
                let frequency = theta.powf(-2.0 * (at % half) as f64 / dim as f64);
                function((at / half) as f64 * frequency)
            })
            .collect();
        leaves.constant(values, [length, half])
    };
    let (cos, sin) = (table(f64::cos), table(f64::sin));
    let heads = (0..width / dim)
        .flat_map(|head| {
            let first = columns(x, head * dim, half);
            let second = columns(x, head * dim + half, half);
            [
                first.clone() * cos.clone() - second.clone() * sin.clone(),
                second * cos.clone() + first * sin.clone(),
            ]
        })
        .collect();
    Tensor::cat(heads, 1)
}

/// Mean over the rows of minus the log-probability of each row's target.
pub(super) fn cross_entropy(leaves: &Leaves, logits: &Tensor<2>, targets: &[u32]) -> Tensor<1> {
    let [rows, classes] = logits.dims();
    assert_eq!(rows, targets.len());
    let normalizer = logits.clone().exp().sum_dim(1).log().sum();
    let chosen = (logits.clone() * leaves.one_hot(targets, classes)).sum();
    (normalizer - chosen) / rows as f64
}
