//! Attention to content and distance over packed examples, forward and backward, on examples padded to the longest.

use super::attention::{UNSEEN, from_keys, keys, split};
use super::{Padding, upload::indices};
use crate::device::Tensor;
use crate::kernel::{Disentangled, Distances, Heads};
use burn::tensor::activation::softmax;
use burn::tensor::{IndexingUpdateOp, Int};
use burn_dispatch::DispatchDevice;
use std::sync::Arc;

/// How the tokens of padded examples meet their places.
pub(crate) struct Meetings<'a> {
    heads: &'a Heads,
    distances: &'a Distances,
    padding: Arc<Padding>,
    places: Arc<Padding>,
    /// The place of each query and key, `[batch, heads, max_seq_len, max_seq_len]`.
    place_of: Tensor<4, Int>,
}

impl<'a> Meetings<'a> {
    pub(crate) fn new(over: Disentangled<'a>, device: &DispatchDevice) -> Self {
        let Disentangled {
            heads,
            rows,
            distances,
        } = over;
        let [padding, places] = [rows, distances.places()].map(|rows| rows.padding(device));
        let size = padding.max_seq_len;
        let place_of = rows.lengths().flat_map(|length| {
            let own: Vec<usize> = distances.of(length).collect();
            (0..size * size).map(move |at| {
                let (query, key) = (at / size, at % size);
                // What padding meets counts for nothing.
                if query < length && key < length {
                    own[length - 1 + query - key]
                } else {
                    0
                }
            })
        });
        let (batch, count) = (padding.batch, heads.heads);
        let place_of = indices(place_of, device)
            .reshape([batch, 1, size, size])
            .expand([batch, count, size, size]);
        Self {
            heads,
            distances,
            padding,
            places,
            place_of,
        }
    }

    /// Keys (part 0) and queries (part 1) of places, `[batch, heads, most places, head_dim]`, where there are any.
    fn parts(&self, places: Tensor<2>) -> [Option<Tensor<4>>; 2] {
        let padded = self.places.pad(places);
        let width = self.heads.out_width();
        let meets = self.distances.meets();
        let at = [0, if meets[0] { width } else { 0 }];
        [0, 1].map(|part| {
            meets[part].then(|| keys(self.heads, padded.clone().narrow(2, at[part], width)))
        })
    }

    /// `[batch, heads, tokens that meet places, places]` by query and key.
    fn by_pair(&self, part: usize, met: Tensor<4>) -> Tensor<4> {
        if part == 0 {
            met.gather(3, self.place_of.clone())
        } else {
            let by_key = self.place_of.clone().swap_dims(2, 3);
            met.gather(3, by_key).swap_dims(2, 3)
        }
    }

    /// The transpose of [`Self::by_pair`], of `count` places.
    fn by_place(&self, part: usize, pairs: Tensor<4>, count: usize) -> Tensor<4> {
        let [batch, heads, size, _] = pairs.dims();
        let zeros = Tensor::zeros([batch, heads, size, count], &pairs.device());
        if part == 0 {
            zeros.scatter(3, self.place_of.clone(), pairs, IndexingUpdateOp::Add)
        } else {
            let by_key = self.place_of.clone().swap_dims(2, 3);
            zeros.scatter(3, by_key, pairs.swap_dims(2, 3), IndexingUpdateOp::Add)
        }
    }

    /// The output `[rows, out_width]` and the probabilities `[batch * heads * max_seq_len, max_seq_len]`.
    pub(crate) fn forward(&self, [qkv, places]: [Tensor<2>; 2]) -> [Tensor<2>; 2] {
        let (batch, size) = (self.padding.batch, self.padding.max_seq_len);
        let [query, key, value] = split(self.heads, &self.padding, qkv);
        let mut scores = query.clone().matmul(key.clone().swap_dims(2, 3));
        let tokens = [query, key];
        for (part, (tokens, places)) in tokens.into_iter().zip(self.parts(places)).enumerate() {
            if let Some(places) = places {
                let met = tokens.matmul(places.swap_dims(2, 3));
                scores = scores + self.by_pair(part, met);
            }
        }
        let mut scores = scores * self.heads.scale;
        let dims = scores.dims();
        if let Some(unseen) = self.padding.padding(0..batch) {
            let unseen = unseen.reshape([batch, 1, 1, size]);
            scores = scores.mask_fill(unseen.expand(dims), UNSEEN);
        }
        let probabilities = softmax(scores, 3);
        let out = probabilities.clone().matmul(value);
        [
            self.padding.unpad(from_keys(out)),
            probabilities.reshape([dims[0] * dims[1] * size, size]),
        ]
    }

    /// Gradients of `qkv` and of the places from the gradient of the output.
    pub(crate) fn backward(
        &self,
        [qkv, places, probabilities, gradient]: [Tensor<2>; 4],
    ) -> [Tensor<2>; 2] {
        let (batch, size) = (self.padding.batch, self.padding.max_seq_len);
        let [query, key, value] = split(self.heads, &self.padding, qkv);
        let gradient = self.padding.zeroed(self.padding.pad(gradient), 0..batch);
        let gradient = keys(self.heads, gradient);
        let p = probabilities.reshape([batch, self.heads.heads, size, size]);
        let value_gradient = p.clone().swap_dims(2, 3).matmul(gradient.clone());
        let dp = gradient.matmul(value.swap_dims(2, 3));
        let mean = (dp.clone() * p.clone()).sum_dim(3);
        let ds = p * (dp - mean) * self.heads.scale;
        let mut gradients = [
            ds.clone().matmul(key.clone()),
            ds.clone().swap_dims(2, 3).matmul(query.clone()),
        ];
        let mut place_gradients = Vec::new();
        let tokens = [query, key];
        for (part, (tokens, places)) in tokens.into_iter().zip(self.parts(places)).enumerate() {
            if let Some(places) = places {
                let met = self.by_place(part, ds.clone(), places.dims()[2]);
                gradients[part] = gradients[part].clone() + met.clone().matmul(places);
                place_gradients.push(from_keys(met.swap_dims(2, 3).matmul(tokens)));
            }
        }
        let [query, key] = gradients;
        let qkv = [query, key, value_gradient].map(from_keys);
        [
            self.padding.unpad(Tensor::cat(qkv.into(), 1)),
            self.places.unpad(Tensor::cat(place_gradients, 1)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::device::DeviceExt;
    use crate::kernel::{self, Distances, Heads};
    use crate::{Array, Initializer, PackedLayout};
    use dpx_schema::Device;

    #[test]
    fn attention_to_distances_is_that_of_the_host() {
        let random = |seed: u64, shape: &[usize]| Initializer::new(seed).normal(shape, 1.0);
        let device = Device::under_test();
        for lengths in [vec![3, 0, 7, 1], vec![4, 4]] {
            for meets in [[true, true], [true, false], [false, true]] {
                let rows = PackedLayout::from_lengths(lengths.clone());
                let heads = Heads::new(2, 3, false);
                // Two far distances share a row, and one row is left out.
                let row =
                    |distance: i64| (distance.clamp(-5, 4) + 5) as u32 + u32::from(distance > 2);
                let distances = Distances::new(&rows, row, meets);
                let places = distances.places().count();
                let inputs = [
                    random(1, &[rows.count(), heads.qkv_width()]),
                    random(2, &[places, distances.width(&heads)]),
                    random(3, &[rows.count(), heads.out_width()]),
                ];
                let compute = |x: &[Array]| {
                    let (out, p) = kernel::disentangled(&heads, &rows, &distances, &x[0], &x[1]);
                    let (qkv, places) = kernel::disentangled_backward(
                        &heads,
                        &rows,
                        &distances,
                        [&x[0], &x[1]],
                        &p,
                        &x[2],
                    );
                    [out, qkv, places]
                };
                let expected = compute(&inputs);
                let found = compute(&inputs.clone().map(|array| array.on(device)));
                for (found, expected) in found.iter().zip(&expected) {
                    for (found, expected) in found.to_vec().iter().zip(expected.to_vec()) {
                        assert!(
                            (found - expected).abs() < 1e-4,
                            "{meets:?}: {found} {expected}"
                        );
                    }
                }
            }
        }
    }
}
