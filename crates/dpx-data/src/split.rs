//! Splits and limits by a keyed hash of the row's number, so that one row changes no other row's split.

use super::Row;

/// Moves rows to validation and test where the dataset has none. A row's split depends on its number alone, or on the person whose
/// it is, so that nobody is in two splits: neither on what other rows say nor on the seed of the experiment. Where some records belong
/// to several people (`by_record`), all go by their numbers.
pub(super) fn make(
    train: Vec<Row>,
    by_record: bool,
    validation_share: f64,
    test_share: f64,
) -> (Vec<Row>, Vec<Row>, Vec<Row>) {
    let (mut kept, mut validation, mut test) = (Vec::new(), Vec::new(), Vec::new());
    for row in train {
        let place = hash("split", unit(&row, by_record)) as f64 / 2f64.powi(64);
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

/// Keeps the `limit` rows whose numbers have the smallest hashes, or the people with all of their rows, in their order.
pub(super) fn limit(rows: &mut Vec<Row>, limit: u64, by_record: bool) {
    let mut hashes: Vec<u64> = rows
        .iter()
        .map(|row| hash("limit", unit(row, by_record)))
        .collect();
    hashes.sort_unstable();
    hashes.dedup();
    if hashes.len() as u64 <= limit {
        return;
    }
    let bound = hashes[limit as usize];
    rows.retain(|row| hash("limit", unit(row, by_record)) < bound);
}

/// What stays together: the person, or the row by its number.
fn unit(row: &Row, by_record: bool) -> u64 {
    match row.owners[..] {
        [owner] if !by_record => owner.number(),
        _ => row.id,
    }
}

fn hash(purpose: &str, id: u64) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("dpx rows v1");
    hasher.update(purpose.as_bytes()).update(&id.to_le_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}
