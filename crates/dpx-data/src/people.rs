//! Records of people: which column says whose a record is, how many of one person stay, and what is told of it.

mod looks;

use super::error::{Problems, listed};
use super::read::{Columns, Named, owners_of};
use super::{DataError, Dataset, Owner, Row};
use dpx_schema::{Unit, counted};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

pub(crate) use looks::Looks;

/// Names of columns that usually say whose a row is, without case and punctuation.
const LIKELY: [&str; 50] = [
    "user",
    "userid",
    "username",
    "author",
    "authorid",
    "customer",
    "customerid",
    "client",
    "clientid",
    "account",
    "accountid",
    "person",
    "personid",
    "patient",
    "patientid",
    "participant",
    "participantid",
    "participants",
    "subjectid",
    "respondent",
    "respondentid",
    "speaker",
    "speakerid",
    "sender",
    "senderid",
    "member",
    "memberid",
    "email",
    "emailaddress",
    "customerno",
    "customernumber",
    "studentid",
    "student",
    "employee",
    "worker",
    "workerid",
    "reviewer",
    "reviewerid",
    "employeeid",
    "owner",
    "uid",
    "uuid",
    "caller",
    "callerid",
    "contact",
    "contactid",
    "nickname",
    "screenname",
    "handle",
    "login",
];

/// The same of what was cut into several rows, such as a note of many words: where no column names people.
const LIKELY_WHOLES: [&str; 14] = [
    "document",
    "documentid",
    "docid",
    "noteid",
    "articleid",
    "caseid",
    "conversationid",
    "dialogueid",
    "dialogid",
    "chatid",
    "threadid",
    "sessionid",
    "ticketid",
    "parentid",
];

/// Counts of the people behind a data set. Internal: no guarantee covers them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeopleFindings {
    /// The column that says whose a row is.
    pub column: String,
    /// Whether they are the unit of privacy; else the column only looks like one of people.
    pub protected: bool,
    /// People in train.
    pub people: u64,
    /// Records in train of the one who has most, before any were left out.
    pub busiest: u64,
    /// Most records of one person that stay.
    pub max_per_unit: Option<u64>,
    /// Records of train that were left out for that.
    pub left_out: u64,
    /// People of whom records were left out.
    pub left_out_of: u64,
    /// Records of train with several owners.
    pub several_owners: u64,
    /// People of all splits whose name differs from another's by nothing but capitals, white space, characters that are not seen or
    /// the way a number is written.
    pub alike: u64,
    /// Names of all splits that look like those of several people in one string.
    pub joined: u64,
    /// Whether splits and limits go by record, since some records belong to several people.
    pub by_record: bool,
    /// People of train who have records in validation.
    pub in_validation: u64,
    /// People of train who have records in test.
    pub in_test: u64,
}

impl PeopleFindings {
    /// What to tell the user, a line each.
    pub(crate) fn messages(&self) -> Vec<String> {
        let column = &self.column;
        if !self.protected {
            return vec![format!(
                "people: the column `{column}` looks like that of {}: {} own the records of train, the busiest {} of them. \
                 The guarantee is for one record; what it is worth to the busiest is the epsilon of a group of {}. To protect each with \
                 all of its records, write `[privacy] unit = \"user\"` and `unit_column = \"{column}\"`",
                if is_of(&LIKELY_WHOLES, column) {
                    "something that was cut into several records"
                } else {
                    "a person"
                },
                self.people,
                self.busiest,
                self.busiest
            )];
        }
        let mut line = format!(
            "people: {} in train by `{column}`; the busiest has {}",
            self.people,
            counted(self.busiest, "record")
        );
        if let Some(most) = self.max_per_unit {
            let _ = write!(line, "; at most {most} of each stay (`max_per_unit`)");
            let _ = match self.left_out {
                0 => write!(line, ", none is left out"),
                count => write!(
                    line,
                    ", {} of {} {} left out",
                    counted(count, "record"),
                    Unit::User.counted(self.left_out_of),
                    if count == 1 { "is" } else { "are" }
                ),
            };
        }
        let mut lines = vec![line];
        if self.several_owners > 0 {
            lines.push(format!(
                "people: {} records of train belong to several people and count for each of them",
                self.several_owners
            ));
        }
        if self.alike > 0 {
            lines.push(format!(
                "people: the names of {} differ from another's by nothing but capitals, white space, characters that are not seen or the way \
                 a number is written, and count as different people: where they are not, one person is protected like several; give each \
                 one name in the column `{column}`",
                self.alike
            ));
        }
        if self.joined > 0 {
            lines.push(format!(
                "people: {} in the column `{column}` look like several people in one string, such as with a comma, and count as one person each, \
                 so that nobody of them is protected with the rest of their records: write several as a JSON list, [\"ann\", \"bob\"]",
                counted(self.joined, "name")
            ));
        }
        for (count, split) in [(self.in_validation, "validation"), (self.in_test, "test")] {
            if count > 0 {
                lines.push(format!(
                    "people: {count} of train have records in {split} too: figures measured there know these people"
                ));
            }
        }
        lines
    }
}

/// Whose the rows of a file are, by line.
pub(crate) struct Owners(BTreeMap<u64, Named>);

impl Owners {
    /// Reads the column of a file.
    ///
    /// # Errors
    /// The file has no such column, or the column cannot be read.
    pub(crate) fn read(path: &Path, columns: &Columns<'_>, name: &str) -> Result<Self, DataError> {
        owners_of(path, columns, name).map(Self)
    }

    /// The owners of every row.
    pub(crate) fn all(&self) -> impl Iterator<Item = Vec<Owner>> {
        self.0.keys().map(|line| self.of(*line))
    }

    /// The names of all rows.
    fn names(&self) -> impl Iterator<Item = &str> {
        let rows = self.0.values().flat_map(|row| row.names.iter().flatten());
        rows.map(|name| name.trim()).filter(|name| !name.is_empty())
    }

    /// The owners of the row in a line, each once.
    pub(crate) fn of(&self, line: u64) -> Vec<Owner> {
        let row = self.0.get(&line).into_iter();
        let names = row.flat_map(|row| row.names.iter().flatten());
        let mut owners: Vec<Owner> = names
            .filter(|name| !name.trim().is_empty())
            .map(|name| Owner::named(name))
            .collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }

    /// The rows whose value is no name.
    ///
    /// # Errors
    /// There are such.
    pub(crate) fn check(&self, path: &Path, name: &str) -> Result<(), DataError> {
        let mut problems = Problems::default();
        for (line, row) in &self.0 {
            if let Err(problem) = &row.names {
                problems.add(path, *line, format!("`{name}` {problem}"));
            }
        }
        problems.check()
    }

    /// Likewise, of the row with this text; nobody is a problem, and so is another text in its place.
    pub(crate) fn required(
        &self,
        path: &Path,
        (line, text): (u64, &str),
        name: &str,
        problems: &mut Problems,
    ) -> Vec<Owner> {
        let other = self.0.get(&line).and_then(|row| row.text.as_deref());
        if other.is_some_and(|other| other != text) {
            let what = format!(
                "beside the column `{name}` the row reads otherwise than beside the label: say how the file is quoted with `quoting`"
            );
            problems.add(path, line, what);
            return Vec::new();
        }
        if let Some(Err(problem)) = self.0.get(&line).map(|row| &row.names) {
            problems.add(path, line, format!("`{name}` {problem}"));
            return Vec::new();
        }
        let owners = self.of(line);
        if owners.is_empty() {
            problems.add(
                path,
                line,
                format!(
                    "`{name}` says of nobody whose record this is: give the row a person of its own, or leave it out"
                ),
            );
        }
        owners
    }
}

/// The first column whose name is that of people, where there is one, else of what was cut into several rows.
pub(crate) fn likely_column<'a>(names: &'a [String], columns: &Columns<'_>) -> Option<&'a str> {
    let others = names.iter().map(String::as_str);
    let others = others.filter(|name| {
        *name != columns.text && *name != columns.label && !columns.others.contains(name)
    });
    let mut wholes = others.clone();
    let mut people = others;
    people
        .find(|name| is_of(&LIKELY, name))
        .or_else(|| wholes.find(|name| is_of(&LIKELY_WHOLES, name)))
}

/// Whether the name of a column is one of these, without case and punctuation.
fn is_of(likely: &[&str], name: &str) -> bool {
    let letters = name.chars().filter(|letter| letter.is_alphanumeric());
    let folded: String = letters.flat_map(char::to_lowercase).collect();
    likely.contains(&folded.as_str())
}

/// A column that looks like one of people, with the owners of each row of the training files, by number of the row.
pub(crate) struct Suspected {
    column: String,
    owners: Vec<Vec<Owner>>,
}

impl Suspected {
    /// Reads the column, where there is one. The rows have the numbers 0 and up, in the order of the files.
    pub(crate) fn read(files: &[PathBuf], columns: &Columns<'_>) -> Option<Self> {
        let first = files.first()?;
        let names = super::read::columns(first, &[columns.text, columns.label]).ok()?;
        let column = likely_column(&names, columns)?.to_owned();
        let mut owners = Vec::new();
        for file in files {
            owners.extend(Owners::read(file, columns, &column).ok()?.all());
        }
        Some(Self { column, owners })
    }

    /// What it tells of the rows that are trained on; none where nobody has two of them.
    pub(crate) fn findings(self, train: &[Row]) -> Option<PeopleFindings> {
        let mut records: HashMap<Owner, u64> = HashMap::new();
        for row in train {
            for owner in self.owners.get(usize::try_from(row.id).ok()?)? {
                *records.entry(*owner).or_default() += 1;
            }
        }
        let busiest = records.values().copied().max().unwrap_or(0);
        (busiest > 1).then(|| PeopleFindings {
            column: self.column,
            people: records.len() as u64,
            busiest,
            ..PeopleFindings::default()
        })
    }
}

/// Which records stay where nobody may have more than `most`: they are taken in an order, and one stays if none of its owners
/// has as many already.
pub(crate) fn within_bound(
    owners: &[impl AsRef<[Owner]>],
    order: impl IntoIterator<Item = usize>,
    most: u64,
) -> Vec<bool> {
    let mut kept: HashMap<Owner, u64> = HashMap::new();
    let mut stays = vec![false; owners.len()];
    for place in order {
        let owners = owners[place].as_ref();
        let full = |owner: &Owner| kept.get(owner).is_some_and(|&count| count >= most);
        if owners.iter().any(full) {
            continue;
        }
        for owner in owners {
            *kept.entry(*owner).or_default() += 1;
        }
        stays[place] = true;
    }
    stays
}

/// The order in which so many records are taken where they have several owners: that of a hash of their numbers.
pub(crate) fn order_of_numbers(records: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..records).collect();
    order.sort_by_key(|place| hash_of_number(*place as u64));
    order
}

/// Keeps at most `most` training records of each person and counts what is told of people.
///
/// Which records of a person stay is decided by the hash of each of them, whatever anybody else's are. Where records have
/// several owners, they are taken in the order of a hash of their numbers, which is public, and one stays if none of its owners
/// has `most` already (Ganesh et al. 2025, "It's my data too").
pub(crate) fn bound(dataset: &mut Dataset, column: &str, most: u64) -> PeopleFindings {
    let several = dataset.train.iter().any(|row| row.owners.len() > 1);
    let mut order: Vec<(u64, usize)> = dataset
        .train
        .iter()
        .enumerate()
        .map(|(place, row)| {
            let hash = if several {
                hash_of_number(row.id)
            } else {
                record_hash(row)
            };
            (hash, place)
        })
        .collect();
    // Equal records of a person are told apart by their numbers alone.
    order.sort_unstable();
    let owners: Vec<&[Owner]> = dataset.train.iter().map(|row| &*row.owners).collect();
    let stays = within_bound(&owners, order.into_iter().map(|(_, place)| place), most);
    let mut all: HashMap<Owner, u64> = HashMap::new();
    for owner in owners.iter().copied().flatten() {
        *all.entry(*owner).or_default() += 1;
    }
    let left_out = owners.iter().zip(&stays).filter(|(_, stays)| !**stays);
    let short: HashSet<Owner> = left_out.flat_map(|(owners, _)| owners.to_vec()).collect();
    let before = dataset.train.len();
    let mut places = stays.into_iter();
    dataset.train.retain(|_| places.next().unwrap_or(false));
    let within = |rows: &[Row]| {
        let here: HashSet<Owner> = rows.iter().flat_map(|row| row.owners.clone()).collect();
        here.iter().filter(|owner| all.contains_key(owner)).count() as u64
    };
    PeopleFindings {
        column: column.to_owned(),
        protected: true,
        people: people(&dataset.train),
        busiest: all.values().copied().max().unwrap_or(0),
        max_per_unit: Some(most),
        left_out: (before - dataset.train.len()) as u64,
        left_out_of: short.len() as u64,
        several_owners: dataset
            .train
            .iter()
            .filter(|row| row.owners.len() > 1)
            .count() as u64,
        alike: 0,
        joined: 0,
        by_record: false,
        in_validation: within(&dataset.validation),
        in_test: within(&dataset.test),
    }
}

/// The number of different people who own rows.
pub(crate) fn people(rows: &[Row]) -> u64 {
    let owners: HashSet<Owner> = rows.iter().flat_map(|row| row.owners.clone()).collect();
    owners.len() as u64
}

fn record_hash(row: &Row) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("dpx records of people v1");
    for part in [&row.text, &row.label] {
        hasher
            .update(&(part.len() as u64).to_le_bytes())
            .update(part.as_bytes());
    }
    first_bytes(&hasher)
}

fn hash_of_number(id: u64) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("dpx records of several people v1");
    hasher.update(&id.to_le_bytes());
    first_bytes(&hasher)
}

fn first_bytes(hasher: &blake3::Hasher) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

/// The problem of a column of people that a file does not have.
pub(crate) fn no_column(path: &Path, name: &str, names: &[String]) -> DataError {
    let found = if names.is_empty() {
        "its first line does not look like a header".to_owned()
    } else {
        format!("it has {}", listed(names))
    };
    DataError::file(
        path,
        format!(
            "no column `{name}` says whose records these are: {found}; name the column with `unit_column`"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u64, text: &str, owners: &[&str]) -> Row {
        Row {
            id,
            text: text.to_owned(),
            label: "a".to_owned(),
            owners: owners.iter().map(|name| Owner::named(name)).collect(),
            planted: Vec::new(),
        }
    }

    fn of(rows: Vec<Row>) -> Dataset {
        Dataset {
            train: rows,
            ..Dataset::default()
        }
    }

    fn busy(count: u64) -> Vec<Row> {
        (0..count)
            .map(|id| {
                row(
                    id,
                    &format!("text {id}"),
                    &[if id % 3 == 0 { "bob" } else { "ann" }],
                )
            })
            .collect()
    }

    #[test]
    fn at_most_so_many_records_of_each_person_stay() {
        let mut dataset = of(busy(30));
        let found = bound(&mut dataset, "who", 8);
        assert_eq!(dataset.train.len(), 16);
        assert_eq!((found.people, found.busiest), (2, 20));
        assert_eq!((found.left_out, found.left_out_of), (14, 2));
        // In their order.
        assert!(dataset.train.is_sorted_by_key(|row| row.id));
        let mut few = of(busy(30));
        let found = bound(&mut few, "who", 20);
        assert_eq!((few.train.len(), found.left_out), (30, 0));
    }

    /// What stays of a person depends on their own records alone, in whatever order and beside whomever.
    #[test]
    fn nobody_elses_records_decide_what_stays() {
        let kept = |rows: Vec<Row>| {
            let mut dataset = of(rows);
            bound(&mut dataset, "who", 4);
            let ann = dataset.train.into_iter();
            let ann = ann.filter(|row| row.owners == [Owner::named("ann")]);
            let mut texts: Vec<String> = ann.map(|row| row.text).collect();
            texts.sort_unstable();
            texts
        };
        let whole = kept(busy(30));
        let alone = busy(30)
            .into_iter()
            .filter(|row| row.owners == [Owner::named("ann")]);
        assert_eq!(kept(alone.collect()), whole);
        let mut turned = busy(30);
        turned.reverse();
        for (number, row) in turned.iter_mut().enumerate() {
            row.id = number as u64;
        }
        assert_eq!(kept(turned), whole);
    }

    #[test]
    fn records_of_several_people_count_for_each() {
        let names = ["ann", "bob", "cem", "dan"];
        let rows = (0..60_u64)
            .map(|id| {
                let (one, other) = (id as usize % 4, (id as usize * 7 + 1) % 4);
                row(id, "the same", &[names[one], names[other]])
            })
            .collect();
        let mut dataset = of(rows);
        let found = bound(&mut dataset, "participants", 5);
        assert!(found.several_owners > 0 && found.left_out > 0);
        for name in names {
            let own = dataset.train.iter();
            let own = own.filter(|row| row.owners.contains(&Owner::named(name)));
            let count = own.count();
            assert!((1..=5).contains(&count), "{name}: {count}");
        }
    }

    #[test]
    fn messages_name_the_column_and_nobody() {
        let mut dataset = of(busy(30));
        dataset.test = busy(3);
        let found = bound(&mut dataset, "who", 8);
        let told = found.messages().join("\n");
        for part in [
            "2 in train by `who`",
            "the busiest has 20 records",
            "14 records of 2 people are left out",
            "2 of train have records in test too",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("ann") && !told.contains("bob"));
    }
}
