//! Rust source as text: without comments and strings, without the items that are compiled for tests alone.

use std::ops::Range;

/// The source with the contents of comments, strings and character literals replaced by spaces, and whether a byte is kept is
/// decided by its place alone: lengths, line breaks and all positions stay the same.
pub fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => find(bytes, at, b"\n"),
            b'/' if bytes.get(at + 1) == Some(&b'*') => block_comment(bytes, at),
            b'"' => string(bytes, at + 1),
            b'\'' => character(bytes, at),
            byte if is_word(byte) => {
                let word = word_end(bytes, at);
                let Some(end) = raw_string(bytes, at, word) else {
                    at = word;
                    continue;
                };
                end
            }
            _ => {
                at += 1;
                continue;
            }
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(out)
        .expect("whole literals and comments are replaced, byte by byte, by spaces")
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn word_end(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..]
        .iter()
        .take_while(|&&byte| is_word(byte))
        .count()
}

/// Where `word` is found next, or the end.
fn find(bytes: &[u8], from: usize, word: &[u8]) -> usize {
    bytes[from..]
        .windows(word.len())
        .position(|window| window == word)
        .map_or(bytes.len(), |found| from + found)
}

fn block_comment(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// The end of a string whose opening quote stands before `at`.
fn string(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of a character literal; of a lifetime, the place after its quote.
fn character(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at + 1) {
        Some(b'\\') => (find(bytes, at + 3, b"'") + 1).min(bytes.len()),
        Some(&first) => {
            let length = match first {
                0..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            if bytes.get(at + 1 + length) == Some(&b'\'') {
                at + 2 + length
            } else {
                at + 1
            }
        }
        None => at + 1,
    }
}

/// The end of the raw string of which `at..word` is the prefix (`r`, `br`, `cr`), if it is one.
fn raw_string(bytes: &[u8], at: usize, word: usize) -> Option<usize> {
    if !matches!(&bytes[at..word], b"r" | b"br" | b"cr") {
        return None;
    }
    let hashes = bytes[word..]
        .iter()
        .take_while(|&&byte| byte == b'#')
        .count();
    if bytes.get(word + hashes) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = [vec![b'"'], vec![b'#'; hashes]].concat();
    let end = find(bytes, word + hashes + 1, &close);
    Some((end + close.len()).min(bytes.len()))
}

/// An item that is compiled for tests alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestItem {
    /// From its first attribute to its end.
    pub span: Range<usize>,
    /// The module's name, where the item is a module in a file of its own (`mod tests;`).
    pub module: Option<String>,
    /// The file that a `#[path]` beside it names.
    pub path: Option<String>,
}

/// The items under `#[cfg(test)]` or `#[cfg(all(test, ...))]`, in order: neither `any(test, ...)` nor `not(test)`, whose code
/// is compiled without tests too.
pub fn test_items(text: &str) -> Vec<TestItem> {
    let code = blank(text);
    let mut items = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find("#[") {
        let start = from + found;
        let (attributes, item) = attributes(&code, start);
        if attributes
            .iter()
            .any(|range| is_for_tests(&code[range.clone()]))
        {
            let end = item_end(&code, item);
            let path = attributes
                .iter()
                .find(|range| code[(*range).clone()].starts_with("#[path"))
                .and_then(|range| text[range.clone()].split('"').nth(1))
                .map(str::to_owned);
            items.push(TestItem {
                span: start..end,
                module: out_of_line(&code[item..end]),
                path,
            });
            from = end;
        } else {
            from = item;
        }
    }
    items
}

/// The attributes that follow each other from `start` on, and where the item under them begins.
fn attributes(code: &str, start: usize) -> (Vec<Range<usize>>, usize) {
    let mut found = Vec::new();
    let mut at = start;
    while code[at..].starts_with("#[") {
        let end = matching(code, at + 1);
        found.push(at..end);
        at = end + blanks(&code[end..]);
    }
    (found, at)
}

fn blanks(code: &str) -> usize {
    code.len() - code.trim_start().len()
}

fn is_for_tests(attribute: &str) -> bool {
    let Some(condition) = attribute
        .strip_prefix("#[cfg(")
        .and_then(|rest| rest.strip_suffix(")]"))
    else {
        return false;
    };
    let all = condition.trim().strip_prefix("all(");
    condition.trim() == "test"
        || all.is_some_and(|all| {
            all.trim_end_matches(')')
                .split(',')
                .any(|part| part.trim() == "test")
        })
}

/// The place after the bracket that closes the one at `open`.
fn matching(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Words of an item that ends with a block or a semicolon, never with a comma.
const ITEMS: [&str; 16] = [
    "pub",
    "mod",
    "fn",
    "struct",
    "enum",
    "trait",
    "impl",
    "type",
    "unsafe",
    "async",
    "extern",
    "macro_rules",
    "union",
    "const",
    "static",
    "let",
];

/// The end of the item that begins at `start`: of a block, a declaration, a field or a statement.
fn item_end(code: &str, start: usize) -> usize {
    let words: Vec<&str> = code[start..]
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .take(4)
        .collect();
    let first = words.first().copied().unwrap_or_default();
    // `use a::{b};` and `const A: T = T { .. };` hold braces before their end.
    let kind = words
        .iter()
        .find(|&&word| !matches!(word, "pub" | "crate" | "super" | "in"));
    let function = words.contains(&"fn");
    let declaration = !function
        && matches!(
            kind.copied(),
            Some("use" | "const" | "static" | "let" | "type")
        );
    let mut at = start;
    while let Some(byte) = code.as_bytes().get(at) {
        match byte {
            b';' => return at + 1,
            b',' if !ITEMS.contains(&first) && first != "use" => return at + 1,
            b'{' if !declaration => return matching(code, at),
            b'(' | b'[' | b'{' => at = matching(code, at),
            // The end of what encloses it: the last field or statement.
            b'}' | b')' => return at,
            _ => at += 1,
        }
    }
    code.len()
}

/// The name of a module without a body.
fn out_of_line(item: &str) -> Option<String> {
    let declaration = item.strip_suffix(';')?;
    let mut words = declaration.split_whitespace().rev();
    let name = words.next()?;
    (words.next() == Some("mod")).then(|| name.to_owned())
}

/// The source with every test item replaced by spaces: positions and line numbers stay.
pub fn without_tests(text: &str) -> String {
    let mut out = text.as_bytes().to_vec();
    for item in test_items(text) {
        for byte in &mut out[item.span] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    String::from_utf8(out).expect("items are replaced whole")
}

/// Lines of the source, those of test items left out.
pub fn production_lines(text: &str) -> usize {
    let inside: usize = test_items(text)
        .iter()
        .map(|item| text[item.span.clone()].lines().count())
        .sum();
    text.lines().count().saturating_sub(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of a source, without blank lines.
    fn left(text: &str) -> Vec<String> {
        let kept = without_tests(text);
        kept.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn code_after_a_test_module_at_the_top_is_seen() {
        let text = "//! A file.\n#[cfg(test)]\nmod tests;\n\nuse crate::report;\n";
        assert_eq!(left(text), ["//! A file.", "use crate::report;"]);
        let inline = "#[cfg(test)]\nmod tests {\n    fn a() { b(); }\n}\nuse crate::report;\n";
        assert_eq!(left(inline), ["use crate::report;"]);
    }

    #[test]
    fn only_the_test_item_goes() {
        let text = "#[cfg(test)]\n#[path = \"other.rs\"]\npub(crate) mod tests;\n#[cfg(test)]\nuse a::{b, c};\nfn kept<A, B>() {}\n\
                    #[cfg(test)]\n#[must_use]\npub fn gone<A, B>(a: [u8; 2]) -> A { a }\nconst KEPT: u8 = 1;\n\
                    #[cfg(test)]\nconst GONE: T = T { a: 1 };\nstruct S {\n    #[cfg(test)]\n    gone: Vec<u8>,\n    kept: u8,\n}\n";
        assert_eq!(
            left(text),
            [
                "fn kept<A, B>() {}",
                "const KEPT: u8 = 1;",
                "struct S {",
                "kept: u8,",
                "}"
            ]
        );
        let items = test_items(text);
        assert_eq!(items[0].module.as_deref(), Some("tests"));
        assert_eq!(items[0].path.as_deref(), Some("other.rs"));
        assert!(items[1..].iter().all(|item| item.module.is_none()));
    }

    #[test]
    fn code_that_other_builds_have_too_stays() {
        let text = "#[cfg(not(test))]\nfn a() {}\n#[cfg(any(test, feature = \"x\"))]\nfn b() {}\n#[cfg(all(test, feature = \"x\"))]\nfn c() {}\n";
        let left = left(text);
        assert!(left.contains(&"fn a() {}".to_owned()) && left.contains(&"fn b() {}".to_owned()));
        assert!(!left.contains(&"fn c() {}".to_owned()));
    }

    #[test]
    fn braces_in_strings_comments_and_characters_do_not_count() {
        let text = "#[cfg(test)]\nmod tests {\n    const A: &str = \"}\\\"}\";\n    const B: &str = r#\"}\"}\"#;\n    // }\n    /* } /* } */ } */\n    \
                    const C: char = '}';\n    const D: char = '\\'';\n    fn e<'a>(x: &'a str) {}\n}\nfn kept() {}\n";
        assert_eq!(left(text), ["fn kept() {}"]);
        assert_eq!(production_lines(text), 1);
    }

    #[test]
    fn an_attribute_in_a_string_or_a_comment_is_none() {
        let text = "// #[cfg(test)]\nfn a() { b(\"#[cfg(test)]\"); }\nfn c() {}\n";
        assert_eq!(test_items(text), []);
        assert_eq!(blank(text).len(), text.len());
        assert!(!blank(text).contains("cfg"));
    }

    #[test]
    fn letters_beyond_ascii_survive() {
        let text = "fn a() { b('é', \"né\", '\\u{e9}'); } // é\nfn ü() {}\n";
        assert!(blank(text).contains("fn ü() {}"));
    }
}
