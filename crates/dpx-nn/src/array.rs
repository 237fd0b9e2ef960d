//! `Array`: f32 values in row-major order with their shape, on the host or on a device.

use super::Arithmetic;
use super::pool::Buffer;
use crate::device::Tensor;
use burn::tensor::{TensorData, Transaction};
use burn_dispatch::{Dispatch, DispatchDevice};
use dpx_schema::Device;
use std::fmt;
use std::sync::Arc;

/// An array of f32 in row-major order. Cheap to clone: clones share their values until one of them is written to.
///
/// Values go from one place to another by [`Array::on`], [`Array::move_to`] and [`Array::to_vec`] alone.
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
    /// A tensor `[rows, width]`; none where there are no values, as devices know no empty tensors.
    Device(Device, Option<Box<Tensor<2>>>),
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
        let mut array = Self::without_values(shape, device);
        array.fill_in(|dims, dispatch| Tensor::zeros(dims, dispatch));
        array
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

    /// Takes a tensor `[rows, width]` that a kernel has made on a device.
    pub(crate) fn from_tensor(tensor: Tensor<2>, shape: &[usize], device: Device) -> Self {
        let array = Self {
            shape: shape.to_vec(),
            values: Values::Device(device, Some(Box::new(tensor))),
            arithmetic: Arithmetic::F32,
        };
        debug_assert_eq!(array.dims(), array.tensor().dims(), "tensor of {array:?}");
        array
    }

    /// An array of zero values on a device, or one whose tensor is still to be made.
    fn without_values(shape: &[usize], device: Device) -> Self {
        Self {
            shape: shape.to_vec(),
            values: Values::Device(device, None),
            arithmetic: Arithmetic::F32,
        }
    }

    fn fill_in(&mut self, make: impl FnOnce([usize; 2], &DispatchDevice) -> Tensor<2>) {
        let (dims, empty) = (self.dims(), self.is_empty());
        if let Values::Device(device, tensor) = &mut self.values
            && !empty
        {
            *tensor = Some(Box::new(make(dims, &found(*device))));
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

    fn dims(&self) -> [usize; 2] {
        [self.rows(), self.width()]
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
        let dims = self.dims();
        if let Values::Device(_, tensor) = &mut self.values {
            *tensor = tensor.take().map(|tensor| Box::new(tensor.reshape(dims)));
        }
        self
    }

    /// Where the values are.
    pub const fn device(&self) -> Device {
        match &self.values {
            Values::Host(_) => Device::Cpu,
            Values::Device(device, _) => *device,
        }
    }

    /// The same values on a device; no copy where they are there already.
    ///
    /// # Panics
    /// When the device cannot be used: [`DeviceExt::usable`](crate::device::DeviceExt::usable) says so before.
    #[must_use]
    pub fn on(&self, device: Device) -> Self {
        if self.device() == device {
            return self.clone();
        }
        let values = self.to_vec();
        if device == Device::Cpu {
            return Self::from_buffer(values.into(), &self.shape);
        }
        let mut array = Self::without_values(&self.shape, device);
        array.fill_in(|dims, dispatch| Tensor::from_data(TensorData::new(values, dims), dispatch));
        array
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

    /// How a device multiplies by this array. What is computed from it is f32 again.
    pub(crate) const fn arithmetic(&self) -> Arithmetic {
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
            Values::Device(_, None) => Vec::new(),
            Values::Device(_, Some(tensor)) => read(tensor.to_data()),
        }
    }

    /// The same arrays on the host, fetched from their device all together.
    pub fn all_on_host(arrays: &[Self]) -> Vec<Self> {
        if !arrays.iter().any(Self::is_remote) {
            return arrays.to_vec();
        }
        let waiting = arrays.iter().filter_map(|array| match &array.values {
            Values::Device(_, Some(tensor)) => Some(tensor.as_ref().clone()),
            Values::Device(_, None) | Values::Host(_) => None,
        });
        let mut fetched = fetch(waiting.collect()).into_iter();
        arrays
            .iter()
            .map(|array| match &array.values {
                Values::Host(_) => array.clone(),
                Values::Device(_, None) => Self::zeros(&array.shape),
                Values::Device(_, Some(_)) => {
                    let values = fetched.next().expect("one for each that was registered");
                    Self::from_buffer(values.into(), &array.shape)
                }
            })
            .collect()
    }

    /// The values.
    ///
    /// # Panics
    /// When they are not on the host: fetch them with [`Array::on`] or [`Array::to_vec`].
    pub fn host(&self) -> &[f32] {
        match &self.values {
            Values::Host(buffer) => buffer,
            Values::Device(device, _) => panic!("{self:?} is on `{device}`, not on the host"),
        }
    }

    /// The values, to be written to; copies them first when another clone shares them.
    ///
    /// # Panics
    /// When they are not on the host: move them with [`Array::move_to`].
    pub fn host_mut(&mut self) -> &mut [f32] {
        match &mut self.values {
            Values::Host(buffer) => &mut *Arc::<Buffer>::make_mut(buffer),
            Values::Device(device, _) => panic!("values are on `{device}`, not on the host"),
        }
    }
}

/// What kernels for devices use.
impl Array {
    /// Whether the values are on a device other than the host.
    pub(crate) const fn is_remote(&self) -> bool {
        matches!(self.values, Values::Device(..))
    }

    /// Takes a tensor that a kernel has made where this array is.
    pub(crate) fn beside(&self, tensor: Tensor<2>, shape: &[usize]) -> Self {
        Self::from_tensor(tensor, shape, self.device())
    }

    /// The tensor `[rows, width]`.
    ///
    /// # Panics
    /// When the array is empty, or on the host: all arrays that a kernel gets are in one place.
    pub(crate) fn tensor(&self) -> Tensor<2> {
        match &self.values {
            Values::Device(_, Some(tensor)) => tensor.as_ref().clone(),
            Values::Device(_, None) => panic!("{self:?} has no values"),
            Values::Host(_) => panic!("{self:?} is on the host, another operand on a device"),
        }
    }

    /// What a kernel makes of the tensor, of the same shape; an empty array of an empty one.
    pub(crate) fn map(&self, make: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Self {
        let mut made = self.clone();
        made.change(make);
        made
    }

    /// Puts another tensor in the place of this one, which is lent to `change`. An empty array stays as it is.
    pub(crate) fn change(&mut self, change: impl FnOnce(Tensor<2>) -> Tensor<2>) {
        match &mut self.values {
            Values::Device(_, tensor) => {
                *tensor = tensor.take().map(|tensor| Box::new(change(*tensor)));
            }
            Values::Host(_) => panic!("{self:?} is on the host, another operand on a device"),
        }
    }
}

fn found(device: Device) -> DispatchDevice {
    match crate::device::to_dispatch(device) {
        Ok(dispatch) => dispatch,
        Err(error) => panic!("{error}"),
    }
}

/// The values of several tensors, fetched together.
pub(super) fn fetch(tensors: Vec<Tensor<2>>) -> Vec<Vec<f32>> {
    if tensors.is_empty() {
        return Vec::new();
    }
    let transaction = tensors
        .into_iter()
        .fold(Transaction::<Dispatch>::default(), Transaction::register);
    transaction.execute().into_iter().map(read).collect()
}

/// The values of a tensor that was fetched.
pub(super) fn read(data: TensorData) -> Vec<f32> {
    data.into_vec().expect("an array's tensor holds f32 values")
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
