//! Books by people, runs, releases, budgets, selection, several writers.

use super::*;
use crate::history::tests::run as run_entry;
use crate::selection::{Candidate, Selection};
use dpx_accounting::{Claim, DpEvent, gaussian_epsilon};
use dpx_schema::{NoiseSource, PrivacyRecord, PrivateRun};
use std::sync::Barrier;

/// The raw records `from..to` of a population.
pub(super) fn texts(from: usize, to: usize) -> Vec<String> {
    (from..to)
        .map(|n| format!("What person {n} wrote on day {}", n % 7))
        .collect()
}

/// A file of training texts, as its digest.
pub(super) fn file(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

pub(super) fn note(ledger: &Ledger, name: &str, records: &[String]) -> Noted {
    let units = ledger.units(records.iter().map(String::as_str)).unwrap();
    ledger.note_people(&file(name), &units, name).unwrap()
}

pub(super) fn enter(ledger: &Ledger, name: &str, run: &RunEntry) -> bool {
    ledger.enter_run(&file(name), run.clone(), None).unwrap()
}

/// A ledger that knows the people of `file`.
fn with_people() -> (tempfile::TempDir, Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::at(folder.path());
    note(&ledger, "file", &texts(0, 100));
    (folder, ledger)
}

/// The record that a run leaves in its artifact.
fn record(entry: &RunEntry) -> PrivacyRecord {
    PrivacyRecord::Private(PrivateRun {
        version: PrivateRun::VERSION,
        instance: entry.instance.clone().into(),
        run: entry.run.clone(),
        event: entry.event.clone(),
        adjacency: entry.adjacency,
        unit: entry.unit,
        bounds: None,
        delta: entry.delta,
        examples: 1000,
        canaries: 0,
        noise: entry.noise,
        max_grad_norm: 1.0,
        rounding_allowance: 0.0,
        max_length: None,
        clipping: None,
        base_precision: dpx_schema::params::BasePrecision::F32,
        expected_batch_size: None,
        target_epsilon: 3.0,
        shared_with: Vec::new(),
        declared_overlap: Vec::new(),
        provenance: Vec::new(),
    })
}

fn row(run: &RunEntry) -> String {
    run.instance.replace("train", "sample")
}

fn candidate(run: &RunEntry) -> Candidate {
    Candidate {
        row: row(run),
        earlier: None,
        records: vec![record(run)],
    }
}

/// A release of rows, each of one run and named after it.
fn request(rows: &[&RunEntry]) -> ReleaseRequest {
    ReleaseRequest {
        experiment: "study".to_owned(),
        rows: rows.iter().map(|run| row(run)).collect(),
        made: BTreeSet::new(),
        records: rows.iter().map(|run| record(run)).collect(),
        candidates: Vec::new(),
        unprotected: Vec::new(),
        held: None,
        delta: 1e-5,
        budget: None,
    }
}

/// Epsilon of `count` Gaussian mechanisms together, in closed form.
fn exact(noise_multiplier: f64, count: f64) -> f64 {
    gaussian_epsilon(noise_multiplier / count.sqrt(), 1e-5)
}

fn close(claim: Option<&Claim>, expected: f64) {
    let epsilon = claim.unwrap().epsilon().value();
    let fits = epsilon >= expected - 1e-9 && epsilon < expected + 1e-3;
    assert!(fits, "{epsilon}, expected {expected}");
}

/// Rule 51: whatever is done to a data set, its people stay the same.
#[test]
fn the_same_people_are_one_book_whatever_is_done_to_their_data() {
    let all = texts(0, 1000);
    let mut reordered = all.clone();
    reordered.reverse();
    let mut added = all.clone();
    added.extend(texts(5000, 5001));
    let reformatted = all
        .iter()
        .map(|text| format!(" {}\r\n", text.to_uppercase().replace(' ', "\t")))
        .collect();
    for (change, name, records) in [
        ("reordered", "reordered file", reordered),
        ("one added", "longer file", added),
        ("one removed", "shorter file", all[1..].to_vec()),
        ("half removed", "half file", all[..500].to_vec()),
        ("a shard", "shard file", all[..20].to_vec()),
        ("another format", "other file", reformatted),
        (
            "read twice",
            "double file",
            [all.clone(), all.clone()].concat(),
        ),
        ("prompted otherwise, renamed, copied", "file", all.clone()),
        ("scrubbed otherwise", "scrubbed file", all.clone()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::at(folder.path());
        note(&ledger, "file", &all);
        enter(&ledger, "file", &run_entry("a", 2.0));
        note(&ledger, name, &records);
        enter(&ledger, name, &run_entry("b", 2.0));
        let books = ledger.history().unwrap().books();
        assert_eq!(books.len(), 1, "{change}");
        close(books[0].run(1e-5).unwrap().as_ref(), exact(2.0, 2.0));
    }
}

#[test]
fn other_people_are_another_book_and_a_small_overlap_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::at(folder.path());
    note(&ledger, "one", &texts(0, 1000));
    // Ten of a thousand: the stated share, and not more.
    let noted = note(&ledger, "other", &texts(990, 1990));
    let overlap = &noted.data_set.overlaps[0];
    assert_eq!((overlap.shared, overlap.joined), (10, false));
    enter(&ledger, "one", &run_entry("a", 2.0));
    enter(&ledger, "other", &run_entry("b", 2.0));
    let books = ledger.history().unwrap().books();
    assert_eq!(books.len(), 2);
    for book in &books {
        close(book.run(1e-5).unwrap().as_ref(), exact(2.0, 1.0));
    }
    let noted = note(&ledger, "third", &texts(989, 1989));
    assert!(noted.data_set.overlaps.iter().all(|overlap| overlap.joined));
}

/// Rule 51: a data set that overlaps two books makes them one.
#[test]
fn a_data_set_of_both_makes_two_books_one() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::at(folder.path());
    for (name, from, to) in [("left", 0, 500), ("right", 500, 1000)] {
        note(&ledger, name, &texts(from, to));
        enter(&ledger, name, &run_entry(name, 2.0));
    }
    assert_eq!(ledger.history().unwrap().books().len(), 2);
    note(&ledger, "both", &texts(0, 1000));
    let books = ledger.history().unwrap().books();
    assert_eq!((books.len(), books[0].data_sets.len()), (1, 3));
    close(books[0].run(1e-5).unwrap().as_ref(), exact(2.0, 2.0));
    // Raw records lead to the book before anything of them is entered.
    let book = |records: Vec<String>| {
        let records = records.iter().map(String::as_str);
        ledger.book_of(records, "elsewhere").unwrap()
    };
    assert_eq!(book(texts(400, 450)).runs.len(), 2);
    assert!(book(texts(7000, 7050)).runs.is_empty());
}

/// Titles and bodies of one file are texts of the same people, though no text is in both.
#[test]
fn other_columns_of_one_source_are_the_same_people() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::at(folder.path());
    let noted = |name: &str, source: &str, from: usize| {
        let units = ledger
            .units(texts(from, from + 100).iter().map(String::as_str))
            .unwrap();
        ledger.note_people(&file(name), &units, source).unwrap();
        enter(&ledger, name, &run_entry(name, 2.0));
    };
    noted("title", "tickets.csv", 0);
    noted("body", "tickets.csv", 100);
    noted("other", "reviews.csv", 200);
    let books = ledger.history().unwrap().books();
    assert_eq!(books.len(), 2);
    assert_eq!(books[0].runs.len(), 2);
    let unknown = texts(500, 510);
    let unknown = || unknown.iter().map(String::as_str);
    assert_eq!(
        ledger.book_of(unknown(), "tickets.csv").unwrap().runs.len(),
        2
    );
    assert!(
        ledger
            .book_of(unknown(), "mails.csv")
            .unwrap()
            .runs
            .is_empty()
    );
}

/// One file of scrubbed texts that two data sets led to belongs to the people of both.
#[test]
fn one_file_of_two_data_sets_joins_them() {
    let (_folder, ledger) = with_people();
    note(&ledger, "file", &texts(200, 300));
    enter(&ledger, "file", &run_entry("a", 2.0));
    let books = ledger.history().unwrap().books();
    assert_eq!((books.len(), books[0].data_sets.len()), (1, 2));
}

#[test]
fn a_resumed_run_counts_once_and_a_run_of_unknown_people_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::at(folder.path().join("deep/ledger"));
    assert!(ledger.history().unwrap().books().is_empty());
    let entry = run_entry("a", 2.0);
    let error = ledger
        .enter_run(&file("file"), entry.clone(), None)
        .unwrap_err();
    assert!(
        matches!(error, LedgerError::UnknownPeople { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("dpx ledger adopt"), "{error}");
    note(&ledger, "file", &texts(0, 10));
    assert!(enter(&ledger, "file", &entry));
    assert!(!enter(&ledger, "file", &entry));
    assert!(enter(&ledger, "file", &run_entry("b", 2.0)));
    let history = ledger.history().unwrap();
    let known = &history.runs()[0];
    assert_eq!((history.runs().len(), known.people.len()), (2, 1));
    assert!((known.epsilon.value() - exact(2.0, 1.0)).abs() < 1e-3);
}

#[cfg(unix)]
#[test]
fn the_ledger_is_private_to_its_owner_or_group_and_says_nothing_of_texts() {
    use std::fs::{Permissions, metadata};
    use std::os::unix::fs::PermissionsExt;
    for (folder_mode, mode) in [(0o700, 0o600), (0o770, 0o660)] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::set_permissions(root, Permissions::from_mode(folder_mode)).unwrap();
        let ledger = Ledger::at(root);
        note(&ledger, "file", &texts(0, 10));
        enter(&ledger, "file", &run_entry("a", 2.0));
        for name in ["secret", "head", "ledger.jsonl", "lock"] {
            let found = metadata(root.join(name)).unwrap().permissions().mode() & 0o777;
            // The umask may take more away.
            assert_eq!(found & !mode, 0, "{name}: {found:o}");
        }
        let book = std::fs::read_to_string(root.join("ledger.jsonl")).unwrap();
        assert!(!book.contains("person") && !book.contains(&file("file").to_string()));
        let plain = blake3::hash(b"what person 0 wrote on day 0");
        let id = ledger.history().unwrap().data_sets()[0].id.clone();
        let units = std::fs::read(root.join("units").join(id)).unwrap();
        assert_eq!(units.len(), 80);
        assert!(!units.chunks(8).any(|unit| unit == &plain.as_bytes()[..8]));
    }
}

/// Rule 52: every release states everything that was released of the same people, each run once.
#[test]
fn releases_know_of_one_another() {
    let (_folder, ledger) = with_people();
    let [a, b, c] = ["a", "b", "c"].map(|name| run_entry(name, 2.0));
    for run in [&a, &b, &c] {
        enter(&ledger, "file", run);
    }
    let first = ledger.prepare_release(&request(&[&a])).unwrap();
    assert!(first.prior().is_empty());
    close(first.joint(), exact(2.0, 1.0));
    close(first.ever_run(), exact(2.0, 3.0));
    first.commit("out-1", "digest").unwrap();
    // Prepared and not committed: nothing was released.
    drop(ledger.prepare_release(&request(&[&c])).unwrap());
    let second = ledger.prepare_release(&request(&[&b])).unwrap();
    assert_eq!(second.prior().len(), 1);
    assert_eq!(second.prior()[0].rows, [row(&a)]);
    close(second.prior()[0].claim.as_ref(), exact(2.0, 1.0));
    close(second.own().claim(), exact(2.0, 1.0));
    close(second.joint(), exact(2.0, 2.0));
    second.commit("out-2", "digest").unwrap();
    let again = ledger.prepare_release(&request(&[&a, &b])).unwrap();
    close(again.joint(), exact(2.0, 2.0));
    again.commit("out-3", "digest").unwrap();
    let book = &ledger.history().unwrap().books()[0];
    assert_eq!(book.releases.len(), 3);
    close(book.released(1e-5).unwrap().as_ref(), exact(2.0, 2.0));
    close(book.run(1e-5).unwrap().as_ref(), exact(2.0, 3.0));
}

/// Rule 60: all claims of a release are made at one delta, the least of everything in them.
#[test]
fn a_joint_claim_is_made_at_the_least_delta() {
    let (_folder, ledger) = with_people();
    let (mut a, b) = (run_entry("a", 2.0), run_entry("b", 2.0));
    a.delta = 1e-7;
    let release = |run: &RunEntry| {
        enter(&ledger, "file", run);
        let request = ReleaseRequest {
            delta: run.delta,
            ..request(&[run])
        };
        ledger.prepare_release(&request).unwrap()
    };
    release(&a).commit("one", "digest").unwrap();
    let second = release(&b);
    assert_eq!(second.delta(), 1e-7);
    let prior = second.prior()[0].claim.as_ref();
    for claim in [second.joint(), second.own().claim(), prior] {
        assert_eq!(claim.unwrap().delta().value(), 1e-7);
    }
}

/// Rule 52: a release of what the ledger does not know, or knows otherwise, is refused.
#[test]
fn a_release_without_entries_is_refused() {
    let (_folder, ledger) = with_people();
    let a = run_entry("a", 2.0);
    let refused = |request: &ReleaseRequest| {
        let error = ledger.prepare_release(request).unwrap_err();
        assert!(error.is_refusal(), "{error}");
        error.to_string()
    };
    let lost = refused(&request(&[&a]));
    assert!(
        lost.contains("no entry") && lost.contains("dpx ledger adopt"),
        "{lost}"
    );
    enter(&ledger, "file", &a);
    let mut other = a.clone();
    other.event = DpEvent::gaussian(3.0).unwrap();
    assert!(refused(&request(&[&other])).contains("something else"));
    let mut seeded = run_entry("s", 2.0);
    seeded.noise = NoiseSource::Seeded;
    enter(&ledger, "file", &seeded);
    assert!(refused(&request(&[&seeded])).contains("seed"));
    // A candidate that the ledger does not know cannot be charged for.
    let unknown = ReleaseRequest {
        candidates: vec![candidate(&run_entry("b", 2.0))],
        ..request(&[&a])
    };
    assert!(refused(&unknown).contains("no entry"));
    drop(ledger.prepare_release(&request(&[&a])).unwrap());
}

/// Rule 53.
#[test]
fn choosing_the_best_of_several_rows_costs_all_of_them() {
    let (_folder, ledger) = with_people();
    let (a, b) = (run_entry("a", 2.0), run_entry("b", 2.0));
    enter(&ledger, "file", &a);
    enter(&ledger, "file", &b);
    let both = || vec![candidate(&a), candidate(&b)];
    let chosen = ReleaseRequest {
        candidates: both(),
        unprotected: vec!["sample@epsilon=inf".to_owned()],
        ..request(&[&a])
    };
    let prepared = ledger.prepare_release(&chosen).unwrap();
    let Selection::Undeclared {
        candidates,
        claim,
        unprotected,
    } = prepared.selection()
    else {
        panic!("{:?}", prepared.selection());
    };
    assert_eq!((candidates.len(), unprotected.len()), (2, 1));
    close(Some(claim), exact(2.0, 2.0));
    close(prepared.own().claim(), exact(2.0, 1.0));
    close(prepared.joint(), exact(2.0, 2.0));
    let said = prepared.selection().to_string();
    assert!(
        said.contains("2 rows") && said.contains("epsilon=inf"),
        "{said}"
    );
    prepared.commit("out", "digest").unwrap();
    assert_eq!(ledger.history().unwrap().releases()[0].runs.len(), 2);
    // Releasing all of them chooses nothing.
    let all = ReleaseRequest {
        candidates: both(),
        ..request(&[&a, &b])
    };
    let prepared = ledger.prepare_release(&all).unwrap();
    assert!(
        matches!(prepared.selection(), Selection::None { unprotected } if unprotected.is_empty())
    );
}

/// Rule 53: a declaration counts where every run among the candidates began under it.
#[test]
fn a_choice_that_was_declared_before_costs_nothing() {
    let rows = |names: &[&str]| -> Vec<String> {
        names
            .iter()
            .map(|name| format!("sample@row={name}"))
            .collect()
    };
    for (declared_by_other, expected) in [
        (rows(&["a"]), true),
        (rows(&[]), false),
        (rows(&["b"]), false),
        (rows(&["a", "b"]), false),
    ] {
        let (_folder, ledger) = with_people();
        let (mut a, mut b) = (run_entry("a", 2.0), run_entry("b", 2.0));
        a.selection = rows(&["a"]);
        b.selection = declared_by_other;
        enter(&ledger, "file", &a);
        enter(&ledger, "file", &b);
        let chosen = ReleaseRequest {
            candidates: vec![candidate(&a), candidate(&b)],
            ..request(&[&a])
        };
        let prepared = ledger.prepare_release(&chosen).unwrap();
        let declared = matches!(prepared.selection(), Selection::Declared { .. });
        assert_eq!(declared, expected, "{:?}", b.selection);
        let cost = exact(2.0, if expected { 1.0 } else { 2.0 });
        close(prepared.joint(), cost);
    }
}

/// Rule 53: a declaration names a row. The best of several runs of that row is a choice all the same, whether the earlier ones
/// are known by the cache or by the ledger alone.
#[test]
fn the_best_of_several_runs_of_a_declared_row_costs_all_of_them() {
    for in_cache in [true, false] {
        let (_folder, ledger) = with_people();
        let runs = ["1", "2", "3"].map(|seed| RunEntry {
            instance: "train@row=a".to_owned(),
            selection: vec!["sample@row=a".to_owned()],
            ..run_entry(seed, 2.0)
        });
        for run in &runs {
            enter(&ledger, "file", run);
        }
        let mut chosen = ReleaseRequest {
            candidates: vec![candidate(&runs[1])],
            held: Some(runs.iter().map(|run| run.run.clone()).collect()),
            ..request(&[&runs[1]])
        };
        // Alone, and never scored: what was named and nothing else.
        let prepared = ledger.prepare_release(&chosen).unwrap();
        assert!(matches!(prepared.selection(), Selection::None { .. }));
        drop(prepared);
        if in_cache {
            chosen.add_candidates(vec![candidate(&runs[0]), candidate(&runs[2])], &[]);
        } else {
            chosen.held = Some(BTreeSet::from([runs[1].run.clone()]));
        }
        let prepared = ledger.prepare_release(&chosen).unwrap();
        let Selection::Undeclared { candidates, .. } = prepared.selection() else {
            panic!("{:?}", prepared.selection());
        };
        assert_eq!(candidates.len(), 3, "{candidates:?}");
        close(prepared.joint(), exact(2.0, 3.0));
    }
}

/// Rule 53: what a row is called says nothing of when it ran.
#[test]
fn a_row_whose_own_name_ends_like_that_of_an_earlier_run_is_none() {
    let (_folder, ledger) = with_people();
    let [a, b] = ["a", "a (earlier 1)"].map(|name| RunEntry {
        selection: vec!["sample@row=a".to_owned()],
        ..run_entry(name, 2.0)
    });
    enter(&ledger, "file", &a);
    enter(&ledger, "file", &b);
    let chosen = ReleaseRequest {
        candidates: vec![candidate(&a), candidate(&b)],
        ..request(&[&a])
    };
    let prepared = ledger.prepare_release(&chosen).unwrap();
    let found = prepared.selection();
    assert!(matches!(found, Selection::Declared { .. }), "{found:?}");
}

/// Rule 53: what the cache has forgotten, or never knew, is a candidate; other studies and what is known not to have been scored
/// are not.
#[test]
fn runs_that_the_ledger_alone_knows_are_candidates() {
    let (_folder, ledger) = with_people();
    let [a, b, mut c, mut bare, mut kept, mut other] =
        ["a", "b", "c", "bare", "kept", "other"].map(|name| run_entry(name, 2.0));
    bare.event = DpEvent::NonPrivate;
    kept.event = DpEvent::NonPrivate;
    kept.key = "another key".to_owned();
    other.experiment = "another study".to_owned();
    // A path in a name is charged for, and not told.
    c.instance = "train@data=/home/who/texts.csv".to_owned();
    for run in [&a, &b, &c, &bare, &kept, &other] {
        enter(&ledger, "file", run);
    }
    let chosen = ReleaseRequest {
        held: Some([&a.run, &b.run, &kept.key].map(Clone::clone).into()),
        ..request(&[&a])
    };
    let prepared = ledger.prepare_release(&chosen).unwrap();
    let Selection::Undeclared {
        candidates,
        claim,
        unprotected,
    } = prepared.selection()
    else {
        panic!("{:?}", prepared.selection());
    };
    assert_eq!(candidates, &["sample@row=a", "train (not in the cache)"]);
    assert_eq!(unprotected, &["train@row=bare (not in the cache)"]);
    close(Some(claim), exact(2.0, 2.0));
}

/// Rule 53: a model is no other choice than its own texts; whoever named these before names it, and nobody else does.
#[test]
fn a_model_alone_is_the_choice_of_the_rows_that_it_makes() {
    let own = ["sample@row=a".to_owned(), "taught@row=a".to_owned()];
    let model = |a: &RunEntry, candidates: Vec<Candidate>| ReleaseRequest {
        rows: vec!["train@row=a".to_owned()],
        made: own.iter().cloned().collect(),
        candidates,
        ..request(&[a])
    };
    for (named, declared) in [
        (vec!["sample@row=a"], true),
        (vec!["sample@row=a", "taught@row=a"], true),
        (vec![], false),
        (vec!["sample@row=b"], false),
        (vec!["sample@row=a", "sample@row=b"], false),
    ] {
        let (_folder, ledger) = with_people();
        let (mut a, mut b) = (run_entry("a", 2.0), run_entry("b", 2.0));
        let named: Vec<String> = named.into_iter().map(str::to_owned).collect();
        (a.selection, b.selection) = (named.clone(), named.clone());
        enter(&ledger, "file", &a);
        enter(&ledger, "file", &b);
        let alone = ledger
            .prepare_release(&model(&a, vec![candidate(&a)]))
            .unwrap();
        assert!(
            matches!(alone.selection(), Selection::None { .. }),
            "{named:?}"
        );
        close(alone.joint(), exact(2.0, 1.0));
        drop(alone);
        let chosen = ledger
            .prepare_release(&model(&a, vec![candidate(&a), candidate(&b)]))
            .unwrap();
        let cost = exact(2.0, if declared { 1.0 } else { 2.0 });
        close(chosen.joint(), cost);
        match chosen.selection() {
            Selection::Declared { rows } => assert!(declared && rows == &["train@row=a"]),
            Selection::Undeclared { candidates, .. } => {
                assert!(!declared, "{named:?}");
                assert_eq!(candidates, &["sample@row=b", "train@row=a"]);
            }
            Selection::None { .. } => panic!("{named:?}"),
        }
    }
}

/// Rule 53: what was trained for the texts that were compared with others is charged, though the model did without it.
#[test]
fn a_model_that_was_chosen_by_its_texts_pays_for_all_behind_them() {
    let (_folder, ledger) = with_people();
    let runs = ["a", "b", "counts"].map(|name| run_entry(name, 2.0));
    for run in &runs {
        enter(&ledger, "file", run);
    }
    let [a, b, counts] = &runs;
    let texts = Candidate {
        row: row(a),
        earlier: None,
        records: vec![record(a), record(counts)],
    };
    let chosen = ReleaseRequest {
        rows: vec!["train@row=a".to_owned()],
        made: BTreeSet::from([row(a)]),
        candidates: vec![texts.clone()],
        ..request(&[a])
    };
    close(
        ledger.prepare_release(&chosen).unwrap().joint(),
        exact(2.0, 1.0),
    );
    let chosen = ReleaseRequest {
        candidates: vec![texts, candidate(b)],
        ..chosen
    };
    close(
        ledger.prepare_release(&chosen).unwrap().joint(),
        exact(2.0, 3.0),
    );
}

#[test]
fn a_budget_refuses_releases_with_the_figures() {
    let (_folder, ledger) = with_people();
    let (a, b) = (run_entry("a", 2.0), run_entry("b", 2.0));
    enter(&ledger, "file", &a);
    enter(&ledger, "file", &b);
    let held = |run: &RunEntry| ReleaseRequest {
        budget: Some(Budget {
            epsilon: f64::midpoint(exact(2.0, 1.0), exact(2.0, 2.0)),
            delta: 1e-5,
        }),
        ..request(&[run])
    };
    let first = ledger.prepare_release(&held(&a)).unwrap();
    first.commit("out", "digest").unwrap();
    // The same again costs nothing more.
    drop(ledger.prepare_release(&held(&a)).unwrap());
    let error = ledger.prepare_release(&held(&b)).unwrap_err();
    let LedgerError::OverBudget {
        before,
        alone,
        together,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    close(Some(before), exact(2.0, 1.0));
    close(Some(alone), exact(2.0, 1.0));
    close(Some(together), exact(2.0, 2.0));
    assert!(error.to_string().contains("together ("), "{error}");
}

#[test]
fn a_budget_of_runs_refuses_them_before_anything_is_spent() {
    let (_folder, ledger) = with_people();
    let (a, b) = (run_entry("a", 2.0), run_entry("b", 2.0));
    enter(&ledger, "file", &a);
    enter(&ledger, "file", &b);
    let limit = Budget {
        epsilon: exact(2.0, 2.0) + 0.01,
        delta: 1e-5,
    };
    let begin = |run: &RunEntry| ledger.enter_run(&file("file"), run.clone(), Some(&limit));
    let mut bare = run_entry("d", 2.0);
    bare.event = DpEvent::NonPrivate;
    for run in [&run_entry("c", 2.0), &bare] {
        let error = begin(run).unwrap_err();
        assert!(
            matches!(error, LedgerError::RunOverBudget { .. }),
            "{error}"
        );
    }
    assert_eq!(ledger.history().unwrap().runs().len(), 2);
    assert!(begin(&run_entry("e", 200.0)).unwrap());
    // A run that stands goes on, whatever the budget says now.
    assert!(!begin(&a).unwrap());
}

#[test]
fn writers_at_once_lose_nothing_and_keep_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("ledger");
    let start = Barrier::new(4);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (root, start) = (&root, &start);
            scope.spawn(move || {
                start.wait();
                let ledger = Ledger::at(root);
                note(&ledger, "file", &texts(0, 50));
                for n in 0..8 {
                    let entry = run_entry(&format!("{writer} {n}"), 20.0);
                    assert!(enter(&ledger, "file", &entry));
                }
            });
        }
    });
    let history = Ledger::at(&root).history().unwrap();
    assert_eq!(history.runs().len(), 32);
    assert_eq!((history.data_sets().len(), history.entries()), (1, 35));
}

/// With a limit, of several that begin at once only one takes what is left.
#[test]
fn what_is_left_is_taken_once() {
    let (_folder, ledger) = with_people();
    let limit = Budget {
        epsilon: exact(2.0, 1.0) + 0.01,
        delta: 1e-5,
    };
    let start = Barrier::new(3);
    let entered: usize = std::thread::scope(|scope| {
        let begin = |n: usize| {
            let (ledger, start) = (&ledger, &start);
            scope.spawn(move || {
                start.wait();
                let entry = run_entry(&n.to_string(), 2.0);
                usize::from(ledger.enter_run(&file("file"), entry, Some(&limit)).is_ok())
            })
        };
        let threads: Vec<_> = (0..3).map(begin).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(entered, 1);
}

/// What it takes to know a million people.
#[test]
#[ignore = "takes seconds, and prints them"]
fn a_million_people() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::at(folder.path());
    let records = texts(0, 1_000_000);
    let start = std::time::Instant::now();
    let noted = note(&ledger, "file", &records);
    println!("a million records entered: {:?}", start.elapsed());
    let start = std::time::Instant::now();
    note(&ledger, "other", &records[1..]);
    println!("another million, compared: {:?}", start.elapsed());
    let units = folder.path().join("units").join(&noted.data_set.id);
    let size = std::fs::metadata(units).unwrap().len();
    assert_eq!(size, 8 * noted.data_set.units);
    assert_eq!(noted.data_set.units, 1_000_000);
}
