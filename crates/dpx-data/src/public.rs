//! The text of a public input: a corpus, a vocabulary or a list of keywords, built in or in a file, plain or `.gz`.

use super::{DataError, Role, Source, builtin};
use flate2::read::MultiGzDecoder;
use std::io::Read;
use std::path::Path;

/// The whole text of a public input, one text or word a line.
///
/// # Errors
/// When there is no such file or built-in text, or when it is not UTF-8, naming the line.
pub fn public_text(role: Role, source: &Source) -> Result<String, DataError> {
    match source {
        Source::Builtin(name) => builtin_text(role, name),
        Source::Path(path) => file_text(path),
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

fn file_text(path: &Path) -> Result<String, DataError> {
    let failed = |error: std::io::Error| {
        DataError::other(format!("cannot read `{}`: {error}", path.display()))
    };
    let mut bytes = std::fs::read(path).map_err(failed)?;
    let compressed = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    if compressed {
        let mut plain = Vec::new();
        MultiGzDecoder::new(bytes.as_slice())
            .read_to_end(&mut plain)
            .map_err(failed)?;
        bytes = plain;
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = error.as_bytes()[..good].split(|&byte| byte == b'\n');
        let line = before.count();
        DataError::other(format!(
            "`{}` line {line} is not valid UTF-8",
            path.display()
        ))
    })
}
