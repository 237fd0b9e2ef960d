//! The prompt-mismatch loss: two sequences, one example.

use super::*;

/// Texts under two prompts of unequal length each; the third has no second sequence, the fourth no text.
const PAIRS: [[&[u32]; 2]; 4] = [
    [&[3, 4, 9, 4, 9, 12], &[5, 6, 4, 9, 4, 9, 12]],
    [&[7, 50, 2, 2], &[3, 50, 2, 2]],
    [&[3, 8, 8, 8], &[]],
    [&[3], &[5, 6]],
];
const PROMPTS: [[usize; 2]; 4] = [[1, 2], [1, 1], [1, 1], [1, 2]];
const WEIGHT: f32 = 0.7;

fn batch_of(pairs: &[usize]) -> Batch {
    let sequence = |pair: usize, of: usize| Sequence {
        ids: PAIRS[pair][of],
        counted_from: PROMPTS[pair][of],
    };
    let pairs: Vec<_> = pairs
        .iter()
        .map(|&pair| [sequence(pair, 0), sequence(pair, 1)])
        .collect();
    Batch::causal_pairs(&pairs, WEIGHT)
}

fn sum_of(model: &Decoder, pairs: &[usize], clipping: Clipping, bound: f64) -> ClippedSum {
    let tape = model.forward_backward(&batch_of(pairs)).unwrap();
    clipped_sum(model.parameters(), tape, clipping, bound).unwrap()
}

/// Both sequences of an example are bounded together, as one gradient.
#[test]
fn a_pair_is_clipped_as_one_example() {
    let mut with_adapters = model();
    with_adapters.add_lora(3, 6.0, 1);
    for model in [model(), with_adapters] {
        let all = [0, 1, 2, 3];
        let bound = 0.3;
        let sum = sum_of(&model, &all, Clipping::Flat, bound);
        assert_eq!((sum.losses.len(), sum.norms.len()), (4, 4));
        let mut want = vec![0.0; flat(&sum).len()];
        for pair in all {
            let gradient = flat(&sum_of(&model, &[pair], Clipping::None, 1.0));
            let length = norm(&gradient);
            let got = sum.norms[pair];
            assert!(
                (got - length).abs() <= 1e-4 * length.max(1e-3),
                "{got}, {length}"
            );
            for (sum, g) in want.iter_mut().zip(&gradient) {
                *sum += g * (bound / length.max(bound)).min(1.0);
            }
            let rest: Vec<usize> = all.into_iter().filter(|&other| other != pair).collect();
            let without = flat(&sum_of(&model, &rest, Clipping::Flat, bound));
            assert!(distance(&flat(&sum), &without) <= bound * (1.0 + 1e-5));
        }
        assert!(distance(&flat(&sum), &want) <= 1e-4 * norm(&want));
        assert_eq!(sum.norms[3], 0.0, "nothing counts in it");
    }
}

/// The loss is that of telling the two prompts apart by Bayes' rule, and its gradient is its slope.
#[test]
fn the_loss_is_that_of_the_formula_and_the_gradient_its_slope() {
    let mut model = model();
    let plain = |model: &Decoder, of: usize| {
        let sequence = Sequence {
            ids: PAIRS[0][of],
            counted_from: PROMPTS[0][of],
        };
        model.forward_loss(&Batch::causal(&[sequence])).unwrap()[0]
    };
    let (own, other) = (plain(&model, 0), plain(&model, 1));
    let lost = 5.0 * (other - own);
    let want = own + f64::from(WEIGHT) * (1.0 + (-lost).exp()).ln();
    let sum = sum_of(&model, &[0], Clipping::None, 1.0);
    assert!(
        (sum.losses[0] - want).abs() < 1e-5,
        "{}, {want}",
        sum.losses[0]
    );
    let mut random = dpx_nn::Initializer::new(9);
    let ids = model.parameters().trainable_ids();
    for (id, gradient) in ids.into_iter().zip(sum.gradients) {
        let value = model.parameters().value(id).clone();
        let direction = random.normal(value.shape(), 1.0);
        let step = 2e-3 / dot(&direction, &direction).sqrt();
        let mut loss = |sign: f64| {
            let mut moved = direction.clone();
            dpx_nn::kernel::scale(&mut moved, (sign * step) as f32);
            dpx_nn::kernel::add(&mut moved, &value);
            *model.parameters_mut().value_mut(id) = moved;
            model.forward_loss(&batch_of(&[0])).unwrap()[0]
        };
        let slope = (loss(1.0) - loss(-1.0)) / (2.0 * step);
        *model.parameters_mut().value_mut(id) = value;
        let want = dot(&direction, &gradient);
        let scale = dot(&gradient, &gradient).sqrt() * dot(&direction, &direction).sqrt() * 0.02;
        assert!(
            (slope - want).abs() <= scale.max(3e-3),
            "{slope}, by hand {want}"
        );
    }
}
