//! Printing: through anstream, so that colours obey `NO_COLOR`, pipes and old terminals; a closed pipe is no error.

use super::Error;
use anstyle::{AnsiColor, Style};
use std::io::Write;

/// Style of the word `error`.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Style of the word `hint`.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// Prints text with a final line break to standard output.
///
/// # Errors
/// When it cannot be written, as on a full disk. A closed pipe (`dpx schema | head`) is none: nobody is left to be told.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut stdout = anstream::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::failed(
            format!("could not write to standard output: {error}"),
        )),
        _ => Ok(()),
    }
}

/// Prints text with a final line break to standard error.
pub(crate) fn note(text: &str) {
    drop(writeln!(anstream::stderr().lock(), "{text}"));
}

/// Prints an error and its hints to standard error.
pub(crate) fn error(error: &Error) {
    if error.is_silent() {
        return;
    }
    note(&format!("{ERROR}error{ERROR:#}: {}", error.message()));
    for hint in error.hints() {
        note(&format!("{HINT}hint{HINT:#}: {hint}"));
    }
}
