//! Text that a terminal shows and does not obey.

/// The text with control characters replaced, which a terminal would take for commands, and those that turn the direction of
/// writing. Line breaks and tabs are replaced as well: for names and labels, which have a line to stand on.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|letter| {
            if is_command(letter) {
                char::REPLACEMENT_CHARACTER
            } else {
                letter
            }
        })
        .collect()
}

/// As [`printable`], for text of several lines: line breaks and tabs stay.
pub fn printable_lines(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\n' | '\t' => letter,
            _ if is_command(letter) => char::REPLACEMENT_CHARACTER,
            _ => letter,
        })
        .collect()
}

/// `a`, `b` and 3 more: names in quotation marks with commas between them, of many the first `most`.
pub fn listed<S: AsRef<str>>(names: impl IntoIterator<Item = S>, most: usize) -> String {
    let mut names = names.into_iter();
    let shown: Vec<String> = names
        .by_ref()
        .take(most)
        .map(|name| format!("`{}`", printable(name.as_ref())))
        .collect();
    match names.count() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn is_command(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character shows nothing and takes no room: format characters, such as zero-width spaces and soft hyphens, joiners and
/// selectors of variants.
pub const fn is_invisible(letter: char) -> bool {
    matches!(
        letter,
        '\u{AD}'
            | '\u{34F}'
            | '\u{61C}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_for_a_terminal_to_obey() {
        let text = "a\u{1b}]0;title\u{7}b\u{9b}2Jc\r\u{202e}d\n\te";
        assert_eq!(
            printable(text),
            "a\u{fffd}]0;title\u{fffd}b\u{fffd}2Jc\u{fffd}\u{fffd}d\u{fffd}\u{fffd}e"
        );
        assert!(printable_lines(text).ends_with("d\n\te"));
        assert_eq!(printable("كتاب, שלום, é"), "كتاب, שלום, é");
    }
}
