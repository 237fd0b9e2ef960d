//! What a line says behind its escapes: those of JSON and of program texts, entities and tags of HTML. A private file that is
//! written in another format is the same file.

/// What is within one another: JSON in JSON, HTML in JSON.
const ROUNDS: usize = 4;
/// Longest tag that is looked for, in bytes.
const LONGEST_TAG: usize = 400;
/// Longest entity, in bytes.
const LONGEST_ENTITY: usize = 12;

/// The text without escapes, entities and tags; nothing where it has none. Both a private text and a public line are compared in
/// this form, too.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut found = once(text)?;
    for _ in 1..ROUNDS {
        let Some(next) = once(&found) else { break };
        found = next;
    }
    Some(found)
}

/// One layer taken away; nothing where there is none.
fn once(text: &str) -> Option<String> {
    let is_sign = |byte: &u8| matches!(byte, b'\\' | b'&' | b'<');
    let first = text.as_bytes().iter().position(is_sign)?;
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut rest = &text[first..];
    let mut changed = false;
    while let Some(at) = rest.as_bytes().iter().position(is_sign) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let read = match rest.as_bytes()[0] {
            b'\\' => escape(rest, &mut out),
            b'&' => entity(rest, &mut out),
            _ => tag(rest, &mut out),
        };
        changed |= read.is_some();
        if read.is_none() {
            out.push_str(&rest[..1]);
        }
        rest = &rest[read.unwrap_or(1)..];
    }
    out.push_str(rest);
    changed.then_some(out)
}

/// An escape at the beginning of a text: what it stands for is added, its length returned.
fn escape(text: &str, out: &mut String) -> Option<usize> {
    let kind = text[1..].chars().next()?;
    let plain = match kind {
        'n' | 'r' | 't' | 'b' | 'f' | 'v' => '\n',
        '"' | '\'' | '\\' | '/' => kind,
        'u' => {
            let (code, length) = unit(text)?;
            if let Some(letter) = char::from_u32(code) {
                out.push(letter);
                return Some(length);
            }
            // Half of a pair.
            let (low, more) = unit(&text[length..])?;
            let high = code.checked_sub(0xd800).filter(|&high| high < 0x400)?;
            let low = low.checked_sub(0xdc00).filter(|&low| low < 0x400)?;
            out.push(char::from_u32(0x1_0000 + (high << 10) + low)?);
            return Some(length + more);
        }
        'x' => return hexadecimal(text, 2, out),
        'U' => return hexadecimal(text, 8, out),
        _ => return None,
    };
    out.push(plain);
    Some(2)
}

/// Four hexadecimal digits behind `\u`, or those in braces.
fn unit(text: &str) -> Option<(u32, usize)> {
    let digits = text.strip_prefix("\\u")?;
    if let Some(inside) = digits.strip_prefix('{') {
        let end = inside.bytes().take(8).position(|byte| byte == b'}')?;
        let code = u32::from_str_radix(&inside[..end], 16).ok()?;
        return Some((code, end + 4));
    }
    Some((u32::from_str_radix(digits.get(..4)?, 16).ok()?, 6))
}

fn hexadecimal(text: &str, digits: usize, out: &mut String) -> Option<usize> {
    let code = u32::from_str_radix(text.get(2..2 + digits)?, 16).ok()?;
    out.push(char::from_u32(code)?);
    Some(2 + digits)
}

/// Likewise an entity of HTML. One whose name is not known here is a sign between words.
fn entity(text: &str, out: &mut String) -> Option<usize> {
    let end = text
        .bytes()
        .take(LONGEST_ENTITY)
        .position(|byte| byte == b';')?;
    let name = text.get(1..end)?;
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        out.push(char::from_u32(code.ok()?)?);
        return Some(end + 1);
    }
    if name.len() < 2 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match name {
        "amp" => out.push('&'),
        "lt" => out.push('<'),
        "gt" => out.push('>'),
        "quot" => out.push('"'),
        "apos" | "rsquo" => out.push('\''),
        "szlig" => out.push('ß'),
        "aelig" => out.push('æ'),
        "AElig" => out.push('Æ'),
        "oelig" => out.push('œ'),
        "oslash" => out.push('ø'),
        "Oslash" => out.push('Ø'),
        "eth" => out.push('ð'),
        "thorn" => out.push('þ'),
        _ => {
            let mark = match &name[1..] {
                "grave" => '\u{300}',
                "acute" => '\u{301}',
                "circ" => '\u{302}',
                "tilde" => '\u{303}',
                "uml" => '\u{308}',
                "ring" => '\u{30a}',
                "caron" => '\u{30c}',
                "cedil" => '\u{327}',
                _ => ' ',
            };
            if mark != ' ' {
                out.push_str(&name[..1]);
            }
            out.push(mark);
        }
    }
    Some(end + 1)
}

/// Likewise a tag or a comment: a space.
fn tag(text: &str, out: &mut String) -> Option<usize> {
    let begins = text.as_bytes().get(1)?;
    if !(begins.is_ascii_alphabetic() || matches!(begins, b'/' | b'!')) {
        return None;
    }
    let within = text.as_bytes()[1..].iter().take(LONGEST_TAG);
    let end = within.clone().position(|byte| *byte == b'>')?;
    if within.take(end).any(|byte| *byte == b'<') {
        return None;
    }
    out.push(' ');
    Some(end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_json_and_html_are_read_whatever_is_within_what() {
        for (text, expected) in [
            (r"a\nb\tc", "a\nb\nc"),
            (r#"{\"a\": \"b\"}"#, r#"{"a": "b"}"#),
            (r"\u0434\u043e\u043c", "дом"),
            (r"\ud83d\ude00!", "😀!"),
            (r"\\u0434", "д"),
            ("caf&eacute; &amp; th&#233;&#x21;", "cafe\u{301} & thé!"),
            ("one<br>two</p><p class=\"x\">three", "one two  three"),
            (r"one\u003cbr\u003etwo", "one two"),
            ("one&amp;nbsp;two", "one two"),
        ] {
            assert_eq!(decoded(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in [
            "",
            "plain",
            "1 < 2 & 3 > 2",
            "AT&T",
            r"\",
            r"\u12",
            r"\ud83d",
            "&;",
            "<",
            "<3",
        ] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }
}
