//! Buffers that outlive a step: what one step gives back, the next one takes, so that training does not allocate.
//!
//! A buffer taken from the pool holds whatever its last user left: kernels overwrite all they return.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most bytes that lie unused in the pool, where nothing else is said.
const LIMIT: usize = 3 << 29;
/// Shorter buffers are left to the allocator.
const SMALLEST: usize = 1024;

static POOL: Mutex<Pool> = Mutex::new(Pool {
    free: BTreeMap::new(),
    bytes: 0,
    limit: LIMIT,
    clock: 0,
});

struct Pool {
    /// Free buffers by length, each with the time at which it was given back.
    free: BTreeMap<usize, Vec<(u64, Vec<f32>)>>,
    bytes: usize,
    limit: usize,
    clock: u64,
}

impl Pool {
    fn take(&mut self, class: usize) -> Option<Vec<f32>> {
        let (_, buffer) = self.free.get_mut(&class)?.pop()?;
        self.bytes -= 4 * class;
        Some(buffer)
    }

    fn give(&mut self, buffer: Vec<f32>) {
        self.clock += 1;
        self.bytes += 4 * buffer.len();
        let list = self.free.entry(buffer.len()).or_default();
        list.push((self.clock, buffer));
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.bytes > self.limit && self.drop_oldest() {}
    }

    fn drop_oldest(&mut self) -> bool {
        let oldest = self
            .free
            .iter()
            .filter_map(|(class, list)| Some((list.first()?.0, *class)))
            .min();
        let Some((_, class)) = oldest else {
            return false;
        };
        if let Some(list) = self.free.get_mut(&class) {
            list.remove(0);
            self.bytes -= 4 * class;
        }
        true
    }
}

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The length that is really allocated for `length` numbers: at most an eighth more.
fn class(length: usize) -> usize {
    let step = (length.next_power_of_two() / 16).max(64);
    length.next_multiple_of(step)
}

/// Frees all buffers that wait in the pool.
pub fn release_memory() {
    let mut pool = pool();
    pool.free.clear();
    pool.bytes = 0;
}

/// Most bytes that wait in the pool from now on, where memory is short: 1.5 GiB where nothing is said.
pub fn limit_waiting_memory(bytes: usize) {
    let mut pool = pool();
    pool.limit = bytes;
    pool.shrink();
}

/// A fixed number of f32 values that goes back to the pool when dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    values: Vec<f32>,
    length: usize,
}

impl Buffer {
    /// `length` values of no meaning, to be overwritten.
    pub(crate) fn stale(length: usize) -> Self {
        let class = class(length);
        let pooled = (length >= SMALLEST).then(|| pool().take(class)).flatten();
        let values = pooled.unwrap_or_else(|| vec![0.0; class]);
        Self { values, length }
    }

    pub(crate) fn zeros(length: usize) -> Self {
        let mut buffer = Self::stale(length);
        buffer.fill(0.0);
        buffer
    }
}

impl From<Vec<f32>> for Buffer {
    fn from(values: Vec<f32>) -> Self {
        let length = values.len();
        Self { values, length }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.length]
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::stale(self.length);
        copy.copy_from_slice(self);
        copy
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        if values.len() >= SMALLEST && values.len() == class(values.len()) {
            pool().give(values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_waste_at_most_an_eighth() {
        for length in [1, 63, 64, 1025, 4097, 98_305, 50_257 * 768] {
            let class = class(length);
            assert!(class >= length);
            assert!(length < 1024 || class <= length + length / 8 + 1);
            assert_eq!(class, super::class(class), "a class is its own class");
        }
    }

    #[test]
    fn a_buffer_shows_the_length_that_was_asked_for() {
        let mut buffer = Buffer::zeros(5000);
        assert_eq!(buffer.len(), 5000);
        buffer[4999] = 1.0;
        let copy = buffer.clone();
        drop(buffer);
        assert_eq!(copy[4999], 1.0);
        assert_eq!(Buffer::zeros(5000)[4999], 0.0);
    }
}
