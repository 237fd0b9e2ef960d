//! Keys or queries of tokens, and of the distances that they meet.

use super::relative::Places;
use crate::{Array, Linear, PackedLayout, Parameters, Tape};

/// The layer that makes keys or queries.
#[derive(Debug, Clone)]
pub(super) struct Projection {
    pub(super) tokens: Linear,
    /// The layer for distances, in models where it is not the same.
    pub(super) apart: Option<Linear>,
    /// Which of the two meetings of [`Distances`](crate::kernel::Distances) it serves.
    pub(super) meeting: usize,
}

impl Projection {
    /// The places, where they are met.
    fn met<'a>(&self, places: Option<&'a Places>) -> Option<&'a Places> {
        places.filter(|places| places.distances.meets()[self.meeting])
    }

    /// `[tokens, width]`, and `[places, width]` where places are met.
    pub(super) fn forward(
        &self,
        parameters: &Parameters,
        places: Option<&Places>,
        input: &Array,
    ) -> (Array, Option<Array>) {
        let Some(places) = self.met(places) else {
            return (self.tokens.forward(parameters, input), None);
        };
        let vectors = &places.vectors;
        if let Some(apart) = &self.apart {
            let tokens = self.tokens.forward(parameters, input);
            return (tokens, Some(apart.forward(parameters, vectors)));
        }
        let joined = places.join(input, vectors);
        let [tokens, places] = places.split(&self.tokens.forward(parameters, &joined));
        (tokens, Some(places))
    }

    /// Gradients of the input and, where places are met, of their vectors. Where one layer makes both, its two uses are one.
    pub(super) fn backward(
        &self,
        parameters: &Parameters,
        (rows, places): (&PackedLayout, Option<&Places>),
        input: &Array,
        [of_tokens, of_places]: [&Array; 2],
        tape: &mut Tape,
    ) -> (Array, Option<Array>) {
        let Some(places) = self.met(places) else {
            let input = self
                .tokens
                .backward(parameters, rows, input, of_tokens, tape);
            return (input, None);
        };
        let vectors = &places.vectors;
        if let Some(apart) = &self.apart {
            let input = self
                .tokens
                .backward(parameters, rows, input, of_tokens, tape);
            let own = places.distances.places();
            let vectors = apart.backward(parameters, own, vectors, of_places, tape);
            return (input, Some(vectors));
        }
        let (inputs, gradients) = (
            places.join(input, vectors),
            places.join(of_tokens, of_places),
        );
        let joined = places.joined();
        let gradient = self
            .tokens
            .backward(parameters, joined, &inputs, &gradients, tape);
        let [input, vectors] = places.split(&gradient);
        (input, Some(vectors))
    }
}
