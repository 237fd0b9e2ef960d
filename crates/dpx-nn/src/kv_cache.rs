//! Keys and values of tokens that were read already.

use super::kernel::{self, Heads};
use super::{Array, PackedLayout};
use dpx_schema::Device;

/// Keys and values of every layer for a batch of sequences of unequal lengths.
#[derive(Debug, Clone)]
pub struct KvCache {
    /// The shape of each layer's attention.
    heads: Vec<Heads>,
    capacity: usize,
    lengths: Vec<usize>,
    /// `[batch, capacity, kv_heads * head_dim]` for each layer; on the host there may be more rows behind those in use.
    layers: Vec<[Array; 2]>,
}

impl KvCache {
    /// Room for `capacity` tokens in each of `batch` rows, for a layer of each shape.
    pub fn new(heads: Vec<Heads>, batch: usize, capacity: usize, device: Device) -> Self {
        Self {
            capacity,
            lengths: vec![0; batch],
            layers: heads
                .iter()
                .map(|heads| {
                    let shape = [batch, capacity, heads.kv_heads * heads.head_dim];
                    [(); 2].map(|()| Array::zeros_on(&shape, device))
                })
                .collect(),
            heads,
        }
    }

    /// Number of tokens of each row whose keys and values are stored.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Most tokens that a row can hold.
    pub(crate) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Number of rows.
    pub fn batch(&self) -> usize {
        self.lengths.len()
    }

    /// Positions of the tokens that come next.
    pub fn positions(&self) -> Vec<u32> {
        self.lengths.iter().map(|&length| length as u32).collect()
    }

    /// Stores the keys and values of whole prompts of a layer, from `qkv` of a packed forward pass.
    pub fn fill(&mut self, layer: usize, rows: &PackedLayout, qkv: &Array) {
        let [keys, values] = &mut self.layers[layer];
        kernel::store_prompts(&self.heads[layer], rows, qkv, keys, values);
    }

    /// Says that whole prompts of these lengths have been stored in all layers.
    pub(crate) fn set_lengths(&mut self, rows: &PackedLayout) {
        self.lengths = rows.lengths().collect();
    }

    /// Appends one token per row to a layer and attends over all of them.
    pub(crate) fn attend(&mut self, layer: usize, qkv: &Array) -> Array {
        let [keys, values] = &mut self.layers[layer];
        kernel::attention_step(&self.heads[layer], &self.lengths, qkv, keys, values)
    }

    /// Says that one token per row has been appended in all layers.
    pub fn advance(&mut self) {
        for length in &mut self.lengths {
            *length += 1;
        }
    }

    /// Keeps the named rows, in order, and drops all others.
    pub fn keep(&mut self, rows: &[usize]) {
        for cached in self.layers.iter_mut().flatten() {
            kernel::keep_rows(cached, rows, &self.lengths);
        }
        self.lengths = rows.iter().map(|&row| self.lengths[row]).collect();
    }
}
