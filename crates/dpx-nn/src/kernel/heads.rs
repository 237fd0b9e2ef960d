//! The shape of an attention layer.

/// How queries, keys and values lie side by side in one row, and how scores are made.
///
/// A row holds `heads` queries, then `kv_heads` keys, then `kv_heads` values, each of `head_dim` values.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Heads {
    pub heads: usize,
    /// Number of key and value heads; divides `heads`. Consecutive queries share one.
    pub kv_heads: usize,
    /// Values of a query, key or value.
    pub head_dim: usize,
    /// Factor of the scores, mostly 1 / sqrt(head_dim).
    pub scale: f32,
    /// Whether a position sees only itself and earlier ones.
    pub causal: bool,
    /// How many positions each way are seen, the own one counted: `Some(1)` sees itself alone. None: all.
    pub window: Option<usize>,
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
            window: None,
        }
    }

    /// The same, seeing only positions that are less than `window` away.
    #[must_use]
    pub const fn within(self, window: Option<usize>) -> Self {
        Self { window, ..self }
    }

    /// The positions that one of `length` positions sees.
    pub(crate) fn seen(&self, position: usize, length: usize) -> std::ops::Range<usize> {
        let end = if self.causal { position + 1 } else { length };
        match self.window {
            None => 0..end,
            Some(window) => (position + 1).saturating_sub(window)..end.min(position + window),
        }
    }

    /// Width of a row of queries, keys and values.
    pub const fn qkv_width(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }

    /// Width of a row of outputs.
    pub(crate) const fn out_width(&self) -> usize {
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
