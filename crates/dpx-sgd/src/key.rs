//! Secret keys: one per stage instance, ratcheted with every step, and the subkeys that streams are made of.
//!
//! Every random number of a private run comes from a ChaCha20 stream whose 256-bit key is a keyed hash of the step's key
//! and of what the stream is for. No stream is used twice: purpose, step, tensor and chunk are all part of the hash, and
//! the key of step t + 1 is a hash of the key of step t, so a key that leaks exposes the steps after it alone.

mod file;
#[cfg(test)]
pub(crate) mod tests;

pub use file::{KeyFile, KeyFileError, Opened, RunId, sweep_orphans};

use super::fault::fault;
use chacha20::ChaCha20;
use chacha20::cipher::KeyIvInit;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// What a stream of random numbers is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Purpose {
    /// Gaussian noise on the sum of the clipped gradients.
    Noise = 1,
    /// The Poisson coins, one for each row and step.
    Coin = 2,
    /// Dropout masks, by row.
    Dropout = 3,
    /// Canaries: their text, and whether each is planted.
    Canary = 4,
    /// Which records of a person who takes part in a step are used, by person.
    Record = 5,
}

/// No key could be drawn from the operating system.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random numbers for a secret key: {0}")]
pub struct NoEntropy(String);

/// The key of one step. Never printed, erased when dropped.
#[derive(Clone)]
pub struct Key {
    bytes: Zeroizing<[u8; 32]>,
    step: u64,
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Key")
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// A fresh key for step 0, from the operating system.
    ///
    /// # Errors
    /// When it gives none.
    pub(crate) fn from_operating_system() -> Result<Self, NoEntropy> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut()).map_err(|error| NoEntropy(error.to_string()))?;
        Ok(Self { bytes, step: 0 })
    }

    /// The key for step 0 that follows from a seed and the name of the stage instance. Anybody can derive it, so whatever
    /// is made with it has no guarantee.
    pub fn seeded(seed: u64, instance: &str) -> Self {
        let mut material = seed.to_le_bytes().to_vec();
        if !fault!(OneKeyForAll) {
            material.extend_from_slice(instance.as_bytes());
        }
        Self {
            bytes: Zeroizing::new(blake3::derive_key("dpx 2026 seeded noise v1", &material)),
            step: 0,
        }
    }

    pub(super) fn from_parts(bytes: &[u8; 32], step: u64) -> Self {
        Self {
            bytes: Zeroizing::new(*bytes),
            step,
        }
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The step whose streams this key makes; steps count from 0.
    pub const fn step(&self) -> u64 {
        self.step
    }

    /// Whether this is the same key, of the same step.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.step == other.step && self.bytes == other.bytes
    }

    /// The key of the next step. The way back would need an inversion of BLAKE3.
    #[must_use]
    pub fn ratchet(&self) -> Self {
        let mut hash = blake3::keyed_hash(&self.bytes, b"dpx ratchet v1");
        let next = Self {
            bytes: Zeroizing::new(*hash.as_bytes()),
            step: self.step + 1,
        };
        erase(&mut hash);
        next
    }

    /// The key of a later step.
    ///
    /// # Errors
    /// When `step` lies before this key's: that key no longer exists.
    pub(crate) fn ratchet_to(&self, step: u64) -> Result<Self, KeyIsGone> {
        if step < self.step {
            return Err(KeyIsGone {
                wanted: step,
                first: self.step,
            });
        }
        let mut key = self.clone();
        while key.step < step {
            key = key.ratchet();
        }
        Ok(key)
    }

    /// The stream for one purpose, tensor and chunk of this key's step.
    pub fn stream(&self, purpose: Purpose, tensor: u64, chunk: u64) -> ChaCha20 {
        let mut context = [0; 25];
        context[0] = purpose as u8;
        context[1..9].copy_from_slice(&self.step.to_le_bytes());
        context[9..17].copy_from_slice(&tensor.to_le_bytes());
        context[17..].copy_from_slice(&chunk.to_le_bytes());
        let mut hash = blake3::keyed_hash(&self.bytes, &context);
        let cipher = ChaCha20::new(hash.as_bytes().into(), &[0; 12].into());
        erase(&mut hash);
        cipher
    }
}

/// A step before the first one whose key is still kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key of step {wanted} is gone: the oldest that exists is of step {first}")]
pub struct KeyIsGone {
    wanted: u64,
    first: u64,
}

fn erase(hash: &mut blake3::Hash) {
    let mut bytes: [u8; 32] = (*hash).into();
    *hash = blake3::Hash::from_bytes([0; 32]);
    bytes.zeroize();
    std::hint::black_box(hash);
}

/// Forbids core dumps of this process, which would hold the key. Best effort: a system without limits has none to set.
pub fn forbid_core_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        let _ = setrlimit(Resource::Core, none);
    }
}
