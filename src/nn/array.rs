//! `Array`: f32 values in row-major order with their shape, on the host.

use super::pool::Buffer;
use std::fmt;
use std::sync::Arc;

/// An array of f32 in row-major order. Cheap to clone: clones share their values until one of them is written to.
#[derive(Clone)]
pub struct Array {
    shape: Vec<usize>,
    values: Arc<Buffer>,
}

impl Array {
    /// Takes values in row-major order.
    ///
    /// # Panics
    /// When the number of values is not the product of the shape.
    pub fn from_vec(values: Vec<f32>, shape: &[usize]) -> Self {
        assert_eq!(
            values.len(),
            shape.iter().product::<usize>(),
            "values for shape {shape:?}"
        );
        Self::from_buffer(values.into(), shape)
    }

    /// All zeros.
    pub fn zeros(shape: &[usize]) -> Self {
        Self::from_buffer(Buffer::zeros(shape.iter().product()), shape)
    }

    /// All of one value.
    pub fn full(shape: &[usize], value: f32) -> Self {
        let mut buffer = Buffer::stale(shape.iter().product());
        buffer.fill(value);
        Self::from_buffer(buffer, shape)
    }

    pub(crate) fn from_buffer(buffer: Buffer, shape: &[usize]) -> Self {
        debug_assert_eq!(buffer.len(), shape.iter().product::<usize>());
        Self {
            shape: shape.to_vec(),
            values: Arc::new(buffer),
        }
    }

    /// Length of each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Product of all dimensions but the last.
    pub fn rows(&self) -> usize {
        self.shape[..self.shape.len().saturating_sub(1)]
            .iter()
            .product()
    }

    /// The last dimension; 1 for a scalar.
    pub fn width(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// The same values under another shape.
    ///
    /// # Panics
    /// When the shapes have different numbers of values.
    #[must_use]
    pub fn reshape(mut self, shape: &[usize]) -> Self {
        assert_eq!(
            self.len(),
            shape.iter().product::<usize>(),
            "reshape of {:?} to {shape:?}",
            self.shape
        );
        self.shape = shape.to_vec();
        self
    }

    /// A copy of the values.
    pub fn to_vec(&self) -> Vec<f32> {
        self.host().to_vec()
    }

    /// The values.
    pub fn host(&self) -> &[f32] {
        &self.values
    }

    /// The values, to be written to; copies them first when another clone shares them.
    pub fn host_mut(&mut self) -> &mut [f32] {
        &mut *Arc::<Buffer>::make_mut(&mut self.values)
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Array{:?}", self.shape)
    }
}
