//! What agreement with the oracle means: losses, norms and clipped sums, together and alone in a batch.

use super::autodiff::Leaves;
use super::{distance, norm};
use crate::clip::{ClippedSum, Clipping, clipped_sum};
use dpx_nn::device::Tensor;
use dpx_nn::{Parameters, Tape};

/// Something with a backward pass by hand and one by the oracle.
pub(super) trait Subject {
    fn parameters(&self) -> &Parameters;

    /// Forward and backward pass over a batch.
    fn tape(&self, examples: &[Vec<u32>]) -> Tape;

    /// The loss of one example in the oracle; none for an example without targets.
    fn oracle(&self, leaves: &Leaves, example: &[u32]) -> Option<Tensor<1>>;
}

/// The gradient of an example, one vector for each trainable parameter.
pub(super) type Gradient = Vec<Vec<f64>>;

fn whole(gradient: &Gradient) -> f64 {
    norm(&gradient.concat())
}

/// What an example adds to the sum.
fn clipped(gradient: &Gradient, clipping: Clipping, bound: f64) -> Gradient {
    let share = bound / (gradient.len() as f64).sqrt();
    let at_most = |bound: f64, norm: f64| if norm > bound { bound / norm } else { 1.0 };
    let factor = |tensor: &Vec<f64>| match clipping {
        Clipping::None => 1.0,
        Clipping::Flat => at_most(bound, whole(gradient)),
        Clipping::Automatic => bound / (whole(gradient) + 0.01),
        Clipping::PerLayer => at_most(share, norm(tensor)),
    };
    let scaled = |tensor: &Vec<f64>| {
        let factor = factor(tensor);
        tensor.iter().map(|value| factor * value).collect()
    };
    gradient.iter().map(scaled).collect()
}

fn sum(gradients: &[Gradient], clipping: Clipping, bound: f64) -> Gradient {
    let mut parts = gradients
        .iter()
        .map(|gradient| clipped(gradient, clipping, bound));
    let mut total = parts.next().unwrap();
    for part in parts {
        for (total, part) in total.iter_mut().flatten().zip(part.iter().flatten()) {
            *total += part;
        }
    }
    total
}

/// Whether all of it agrees to 1e-4 relative, tensor by tensor; a tensor that hardly counts may err by 1e-6 of the whole.
fn same_sum(name: &str, got: &ClippedSum, want: &Gradient) {
    assert_eq!(
        got.gradients.len(),
        want.len(),
        "{name}: a sum for each trainable tensor"
    );
    let total = whole(want);
    for (tensor, (got, want)) in got.gradients.iter().zip(want).enumerate() {
        let got: Vec<f64> = got.host().iter().copied().map(f64::from).collect();
        let error = distance(&got, want);
        assert!(
            error <= 1e-4 * norm(want) + 1e-6 * total,
            "{name}, tensor {tensor}: off by {error} of {}",
            norm(want)
        );
    }
}

fn same_norm(name: &str, got: f64, want: f64) {
    assert!(
        (got - want).abs() <= 1e-4 * want,
        "{name}: norm {got}, by the oracle {want}"
    );
}

/// Compares losses, norms and sums of a batch, of every example alone, and of a batch of two.
pub(super) fn check(name: &str, subject: &dyn Subject, examples: &[Vec<u32>]) {
    let leaves = Leaves::new(subject.parameters());
    let (losses, gradients): (Vec<f64>, Vec<Gradient>) = examples
        .iter()
        .map(|example| leaves.gradient(subject.oracle(&leaves, example)))
        .unzip();
    let norms: Vec<f64> = gradients.iter().map(whole).collect();
    let mut ordered = norms.clone();
    ordered.sort_by(f64::total_cmp);
    // Some examples are below the bound and some above it.
    let bound = ordered[ordered.len() / 2] * 1.01;
    assert!(ordered[ordered.len() - 1] > bound, "{name}: {norms:?}");

    let run = |chosen: &[usize], clipping| {
        let batch: Vec<_> = chosen
            .iter()
            .map(|&example| examples[example].clone())
            .collect();
        clipped_sum(subject.parameters(), subject.tape(&batch), clipping, bound).unwrap()
    };
    let all: Vec<usize> = (0..examples.len()).collect();
    for clipping in [
        Clipping::None,
        Clipping::Flat,
        Clipping::Automatic,
        Clipping::PerLayer,
    ] {
        let together = run(&all, clipping);
        let name = format!("{name}, {clipping:?}");
        same_sum(&name, &together, &sum(&gradients, clipping, bound));
        for (got, want) in together.losses.iter().zip(&losses) {
            assert!(
                (got - want).abs() <= 1e-5 * want.abs().max(1.0),
                "{name}: loss {got}, {want}"
            );
        }
        for (got, want) in together.norms.iter().zip(&norms) {
            same_norm(&name, *got, *want);
        }
    }
    for example in all {
        let alone = run(&[example], Clipping::Flat);
        let name = format!("{name}, example {example} alone");
        same_norm(&name, alone.norms[0], norms[example]);
        let added: Vec<f64> = alone
            .gradients
            .iter()
            .flat_map(|array| array.host().iter().copied().map(f64::from))
            .collect();
        assert!(
            norm(&added) <= bound * (1.0 + 1e-5),
            "{name}: adds {}",
            norm(&added)
        );
        same_sum(
            &name,
            &alone,
            &clipped(&gradients[example], Clipping::Flat, bound),
        );
    }
}
