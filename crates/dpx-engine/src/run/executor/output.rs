//! What is quoted of the words of another program.

use std::path::Path;

/// Lines that are quoted where none says that it is an error.
const LINES: usize = 3;

/// What a program that failed says about it: its first line that says `error:`, else its last lines.
pub(super) fn essence(text: &str) -> Option<String> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let is_error = |line: &&str| line.to_lowercase().contains("error:");
    let quoted: Vec<&str> = match lines.iter().find(|line| is_error(line)) {
        Some(error) => vec![error],
        None => lines[lines.len().saturating_sub(LINES)..].to_vec(),
    };
    let short = |line: &str| -> String { line.chars().take(300).collect() };
    let quoted: Vec<String> = quoted
        .iter()
        .map(|line| short(&dpx_schema::printable(line)))
        .collect();
    (!quoted.is_empty()).then(|| quoted.join(" | "))
}

/// As [`essence`], of a file.
pub(super) fn told(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    essence(&String::from_utf8_lossy(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_what_is_wrong_is_quoted() {
        let usage = "error: a value is required for '--index <INDEX>' but none was supplied\n\nFor more information, try '--help'.\n";
        let told = essence(usage).unwrap();
        assert!(told.starts_with("error: a value is required"), "{told}");
        assert!(!told.contains("--help"), "{told}");
        assert_eq!(
            essence("one\ntwo\n\nthree\nfour\n").unwrap(),
            "two | three | four"
        );
        assert_eq!(essence("\n \n"), None);
    }
}
