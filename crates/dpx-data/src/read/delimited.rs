//! Records of delimited fields, with the lines where they and their quotation marks begin and end.

/// How fields are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    /// Between fields; one ASCII character.
    pub(super) delimiter: u8,
    /// Whether fields may stand in quotation marks.
    pub(super) quotes: bool,
    /// What takes the meaning from the next character; one ASCII character.
    pub(super) escape: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) text: String,
    /// Whether it stands in quotation marks.
    pub(super) quoted: bool,
    /// Whether it holds a line break.
    pub(super) spans: bool,
}

/// A record and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// The line where it begins, from 1.
    pub(super) line: u64,
    /// Its bytes, without the line break at its end.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) fields: Vec<Field>,
}

/// What is wrong with quotation marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The one opened in this line is never closed.
    Open(u64),
    /// Something stands between the one that closes a field opened in this line and the next delimiter.
    After(u64),
}

/// The byte that ends a line: `\n`, or `\r` in files that hold no `\n`.
pub(super) fn newline(text: &[u8]) -> u8 {
    if text.contains(&b'\n') || !text.contains(&b'\r') {
        b'\n'
    } else {
        b'\r'
    }
}

/// The lines of a text as an editor has them, without what ends them.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let newline = char::from(newline(text.as_bytes()));
    let lines = text.strip_suffix(newline).unwrap_or(text).split(newline);
    lines.map(|line| line.strip_suffix('\r').unwrap_or(line))
}

/// The records of a text. After a fault it goes on in the line after the one where the quotation mark was opened.
#[derive(Debug)]
pub(super) struct Records<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
    dialect: Dialect,
    /// The byte that ends a line: `\n`, or `\r` in files that hold no `\n`.
    newline: u8,
}

impl<'a> Records<'a> {
    pub(super) fn new(text: &'a str, dialect: Dialect) -> Self {
        let text = text.as_bytes();
        Self {
            text,
            at: 0,
            line: 1,
            dialect,
            newline: newline(text),
        }
    }

    /// The byte that ends a line.
    pub(super) const fn newline(&self) -> u8 {
        self.newline
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Whether a line ends here: at `\n`, `\r\n` or the end of the text.
    fn at_line_end(&self) -> bool {
        match self.peek() {
            None => true,
            Some(byte) if byte == self.newline => true,
            Some(b'\r') => matches!(self.text.get(self.at + 1), Some(b'\n') | None),
            Some(_) => false,
        }
    }

    /// Steps over a line break.
    fn end_line(&mut self) {
        if self.peek() == Some(b'\r') && self.newline == b'\n' {
            self.at += 1;
        }
        if self.peek() == Some(self.newline) {
            self.at += 1;
            self.line += 1;
        }
    }

    /// Steps over lines that hold nothing, or nothing but spaces.
    fn skip_blank(&mut self) {
        while self.at < self.text.len() {
            let rest = &self.text[self.at..];
            let length = rest
                .iter()
                .position(|byte| *byte == self.newline)
                .unwrap_or(rest.len());
            let blank = rest[..length]
                .iter()
                .all(|byte| *byte == b' ' || *byte == b'\r');
            if !blank {
                return;
            }
            self.at += length;
            self.end_line();
        }
    }

    /// Goes back to the opening quotation mark and on to the line after it.
    fn recover(&mut self, opened: usize, line: u64) {
        self.at = opened;
        self.line = line;
        while self.peek().is_some_and(|byte| byte != self.newline) {
            self.at += 1;
        }
        self.end_line();
    }

    fn push_escaped(&mut self, bytes: &mut Vec<u8>, escape: u8) {
        let next = self.text.get(self.at + 1).copied();
        let means = next.is_some_and(|next| {
            next == b'"'
                || next == escape
                || next == self.dialect.delimiter
                || next == b'\n'
                || next == b'\r'
        });
        if means {
            let next = next.unwrap_or(escape);
            bytes.push(next);
            if next == self.newline {
                self.line += 1;
            }
            self.at += 2;
        } else {
            bytes.push(escape);
            self.at += 1;
        }
    }

    fn quoted(&mut self) -> Result<Field, Fault> {
        let (opened, line) = (self.at, self.line);
        let mut bytes = Vec::new();
        self.at += 1;
        loop {
            match self.peek() {
                None => {
                    self.recover(opened, line);
                    return Err(Fault::Open(line));
                }
                Some(byte) if Some(byte) == self.dialect.escape => {
                    self.push_escaped(&mut bytes, byte);
                }
                Some(b'"') if self.text.get(self.at + 1) == Some(&b'"') => {
                    bytes.push(b'"');
                    self.at += 2;
                }
                Some(b'"') => {
                    self.at += 1;
                    break;
                }
                Some(byte) => {
                    if byte == self.newline {
                        self.line += 1;
                    }
                    bytes.push(byte);
                    self.at += 1;
                }
            }
        }
        // Spaces before the delimiter are what people type; more is not.
        while self.peek() == Some(b' ') && self.dialect.delimiter != b' ' {
            self.at += 1;
        }
        if self.peek() != Some(self.dialect.delimiter) && !self.at_line_end() {
            self.recover(opened, line);
            return Err(Fault::After(line));
        }
        Ok(Field {
            text: utf8(bytes),
            quoted: true,
            spans: self.line > line,
        })
    }

    fn plain(&mut self) -> Field {
        let line = self.line;
        let mut bytes = Vec::new();
        while !self.at_line_end() && self.peek() != Some(self.dialect.delimiter) {
            match self.peek() {
                Some(byte) if Some(byte) == self.dialect.escape => {
                    self.push_escaped(&mut bytes, byte);
                }
                Some(byte) => {
                    bytes.push(byte);
                    self.at += 1;
                }
                None => break,
            }
        }
        Field {
            text: utf8(bytes),
            quoted: false,
            spans: self.line > line,
        }
    }
}

/// Fields are cut at ASCII characters alone, so that whole characters stay whole.
fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("a piece of UTF-8 between ASCII characters is UTF-8")
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.skip_blank();
        if self.at >= self.text.len() {
            return None;
        }
        let (start, line) = (self.at, self.line);
        let mut fields = Vec::new();
        loop {
            let field = if self.dialect.quotes && self.peek() == Some(b'"') {
                match self.quoted() {
                    Ok(field) => field,
                    Err(fault) => return Some(Err(fault)),
                }
            } else {
                self.plain()
            };
            fields.push(field);
            if self.peek() != Some(self.dialect.delimiter) || self.at_line_end() {
                break;
            }
            self.at += 1;
        }
        let end = self.at;
        self.end_line();
        Some(Ok(Record {
            line,
            start,
            end,
            fields,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CSV: Dialect = Dialect {
        delimiter: b',',
        quotes: true,
        escape: None,
    };

    fn all(text: &str, dialect: Dialect) -> Vec<Result<(u64, Vec<String>), Fault>> {
        Records::new(text, dialect)
            .map(|record| {
                record.map(|record| {
                    let fields = record.fields.into_iter().map(|field| field.text);
                    (record.line, fields.collect())
                })
            })
            .collect()
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "compared with what reading a record gives"
    )]
    fn row(line: u64, fields: &[&str]) -> Result<(u64, Vec<String>), Fault> {
        Ok((line, fields.iter().map(|&field| field.to_owned()).collect()))
    }

    #[test]
    fn lines_are_those_of_an_editor() {
        let text = "a,b\r\n\r\n \r\n\"x\r\ny\",1\r\n\r\nz,2";
        assert_eq!(
            all(text, CSV),
            [
                row(1, &["a", "b"]),
                row(4, &["x\r\ny", "1"]),
                row(7, &["z", "2"])
            ]
        );
        assert_eq!(
            all("a,b\rc,d\r\r", CSV),
            [row(1, &["a", "b"]), row(2, &["c", "d"])]
        );
        // A lone carriage return among real line breaks is part of the text.
        assert_eq!(
            all("a\rb,c\nd,e\n", CSV),
            [row(1, &["a\rb", "c"]), row(2, &["d", "e"])]
        );
        assert_eq!(
            all(",\n,,", CSV),
            [row(1, &["", ""]), row(2, &["", "", ""])]
        );
    }

    #[test]
    fn faults_name_the_line_of_the_opening_and_cost_one_line() {
        assert_eq!(
            all("a,b\n\"x,1\ny,2\n", CSV),
            [
                row(1, &["a", "b"]),
                Err(Fault::Open(2)),
                row(3, &["y", "2"])
            ]
        );
        assert_eq!(
            all("\"a\"b,1\n\"a \\\"b\\\" c\",2\nd,3", CSV),
            [
                Err(Fault::After(1)),
                Err(Fault::After(2)),
                row(3, &["d", "3"])
            ]
        );
        assert_eq!(all("\"", CSV), [Err(Fault::Open(1))]);
        assert_eq!(all("5\" wide,\"a\" \n", CSV), [row(1, &["5\" wide", "a"])]);
    }

    #[test]
    fn escapes_and_plain_quotation_marks() {
        let escaped = Dialect {
            escape: Some(b'\\'),
            ..CSV
        };
        assert_eq!(
            all("\"a \\\"b\\\" \\\\ \\n\",x\\,y\n", escaped),
            [row(1, &["a \"b\" \\ \\n", "x,y"])]
        );
        assert_eq!(all("a\\\nb,c\nd,e", escaped)[1], row(3, &["d", "e"]));
        let none = Dialect {
            quotes: false,
            delimiter: b'\t',
            ..CSV
        };
        assert_eq!(
            all("\"a\tb\"\n\"\t\"", none),
            [row(1, &["\"a", "b\""]), row(2, &["\"", "\""])]
        );
    }

    proptest! {
        #[test]
        fn what_the_csv_crate_writes_is_read_back(rows in prop::collection::vec(prop::collection::vec("[ab,;\"\\\\\n\r\té ]{0,6}", 3), 1..8)) {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::NonNumeric).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let read: Vec<Vec<String>> = all(&text, CSV).into_iter().map(|record| record.unwrap().1).collect();
            prop_assert_eq!(read, rows);
        }

        #[test]
        fn no_text_makes_it_panic_or_run_on(text in "[ab,\"\\\\\n\ré]{0,60}") {
            for dialect in [CSV, Dialect { escape: Some(b'\\'), ..CSV }, Dialect { quotes: false, ..CSV }] {
                let lines = text.split(['\n', '\r']).count();
                let records: Vec<_> = Records::new(&text, dialect).collect();
                prop_assert!(records.len() <= lines + 1);
                for record in records.into_iter().flatten() {
                    prop_assert!(record.line as usize <= lines && record.start <= record.end);
                }
            }
        }
    }
}
