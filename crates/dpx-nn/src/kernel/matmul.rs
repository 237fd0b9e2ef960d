//! Matrix products.

use super::burn::precise;
use super::host::matmul::{Matrix, Threads, matmul as host_matmul};
use crate::device::Tensor;
use crate::pool::Buffer;
use crate::{Arithmetic, Array};
use burn::tensor::DType;

/// Whether a factor is taken as it is or transposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// As it is.
    Plain,
    /// Transposed.
    Transposed,
}

impl Side {
    /// Rows and columns of the factor as it enters the product.
    fn shape(self, array: &Array) -> [usize; 2] {
        match self {
            Self::Plain => [array.rows(), array.width()],
            Self::Transposed => [array.width(), array.rows()],
        }
    }

    fn tensor(self, array: &Array) -> Tensor<2> {
        match self {
            Self::Plain => array.tensor(),
            Self::Transposed => array.tensor().transpose(),
        }
    }

    fn view(self, array: &Array) -> Matrix<'_> {
        match self {
            Self::Plain => Matrix::new(array.host(), array.width()),
            Self::Transposed => Matrix::transposed(array.host(), array.width()),
        }
    }
}

fn dimensions(a: &Array, a_side: Side, b: &Array, b_side: Side) -> [usize; 3] {
    let ([m, k], [inner, n]) = (a_side.shape(a), b_side.shape(b));
    assert_eq!(k, inner, "inner dimensions of {a:?} and {b:?}");
    [m, k, n]
}

/// The product on a device, in bfloat16 where a factor asks for it.
fn product(a: &Array, a_side: Side, b: &Array, b_side: Side) -> Tensor<2> {
    let (x, y) = (a_side.tensor(a), b_side.tensor(b));
    if [a.arithmetic(), b.arithmetic()].contains(&Arithmetic::Bf16) {
        let product = x.cast(DType::BF16).matmul(y.cast(DType::BF16));
        return product.cast(DType::F32);
    }
    x.matmul(y)
}

/// The product `[m, n]` of two factors; leading dimensions count as rows.
pub fn matmul(a: &Array, a_side: Side, b: &Array, b_side: Side) -> Array {
    let [m, k, n] = dimensions(a, a_side, b, b_side);
    if a.is_remote() {
        if m * k * n == 0 {
            return Array::zeros_on(&[m, n], a.device());
        }
        return a.beside(product(a, a_side, b, b_side), &[m, n]);
    }
    let mut c = Buffer::stale(m * n);
    let (x, y) = (a_side.view(a), b_side.view(b));
    host_matmul([m, k, n], x, y, &mut c, n, false, Threads::All);
    Array::from_buffer(c, &[m, n])
}

/// [`matmul`] in true f32 on every device, for sums that a clipping bound is claimed of. On the host it is the same.
pub fn precise_matmul(a: &Array, a_side: Side, b: &Array, b_side: Side) -> Array {
    let [m, k, n] = dimensions(a, a_side, b, b_side);
    if a.is_remote() && m * k * n > 0 {
        let product = precise::matmul(a_side.tensor(a), b_side.tensor(b));
        return a.beside(product, &[m, n]);
    }
    matmul(a, a_side, b, b_side)
}

/// Adds the product of two factors to `c`.
pub fn matmul_add(c: &mut Array, a: &Array, a_side: Side, b: &Array, b_side: Side) {
    let [m, k, n] = dimensions(a, a_side, b, b_side);
    assert_eq!([m, n], [c.rows(), c.width()], "shape of the sum");
    if c.is_remote() {
        if k > 0 {
            c.change(|c| c + product(a, a_side, b, b_side));
        }
        return;
    }
    let (x, y) = (a_side.view(a), b_side.view(b));
    host_matmul([m, k, n], x, y, c.host_mut(), n, true, Threads::All);
}
