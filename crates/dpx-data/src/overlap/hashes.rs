//! A set of hashes that is asked for strangers far more often than for members.

/// Hashes, ascending, behind a filter on their highest bits.
#[derive(Debug)]
pub(super) struct Hashes {
    sorted: Vec<u64>,
    /// For each value of the highest bits whether a hash has it.
    filter: Vec<u64>,
    shift: u32,
}

impl Hashes {
    pub(super) fn new(mut hashes: Vec<u64>) -> Self {
        hashes.sort_unstable();
        hashes.dedup();
        // About sixteen places for each hash: one in sixteen strangers is looked for in vain.
        let bits = (hashes.len().max(4) * 16).next_power_of_two().ilog2();
        let shift = 64 - bits;
        let mut filter = vec![0; (1usize << bits).div_ceil(64)];
        for hash in &hashes {
            let place = (hash >> shift) as usize;
            filter[place / 64] |= 1 << (place % 64);
        }
        Self {
            sorted: hashes,
            filter,
            shift,
        }
    }

    pub(super) fn has(&self, hash: u64) -> bool {
        let place = (hash >> self.shift) as usize;
        self.filter[place / 64] >> (place % 64) & 1 == 1 && self.sorted.binary_search(&hash).is_ok()
    }
}
