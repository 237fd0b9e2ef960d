//! Every kernel for devices against the same kernel for the host, on the device that the tests are asked to use.

use crate::device::DeviceExt;
use crate::kernel::{self, Gelu, Heads, Side, SquaredNorm, SquaredNorms, Tied};
use crate::{Arithmetic, Array, Initializer, PackedLayout, RoundedMatrix};
use dpx_schema::Device;
use dpx_schema::params::BasePrecision;

/// Examples of several lengths, one of them empty.
fn rows() -> PackedLayout {
    PackedLayout::from_lengths([3, 0, 5, 1])
}

fn random(seed: u64, shape: &[usize]) -> Array {
    Initializer::new(seed).normal(shape, 1.0)
}

/// Runs a computation on the host and on the device under test; the results must agree.
fn same(name: &str, inputs: &[Array], compute: impl Fn(&mut Vec<Array>) -> Vec<Array>) {
    let device = Device::under_test();
    let expected = compute(&mut inputs.to_vec());
    let mut moved = inputs.iter().map(|array| array.on(device)).collect();
    let found = compute(&mut moved);
    assert_eq!(found.len(), expected.len(), "{name}");
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert!(
            found.device() == device || found.is_empty(),
            "{name}: result {index} is on `{}`",
            found.device()
        );
        close(&format!("{name}, result {index}"), found, expected);
    }
}

fn close(name: &str, found: &Array, expected: &Array) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let expected = expected.to_vec();
    let size = expected.iter().fold(1e-3f32, |size, x| size.max(x.abs()));
    for (place, (found, expected)) in found.to_vec().into_iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= 2e-5 * size || (found.is_nan() && expected.is_nan()),
            "{name}, value {place}: {found} where the host has {expected}"
        );
    }
}

fn same_squared_norms(name: &str, inputs: &[Array], compute: impl Fn(&[Array]) -> SquaredNorms) {
    let device = Device::under_test();
    let expected = compute(inputs).now();
    let moved: Vec<Array> = inputs.iter().map(|array| array.on(device)).collect();
    let found = compute(&moved).now();
    assert_eq!(found.len(), expected.len(), "{name}");
    for (found, expected) in found.iter().zip(&expected) {
        let near = |a: f64, b: f64, size: f64| {
            (a - b).abs() <= 1e-5 * size.max(1e-6) || (a.is_nan() && b.is_nan())
        };
        let size = expected.magnitude.max(expected.value.abs());
        assert!(
            near(found.value, expected.value, size),
            "{name}: {found:?} where the host has {expected:?}"
        );
        // Inner products have no magnitude of their own.
        assert!(
            expected.magnitude == 0.0 || near(found.magnitude, expected.magnitude, size),
            "{name}: {found:?} where the host has {expected:?}"
        );
        assert!(found.error < 1e-4, "{name}: {found:?}");
    }
}

#[test]
fn products() {
    let factors = [random(1, &[4, 6]), random(2, &[6, 3]), random(3, &[4, 3])];
    same("products", &factors, |x| {
        let (mut sum, flat) = (x[2].clone(), x[0].clone());
        kernel::matmul_add(&mut sum, &x[0], Side::Plain, &x[1], Side::Plain);
        vec![
            kernel::matmul(&flat, Side::Plain, &x[1], Side::Plain),
            kernel::matmul(&x[0], Side::Transposed, &x[2], Side::Plain),
            kernel::matmul(&x[2], Side::Plain, &x[1], Side::Transposed),
            kernel::precise_matmul(&x[0], Side::Transposed, &x[2], Side::Plain),
            sum,
        ]
    });
    let empty = [Array::zeros(&[0, 6]), random(2, &[6, 3])];
    same("empty products", &empty, |x| {
        vec![kernel::matmul(&x[0], Side::Plain, &x[1], Side::Plain)]
    });
    let nothing_between = [Array::zeros(&[0, 2]), Array::zeros(&[0, 3])];
    same("sums of nothing", &nothing_between, |x| {
        vec![kernel::matmul(&x[0], Side::Transposed, &x[1], Side::Plain)]
    });
}

/// In bfloat16 a product is near; the sums that a clipping bound is claimed of stay as exact as they are.
#[test]
fn products_in_bf16() {
    let device = Device::under_test();
    if !device.multiplies_bf16().unwrap() {
        return;
    }
    let (x, gradient) = (
        random(40, &[20, 30]).on(device),
        random(41, &[20, 8]).on(device),
    );
    let exact = kernel::matmul(&x, Side::Transposed, &gradient, Side::Plain).to_vec();
    let mut weight = gradient.on(Device::Cpu);
    weight.set_arithmetic(Arithmetic::Bf16);
    weight.move_to(device);
    let rounded = kernel::matmul(&x, Side::Transposed, &weight, Side::Plain);
    assert_eq!(rounded.arithmetic(), Arithmetic::F32);
    let error = |found: &Array| {
        let pairs = found.to_vec().into_iter().zip(&exact);
        pairs.fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()))
    };
    let size = exact.iter().fold(0.0f32, |size, x| size.max(x.abs()));
    let share = error(&rounded) / size;
    assert!(share > 1e-4 && share < 2e-2, "{share}");
    let precise = kernel::precise_matmul(&x, Side::Transposed, &weight, Side::Plain);
    assert!(error(&precise) < 1e-5 * size);
}

/// Factors split into three survive tensor cores that round to eleven bits: here every part is rounded to eight.
#[test]
fn split_products_are_exact_to_f32() {
    let device = Device::under_test();
    if !device.multiplies_bf16().unwrap() {
        return;
    }
    let (a, b) = (random(42, &[9, 40]), random(43, &[40, 7]));
    let product = super::precise::split_matmul(
        a.on(device).tensor().unwrap(),
        b.on(device).tensor().unwrap(),
    );
    let found = Array::from_tensor(product, &[9, 7], device);
    close(
        "split product",
        &found,
        &kernel::matmul(&a, Side::Plain, &b, Side::Plain),
    );
    for part in super::precise::split(a.on(device).tensor().unwrap()) {
        let again = part
            .clone()
            .cast(burn::tensor::DType::BF16)
            .cast(burn::tensor::DType::F32);
        let difference = Array::from_tensor(part - again, &[9, 40], device).to_vec();
        assert!(difference.iter().all(|x| x.abs() < 1e-30));
    }
}

#[test]
fn activations() {
    // Large values too, where an exponential overflows.
    let mut values: Vec<f32> = random(4, &[46]).to_vec();
    values.extend([-120.0, 120.0, -9.0, 9.0, 0.0, -0.5, 30.0, -30.0]);
    let x = Array::from_vec(values, &[6, 9]);
    let inputs = [x, random(5, &[6, 9]), random(6, &[9])];
    for form in [Gelu::Tanh, Gelu::Erf] {
        same("gelu", &inputs, |x| {
            let (mut biased, mut gradient) = (x[0].clone(), x[1].clone());
            let after_bias = kernel::bias_gelu(&mut biased, &x[2], form);
            kernel::gelu_backward(&x[0], &mut gradient, form);
            vec![kernel::gelu(&x[0], form), biased, after_bias, gradient]
        });
    }
    same("swiglu, tanh and relu", &inputs, |x| {
        let (gate, up) = kernel::swiglu_backward(&x[0], &x[1], &x[1]);
        let (mut y, mut gradient) = (x[0].clone(), x[1].clone());
        kernel::tanh(&mut y);
        kernel::tanh_backward(&y, &mut gradient);
        let (mut positive, mut kept) = (x[0].clone(), x[1].clone());
        kernel::relu(&mut positive);
        kernel::relu_backward(&positive, &mut kept);
        vec![
            kernel::swiglu(&x[0], &x[1]),
            gate,
            up,
            y,
            gradient,
            positive,
            kept,
        ]
    });
}

#[test]
fn norms() {
    let width = 8;
    let inputs = [
        random(7, &[5, width]),
        random(8, &[width]),
        random(9, &[width]),
        random(10, &[5, width]),
        random(11, &[5, width]),
    ];
    same("norms", &inputs, |x| {
        let (layer, saved_layer) = kernel::layer_norm(&x[0], &x[1], &x[2], 1e-5);
        let (rms, saved_rms) = kernel::rms_norm(&x[0], &x[1], 1e-5);
        vec![
            layer,
            rms,
            kernel::norm_backward(&saved_layer, &x[1], &x[3], Some(&x[4])),
            kernel::norm_backward(&saved_rms, &x[1], &x[3], None),
        ]
    });
    let empty = [Array::zeros(&[0, width]), random(8, &[width])];
    same("norms of nothing", &empty, |x| {
        let (y, saved) = kernel::rms_norm(&x[0], &x[1], 1e-5);
        vec![kernel::norm_backward(&saved, &x[1], &y, None), y]
    });
}

#[test]
fn rows_and_columns() {
    let inputs = [random(12, &[4, 5]), random(13, &[4, 3]), random(14, &[5])];
    same("rows and columns", &inputs, |x| {
        let joined = kernel::join_columns(&[&x[0], &x[1]]);
        let mut parts = kernel::split_columns(&joined, &[2, 6]);
        let mut y = x[0].clone();
        kernel::add_bias(&mut y, &x[2]);
        kernel::add_bias_residual(&mut y, &x[2], &x[0]);
        kernel::scale(&mut y, 0.3);
        kernel::add(&mut y, &x[0]);
        kernel::multiply(&mut y, &x[0]);
        parts.extend([
            joined,
            y,
            kernel::gather_rows(&x[0], &[3, 0, 3]),
            kernel::gather_rows(&x[0], &[0, 1, 2, 3]),
            kernel::gather_rows(&x[0], &[]),
            kernel::scatter_rows(&x[0], &[6, 1, 0, 4], 7),
            kernel::scatter_rows(&x[0], &[0, 1, 2, 3], 4),
            kernel::scaled_rows(&x[0], &[Some(2.0), None, Some(0.0), Some(-1.0)]),
        ]);
        parts
    });
}

#[test]
fn embeddings() {
    let ids = [3, 1, 3, 3, 0];
    let inputs = [random(15, &[6, 4]), random(16, &[5, 4])];
    same("embeddings", &inputs, |x| {
        let (mut added, mut table) = (x[1].clone(), x[0].clone());
        kernel::embedding_add(&mut added, &x[0], &ids);
        let factors = [Some(0.5), Some(2.0), None, Some(1.0), Some(-1.0)];
        kernel::scatter_add(&mut table, &ids, &x[1], &factors);
        vec![kernel::embedding(&x[0], &ids), added, table]
    });
}

#[test]
fn attention_of_examples_of_many_lengths() {
    for (kv_heads, causal, biased, window) in [
        (4, true, false, None),
        (2, true, false, None),
        (4, false, true, None),
        (1, false, false, None),
        (2, true, false, Some(2)),
        (4, false, false, Some(2)),
        (1, false, true, Some(3)),
    ] {
        for lengths in [vec![3, 0, 5, 1], vec![4, 4]] {
            let rows = PackedLayout::from_lengths(lengths);
            let heads = Heads::grouped(4, kv_heads, 6, causal).within(window);
            let inputs = [
                random(17, &[rows.count(), heads.qkv_width()]),
                random(18, &[rows.count(), heads.out_width()]),
                random(19, &[4, 5, 5]),
            ];
            same("attention", &inputs, |x| {
                let bias = biased.then_some(&x[2]);
                let (out, p) = kernel::attention(&heads, &rows, &x[0], bias);
                let gradient = kernel::attention_backward(&heads, &rows, &x[0], &p, &x[1]);
                vec![out, gradient]
            });
        }
    }
}

#[test]
fn rotary_positions() {
    let heads = Heads::grouped(4, 2, 6, true);
    let positions = [0, 1, 2, 0, 3];
    // A whole head, and its first four values.
    for half in [3, 2] {
        let inputs = [
            random(20, &[5, heads.qkv_width()]),
            random(21, &[4, half]),
            random(22, &[4, half]),
        ];
        same("rotary positions", &inputs, |x| {
            let (mut there, mut back) = (x[0].clone(), x[0].clone());
            kernel::rotate(&heads, &mut there, &positions, &x[1], &x[2], false);
            kernel::rotate(&heads, &mut back, &positions, &x[1], &x[2], true);
            vec![there, back]
        });
    }
}

#[test]
fn attention_over_a_cache() {
    for window in [None, Some(3)] {
        let heads = Heads::grouped(4, 2, 6, true).within(window);
        let rows = PackedLayout::from_lengths([3, 1, 2]);
        let inputs = [
            random(23, &[rows.count(), heads.qkv_width()]),
            random(24, &[3, heads.qkv_width()]),
            Array::zeros(&[3, 20, 12]),
            Array::zeros(&[3, 20, 12]),
        ];
        same("a cache", &inputs, |x| {
            let [prompts, new, mut keys, mut values] =
                [x[0].clone(), x[1].clone(), x[2].clone(), x[3].clone()];
            kernel::store_prompts(&heads, &rows, &prompts, &mut keys, &mut values);
            let first = kernel::attention_step(&heads, &[3, 1, 2], &new, &mut keys, &mut values);
            let second = kernel::attention_step(&heads, &[4, 2, 3], &new, &mut keys, &mut values);
            vec![first, second, keys, values]
        });
    }
}

#[test]
fn cross_entropy() {
    let (targets, weights) = ([2, 0, 6, 3], [0.5, 1.0, 0.0, 0.25]);
    let mut logits = random(25, &[4, 7]).to_vec();
    logits[3] = 60.0;
    let inputs = [Array::from_vec(logits, &[4, 7])];
    same("cross-entropy", &inputs, |x| {
        let device = x[0].device();
        let mut gradient = x[0].clone();
        let losses = kernel::cross_entropy_with_gradient(&mut gradient, &targets, &weights);
        let plain = kernel::cross_entropy(&x[0], &targets);
        let array = |values: Vec<f32>| Array::from_vec(values, &[4]).on(device);
        vec![gradient, array(losses), array(plain)]
    });
}

#[test]
fn sums_of_examples() {
    let rows = rows();
    let inputs = [
        random(26, &[9, 4]),
        random(27, &[9, 4]),
        random(28, &[4]),
        random(29, &[3, 4]),
    ];
    same("sums of examples", &inputs, |x| {
        let mut sum = x[2].clone();
        kernel::weighted_sum(&mut sum, &x[3], &[Some(0.5), None, Some(2.0)]);
        vec![
            kernel::column_sums(&rows, &x[0]),
            kernel::product_sums(&rows, &x[0], &x[1]),
            sum,
        ]
    });
}

#[test]
fn squared_norms_of_linear_layers() {
    let rows = rows();
    // Gram matrices where a side is wide, the product where both are narrow.
    for (inputs, outputs) in [(90, 70), (3, 4)] {
        let inputs = [random(30, &[9, inputs]), random(31, &[9, outputs])];
        same_squared_norms("linear layer", &inputs, |x| {
            kernel::linear_squared_norms(&rows, &x[0], &x[1])
        });
    }
    same_squared_norms("rows", &[random(32, &[3, 9000])], |x| {
        kernel::row_squared_norms(&x[0])
    });
}

#[test]
fn squared_norms_of_embeddings() {
    let rows = rows();
    for ids in [[4, 4, 1, 4, 0, 4, 0, 2, 9], [0, 1, 2, 0, 1, 2, 3, 4, 0]] {
        same_squared_norms("embedding", &[random(33, &[9, 5])], |x| {
            kernel::embedding_squared_norms(&rows, &ids, &x[0])
        });
    }
    let linear_rows = PackedLayout::from_lengths([2, 0, 4, 1]);
    let inputs = [
        random(34, &[7, 5]),
        random(35, &[7, 11]),
        random(36, &[9, 5]),
    ];
    same_squared_norms("tied embedding", &inputs, |x| {
        kernel::tied_products(Tied {
            linear_rows: &linear_rows,
            input: &x[0],
            logits_gradient: &x[1],
            embedding_rows: &rows,
            ids: &[4, 4, 1, 10, 0, 4, 0, 2, 9],
            embedding_gradient: &x[2],
        })
    });
}

/// The norms are made of sums in f32 here: what they leave out must be told, so that the bound is never too small.
#[test]
fn the_stated_error_covers_the_sum() {
    let values: Vec<f32> = (0..40_000).map(|i| 1.0 + (i % 97) as f32 * 1e-3).collect();
    let exact: f64 = values.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let x = Array::from_vec(values, &[1, 40_000]).on(Device::under_test());
    let SquaredNorm { value, error, .. } = kernel::row_squared_norms(&x).now()[0];
    assert!(error > 0.0 && error < 1e-5, "{error}");
    assert!((value / exact - 1.0).abs() <= error, "{value} {exact}");
}

/// An example that is not a number reaches no other one, by padding, masks or sums.
#[test]
fn examples_do_not_reach_one_another() {
    let device = Device::under_test();
    let (rows, heads) = (
        PackedLayout::from_lengths([2, 4, 3]),
        Heads::new(2, 3, true),
    );
    let poisoned = |array: Array| {
        let width = array.width();
        let mut values = array.to_vec();
        values[2 * width..6 * width].fill(f32::NAN);
        Array::from_vec(values, array.shape()).on(device)
    };
    let healthy = |name: &str, array: &Array| {
        let (values, width) = (array.to_vec(), array.width());
        let of_example =
            |rows: std::ops::Range<usize>| values[rows.start * width..rows.end * width].to_vec();
        let kept = [of_example(0..2), of_example(6..9)].concat();
        assert!(kept.iter().all(|x| x.is_finite()), "{name}");
    };
    let qkv = poisoned(random(37, &[9, heads.qkv_width()]));
    let gradient = poisoned(random(38, &[9, heads.out_width()]));
    for causal in [true, false] {
        let heads = Heads { causal, ..heads };
        let (out, p) = kernel::attention(&heads, &rows, &qkv, None);
        healthy("attention", &out);
        let back = kernel::attention_backward(&heads, &rows, &qkv, &p, &gradient);
        healthy("its gradient", &back);
    }
    for squares in [
        kernel::linear_squared_norms(&rows, &qkv, &gradient),
        kernel::embedding_squared_norms(&rows, &[1, 1, 2, 2, 2, 2, 3, 3, 3], &gradient),
    ] {
        let values: Vec<f64> = squares.now().iter().map(|squared| squared.value).collect();
        assert!(values[0].is_finite() && values[2].is_finite() && !values[1].is_finite());
    }
    let factors = rows.spread(&[Some(1.0), None, Some(0.5)]);
    let scaled = kernel::scaled_rows(&qkv, &factors);
    assert!(scaled.to_vec().iter().all(|x| x.is_finite()));
    let mut table = Array::zeros_on(&[5, 6], device);
    kernel::scatter_add(
        &mut table,
        &[0, 0, 1, 1, 1, 1, 2, 2, 2],
        &gradient,
        &factors,
    );
    assert!(table.to_vec().iter().all(|x| x.is_finite()));
}

/// Frozen matrices in fewer bits: the same numbers there as here, products of several blocks, rows looked up.
#[test]
fn rounded_matrices_are_the_same_numbers_on_a_device() {
    let device = Device::under_test();
    for precision in [BasePrecision::Bf16, BasePrecision::Int8] {
        let mut matrix = RoundedMatrix::with_capacity(precision, 23, 17).unwrap();
        matrix.push_rows(random(3, &[23, 17]).host());
        let matrix = Array::rounded(matrix);
        let there = matrix.on(device);
        assert!(there.is_rounded() && there.device() == device);
        assert_eq!(there.to_vec(), matrix.to_vec());
        // Back, and to where other values of it were: as it is.
        assert_eq!(there.on(Device::Cpu).as_rounded(), matrix.as_rounded());
        let mut copy = RoundedMatrix::with_capacity(precision, 23, 17).unwrap();
        copy.push_rows(&[0.5; 23 * 17]);
        let mut copy = Array::rounded(copy).on(device);
        copy.copy_from(&there);
        assert!(copy.is_rounded() && copy.to_vec() == matrix.to_vec());
        assert_eq!(there.widened().to_vec(), matrix.widened().to_vec());
        assert!(!there.widened().is_rounded());
        let name = format!("{precision:?}");
        same(&name, &[random(1, &[5, 17]), matrix.clone()], |list| {
            vec![kernel::matmul(
                &list[0],
                Side::Plain,
                &list[1],
                Side::Transposed,
            )]
        });
        same(&name, &[random(2, &[5, 23]), matrix.clone()], |list| {
            vec![kernel::matmul(&list[0], Side::Plain, &list[1], Side::Plain)]
        });
        same(&name, &[random(4, &[3, 17]), matrix.clone()], |list| {
            let looked_up = kernel::embedding(&list[1], &[22, 0, 22]);
            let mut added = list[0].clone();
            kernel::embedding_add(&mut added, &list[1], &[1, 2, 3]);
            vec![looked_up, added]
        });
    }
}
