//! Several devices in one training: who computes which micro-batch, and in which order their sums are handed over.
//!
//! Every device has a copy of the model. Micro-batch `i` of a step is computed by device `i` modulo their number, and whoever
//! adds the sums up is handed them in the order of the micro-batches, whichever device is done first. Neither the cut of a batch
//! nor the order of additions depends on the number of devices: where devices compute a micro-batch alike, to the last bit, so
//! is the step.

use super::fault::fault;
use super::trainer::TrainerError;
use dpx_nn::{Array, Network, Parameters};
use dpx_schema::Device;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, sync_channel};

/// The devices beside the first one that a training is divided over, each with a copy of the model.
#[derive(Default)]
pub struct Replicas {
    others: Vec<Box<dyn Network>>,
    /// Threads of each device, the first included, where the processor is several; none elsewhere.
    pools: Vec<ThreadPool>,
}

impl std::fmt::Debug for Replicas {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Replicas")
            .field("others", &self.others.len())
            .finish_non_exhaustive()
    }
}

/// Why a training cannot be divided over devices.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum ReplicaError {
    /// The same example would have other bits on one than on the other.
    #[error(
        "a training cannot be divided over `{first}` and `{other}`: devices of one class are expected"
    )]
    Class { first: Device, other: Device },
    /// A device holds a model with other parameters.
    #[error("the model on `{device}` is not that of the first device")]
    Model { device: Device },
    /// The processor cannot start the threads of its parts.
    #[error("the processor cannot be divided: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl Replicas {
    /// The first device alone.
    pub fn none() -> Self {
        Self::default()
    }

    /// Copies of a model on other devices: whatever they held, they hold the values of `first` from here on. Where all of them
    /// are the processor, each gets its share of the threads that the calling thread may use.
    ///
    /// # Errors
    /// When a device is of another class, or a network has other parameters, shapes or another choice of what is trained.
    pub fn new(
        first: &Parameters,
        mut others: Vec<Box<dyn Network>>,
    ) -> Result<Self, ReplicaError> {
        let device = first.device();
        for other in &mut others {
            let own = other.parameters_mut();
            if own.device().class() != device.class() {
                return Err(ReplicaError::Class {
                    first: device,
                    other: own.device(),
                });
            }
            if !alike(first, own) {
                return Err(ReplicaError::Model {
                    device: own.device(),
                });
            }
            for ((_, own), (_, value)) in own.iter_mut().zip(first.iter()) {
                own.value.copy_from(&value.value);
            }
        }
        let pools = if device == Device::Cpu && !others.is_empty() {
            pools(rayon::current_num_threads(), others.len() + 1)?
        } else {
            Vec::new()
        };
        Ok(Self { others, pools })
    }

    /// Whether there is no device beside the first.
    pub fn is_empty(&self) -> bool {
        self.others.is_empty()
    }

    /// Gives every copy the weights of the trained parameters, in the order of the registry.
    pub(crate) fn follow(&mut self, weights: &[Array]) {
        for other in &mut self.others {
            let parameters = other.parameters_mut();
            for (id, weights) in parameters.trainable_ids().into_iter().zip(weights) {
                parameters.value_mut(id).copy_from(weights);
            }
        }
    }

    /// Does something with each device's network in turn, on the threads that it computes with; the first device's first.
    pub fn each<R: Send>(
        &self,
        first: &dyn Network,
        work: impl Fn(&dyn Network) -> R + Sync,
    ) -> Vec<R> {
        let networks = self.networks(first);
        let on = |place: usize| self.on_threads(place, || work(networks[place]));
        (0..networks.len()).map(on).collect()
    }

    /// Computes `count` things, one after the other on each device and at once on all of them, and hands each over in order.
    ///
    /// # Errors
    /// The first failure in that order, which names its device. A panic on a device beside others is one.
    pub(crate) fn in_order<T: Send>(
        &self,
        first: &dyn Network,
        count: usize,
        compute: impl Fn(&dyn Network, usize) -> Result<T, TrainerError> + Sync,
        mut take: impl FnMut(usize, T) -> Result<(), TrainerError>,
    ) -> Result<(), TrainerError> {
        if self.others.is_empty() {
            return (0..count).try_for_each(|index| take(index, compute(first, index)?));
        }
        let networks = self.networks(first);
        let devices = networks.len();
        let drops = fault!(MicroBatchDropped);
        std::thread::scope(|scope| {
            let mut sums = Vec::with_capacity(devices);
            for (place, &network) in networks.iter().enumerate() {
                // Without room for a sum that waits: each device holds one that is whole, and computes no further.
                let (sender, sum) = sync_channel(0);
                sums.push(sum);
                let compute = &compute;
                scope.spawn(move || {
                    let own = (place..count).step_by(devices);
                    let own = own.skip(usize::from(drops && place == 1));
                    self.work(place, network, own, compute, &sender);
                });
            }
            // Whatever ends this early drops the receivers, and with them every device's work.
            for index in 0..count {
                // A device that ended without a word left something out: the examples are counted.
                let Ok((computed, sum)) = sums[index % devices].recv() else {
                    break;
                };
                take(computed, sum?)?;
            }
            Ok(())
        })
    }

    /// One device's part, in order, until one fails or nobody waits for more.
    fn work<T: Send>(
        &self,
        place: usize,
        network: &dyn Network,
        own: impl Iterator<Item = usize>,
        compute: &(impl Fn(&dyn Network, usize) -> Result<T, TrainerError> + Sync),
        sender: &SyncSender<(usize, Result<T, TrainerError>)>,
    ) {
        let device = network.parameters().device();
        for index in own {
            let work = || self.on_threads(place, || compute(network, index));
            // Nothing that is half done is looked at again: the step is void.
            let computed = catch_unwind(AssertUnwindSafe(work));
            let computed = computed.unwrap_or_else(|panic| {
                let words = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied());
                Err(TrainerError::Panicked {
                    words: words.unwrap_or("no reason given").to_owned(),
                })
            });
            let failed = computed.is_err();
            let computed = computed.map_err(|error| TrainerError::OnDevice {
                device,
                error: Box::new(error),
            });
            if sender.send((index, computed)).is_err() || failed {
                return;
            }
        }
    }

    fn networks<'a>(&'a self, first: &'a dyn Network) -> Vec<&'a dyn Network> {
        let others = self.others.iter().map(|other| &**other);
        std::iter::once(first).chain(others).collect()
    }

    fn on_threads<R: Send>(&self, place: usize, work: impl FnOnce() -> R + Send) -> R {
        match self.pools.get(place) {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}

/// So many pools with about as many threads each, at least one.
fn pools(threads: usize, count: usize) -> Result<Vec<ThreadPool>, rayon::ThreadPoolBuildError> {
    (0..count)
        .map(|place| {
            let share = threads / count + usize::from(place < threads % count);
            ThreadPoolBuilder::new().num_threads(share.max(1)).build()
        })
        .collect()
}

/// Whether two registries hold the same parameters, whatever their values.
fn alike(one: &Parameters, other: &Parameters) -> bool {
    let list = |parameters: &Parameters| -> Vec<(String, Vec<usize>, bool)> {
        let each = parameters.iter().map(|(_, parameter)| {
            let shape = parameter.value.shape().to_vec();
            (parameter.name.clone(), shape, parameter.trainable)
        });
        each.collect()
    };
    list(one) == list(other)
}
