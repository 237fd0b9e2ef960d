//! Cuts slices into the pieces that threads work on.

/// Rows that one task takes, so that every thread gets a few tasks.
pub(crate) fn rows_per_task(rows: usize) -> usize {
    (rows / (rayon::current_num_threads() * 4)).max(1)
}

/// Pieces of the rows of each example: `offsets` has one more entry than there are examples.
pub(crate) fn split_by<'a, T>(mut data: &'a [T], offsets: &[usize], width: usize) -> Vec<&'a [T]> {
    let mut pieces = Vec::with_capacity(offsets.len().saturating_sub(1));
    for pair in offsets.windows(2) {
        let (head, tail) = data.split_at((pair[1] - pair[0]) * width);
        pieces.push(head);
        data = tail;
    }
    pieces
}

/// Mutable pieces of the rows of each example.
pub(crate) fn split_by_mut<'a, T>(
    mut data: &'a mut [T],
    offsets: &[usize],
    width: usize,
) -> Vec<&'a mut [T]> {
    let mut pieces = Vec::with_capacity(offsets.len().saturating_sub(1));
    for pair in offsets.windows(2) {
        let (head, tail) = data.split_at_mut((pair[1] - pair[0]) * width);
        pieces.push(head);
        data = tail;
    }
    pieces
}
