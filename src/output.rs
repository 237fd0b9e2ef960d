//! Printing: through anstream, so that colours obey `NO_COLOR`, pipes and old terminals; a closed pipe is no error.

use super::Error;
use anstyle::{AnsiColor, Style};
use std::io::{IsTerminal, Write};

pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// Prints text with a final line break to standard output.
///
/// # Errors
/// When it cannot be written, as on a full disk. A closed pipe (`dpx schema | head`) is none: nobody is left to be told.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let text = harmless(text, std::io::stdout().is_terminal());
    let mut stdout = anstream::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::failed(
            format!("could not write to standard output: {error}"),
        )),
        _ => Ok(()),
    }
}

/// Prints text as [`print`] does, its lines broken where the width of the terminal is known.
pub(crate) fn print_wrapped(text: &str) -> Result<(), Error> {
    match super::results::told_width() {
        Some(width) => print(&dpx_report::terminal::wrapped(text, width)),
        None => print(text),
    }
}

/// Prints text with a final line break to standard error.
pub(crate) fn note(text: &str) {
    let text = harmless(text, std::io::stderr().is_terminal());
    drop(writeln!(anstream::stderr().lock(), "{text}"));
}

/// The text without commands to a terminal but those for colors, which dpx writes itself. What stands in data and file names
/// may hold others. Elsewhere than on a terminal, characters that JSON may hold stay.
fn harmless(text: &str, terminal: bool) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let color = rest.strip_prefix("\u{1b}[").and_then(|after| {
            let end = after.find(|letter: char| !letter.is_ascii_digit() && letter != ';')?;
            after[end..].starts_with('m').then_some(end + 3)
        });
        let length = color.unwrap_or(letter.len_utf8());
        let part = &rest[..length];
        rest = &rest[length..];
        if color.is_some() || (!terminal && letter > '\u{7f}') {
            kept.push_str(part);
        } else {
            kept.push_str(&dpx_schema::printable_lines(part));
        }
    }
    kept
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

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn only_colors_reach_a_terminal() {
        let styled = "\u{1b}[1;31merror\u{1b}[0m: ";
        let text = format!("{styled}a\u{1b}]0;x\u{7}\u{1b}[2Jb\n\tc\u{9b}");
        let shown = harmless(&text, true);
        assert!(
            shown.starts_with(styled) && shown.contains("\n\tc"),
            "{shown:?}"
        );
        assert_eq!(shown.matches('\u{1b}').count(), 2);
        assert!(!shown.contains(['\u{7}', '\u{9b}']));
        assert!(
            harmless(&text, false).contains('\u{9b}'),
            "JSON is left as it is"
        );
        assert_eq!(harmless("\u{1b}[", true), "\u{fffd}[");
    }
}
