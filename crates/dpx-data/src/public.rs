//! The text of a public input: a corpus, a vocabulary or a list of keywords, built in or in a file, compressed or not.

use super::read::checked;
use super::{DataError, Role, Source, builtin};

/// The whole text of a public input, one text or word a line.
///
/// # Errors
/// When there is no such built-in text or regular file, or a line is not UTF-8 or too long for a text.
pub fn public_text(role: Role, source: &Source) -> Result<String, DataError> {
    match source {
        Source::Builtin(name) => builtin_text(role, name),
        Source::Path(path) => checked(path),
        Source::Hub(name) => Err(DataError::other(format!(
            "`{name}`: the Hub has no {}: download the file and give its path",
            role.what()
        ))),
    }
}

fn builtin_text(role: Role, name: &str) -> Result<String, DataError> {
    let lines: Vec<String> = match (role, name) {
        (Role::Corpus, "dialogue") => builtin::dialogue(),
        (Role::Vocabulary | Role::Keywords, "words") => {
            let words = builtin::words().into_iter();
            words
                .map(|(word, count)| format!("{word} {count}"))
                .collect()
        }
        (Role::Keywords, "feelings") => {
            let feelings = builtin::feelings().into_iter();
            feelings.map(|feeling| feeling.word.to_owned()).collect()
        }
        _ => {
            let known: Vec<String> = role
                .builtins()
                .iter()
                .map(|known| format!("`builtin:{known}`"))
                .collect();
            return Err(DataError::other(format!(
                "there is no `builtin:{name}`; give {} or the path of a text file",
                known.join(", ")
            )));
        }
    };
    Ok(lines.join("\n"))
}
