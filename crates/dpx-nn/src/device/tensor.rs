//! What an array keeps on a device: a tensor of burn's, or nothing at all in a build without devices.

#[cfg(feature = "burn")]
pub(crate) use with::DeviceTensor;
#[cfg(not(feature = "burn"))]
pub(crate) use without::DeviceTensor;

#[cfg(feature = "burn")]
mod with {
    use crate::device::{DeviceError, RoundedTensor, Tensor, to_dispatch};
    use crate::kernel::{DeviceKernels, Kernels};
    use crate::rounded::RoundedMatrix;
    use burn::tensor::{TensorData, Transaction};
    use burn_dispatch::Dispatch;
    use dpx_schema::Device;
    use dpx_schema::params::BasePrecision;

    /// A tensor `[rows, width]` on a device.
    #[derive(Clone)]
    pub(crate) struct DeviceTensor {
        device: Device,
        /// None where there are no values, as devices have no empty tensors, and where they are rounded.
        tensor: Option<Box<Tensor<2>>>,
        rounded: Option<Box<RoundedTensor>>,
    }

    impl DeviceTensor {
        pub(crate) fn zeros(dims: [usize; 2], device: Device) -> Result<Self, DeviceError> {
            let dispatch = to_dispatch(device)?;
            Ok(Self {
                device,
                tensor: holds(dims).then(|| Box::new(Tensor::zeros(dims, &dispatch))),
                rounded: None,
            })
        }

        /// Copies values from the host.
        pub(crate) fn upload(
            values: Vec<f32>,
            dims: [usize; 2],
            device: Device,
        ) -> Result<Self, DeviceError> {
            let dispatch = to_dispatch(device)?;
            let make = || Tensor::from_data(TensorData::new(values, dims), &dispatch);
            Ok(Self {
                device,
                tensor: holds(dims).then(|| Box::new(make())),
                rounded: None,
            })
        }

        /// Copies a frozen matrix from the host as it is.
        pub(crate) fn upload_rounded(
            matrix: &RoundedMatrix,
            device: Device,
        ) -> Result<Self, DeviceError> {
            let dispatch = to_dispatch(device)?;
            let make = || Box::new(RoundedTensor::upload(matrix, &dispatch));
            Ok(Self {
                device,
                tensor: None,
                rounded: holds(matrix.dims()).then(make),
            })
        }

        /// The frozen matrix, where it is one.
        pub(crate) const fn rounded(&self) -> Option<&RoundedTensor> {
            match &self.rounded {
                Some(rounded) => Some(rounded),
                None => None,
            }
        }

        pub(crate) const fn is_rounded(&self) -> bool {
            self.rounded.is_some()
        }

        /// How the values were rounded, where they were.
        pub(crate) fn precision(&self) -> Option<BasePrecision> {
            self.rounded.as_ref().map(|rounded| rounded.precision())
        }

        /// The same values as f32.
        pub(crate) fn widen(&mut self) {
            self.tensor = self.tensor().map(Box::new);
            self.rounded = None;
        }

        /// Takes a tensor that a kernel has made.
        pub(crate) fn new(tensor: Tensor<2>, device: Device) -> Self {
            Self {
                device,
                tensor: Some(Box::new(tensor)),
                rounded: None,
            }
        }

        pub(crate) const fn device(&self) -> Device {
            self.device
        }

        /// The kernels for arrays on this device.
        pub(crate) const fn kernels(&self) -> &'static dyn Kernels {
            let _ = self;
            &DeviceKernels
        }

        pub(crate) fn reshape(&mut self, dims: [usize; 2]) {
            self.change(|tensor| tensor.reshape(dims));
        }

        /// The values of each tensor, fetched together.
        pub(crate) fn fetch(list: &[&Self]) -> Vec<Vec<f32>> {
            let waiting: Vec<_> = list.iter().filter_map(|one| one.tensor()).collect();
            if waiting.is_empty() {
                return vec![Vec::new(); list.len()];
            }
            let waiting = waiting.into_iter();
            let waiting = waiting.fold(Transaction::<Dispatch>::default(), Transaction::register);
            let mut fetched = waiting.execute().into_iter();
            let values = |one: &&Self| {
                if one.tensor.is_none() && one.rounded.is_none() {
                    return Vec::new();
                }
                read(fetched.next().expect("one for each that was registered"))
            };
            list.iter().map(values).collect()
        }

        /// The tensor in f32, unless there are no values.
        pub(crate) fn tensor(&self) -> Option<Tensor<2>> {
            let rounded = || self.rounded.as_ref().map(|rounded| rounded.whole());
            self.tensor.as_deref().cloned().or_else(rounded)
        }

        /// Puts another tensor in the place of this one, which is lent to `change`. Without values nothing changes.
        pub(crate) fn change(&mut self, change: impl FnOnce(Tensor<2>) -> Tensor<2>) {
            self.tensor = self.tensor.take().map(|tensor| Box::new(change(*tensor)));
        }
    }

    fn holds(dims: [usize; 2]) -> bool {
        dims.iter().product::<usize>() > 0
    }

    fn read(data: TensorData) -> Vec<f32> {
        data.into_vec().expect("an array's tensor holds f32 values")
    }
}

#[cfg(not(feature = "burn"))]
mod without {
    use crate::device::DeviceError;
    use crate::kernel::Kernels;
    use crate::rounded::RoundedMatrix;
    use dpx_schema::Device;
    use dpx_schema::params::BasePrecision;

    /// There is none: this build computes on the host alone.
    #[derive(Clone)]
    pub(crate) enum DeviceTensor {}

    impl DeviceTensor {
        pub(crate) const fn zeros(_: [usize; 2], device: Device) -> Result<Self, DeviceError> {
            Err(DeviceError::NotCompiled { device })
        }

        pub(crate) fn upload(
            _: Vec<f32>,
            _: [usize; 2],
            device: Device,
        ) -> Result<Self, DeviceError> {
            Err(DeviceError::NotCompiled { device })
        }

        pub(crate) const fn upload_rounded(
            _: &RoundedMatrix,
            device: Device,
        ) -> Result<Self, DeviceError> {
            Err(DeviceError::NotCompiled { device })
        }

        pub(crate) const fn is_rounded(&self) -> bool {
            match *self {}
        }

        pub(crate) const fn precision(&self) -> Option<BasePrecision> {
            match *self {}
        }

        pub(crate) const fn widen(&mut self) {
            match *self {}
        }

        pub(crate) const fn device(&self) -> Device {
            match *self {}
        }

        pub(crate) const fn kernels(&self) -> &'static dyn Kernels {
            match *self {}
        }

        pub(crate) const fn reshape(&mut self, _: [usize; 2]) {
            match *self {}
        }

        pub(crate) fn fetch(list: &[&Self]) -> Vec<Vec<f32>> {
            list.iter().map(|one| match **one {}).collect()
        }
    }
}
