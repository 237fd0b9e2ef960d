//! Clipping against each example computed alone, and the injected faults that these tests catch.

mod agreement;
mod autodiff;
mod families;
mod in_parts;
mod layers;
mod models;
mod pairs;
mod people;
mod rules;

use super::*;
use crate::fault::fault;
use dpx_nn::model::Decoder;
use dpx_nn::model::config::{DecoderConfig, Sizes};
use dpx_nn::{Array, Batch, Layout, Network, PackedLayout, Role, Selection, Sequence};
use dpx_schema::Device;

const VOCABULARY: u32 = 53;

fn model() -> Decoder {
    let config = DecoderConfig::gpt2(Sizes {
        vocabulary: VOCABULARY as usize,
        max_positions: 48,
        hidden: 24,
        intermediate: 40,
        layers: 2,
        heads: 3,
        kv_heads: 3,
        head_dim: 8,
        norm_epsilon: 1e-5,
    });
    let mut model = Decoder::new_gpt2(config, 11, Device::Cpu);
    // Weights large enough that every path of the gradient matters, norms and biases away from one and zero.
    let mut random = dpx_nn::Initializer::new(5);
    for (_, parameter) in model.parameters_mut().iter_mut() {
        let noise = random.normal(parameter.value.shape(), 0.15);
        dpx_nn::kernel::add(&mut parameter.value, &noise);
    }
    model
}

/// Six examples: repeated tokens, all-equal tokens, two tokens, one token (no target), long (above the Gram switch), plain.
fn examples() -> Vec<Vec<u32>> {
    let long = (0..47).map(|i| (i * i * 7 + 3) % VOCABULARY).collect();
    vec![
        vec![4, 9, 4, 9, 4, 9, 4],
        vec![8; 12],
        vec![50, 2],
        vec![17],
        long,
        vec![1, 30, 22, 7, 41, 5],
    ]
}

fn batch(examples: &[Vec<u32>]) -> Batch {
    let padded: Vec<Vec<u32>> = examples
        .iter()
        .map(|ids| {
            let mut ids = ids.clone();
            if fault!(PaddingInLoss) {
                ids.resize(48, 0);
            }
            ids
        })
        .collect();
    let whole: Vec<_> = padded.iter().map(|ids| Sequence::whole(ids)).collect();
    Batch::causal(&whole)
}

fn clipped(model: &Decoder, examples: &[Vec<u32>], clipping: Clipping, bound: f64) -> ClippedSum {
    let tape = model.forward_backward(&batch(examples)).unwrap();
    clipped_sum(model.parameters(), tape, clipping, bound).unwrap()
}

/// Gradient of one example, computed alone and without clipping: all tensors one after the other, in f64.
fn alone(model: &Decoder, example: &[u32]) -> Vec<f64> {
    flat(&clipped(model, &[example.to_vec()], Clipping::None, 1.0))
}

fn flat(sum: &ClippedSum) -> Vec<f64> {
    sum.gradients
        .iter()
        .flat_map(|array| array.host().iter().copied().map(f64::from))
        .collect()
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
}

/// Sum of `factor(norm) x gradient`, each example's gradient computed alone.
fn reference(model: &Decoder, examples: &[Vec<u32>], factor: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut total = Vec::new();
    for example in examples {
        let gradient = alone(model, example);
        let factor = factor(norm(&gradient));
        total.resize(gradient.len(), 0.0);
        for (sum, g) in total.iter_mut().zip(&gradient) {
            *sum += factor * g;
        }
    }
    total
}

pub(crate) fn norms_are_exact() {
    let model = model();
    let sum = clipped(&model, &examples(), Clipping::Flat, 1.0);
    for (got, example) in sum.norms.iter().zip(&examples()) {
        let want = norm(&alone_unpadded(&model, example));
        assert!(
            (got - want).abs() <= 1e-4 * want,
            "{got} where {want} is right"
        );
    }
}

/// As `alone`, whatever fault is active.
fn alone_unpadded(model: &Decoder, example: &[u32]) -> Vec<f64> {
    let tape = model
        .forward_backward(&Batch::causal(&[Sequence::whole(example)]))
        .unwrap();
    flat(&clipped_sum(model.parameters(), tape, Clipping::None, 1.0).unwrap())
}

/// Removing any one example moves the sum by at most the bound.
pub(crate) fn one_example_moves_the_sum_by_at_most_the_bound() {
    let model = model();
    let all = examples();
    for clipping in [Clipping::Flat, Clipping::Automatic, Clipping::PerLayer] {
        for bound in [0.01, 0.5] {
            let whole = flat(&clipped(&model, &all, clipping, bound));
            let mut largest = 0.0_f64;
            for left_out in 0..all.len() {
                let mut rest = all.clone();
                rest.remove(left_out);
                let moved = distance(&whole, &flat(&clipped(&model, &rest, clipping, bound)));
                largest = largest.max(moved / clipping.sensitivity(bound));
            }
            assert!(largest <= 1.0 + 1e-4, "{clipping:?} {bound}: {largest}");
            assert!(
                clipping == Clipping::PerLayer || largest > 0.98,
                "loose: {largest}"
            );
        }
    }
}

/// A non-finite example adds nothing, the others' sum keeps its bits: each factor of every record of both model families
/// poisoned on its own.
pub(crate) fn a_non_finite_example_is_removed() {
    let networks: [&dyn Network; 2] = [&model(), &models::llama_model(false)];
    for network in networks {
        let whole = network.forward_backward(&batch(&examples())).unwrap();
        let mut without = whole.clone();
        for sample in &mut without.grad_samples {
            erase_example(sample, 4);
        }
        let sum = |tape| clipped_sum(network.parameters(), tape, Clipping::Flat, 0.5).unwrap();
        let without = flat(&sum(without));
        for target in 0..whole.grad_samples.len() {
            let factors = arrays(&mut whole.grad_samples[target].clone()).len();
            for (factor, poison) in (0..factors).flat_map(|factor| {
                [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30].map(|poison| (factor, poison))
            }) {
                let mut tape = whole.clone();
                let (array, rows) = arrays(&mut tape.grad_samples[target]).swap_remove(factor);
                let place = rows.range(4).start * array.width();
                array.host_mut()[place] = poison;
                let broken = sum(tape);
                let moved = distance(&flat(&broken), &without);
                let place = format!("grad sample {target}, factor {factor}, {poison}");
                if broken.norms[4].is_finite() {
                    assert_eq!(poison, 1e30, "{place}");
                    assert!(moved <= 0.5 * (1.0 + 1e-5), "{place}: {moved}");
                } else {
                    assert!(flat(&broken) == without, "{place}");
                }
            }
        }
    }
}

fn arrays(sample: &mut GradSample) -> Vec<(&mut Array, PackedLayout)> {
    match sample {
        GradSample::Linear {
            rows,
            input,
            gradient,
            ..
        } => {
            vec![(input, rows.clone()), (gradient, rows.clone())]
        }
        GradSample::Embedding { rows, gradient, .. } => vec![(gradient, rows.clone())],
        GradSample::PerExample { gradient, .. } => {
            let rows = PackedLayout::single(gradient.rows());
            vec![(gradient, rows)]
        }
    }
}

fn erase_example(sample: &mut GradSample, example: usize) {
    for (array, rows) in arrays(sample) {
        let (range, width) = (rows.range(example), array.width());
        array.host_mut()[range.start * width..range.end * width].fill(0.0);
    }
}

/// Whether a test that panics when it fails does not.
pub(crate) fn passes(test: fn()) -> bool {
    std::panic::catch_unwind(test).is_ok()
}

#[test]
fn norms_equal_those_of_each_example_alone() {
    norms_are_exact();
}

#[test]
fn sums_equal_those_of_each_example_alone() {
    let model = model();
    let all = examples();
    type Factor = fn(f64) -> f64;
    let cases: [(Clipping, Factor); 3] = [
        (Clipping::None, |_| 1.0),
        (Clipping::Flat, |norm| (0.7 / norm).min(1.0)),
        (Clipping::Automatic, |norm| 0.7 / (norm + 0.01)),
    ];
    for (clipping, factor) in cases {
        let want = reference(&model, &all, factor);
        let got = flat(&clipped(&model, &all, clipping, 0.7));
        let error = distance(&got, &want) / norm(&want);
        assert!(error < 1e-4, "{clipping:?}: {error}");
    }
}

#[test]
fn per_layer_clipping_bounds_each_tensor() {
    let model = model();
    let example = examples().swap_remove(4);
    let bound = 1e-3;
    let sum = clipped(&model, &[example], Clipping::PerLayer, bound);
    let share = bound / (sum.gradients.len() as f64).sqrt();
    for array in &sum.gradients {
        let values: Vec<f64> = array.host().iter().copied().map(f64::from).collect();
        assert!((norm(&values) / share - 1.0).abs() < 1e-3);
    }
}

#[test]
fn an_example_does_not_depend_on_its_mates() {
    let model = model();
    let all = examples();
    let norms = |examples: &[Vec<u32>]| clipped(&model, examples, Clipping::Flat, 1.0).norms;
    let together = norms(&all);
    let mut reversed = all.clone();
    reversed.reverse();
    for (i, (a, b)) in together
        .iter()
        .zip(norms(&reversed).iter().rev())
        .enumerate()
    {
        assert!((a - b).abs() <= 1e-5 * a, "example {i} in another place");
        let single = norms(&all[i..=i])[0];
        assert!((a - single).abs() <= 1e-5 * a, "example {i} alone");
    }
}

#[test]
fn any_example_moves_the_sum_by_at_most_the_sensitivity() {
    one_example_moves_the_sum_by_at_most_the_bound();
}

#[test]
fn non_finite_examples_leave_the_others_alone() {
    a_non_finite_example_is_removed();
}

#[test]
fn a_batch_of_nan_gives_zero() {
    let model = model();
    let mut tape = model.forward_backward(&batch(&examples())).unwrap();
    for sample in &mut tape.grad_samples {
        for (array, _) in arrays(sample) {
            array.host_mut().fill(f32::NAN);
        }
    }
    let sum = clipped_sum(model.parameters(), tape, Clipping::Flat, 1.0).unwrap();
    // The example of one token has no rows, its vectors are poisoned all the same.
    assert!(flat(&sum).iter().all(|&x| x == 0.0));
}

#[test]
fn opposing_parts_of_a_tied_weight_are_clipped() {
    // The embedding part is minus the output part, up to a small rest: all digits of the norm cancel.
    for rest in [1e-2, 1e-3, 1e-4, 1e-6, 0.0] {
        let (width, vocabulary) = (16, 8);
        let mut parameters = Parameters::new();
        let weight = Array::zeros(&[vocabulary, width]);
        let id = parameters.add("w", Role::TiedEmbedding, weight);
        let mut random = dpx_nn::Initializer::new(3);
        let direction = random.normal(&[1, width], 100.0);
        let other = random.normal(&[1, width], 100.0 * rest);
        let mut logits_gradient = vec![0.0; vocabulary];
        logits_gradient[5] = 1.0;
        let opposed: Vec<f32> = direction
            .host()
            .iter()
            .zip(other.host())
            .map(|(d, o)| o - d)
            .collect();
        let mut tape = Tape::new(vec![0.0]);
        tape.grad_samples.push(GradSample::Linear {
            parameter: id,
            layout: Layout::OutIn,
            rows: PackedLayout::single(1),
            input: direction.clone(),
            gradient: Array::from_vec(logits_gradient, &[1, vocabulary]),
        });
        tape.grad_samples.push(GradSample::Embedding {
            parameter: id,
            rows: PackedLayout::single(1),
            ids: vec![5].into(),
            gradient: Array::from_vec(opposed.clone(), &[1, width]),
        });
        let sum = clipped_sum(&parameters, tape, Clipping::Flat, 1e-3).unwrap();
        let exact: Vec<f64> = direction
            .host()
            .iter()
            .zip(&opposed)
            .map(|(&d, &o)| f64::from(d) + f64::from(o))
            .collect();
        let factor = (1e-3 / sum.norms[0]).min(1.0);
        assert!(factor * norm(&exact) <= 1e-3 * (1.0 + 1e-5), "rest {rest}");
    }
}

#[test]
fn what_is_trainable_is_recorded_or_refused() {
    let mut model = model();
    let tape = model.forward_backward(&batch(&examples())).unwrap();
    let mut parameters = model.parameters().clone();
    parameters.add("forgotten", Role::Weight, Array::zeros(&[2, 2]));
    let error = clipped_sum(&parameters, tape, Clipping::Flat, 1.0).unwrap_err();
    assert_eq!(error, ClipError::NotRecorded("forgotten".into()));
    for selection in [Selection::Bias, Selection::Head, Selection::Nothing] {
        model.parameters_mut().select(selection);
        let sum = clipped(&model, &examples(), Clipping::Flat, 1.0);
        assert_eq!(
            sum.gradients.len(),
            model.parameters().trainable_ids().len()
        );
    }
}

#[test]
fn a_tiny_bound_bounds_the_whole_sum() {
    let model = model();
    let sum = clipped(&model, &examples(), Clipping::Flat, 1e-6);
    assert!(norm(&flat(&sum)) <= 6e-6);
}

#[test]
fn adapters_alone_are_trained_and_merge() {
    let mut model = model();
    model.add_lora(4, 8.0, 1);
    let ups: Vec<_> = model
        .parameters()
        .iter()
        .filter(|(_, p)| p.name.ends_with("lora_B.weight"))
        .map(|(id, _)| id)
        .collect();
    let mut random = dpx_nn::Initializer::new(2);
    for id in ups {
        let shape = model.parameters().value(id).shape().to_vec();
        *model.parameters_mut().value_mut(id) = random.normal(&shape, 0.3);
    }
    model.parameters_mut().select(Selection::Lora);
    norms_of(&model);
    let before = model.forward_loss(&batch(&examples())).unwrap();
    let merged = model.merge_lora();
    let after = merged.forward_loss(&batch(&examples())).unwrap();
    for (a, b) in before.iter().zip(&after) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
}

fn norms_of(model: &Decoder) {
    let sum = clipped(model, &examples(), Clipping::Flat, 1.0);
    for (got, example) in sum.norms.iter().zip(&examples()) {
        let want = norm(&alone(model, example));
        assert!(
            (got - want).abs() <= 1e-4 * want,
            "{got} where {want} is right"
        );
    }
}

/// Central differences of the loss in random directions, one tensor at a time.
#[test]
fn gradients_are_the_slopes_of_the_loss() {
    let mut model = model();
    model.add_lora(3, 6.0, 1);
    let example = vec![examples().swap_remove(0)];
    let gradients = clipped(&model, &example, Clipping::None, 1.0).gradients;
    let mut random = dpx_nn::Initializer::new(9);
    let ids = model.parameters().trainable_ids();
    for (id, gradient) in ids.into_iter().zip(gradients) {
        let value = model.parameters().value(id).clone();
        let direction = random.normal(value.shape(), 1.0);
        let want: f64 = dot(&direction, &gradient);
        let step = 2e-3 / dot(&direction, &direction).sqrt();
        let mut loss = |sign: f64| {
            let mut moved = direction.clone();
            dpx_nn::kernel::scale(&mut moved, (sign * step) as f32);
            dpx_nn::kernel::add(&mut moved, &value);
            *model.parameters_mut().value_mut(id) = moved;
            model.forward_loss(&batch(&example)).unwrap()[0]
        };
        let slope = (loss(1.0) - loss(-1.0)) / (2.0 * step);
        *model.parameters_mut().value_mut(id) = value;
        let name = &model.parameters().get(id).name;
        let scale = dot(&gradient, &gradient).sqrt() * dot(&direction, &direction).sqrt() * 0.02;
        assert!(
            (slope - want).abs() <= scale.max(3e-3),
            "{name}: {slope}, by hand {want}"
        );
    }
}

fn dot(a: &Array, b: &Array) -> f64 {
    let pairs = a.host().iter().zip(b.host());
    pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}
