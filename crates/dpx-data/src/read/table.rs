//! csv, tsv, and lines of `text;label`: rows from records, what quotation marks mean, rows that a stray one would swallow.

use super::delimited::{Dialect, Fault, Record, Records, lines, newline};
use super::swallowed::{Look, Span};
use super::{
    Columns, LONGEST, RawRow, extension, is_name, missing, no_header, same, too_long, twice,
};
use crate::DataError;
use crate::error::Problems;
use crate::labels::{RawLabel, normal};
use dpx_schema::params::Quoting;
use std::path::Path;

/// Rows that are compared with the first line to see whether it is a header.
const COMPARED: usize = 10_000;

/// Reads a file with a header.
pub(super) fn read(
    text: &str,
    path: &Path,
    columns: &Columns<'_>,
    problems: &mut Problems,
) -> Result<Vec<RawRow>, DataError> {
    let (text, skipped, delimiter) = start(text, path, columns.delimiter);
    let dialect = Dialect {
        delimiter,
        quotes: columns.quoting != Some(Quoting::None),
        escape: columns.escape.and_then(|escape| u8::try_from(escape).ok()),
    };
    let file = File {
        text,
        skipped,
        path,
        columns,
    };
    if columns.quoting.is_some() || delimiter != b'\t' {
        let read = file.rows(dialect)?;
        return Ok(read.into_rows(path, problems));
    }
    file.tabs(dialect, problems)
}

/// The fields of the header.
pub(super) fn columns(text: &str, path: &Path) -> Result<Vec<String>, DataError> {
    let (text, skipped, delimiter) = start(text, path, None);
    let dialect = Dialect {
        delimiter,
        quotes: true,
        escape: None,
    };
    match Records::new(text, dialect).next() {
        Some(Ok(record)) => Ok(record
            .fields
            .iter()
            .map(|field| field.text.trim().to_owned())
            .collect()),
        Some(Err(fault)) => {
            let (line, problem) = explain(fault, text, dialect);
            Err(DataError::line(path, line + skipped, problem))
        }
        None => Err(DataError::line(path, 1, "the file is empty")),
    }
}

/// The text from its header on, lines before it, and the delimiter: the one that is said, that of a first line `sep=;` as
/// Excel writes it, the tab of a .tsv file, or the one that the header has most of; of equals the comma.
fn start<'a>(text: &'a str, path: &Path, said: Option<char>) -> (&'a str, u64, u8) {
    let (first, rest) = text.split_once(['\n', '\r']).unwrap_or((text, ""));
    let declared = first
        .strip_prefix("sep=")
        .and_then(|rest| u8::try_from(rest.chars().next()?).ok());
    let (text, skipped) = match declared {
        Some(_) if text[first.len()..].starts_with("\r\n") => (&rest[1..], 1),
        Some(_) => (rest, 1),
        None => (text, 0),
    };
    let said = said.and_then(|delimiter| u8::try_from(delimiter).ok());
    if let Some(delimiter) = said.or(declared) {
        return (text, skipped, delimiter);
    }
    if extension(path) == "tsv" {
        return (text, skipped, b'\t');
    }
    let header = text
        .split(['\n', '\r'])
        .find(|line| !line.trim().is_empty())
        .unwrap_or("");
    let count = |delimiter: u8| {
        let mut inside = false;
        header
            .bytes()
            .filter(|byte| {
                inside ^= *byte == b'"';
                !inside && *byte == delimiter
            })
            .count()
    };
    let most = [b'|', b'\t', b';', b',']
        .into_iter()
        .max_by_key(|delimiter| count(*delimiter));
    (text, skipped, most.unwrap_or(b','))
}

/// What is wrong with quotation marks, and what to do.
fn explain(fault: Fault, text: &str, dialect: Dialect) -> (u64, String) {
    let (line, what) = match fault {
        Fault::Open(line) => (
            line,
            "a quotation mark opens a field here and is never closed",
        ),
        Fault::After(line) => (
            line,
            "a quotation mark opens a field here, and where it is closed no delimiter or line end follows",
        ),
    };
    let hint = if dialect.escape.is_none() && text.contains("\\\"") {
        "the file seems to write quotation marks inside a text with a backslash: set `escape = \"\\\\\"`"
    } else {
        "double the quotation marks inside a text, or set `quoting = \"none\"` if they are part of the texts"
    };
    (line, format!("{what}: {hint}"))
}

/// Rows and problems of one way to read a file.
struct Read {
    rows: Vec<RawRow>,
    problems: Vec<(u64, String)>,
    /// The header is quoted throughout, as by writers that quote every name.
    quoted_header: bool,
    /// The line of a field that stands in quotation marks without need: none inside, no delimiter, no line break.
    needless: Option<u64>,
    /// A field needed its quotation marks.
    needed: bool,
}

impl Read {
    fn into_rows(self, path: &Path, problems: &mut Problems) -> Vec<RawRow> {
        for (line, problem) in self.problems {
            problems.add(path, line, problem);
        }
        self.rows
    }
}

struct File<'a> {
    text: &'a str,
    skipped: u64,
    path: &'a Path,
    columns: &'a Columns<'a>,
}

impl File<'_> {
    /// A tab-separated file rarely quotes: the reading that fits the whole file counts; where both do, and differ, the user
    /// is asked.
    fn tabs(&self, dialect: Dialect, problems: &mut Problems) -> Result<Vec<RawRow>, DataError> {
        let plain = Dialect {
            quotes: false,
            ..dialect
        };
        let begins = |field: &str| field.starts_with('"');
        let marks = self
            .text
            .split(['\n', '\r'])
            .any(|line| line.split('\t').any(begins));
        if !marks {
            return Ok(self.rows(plain)?.into_rows(self.path, problems));
        }
        let quoted = match self.rows(dialect) {
            Ok(quoted) if quoted.problems.is_empty() => quoted,
            failed => {
                if let Some(line) = self.escaped(dialect) {
                    return Err(DataError::line(
                        self.path,
                        line,
                        "quotation marks inside a text are written with a backslash here, and nothing tells whether those around it are part of the text: set `escape = \"\\\\\"` if they are not, or `quoting = \"none\"` if they are",
                    ));
                }
                let plain = self.rows(plain);
                return match (plain, failed) {
                    (Ok(plain), _) if plain.problems.is_empty() => {
                        Ok(plain.into_rows(self.path, problems))
                    }
                    (_, Ok(quoted)) => Ok(quoted.into_rows(self.path, problems)),
                    (Ok(plain), Err(_)) => Ok(plain.into_rows(self.path, problems)),
                    (Err(_), Err(error)) => Err(error),
                };
            }
        };
        if quoted.needed || quoted.quoted_header {
            return Ok(quoted.into_rows(self.path, problems));
        }
        if let Some(line) = quoted.needless {
            problems.add(
                self.path,
                line,
                "a field stands in quotation marks, and nothing tells whether they are part of the text: set `quoting = \"none\"` if they are, or \"double\" if they are not",
            );
        }
        Ok(quoted.into_rows(self.path, problems))
    }

    /// The first line with `\"`, where that is read as an escape the file fits whole, and needs its quotation marks.
    fn escaped(&self, dialect: Dialect) -> Option<u64> {
        let at = self.text.find("\\\"")?;
        if dialect.escape.is_some() {
            return None;
        }
        let escape = Some(b'\\');
        let read = self.rows(Dialect { escape, ..dialect }).ok()?;
        let fits = read.problems.is_empty() && read.needed;
        let newline = char::from(newline(self.text.as_bytes()));
        fits.then(|| self.text[..at].matches(newline).count() as u64 + 1 + self.skipped)
    }

    /// What is wrong where a column is not there. A first line that has what rows have is none of names, and is not shown.
    fn missing(&self, name: &str, key: &str, header: &Record, rows: Records<'_>) -> String {
        let names = || header.fields.iter().map(|field| field.text.trim());
        let labels = self.columns.labels.iter();
        let labels: Vec<String> = labels.map(|label| normal(label)).collect();
        let is_value = |name: &str| {
            labels.contains(&normal(name)) || name.parse::<f64>().is_ok_and(f64::is_finite)
        };
        let mut rows = rows.flatten().take(COMPARED);
        let mut recurs = || {
            rows.any(|row| {
                let mut pairs = row.fields.iter().zip(names());
                pairs.any(|(field, name)| !name.is_empty() && field.text.trim() == name)
            })
        };
        if names().any(is_value) || recurs() {
            return no_header(name, key);
        }
        missing(name, key, names())
    }

    fn rows(&self, dialect: Dialect) -> Result<Read, DataError> {
        let fail =
            |line: u64, problem: String| DataError::line(self.path, line + self.skipped, problem);
        let mut records = Records::new(self.text, dialect);
        let newline = records.newline();
        let header = match records.next() {
            Some(Ok(header)) => header,
            Some(Err(fault)) => {
                let (line, problem) = explain(fault, self.text, dialect);
                return Err(fail(line, problem));
            }
            None => return Err(fail(1, "the file is empty".to_owned())),
        };
        let names = || header.fields.iter().map(|field| field.text.as_str());
        if let Some(problem) = twice(names()) {
            return Err(fail(header.line, problem));
        }
        let find = |name: &str, key: &str| {
            let place = names().position(|column| same(column.trim(), name.trim()));
            place.ok_or_else(|| {
                let rows = Records::new(&self.text[header.end..], dialect);
                fail(header.line, self.missing(name, key, &header, rows))
            })
        };
        let label_key = self.columns.label_key();
        let others = self.columns.others.iter();
        let shape = Shape {
            text: find(self.columns.text, self.columns.text_key())?,
            label: match find(self.columns.label, label_key) {
                // Behind the last one: rows have the one label that is declared.
                _ if self.columns.label.is_empty() => header.fields.len(),
                Err(_) if self.columns.only_label().is_some() => header.fields.len(),
                label => label?,
            },
            others: others
                .map(|name| find(name, label_key))
                .collect::<Result<_, _>>()?,
            fields: header.fields.len(),
        };
        let mut read = Read {
            rows: Vec::new(),
            problems: Vec::new(),
            quoted_header: header.fields.iter().all(|field| field.quoted),
            needless: None,
            needed: false,
        };
        let declared = self.columns.labels;
        let mut look = Look::new(shape.text, shape.label, shape.fields, newline, declared);
        let mut spanning = Vec::new();
        for record in records {
            match record {
                Ok(record) => {
                    self.row(record, &shape, dialect, &mut read, &mut look, &mut spanning);
                }
                Err(fault) => {
                    let (line, problem) = explain(fault, self.text, dialect);
                    read.problems.push((line + self.skipped, problem));
                }
            }
        }
        // Whoever says that quotation marks enclose fields is believed.
        if self.columns.quoting.is_none() {
            const HINT: &str = "close it, set `quoting = \"none\"` if quotation marks are part of the texts, or \"double\" if all is right";
            let (swallowed, others): (Vec<Span>, Vec<Span>) = spanning
                .into_iter()
                .partition(|span| look.swallows(self.text, span, dialect));
            for span in swallowed {
                read.problems.push((
                    span.line + self.skipped,
                    format!("a quotation mark opens a text here that goes on over what looks like rows: {HINT}"),
                ));
            }
            if let Some((line, lines)) = look.outlier(self.text, &others) {
                read.problems.push((
                    line + self.skipped,
                    format!("a quotation mark opens a text here that goes on over {lines} lines, as no other does: {HINT}"),
                ));
            }
        }
        read.problems.sort_by_key(|(line, _)| *line);
        Ok(read)
    }

    fn row(
        &self,
        record: Record,
        shape: &Shape,
        dialect: Dialect,
        read: &mut Read,
        look: &mut Look,
        spanning: &mut Vec<Span>,
    ) {
        let line = record.line + self.skipped;
        for field in record.fields.iter().filter(|field| field.quoted) {
            let need = field.spans
                || field.text.contains('"')
                || field.text.bytes().any(|byte| byte == dialect.delimiter);
            read.needed |= need;
            if !need && read.needless.is_none() {
                read.needless = Some(line);
            }
        }
        let found = record.fields.len();
        if let Some(field) = record.fields.iter().position(|field| field.spans) {
            spanning.push(Span {
                line: record.line,
                start: record.start,
                end: record.end,
                field,
            });
        } else {
            look.add(&record.fields);
        }
        if found != shape.fields {
            read.problems.push((
                line,
                format!(
                    "{found} fields where the header has {}: quote texts that hold the delimiter",
                    shape.fields
                ),
            ));
            return;
        }
        let mut fields = record.fields;
        let text = fields[shape.text].text.clone();
        let others = shape.others.iter();
        let others = others
            .map(|at| RawLabel::Text(fields[*at].text.clone()))
            .collect();
        let (label, assumed) = match fields.get_mut(shape.label) {
            Some(field) => (RawLabel::Text(std::mem::take(&mut field.text)), false),
            None => (self.columns.only_label().unwrap_or(RawLabel::Missing), true),
        };
        if text.len() > LONGEST {
            read.problems.push((line, too_long(text.len())));
            return;
        }
        read.rows.push(RawRow {
            line,
            text,
            label,
            assumed,
            others,
        });
    }
}

/// The columns of a file.
struct Shape {
    text: usize,
    label: usize,
    others: Vec<usize>,
    fields: usize,
}

/// Reads lines of `text;label` without a header.
pub(super) fn read_pairs(
    text: &str,
    path: &Path,
    columns: &Columns<'_>,
    problems: &mut Problems,
) -> Vec<RawRow> {
    let delimiter = columns.delimiter.unwrap_or(';');
    let mut rows = Vec::new();
    for (number, line) in lines(text).enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let number = number as u64 + 1;
        let Some((text, name)) = line.rsplit_once(delimiter) else {
            problems.add(
                path,
                number,
                format!(
                    "no `{0}` in the line: expected `text{0}label`",
                    delimiter.escape_debug()
                ),
            );
            continue;
        };
        let header = [(text, columns.text), (name, columns.label)];
        if number == 1
            && header
                .iter()
                .all(|(found, name)| is_name(found.trim()) && found.trim() == *name)
        {
            continue;
        }
        rows.push(RawRow {
            line: number,
            text: text.to_owned(),
            label: RawLabel::Text(name.to_owned()),
            assumed: false,
            others: Vec::new(),
        });
    }
    rows
}
