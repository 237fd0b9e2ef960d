//! How a batch is cut into micro-batches whose shapes say nothing of the examples in them.
//!
//! A kernel may compute the same row otherwise in a product of another shape. So that the gradient of an example is the same to
//! the last bit whatever its mates are, a micro-batch on a device has one of a few shapes: rows are grouped by their length,
//! rounded up to a power of two, and idle sequences fill each group up to a fixed number of sequences and tokens. The host
//! computes rows of a product alike from some number of them on, so that there idle sequences only fill small micro-batches up
//! to that number.

use super::fault::fault;
use super::sampling::micro_batches;
use super::trainer::Examples;
use dpx_nn::kernel::rows_computed_alike;
use dpx_nn::{Batch, Parameters};
use dpx_schema::Device;

/// Lengths up to this are one group.
const LEAST_LENGTH: usize = 16;

/// What only changes speed or memory.
#[derive(Debug, Clone, Copy)]
pub struct MicroBatches {
    /// Most rows computed at once.
    pub max_rows: usize,
    /// Most tokens computed at once.
    pub max_tokens: usize,
}

/// Idle sequences behind those of a micro-batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idle<'a> {
    /// Their lengths.
    pub lengths: &'a [usize],
    /// Whether every row of the micro-batch has a target, so that the number of targets is fixed too.
    pub every_row: bool,
}

impl Idle<'_> {
    /// No idle sequences.
    pub const NONE: Idle<'static> = Idle {
        lengths: &[],
        every_row: false,
    };
}

/// What sizes of micro-batches follow from; all of it is public.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) micro_batches: MicroBatches,
    /// Rows of a batch on average.
    pub(crate) expected_rows: f64,
    /// Whether examples are bounded one by one; without clipping shapes do not matter.
    pub(crate) bounded: bool,
}

/// A micro-batch: rows, and the idle sequences behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) rows: Vec<usize>,
    idle: Vec<usize>,
    every_row: bool,
    /// Rows and targets from which on nothing idle is needed.
    enough: usize,
}

impl Part {
    /// Its examples, those of its rows first.
    pub(crate) fn batch(&self, examples: &dyn Examples) -> Batch {
        if self.enough < usize::MAX {
            let bare = examples.batch(&self.rows, Idle::NONE);
            if bare.rows.count().min(bare.targets_count()) >= self.enough {
                return bare;
            }
        }
        let idle = Idle {
            lengths: &self.idle,
            every_row: self.every_row,
        };
        examples.batch(&self.rows, idle)
    }
}

/// Cuts the rows of a batch into micro-batches for the device of a network. Every row appears exactly once.
pub(crate) fn plan(
    parameters: &Parameters,
    examples: &dyn Examples,
    rows: &[usize],
    limits: Limits,
) -> Vec<Part> {
    let bare = fault!(BareMicroBatches) || !limits.bounded;
    if parameters.device() == Device::Cpu || bare {
        let lengths: Vec<usize> = rows.iter().map(|&row| examples.length(row)).collect();
        let MicroBatches {
            max_rows,
            max_tokens,
        } = limits.micro_batches;
        let least = if bare {
            0
        } else {
            rows_computed_alike(parameters.least_width().unwrap_or(1))
        };
        return micro_batches(rows, &lengths, max_rows, max_tokens)
            .into_iter()
            .map(|rows| on_host(examples, rows, least))
            .collect();
    }
    on_device(examples, rows, limits)
}

/// Idle sequences that alone have as many rows as it takes.
fn on_host(examples: &dyn Examples, rows: Vec<usize>, least: usize) -> Part {
    let longest = examples.max_seq_len().max(1);
    let mut idle = Vec::new();
    let mut missing = least;
    while missing > 0 {
        let length = missing.min(longest);
        idle.push(length);
        missing -= length;
    }
    if examples.sequences() == 2 && idle.len() % 2 == 1 {
        idle.push(0);
    }
    Part {
        rows,
        idle,
        every_row: false,
        enough: least,
    }
}

/// Groups by length, each in one shape.
fn on_device(examples: &dyn Examples, rows: &[usize], limits: Limits) -> Vec<Part> {
    let longest = examples.max_seq_len().max(1);
    let of_row = examples.sequences();
    let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
    for &row in rows {
        let inputs = examples.inputs(row).into_iter().max().unwrap_or(0);
        let length = inputs.next_power_of_two().max(LEAST_LENGTH).min(longest);
        match groups.iter_mut().find(|(own, _)| *own == length) {
            Some((_, group)) => group.push(row),
            None => groups.push((length, vec![row])),
        }
    }
    groups.sort_unstable_by_key(|(length, _)| *length);
    let mut parts = Vec::new();
    for (length, group) in groups {
        let at_once = rows_of_shape(length * of_row, limits);
        for rows in group.chunks(at_once) {
            parts.push(Part {
                rows: rows.to_vec(),
                idle: idle_of_shape(examples, rows, at_once * of_row, length),
                every_row: true,
                enough: usize::MAX,
            });
        }
    }
    parts
}

/// Rows of a micro-batch of a length: a power of two within the limits, about an eighth of a batch at most, so that few of them
/// are idle.
fn rows_of_shape(tokens_of_row: usize, limits: Limits) -> usize {
    let MicroBatches {
        max_rows,
        max_tokens,
    } = limits.micro_batches;
    let share = (limits.expected_rows / 8.0).max(4.0) as usize;
    let most = max_rows.min(max_tokens / tokens_of_row).min(share).max(1);
    1 << most.ilog2()
}

/// Fills up to `2 slots + 2` sequences of `(slots + 1) length` tokens, the longest of `length`.
fn idle_of_shape(
    examples: &dyn Examples,
    rows: &[usize],
    slots: usize,
    length: usize,
) -> Vec<usize> {
    let real: usize = rows.iter().flat_map(|&row| examples.inputs(row)).sum();
    let count = 2 * slots + 2 - rows.len() * examples.sequences();
    let mut missing = (slots + 1) * length - real;
    (0..count)
        .map(|_| {
            let own = missing.min(length);
            missing -= own;
            own
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trainer::tests::{Texts, network_on, texts};
    use dpx_nn::device::DeviceExt;

    const LIMITS: Limits = Limits {
        micro_batches: MicroBatches {
            max_rows: 64,
            max_tokens: 200,
        },
        expected_rows: 40.0,
        bounded: true,
    };

    fn rows_once(parts: &[Part], count: usize) {
        let mut seen: Vec<usize> = parts.iter().flat_map(|part| part.rows.clone()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..count).collect::<Vec<_>>());
    }

    #[test]
    fn a_device_sees_one_shape_for_each_length() {
        let examples = Texts((0..90).map(|row| vec![1; 2 + row * 37 % 60]).collect());
        let rows: Vec<usize> = (0..90).collect();
        let parts = on_device(&examples, &rows, LIMITS);
        rows_once(&parts, 90);
        let mut shapes: Vec<[usize; 4]> = Vec::new();
        for part in &parts {
            let batch = part.batch(&examples);
            let longest = batch.rows.lengths().max().unwrap();
            let dpx_nn::Targets::NextToken { rows, .. } = &batch.targets else {
                panic!("next tokens")
            };
            shapes.push([batch.len(), batch.ids.len(), longest, rows.len()]);
        }
        shapes.sort_unstable();
        shapes.dedup();
        assert!(shapes.len() <= 3, "{shapes:?}");
        assert!(
            shapes.iter().all(|shape| shape[1] == shape[3]),
            "{shapes:?}"
        );
    }

    #[test]
    fn the_host_fills_small_micro_batches_alone() {
        let network = network_on(Device::Cpu);
        let examples = texts(30);
        let rows: Vec<usize> = (0..30).collect();
        let parts = plan(
            dpx_nn::Network::parameters(&network),
            &examples,
            &rows,
            LIMITS,
        );
        rows_once(&parts, 30);
        for part in &parts {
            let batch = part.batch(&examples);
            assert!(batch.rows.count().min(batch.targets_count()) >= 65);
            assert!(
                part.idle
                    .iter()
                    .all(|&length| length <= examples.max_seq_len())
            );
        }
        let flex = network_on(Device::under_test());
        rows_once(
            &plan(dpx_nn::Network::parameters(&flex), &examples, &rows, LIMITS),
            30,
        );
    }
}
