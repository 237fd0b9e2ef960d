//! What a dataset holds, in figures: files, columns, labels and lengths of each split.

use super::error::Problems;
use super::messages::{self, ConversationFindings};
use super::people::{self, Looks, Owners, likely_column};
use super::read::{Columns, SplitFiles, columns, has_data, read_file, split_files};
use super::stored::StoredNames;
use super::{DataError, Dataset, Owner, Resolved};
use dpx_schema::conversation::Conversation;
use dpx_schema::params::RoleOf;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A dataset in figures. They are counted from the rows themselves: no guarantee covers them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The splits that there are, in the order train, validation, test.
    pub splits: Vec<SplitDescription>,
    /// Texts of the train split that stand in the test split too.
    pub train_texts_in_test: usize,
    /// Files of the folder that hold data and are not read.
    pub not_read: Vec<String>,
    /// Names of labels that the dataset stores: in its README, dataset_infos.json, dataset_info.json, or in its files.
    pub stored_labels: Option<Vec<String>>,
}

/// What one split holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SplitDescription {
    /// `train`, `validation` or `test`.
    pub split: &'static str,
    /// Its files, as places in the dataset; none for a built-in one.
    pub files: Vec<String>,
    /// Columns of the first file; none where its first line does not look like a header.
    pub columns: Vec<String>,
    /// Its figures; none where the rows cannot be read.
    pub figures: Option<Figures>,
    /// Why the rows cannot be read.
    pub problem: Option<String>,
    /// Records per person, where a column of people was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub people: Option<PeopleFigures>,
    /// A column that looks like one of people, where none was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks_like_people: Option<String>,
    /// Labels, and texts. A number that counts names which the dataset stores is the name.
    #[serde(skip)]
    pub rows: Vec<(String, String)>,
}

/// Figures of the rows of a split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Number of rows, whatever their texts are.
    pub texts: usize,
    /// Rows whose text stands in an earlier row.
    pub repeated: usize,
    /// Rows by label: the stored name where the label is its number, else as the files have it.
    pub labels: BTreeMap<String, usize>,
    /// Words of a text, parted by white space.
    pub words: Lengths,
    /// Characters (Unicode scalar values) of a text.
    pub characters: Lengths,
    /// Turns of a conversation, where the texts are such.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<Lengths>,
    /// What was left out of conversations, where the rows are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversations: Option<ConversationFindings>,
}

/// How many records people have, as a column names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct PeopleFigures {
    pub column: String,
    /// Number of different people.
    pub people: usize,
    /// Number of records of a person.
    pub records: Lengths,
    /// Records that belong to several people.
    pub several_owners: usize,
    /// Records whose column names nobody.
    pub without: usize,
    /// People whose name looks like another's.
    pub alike: u64,
    /// Names that look like those of several people in one string.
    pub joined: u64,
    /// People by label, as rows are counted by it: of rows that can be read.
    pub by_label: BTreeMap<String, usize>,
    /// How many records a bound on those of one person would leave: pairs of the bound and the records.
    pub kept: Vec<(usize, usize)>,
}

/// Bounds whose effect is told.
const BOUNDS: [usize; 6] = [1, 4, 16, 64, 256, 1024];

/// Where a row stands: the place of its file, and its line.
type Place = (usize, u64);
/// The label of a row, and its text.
type Labelled = (String, String);

impl PeopleFigures {
    fn read(
        files: &[PathBuf],
        columns: &Columns<'_>,
        name: &str,
        labels: &BTreeMap<Place, &str>,
    ) -> Result<Self, DataError> {
        let mut rows: Vec<Vec<Owner>> = Vec::new();
        let mut looks = Looks::default();
        let mut by_label: BTreeMap<&str, BTreeSet<Owner>> = BTreeMap::new();
        for (place, file) in files.iter().enumerate() {
            let owners = Owners::read(file, columns, name)?;
            owners.check(file, name)?;
            looks.add(&owners);
            rows.extend(owners.all());
            for ((_, line), label) in labels.range((place, 0)..(place + 1, 0)) {
                by_label.entry(*label).or_default().extend(owners.of(*line));
            }
        }
        let several_owners = rows.iter().filter(|owners| owners.len() > 1).count();
        let without = rows.iter().filter(|owners| owners.is_empty()).count();
        let mut records: BTreeMap<Owner, usize> = BTreeMap::new();
        for owner in rows.iter().flatten() {
            *records.entry(*owner).or_default() += 1;
        }
        let most = records.values().copied().max().unwrap_or(0);
        rows.retain(|owners| !owners.is_empty());
        let order = people::order_of_numbers(rows.len());
        let of = |bound: usize| {
            let stays = people::within_bound(&rows, order.iter().copied(), bound as u64);
            stays.into_iter().filter(|stays| *stays).count()
        };
        let bounds = BOUNDS.into_iter().filter(|bound| *bound < most);
        Ok(Self {
            column: name.to_owned(),
            people: records.len(),
            several_owners,
            without,
            alike: looks.alike(),
            joined: looks.joined(),
            by_label: by_label
                .into_iter()
                .map(|(label, people)| (label.to_owned(), people.len()))
                .collect(),
            kept: bounds.map(|bound| (bound, of(bound))).collect(),
            records: Lengths::of(records.into_values().collect()),
        })
    }
}

/// The spread of some counts, by nearest rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Lengths {
    pub least: usize,
    pub median: usize,
    /// The 95th percentile.
    pub most_95: usize,
    pub longest: usize,
}

impl Lengths {
    fn of(mut lengths: Vec<usize>) -> Self {
        lengths.sort_unstable();
        let at = |share: f64| {
            let rank = (share * lengths.len() as f64).ceil() as usize;
            lengths.get(rank.max(1) - 1).copied().unwrap_or(0)
        };
        Self {
            least: at(0.0),
            median: at(0.5),
            most_95: at(0.95),
            longest: at(1.0),
        }
    }
}

impl Figures {
    fn of(rows: &[(String, String)]) -> Self {
        let mut labels = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut repeated = 0;
        for (label, text) in rows {
            *labels.entry(label.clone()).or_default() += 1;
            repeated += usize::from(!seen.insert(text.as_str()));
        }
        let lengths = |length: fn(&str) -> usize| {
            Lengths::of(rows.iter().map(|(_, text)| length(text)).collect())
        };
        Self {
            texts: rows.len(),
            repeated,
            labels,
            words: lengths(|text| text.split_whitespace().count()),
            characters: lengths(|text| text.chars().count()),
            turns: None,
            conversations: None,
        }
    }
}

impl Description {
    /// The different labels of all splits, sorted, with the names that the dataset stores; nothing where a split cannot be read.
    pub fn label_names(&self) -> Option<Vec<String>> {
        let mut names = BTreeSet::new();
        for split in &self.splits {
            names.extend(split.figures.as_ref()?.labels.keys().cloned());
        }
        names.extend(self.stored_labels.iter().flatten().cloned());
        Some(names.into_iter().collect())
    }

    fn new(splits: Vec<SplitDescription>) -> Self {
        let texts = |name: &str| -> BTreeSet<&str> {
            splits
                .iter()
                .filter(|split| split.split == name)
                .flat_map(|split| split.rows.iter().map(|(_, text)| text.as_str()))
                .collect()
        };
        let train_texts_in_test = texts("train").intersection(&texts("test")).count();
        Self {
            splits,
            train_texts_in_test,
            not_read: Vec::new(),
            stored_labels: None,
        }
    }
}

/// The columns of the first file of a dataset: those of a header that has all that are `wanted`, whatever stands beside them, or that
/// holds nothing but names; else none.
///
/// # Errors
/// As those of [`describe`].
pub fn columns_of(path: &Path, wanted: &[&str]) -> Result<Vec<String>, DataError> {
    let files = split_files(path)?;
    let mut all = [files.train, files.validation, files.test]
        .into_iter()
        .flatten();
    all.next()
        .map_or(Ok(Vec::new()), |first| columns(&first, wanted))
}

/// Describes the files of a dataset: a file, or a folder with its splits. Columns are told even where the rows cannot be
/// read for want of the right ones.
///
/// # Errors
/// When there is no such file or folder, or it holds no train split.
pub fn describe(
    path: &Path,
    text_column: &str,
    label_column: &str,
) -> Result<Description, DataError> {
    let columns = Columns::named(text_column, label_column);
    let roles = BTreeMap::new();
    describe_files(path, split_files(path)?, &columns, &roles, None)
}

/// Describes what the name of a dataset led to; of one from the Hub the splits of its configuration. `messages` is a column of
/// conversations, described instead of that of the text, and `roles` says whose turns those of roles are that are not known.
/// `unit_column` names the people whose records are counted.
///
/// # Errors
/// As those of [`describe`].
pub fn describe_resolved(
    dataset: &Resolved,
    text_column: &str,
    messages: Option<&str>,
    roles: &BTreeMap<String, RoleOf>,
    label_column: &str,
    unit_column: Option<&str>,
) -> Result<Description, DataError> {
    let files = dataset.split_files()?;
    let columns = Columns {
        messages: messages.is_some(),
        ..Columns::named(messages.unwrap_or(text_column), label_column)
    };
    describe_files(&dataset.path, files, &columns, roles, unit_column)
}

fn describe_files(
    path: &Path,
    files: SplitFiles,
    wanted: &Columns<'_>,
    roles: &BTreeMap<String, RoleOf>,
    unit_column: Option<&str>,
) -> Result<Description, DataError> {
    let stored = StoredNames::of(path, &files, wanted.label)
        .unwrap_or_else(|_| StoredNames::beside(path, &files, wanted.label));
    let stored_labels = stored.told().map(<[String]>::to_vec);
    let not_read = files.not_read;
    let mut splits = Vec::new();
    for (split, files) in [
        ("train", files.train),
        ("validation", files.validation),
        ("test", files.test),
    ] {
        let Some(first) = files.first() else {
            continue;
        };
        let columns = columns(first, &[wanted.text, wanted.label])?;
        let (rows, conversations, mut problem) = match read(&files, wanted, roles, &stored) {
            Ok((rows, conversations)) => (rows, conversations, None),
            Err(error) => (Vec::new(), None, Some(error.to_string())),
        };
        let labels = rows
            .iter()
            .map(|(place, (label, _))| (*place, label.as_str()));
        let labels: BTreeMap<Place, &str> = labels.filter(|_| unit_column.is_some()).collect();
        let is_read = problem.is_none();
        let people = unit_column
            .map(|name| PeopleFigures::read(&files, wanted, name, &labels))
            .transpose()
            .unwrap_or_else(|error| {
                problem.get_or_insert_with(|| error.to_string());
                None
            });
        let rows: Vec<(String, String)> = rows.into_iter().map(|(_, row)| row).collect();
        let figures = is_read.then(|| Figures {
            turns: wanted.messages.then(|| turns(&rows)),
            conversations,
            ..Figures::of(&rows)
        });
        let likely = || likely_column(&columns, wanted).map(str::to_owned);
        let looks_like_people = if unit_column.is_none() {
            likely()
        } else {
            None
        };
        let place = |file: &PathBuf| {
            let place = file.strip_prefix(path).ok().filter(|_| file != path);
            place.unwrap_or(file).display().to_string()
        };
        splits.push(SplitDescription {
            split,
            files: files.iter().map(place).collect(),
            columns,
            figures,
            problem,
            people,
            looks_like_people,
            rows,
        });
    }
    Ok(Description {
        not_read,
        stored_labels,
        ..Description::new(splits)
    })
}

/// The numbers of turns of conversations.
fn turns(rows: &[(String, String)]) -> Lengths {
    let turns = rows.iter().map(|(_, text)| {
        let found = Conversation::parse(text);
        found.map_or(0, |found| found.turns.len())
    });
    Lengths::of(turns.collect())
}

/// The rows with their places, label and text each, and of conversations what was found in them.
#[expect(clippy::type_complexity, reason = "read once, in one place")]
fn read(
    files: &[PathBuf],
    columns: &Columns<'_>,
    roles: &BTreeMap<String, RoleOf>,
    stored: &StoredNames,
) -> Result<(Vec<(Place, Labelled)>, Option<ConversationFindings>), DataError> {
    let mut rows = Vec::new();
    let mut findings = ConversationFindings::default();
    let mut problems = Problems::default();
    for (place, file) in files.iter().enumerate() {
        let names = stored.named(file);
        for row in read_file(file, columns, &mut problems)? {
            let label = match &names {
                Some(names) => names.of(&row.label),
                None => row.label.to_string(),
            };
            let at = (place, row.line);
            if !columns.messages {
                rows.push((at, (label, row.text)));
                continue;
            }
            match messages::conversation(&row.text, columns.text, roles) {
                Ok(found) => {
                    findings.add(&found);
                    if !found.conversation.turns.is_empty() {
                        rows.push((at, (label, found.conversation.text())));
                    }
                }
                Err(problem) => problems.add(file, row.line, problem),
            }
        }
    }
    problems.check()?;
    Ok((rows, columns.messages.then_some(findings)))
}

/// Describes a dataset that was read.
pub fn describe_rows(dataset: &Dataset) -> Description {
    let splits = dataset.splits().into_iter().map(|(split, rows)| {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| (row.label.clone(), row.text.clone()))
            .collect();
        SplitDescription {
            split,
            files: Vec::new(),
            columns: ["text", "label"].map(str::to_owned).to_vec(),
            figures: Some(Figures::of(&rows)),
            problem: None,
            people: None,
            looks_like_people: None,
            rows,
        }
    });
    Description::new(splits.collect())
}

/// Whether a path is a dataset rather than a model: a file of rows, or a folder with such files and no model in it.
pub fn looks_like_dataset(path: &Path) -> bool {
    !path.join("config.json").exists() && has_data(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        write("train.csv", "label,text\njoy,one\n1,one two\njoy,one\n");
        write(
            "test.jsonl",
            "{\"text\": \"one two\", \"label\": 1, \"id\": 7}\n",
        );
        let found = describe(folder.path(), "text", "label").unwrap();
        assert_eq!(found.splits.len(), 2);
        let train = &found.splits[0];
        assert_eq!(
            (train.split, &train.files[..]),
            ("train", &["train.csv".to_owned()][..])
        );
        assert_eq!(train.columns, ["label", "text"]);
        let figures = train.figures.as_ref().unwrap();
        assert_eq!((figures.texts, figures.repeated), (3, 1));
        assert_eq!(
            figures.labels,
            BTreeMap::from([("1".to_owned(), 1), ("joy".to_owned(), 2)])
        );
        let lengths = |least, median, most_95, longest| Lengths {
            least,
            median,
            most_95,
            longest,
        };
        assert_eq!(figures.words, lengths(1, 1, 2, 2));
        assert_eq!(figures.characters, lengths(3, 3, 7, 7));
        assert_eq!(found.train_texts_in_test, 1);
        assert!(looks_like_dataset(folder.path()));
        write("config.json", "{}");
        assert!(!looks_like_dataset(folder.path()));
        assert!(looks_like_dataset(&folder.path().join("train.csv")));
    }

    #[test]
    fn records_are_counted_by_person() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.csv");
        let mut csv = "text,label,Customer ID\n".to_owned();
        for row in 0..25 {
            let who = if row < 20 { 1 } else { row };
            csv += &["text ", &row.to_string(), ",joy,", &who.to_string(), "\n"].concat();
        }
        std::fs::write(&path, csv).unwrap();
        // Where the columns that are asked for are there, the others may be called anything.
        let plain = describe(&path, "text", "label").unwrap();
        let likely = plain.splits[0].looks_like_people.as_deref();
        assert_eq!(likely, Some("Customer ID"));
        let unknown = describe(&path, "message", "label").unwrap();
        assert!(
            unknown.splits[0].columns.is_empty(),
            "perhaps a private row"
        );
        let csv = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, csv.replace("Customer ID", "Customer_ID")).unwrap();
        let plain = describe(&path, "text", "label").unwrap();
        let likely = plain.splits[0].looks_like_people.as_deref();
        assert_eq!(likely, Some("Customer_ID"));
        let columns = Columns::named("text", "label");
        let files = split_files(&path).unwrap();
        let found = describe_files(
            &path,
            files,
            &columns,
            &BTreeMap::new(),
            Some("Customer_ID"),
        )
        .unwrap();
        let people = found.splits[0].people.as_ref().unwrap();
        assert_eq!((people.people, people.records.longest), (6, 20));
        assert_eq!(people.kept, [(1, 6), (4, 9), (16, 21)]);
        assert_eq!(people.by_label, BTreeMap::from([("joy".to_owned(), 6)]));
        let files = split_files(&path).unwrap();
        let missing =
            describe_files(&path, files, &columns, &BTreeMap::new(), Some("who")).unwrap();
        assert!(
            missing.splits[0]
                .problem
                .as_ref()
                .unwrap()
                .contains("unit_column")
        );
    }

    #[test]
    fn columns_are_told_where_the_rows_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.csv");
        std::fs::write(&path, "content,emotion\nhello,joy\n").unwrap();
        let found = describe(&path, "text", "label").unwrap();
        assert_eq!(found.splits[0].columns, ["content", "emotion"]);
        assert!(found.splits[0].figures.is_none());
        let problem = found.splits[0].problem.as_ref().unwrap();
        assert!(problem.contains("no column `text`"), "{problem}");
        assert!(
            describe(&path, "content", "emotion").unwrap().splits[0]
                .figures
                .is_some()
        );
        // Without a header the first line is a private row.
        std::fs::write(&path, "I am so happy today,joy\nhello,joy\n").unwrap();
        let found = describe(&path, "text", "label").unwrap();
        assert!(found.splits[0].columns.is_empty());
        assert!(!found.splits[0].problem.as_ref().unwrap().contains("happy"));
    }

    #[test]
    fn labels_have_their_stored_names() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        write("train.csv", "text,label\na,0\nb,1\nc,joy\nd,9\n");
        write(
            "dataset_info.json",
            r#"{"features": {"label": {"names": ["joy", "fear", "love"], "_type": "ClassLabel"}}}"#,
        );
        let found = describe(folder.path(), "text", "label").unwrap();
        let labels = &found.splits[0].figures.as_ref().unwrap().labels;
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, count)| (name.as_str(), *count))
            .collect();
        assert_eq!(labels, [("9", 1), ("fear", 1), ("joy", 2)]);
        assert_eq!(found.label_names().unwrap(), ["9", "fear", "joy", "love"]);
    }

    #[test]
    fn conversations_without_a_turn_are_no_texts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chats.jsonl");
        let chats = "{\"messages\": []}\n{\"messages\": [\"hi\", \"yes\"]}\n";
        std::fs::write(&path, chats).unwrap();
        let columns = Columns {
            messages: true,
            ..Columns::named("messages", "")
        };
        let files = split_files(&path).unwrap();
        let found = describe_files(&path, files, &columns, &BTreeMap::new(), None).unwrap();
        let figures = found.splits[0].figures.as_ref().unwrap();
        let turns = figures.turns.unwrap();
        assert_eq!((figures.texts, turns.least, turns.longest), (1, 2, 2));
        assert_eq!(figures.conversations.unwrap().without_turns, 1);
    }
}
