//! One block: attention and feed-forward, each followed by a layer norm over its sum with the residual.

use super::projection::Projection;
use super::relative::{self, Places};
use crate::kernel::{self, Gelu, Heads, Normalized};
use crate::{Array, Linear, Norm, PackedLayout, Parameters, Tape};

#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) query: Projection,
    pub(super) key: Projection,
    pub(super) value: Linear,
    pub(super) attention_out: Linear,
    pub(super) first_norm: Norm,
    pub(super) up: Linear,
    pub(super) down: Linear,
    pub(super) second_norm: Norm,
}

/// What scores are made of beside queries and keys of tokens.
#[derive(Clone, Copy)]
pub(super) struct Beside<'a> {
    /// Added to scores.
    pub(super) bias: Option<&'a Array>,
    /// Met by queries and keys.
    pub(super) places: Option<&'a Places>,
}

/// What the backward pass of a block needs.
pub(crate) struct Saved {
    input: Array,
    qkv: Array,
    /// Keys and queries of places, side by side.
    met: Option<Array>,
    probabilities: Array,
    attended: Array,
    first_norm: Normalized,
    middle: Array,
    pre_activation: Array,
    activation: Array,
    second_norm: Normalized,
}

impl Block {
    pub(super) fn forward(
        &self,
        parameters: &Parameters,
        heads: &Heads,
        rows: &PackedLayout,
        beside: Beside<'_>,
        input: Array,
    ) -> (Array, Saved) {
        let places = beside.places;
        let (query, queries_met) = self.query.forward(parameters, places, &input);
        let (key, keys_met) = self.key.forward(parameters, places, &input);
        let value = self.value.forward(parameters, &input);
        let qkv = kernel::join_columns(&[&query, &key, &value]);
        let met: Vec<&Array> = keys_met.iter().chain(&queries_met).collect();
        let met = (!met.is_empty()).then(|| kernel::join_columns(&met));
        let (attended, probabilities) = match (places, &met) {
            (Some(places), Some(met)) => {
                kernel::disentangled(heads, rows, &places.distances, &qkv, met)
            }
            _ => kernel::attention(heads, rows, &qkv, beside.bias),
        };
        let sum = self
            .attention_out
            .forward_residual(parameters, &attended, &input);
        let (middle, first_norm) = self.first_norm.forward(parameters, &sum);
        let pre_activation = self.up.forward(parameters, &middle);
        let activation = kernel::gelu(&pre_activation, Gelu::Erf);
        let sum = self.down.forward_residual(parameters, &activation, &middle);
        let (output, second_norm) = self.second_norm.forward(parameters, &sum);
        let saved = Saved {
            input,
            qkv,
            met,
            probabilities,
            attended,
            first_norm,
            middle,
            pre_activation,
            activation,
            second_norm,
        };
        (output, saved)
    }

    /// Gradients of the input and of the vectors of places, where there are any.
    pub(super) fn backward(
        &self,
        parameters: &Parameters,
        heads: &Heads,
        (rows, places): (&PackedLayout, Option<&Places>),
        saved: Saved,
        gradient: &Array,
        tape: &mut Tape,
    ) -> (Array, Option<Array>) {
        let norm = &saved.second_norm;
        let sum = self
            .second_norm
            .backward(parameters, rows, norm, gradient, None, tape);
        let mut up = self
            .down
            .backward(parameters, rows, &saved.activation, &sum, tape);
        drop(saved.activation);
        kernel::gelu_backward(&saved.pre_activation, &mut up, Gelu::Erf);
        drop(saved.pre_activation);
        let mut middle = self.up.backward(parameters, rows, &saved.middle, &up, tape);
        kernel::add(&mut middle, &sum);
        drop((up, sum, saved.middle));
        let norm = &saved.first_norm;
        let sum = self
            .first_norm
            .backward(parameters, rows, norm, &middle, None, tape);
        let attended = self
            .attention_out
            .backward(parameters, rows, &saved.attended, &sum, tape);
        let width = heads.out_width();
        let (qkv, mut met) = if let (Some(places), Some(met)) = (places, &saved.met) {
            let (qkv, met) = kernel::disentangled_backward(
                heads,
                rows,
                &places.distances,
                [&saved.qkv, met],
                &saved.probabilities,
                &attended,
            );
            let parts = vec![width; met.width() / width];
            (qkv, kernel::split_columns(&met, &parts).into_iter())
        } else {
            let (qkv, p) = (&saved.qkv, &saved.probabilities);
            let qkv = kernel::attention_backward(heads, rows, qkv, p, &attended);
            (qkv, Vec::new().into_iter())
        };
        drop((attended, saved.qkv, saved.probabilities, saved.attended));
        let mut input = sum;
        let parts = kernel::split_columns(&qkv, &[width; 3]);
        // Keys of places lie before queries of places.
        let mut of_places: Option<Array> = None;
        for (layer, part) in [(&self.key, &parts[1]), (&self.query, &parts[0])] {
            let serves = places.is_some_and(|places| places.distances.meets()[layer.meeting]);
            let met = if serves { met.next() } else { None };
            let gradients = [part, met.as_ref().unwrap_or(part)];
            let beside = (rows, places);
            let (more, vectors) = layer.backward(parameters, beside, &saved.input, gradients, tape);
            kernel::add(&mut input, &more);
            relative::collect(&mut of_places, vectors);
        }
        let more = self
            .value
            .backward(parameters, rows, &saved.input, &parts[2], tape);
        kernel::add(&mut input, &more);
        (input, of_places)
    }
}
