//! What can be wrong with a dataset. Messages name files and lines, never the content of a row.

pub(crate) use dpx_schema::printable;
use std::fmt;
use std::path::{Path, PathBuf};

/// Problems that are shown; more are counted.
const SHOWN: usize = 20;

/// A dataset or model that cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum DataError {
    /// Something at a line of a file.
    #[error("{}:{line}: {problem}", shown(path))]
    Line {
        path: PathBuf,
        /// Its line (of a parquet file: its row), counted from 1.
        line: u64,
        /// What was found and what was expected.
        problem: String,
    },
    /// Several things at lines of files.
    #[error("{0}")]
    Lines(Problems),
    /// Something about a whole file or folder.
    #[error("`{}`: {problem}", shown(path))]
    File {
        path: PathBuf,
        /// What was found and what was expected.
        problem: String,
    },
    /// A model or dataset that is neither on this machine nor to be had from the Hub.
    #[error("{what} is not on this machine and {why}")]
    Absent {
        what: String,
        /// Why it cannot be had, where it was looked for and what to do.
        why: String,
    },
    /// A name that leads nowhere, a declaration that does not fit, or the Hub's refusal.
    #[error("{0}")]
    Other(String),
}

impl DataError {
    pub(super) fn line(path: &Path, line: u64, problem: impl Into<String>) -> Self {
        Self::Line {
            path: path.to_owned(),
            line,
            problem: problem.into(),
        }
    }

    pub(super) fn file(path: &Path, problem: impl fmt::Display) -> Self {
        Self::File {
            path: path.to_owned(),
            problem: problem.to_string(),
        }
    }

    pub(super) fn other(problem: impl Into<String>) -> Self {
        Self::Other(problem.into())
    }
}

/// A path for messages: control characters, which a terminal would obey, are replaced.
fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

/// Names in quotation marks with commas between them; of many the first.
pub(crate) fn listed<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    dpx_schema::listed(names, SHOWN)
}

/// What is wrong at lines of one or more files: the first twenty, in the order of files and lines, and how many there are.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Problems {
    /// The files in the order in which they were read.
    files: Vec<PathBuf>,
    /// Place of the file, line, problem; in order.
    first: Vec<(usize, u64, String)>,
    count: u64,
}

impl Problems {
    pub(crate) fn add(&mut self, path: &Path, line: u64, problem: impl Into<String>) {
        self.count += 1;
        let known = self.files.iter().rposition(|file| file == path);
        let file = known.unwrap_or_else(|| {
            self.files.push(path.to_owned());
            self.files.len() - 1
        });
        let place = self
            .first
            .partition_point(|(other, at, _)| (*other, *at) <= (file, line));
        if place < SHOWN {
            self.first.insert(place, (file, line, problem.into()));
            self.first.truncate(SHOWN);
        }
    }

    /// Number of problems, those that are not kept included.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The error, where there is a problem.
    pub(crate) fn check(self) -> Result<(), DataError> {
        match self.count {
            0 => Ok(()),
            1 => {
                let first = self.first.into_iter().next();
                let (file, line, problem) = first.expect("the first problem is kept");
                Err(DataError::line(&self.files[file], line, problem))
            }
            _ => Err(DataError::Lines(self)),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} problems in the data:", self.count)?;
        // Where one mistake is made in every row, twenty times the same words help nobody.
        let is_same = |a: &(usize, u64, String), b: &(usize, u64, String)| {
            self.count > SHOWN as u64 && a.0 == b.0 && a.2 == b.2
        };
        for same in self.first.chunk_by(is_same) {
            let (file, line, problem) = &same[0];
            let name = shown(&self.files[*file]);
            write!(formatter, "\n  {name}:{line}: {problem}")?;
            let also: Vec<String> = same[1..].iter().map(|row| row.1.to_string()).collect();
            if !also.is_empty() {
                write!(formatter, " (the same at {})", also.join(", "))?;
            }
        }
        let more = self.count - self.first.len() as u64;
        if more > 0 {
            write!(formatter, "\n  and {more} more")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Problems;
    use std::path::Path;

    #[test]
    fn one_mistake_in_every_row_is_told_once() {
        let mut problems = Problems::default();
        for line in 1..=25 {
            problems.add(Path::new("a.csv"), line, "no label");
        }
        problems.add(Path::new("b.csv"), 4, "no text");
        let told = problems.to_string();
        assert_eq!(told.lines().count(), 3, "{told}");
        assert!(told.contains("26 problems in the data:\n  a.csv:1: no label (the same at 2, 3,"));
        assert!(told.ends_with("and 6 more"), "{told}");
    }
}
