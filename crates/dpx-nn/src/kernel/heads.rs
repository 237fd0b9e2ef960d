//! The shape of an attention layer.

/// How queries, keys and values lie side by side in one row, and how scores are made.
///
/// A row holds `heads` queries, then `kv_heads` keys, then `kv_heads` values, each of `head_dim` values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heads {
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads; divides `heads`. Consecutive queries share one.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Factor of the scores, mostly 1 / sqrt(head_dim).
    pub scale: f32,
    /// Whether a position sees only itself and earlier ones.
    pub causal: bool,
}

impl Heads {
    /// Plain multi-head attention scaled by 1 / sqrt(head_dim).
    pub fn new(heads: usize, head_dim: usize, causal: bool) -> Self {
        Self::grouped(heads, heads, head_dim, causal)
    }

    /// Grouped-query attention scaled by 1 / sqrt(head_dim).
    pub fn grouped(heads: usize, kv_heads: usize, head_dim: usize, causal: bool) -> Self {
        Self {
            heads,
            kv_heads,
            head_dim,
            scale: 1.0 / (head_dim as f32).sqrt(),
            causal,
        }
    }

    /// Width of a row of queries, keys and values.
    pub const fn qkv_width(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }

    /// Width of a row of outputs.
    pub const fn out_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Query heads that share one key and value head.
    pub const fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// First columns of query, key and value of a query head.
    pub(crate) const fn columns(&self, head: usize) -> [usize; 3] {
        let shared = head / self.group();
        [
            head * self.head_dim,
            (self.heads + shared) * self.head_dim,
            (self.heads + self.kv_heads + shared) * self.head_dim,
        ]
    }
}
