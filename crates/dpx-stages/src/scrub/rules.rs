//! Rules for what has a form: emails, URLs, phone numbers, @handles, long numbers; and for what has nearly the same form and
//! is none of them: dates, times, amounts, versions, hashes, code.

mod numbers;
mod words;

use super::folded::{Folded, Invisible};
use super::{Scrubber, Span};
use dpx_schema::StageError;
use numbers::{is_amount, is_series, is_tail};
use regex::Regex;
use words::{CODE, NO_HOST, NO_MAILBOX};

/// Finds mail addresses, phone numbers, handles and the like by their form.
#[derive(Debug)]
pub struct Rules {
    patterns: Vec<(Rule, Regex)>,
    /// What holds no phone, handle or account number, though a part of it may look like one.
    guards: Vec<Regex>,
    date: Regex,
    phone_word: Regex,
    ssn_word: Regex,
    amount_word: Regex,
}

/// What a pattern finds, and with that what is asked of its surroundings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Url,
    BareUrl,
    Email,
    SpeltEmail,
    Iban,
    Ssn,
    /// In groups that only a word before them tells from others.
    NamedSsn,
    /// In a form that only phone numbers have.
    Phone,
    /// With the zero of a national call: so many digits as such numbers have.
    NationalPhone,
    /// Three digits and four: a phone number after a word that says so, or at the exchange kept for fiction.
    LocalPhone,
    /// Any digits after a word that says so.
    NamedPhone,
    Handle,
    Number,
    GroupedNumber,
}

impl Rule {
    const fn kind(self) -> &'static str {
        match self {
            Self::Url | Self::BareUrl => "URL",
            Self::Email | Self::SpeltEmail => "EMAIL",
            Self::Phone | Self::NationalPhone | Self::LocalPhone | Self::NamedPhone => "PHONE",
            Self::Handle => "HANDLE",
            Self::Iban | Self::Ssn | Self::NamedSsn | Self::Number | Self::GroupedNumber => {
                "NUMBER"
            }
        }
    }
}

/// Between groups of digits; with a slash, as in Germany.
const GAP: &str = r"[ .\-\x{A0}\x{2010}-\x{2013}\x{FF0D}]";
const SLASH: &str = r"(?:[ .\-\x{A0}\x{2010}-\x{2013}\x{FF0D}]| ?/ ?)";
/// Zero in the digits of several scripts.
const ZERO: &str = r"[0\x{660}\x{6F0}\x{966}\x{FF10}]";

impl Default for Rules {
    fn default() -> Self {
        Self::new()
    }
}

fn pattern(pattern: &str) -> Regex {
    let pattern = pattern
        .replace("GAP", GAP)
        .replace("SLASH", SLASH)
        .replace("ZERO", ZERO);
    Regex::new(&pattern).expect("the pattern is well formed")
}

impl Rules {
    /// The rules, in the order in which they win overlaps.
    pub fn new() -> Self {
        let rules = [
            (
                Rule::Url,
                r#"(?i)\b(?:https?://|ftp://|www\.)[^\s<>"]*[\w/=&#-]"#,
            ),
            (
                Rule::Email,
                r"(?i)[\w.%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,}",
            ),
            // Spelt out to hide from programs: "anna at mail dot example".
            (
                Rule::SpeltEmail,
                r"(?i)\b[\w.%+-]+ ?(?:\bat\b|\(at\)|\[at\]) ?[\w-]+(?: ?(?:\bdot\b|\(dot\)|\[dot\]) ?[\w-]+)*(?: ?(?:\bdot\b|\(dot\)|\[dot\]) ?)\p{L}{2,}\b",
            ),
            (
                Rule::SpeltEmail,
                r"(?i)\b[\w.%+-]+ ?(?:\(at\)|\[at\]|\{at\}|<at>) ?[\w-]+(?:\.[\w-]+)*\.\p{L}{2,}\b",
            ),
            (
                Rule::BareUrl,
                r"(?i)\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|edu|gov|io|co\.uk|de)(?:/[^\s<>]*)?\b",
            ),
            // Short addresses and others of ends that are words too: with a path alone.
            (
                Rule::BareUrl,
                r"(?i)\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:ly|me|gl|gd|be|co|to|gg|cc|tv|fm|ai|app|dev|link|page|info|biz|us|uk|ca|au|in|fr|es|it|nl|ch|at|eu|ru|pl|se|dk|cz|br|mx|jp|cn|kr|nz|ie|xyz|site|online|blog|shop|news)/[^\s<>]*[\w/=&#-]",
            ),
            (
                Rule::Iban,
                r"\b[A-Z]{2}\d{2}(?: ?[A-Z\d]{4}){2,7}(?: ?[A-Z\d]{1,3})?\b",
            ),
            (Rule::Ssn, r"\d{3}-\d{2}-\d{4}"),
            (Rule::NamedSsn, r"\d{3}[ -]?\d{2}[ -]?\d{4}"),
            // With a country code.
            (
                Rule::Phone,
                r"\+\d{1,3}(?:[ .()/\-\x{A0}\x{2010}-\x{2013}]{0,3}\d){7,14}",
            ),
            (
                Rule::Phone,
                r"00[1-9]\d{0,2}(?:[ .()/\-\x{A0}\x{2010}-\x{2013}]{0,3}\d){7,13}",
            ),
            // North America; China; India.
            (
                Rule::Phone,
                r"(?:1GAP)?(?:\([2-9]\d{2}\)GAP?|[2-9]\d{2}GAP)[2-9]\d{2}GAP\d{4}",
            ),
            // With the area code in parentheses whatever exchange.
            (Rule::Phone, r"(?:1GAP)?\([2-9]\d{2}\)GAP?\d{3}GAP\d{4}"),
            (Rule::Phone, r"1?[2-9]\d{2}[2-9]\d{6}"),
            (Rule::Phone, r"1[3-9]\d(?:\d{8}|[ -]\d{4}[ -]\d{4})"),
            (Rule::Phone, r"[6-9]\d{4}[ -]\d{5}"),
            (
                Rule::NationalPhone,
                r"(?:\(ZERO\d{1,4}\)GAP?\d{2,8}|ZERO\d{1,4}SLASH\d{2,8})(?:SLASH\d{2,8}){0,4}",
            ),
            (Rule::NationalPhone, r"ZERO\d{8,12}"),
            (
                Rule::NationalPhone,
                r"\(ZERO\) ?\d{1,4}SLASH\d{2,8}(?:SLASH\d{2,8}){0,4}",
            ),
            (Rule::LocalPhone, r"[2-9]\d{2}[-.]\d{4}"),
            (
                Rule::NamedPhone,
                r"(?:\(ZERO\) ?)?\(?\d{1,13}\)?(?:SLASH\(?\d{1,8}\)?){0,6}",
            ),
            (
                Rule::Handle,
                r"@[\p{L}\p{N}_][\p{L}\p{N}_.-]*[\p{L}\p{N}_]|@[\p{L}\p{N}_]",
            ),
            // Cards, then accounts with hyphens.
            (
                Rule::GroupedNumber,
                r"\d{4}(?:[ -]\d{4}){2,4}(?:[ -]\d{1,3})?|3\d{3}[ -]\d{6}[ -]\d{5}",
            ),
            (Rule::GroupedNumber, r"\d{3,}(?:-\d{3,}){2,}"),
            (Rule::Number, r"\d{7,}"),
        ];
        let guards = [
            r"\d{4}[-./]\d{1,2}[-./]\d{1,2}(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?(?:Z|[+-]\d{2}:?\d{2}))?)?",
            r"\d{1,2}[-./]\d{1,2}[-./](?:\d{4}|\d{2})(?:,? \d{1,2}:\d{2}(?::\d{2})?)?",
            r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?",
            r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[T_-]?[0-2]\d[0-5]\d(?:[0-5]\d)?Z?)?",
            r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
            r"97[89](?:[- ]?\d{1,7}){3,4}",
            r"\d{1,3}(?:\.\d{1,3}){3}",
            r"(?i)\b(?:commit|commits|sha\d*|md5|rev|revision|changeset|hash|isbn(?:-1[03])?|issn|ean|doi|pmid|arxiv|rfc|cve|build|version|ver|port|seed|row|line|epoch|timestamp)[ :=#]*\w[\w.\-/]*(?:(?: and | or |, ?)\d[\w.\-]*)*",
        ];
        Self {
            patterns: rules.map(|(rule, text)| (rule, pattern(text))).into(),
            guards: guards.map(pattern).into(),
            date: pattern(
                r"^(?:\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{2,4}|(?:1[5-9]|20)\d\d ?[-\x{2013}] ?(?:1[5-9]|20)\d\d)$",
            ),
            phone_word: pattern(
                r"(?i)(?:phone|tel|telephone|telefon|t[ée]l[ée]phone|tel[ée]fono|telefone|fax|mobile|mobil|m[óo]vil|cell|handy|whatsapp|signal|call|dial|ring|text|sms|hotline|tlf|电话|電話|هاتف|тел|телефон)(?: (?:me|us|him|her|them|at|on|is|number|no|nr|now|back))*[.:]*\s*$",
            ),
            ssn_word: pattern(
                r"(?i)\b(?:ssn|social security|social)(?: (?:number|no|nr|is))*[.:#]*\s*$",
            ),
            amount_word: pattern(
                r"(?i)^\s?(?:usd|eur|gbp|jpy|chf|dollars?|euros?|pounds?|yen|rupees?|bucks|people|users|views|likes|subscribers|inhabitants|rows|records|parameters|tokens|steps|bytes|kb|mb|gb|km|miles|meters|metres|years|seconds|ms|hz|votes|times|shares|copies|points|m/s|km/h|kph|mph|kg|mg|cm|mhz|ghz|k[čc]|czk|pln|huf|sek|nok|dkk|inr|cny|krw|euro|won|yuan|items|units|cells|downloads|visitors|residents|citizens|tons|tonnes|watts|volts|joules|calories|lines|words|seats|tickets)\b",
            ),
        }
    }

    /// The spans of one text, sorted and without overlaps. They are looked for in a plain copy of it; characters that show
    /// nothing are left out there, and where that joins what they part, are spaces.
    pub fn spans(&self, text: &str) -> Vec<Span> {
        let mut spans = self.spans_of(text, Invisible::Dropped);
        if text.chars().any(dpx_schema::is_invisible) {
            for span in self.spans_of(text, Invisible::Spaces) {
                let overlaps = |other: &Span| other.start < span.end && span.start < other.end;
                if !spans.iter().any(overlaps) {
                    spans.push(span);
                }
            }
            spans.sort();
        }
        spans
    }

    fn spans_of(&self, text: &str, invisible: Invisible) -> Vec<Span> {
        let Some(folded) = Folded::of(text, invisible) else {
            return self.plain_spans(text);
        };
        let mut spans = self.plain_spans(&folded.text);
        for span in &mut spans {
            (span.start, span.end) = folded.back(span.start, span.end);
        }
        spans
    }

    /// The spans of a text in plain form.
    fn plain_spans(&self, text: &str) -> Vec<Span> {
        let guarded = self.guarded(text);
        let mut spans: Vec<Span> = Vec::new();
        for (rule, pattern) in &self.patterns {
            for found in pattern.find_iter(text) {
                let (start, end) = (found.start(), found.end());
                let overlaps = |other: (usize, usize)| other.0 < end && start < other.1;
                let taken = spans.iter().any(|span| overlaps((span.start, span.end)));
                let kind = rule.kind();
                let harmless = matches!(kind, "PHONE" | "NUMBER")
                    && *rule != Rule::Iban
                    && guarded.iter().any(|span| overlaps(*span));
                let is_found = |at: usize| {
                    spans
                        .iter()
                        .any(|span| (span.start..span.end).contains(&at))
                };
                let tail = match rule {
                    Rule::Phone => is_tail(text, start, end, is_found),
                    _ => false,
                };
                if !taken && !harmless && !tail && self.accepts(*rule, text, start, end) {
                    spans.push(Span {
                        start,
                        end,
                        kind: kind.to_owned(),
                    });
                }
            }
        }
        spans.sort();
        spans
    }

    /// Places of dates, times, addresses of computers, identifiers.
    fn guarded(&self, text: &str) -> Vec<(usize, usize)> {
        let all = self.guards.iter().flat_map(|guard| guard.find_iter(text));
        all.filter(|found| {
            // A part of a longer chain of digits is no date: 01.23.45.67.89 is a French phone number.
            let mut after = text[found.end()..].chars();
            let goes_on = after.next().is_some_and(|letter| {
                letter.is_numeric()
                    || (".-/".contains(letter) && after.next().is_some_and(char::is_numeric))
            });
            let mut before = text[..found.start()].chars().rev();
            let began = before.next().is_some_and(|letter| {
                letter.is_numeric()
                    || (".-/+".contains(letter)
                        && (letter == '+' || before.next().is_some_and(char::is_numeric)))
            });
            !goes_on && !began && !impossible_date(found.as_str())
        })
        .map(|found| (found.start(), found.end()))
        .collect()
    }

    fn accepts(&self, rule: Rule, text: &str, start: usize, end: usize) -> bool {
        let found = &text[start..end];
        let before = text[..start].chars().next_back();
        let after = text[end..].chars().next();
        let digits = found.chars().filter(|letter| letter.is_numeric()).count();
        match rule {
            Rule::Url => true,
            // "git@github.com:a/b.git" names a program, not a person.
            Rule::Email => !(found.starts_with("git@") && matches!(after, Some(':' | '/'))),
            Rule::BareUrl => before != Some('@') && is_host(found),
            Rule::SpeltEmail => {
                let mailbox = found.split([' ', '(', '[']).next().unwrap_or_default();
                found.contains(['[', '(']) || !NO_MAILBOX.contains(&mailbox.to_lowercase().as_str())
            }
            Rule::Iban => is_iban(found),
            Rule::Handle => {
                !before.is_some_and(char::is_alphanumeric) && is_handle(text, start, end)
            }
            // What stands within a longer word or number is a part of something else.
            _ if !stands_alone(
                before.filter(|sign| !self.ends_name(*sign, text, start)),
                after,
                &text[end..],
            ) || within_identifier(text, start, end) =>
            {
                false
            }
            Rule::Ssn => true,
            Rule::NamedSsn => self.ssn_word.is_match(&text[..start]),
            Rule::Phone => {
                (7..=15).contains(&digits)
                    && !self.date.is_match(found)
                    && !self.counts(text, end)
                    && !is_amount(text, start, end)
            }
            Rule::NationalPhone => {
                let groups: Vec<usize> = found
                    .split(|letter: char| !letter.is_numeric())
                    .filter(|group| !group.is_empty())
                    .map(|group| group.chars().count())
                    .collect();
                // Groups of two are French numbers, or columns of figures.
                let pairs = groups.iter().all(|length| *length <= 2);
                (8..=13).contains(&digits)
                    && (!pairs || groups.len() == 5)
                    && !self.date.is_match(found)
                    && !is_amount(text, start, end)
            }
            Rule::LocalPhone => found.starts_with("555") || self.is_named(text, start),
            Rule::NamedPhone => {
                (6..=15).contains(&digits)
                    && self.is_named(text, start)
                    && !self.date.is_match(found)
            }
            Rule::Number => {
                let amount = found.ends_with("0000") || self.counts(text, end);
                !amount && before != Some('#')
            }
            Rule::GroupedNumber => {
                let year = |group: &str| matches!(group.parse::<u32>(), Ok(1500..=2100));
                digits >= 9 && !found.split([' ', '-']).all(year) && !is_series(found)
            }
        }
    }

    /// Whether a word that announces a phone number stands before a place.
    fn is_named(&self, text: &str, start: usize) -> bool {
        self.phone_word.is_match(&text[..start])
    }

    /// Whether a sign before a place ends a word that announces a phone number, as in `Tel.0171`.
    fn ends_name(&self, sign: char, text: &str, start: usize) -> bool {
        sign == '.' && self.is_named(text, start)
    }

    /// Whether a word follows that makes the number before it a quantity.
    fn counts(&self, text: &str, end: usize) -> bool {
        self.amount_word.is_match(&text[end..])
    }
}

/// No letter or digit beside, no sign of a price, a decimal number or a path.
fn stands_alone(before: Option<char>, after: Option<char>, rest: &str) -> bool {
    // Chinese and Japanese are written without spaces.
    let joins = |letter: char| {
        letter.is_numeric() || letter == '_' || (letter.is_alphabetic() && letter < '\u{2E80}')
    };
    let decimal = |rest: &str| {
        let mut letters = rest.chars();
        matches!(letters.next(), Some('.' | ',')) && letters.next().is_some_and(char::is_numeric)
    };
    !before.is_some_and(|letter| joins(letter) || "$€£¥#.,/+".contains(letter))
        && !after.is_some_and(|letter| joins(letter) || "%$€£¥/°".contains(letter))
        && !decimal(rest)
}

/// Whether a place lies in a word of letters, digits and hyphens, such as a hash or the number of a part.
fn within_identifier(text: &str, start: usize, end: usize) -> bool {
    let part = |letter: &char| letter.is_ascii_alphanumeric() || "-_".contains(*letter);
    let front = text[..start].chars().rev().take_while(part);
    let back = text[end..].chars().take_while(part);
    front
        .chain(back)
        .any(|letter| letter.is_ascii_alphanumeric())
}

/// Whether what looks like a date has a month and a day that there are; `false` for anything else.
fn impossible_date(found: &str) -> bool {
    let day = found.split([' ', 'T', ',']).next().unwrap_or_default();
    let parts: Vec<&str> = day.split(['-', '.', '/']).collect();
    let numbers: Vec<u32> = parts.iter().filter_map(|part| part.parse().ok()).collect();
    let (&[one, two, three], [first, _, _]) = (&numbers[..], &parts[..]) else {
        return false;
    };
    let (month, day) = if first.len() == 4 {
        (two, three)
    } else if first.len() <= 2 && two <= 31 {
        (one.min(two), one.max(two))
    } else {
        return first.len() <= 2;
    };
    !(1..=12).contains(&month) || !(1..=31).contains(&day)
}

fn is_host(found: &str) -> bool {
    let host = found.split('/').next().unwrap_or_default();
    let Some((name, end)) = host.rsplit_once('.') else {
        return false;
    };
    // "this evening.De repente": the end of one sentence and the beginning of the next.
    let sentence = end.starts_with(char::is_uppercase) && name.contains(char::is_lowercase);
    let framework =
        end.eq_ignore_ascii_case("net") && NO_HOST.contains(&name.to_lowercase().as_str());
    !(sentence || framework)
}

fn is_handle(text: &str, start: usize, end: usize) -> bool {
    let name = &text[start + 1..end];
    let first = name.split('.').next().unwrap_or_default();
    // "@5pm", "@3".
    let time = name.trim_end_matches("am").trim_end_matches("pm");
    let is_time = !time.is_empty() && time.chars().all(char::is_numeric);
    // "@app.route(...)", "@angular/core", "@media (...)".
    let called = text[end..].starts_with(['(', '/', '{', '<']);
    // `@click="go"`, `@update:model-value='...'`, "v-on:@click".
    let part = |letter: char| letter.is_ascii_alphanumeric() || ":._-".contains(letter);
    let attribute = text[end..].trim_start_matches(part);
    let bound = ["=\"", "='", "={"];
    let markup =
        bound.iter().any(|sign| attribute.starts_with(sign)) || text[..start].ends_with("v-on:");
    // "@Cacheable\npublic ...": an annotation before a declaration.
    let rest = text[end..].trim_start();
    let declares = [
        "def ",
        "class ",
        "async def ",
        "public ",
        "private ",
        "static ",
        "void ",
    ];
    let declaration = declares.iter().any(|word| rest.starts_with(word));
    !is_time && !called && !markup && !declaration && !CODE.contains(&first.to_lowercase().as_str())
}

/// Whether the check digits of an account number fit.
fn is_iban(found: &str) -> bool {
    let letters: Vec<char> = found.chars().filter(|letter| *letter != ' ').collect();
    if !(15..=34).contains(&letters.len()) {
        return false;
    }
    let moved = letters[4..].iter().chain(&letters[..4]);
    let rest = moved.fold(0_u32, |rest, letter| match letter.to_digit(36) {
        Some(value @ 0..=9) => (rest * 10 + value) % 97,
        Some(value) => (rest * 100 + value) % 97,
        None => 0,
    });
    rest == 1
}

impl Scrubber for Rules {
    fn find(&self, texts: &[&str]) -> Result<Vec<Vec<Span>>, StageError> {
        Ok(texts.iter().map(|text| self.spans(text)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrub::apply;
    use std::sync::LazyLock;

    static RULES: LazyLock<Rules> = LazyLock::new(Rules::new);

    fn scrubbed(text: &str) -> String {
        apply(text, &[RULES.spans(text)]).text
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
    fn finds_what_is_written_in_other_characters() {
        for (text, expected) in [
            ("bob(at)example.com now", "[EMAIL] now"),
            ("bob [at] mail.example.org", "[EMAIL]"),
            ("bob＠example.com", "[EMAIL]"),
            ("b\u{ad}ob@exam\u{ad}ple.com!", "[EMAIL]!"),
            ("bob@\u{200b}example.com", "[EMAIL]"),
            ("call (0)171 123 45 67", "call [PHONE]"),
            ("Tel.0171-1234567", "Tel.[PHONE]"),
            ("４１５－５５５－２６７１", "[PHONE]"),
            ("＋１ ４１５ ５５５ ２６７１", "[PHONE]"),
            ("+1\u{202f}415\u{202f}555\u{202f}2671", "[PHONE]"),
            ("01\u{202f}23\u{202f}45\u{202f}67\u{202f}89", "[PHONE]"),
            ("SSN 123 45 6789.", "SSN [NUMBER]."),
            ("see bit.ly/3abc, and t.me/x!", "see [URL], and [URL]!"),
            ("โทร\u{200b}0812345678", "โทร\u{200b}[PHONE]"),
            ("联系电话：１３８１２３４５６７８。", "联系电话：[PHONE]。"),
            ("邮箱，13812345678", "邮箱，[PHONE]"),
        ] {
            assert_eq!(scrubbed(text), expected, "{text}");
        }
        for text in [
            "look at example dot",
            "10²345 m² and 1½ 3456",
            "￥１２３４５６７ paid",
            "room 123 45 6789 b",
            "and/or him.her/their",
            "3.50\u{202f}€ or 1\u{202f}234\u{202f}567\u{202f}€",
            "👩\u{200d}👩\u{200d}👧 1\u{fe0f}\u{20e3} 2\u{fe0f}\u{20e3}",
        ] {
            assert_eq!(scrubbed(text), text);
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

    /// The labelled texts of tests/fixtures/scrub/traps.jsonl, which `measure-scrub` measures: everything marked is found
    /// under its kind, and nothing else is.
    #[test]
    fn labelled_traps() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/scrub/traps.jsonl"
        );
        let text = std::fs::read_to_string(path).unwrap();
        let mut wrong = Vec::new();
        for (line, text) in text.lines().enumerate() {
            let case: serde_json::Value = serde_json::from_str(text).unwrap();
            if case["unseen"] == true {
                continue;
            }
            let text = case["text"].as_str().unwrap();
            let found: Vec<serde_json::Value> = RULES
                .spans(text)
                .iter()
                .map(|span| serde_json::json!([span.kind, &text[span.start..span.end]]))
                .collect();
            if serde_json::Value::from(found.clone()) != case["pieces"] {
                wrong.push(format!(
                    "{}: {text}: {found:?}, not {}",
                    line + 1,
                    case["pieces"]
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// Account numbers are told from other words of their form by their check digits.
    #[test]
    fn account_numbers_are_checked() {
        assert!(is_iban("DE89 3704 0044 0532 0130 00"));
        assert!(is_iban("GB29NWBK60161331926819"));
        assert!(!is_iban("GB28NWBK60161331926819"));
        assert!(!is_iban("AB12CD34"));
    }
}
