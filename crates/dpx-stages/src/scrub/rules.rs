//! Rules for what has a form: emails, URLs, phone numbers, @handles, long digit strings.

use super::{Scrubber, Span};
use regex::Regex;

/// The rule-based scrubber.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<(&'static str, Regex)>,
    date: Regex,
}

impl Default for Rules {
    fn default() -> Self {
        Self::new()
    }
}

impl Rules {
    /// The rules, in the order in which they win overlaps.
    pub fn new() -> Self {
        let rule = |kind, pattern: &str| {
            (
                kind,
                Regex::new(pattern).expect("the pattern is well formed"),
            )
        };
        Self {
            rules: vec![
                rule("URL", r#"(?i)\b(?:https?://|ftp://|www\.)[^\s<>"]*[\w/=&#-]"#),
                rule("EMAIL", r"(?i)[\w.%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,}"),
                // Spelt out to hide from programs: "anna at mail dot example".
                rule(
                    "EMAIL",
                    r"(?i)\b[\w.%+-]+ ?(?:\bat\b|\(at\)|\[at\]) ?[\w-]+(?: ?(?:\bdot\b|\(dot\)|\[dot\]) ?[\w-]+)*(?: ?(?:\bdot\b|\(dot\)|\[dot\]) ?)\p{L}{2,}\b",
                ),
                rule("URL", r"(?i)\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|edu|gov|io|co\.uk|de)(?:/[^\s<>]*)?\b"),
                rule(
                    "PHONE",
                    r"(?:\+|\b)?(?:\d{1,3}[ .-]?)?(?:\(\d{2,4}\)[ .-]?|\b\d{2,4}[ .-])?\d{2,4}(?:[ .-]\d{2,5}){1,3}\b",
                ),
                rule("PHONE", r"\b1?[2-9]\d{2}[2-9]\d{6}\b"),
                rule("HANDLE", r"@[\p{L}\p{N}_][\p{L}\p{N}_.-]*[\p{L}\p{N}_]|@[\p{L}\p{N}_]"),
                rule("NUMBER", r"\b\d{7,}\b|\b\d{3,}(?:[ -]\d{3,}){2,}\b"),
            ],
            date: Regex::new(
                r"^(?:\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{2,4}|(?:1[5-9]|20)\d\d ?- ?(?:1[5-9]|20)\d\d)$",
            )
            .expect("the pattern is well formed"),
        }
    }

    /// The spans of one text, sorted and without overlaps.
    pub fn spans(&self, text: &str) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for (kind, pattern) in &self.rules {
            for found in pattern.find_iter(text) {
                let overlaps = |span: &Span| span.start < found.end() && found.start() < span.end;
                if !spans.iter().any(overlaps)
                    && self.accepts(kind, text, found.start(), found.end())
                {
                    spans.push(Span {
                        start: found.start(),
                        end: found.end(),
                        kind: (*kind).to_owned(),
                    });
                }
            }
        }
        spans.sort();
        spans
    }

    fn accepts(&self, kind: &str, text: &str, start: usize, end: usize) -> bool {
        let before = text[..start].chars().next_back();
        let found = &text[start..end];
        // A price, a decimal number or a part of a longer string is neither a phone number nor an account.
        let joined =
            before.is_some_and(|letter| letter.is_alphanumeric() || "$€£#.,/_".contains(letter));
        let goes_on = text[end..].starts_with(['%', '$', '€', '/', '_']);
        match kind {
            "PHONE" => {
                let digits = found.bytes().filter(u8::is_ascii_digit).count();
                // Columns of scores and ages are short numbers in a row.
                let mut groups = found.split(|letter: char| !letter.is_ascii_digit());
                let long = found.starts_with(['0', '+']) || groups.any(|group| group.len() >= 3);
                long && (7..=15).contains(&digits)
                    && !joined
                    && !goes_on
                    && !self.date.is_match(found.trim())
            }
            "NUMBER" => !joined && !goes_on,
            "HANDLE" => !before.is_some_and(char::is_alphanumeric),
            _ => true,
        }
    }
}

impl Scrubber for Rules {
    fn find(&self, texts: &[&str]) -> Result<Vec<Vec<Span>>, String> {
        Ok(texts.iter().map(|text| self.spans(text)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrub::apply;

    fn scrubbed(text: &str) -> String {
        apply(text, &[Rules::new().spans(text)]).text
    }

    #[test]
    fn finds_what_has_a_form() {
        for (text, expected) in [
            (
                "mail jo.ruiz+x@mail.example.org, please.",
                "mail [EMAIL], please.",
            ),
            ("JO@EXAMPLE.COM!", "[EMAIL]!"),
            ("jo.ruiz at example dot org", "[EMAIL]"),
            ("jörg@müller.example", "[EMAIL]"),
            ("see https://a.example/b?c=d&e. Then", "see [URL]. Then"),
            ("(www.example.com/x)", "([URL])"),
            ("on reddit.com today", "on [URL] today"),
            ("thanks @anna_k92!", "thanks [HANDLE]!"),
            ("call (212) 555-0147 now", "call [PHONE] now"),
            ("212-555-0147", "[PHONE]"),
            ("+1 212 555 0147", "[PHONE]"),
            ("212.555.0147.", "[PHONE]."),
            ("1-212-555-0147", "[PHONE]"),
            ("2125550147", "[PHONE]"),
            ("+44 20 7946 0123", "[PHONE]"),
            ("call 06 12 34 56 78 now", "call [PHONE] now"),
            ("text 555-0131!", "text [PHONE]!"),
            ("card 4111111111111111 ok", "card [NUMBER] ok"),
            ("card 4111 1111 1111 1111 ok", "card [NUMBER] ok"),
        ] {
            assert_eq!(scrubbed(text), expected, "{text}");
        }
    }

    #[test]
    fn leaves_ordinary_text_alone() {
        for text in [
            "it was 2018-01-02 or 10/12/2019 or 10-12-2019",
            "from 1990-2000 and 1914 - 1918",
            "they won 35,000 to 24-7, 100%",
            "it costs $1234567.89 really",
            "version 1.2.3 at 10 am",
            "we met at noon",
            "3.14159265 is pi",
            "won lost 10 11 12 13 and 24 36 48 60",
            "no@handle here",
            "a 5-0 win, 21 - 19, 6-4 6-3 7-5",
        ] {
            let found = scrubbed(text);
            assert_eq!(found, text);
        }
    }
}
