//! Whether a public input is what dpx itself wrote from private data: a table of results is no public text.

use super::{Public, PublicSource, RunError, comparable, known_place};
use crate::cache::{Ancestry, Cache};
use dpx_data::{Overlap, PrivateTexts};
use dpx_schema::{Kind, Record, ReleaseLabel};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// File of texts in the artifact of `sample`.
const TEXTS: &str = "synthetic.csv";
/// Share of the written texts from which on their being in a public input is no coincidence: what a model repeats of its own
/// public corpus is less.
const SHARE: f64 = 0.25;

/// Compares public files with all texts in the cache that were written from private data, under a guarantee or not.
pub(super) fn check(
    cache: &Cache,
    publics: &BTreeSet<Public>,
    known: &mut BTreeMap<String, Overlap>,
    notes: &mut Vec<String>,
    refused: &mut String,
) -> Result<(), RunError> {
    let is_file = |public: &&Public| matches!(public.source, PublicSource::Path(_));
    let files: Vec<&Public> = publics.iter().filter(is_file).collect();
    if files.is_empty() {
        return Ok(());
    }
    let records = cache.records()?;
    let written: Vec<&Record> = records
        .iter()
        .filter(|record| record.kind == Kind::Sample && record.flow != ReleaseLabel::Public)
        .collect();
    let made = Ancestry::of(&records);
    for public in files {
        // What went into a model by this very name may come out of it.
        let others = written.iter().copied();
        let others: Vec<&Record> = others
            .filter(|record| !reads(&made, record, &public.identity))
            .collect();
        compare(cache, public, &others, known);
        for record in others {
            if let Some(found) = known.get(&place(public, record)) {
                tell(public, record, found, notes, refused);
            }
        }
    }
    Ok(())
}

/// Compares with everything that was not compared before. What cannot be read is not remembered.
fn compare(
    cache: &Cache,
    public: &Public,
    written: &[&Record],
    known: &mut BTreeMap<String, Overlap>,
) {
    let open: Vec<(String, BTreeSet<String>)> = written
        .iter()
        .map(|record| (place(public, record), *record))
        .filter(|(place, _)| !known.contains_key(place))
        .filter_map(|(place, record)| Some((place, texts(cache, record)?)))
        .collect();
    if open.is_empty() {
        return;
    }
    let Some(public) = comparable(public) else {
        return;
    };
    // Once for all: most have nothing in common.
    let all = open.iter().flat_map(|(_, texts)| texts).map(String::as_str);
    let is_clean = PrivateTexts::new(all).overlap(&public).is_none();
    for (place, texts) in open {
        let mut found = Overlap::default();
        if !is_clean {
            found = PrivateTexts::new(texts.iter().map(String::as_str)).overlap(&public);
            if (found.lines as f64) < SHARE * texts.len() as f64 {
                found = Overlap::default();
            }
        }
        known.insert(place, found);
    }
}

/// The different texts of an artifact.
fn texts(cache: &Cache, record: &Record) -> Option<BTreeSet<String>> {
    let mut files = record.output.files.iter();
    let file = files.find(|file| file.path == TEXTS)?;
    let table = String::from_utf8(cache.read(file).ok()?).ok()?;
    let texts = PrivateTexts::of_table(&table).into_iter();
    Some(texts.filter(|text| !text.trim().is_empty()).collect())
}

/// Whether a record, or something behind it, read a source of this content.
fn reads(made: &Ancestry<'_>, record: &Record, identity: &str) -> bool {
    let reads = |record: &Record| record.sources.values().any(|source| source == identity);
    reads(record) || made.behind(record).iter().any(|(_, record)| reads(record))
}

fn place(public: &Public, record: &Record) -> String {
    known_place(&json!({
        "version": 1,
        "written": record.output.digest(),
        "public": public.identity,
        "role": public.role.what(),
    }))
}

fn tell(
    public: &Public,
    record: &Record,
    found: &Overlap,
    notes: &mut Vec<String>,
    refused: &mut String,
) {
    if found.is_none() {
        return;
    }
    let Public {
        stage, key, name, ..
    } = public;
    let what = format!(
        "`{name}` (`{key}` of `{stage}`) holds texts that `{}` of {} wrote from private data ({} of its lines)",
        record.instance, record.experiment, found.lines
    );
    let (why, advice) = if record.flow == ReleaseLabel::Dp {
        (
            ": what they cost would be in no claim",
            "give a text that was public before; or, if they have been released, write",
        )
    } else {
        (
            ": no guarantee covers them",
            "give a text that was public before; or, if the data behind them are public anyway, write",
        )
    };
    public.say(&what, why, advice, notes, refused);
}
