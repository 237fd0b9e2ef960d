//! From norms to the factor of each example.

use super::super::fault::fault;
use dpx_schema::params;

/// How each example's gradient is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clipping {
    /// Not at all: public data, or epsilon = infinity. No norms are computed.
    None,
    /// Scaled by min(1, C / norm) over all parameters together (Abadi et al. 2016).
    #[default]
    Flat,
    /// Scaled by C / (norm + 0.01) (Bu et al. 2022, AUTO-S).
    Automatic,
    /// Each of the k tensors is scaled by min(1, C / (sqrt(k) norm)) on its own.
    PerLayer,
}

impl From<params::Clipping> for Clipping {
    fn from(asked: params::Clipping) -> Self {
        match asked {
            params::Clipping::Flat => Self::Flat,
            params::Clipping::Automatic => Self::Automatic,
            params::Clipping::PerLayer => Self::PerLayer,
        }
    }
}

/// The stabiliser of automatic clipping (Bu et al. 2022, section 4).
const STABILISER: f64 = 0.01;

impl Clipping {
    /// Largest L2 norm by which adding or removing one example, or putting zero in its place, changes the sum; infinite
    /// without clipping. For `PerLayer` it is the root of the sum of the tensors' squared bounds, which is C again.
    pub const fn sensitivity(self, max_grad_norm: f64) -> f64 {
        match self {
            Self::None => f64::INFINITY,
            Self::Flat | Self::Automatic | Self::PerLayer => max_grad_norm,
        }
    }

    fn factor(self, bound: f64, norm: f64) -> f64 {
        match self {
            Self::None => 1.0,
            Self::Flat | Self::PerLayer if norm <= bound => 1.0,
            Self::Flat | Self::PerLayer => bound / norm,
            Self::Automatic => bound / (norm + STABILISER),
        }
    }
}

/// Factors of the examples for each tensor, and what they were made from.
pub(super) struct Factors {
    /// For each tensor one factor per example; `None` removes the example. Tensors that share their factors hold them once.
    shared: bool,
    per_tensor: Vec<Vec<Option<f32>>>,
    /// Upper bound of each example's norm before clipping.
    pub(super) norms: Vec<f64>,
}

impl Factors {
    pub(super) fn ones(batch: usize) -> Self {
        Self {
            shared: true,
            per_tensor: vec![vec![Some(1.0); batch]],
            norms: Vec::new(),
        }
    }

    /// From the squared norms of each tensor, one list of examples per tensor.
    pub(super) fn new(
        squares: &[Vec<f64>],
        batch: usize,
        clipping: Clipping,
        max_grad_norm: f64,
    ) -> Self {
        let bound = max_grad_norm * if fault!(ClipAtTwice) { 2.0 } else { 1.0 };
        let norms: Vec<f64> = (0..batch)
            .map(|example| squares.iter().map(|of| of[example]).sum::<f64>().sqrt())
            .collect();
        let select = |norm: f64, example: usize, bound: f64| {
            if norms[example].is_finite() {
                let factor = clipping.factor(bound, norm);
                Some(if fault!(NoClip) { 1.0 } else { factor as f32 })
            } else {
                fault!(NanByMultiplication).then_some(0.0)
            }
        };
        let shared = clipping != Clipping::PerLayer;
        let per_tensor = if shared {
            vec![(0..batch).map(|i| select(norms[i], i, bound)).collect()]
        } else {
            let share = bound / (squares.len().max(1) as f64).sqrt();
            squares
                .iter()
                .map(|of| (0..batch).map(|i| select(of[i].sqrt(), i, share)).collect())
                .collect()
        };
        Self {
            shared,
            per_tensor,
            norms,
        }
    }

    /// Factors of the examples for a tensor, by its place among the trainable ones.
    pub(super) fn of(&self, tensor: usize) -> &[Option<f32>] {
        &self.per_tensor[if self.shared { 0 } else { tensor }]
    }
}
