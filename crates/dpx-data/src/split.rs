//! Splits and limits by a keyed hash of the row's number, so that one row changes no other row's split.

use super::Row;

/// Moves rows to validation and test where the dataset has none. A row's split depends on its number alone: neither on
/// other rows nor on the seed of the experiment.
pub(super) fn make(
    train: Vec<Row>,
    validation_share: f64,
    test_share: f64,
) -> (Vec<Row>, Vec<Row>, Vec<Row>) {
    let (mut kept, mut validation, mut test) = (Vec::new(), Vec::new(), Vec::new());
    for row in train {
        let place = hash("split", row.id) as f64 / 2f64.powi(64);
        if place < test_share {
            test.push(row);
        } else if place < test_share + validation_share {
            validation.push(row);
        } else {
            kept.push(row);
        }
    }
    (kept, validation, test)
}

/// Keeps the `limit` rows whose numbers have the smallest hashes, in their order.
pub(super) fn limit(rows: &mut Vec<Row>, limit: u64) {
    if rows.len() as u64 <= limit {
        return;
    }
    let mut hashes: Vec<u64> = rows.iter().map(|row| hash("limit", row.id)).collect();
    hashes.sort_unstable();
    let bound = hashes[limit as usize];
    rows.retain(|row| hash("limit", row.id) < bound);
}

fn hash(purpose: &str, id: u64) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("dpx rows v1");
    hasher.update(purpose.as_bytes()).update(&id.to_le_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}
