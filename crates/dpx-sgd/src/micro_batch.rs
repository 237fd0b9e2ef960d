//! How a batch is cut into micro-batches whose shapes say nothing of the examples in them.
//!
//! A kernel may compute the same row otherwise in a product of another shape. So that the gradient of an example is the same to
//! the last bit whatever its mates are, a micro-batch on a device has one of a few shapes: rows are grouped by their length,
//! rounded up to a power of two, and idle sequences fill each group up to a fixed number of sequences and tokens. The host
//! computes rows of a product alike from some number of them on, so that there idle sequences only fill small micro-batches up
//! to that number.

use super::fault::fault;
use super::sampling::micro_batches_of_units;
use super::trainer::Examples;
use super::units::Units;
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
    /// Their lengths in tokens.
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
    /// Units of a batch on average: people, or rows.
    pub(crate) expected_rows: f64,
    /// Whether examples are bounded one by one; without clipping shapes do not matter.
    pub(crate) bounded: bool,
}

/// A micro-batch: what is bounded as one each, and the idle sequences behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// The rows of each unit: one row each where there are no people.
    pub(crate) units: Vec<Vec<usize>>,
    idle: Vec<usize>,
    every_row: bool,
    /// Records that every unit is filled up to, idle ones included; none where units are as they are.
    each: Option<usize>,
    /// Rows and targets from which on nothing idle is needed.
    enough: usize,
}

impl Part {
    /// Its examples, those of its units first.
    pub(crate) fn batch(&self, examples: &dyn Examples) -> Batch {
        if self.enough < usize::MAX {
            let bare = grouped(examples, &self.units, Idle::NONE, None);
            if bare.rows.count().min(bare.targets_count()) >= self.enough {
                return bare;
            }
        }
        let idle = Idle {
            lengths: &self.idle,
            every_row: self.every_row,
        };
        grouped(examples, &self.units, idle, self.each)
    }
}

/// What is sampled: people, or rows.
pub(crate) fn sampled(examples: &dyn Examples) -> usize {
    examples.units().map_or_else(|| examples.rows(), Units::len)
}

/// Everything that is sampled, each with as many rows as take part in a step at most.
pub(crate) fn everybody(examples: &dyn Examples) -> Vec<Vec<usize>> {
    (0..sampled(examples))
        .map(|unit| {
            let rows = examples.units().map(|units| units.first_rows(unit));
            rows.unwrap_or_else(|| vec![unit])
        })
        .collect()
}

/// The batch of some units, in the shape of their rows alone.
pub(crate) fn bare(examples: &dyn Examples, units: &[Vec<usize>]) -> Batch {
    grouped(examples, units, Idle::NONE, None)
}

/// The batch of some units with idle sequences behind, each unit one example of the batch.
fn grouped(
    examples: &dyn Examples,
    units: &[Vec<usize>],
    idle: Idle<'_>,
    each: Option<usize>,
) -> Batch {
    let rows = units.concat();
    let batch = examples.batch(&rows, idle);
    let Some(people) = examples.units() else {
        return batch;
    };
    let idle = idle.lengths.len() / examples.sequences();
    let of_idle = each.unwrap_or(1);
    let mut counts: Vec<usize> = units.iter().map(Vec::len).collect();
    if fault!(RecordsClippedApart) {
        let records = rows.len() + idle;
        return batch.in_units(&vec![1; records], None, 1.0 / people.per_step() as f32);
    }
    counts.extend(std::iter::repeat_n(of_idle, idle / of_idle));
    batch.in_units(&counts, each, 1.0 / people.per_step() as f32)
}

/// Cuts the units of a batch into micro-batches for the device of a network. Every unit appears exactly once, whole.
pub(crate) fn plan(
    parameters: &Parameters,
    examples: &dyn Examples,
    batch: &[Vec<usize>],
    limits: Limits,
) -> Vec<Part> {
    let is_bare = fault!(BareMicroBatches) || !limits.bounded;
    if parameters.device() == Device::Cpu || is_bare {
        let least = if is_bare {
            0
        } else {
            rows_computed_alike(parameters.least_width().unwrap_or(1))
        };
        return by_length(examples, batch, limits.micro_batches)
            .into_iter()
            .map(|units| on_host(examples, units, least))
            .collect();
    }
    match examples.units() {
        None => on_device(examples, batch, limits),
        Some(people) => units_on_device(examples, batch, people.per_step(), limits),
    }
}

/// Units of similar length together.
fn by_length(
    examples: &dyn Examples,
    batch: &[Vec<usize>],
    micro_batches: MicroBatches,
) -> Vec<Vec<Vec<usize>>> {
    let MicroBatches {
        max_rows,
        max_tokens,
    } = micro_batches;
    let length = |unit: &Vec<usize>| unit.iter().map(|&row| examples.length(row)).sum();
    let lengths: Vec<usize> = batch.iter().map(length).collect();
    let sizes: Vec<usize> = batch.iter().map(Vec::len).collect();
    micro_batches_of_units(&sizes, &lengths, max_rows, max_tokens)
        .into_iter()
        .map(|part| part.into_iter().map(|unit| batch[unit].clone()).collect())
        .collect()
}

/// Idle sequences that alone have as many rows as it takes.
fn on_host(examples: &dyn Examples, units: Vec<Vec<usize>>, least: usize) -> Part {
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
        units,
        idle,
        every_row: false,
        each: None,
        enough: least,
    }
}

/// Tokens rounded up to a power of two, within what there can be.
fn rounded(tokens: usize, most: usize) -> usize {
    tokens.next_power_of_two().max(LEAST_LENGTH).min(most)
}

/// Groups by length, each in one shape.
fn on_device(examples: &dyn Examples, batch: &[Vec<usize>], limits: Limits) -> Vec<Part> {
    let longest = examples.max_seq_len().max(1);
    let of_row = examples.sequences();
    let groups = by_shape(batch, |row| {
        let inputs = row.iter().flat_map(|&row| examples.inputs(row));
        rounded(inputs.max().unwrap_or(0), longest)
    });
    let mut parts = Vec::new();
    for (length, group) in groups {
        let at_once = units_of_shape(length * of_row, 1, limits);
        for units in group.chunks(at_once) {
            parts.push(Part {
                units: units.to_vec(),
                idle: idle_of_shape(examples, units, at_once * of_row, length),
                every_row: true,
                each: None,
                enough: usize::MAX,
            });
        }
    }
    parts
}

/// Units in the order of their shapes, those of one shape together.
fn by_shape<S: Ord + Copy>(
    batch: &[Vec<usize>],
    shape: impl Fn(&[usize]) -> S,
) -> Vec<(S, Vec<Vec<usize>>)> {
    let mut groups: Vec<(S, Vec<Vec<usize>>)> = Vec::new();
    for unit in batch {
        let own = shape(unit);
        match groups.iter_mut().find(|(shape, _)| *shape == own) {
            Some((_, group)) => group.push(unit.clone()),
            None => groups.push((own, vec![unit.clone()])),
        }
    }
    groups.sort_unstable_by_key(|(shape, _)| *shape);
    groups
}

/// Units of a micro-batch of a number of tokens each: a power of two within the limits, about an eighth of a batch at most, so
/// that few of them are idle.
fn units_of_shape(tokens_of_unit: usize, records: usize, limits: Limits) -> usize {
    let MicroBatches {
        max_rows,
        max_tokens,
    } = limits.micro_batches;
    let share = (limits.expected_rows / 8.0).max(4.0) as usize;
    let most = (max_rows / records.max(1))
        .min(max_tokens / tokens_of_unit)
        .min(share)
        .max(1);
    1 << most.ilog2()
}

/// Fills up to `2 slots + 2` sequences of `(slots + 1) length` tokens, the longest of `length`.
fn idle_of_shape(
    examples: &dyn Examples,
    units: &[Vec<usize>],
    slots: usize,
    length: usize,
) -> Vec<usize> {
    let rows = units.iter().flatten();
    let real: usize = rows.flat_map(|&row| examples.inputs(row)).sum();
    let count = 2 * slots + 2 - units.len() * examples.sequences();
    let mut missing = (slots + 1) * length - real;
    (0..count)
        .map(|_| {
            let own = missing.min(length);
            missing -= own;
            own
        })
        .collect()
}

/// People with several records each: groups by the longest sequence and by all tokens of a person, each in one shape. A
/// micro-batch has `2 slots + 2` people of `each` records, `(slots + 1)` times the tokens of a person, and the last people are
/// idle: one of them has all of a person's tokens and the longest sequence.
fn units_on_device(
    examples: &dyn Examples,
    batch: &[Vec<usize>],
    each: usize,
    limits: Limits,
) -> Vec<Part> {
    let longest = examples.max_seq_len().max(1);
    let sequences = each * examples.sequences();
    let groups = by_shape(batch, |unit| {
        let inputs = || unit.iter().flat_map(|&row| examples.inputs(row));
        let length = rounded(inputs().max().unwrap_or(0), longest);
        (length, rounded(inputs().sum(), sequences * length))
    });
    let mut parts = Vec::new();
    for ((length, tokens), group) in groups {
        let slots = units_of_shape(tokens, each, limits);
        for units in group.chunks(slots) {
            let rows = units.iter().flatten();
            let real: usize = rows.flat_map(|&row| examples.inputs(row)).sum();
            let mut missing = (slots + 1) * tokens - real;
            let mut idle = Vec::new();
            for _ in units.len()..2 * slots + 2 {
                let mut of_unit = missing.min(tokens);
                missing -= of_unit;
                for _ in 0..sequences {
                    let own = of_unit.min(length);
                    of_unit -= own;
                    idle.push(own);
                }
            }
            parts.push(Part {
                units: units.to_vec(),
                idle,
                every_row: true,
                each: Some(each),
                enough: usize::MAX,
            });
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trainer::tests::{People, network_on, texts, whole};
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
        let mut seen: Vec<usize> = parts.iter().flat_map(|part| part.units.concat()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..count).collect::<Vec<_>>());
    }

    #[test]
    fn a_device_sees_one_shape_for_each_length() {
        let examples = whole((0..90).map(|row| vec![1; 2 + row * 37 % 60]).collect());
        let parts = on_device(&examples, &everybody(&examples), LIMITS);
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
        let all = everybody(&examples);
        let parts = plan(
            dpx_nn::Network::parameters(&network),
            &examples,
            &all,
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
            &plan(dpx_nn::Network::parameters(&flex), &examples, &all, LIMITS),
            30,
        );
    }

    /// People with one to four records of many lengths: few shapes, each whole and once, whatever the records of each are.
    #[test]
    fn people_have_few_shapes_on_a_device_and_are_never_split() {
        let records: Vec<Vec<u32>> = (0..90).map(|row| vec![1; 2 + row * 37 % 60]).collect();
        let mut people: Vec<Vec<usize>> = Vec::new();
        let mut next = 0;
        while next < 90 {
            let count = (1 + people.len() * 7 % 4).min(90 - next);
            people.push((next..next + count).collect());
            next += count;
        }
        let examples = People(whole(records), Units::new(people.clone(), 4));
        let parts = units_on_device(&examples, &everybody(&examples), 4, LIMITS);
        rows_once(&parts, 90);
        assert!(
            parts
                .iter()
                .all(|part| part.units.iter().all(|unit| people.contains(unit)))
        );
        let mut shapes: Vec<[usize; 6]> = Vec::new();
        for part in &parts {
            let batch = part.batch(&examples);
            let units = batch.units.as_ref().unwrap();
            let rows = batch.rows.grouped(&units.records);
            let longest = |layout: &dpx_nn::PackedLayout| layout.lengths().max().unwrap();
            assert_eq!(batch.ids.len(), batch.targets_count());
            shapes.push([
                batch.len(),
                batch.ids.len(),
                longest(&batch.rows),
                rows.batch(),
                longest(&rows),
                longest(&units.records),
            ]);
        }
        shapes.sort_unstable();
        shapes.dedup();
        assert!(shapes.len() <= 8, "{shapes:?}");
    }
}
