//! From TOML text to a tree with places; every syntax error at once.

use super::diagnostic::{Code, Diagnostic};
use super::files::{Files, Origin};
use super::node::{Entry, Node, Table, Value};
use std::collections::HashSet;
use toml::de::{DeTable, DeValue};

/// A text read as far as possible.
#[derive(Debug)]
pub(super) struct Parsed {
    /// What could be read.
    pub(super) table: Table,
    /// What could not.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Whether the tree is whole enough to look for further mistakes in it.
    pub(super) usable: bool,
}

/// Parses a text of the [`Files`].
pub(super) fn parse(file: u32, files: &Files) -> Parsed {
    let text = &files.by_number(file).text;
    let (tree, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        file,
        diagnostics: Vec::new(),
    };
    let usable = errors.iter().all(|error| {
        // After these the parser goes on where the author would: no mistake of the reader's shows up as the author's.
        error.message().starts_with("duplicate key")
            || error.message().starts_with("string values must be quoted")
    });
    reader.syntax(text, &errors);
    let table = reader.table(tree.get_ref());
    Parsed {
        table,
        diagnostics: reader.diagnostics,
        usable,
    }
}

struct Reader {
    file: u32,
    diagnostics: Vec<Diagnostic>,
}

impl Reader {
    fn origin(&self, range: std::ops::Range<usize>) -> Origin {
        Origin::new(self.file, range)
    }

    /// One diagnostic per line; once a list is broken, all that follows is noise.
    fn syntax(&mut self, text: &str, errors: &[toml::de::Error]) {
        let mut lines = HashSet::new();
        let mut list_broken = false;
        // Counted on from one mistake to the next, since a long file may have many.
        let (mut line, mut counted) = (0, 0);
        let mut errors: Vec<_> = errors
            .iter()
            .map(|error| (error.span().unwrap_or(0..0), error))
            .collect();
        errors.sort_by_key(|(range, _)| range.start);
        for (range, error) in errors {
            let start = range.start.min(text.len());
            line += text[counted..start].matches('\n').count();
            counted = start;
            let in_list = error.message().contains("array");
            if list_broken {
                break;
            }
            if !lines.insert(line) {
                continue;
            }
            list_broken = in_list;
            let origin = self.origin(visible(text, range));
            let mut diagnostic = Diagnostic::at(
                Code::Syntax,
                origin,
                format!("not TOML: {}", error.message()),
            );
            if in_list {
                diagnostic = diagnostic.help(
                    "is the list before this closed with `]`, with commas between its items?",
                );
            } else if error.message().starts_with("duplicate key") {
                diagnostic = diagnostic.help("keep one of the two");
            } else if error.message().starts_with("string values must be quoted") {
                let word = &text[origin.range()];
                if !word.contains(['"', '\n', '\\']) {
                    diagnostic = diagnostic
                        .help("put it in quotes")
                        .fix(origin, format!("\"{word}\""));
                }
            }
            self.diagnostics.push(diagnostic);
        }
    }

    fn table(&mut self, table: &DeTable<'_>) -> Table {
        let mut entries: Vec<_> = table.iter().collect();
        // The parser sorts by name; the order in the file decides the order of stages, axes and messages.
        entries.sort_by_key(|(key, _)| (key.span().start, key.span().end));
        let entries = entries
            .into_iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                key_origin: self.origin(key.span()),
                node: self.node(value.get_ref(), self.origin(value.span())),
            })
            .collect();
        Table { entries }
    }

    fn node(&mut self, value: &DeValue<'_>, origin: Origin) -> Node {
        let value = match value {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
                .map_or_else(
                    |_| {
                        self.diagnostics.push(Diagnostic::at(
                            Code::IntegerTooLarge,
                            origin,
                            "this whole number is far too large",
                        ));
                        Value::Integer(0)
                    },
                    Value::Integer,
                ),
            DeValue::Float(number) => {
                let parsed: f64 = number.as_str().parse().unwrap_or(f64::NAN);
                if parsed.is_infinite() && !number.as_str().contains("inf") {
                    self.diagnostics.push(Diagnostic::at(
                        Code::OutOfRange,
                        origin,
                        "this number is larger than the largest 64-bit float",
                    ));
                }
                Value::Float(parsed)
            }
            DeValue::Boolean(flag) => Value::Boolean(*flag),
            DeValue::Datetime(date) => Value::Datetime(date.to_string()),
            DeValue::Array(items) => Value::Array(
                items
                    .iter()
                    .map(|item| self.node(item.get_ref(), self.origin(item.span())))
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node { value, origin }
    }
}

/// Widens an empty range to one character, so that there is something to underline.
fn visible(text: &str, range: std::ops::Range<usize>) -> std::ops::Range<usize> {
    if range.start < range.end {
        return range;
    }
    let start = range.start.min(text.len());
    match text[start..].chars().next() {
        Some(character) if character != '\n' => start..start + character.len_utf8(),
        _ => start..start,
    }
}
