//! Why results are not written.

use std::io;
use std::path::{Path, PathBuf};

/// Foreign files that a message names; of more only the number is told.
const MOST_NAMES: usize = 5;

/// Why a results folder is not touched.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum ResultsError {
    /// The operating system refused to read or write.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried, as in "cannot write".
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// What has the folder's name is something else.
    #[error("the folder `{}` is {what}: name another place", path.display())]
    NoFolder { path: PathBuf, what: &'static str },
    /// The folder holds something that the study reads.
    #[error(
        "the results folder `{}` holds `{}`, which the experiment reads: dpx does not write there; rename the experiment, \
         or give another place with `--results`",
        folder.display(),
        input.display()
    )]
    HoldsInput { folder: PathBuf, input: PathBuf },
    /// The folder lies in a folder that is a data set.
    #[error(
        "the results folder `{}` lies inside `{}`, which the experiment reads as a whole: its results would change its \
         data; give another place with `--results`",
        folder.display(),
        input.display()
    )]
    InsideInput { folder: PathBuf, input: PathBuf },
    /// Files that dpx did not write, or that were edited since, have names that dpx would write.
    #[error(
        "dpx does not overwrite what it did not write: in `{}` it would have to replace {}; move them away, rename the \
         experiment, or give another place with `--results`",
        folder.display(),
        names(files)
    )]
    Foreign {
        folder: PathBuf,
        /// The files, by path in the folder.
        files: Vec<String>,
    },
    /// Two files of the results would have one name.
    #[error(
        "two rows of the study would both write `{file}`: names of files have letters, digits, `=,.-_@` only and may differ in \
         more than case; change one of the two values of the axis, or the names of the stages"
    )]
    SameName { file: String },
    /// The list of dpx's own files is damaged, and files have names that dpx would write.
    #[error(
        "`{}`, which lists what dpx wrote in the folder, is damaged, so that dpx cannot tell whether {} may be replaced: \
         remove the damaged file, and dpx takes what has the names of its results for its own; or move the files away",
        folder.join(super::MANIFEST).display(),
        names(files)
    )]
    Unlisted {
        folder: PathBuf,
        /// The files, by path in the folder.
        files: Vec<String>,
    },
}

impl ResultsError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Whether the arguments or the file are at fault, not the machine.
    pub const fn is_usage(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }
}

/// `` `a`, `b` and 3 more ``.
fn names(files: &[String]) -> String {
    let mut words: Vec<String> = files
        .iter()
        .take(MOST_NAMES)
        .map(|file| format!("`{file}`"))
        .collect();
    if files.len() > MOST_NAMES {
        words.push(format!("{} more", files.len() - MOST_NAMES));
    }
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => words.concat(),
    }
}
