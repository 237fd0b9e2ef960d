//! A look at somebody's own data before a study: its columns, its labels, and everything that is wrong with it at once.
//!
//! No text is quoted. Names of labels and exact counts are shown to whoever has the data, and marked private.

use super::{
    DataError, Description, Figures, PeopleFigures, Role, Source, SplitDescription, columns_of,
    describe_resolved, same_column,
};
use dpx_schema::params::RoleOf;
use dpx_schema::{listed, nearest};
use std::collections::BTreeMap;

/// Labels with fewer training texts, or of fewer people where these are protected, are rare.
pub const RARE: usize = 100;
/// Fewer training texts, or people, teach a model little under privacy.
const FEW: usize = 2_000;
/// More values are no labels, and longer ones hardly.
const MOST_LABELS: usize = 1_000;
const LONGEST_LABEL: usize = 80;
/// Names in a message.
const NAMED: usize = 5;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The study cannot run.
    Error,
    /// It can, and figures will suffer.
    Warning,
}

/// Something about the data that a study would stumble over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Problem {
    pub severity: Severity,
    pub text: String,
}

impl Problem {
    /// The study cannot run.
    pub fn error(text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            text: text.into(),
        }
    }

    /// It can run, and its results will suffer.
    pub fn warning(text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            text: text.into(),
        }
    }
}

/// Data that cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// A name of a dataset on the Hub or of a built-in one.
    #[error("`{0}` is no file or folder on this machine")]
    NotLocal(String),
    /// A path that leads nowhere.
    #[error("there is no file or folder `{0}`")]
    Missing(String),
    /// Files that no reader understands.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// The columns that somebody names.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Asked<'a> {
    pub text: Option<&'a str>,
    /// Conversations, instead of texts.
    pub messages: Option<&'a str>,
    /// Empty: there is none.
    pub label: Option<&'a str>,
    pub unit: Option<&'a str>,
    /// Whether keys of an experiment file name them, not options. What cannot be read is told by whoever loads the data by the file then.
    pub by_key: bool,
}

/// What was asked for, and what is there.
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Look {
    /// The column of the texts, or of the conversations where these were asked for.
    pub text_column: String,
    /// Empty: there is none.
    pub label_column: String,
    /// Whether the column of the texts holds conversations, which nobody asked for.
    pub is_conversations: bool,
    pub description: Description,
    pub problems: Vec<Problem>,
}

/// Looks at a dataset. Columns that are not named are called `text` and `label`; of conversations only where there is a column of that
/// name they have labels.
///
/// # Errors
/// There is nothing there, or nothing that a reader understands. What is wrong with rows and columns is a [`Problem`] of the look.
pub fn look(
    data: &str,
    asked: Asked<'_>,
    roles: &BTreeMap<String, RoleOf>,
) -> Result<Look, LookError> {
    let Source::Path(path) = Source::parse(data) else {
        return Err(LookError::NotLocal(data.to_owned()));
    };
    if !path.exists() {
        return Err(LookError::Missing(data.to_owned()));
    }
    let text = asked.messages.or(asked.text).unwrap_or("text");
    let mut columns = columns_of(&path, &[text, asked.label.unwrap_or("label")])?;
    if columns.is_empty() {
        columns = columns_of(&path, &[text])?;
    }
    let mut problems = Vec::new();
    let mut pick = |name: &str, [key, option]: [&str; 2]| {
        if !columns.is_empty() && !columns.iter().any(|column| same_column(column, name)) {
            let near = nearest(name, columns.iter().map(String::as_str));
            let near = near.map(|near| format!("; did you mean `{near}`?"));
            problems.push(Problem::error(format!(
                "there is no column `{name}`: the columns are {}; name one with `{}`{}",
                listed(&columns, 20),
                if asked.by_key { key } else { option },
                near.unwrap_or_default()
            )));
        }
        name.to_owned()
    };
    let text_column = match asked.messages {
        Some(messages) => pick(messages, ["messages", "--messages"]),
        None => pick(text, ["text_column", "--text"]),
    };
    let unlabelled = asked.messages.is_some() && !columns.iter().any(|column| column == "label");
    let label_column = match asked.label {
        Some("") => String::new(),
        None if unlabelled => String::new(),
        label => pick(label.unwrap_or("label"), ["label_column", "--label"]),
    };
    let people = asked.unit.map(|unit| pick(unit, ["unit_column", "--unit"]));
    let resolved = Source::Path(path).resolve(Role::Dataset)?;
    let people = people.filter(|_| problems.is_empty());
    let describe = |messages: Option<&str>| {
        describe_resolved(
            &resolved,
            &text_column,
            messages,
            roles,
            &label_column,
            people.as_deref(),
        )
    };
    let description = describe(asked.messages)?;
    let mut is_conversations = false;
    if columns.is_empty() && !asked.by_key {
        let split = description.splits.first();
        let problem = split.and_then(|split| split.problem.clone());
        problems.push(Problem::error(problem.unwrap_or_else(|| {
            "the first line does not look like a header: name the columns in the first line of the file".to_owned()
        })));
    }
    if problems.is_empty() {
        if !asked.by_key {
            problems.extend(unread(&description));
        }
        problems.extend(of_rows(&description, !label_column.is_empty()));
        if asked.messages.is_none() {
            // A text is hardly ever a list of turns by chance.
            let mut splits = describe(Some(&text_column))?.splits.into_iter();
            is_conversations = splits.all(|split| split.problem.is_none());
        }
        if is_conversations {
            problems.push(Problem::warning(format!(
                "the column `{text_column}` holds conversations: read with `messages = \"{text_column}\"` in the place of `text_column` each turn is scrubbed, \
                 trained on and written as one"
            )));
        }
        let suspected = description.splits.first();
        let suspected = suspected.and_then(|split| split.looks_like_people.as_deref());
        if let Some(suspected) = suspected.filter(|_| asked.unit.is_none()) {
            problems.push(Problem::warning(format!(
                "the column `{suspected}` looks like one of people: the guarantee is for one record, so that whoever has several is protected less; to protect \
                 people, `[privacy] unit = \"user\"` and `unit_column = \"{suspected}\"` (`dpx init --unit {suspected}`)"
            )));
        }
    }
    problems.sort_by_key(|problem| problem.severity);
    Ok(Look {
        text_column,
        label_column,
        is_conversations,
        description,
        problems,
    })
}

/// Why splits cannot be read.
fn unread(description: &Description) -> impl Iterator<Item = Problem> {
    let unread = |split: &SplitDescription| {
        let problem = split.problem.as_ref()?;
        Some(Problem::error(format!("{}: {problem}", split.split)))
    };
    description.splits.iter().filter_map(unread)
}

/// Everything that the rows tell, which have labels or none.
fn of_rows(description: &Description, labelled: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    let split = |name: &str| description.splits.iter().find(|split| split.split == name);
    let Some((train, figures)) =
        split("train").and_then(|train| Some((train, train.figures.as_ref()?)))
    else {
        return problems;
    };
    if labelled {
        labels(figures, train.people.as_ref(), &mut problems);
    }
    rows(train, figures, &mut problems);
    match split("test").and_then(|test| test.figures.as_ref()) {
        None => problems.push(Problem::warning(match &train.people {
            Some(people) if people.several_owners == 0 => {
                "there is no test split: a tenth of the people becomes one (`test_share`)"
            }
            Some(_) => {
                "there is no test split: a tenth of the records becomes one (`test_share`), since some belong to several people: a person may have records on both sides"
            }
            None => {
                "there is no test split: a tenth of the rows becomes one (`test_share`); rows of one person may stand on both sides"
            }
        })),
        Some(test) => {
            let missing: Vec<&String> =
                figures.labels.keys().filter(|label| !test.labels.contains_key(*label)).collect();
            if !missing.is_empty() {
                problems.push(Problem::warning(format!(
                    "{} of the training labels have no test text: {}",
                    missing.len(),
                    listed(&missing, NAMED)
                )));
            }
        }
    }
    if description.train_texts_in_test > 0 {
        problems.push(Problem::warning(format!(
            "{} training texts stand word for word in test: accuracy on them says little",
            description.train_texts_in_test
        )));
    }
    if !description.not_read.is_empty() {
        problems.push(Problem::warning(format!(
            "not read: {}",
            listed(&description.not_read, NAMED)
        )));
    }
    problems
}

fn labels(figures: &Figures, people: Option<&PeopleFigures>, problems: &mut Vec<Problem>) {
    let all = figures.texts.max(1);
    let names: Vec<&String> = figures.labels.keys().collect();
    if names.len() > MOST_LABELS {
        problems.push(Problem::error(format!(
            "{} different labels: is this the column of the labels?",
            names.len()
        )));
        return;
    }
    let long = names
        .iter()
        .filter(|name| name.chars().count() > LONGEST_LABEL);
    let long = long.count();
    if long > 0 {
        problems.push(Problem::warning(format!(
            "{long} of {} labels have more than {LONGEST_LABEL} characters: is this the column of the labels? They stand in every prompt",
            names.len()
        )));
    }
    if names.iter().any(|name| name.trim().is_empty()) {
        problems.push(Problem::error(format!(
            "{} texts have no label: give them one, or leave them out",
            figures
                .labels
                .iter()
                .filter(|(name, _)| name.trim().is_empty())
                .map(|(_, count)| count)
                .sum::<usize>()
        )));
    }
    if names.len() == 1 {
        problems.push(Problem::warning(
            "all texts have one label: there is nothing to classify; leave out the `classify` stages",
        ));
    }
    // Names that differ in case or space alone are one label, written twice.
    let mut folded: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for name in &names {
        let key: String = name.to_lowercase().split_whitespace().collect();
        folded.entry(key).or_default().push(name);
    }
    for twins in folded.values().filter(|twins| twins.len() > 1) {
        problems.push(Problem::warning(format!(
            "the labels {} differ in case or space alone: are they one?",
            listed(twins, NAMED)
        )));
    }
    // What is protected is what noise is measured against.
    let (counts, units) = match people {
        Some(people) => (&people.by_label, "people with training texts"),
        None => (&figures.labels, "training texts"),
    };
    let rare: Vec<&String> = counts
        .iter()
        .filter(|(_, count)| **count < RARE)
        .map(|(name, _)| name)
        .collect();
    if !rare.is_empty() && names.len() > 1 {
        problems.push(Problem::warning(format!(
            "{} of {} labels have fewer than {RARE} {units} ({}): under privacy they are hardly learned; join them, or expect their F1 to fall. A label that one person alone has tells of that person by its name",
            rare.len(),
            names.len(),
            listed(&rare, NAMED)
        )));
    }
    if let Some(most) = figures
        .labels
        .values()
        .max()
        .filter(|most| **most * 10 > all * 9)
    {
        problems.push(Problem::warning(format!(
            "one label has {most} of {all} texts: accuracy says little then, look at macro-F1"
        )));
    }
}

fn rows(train: &SplitDescription, figures: &Figures, problems: &mut Vec<Problem>) {
    let all = figures.texts.max(1);
    let count = |is: fn(&str) -> bool| train.rows.iter().filter(|(_, text)| is(text)).count();
    let empty = count(|text| text.trim().is_empty());
    if empty > 0 {
        problems.push(Problem::warning(format!(
            "{empty} of {all} texts are empty"
        )));
    }
    let broken = count(|text| text.contains(char::REPLACEMENT_CHARACTER));
    if broken > 0 {
        problems.push(Problem::warning(format!(
            "{broken} of {all} texts hold U+FFFD, the sign for bytes that are no text: was the file read in another encoding before?"
        )));
    }
    if figures.repeated * 100 > all {
        problems.push(Problem::warning(format!(
            "{} of {all} texts repeat an earlier one{}",
            figures.repeated,
            match train.people {
                Some(_) => "",
                None => ": whoever wrote a text several times is protected less, since each row is a record of its own",
            }
        )));
    }
    let (size, units) = match &train.people {
        Some(people) => (people.people, "people with texts in train"),
        None => (all, "texts in train"),
    };
    if size < FEW {
        problems.push(Problem::warning(format!(
            "{size} {units} are few: under privacy a model learns little from fewer than {FEW}; `dpx plan` says what to expect"
        )));
    }
    if figures.words.most_95 > 200 {
        problems.push(Problem::warning(format!(
            "one text in twenty has more than {} words: what is beyond `max_length` tokens is cut, never split",
            figures.words.most_95
        )));
    }
}

/// The problems as lines for people.
pub fn told(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| {
            let word = match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            format!("{word}: {}", problem.text)
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    fn look_at(text: &str, columns: [Option<&str>; 3]) -> Result<Look, LookError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chats.csv");
        std::fs::write(&path, text).unwrap();
        let [text, label, unit] = columns;
        let asked = Asked {
            text,
            label,
            unit,
            ..Asked::default()
        };
        look(&path.display().to_string(), asked, &BTreeMap::new())
    }

    #[test]
    fn all_problems_come_at_once_and_quote_no_text() {
        let mut text = String::from("id,message,category\n");
        for row in 0..150 {
            let _ = writeln!(text, "{row},my secret is {row},Billing");
        }
        text.push_str("900,my secret is 1,billing\n901,,Refund\n902,caf\u{fffd} secret,Refund\n");
        let found = look_at(&text, [Some("message"), Some("category"), Some("id")]).unwrap();
        let told = told(&found.problems);
        for part in [
            "`Billing`, `billing` differ in case",
            "2 of 3 labels have fewer than 100",
            "1 of 153 texts are empty",
            "1 of 153 texts hold U+FFFD",
            "153 people with texts in train are few",
            "no test split",
            "one label has 150 of 153",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("secret"), "{told}");
    }

    #[test]
    fn a_wrong_column_is_told_with_those_that_there_are() {
        let text = "id,message,category\n1,a b,x\n2,c d,y\n";
        let found = look_at(text, [Some("mesage"), None, Some("customer")]).unwrap();
        let told = told(&found.problems);
        assert!(
            told.contains("no column `mesage`: the columns are `id`, `message`, `category`"),
            "{told}"
        );
        assert!(told.contains("did you mean `message`?"), "{told}");
        assert!(
            told.contains("no column `label`") && told.contains("no column `customer`"),
            "{told}"
        );
        assert_eq!(
            found
                .problems
                .iter()
                .filter(|one| one.severity == Severity::Error)
                .count(),
            3
        );
        assert!(look("no-such.csv", Asked::default(), &BTreeMap::new()).is_err());
    }
}
