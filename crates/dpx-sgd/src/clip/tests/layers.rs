//! Every kind of layer alone against the oracle.
//!
//! A layer stands on an embedding, so that the gradient of its input is checked by that of the table, and its outputs are
//! weighted by fixed numbers, so that its loss is their sum.

use super::agreement::{Subject, check};
use super::autodiff::{
    Leaves, attention, columns, cross_entropy, gelu_erf, gelu_tanh, layer_norm, rms_norm, rotary,
    swiglu,
};
use crate::fault::{Fault, with};
use dpx_nn::device::Tensor;
use dpx_nn::kernel::{self, Gelu, Heads, Side};
use dpx_nn::{
    Array, Batch, Embedding, GradSample, Initializer, Layout, Linear, Lora, Norm, PackedLayout,
    Parameters, Role, Sequence, Tape, Targets,
};

const VOCABULARY: usize = 11;
const WIDTH: usize = 24;
const TABLE: &str = "table.weight";
const EPSILON: f64 = 1e-3;

/// Repeated tokens, equal tokens, one token, two, long (above the switch between Gram matrices and products), plain.
fn examples() -> Vec<Vec<u32>> {
    vec![
        vec![4, 9, 4, 9, 4, 9, 4],
        vec![8; 12],
        vec![7],
        vec![10, 2],
        (0..30)
            .map(|i| (i * i * 7 + 3) % VOCABULARY as u32)
            .collect(),
        vec![1, 3, 5, 0, 6],
    ]
}

/// Weight of an output by its position in the example and its column.
fn coefficient(position: usize, column: usize) -> f64 {
    f64::from((1.3 * position as f32 + 0.7 * column as f32 + 0.5).sin())
}

/// Output and gradient of the input, given a function from the output to its gradient.
type ByHand = dyn Fn(
    &Parameters,
    &PackedLayout,
    &Array,
    &dyn Fn(&Array) -> Array,
    &mut Tape,
) -> (Array, Array);
type Oracle = dyn Fn(&Leaves, Tensor<2>) -> Tensor<2>;

struct Layer {
    parameters: Parameters,
    table: Embedding,
    by_hand: Box<ByHand>,
    oracle: Box<Oracle>,
}

impl Subject for Layer {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn tape(&self, examples: &[Vec<u32>]) -> Tape {
        let slices: Vec<&[u32]> = examples.iter().map(Vec::as_slice).collect();
        let batch = Batch::inference(&slices);
        let positions = batch.rows.positions();
        let weights = |output: &Array| {
            let values = (0..output.len())
                .map(|at| {
                    coefficient(positions[at / output.width()] as usize, at % output.width()) as f32
                })
                .collect();
            Array::from_vec(values, output.shape())
        };
        let input = self.table.forward(&self.parameters, &batch.ids);
        let mut tape = Tape::default();
        let (output, gradient) =
            (self.by_hand)(&self.parameters, &batch.rows, &input, &weights, &mut tape);
        let table = &self.table;
        table.backward(
            &self.parameters,
            &batch.rows,
            batch.ids.as_slice(),
            &gradient,
            &mut tape,
        );
        let weighted: Vec<f32> = output
            .host()
            .chunks_exact(output.width())
            .zip(weights(&output).host().chunks_exact(output.width()))
            .map(|(y, c)| y.iter().zip(c).map(|(y, c)| y * c).sum())
            .collect();
        tape.losses = batch.rows.sums(&weighted);
        tape
    }

    fn oracle(&self, leaves: &Leaves, example: &[u32]) -> Option<Tensor<1>> {
        let output = (self.oracle)(leaves, leaves.lookup(TABLE, example));
        let [rows, width] = output.dims();
        let weights = (0..rows * width)
            .map(|at| coefficient(at / width, at % width))
            .collect();
        Some((output * leaves.constant(weights, [rows, width])).sum())
    }
}

/// A registry with the table in it, and where random values come from.
fn registry() -> (Parameters, Embedding, Initializer) {
    let mut parameters = Parameters::new();
    let mut random = Initializer::new(17);
    let table = parameters.add(
        TABLE,
        Role::Embedding,
        random.normal(&[VOCABULARY, WIDTH], 0.8),
    );
    (parameters, Embedding::new(table), random)
}

fn compare(
    name: &str,
    (parameters, table): (Parameters, Embedding),
    by_hand: impl Fn(
        &Parameters,
        &PackedLayout,
        &Array,
        &dyn Fn(&Array) -> Array,
        &mut Tape,
    ) -> (Array, Array)
    + 'static,
    oracle: impl Fn(&Leaves, Tensor<2>) -> Tensor<2> + 'static,
) {
    let layer = Layer {
        parameters,
        table,
        by_hand: Box::new(by_hand),
        oracle: Box::new(oracle),
    };
    check(name, &layer, &examples());
}

/// A layer without parameters: `forward` gives the output, `backward` the gradient of the input from (input, gradient).
fn compare_function(
    name: &str,
    forward: impl Fn(&PackedLayout, &Array) -> Array + 'static,
    backward: impl Fn(&PackedLayout, &Array, Array) -> Array + 'static,
    oracle: impl Fn(&Leaves, Tensor<2>) -> Tensor<2> + 'static,
) {
    let (parameters, table, _) = registry();
    let by_hand = move |_: &Parameters,
                        rows: &PackedLayout,
                        x: &Array,
                        gradient: &dyn Fn(&Array) -> Array,
                        _: &mut Tape| {
        let output = forward(rows, x);
        let input_gradient = backward(rows, x, gradient(&output));
        (output, input_gradient)
    };
    compare(name, (parameters, table), by_hand, oracle);
}

fn linear(name: &'static str, layout: Layout, outputs: usize, biased: bool, adapted: bool) {
    let (mut parameters, table, mut random) = registry();
    let shape = match layout {
        Layout::InOut => [WIDTH, outputs],
        Layout::OutIn => [outputs, WIDTH],
    };
    let weight = parameters.add("layer.weight", Role::Weight, random.normal(&shape, 0.3));
    let bias =
        biased.then(|| parameters.add("layer.bias", Role::Bias, random.normal(&[outputs], 0.3)));
    let mut layer = Linear::new(weight, bias, layout);
    if adapted {
        let lora = Lora::enter(&mut parameters, &layer, 3, 6.0, &mut random);
        *parameters.value_mut(lora.b) = random.normal(&[outputs, 3], 0.4);
        layer.lora = Some(lora);
    }
    compare(
        name,
        (parameters, table),
        move |parameters, rows, x, gradient, tape| {
            let output = layer.forward(parameters, x);
            let input_gradient = layer.backward(parameters, rows, x, &gradient(&output), tape);
            (output, input_gradient)
        },
        move |leaves, x| leaves.linear("layer", layout, 2.0, x),
    );
}

#[test]
fn linear_layers_agree_with_autodiff() {
    linear("linear, inputs first", Layout::InOut, 14, true, false);
    linear("linear, outputs first", Layout::OutIn, 14, true, false);
    linear(
        "linear without bias, wider",
        Layout::OutIn,
        40,
        false,
        false,
    );
    linear(
        "linear without bias, inputs first, wider",
        Layout::InOut,
        40,
        false,
        false,
    );
}

#[test]
fn adapters_agree_with_autodiff() {
    linear("adapter, inputs first", Layout::InOut, 14, true, true);
    linear("adapter, outputs first", Layout::OutIn, 40, false, true);
}

#[test]
fn norms_agree_with_autodiff() {
    for shifted in [true, false] {
        let (mut parameters, table, mut random) = registry();
        let mut scale = random.normal(&[WIDTH], 0.3);
        kernel::add(&mut scale, &Array::full(&[WIDTH], 1.0));
        let weight = parameters.add("norm.weight", Role::Norm, scale);
        let norm = if shifted {
            let bias = parameters.add("norm.bias", Role::Norm, random.normal(&[WIDTH], 0.3));
            Norm::layer(weight, bias, EPSILON as f32)
        } else {
            Norm::rms(weight, EPSILON as f32)
        };
        compare(
            if shifted { "layer norm" } else { "RMS norm" },
            (parameters, table),
            move |parameters, rows, x, gradient, tape| {
                let (output, saved) = norm.forward(parameters, x);
                let input_gradient =
                    norm.backward(parameters, rows, &saved, &gradient(&output), None, tape);
                (output, input_gradient)
            },
            move |leaves, x| {
                let weight = leaves.vector("norm.weight");
                if shifted {
                    layer_norm(x, weight, leaves.vector("norm.bias"), EPSILON)
                } else {
                    rms_norm(x, weight, EPSILON)
                }
            },
        );
    }
}

#[test]
fn activations_agree_with_autodiff() {
    for form in [Gelu::Tanh, Gelu::Erf] {
        compare_function(
            &format!("GELU, {form:?}"),
            move |_, x| kernel::gelu(x, form),
            move |_, x, mut gradient| {
                kernel::gelu_backward(x, &mut gradient, form);
                gradient
            },
            move |_, x| match form {
                Gelu::Tanh => gelu_tanh(x),
                Gelu::Erf => gelu_erf(x),
            },
        );
    }
    let halves = |x: &Array| kernel::split_columns(x, &[WIDTH / 2, WIDTH / 2]);
    compare_function(
        "SwiGLU",
        move |_, x| kernel::swiglu(&halves(x)[0], &halves(x)[1]),
        move |_, x, gradient| {
            let parts = halves(x);
            let (gate, up) = kernel::swiglu_backward(&parts[0], &parts[1], &gradient);
            kernel::join_columns(&[&gate, &up])
        },
        |_, x| swiglu(columns(&x, 0, WIDTH / 2), columns(&x, WIDTH / 2, WIDTH / 2)),
    );
    compare_function(
        "tanh",
        |_, x| {
            let mut y = x.clone();
            kernel::tanh(&mut y);
            y
        },
        |_, x, mut gradient| {
            let mut y = x.clone();
            kernel::tanh(&mut y);
            kernel::tanh_backward(&y, &mut gradient);
            gradient
        },
        |_, x| x.tanh(),
    );
}

#[test]
fn a_bias_fused_with_gelu_agrees_with_autodiff() {
    for form in [Gelu::Tanh, Gelu::Erf] {
        let (mut parameters, table, mut random) = registry();
        let bias = parameters.add("bias", Role::Bias, random.normal(&[WIDTH], 0.5));
        compare(
            &format!("bias and GELU, {form:?}"),
            (parameters, table),
            move |parameters, rows, x, gradient, tape| {
                let mut pre_activation = x.clone();
                let output = kernel::bias_gelu(&mut pre_activation, parameters.value(bias), form);
                let mut gradient = gradient(&output);
                kernel::gelu_backward(&pre_activation, &mut gradient, form);
                tape.record(parameters, bias, || GradSample::PerExample {
                    parameter: bias,
                    gradient: kernel::column_sums(rows, &gradient),
                });
                (output, gradient)
            },
            move |leaves, x| {
                let x = x + leaves.vector("bias").unsqueeze::<2>();
                match form {
                    Gelu::Tanh => gelu_tanh(x),
                    Gelu::Erf => gelu_erf(x),
                }
            },
        );
    }
}

#[test]
fn attention_agrees_with_autodiff() {
    // (queries, keys and values, head width) of WIDTH columns: grouped, plain, one pair for all.
    for (queries, shared, dim) in [(4, 2, 3), (4, 4, 2), (6, 1, 3)] {
        for causal in [true, false] {
            let heads = Heads::grouped(queries, shared, dim, causal);
            assert_eq!(heads.qkv_width(), WIDTH);
            compare_function(
                &format!("attention, {queries} queries, {shared} keys, causal: {causal}"),
                move |rows, x| kernel::attention(&heads, rows, x, None).0,
                move |rows, x, gradient| {
                    let (_, probabilities) = kernel::attention(&heads, rows, x, None);
                    kernel::attention_backward(&heads, rows, x, &probabilities, &gradient)
                },
                move |leaves, x| attention(leaves, &heads, &x),
            );
        }
    }
}

#[test]
fn rotary_attention_with_grouped_queries_agrees_with_autodiff() {
    let heads = Heads::grouped(2, 1, 6, true);
    let (half, theta) = (3, 50.0);
    let table = move |function: fn(f64) -> f64| {
        let angle =
            move |at: usize| (at / half) as f64 * f64::powf(theta, -2.0 * (at % half) as f64 / 6.0);
        Array::from_vec(
            (0..40 * half)
                .map(|at| function(angle(at)) as f32)
                .collect(),
            &[40, half],
        )
    };
    let turned = move |rows: &PackedLayout, x: &Array, inverse: bool| {
        let mut x = x.clone();
        kernel::rotate(
            &heads,
            &mut x,
            &rows.positions(),
            &table(f64::cos),
            &table(f64::sin),
            inverse,
        );
        x
    };
    compare_function(
        "rotary attention",
        move |rows, x| kernel::attention(&heads, rows, &turned(rows, x, false), None).0,
        move |rows, x, gradient| {
            let qkv = turned(rows, x, false);
            let (_, probabilities) = kernel::attention(&heads, rows, &qkv, None);
            let gradient =
                kernel::attention_backward(&heads, rows, &qkv, &probabilities, &gradient);
            turned(rows, &gradient, true)
        },
        move |leaves, x| {
            let rotated = rotary(leaves, &columns(&x, 0, 18), 6, theta);
            let qkv = Tensor::cat(vec![rotated, columns(&x, 18, 6)], 1);
            attention(leaves, &heads, &qkv)
        },
    );
}

#[test]
fn position_embeddings_agree_with_autodiff() {
    let (mut parameters, table, mut random) = registry();
    let positions = Embedding::new(parameters.add(
        "positions.weight",
        Role::Embedding,
        random.normal(&[30, WIDTH], 0.5),
    ));
    compare(
        "position embedding",
        (parameters, table),
        move |parameters, rows, x, gradient, tape| {
            let mut output = x.clone();
            positions.add_forward(parameters, &rows.positions(), &mut output);
            // Something that is not linear on top, so that positions and tokens matter to each other.
            let activated = kernel::gelu(&output, Gelu::Tanh);
            let mut gradient = gradient(&activated);
            kernel::gelu_backward(&output, &mut gradient, Gelu::Tanh);
            positions.backward(parameters, rows, rows.positions(), &gradient, tape);
            (activated, gradient)
        },
        |leaves, x| {
            let [rows, _] = x.dims();
            let ids: Vec<u32> = (0..rows as u32).collect();
            gelu_tanh(x + leaves.lookup("positions.weight", &ids))
        },
    );
}

/// An embedding and an output layer with nothing between them, on one table or two.
struct Bigrams {
    parameters: Parameters,
    tied: bool,
}

impl Bigrams {
    fn new(tied: bool) -> Self {
        let mut parameters = Parameters::new();
        let mut random = Initializer::new(8);
        let role = if tied {
            Role::TiedEmbedding
        } else {
            Role::Embedding
        };
        parameters.add(TABLE, role, random.normal(&[VOCABULARY, WIDTH], 0.4));
        if !tied {
            parameters.add(
                "head.weight",
                Role::Head,
                random.normal(&[VOCABULARY, WIDTH], 0.4),
            );
        }
        Self { parameters, tied }
    }

    fn head(&self) -> &'static str {
        if self.tied { TABLE } else { "head.weight" }
    }
}

impl Subject for Bigrams {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn tape(&self, examples: &[Vec<u32>]) -> Tape {
        let sequences: Vec<_> = examples.iter().map(|ids| Sequence::whole(ids)).collect();
        let batch = Batch::causal(&sequences);
        let Targets::NextToken {
            ids: targets,
            weights,
            grouping,
            ..
        } = &batch.targets
        else {
            panic!("next tokens")
        };
        let parameters = &self.parameters;
        let table = Embedding::new(parameters.find(TABLE).unwrap());
        let head = parameters.find(self.head()).unwrap();
        // Every row but the last of an example has a target, and the last is not computed.
        let hidden = table.forward(parameters, &batch.ids);
        let mut logits = kernel::matmul(
            &hidden,
            Side::Plain,
            parameters.value(head),
            Side::Transposed,
        );
        let losses = kernel::cross_entropy_with_gradient(&mut logits, targets, weights);
        let mut tape = Tape::new(grouping.sums(&losses));
        let gradient = kernel::matmul(&logits, Side::Plain, parameters.value(head), Side::Plain);
        tape.record(parameters, head, || GradSample::Linear {
            parameter: head,
            layout: Layout::OutIn,
            rows: grouping.clone(),
            input: hidden,
            gradient: logits,
        });
        table.backward(
            parameters,
            &batch.rows,
            batch.ids.as_slice(),
            &gradient,
            &mut tape,
        );
        tape
    }

    fn oracle(&self, leaves: &Leaves, example: &[u32]) -> Option<Tensor<1>> {
        let read = example.len() - 1;
        (read > 0).then(|| {
            let hidden = leaves.lookup(TABLE, &example[..read]);
            let logits = hidden.matmul(leaves.matrix(self.head()).transpose());
            cross_entropy(leaves, &logits, &example[1..])
        })
    }
}

#[test]
fn embeddings_tied_and_untied_agree_with_autodiff() {
    for tied in [true, false] {
        check(
            &format!("output layer, tied: {tied}"),
            &Bigrams::new(tied),
            &examples(),
        );
    }
}

/// The comparison itself can fail: on every fault of the norm, and on a derivative that is off by half a thousandth.
#[test]
fn what_disagrees_with_autodiff_is_noticed() {
    let fails =
        |test: &(dyn Fn() + std::panic::RefUnwindSafe)| std::panic::catch_unwind(test).is_err();
    let bigrams = |tied| check("bigrams", &Bigrams::new(tied), &examples());
    for (fault, tied) in [
        (Fault::TiedCrossDropped, true),
        (Fault::TensorOutOfNorm, false),
        (Fault::NoClip, true),
        (Fault::ClipAtTwice, true),
    ] {
        assert!(fails(&|| with(fault, || bigrams(tied))), "{fault:?}");
    }
    let biased = || linear("linear", Layout::OutIn, 14, true, false);
    assert!(fails(&|| with(Fault::BiasSquaredTwice, biased)));
    let off_by = |share: f32| {
        move || {
            compare_function(
                "tanh",
                |_, x| {
                    let mut y = x.clone();
                    kernel::tanh(&mut y);
                    y
                },
                move |_, x, mut gradient| {
                    let mut y = x.clone();
                    kernel::tanh(&mut y);
                    kernel::tanh_backward(&y, &mut gradient);
                    kernel::scale(&mut gradient, 1.0 + share);
                    gradient
                },
                |_, x| x.tanh(),
            );
        }
    };
    assert!(!fails(&off_by(0.0)));
    assert!(fails(&off_by(5e-4)));
}
