//! What every layer of a pass through the stack reads.

use super::rotary::Angles;
use crate::{PackedLayout, Parameters};

/// A pass through the stack.
pub(super) struct Pass<'a> {
    pub(super) parameters: &'a Parameters,
    pub(super) angles: &'a [Angles],
    /// How rows belong to examples; one row for each in a step of generation.
    pub(super) rows: &'a PackedLayout,
    /// Position of each row.
    pub(super) positions: &'a [u32],
}
