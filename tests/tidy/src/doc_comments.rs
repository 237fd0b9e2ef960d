//! Doc comments that say no more than the item below them.

/// Words that say nothing by themselves.
const EMPTY: [&str; 51] = [
    "the", "a", "an", "of", "in", "its", "it", "their", "this", "these", "that", "what", "which",
    "is", "are", "was", "were", "be", "how", "many", "number", "to", "for", "with", "by",
    "whether", "and", "or", "on", "at", "as", "one", "each", "all", "from", "has", "have", "do",
    "does", "did", "if", "where", "so", "who", "per", "they", "them", "there", "those", "when",
    "not",
];

/// Longer comments are taken to say something.
const MOST_WORDS: usize = 5;

/// The doc comments of a few words that only repeat the words of their item, with their lines: `/// The model.` on `model: Model`.
/// Code and links in a comment say something.
pub fn echoes(text: &str) -> Vec<(usize, String)> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some(comment) = line.strip_prefix("/// ") else {
            continue;
        };
        let alone = |line: Option<&&str>| line.is_none_or(|line| !line.starts_with("///"));
        if !alone(number.checked_sub(1).and_then(|before| lines.get(before)))
            || !alone(lines.get(number + 1))
            || comment.contains(['`', '['])
            || comment.split_whitespace().count() > MOST_WORDS
        {
            continue;
        }
        let item = lines[number + 1..]
            .iter()
            .find(|line| !line.starts_with("#["))
            .copied()
            .unwrap_or_default();
        let known = stems(item);
        if stems(comment).iter().all(|stem| known.contains(stem)) {
            found.push((number + 1, format!("{comment} ({item})")));
        }
    }
    found
}

/// The beginnings of the words in prose or code, without those that say nothing.
fn stems(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in text.chars() {
        if !letter.is_ascii_alphanumeric() || before.is_ascii_lowercase() && letter.is_uppercase() {
            words.push(String::new());
        }
        if letter.is_ascii_alphanumeric() {
            let word = words.last_mut().expect("there is always a last word");
            word.push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    words
        .into_iter()
        .filter(|word| !word.is_empty() && !EMPTY.contains(&word.as_str()))
        .map(|word| match word.len() {
            0..=4 => word.trim_end_matches('s').to_owned(),
            _ => word[..4].to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_the_item_is_found() {
        for text in [
            "/// The model.\nmodel: Model,\n",
            "/// Number of rows.\n#[serde(default)]\npub rows: u64,\n",
            "/// Whether it is trained.\npub fn trainable(&self) -> bool {\n",
            "/// The key file.\npub struct KeyFile {\n",
        ] {
            assert_eq!(echoes(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn what_says_something_is_not() {
        for text in [
            "/// Bytes of the file.\npub size: u64,\n",
            "/// Weight `[inputs, outputs]`.\npub weight: Array,\n",
            "/// The model that training started from, by its public name.\nmodel: Model,\n",
            "/// The model.\n///\n/// It is never released.\nmodel: Model,\n",
            "// The model.\nmodel: Model,\n",
        ] {
            assert!(echoes(text).is_empty(), "{text}");
        }
    }
}
