//! The clipped sum of a model that keeps no activations: one backward pass for the norms, another for the sum.
//!
//! The factor of an example follows from its norm over all parameters, which is known at the end of a backward pass alone. A tape
//! that is kept until then holds inputs and output gradients of all layers, as much as the activations that were not kept. Here each
//! part of it is used as it comes and dropped: both passes hand over the same bits, and the same functions make the same norms and
//! sums of them as [`clipped_sum`].

use super::factors::Factors;
use super::sum::sum_of;
use super::{ClipError, ClippedSum, Clipping, Uses, clipped_sum, found, norm};
use dpx_nn::{Array, Batch, GradSample, Network, ParameterId, Parameters};

/// Why the gradient of a micro-batch could not be computed. No message depends on a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GradientError {
    /// The model refused the batch.
    #[error(transparent)]
    Network(#[from] dpx_nn::Error),
    /// The gradient cannot be bounded.
    #[error(transparent)]
    Clip(#[from] ClipError),
}

/// Forward and backward pass of a micro-batch, and the sum of the clipped gradients of its examples. With a model that computes its
/// activations anew it takes little memory; no bit of the result depends on that.
///
/// # Errors
/// When the model refuses the batch, or a gradient cannot be bounded ([`clipped_sum`]).
pub(crate) fn clipped_gradient(
    network: &dyn Network,
    batch: &Batch,
    clipping: Clipping,
    max_grad_norm: f64,
) -> Result<ClippedSum, GradientError> {
    if !network.recomputes() {
        let tape = network.forward_backward(batch)?;
        let sum = clipped_sum(network.parameters(), tape, clipping, max_grad_norm)?;
        return Ok(sum);
    }
    let mut parts = Parts::new(network.parameters(), clipping, max_grad_norm);
    let losses = network.backward_in_parts(batch, parts.passes(), &mut |pass, samples| {
        parts.add(pass, samples);
    })?;
    Ok(parts.sum(losses)?)
}

/// What is known so far.
struct Parts<'a> {
    parameters: &'a Parameters,
    /// Place of each parameter among the trainable ones.
    places: Vec<Option<usize>>,
    clipping: Clipping,
    max_grad_norm: f64,
    squares: Vec<Option<Vec<f64>>>,
    factors: Option<Factors>,
    gradients: Vec<Option<Array>>,
    failed: Option<ClipError>,
}

impl<'a> Parts<'a> {
    fn new(parameters: &'a Parameters, clipping: Clipping, max_grad_norm: f64) -> Self {
        let trainable = parameters.trainable_ids();
        let mut places = vec![None; parameters.len()];
        for (place, id) in trainable.iter().enumerate() {
            places[id.index()] = Some(place);
        }
        Self {
            parameters,
            places,
            clipping,
            max_grad_norm,
            squares: vec![None; trainable.len()],
            factors: None,
            gradients: vec![None; trainable.len()],
            failed: None,
        }
    }

    /// Without clipping there are no norms to be known first.
    fn passes(&self) -> usize {
        if self.clipping == Clipping::None {
            1
        } else {
            2
        }
    }

    fn add(&mut self, pass: usize, samples: Vec<GradSample>) {
        if self.failed.is_some() {
            return;
        }
        let added = found(self.parameters, samples).and_then(|uses| {
            if pass + 1 < self.passes() {
                self.add_norms(&uses)
            } else {
                self.add_sums(uses)
            }
        });
        self.failed = added.err();
    }

    fn place(&self, id: ParameterId) -> usize {
        self.places[id.index()].expect("`found` returns trainable parameters alone")
    }

    /// The error of a parameter that came twice, whose joint norm is not that of its parts.
    fn came_twice(&self, id: ParameterId) -> ClipError {
        ClipError::Unsupported(self.parameters.get(id).name.clone())
    }

    fn add_norms(&mut self, uses: &[(ParameterId, Uses)]) -> Result<(), ClipError> {
        let squares = norm::squares(uses);
        for ((id, _), squares) in uses.iter().zip(squares) {
            let place = self.place(*id);
            if self.squares[place].replace(squares).is_some() {
                return Err(self.came_twice(*id));
            }
        }
        Ok(())
    }

    fn add_sums(&mut self, uses: Vec<(ParameterId, Uses)>) -> Result<(), ClipError> {
        for (id, uses) in uses {
            let place = self.place(id);
            if self.factors.is_none() {
                self.factors = Some(self.made(&uses)?);
            }
            let factors = self.factors.as_ref().expect("made above");
            let sum = sum_of(uses, self.parameters.value(id), factors.of(place));
            if self.gradients[place].replace(sum).is_some() {
                return Err(self.came_twice(id));
            }
        }
        Ok(())
    }

    /// The factors, once the norms of all parameters are known.
    fn made(&mut self, uses: &Uses) -> Result<Factors, ClipError> {
        if self.clipping == Clipping::None {
            return Ok(Factors::ones(examples(uses)));
        }
        if self.squares.iter().any(Option::is_none) {
            return Err(self.not_recorded(&self.squares));
        }
        let squares: Vec<Vec<f64>> = self.squares.iter_mut().filter_map(Option::take).collect();
        let count = squares.first().map_or(0, Vec::len);
        Ok(Factors::new(
            &squares,
            count,
            self.clipping,
            self.max_grad_norm,
        ))
    }

    fn not_recorded<T>(&self, of_each: &[Option<T>]) -> ClipError {
        let missing = of_each.iter().position(Option::is_none).unwrap_or(0);
        let id = self.parameters.trainable_ids()[missing];
        ClipError::NotRecorded(self.parameters.get(id).name.clone())
    }

    fn sum(self, losses: Vec<f64>) -> Result<ClippedSum, ClipError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        if self.gradients.iter().any(Option::is_none) {
            return Err(self.not_recorded(&self.gradients));
        }
        Ok(ClippedSum {
            gradients: self.gradients.into_iter().flatten().collect(),
            losses,
            norms: self.factors.map_or_else(Vec::new, |factors| factors.norms),
        })
    }
}

fn examples(uses: &Uses) -> usize {
    match uses {
        Uses::Linear(sample) | Uses::Embedding(sample) | Uses::PerExample(sample) => match sample {
            GradSample::Linear { rows, .. } | GradSample::Embedding { rows, .. } => rows.batch(),
            GradSample::PerExample { gradient, .. } => gradient.rows(),
        },
        Uses::Tied { linear, .. } => examples(&Uses::Linear(linear.clone())),
    }
}
