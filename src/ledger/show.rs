//! The ledger in words and as JSON.

use super::super::Error;
use dpx_accounting::{Claim, DeltaBound};
use dpx_ledger::{Book, DataSet, History, Ledger, RunEntry};
use dpx_schema::{NoiseSource, counted};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Digits of an identity that are shown.
const SHOWN: usize = 12;

fn short(id: &str) -> &str {
    id.get(..SHOWN).unwrap_or(id)
}

fn day(date: &str) -> &str {
    date.get(..10).unwrap_or(date)
}

/// Whether there is anything to say of a book: data sets that were only ever preprocessed have spent nothing.
fn has_spent(book: &Book) -> bool {
    !book.runs.is_empty() || !book.releases.is_empty()
}

pub(super) fn text(
    ledger: &Ledger,
    history: &History,
    delta: Option<f64>,
) -> Result<String, Error> {
    if !ledger.folder().exists() {
        return Ok(format!(
            "there is no ledger at {}: no private run was started with it\n",
            ledger.folder().display()
        ));
    }
    let mut text = format!("ledger {}\n", ledger.folder().display());
    if history.torn() > 0 {
        let _ = writeln!(
            text,
            "note: {} bytes at its end are of an entry that was being written when dpx died; that run or release never began, and \
             the next entry removes them",
            history.torn()
        );
    }
    let books = history.books();
    for book in books.iter().filter(|book| has_spent(book)) {
        text.push('\n');
        write_book(&mut text, book, delta.or_else(|| book.delta()))?;
    }
    if !books.iter().any(has_spent) {
        text.push_str("no private run was started\n");
    }
    let idle = books.iter().filter(|book| !has_spent(book)).count();
    if idle > 0 {
        let _ = writeln!(
            text,
            "\n{} of data sets that no private run has read",
            counted(idle as u64, "book")
        );
    }
    Ok(text)
}

fn write_book(text: &mut String, book: &Book, delta: Option<f64>) -> Result<(), Error> {
    let _ = writeln!(text, "book {}", short(&book.id));
    for set in &book.data_sets {
        let _ = writeln!(
            text,
            "  data set {}  {}{}, since {}{}",
            short(&set.id),
            counted(set.units, "different record"),
            match set.people {
                0 => String::new(),
                1 => " of 1 person".to_owned(),
                people => format!(" of {people} people"),
            },
            day(&set.date),
            overlaps(set)
        );
    }
    for run in &book.runs {
        let _ = writeln!(
            text,
            "  run      {}  {}  {} {}  {}{}",
            day(&run.date),
            short(&run.run),
            run.experiment,
            run.instance,
            cost(run),
            if run.adopted { "  (adopted)" } else { "" }
        );
    }
    for release in &book.releases {
        let claim = delta
            .map(|delta| book.release(release, delta))
            .transpose()?
            .flatten();
        let _ = writeln!(
            text,
            "  release  {}  {}  {} {} in `{}`  {}",
            day(&release.date),
            short(&release.id),
            release.experiment,
            release.rows.join("; "),
            release.folder,
            words(claim.as_ref())
        );
    }
    let Some(delta) = delta else {
        return Ok(());
    };
    if let Some(records) = protects_nobody(book, delta) {
        let _ = writeln!(
            text,
            "  note: delta {delta:e} is not below one over the {records} of this book: publishing one of them whole would meet it"
        );
    }
    let units = book.units();
    if units.len() < 2 {
        write_joint(text, book, delta, "")?;
    } else {
        for unit in units {
            let of = unit.column.as_ref().map(|column| format!(" by `{column}`"));
            let whose = format!(", for one {}{}", unit.unit.word(), of.unwrap_or_default());
            write_joint(text, &book.of_unit(&unit), delta, &whose)?;
        }
        text.push_str(
            "  these runs protect different things: no theorem composes them, and nothing of two of them can be released together\n",
        );
    }
    if book.outside() > 0 {
        let _ = writeln!(
            text,
            "  without guarantee: {}; their outputs carry no privacy guarantee",
            counted(book.outside() as u64, "run")
        );
    }
    Ok(())
}

/// The units of the largest data set, where a delta is so large that one of them could be published whole.
fn protects_nobody(book: &Book, delta: f64) -> Option<String> {
    let sizes = book.data_sets.iter().map(|set| match set.people {
        0 => (set.units, "record"),
        people => (people, "person"),
    });
    let largest = sizes
        .filter(|&(size, _)| size as f64 * delta >= 1.0)
        .max()?;
    Some(match largest {
        (people, "person") if people != 1 => format!("{people} people"),
        (size, word) => counted(size, word),
    })
}

/// What the runs of a book cost together; all of them protect one unit.
fn write_joint(text: &mut String, book: &Book, delta: f64, whose: &str) -> Result<(), Error> {
    let covered = book.runs.len() - book.outside();
    let released = book.released(delta)?;
    let releases = book.releases.iter().filter(|release| {
        whose.is_empty() || book.runs.iter().any(|run| release.runs.contains(&run.run))
    });
    let _ = writeln!(
        text,
        "  everything released{whose}: {} ({})",
        words(released.as_ref()),
        counted(releases.count() as u64, "release")
    );
    let _ = writeln!(
        text,
        "  everything run{whose}: {} ({})",
        words(book.run(delta)?.as_ref()),
        counted(covered as u64, "run")
    );
    Ok(())
}

fn overlaps(set: &DataSet) -> String {
    let mut text = String::new();
    for overlap in &set.overlaps {
        let _ = write!(
            text,
            "; {}{} also in {}{}",
            counted(overlap.shared, "record"),
            match overlap.shared_people {
                0 => String::new(),
                1 => " and 1 person".to_owned(),
                people => format!(" and {people} people"),
            },
            short(&overlap.with),
            if overlap.joined {
                ""
            } else {
                " (too few to be the same people: not composed)"
            }
        );
    }
    text
}

fn cost(run: &RunEntry) -> String {
    if !run.is_covered() {
        return match run.noise {
            NoiseSource::Secure => "without guarantee",
            NoiseSource::Seeded => "without guarantee (seeded noise)",
        }
        .to_owned();
    }
    match DeltaBound::new(run.delta) {
        Ok(delta) => format!("({:.4}, {delta:#})-DP", run.epsilon),
        Err(error) => format!("unreadable: {error}"),
    }
}

fn words(claim: Option<&Claim>) -> String {
    claim.map_or_else(
        || "nothing under a guarantee".to_owned(),
        |claim| format!("{claim:#.4}"),
    )
}

pub(super) fn json(
    ledger: &Ledger,
    history: &History,
    delta: Option<f64>,
) -> Result<String, Error> {
    let books = history
        .books()
        .iter()
        .map(|book| book_json(book, delta.or_else(|| book.delta())))
        .collect::<Result<Vec<Value>, Error>>()?;
    Ok(json!({
        "version": 1,
        "folder": ledger.folder(),
        "entries": history.entries(),
        "torn_bytes": history.torn(),
        "books": books,
    })
    .to_string())
}

fn book_json(book: &Book, delta: Option<f64>) -> Result<Value, Error> {
    let at = |claim: &dyn Fn(f64) -> Result<Option<Claim>, dpx_ledger::LedgerError>| {
        delta.map(claim).transpose().map(Option::flatten)
    };
    let releases = book
        .releases
        .iter()
        .map(|release| {
            let mut value = json!(release);
            value["claim"] = json!(at(&|delta| book.release(release, delta))?);
            Ok(value)
        })
        .collect::<Result<Vec<Value>, Error>>()?;
    // What protects records and what protects people has no joint claim: each has its own then.
    let units = book.units();
    let mixed = units.len() > 1;
    let by_unit: BTreeMap<String, Value> = units
        .into_iter()
        .filter(|_| mixed)
        .map(|unit| {
            let book = book.of_unit(&unit);
            let claims = json!({
                "released": at(&|delta| book.released(delta))?,
                "run": at(&|delta| book.run(delta))?,
            });
            Ok((unit.to_string(), claims))
        })
        .collect::<Result<_, dpx_ledger::LedgerError>>()?;
    let joint = |claim: &dyn Fn(f64) -> Result<Option<Claim>, dpx_ledger::LedgerError>| {
        if mixed { Ok(None) } else { at(claim) }
    };
    let mut object = json!({
        "id": book.id,
        "data_sets": book.data_sets,
        "runs": book.runs,
        "releases": releases,
        "delta": delta,
        "released": joint(&|delta| book.released(delta))?,
        "run": joint(&|delta| book.run(delta))?,
        "without_guarantee": book.outside(),
    });
    if mixed {
        object["by_unit"] = json!(by_unit);
    }
    Ok(object)
}
