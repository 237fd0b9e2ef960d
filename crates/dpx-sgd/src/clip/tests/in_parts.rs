//! Clipping a model that keeps no activations: the same bits as from a whole tape.

use super::models::{fill_adapters, llama_model};
use super::{Clipping, batch, examples, model};
use crate::clip::{ClipError, ClippedSum, GradientError, clipped_gradient};
use dpx_nn::model::Decoder;
use dpx_nn::{Array, Batch, GradSample, Network, Parameters, Role, Selection, Sequence, Tape};

fn bits(sum: &ClippedSum) -> (Vec<u64>, Vec<u64>, Vec<u32>) {
    let doubles = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect();
    let values = sum.gradients.iter().flat_map(Array::host);
    let values = values.map(|value| value.to_bits()).collect();
    (doubles(&sum.losses), doubles(&sum.norms), values)
}

fn models() -> Vec<(&'static str, Decoder)> {
    let mut adapted = llama_model(false);
    adapted.add_lora(3, 6.0, 2);
    fill_adapters(adapted.parameters_mut());
    adapted.parameters_mut().select(Selection::Lora);
    let mut biases = model();
    biases.parameters_mut().select(Selection::Bias);
    vec![
        ("tied", model()),
        ("untied", llama_model(false)),
        ("adapters", adapted),
        ("biases", biases),
    ]
}

/// Sequences alone, and grouped as the records of people.
fn batches() -> [Batch; 2] {
    let examples = examples();
    let whole: Vec<_> = examples.iter().map(|ids| Sequence::whole(ids)).collect();
    let count = whole.len();
    let people = Batch::causal(&whole).in_units(&[2, count - 2], None, 0.5);
    [batch(&examples), people]
}

#[test]
fn norms_losses_and_sums_are_the_same_to_the_last_bit() {
    for (name, mut model) in models() {
        for (place, batch) in batches().iter().enumerate() {
            for clipping in [
                Clipping::Flat,
                Clipping::Automatic,
                Clipping::PerLayer,
                Clipping::None,
            ] {
                model.set_activation_checkpointing(false);
                let kept = clipped_gradient(&model, batch, clipping, 0.05).unwrap();
                model.set_activation_checkpointing(true);
                let anew = clipped_gradient(&model, batch, clipping, 0.05).unwrap();
                assert!(bits(&kept) == bits(&anew), "{name} {place} {clipping:?}");
                assert_eq!(kept.norms.is_empty(), clipping == Clipping::None);
                let felt = kept.norms.iter().any(|norm| *norm > 0.05);
                assert!(
                    felt || clipping == Clipping::None,
                    "{name}: {:?}",
                    kept.norms
                );
            }
        }
    }
}

#[test]
fn an_example_that_is_not_finite_is_removed_in_parts_too() {
    let (_, mut model) = models().swap_remove(2);
    for (_, parameter) in model.parameters_mut().iter_mut() {
        if parameter.role == Role::Embedding {
            parameter.value.host_mut()[0] = f32::INFINITY;
        }
    }
    let examples = [vec![1, 2, 3, 4], vec![5, 0, 7, 8], vec![9, 10, 11, 12]];
    let batch = batch(&examples);
    let kept = clipped_gradient(&model, &batch, Clipping::Flat, 0.3).unwrap();
    model.set_activation_checkpointing(true);
    let anew = clipped_gradient(&model, &batch, Clipping::Flat, 0.3).unwrap();
    assert!(!anew.norms[1].is_finite() && anew.norms[0].is_finite());
    assert_eq!(bits(&kept).2, bits(&anew).2);
    let values = anew.gradients.iter().flat_map(Array::host);
    assert!(values.into_iter().all(|value| value.is_finite()));
}

/// A model that hands over parts wrongly.
struct Broken(Decoder, fn(Vec<GradSample>) -> Vec<Vec<GradSample>>);

impl Network for Broken {
    fn parameters(&self) -> &Parameters {
        self.0.parameters()
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        self.0.parameters_mut()
    }

    fn forward_backward(&self, batch: &Batch) -> Result<Tape, dpx_nn::Error> {
        self.0.forward_backward(batch)
    }

    fn backward_in_parts(
        &self,
        batch: &Batch,
        passes: usize,
        part: &mut dyn FnMut(usize, Vec<GradSample>),
    ) -> Result<Vec<f64>, dpx_nn::Error> {
        self.0
            .backward_in_parts(batch, passes, &mut |pass, samples| {
                for own in (self.1)(samples) {
                    part(pass, own);
                }
            })
    }

    fn recomputes(&self) -> bool {
        true
    }

    fn forward_loss(&self, batch: &Batch) -> Result<Vec<f64>, dpx_nn::Error> {
        self.0.forward_loss(batch)
    }
}

#[test]
fn a_part_that_is_missing_or_comes_twice_is_an_error() {
    let missing = |mut samples: Vec<GradSample>| {
        samples.retain(|sample| sample.parameter().index() != 3);
        vec![samples]
    };
    let twice = |samples: Vec<GradSample>| vec![samples.clone(), samples];
    for clipping in [Clipping::Flat, Clipping::None] {
        let refused = |change: fn(Vec<GradSample>) -> Vec<Vec<GradSample>>| {
            let (_, mut model) = models().swap_remove(1);
            model.set_activation_checkpointing(true);
            let model = Broken(model, change);
            clipped_gradient(&model, &batches()[0], clipping, 1.0).unwrap_err()
        };
        let found = refused(missing);
        assert!(
            matches!(found, GradientError::Clip(ClipError::NotRecorded(_))),
            "{found}"
        );
        let found = refused(twice);
        assert!(
            matches!(found, GradientError::Clip(ClipError::Unsupported(_))),
            "{found}"
        );
    }
}
