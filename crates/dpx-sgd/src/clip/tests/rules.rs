//! What clipping promises whatever an example holds: the bound, each tensor once, independence of its mates.

use super::agreement::{Gradient, Subject};
use super::autodiff::Leaves;
use super::models::{
    LORA_ALPHA, LORA_RANK, fill_adapters, gpt2_subject, llama_model, llama_subject,
};
use super::*;
use crate::fault::{self};
use dpx_nn::{Initializer, kernel};

const CLIPPINGS: [Clipping; 3] = [Clipping::Flat, Clipping::Automatic, Clipping::PerLayer];

/// Trains one parameter alone and compares its norms with the oracle's, for every parameter in turn.
fn every_tensor_counts_once(mut of: impl FnMut(Option<usize>) -> Box<dyn Subject>) {
    let whole = of(None);
    let leaves = Leaves::new(whole.parameters());
    let examples = examples();
    let gradients: Vec<Gradient> = examples
        .iter()
        .map(|example| leaves.gradient(whole.oracle(&leaves, example)).1)
        .collect();
    for tensor in 0..whole.parameters().len() {
        let alone = of(Some(tensor));
        let name = &whole.parameters().iter().nth(tensor).unwrap().1.name;
        let right = || {
            let tape = alone.tape(&examples);
            let sum = clipped_sum(alone.parameters(), tape, Clipping::Flat, 1.0).unwrap();
            let pairs = sum.norms.iter().zip(&gradients);
            pairs.into_iter().all(|(got, gradient)| {
                let want = norm(&gradient[tensor]);
                // A single position attends to itself alone: queries and keys have no gradient then, but for rounding.
                (got - want).abs() <= 2e-4 * want + 1e-6 * norm(&gradient.concat())
            })
        };
        assert!(right(), "the norm of `{name}`");
        assert!(
            !fault::leaving_out(tensor, right),
            "`{name}` out of the norm"
        );
    }
}

fn train_only(parameters: &mut Parameters, only: Option<usize>) {
    for (id, parameter) in parameters.iter_mut() {
        parameter.trainable = only.is_none_or(|only| id.index() == only);
    }
}

#[test]
fn every_tensor_of_every_model_counts_in_the_norm() {
    every_tensor_counts_once(|only| {
        let mut network = model();
        network.add_lora(LORA_RANK, LORA_ALPHA, 1);
        fill_adapters(network.parameters_mut());
        train_only(network.parameters_mut(), only);
        Box::new(gpt2_subject(network, 1))
    });
    for tied in [true, false] {
        every_tensor_counts_once(|only| {
            let mut network = llama_model(tied);
            network.add_lora(LORA_RANK, LORA_ALPHA, 1);
            fill_adapters(network.parameters_mut());
            train_only(network.parameters_mut(), only);
            Box::new(llama_subject(network, 1))
        });
    }
}

/// Position 40 is huge, position 45 not a number: mates that long are extreme, and the others must not feel it.
#[test]
fn huge_and_broken_mates_are_not_felt() {
    let mut network = model();
    let table = network.parameters().find("transformer.wpe.weight").unwrap();
    let values = network.parameters_mut().value_mut(table);
    let width = values.width();
    values.host_mut()[40 * width] = 1e30;
    values.host_mut()[45 * width] = f32::NAN;
    let (huge, broken) = (vec![3; 42], vec![5; 47]);
    let short = [vec![4, 9, 4, 9, 4], vec![50, 2], vec![1, 30, 22, 7, 41, 5]];
    let run = |examples: &[Vec<u32>]| clipped(&network, examples, Clipping::Flat, 0.5);
    assert!(!run(std::slice::from_ref(&broken)).norms[0].is_finite());
    let alone: Vec<f64> = short
        .iter()
        .map(|one| run(std::slice::from_ref(one)).norms[0])
        .collect();
    let total = flat(&run(&short));
    for mates in [
        vec![huge.clone()],
        vec![broken.clone()],
        vec![broken, huge.clone()],
    ] {
        for place in 0..=short.len() {
            let mut all = short.to_vec();
            for mate in &mates {
                all.insert(place, mate.clone());
            }
            let sum = run(&all);
            for (example, want) in alone.iter().enumerate() {
                let at = if example < place {
                    example
                } else {
                    example + mates.len()
                };
                let got = sum.norms[at];
                assert!(
                    (got - want).abs() <= 1e-5 * want,
                    "{got} beside its mates, {want} alone"
                );
            }
            // A mate that is not finite adds nothing, a huge one at most the bound.
            let moved = distance(&flat(&sum), &total);
            let most = if mates.contains(&huge) { 0.5 } else { 0.0 };
            assert!(
                moved <= most + 1e-5 * norm(&total),
                "mates move the sum by {moved}"
            );
        }
    }
}

/// One example whose gradient is what is left when its rows cancel; the norm is recomputed in f64.
#[test]
fn cancelling_rows_are_clipped() {
    let bound = 1e-3;
    for (length, rest) in [2, 20]
        .into_iter()
        .flat_map(|length| [1e-2, 1e-4, 1e-6, 0.0].map(|rest| (length, rest)))
    {
        let (inputs, outputs) = (16, 8);
        let mut random = Initializer::new(31);
        let mut input = random.normal(&[1, inputs], 100.0).to_vec().repeat(length);
        let noise = random.normal(&[length, inputs], 100.0 * rest);
        kernel_add(&mut input, noise.host());
        let direction = random.normal(&[1, outputs], 1.0).to_vec();
        // The rows of the gradient alternate in sign: what adds up is the rest alone.
        let gradient: Vec<f32> = (0..length)
            .flat_map(|row| {
                let sign = if row % 2 == 0 { 1.0 } else { -1.0 };
                direction
                    .iter()
                    .map(move |value| sign * value)
                    .collect::<Vec<_>>()
            })
            .collect();
        let mut exact = vec![0.0; inputs * outputs];
        for row in 0..length {
            for i in 0..inputs {
                for o in 0..outputs {
                    exact[i * outputs + o] +=
                        f64::from(input[row * inputs + i]) * f64::from(gradient[row * outputs + o]);
                }
            }
        }
        let mut parameters = Parameters::new();
        let weight = parameters.add("weight", Role::Weight, Array::zeros(&[inputs, outputs]));
        let table = parameters.add("table", Role::Embedding, Array::zeros(&[4, outputs]));
        let mut tape = Tape::new(vec![0.0]);
        tape.grad_samples.push(GradSample::Linear {
            parameter: weight,
            layout: Layout::InOut,
            rows: PackedLayout::from_lengths([length]),
            input: Array::from_vec(input, &[length, inputs]),
            gradient: Array::from_vec(gradient.clone(), &[length, outputs]),
        });
        tape.grad_samples.push(GradSample::Embedding {
            parameter: table,
            rows: PackedLayout::from_lengths([length]),
            ids: vec![2; length].into(),
            gradient: Array::from_vec(gradient, &[length, outputs]),
        });
        let sum = clipped_sum(&parameters, tape, Clipping::Flat, bound).unwrap();
        let factor = (bound / sum.norms[0]).min(1.0);
        let added = factor * norm(&exact);
        assert!(
            added <= bound * (1.0 + 1e-5),
            "{length} rows, rest {rest}: {added}"
        );
    }
}

fn kernel_add(values: &mut [f32], more: &[f32]) {
    for (value, more) in values.iter_mut().zip(more) {
        *value += more;
    }
}

fn scale_gradients(tape: &mut Tape, share: f32) {
    for sample in &mut tape.grad_samples {
        match sample {
            GradSample::Linear { gradient, .. }
            | GradSample::Embedding { gradient, .. }
            | GradSample::PerExample { gradient, .. } => kernel::scale(gradient, share),
        }
    }
}

/// Losses scaled by anything: removing any one example moves the sum by at most the bound.
#[test]
fn the_bound_holds_in_any_unit_of_the_loss() {
    let network = model();
    let all = examples();
    for clipping in CLIPPINGS {
        for share in [1e-3, 1.0, 1e3, 1e6] {
            let sum = |examples: &[Vec<u32>]| {
                let mut tape = network.forward_backward(&batch(examples)).unwrap();
                scale_gradients(&mut tape, share);
                flat(&clipped_sum(network.parameters(), tape, clipping, 0.3).unwrap())
            };
            let whole = sum(&all);
            for left_out in 0..all.len() {
                let mut rest = all.clone();
                rest.remove(left_out);
                let moved = distance(&whole, &sum(&rest));
                let most = clipping.sensitivity(0.3) * (1.0 + 1e-4);
                assert!(moved <= most, "{clipping:?}, losses x {share}: {moved}");
            }
        }
    }
}

/// A batch of one example of a linear layer, an embedding and a bias, its parts of sizes between 1e-6 and 1e6.
fn extreme_example(random: &mut Initializer, parameters: &Parameters) -> Tape {
    let mut size = || 10f64.powf(f64::from(random.normal(&[1], 2.0).host()[0]).clamp(-6.0, 6.0));
    let sizes = [size(), size(), size(), size()];
    let length = 1 + (sizes[3].to_bits() >> 20) as usize % 9;
    let ids = parameters.trainable_ids();
    let rows = PackedLayout::from_lengths([length]);
    let mut tape = Tape::new(vec![0.0]);
    tape.grad_samples.push(GradSample::Linear {
        parameter: ids[0],
        layout: Layout::InOut,
        rows: rows.clone(),
        input: random.normal(&[length, 5], 1.0),
        gradient: random.normal(&[length, 4], sizes[0]),
    });
    tape.grad_samples.push(GradSample::Embedding {
        parameter: ids[1],
        rows,
        ids: (0..length as u32)
            .map(|row| row * row % 3)
            .collect::<Vec<_>>()
            .into(),
        gradient: random.normal(&[length, 6], sizes[1]),
    });
    tape.grad_samples.push(GradSample::PerExample {
        parameter: ids[2],
        gradient: random.normal(&[1, 7], sizes[2]),
    });
    tape
}

/// Over 1,000 random and extreme examples the largest contribution is at most the sensitivity, and within 1 % of it.
#[test]
fn the_sensitivity_is_met_and_never_exceeded() {
    let mut parameters = Parameters::new();
    parameters.add("weight", Role::Weight, Array::zeros(&[5, 4]));
    parameters.add("table", Role::Embedding, Array::zeros(&[3, 6]));
    parameters.add("bias", Role::Bias, Array::zeros(&[7]));
    for clipping in CLIPPINGS {
        let mut random = Initializer::new(13);
        let sensitivity = clipping.sensitivity(0.7);
        let largest = (0..1000)
            .map(|_| {
                let tape = extreme_example(&mut random, &parameters);
                norm(&flat(
                    &clipped_sum(&parameters, tape, clipping, 0.7).unwrap(),
                ))
            })
            .fold(0.0, f64::max);
        assert!(
            largest <= sensitivity * (1.0 + 1e-5),
            "{clipping:?}: {largest}"
        );
        assert!(
            largest > 0.99 * sensitivity,
            "{clipping:?}: {largest} is loose"
        );
    }
}
