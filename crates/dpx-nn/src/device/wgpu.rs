//! GPUs through wgpu: discrete ones first, then integrated and virtual ones, software rasterizers last.

#[cfg(feature = "burn")]
use super::DeviceError;
#[cfg(feature = "burn")]
use burn_dispatch::DispatchDevice;
#[cfg(feature = "burn")]
use dpx_schema::Device;

#[cfg(feature = "wgpu")]
pub(super) use with::{dispatch, found};
#[cfg(all(feature = "burn", not(feature = "wgpu")))]
pub(super) use without::dispatch;
#[cfg(not(feature = "wgpu"))]
pub(super) use without::found;

#[cfg(feature = "wgpu")]
mod with {
    use super::{Device, DeviceError, DispatchDevice};
    use crate::device::Found;
    use ::wgpu::{Adapter, Backend, DeviceType, Instance, InstanceDescriptor};
    use burn_wgpu::WgpuDevice;
    use burn_wgpu::graphics::{AutoGraphicsApi, GraphicsApi};
    use std::pin::pin;
    use std::sync::LazyLock;
    use std::task::{Context, Poll, Waker};

    struct Listed {
        device: WgpuDevice,
        name: String,
        memory: Option<u64>,
        software: bool,
    }

    /// The adapters of the graphics interface that burn chooses, in the order of their indices. Asked for once.
    static LISTED: LazyLock<Vec<Listed>> = LazyLock::new(|| {
        let backend = <AutoGraphicsApi as GraphicsApi>::backend();
        let instance = Instance::new(InstanceDescriptor {
            backends: backend.into(),
            ..InstanceDescriptor::new_without_display_handle()
        });
        list(&wait(instance.enumerate_adapters(backend.into())), backend)
    });

    /// burn numbers the adapters of each type by themselves and takes the first software rasterizer only.
    fn list(adapters: &[Adapter], backend: Backend) -> Vec<Listed> {
        let of = |wanted: DeviceType| {
            adapters
                .iter()
                .map(|adapter| (adapter.get_info(), memory(adapter)))
                .filter(move |(info, _)| info.device_type == wanted)
                .enumerate()
        };
        let kinds: [(DeviceType, &str, fn(usize) -> WgpuDevice); 3] = [
            (
                DeviceType::DiscreteGpu,
                "discrete GPU",
                WgpuDevice::DiscreteGpu,
            ),
            (
                DeviceType::IntegratedGpu,
                "integrated GPU",
                WgpuDevice::IntegratedGpu,
            ),
            (
                DeviceType::VirtualGpu,
                "virtual GPU",
                WgpuDevice::VirtualGpu,
            ),
        ];
        let mut listed: Vec<Listed> = kinds
            .into_iter()
            .flat_map(|(wanted, kind, device)| {
                of(wanted).map(move |(index, (info, memory))| Listed {
                    device: device(index),
                    name: format!("{}, {kind}, {backend}", info.name),
                    memory,
                    software: false,
                })
            })
            .collect();
        let software = of(DeviceType::Cpu).take(1);
        listed.extend(software.map(|(_, (info, memory))| Listed {
            device: WgpuDevice::Cpu,
            name: format!("{}, software rasterizer, {backend}", info.name),
            memory,
            software: true,
        }));
        listed
    }

    /// The largest of the heaps that are the adapter's own. wgpu does not tell; Vulkan does.
    #[cfg(not(target_vendor = "apple"))]
    #[expect(
        unsafe_code,
        reason = "Vulkan is asked through its own interface, which wgpu lends"
    )]
    fn memory(adapter: &Adapter) -> Option<u64> {
        /// `VK_MEMORY_HEAP_DEVICE_LOCAL_BIT`.
        const DEVICE_LOCAL: u32 = 1;
        // SAFETY: the adapter is only looked at, and outlives what is borrowed of it.
        let adapter = unsafe { adapter.as_hal::<::wgpu::hal::api::Vulkan>() }?;
        let instance = adapter.shared_instance().raw_instance();
        // SAFETY: the physical device is one of this instance's.
        let properties = unsafe {
            instance.get_physical_device_memory_properties(adapter.raw_physical_device())
        };
        let heaps = properties.memory_heaps_as_slice().iter();
        let own = heaps.filter(|heap| heap.flags.as_raw() & DEVICE_LOCAL != 0);
        own.map(|heap| heap.size).max()
    }

    #[cfg(target_vendor = "apple")]
    const fn memory(_: &Adapter) -> Option<u64> {
        None
    }

    /// The result of a future that is never long in coming: outside browsers wgpu's are ready at once.
    fn wait<F: Future>(future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            match future
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
            {
                Poll::Ready(output) => return output,
                Poll::Pending => std::thread::yield_now(),
            }
        }
    }

    pub(in crate::device) fn dispatch(index: usize) -> Result<DispatchDevice, DeviceError> {
        match LISTED.get(index) {
            Some(listed) => Ok(DispatchDevice::Wgpu(listed.device.clone())),
            None => Err(DeviceError::Absent {
                device: Device::Wgpu(index),
                reason: match LISTED.len() {
                    0 => "wgpu finds no adapter: no driver is installed".to_owned(),
                    1 => "wgpu finds one adapter, `wgpu:0`".to_owned(),
                    count => format!(
                        "wgpu finds {count} adapters, the last is `wgpu:{}`",
                        count - 1
                    ),
                },
            }),
        }
    }

    pub(in crate::device) fn found() -> Result<Vec<Found>, String> {
        if LISTED.is_empty() {
            return Err("no adapter is found: no driver is installed".to_owned());
        }
        let found = LISTED.iter().enumerate().map(|(index, listed)| Found {
            device: Device::Wgpu(index),
            description: listed.name.clone(),
            memory: listed.memory,
            software: listed.software,
        });
        Ok(found.collect())
    }
}

#[cfg(not(feature = "wgpu"))]
mod without {
    #[cfg(feature = "burn")]
    use super::{Device, DeviceError, DispatchDevice};
    use crate::device::{Found, not_compiled};

    #[cfg(feature = "burn")]
    pub(in crate::device) const fn dispatch(index: usize) -> Result<DispatchDevice, DeviceError> {
        Err(DeviceError::NotCompiled {
            device: Device::Wgpu(index),
        })
    }

    pub(in crate::device) fn found() -> Result<Vec<Found>, String> {
        Err(not_compiled("wgpu"))
    }
}
