//! `Array`: f32 values in row-major order with their shape, on the host or on a device; frozen matrices in fewer bits.

use super::Arithmetic;
use super::pool::Buffer;
use super::rounded::RoundedMatrix;
use crate::device::{DeviceError, DeviceTensor};
#[cfg(feature = "burn")]
use crate::device::{RoundedTensor, Tensor};
use crate::kernel::{HostKernels, Kernels};
use dpx_schema::Device;
use std::fmt;
use std::sync::Arc;

/// An array of f32 in row-major order. Cheap to clone: clones share their values until one of them is written to.
///
/// Values go from one place to another by [`Array::on`], [`Array::move_to`] and [`Array::to_vec`] alone.
///
/// A [rounded](Array::rounded) array is read, as the second factor of a product, as a table and by [`Array::visit`]; it is never
/// written to.
#[derive(Clone)]
pub struct Array {
    shape: Vec<usize>,
    values: Values,
    /// How a device multiplies by it.
    arithmetic: Arithmetic,
}

#[derive(Clone)]
enum Values {
    Host(Arc<Buffer>),
    /// In fewer bits, on the host.
    Rounded(Arc<RoundedMatrix>),
    Device(DeviceTensor),
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

    /// All zeros, on the host.
    pub fn zeros(shape: &[usize]) -> Self {
        Self::from_buffer(Buffer::zeros(shape.iter().product()), shape)
    }

    /// All zeros, on a device.
    ///
    /// # Panics
    /// When the device cannot be used: [`DeviceExt::usable`](crate::device::DeviceExt::usable) says so before.
    pub fn zeros_on(shape: &[usize], device: Device) -> Self {
        if device == Device::Cpu {
            return Self::zeros(shape);
        }
        Self::on_device(shape, |dims| DeviceTensor::zeros(dims, device))
    }

    /// All of one value, on the host.
    pub fn full(shape: &[usize], value: f32) -> Self {
        let mut buffer = Buffer::stale(shape.iter().product());
        buffer.fill(value);
        Self::from_buffer(buffer, shape)
    }

    pub(crate) fn from_buffer(buffer: Buffer, shape: &[usize]) -> Self {
        debug_assert_eq!(buffer.len(), shape.iter().product::<usize>());
        Self {
            shape: shape.to_vec(),
            values: Values::Host(Arc::new(buffer)),
            arithmetic: Arithmetic::F32,
        }
    }

    /// A matrix that is held in fewer bits, on the host.
    pub fn rounded(matrix: RoundedMatrix) -> Self {
        Self {
            shape: matrix.dims().to_vec(),
            values: Values::Rounded(Arc::new(matrix)),
            arithmetic: Arithmetic::F32,
        }
    }

    /// The matrix that is held in fewer bits on the host, where this array is one.
    pub(crate) fn as_rounded(&self) -> Option<&RoundedMatrix> {
        match &self.values {
            Values::Rounded(matrix) => Some(matrix),
            Values::Host(_) | Values::Device(_) => None,
        }
    }

    /// Whether the values are rounded once and for all, here or on a device.
    pub fn is_rounded(&self) -> bool {
        match &self.values {
            Values::Host(_) => false,
            Values::Rounded(_) => true,
            Values::Device(tensor) => tensor.is_rounded(),
        }
    }

    /// The same values as f32, in the same place; no copy where they are f32 already.
    #[must_use]
    pub(crate) fn widened(&self) -> Self {
        match &self.values {
            Values::Host(_) => self.clone(),
            Values::Rounded(matrix) => {
                let [rows, width] = matrix.dims();
                let mut wide = Buffer::stale(rows * width);
                matrix.widen(0..rows, 0..width, &mut wide);
                Self::from_buffer(wide, &self.shape)
            }
            Values::Device(_) => {
                let mut wide = self.clone();
                if let Values::Device(tensor) = &mut wide.values {
                    tensor.widen();
                }
                wide
            }
        }
    }

    /// Hands over all values in row-major order, in blocks where they are not f32 on the host.
    pub fn visit(&self, mut visit: impl FnMut(&[f32])) {
        match &self.values {
            Values::Host(buffer) => visit(buffer),
            Values::Rounded(matrix) => matrix.visit(visit),
            Values::Device(_) => visit(&self.to_vec()),
        }
    }

    fn on_device(
        shape: &[usize],
        make: impl FnOnce([usize; 2]) -> Result<DeviceTensor, DeviceError>,
    ) -> Self {
        match make(dims(shape)).map(Values::Device) {
            Ok(values) => Self {
                shape: shape.to_vec(),
                values,
                arithmetic: Arithmetic::F32,
            },
            Err(error) => panic!("{error}"),
        }
    }

    /// The length of each dimension, the outermost first; empty for a scalar.
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
        dims(&self.shape)[0]
    }

    /// The last dimension; 1 for a scalar.
    pub fn width(&self) -> usize {
        dims(&self.shape)[1]
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
        assert!(!self.is_rounded(), "a rounded matrix keeps its shape");
        self.shape = shape.to_vec();
        if let Values::Device(tensor) = &mut self.values {
            tensor.reshape(dims(shape));
        }
        self
    }

    /// Where the values are; rounded matrices are on the host.
    pub const fn device(&self) -> Device {
        match &self.values {
            Values::Host(_) | Values::Rounded(_) => Device::Cpu,
            Values::Device(tensor) => tensor.device(),
        }
    }

    /// The same values on a device; no copy where they are there already. A rounded matrix stays one.
    ///
    /// # Panics
    /// When the device cannot be used: [`DeviceExt::usable`](crate::device::DeviceExt::usable) says so before.
    #[must_use]
    pub fn on(&self, device: Device) -> Self {
        if self.device() == device {
            return self.clone();
        }
        if let Values::Rounded(matrix) = &self.values {
            return Self::on_device(&self.shape, |_| {
                DeviceTensor::upload_rounded(matrix, device)
            });
        }
        let values = self.to_vec();
        if let Values::Device(tensor) = &self.values
            && let Some(precision) = tensor.precision()
            && let Some(mut matrix) =
                RoundedMatrix::with_capacity(precision, self.rows(), self.width())
        {
            // What was rounded before does not change when it is rounded again.
            matrix.push_rows(&values);
            return Self::rounded(matrix).on(device);
        }
        if device == Device::Cpu {
            return Self::from_buffer(values.into(), &self.shape);
        }
        Self::on_device(&self.shape, |dims| {
            DeviceTensor::upload(values, dims, device)
        })
    }

    /// Moves the values to a device, unless they are there already.
    ///
    /// # Panics
    /// When the device cannot be used: [`DeviceExt::usable`](crate::device::DeviceExt::usable) says so before.
    pub fn move_to(&mut self, device: Device) {
        if self.device() != device {
            let arithmetic = self.arithmetic;
            *self = self.on(device);
            self.arithmetic = arithmetic;
        }
    }

    /// Takes the values of another array of the same shape to where this one is.
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn copy_from(&mut self, other: &Self) {
        assert_eq!(self.shape, other.shape, "shape of the values");
        self.values = other.on(self.device()).values;
    }

    /// The kernels for arrays that are where this one is.
    pub(crate) fn kernels(&self) -> &'static dyn Kernels {
        match &self.values {
            Values::Host(_) | Values::Rounded(_) => &HostKernels,
            Values::Device(tensor) => tensor.kernels(),
        }
    }

    /// How a device multiplies by this array. What is computed from it is f32 again.
    #[cfg(feature = "burn")]
    pub const fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// Says how a device multiplies by this array from now on.
    pub(crate) const fn set_arithmetic(&mut self, arithmetic: Arithmetic) {
        self.arithmetic = arithmetic;
    }

    /// A copy of the values on the host.
    pub fn to_vec(&self) -> Vec<f32> {
        match &self.values {
            Values::Host(buffer) => buffer.to_vec(),
            Values::Rounded(_) => self.widened().to_vec(),
            Values::Device(tensor) => DeviceTensor::fetch(&[tensor]).swap_remove(0),
        }
    }

    /// The same arrays on the host, fetched from their device all together.
    pub fn all_on_host(arrays: &[Self]) -> Vec<Self> {
        let waiting = arrays.iter().filter_map(|array| match &array.values {
            Values::Device(tensor) => Some(tensor),
            Values::Host(_) | Values::Rounded(_) => None,
        });
        let mut fetched = DeviceTensor::fetch(&waiting.collect::<Vec<_>>()).into_iter();
        arrays
            .iter()
            .map(|array| match &array.values {
                Values::Host(_) | Values::Rounded(_) => array.clone(),
                Values::Device(_) => {
                    let values = fetched.next().expect("one for each that waits");
                    Self::from_buffer(values.into(), &array.shape)
                }
            })
            .collect()
    }

    /// The values.
    ///
    /// # Panics
    /// When they are not on the host: fetch them with [`Array::on`] or [`Array::to_vec`]; or in fewer bits: [`Array::widened`].
    pub fn host(&self) -> &[f32] {
        match &self.values {
            Values::Host(buffer) => buffer,
            Values::Rounded(_) => panic!("{self:?} is held in fewer bits than f32"),
            Values::Device(tensor) => {
                panic!("{self:?} is on `{}`, not on the host", tensor.device())
            }
        }
    }

    /// The values, to be written to; copies them first when another clone shares them.
    ///
    /// # Panics
    /// When they are not on the host: move them with [`Array::move_to`].
    pub fn host_mut(&mut self) -> &mut [f32] {
        match &mut self.values {
            Values::Host(buffer) => &mut *Arc::<Buffer>::make_mut(buffer),
            Values::Rounded(_) => panic!("a matrix in fewer bits than f32 is never written to"),
            Values::Device(tensor) => {
                panic!("values are on `{}`, not on the host", tensor.device())
            }
        }
    }
}

/// What kernels for devices use.
#[cfg(feature = "burn")]
impl Array {
    /// Takes a tensor `[rows, width]` that a kernel has made on a device.
    pub(crate) fn from_tensor(tensor: Tensor<2>, shape: &[usize], device: Device) -> Self {
        debug_assert_eq!(dims(shape), tensor.dims(), "tensor of shape {shape:?}");
        Self {
            shape: shape.to_vec(),
            values: Values::Device(DeviceTensor::new(tensor, device)),
            arithmetic: Arithmetic::F32,
        }
    }

    /// The tensor `[rows, width]`; none when the array is empty.
    ///
    /// # Panics
    /// When the array is on the host: all arrays that a kernel gets are in one place.
    pub(crate) fn tensor(&self) -> Option<Tensor<2>> {
        match &self.values {
            Values::Device(tensor) => tensor.tensor(),
            Values::Host(_) | Values::Rounded(_) => {
                panic!("{self:?} is on the host, another operand on a device")
            }
        }
    }

    /// The tensor that is held in fewer bits, where it is one on a device.
    pub(crate) const fn rounded_tensor(&self) -> Option<&RoundedTensor> {
        match &self.values {
            Values::Device(tensor) => tensor.rounded(),
            Values::Host(_) | Values::Rounded(_) => None,
        }
    }

    /// Puts another tensor in the place of this one, which is lent to `change`. An empty array stays as it is.
    ///
    /// # Panics
    /// When the array is on the host.
    pub(crate) fn change(&mut self, change: impl FnOnce(Tensor<2>) -> Tensor<2>) {
        match &mut self.values {
            Values::Device(tensor) => tensor.change(change),
            Values::Host(_) | Values::Rounded(_) => {
                panic!("{self:?} is on the host, another operand on a device")
            }
        }
    }
}

/// Rows and width of a shape.
fn dims(shape: &[usize]) -> [usize; 2] {
    match shape.split_last() {
        Some((&width, rows)) => [rows.iter().product(), width],
        None => [1, 1],
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Array{:?}", self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceExt;

    #[test]
    fn values_survive_the_way_to_a_device_and_back() {
        let device = Device::under_test();
        let values = vec![1.5, -0.0, f32::MIN_POSITIVE, 3.0e38, 5.0, f32::INFINITY];
        let host = Array::from_vec(values.clone(), &[3, 2]);
        let there = host.on(device);
        assert_eq!((there.device(), there.shape()), (device, &[3, 2][..]));
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(there.to_vec()), bits(values.clone()));
        let reshaped = there.clone().reshape(&[2, 3]);
        assert_eq!(bits(reshaped.on(Device::Cpu).host().to_vec()), bits(values));
        let mut moved = there;
        moved.move_to(Device::Cpu);
        assert_eq!(moved.device(), Device::Cpu);
    }

    #[test]
    fn an_array_may_be_empty_anywhere() {
        let device = Device::under_test();
        let empty = Array::zeros_on(&[0, 4], device);
        assert_eq!((empty.device(), empty.width()), (device, 4));
        assert!(empty.to_vec().is_empty() && empty.on(Device::Cpu).is_empty());
        assert!(Array::zeros(&[3, 0]).on(device).to_vec().is_empty());
    }

    #[test]
    fn arrays_are_fetched_together_from_wherever_they_are() {
        let device = Device::under_test();
        let arrays = [
            Array::full(&[2], 1.0),
            Array::full(&[3, 1], 2.0).on(device),
            Array::zeros_on(&[0], device),
            Array::zeros_on(&[4], device),
        ];
        let fetched = Array::all_on_host(&arrays);
        let values: Vec<&[f32]> = fetched.iter().map(Array::host).collect();
        assert_eq!(values, [&[1.0; 2][..], &[2.0; 3], &[], &[0.0; 4]]);
        assert_eq!(fetched[1].shape(), [3, 1]);
    }
}
