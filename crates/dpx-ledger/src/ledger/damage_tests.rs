//! Damage: whatever happens to a file of the ledger, what was spent is never said to be less without an error.

use super::tests::{enter, file, note, texts};
use super::*;
use crate::history::tests::run as run_entry;
use dpx_accounting::Claim;
use proptest::prelude::*;
use std::fs;

/// Two runs of one data set.
fn small() -> (tempfile::TempDir, Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::at(folder.path().join("ledger"));
    note(&ledger, "file", &texts(0, 5));
    enter(&ledger, "file", &run_entry("a", 2.0));
    enter(&ledger, "file", &run_entry("b", 2.0));
    (folder, ledger)
}

fn spent(ledger: &Ledger) -> Claim {
    let books = ledger.history().unwrap().books();
    books[0].run(1e-5).unwrap().unwrap()
}

/// After damage: whether an error tells of it; otherwise everything that was there before still is.
fn is_told(ledger: &Ledger, what: &str) -> bool {
    match ledger.history() {
        Err(error) => {
            assert!(error.to_string().contains("ledger"), "{what}: {error}");
            true
        }
        Ok(history) => {
            assert_eq!(history.runs().len(), 2, "{what}: a run is gone");
            false
        }
    }
}

/// A bit of every byte of every file.
#[test]
fn no_flipped_bit_makes_anything_cheaper_without_an_error() {
    let (_folder, ledger) = small();
    let units = ledger.history().unwrap().data_sets()[0].id.clone();
    for name in ["ledger.jsonl", "head", "secret"] {
        let path = ledger.folder().join(name);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, &bytes).unwrap();
            let what = format!("{name}, byte {at}");
            assert!(is_told(&ledger, &what), "{what} was not noticed");
        }
        fs::write(&path, &whole).unwrap();
        assert!(!is_told(&ledger, name));
    }
    // Units are read when another data set is compared with them.
    let path = ledger.folder().join("units").join(units);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let records = texts(3, 9);
        let error = ledger
            .book_of(records.iter().map(String::as_str), "source")
            .unwrap_err();
        assert!(matches!(error, LedgerError::Damaged { .. }), "{error}");
    }
    fs::remove_file(&path).unwrap();
    let other = ledger.units(["new"].into_iter()).unwrap();
    let error = ledger
        .note_people(&file("other"), &other, "source")
        .unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
}

#[test]
fn edited_reordered_missing_and_repeated_lines_are_told_with_their_number() {
    let (_folder, ledger) = small();
    let path = ledger.folder().join("ledger.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    assert_eq!(lines.len(), 5, "data set, file, source, two runs");
    let [a, b, s, c, d] = [lines[0], lines[1], lines[2], lines[3], lines[4]];
    let joined = |lines: &[&str]| lines.join("\n") + "\n";
    let edited = c.replace("\"noise_multiplier\":2.0", "\"noise_multiplier\":8.0");
    assert_ne!(edited, c);
    let cut = whole[..whole.len() - 30].to_owned();
    for (what, text, line) in [
        ("edited", joined(&[a, b, s, &edited, d]), 4),
        ("reordered", joined(&[a, b, s, d, c]), 4),
        ("first missing", joined(&[b, s, c, d]), 1),
        ("middle missing", joined(&[a, b, s, d]), 4),
        ("last missing", joined(&[a, b, s, c]), 5),
        ("repeated", joined(&[a, b, b, s, c, d]), 3),
        ("emptied", String::new(), 1),
        ("nonsense before", format!("nonsense\n{whole}"), 1),
        ("cut within the last line", cut, 5),
    ] {
        fs::write(&path, text).unwrap();
        let error = ledger.history().unwrap_err().to_string();
        for word in [&format!("in line {line}"), "ledger.jsonl", "backup"] {
            assert!(error.contains(word), "{what}: {error}");
        }
        // Nor does anything go on on top of it.
        let entered = ledger.enter_run(&file("file"), run_entry("c", 2.0), None);
        assert!(entered.is_err(), "{what}");
    }
}

#[test]
fn missing_files_are_told() {
    for name in ["ledger.jsonl", "head", "secret", "lock"] {
        let (_folder, ledger) = small();
        fs::remove_file(ledger.folder().join(name)).unwrap();
        let error = ledger.history().unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("missing"), "{error}");
    }
    let (_folder, ledger) = small();
    for name in ["head", "secret"] {
        fs::remove_file(ledger.folder().join(name)).unwrap();
    }
    let error = ledger.history().unwrap_err().to_string();
    assert!(error.contains("and the secret too"), "{error}");
}

#[test]
fn a_secret_that_is_cut_or_another_one_opens_no_second_account() {
    let (_folder, ledger) = small();
    let path = ledger.folder().join("secret");
    let whole = fs::read(&path).unwrap();
    for cut in 1..whole.len() {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let error = ledger.units(["text"].into_iter()).unwrap_err();
        assert!(error.to_string().contains("secret"), "{error}");
    }
    let other = tempfile::tempdir().unwrap();
    note(&Ledger::at(other.path()), "file", &texts(0, 5));
    fs::copy(other.path().join("secret"), &path).unwrap();
    let error = ledger.history().unwrap_err();
    assert!(error.to_string().contains("secret"), "{error}");
}

/// A lost last newline once dropped a finished run, which the next entry then cut off.
#[test]
fn a_lost_last_newline_loses_no_run() {
    let (_folder, ledger) = small();
    let path = ledger.folder().join("ledger.jsonl");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(ledger.history().unwrap().runs().len(), 2);
    assert!(enter(&ledger, "file", &run_entry("c", 2.0)));
    let history = ledger.history().unwrap();
    assert_eq!((history.runs().len(), history.torn()), (3, 0));
    assert!(fs::read(&path).unwrap().starts_with(&whole));
}

/// A crash at any byte of an append: what was finished stands, what was being entered counts or never began.
#[test]
fn an_append_that_dies_at_any_byte_is_harmless() {
    let (_folder, ledger) = small();
    let path = ledger.folder().join("ledger.jsonl");
    let head = ledger.folder().join("head");
    let (lines, old_head) = (fs::read(&path).unwrap(), fs::read(&head).unwrap());
    let before = spent(&ledger).epsilon();
    assert!(enter(&ledger, "file", &run_entry("c", 2.0)));
    let (longer, new_head) = (fs::read(&path).unwrap(), fs::read(&head).unwrap());
    assert!(spent(&ledger).epsilon() > before.value());
    let last = longer.len() - 3;
    for end in (lines.len()..last).step_by(17).chain(last..=longer.len()) {
        fs::write(&path, &longer[..end]).unwrap();
        // The head is written once the line is on the medium.
        fs::write(&head, &old_head).unwrap();
        let history = ledger.history().unwrap();
        let whole = end + 1 >= longer.len();
        assert_eq!(history.runs().len(), if whole { 3 } else { 2 }, "{end}");
        let torn = if whole { 0 } else { end - lines.len() };
        assert_eq!(history.torn(), torn, "{end}");
        // The same run begins again: nothing that was there is lost, and it counts once.
        assert_eq!(enter(&ledger, "file", &run_entry("c", 2.0)), !whole);
        let history = ledger.history().unwrap();
        assert_eq!((history.runs().len(), history.torn()), (3, 0), "{end}");
    }
    // A power cut may leave zeros where the line should be.
    let mut zeros = lines.clone();
    zeros.extend([0; 300]);
    zeros.push(b'\n');
    fs::write(&path, &zeros).unwrap();
    fs::write(&head, &old_head).unwrap();
    assert_eq!(ledger.history().unwrap().torn(), 301);
    // The head of a later state beside the lines of an earlier one: the tail was cut.
    fs::write(&path, &lines).unwrap();
    fs::write(&head, &new_head).unwrap();
    let error = ledger.history().unwrap_err().to_string();
    assert!(error.contains("cut off"), "{error}");
}

/// A process that dies while it makes the ledger leaves one that the next goes on with.
#[test]
fn a_ledger_that_was_begun_is_finished() {
    let fresh = tempfile::tempdir().unwrap();
    let begun = Ledger::at(fresh.path().join("begun"));
    let whole = Ledger::at(fresh.path().join("whole"));
    whole.units(std::iter::empty()).unwrap();
    fs::create_dir(begun.folder()).unwrap();
    for name in ["lock", "head"] {
        fs::copy(whole.folder().join(name), begun.folder().join(name)).unwrap();
        assert!(begun.history().unwrap().runs().is_empty());
    }
    note(&begun, "file", &texts(0, 5));
    assert!(enter(&begun, "file", &run_entry("a", 2.0)));
    assert_eq!(begun.history().unwrap().runs().len(), 1);
}

#[test]
fn a_ledger_of_an_earlier_dpx_is_not_taken_for_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), [7; 32]).unwrap();
    fs::write(folder.path().join("0123.jsonl"), "{}\n").unwrap();
    let ledger = Ledger::at(folder.path());
    for error in [
        ledger.units(std::iter::empty()).unwrap_err(),
        ledger.history().unwrap_err(),
    ] {
        let told = error.to_string();
        assert!(
            told.contains("earlier dpx") && told.contains("adopt"),
            "{told}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Any bytes anywhere: an error, or everything that was spent.
    #[test]
    fn any_damage_is_an_error_or_changes_nothing(
        name in prop::sample::select(vec!["ledger.jsonl", "head", "secret"]),
        start in 0.0..1.0f64,
        length in 0usize..200,
        put in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let (_folder, ledger) = small();
        let path = ledger.folder().join(name);
        let whole = fs::read(&path).unwrap();
        let start = (start * whole.len() as f64) as usize;
        let end = (start + length).min(whole.len());
        let mut bytes = whole[..start].to_vec();
        bytes.extend(&put);
        bytes.extend(&whole[end..]);
        fs::write(&path, &bytes).unwrap();
        is_told(&ledger, name);
    }
}
