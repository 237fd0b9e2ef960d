//! Words of a text, as the linear teacher, the keyword histogram and the bag-of-words classifier see them.

/// Lower-case words: runs of letters and digits, apostrophes left out (`I'm` and `im` are one word).
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for character in text.chars() {
        if character.is_alphanumeric() {
            word.extend(character.to_lowercase());
        } else if !matches!(character, '\'' | '\u{2019}') && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn apostrophes_join_and_everything_else_parts() {
        assert_eq!(
            words("I'm SO happy, it’s 2nd-hand!"),
            ["im", "so", "happy", "its", "2nd", "hand"]
        );
        assert_eq!(words("  "), Vec::<String>::new());
        assert_eq!(words("Ärger ÜBER"), ["ärger", "über"]);
    }
}
