//! Sets of shards: whole and single, so that no row is missing or read twice.

use super::open::Packing;
use crate::error::listed;
use std::collections::{BTreeMap, BTreeSet};

/// Missing shards that are named.
const NAMED: usize = 3;

/// A file name such as `train-00000-of-00002.parquet`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shard<'a> {
    /// What stands before the numbers.
    prefix: &'a str,
    index: u64,
    /// How many there are, as it is written.
    total: &'a str,
}

/// The name of a file without its endings.
pub(super) fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let (_, name) = Packing::of(name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// The folder of a file, as it is written.
pub(super) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The shard that a file is by its name; a hash after the numbers does not count.
pub(super) fn shard(path: &str) -> Option<Shard<'_>> {
    let stem = stem(path);
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    for (at, _) in stem.match_indices("-of-") {
        let (before, after) = (&stem[..at], &stem[at + 4..]);
        let total = &after[..digits(after)];
        let from = before
            .rfind(|letter: char| !letter.is_ascii_digit())
            .map_or(0, |place| {
                place + before[place..].chars().next().map_or(1, char::len_utf8)
            });
        let (prefix, index) = before.split_at(from);
        if total.is_empty() || index.is_empty() {
            continue;
        }
        return Some(Shard {
            prefix,
            index: index.parse().ok()?,
            total,
        });
    }
    None
}

/// The number of a file in a series without a total: `0003.parquet`, `train_2.csv`, `part-00001-UUID.snappy.parquet`.
fn numbered(path: &str) -> Option<(&str, u64)> {
    let stem = stem(path);
    let (prefix, digits) = match stem.strip_prefix("part-") {
        Some(rest) => {
            let length = rest.bytes().take_while(u8::is_ascii_digit).count();
            ("part-", &rest[..length])
        }
        None => stem.split_at(
            stem.trim_end_matches(|letter: char| letter.is_ascii_digit())
                .len(),
        ),
    };
    Some((prefix, digits.parse().ok()?))
}

/// Checks that the files of a split are one whole set. Files of a folder that is named after the split may have any names.
///
/// # Errors
/// Names the files that do not fit together, or those that are missing.
pub(crate) fn whole(split: &str, files: &[&str], in_folder: bool) -> Result<(), String> {
    let mut stems: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for file in files {
        if let Some(other) = stems.insert((folder(file), stem(file)), file) {
            return Err(format!(
                "several files could be the {split} split ({}): keep one",
                listed([other, file])
            ));
        }
    }
    let shards: Vec<_> = files.iter().map(|file| (*file, shard(file))).collect();
    if shards.iter().any(|(_, shard)| shard.is_some()) {
        return sharded(split, &shards);
    }
    if files.len() < 2 {
        return Ok(());
    }
    let series: Option<Vec<_>> = files.iter().map(|file| numbered(file)).collect();
    if let Some(series) = series
        && series.iter().all(|(prefix, _)| *prefix == series[0].0)
        && files.iter().all(|file| folder(file) == folder(files[0]))
    {
        let numbers: BTreeSet<u64> = series.iter().map(|(_, number)| *number).collect();
        let first = numbers.first().copied().unwrap_or(0);
        let last = numbers.last().copied().unwrap_or(0);
        if numbers.len() < files.len() {
            return Err(format!(
                "two files of the {split} split have one number ({}): keep one",
                listed(files)
            ));
        }
        if first > 1 || last - first + 1 != numbers.len() as u64 {
            return Err(format!(
                "the {split} split is a series of files numbered from {first} to {last}, of which {} are there: a set of files has to be whole ({})",
                numbers.len(),
                listed(files)
            ));
        }
        return Ok(());
    }
    if in_folder {
        return Ok(());
    }
    Err(format!(
        "several files could be the {split} split ({}): keep one",
        listed(files)
    ))
}

fn sharded(split: &str, shards: &[(&str, Option<Shard<'_>>)]) -> Result<(), String> {
    let mut sets: BTreeMap<(&str, &str), (&str, BTreeSet<u64>)> = BTreeMap::new();
    for (file, shard) in shards {
        let Some(shard) = shard else {
            return Err(format!(
                "several files could be the {split} split ({}): keep either the shards or the other",
                listed(shards.iter().map(|(file, _)| file))
            ));
        };
        let set = sets.entry((shard.prefix, shard.total));
        let set = set.or_insert_with(|| (*file, BTreeSet::new()));
        if !set.1.insert(shard.index) {
            return Err(format!(
                "shard {} of the {split} split is there twice ({}): keep one",
                shard.index,
                listed(shards.iter().map(|(file, _)| file))
            ));
        }
    }
    if sets.len() > 1 {
        return Err(format!(
            "the files of the {split} split belong to different sets of shards ({}): rows would be read twice; keep one set",
            listed(shards.iter().map(|(file, _)| file))
        ));
    }
    for ((_, written), (file, found)) in sets {
        let total: u64 = written.parse().unwrap_or(u64::MAX);
        if let Some(beyond) = found.iter().find(|index| **index >= total) {
            return Err(format!(
                "shard {beyond} of the {split} split is beyond the {total} that its name states (counted from 0)"
            ));
        }
        if found.len() as u64 == total {
            continue;
        }
        let missing = (0..total).filter(|index| !found.contains(index));
        let missing: Vec<String> = missing.take(NAMED).map(|index| index.to_string()).collect();
        return Err(format!(
            "the {split} split has {} of {total} shards (`{file}`): number {} {} missing; a set of shards has to be whole",
            found.len(),
            missing.join(", "),
            if total - found.len() as u64 > NAMED as u64 {
                "and others are"
            } else if missing.len() == 1 {
                "is"
            } else {
                "are"
            }
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{numbered, shard, whole};

    #[test]
    fn names_of_shards() {
        let parts =
            |name: &'static str| shard(name).map(|shard| (shard.prefix, shard.index, shard.total));
        assert_eq!(
            parts("data/train-00001-of-00002.parquet"),
            Some(("train-", 1, "00002"))
        );
        assert_eq!(
            parts("train-00000-of-00001-0af3c2.jsonl.gz"),
            Some(("train-", 0, "00001"))
        );
        assert_eq!(parts("0-of-2.csv"), Some(("", 0, "2")));
        assert_eq!(parts("train-out-of-stock.csv"), None);
        assert_eq!(parts("état1-of-2.csv"), Some(("état", 1, "2")));
        assert_eq!(numbered("default/train/0003.parquet"), Some(("", 3)));
        assert_eq!(numbered("train_12.csv"), Some(("train_", 12)));
        assert_eq!(
            numbered("part-00001-0af3-c000.snappy.parquet"),
            Some(("part-", 1))
        );
        assert_eq!(numbered("train.csv"), None);
    }

    #[test]
    fn sets_are_whole_and_single() {
        for (files, folder, problem) in [
            (&["train.csv"][..], false, ""),
            (&["train-00000-of-00001.parquet"], false, ""),
            (&["a-0-of-2.csv", "a-1-of-2.csv"], false, ""),
            (&["a-1-of-2.csv"], false, "number 0 is missing"),
            (
                &["a-0-of-9.csv"],
                false,
                "number 1, 2, 3 and others are missing",
            ),
            (&["a-0-of-3.csv"], false, "number 1, 2 are missing"),
            (
                &["a-0-of-1.csv", "a-0-of-2.csv", "a-1-of-2.csv"],
                false,
                "different sets of shards",
            ),
            (
                &["a-0-of-1.csv", "b-0-of-1.csv"],
                true,
                "different sets of shards",
            ),
            (
                &["a-0-of-1.csv", "a-0-of-1.parquet"],
                true,
                "several files could be",
            ),
            (
                &["a-0-of-1-aa.csv", "a-0-of-1-bb.csv"],
                true,
                "is there twice",
            ),
            (&["a-0-of-1.csv", "a-0-of-01.csv"], true, "different sets"),
            (&["a-2-of-2.csv", "a-0-of-2.csv"], true, "beyond"),
            (
                &["a-0-of-1.csv", "train.csv"],
                true,
                "keep either the shards or the other",
            ),
            (
                &["train.csv", "train.tsv"],
                false,
                "several files could be the train split (`train.csv`, `train.tsv`)",
            ),
            (&["train.csv", "train.csv.gz"], true, "several files"),
            (
                &["train_big.csv", "train_small.csv"],
                false,
                "several files",
            ),
            (&["x.csv", "y.csv"], true, ""),
            (&["train_1.csv", "train_2.csv"], false, ""),
            (
                &["train_0.csv", "train_2.csv"],
                false,
                "numbered from 0 to 2, of which 2 are there",
            ),
            (
                &["train_3.csv", "train_4.csv"],
                false,
                "numbered from 3 to 4",
            ),
            (&["0000.parquet", "0001.parquet"], true, ""),
            (&["0000.parquet", "000.parquet"], true, "one number"),
        ] {
            match whole("train", files, folder) {
                Ok(()) => assert_eq!(problem, "", "{files:?}"),
                Err(found) => assert!(
                    !problem.is_empty() && found.contains(problem),
                    "{files:?}: {found}"
                ),
            }
        }
    }
}
