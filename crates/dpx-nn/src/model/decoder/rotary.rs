//! Tables of the angles by which positions turn.

use crate::Array;
use crate::model::config::Rotary;
use dpx_schema::Device;

/// Cosines and sines of a rotary embedding, `[positions, frequencies]`.
#[derive(Debug, Clone)]
pub(super) struct Angles {
    pub(super) cosines: Array,
    pub(super) sines: Array,
}

impl Angles {
    /// For the positions below `positions`, computed in f64.
    pub(super) fn new(rotary: &Rotary, positions: usize, device: Device) -> Self {
        let table = |function: fn(f64) -> f64| {
            let frequencies = &rotary.frequencies;
            let values = (0..positions)
                .flat_map(|position| {
                    frequencies
                        .iter()
                        .map(move |f| (rotary.scale * function(position as f64 * f)) as f32)
                })
                .collect();
            Array::from_vec(values, &[positions, frequencies.len()]).on(device)
        };
        Self {
            cosines: table(f64::cos),
            sines: table(f64::sin),
        }
    }
}
