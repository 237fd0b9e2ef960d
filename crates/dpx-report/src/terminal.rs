//! A study on a terminal: the summary table, the claim, and where the rest is.

use super::claim;
use super::compare::Comparison;
use super::study::Study;
use super::table::{ColumnId, Table, interval_note, summary};
use dpx_schema::printable_lines;

/// What follows the marked columns.
const FOOTNOTE: &str = "* internal: measured on private data, not covered by the DP guarantee";

pub(crate) const FLOOR_NOTE: &str = "word bags: the same classifier after bags of words from one private histogram at the row's budget; a model that does not beat them is not working yet";

/// The summary and the claim, at most `width` columns wide. Columns that do not fit are named below the table: the page and the
/// Markdown have all of them.
pub fn render(study: &Study, width: usize) -> String {
    let table = summary(study);
    let (drawn, hidden) = fitted(&table, width);
    let mut lines = vec![drawn];
    lines.extend(wrap(FOOTNOTE, width));
    if !hidden.is_empty() {
        let words = format!(
            "not shown at {width} columns: {} (`dpx report` with `--format md` has all)",
            hidden.join(", ")
        );
        lines.extend(wrap(&words, width));
    }
    if let Some(replicates) = repeated(study) {
        lines.push(format!(
            "± standard deviation over the n finished replicates of {replicates}"
        ));
    }
    if let Some(note) = interval_note(study) {
        lines.extend(wrap(note, width));
    }
    if study.rows.iter().any(|row| row.floor.is_some()) {
        lines.extend(wrap(FLOOR_NOTE, width));
    }
    if let Some(sentence) = claim::measured_with(study) {
        lines.extend(wrap(&sentence, width));
    }
    lines.push(String::new());
    lines.extend(wrap(&study.facts.sentence(&study.dpx_version), width));
    lines.push(String::new());
    lines.extend(wrap(&claim::claim(study), width));
    if let Some(sentence) = claim::fitness(study) {
        lines.extend(wrap(&sentence, width));
    }
    for warning in claim::warnings(study) {
        lines.extend(wrap(&format!("! {warning}"), width));
    }
    for note in &study.facts.notes {
        lines.extend(wrap(note, width));
    }
    if !study.findings.is_empty() {
        lines.push(String::new());
        lines.push("Data and texts (internal):".to_owned());
    }
    for (instance, found) in &study.findings {
        for line in found {
            lines.extend(wrap(&format!("{instance}: {line}"), width));
        }
    }
    printable_lines(&lines.join("\n"))
}

/// The most replicates that a row has, where there are several.
fn repeated(study: &Study) -> Option<u64> {
    let most = study.all_rows().map(|row| row.replicates).max()?;
    (most > 1).then_some(most)
}

/// A comparison, at most about `width` columns wide.
pub fn comparison(found: &Comparison, width: usize) -> String {
    let (settings, changes) = found.tables();
    let mut parts = Vec::new();
    if !found.warnings.is_empty() {
        let warnings = found.warnings.iter();
        let lines = warnings.flat_map(|warning| wrap(&format!("! {warning}"), width));
        parts.push(lines.collect::<Vec<_>>().join("\n"));
    }
    for (table, empty) in [
        (settings, "No setting differs."),
        (changes, "No figure differs."),
    ] {
        if table.rows.is_empty() {
            parts.push(empty.to_owned());
        } else {
            let mut table = table;
            let last = table.columns.len() - 1;
            for cells in &mut table.rows {
                for cell in &mut cells[1..last] {
                    *cell = shorten(cell, width / 4);
                }
                // Names differ at their ends.
                cells[0] = shorten_front(&cells[0], width * 2 / 5);
            }
            let rest: usize = (0..last)
                .map(|column| column_width(&table, column) + 2)
                .sum();
            let all: Vec<usize> = (0..=last).collect();
            parts.push(format!(
                "{}:\n{}",
                table.caption,
                draw(&table, &all, width.saturating_sub(rest + 1).max(20))
            ));
        }
    }
    for (rows, which) in [(&found.only_old, "first"), (&found.only_new, "second")] {
        if !rows.is_empty() {
            parts.push(format!("only in the {which}: {}", rows.join(", ")));
        }
    }
    parts.join("\n\n")
}

fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most - 1).collect();
    short.push('…');
    short
}

fn shorten_front(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let end = text.chars().skip(length + 1 - most);
    std::iter::once('…').chain(end).collect()
}

/// What a reader needs first, where there is no room for all columns; the row's name is always there.
const FIRST: [ColumnId; 16] = [
    ColumnId::Epsilon,
    ColumnId::Metric("accuracy"),
    ColumnId::Metric("accuracy_with_teacher"),
    ColumnId::Replicates,
    ColumnId::Verdict,
    ColumnId::Floor,
    ColumnId::Metric("mauve"),
    ColumnId::Metric("audit_lower"),
    ColumnId::Guarantee,
    ColumnId::Metric("accuracy_teacher_alone"),
    ColumnId::Metric("macro_f1"),
    ColumnId::Metric("macro_f1_with_teacher"),
    ColumnId::Time,
    ColumnId::Metric("similarity"),
    ColumnId::Prv,
    ColumnId::Rdp,
];

/// One table of the columns that fit, and the headings of those that do not.
fn fitted(table: &Table, width: usize) -> (String, Vec<String>) {
    let mut order: Vec<usize> = (1..table.columns.len()).collect();
    order.sort_by_key(|&column| {
        let id = table.columns[column].id;
        FIRST
            .iter()
            .position(|first| id == Some(*first))
            .unwrap_or(FIRST.len())
    });
    let mut used = 1 + column_width(table, 0);
    let mut shown = vec![0];
    for column in order {
        let own = column_width(table, column) + 2;
        if used + own <= width {
            used += own;
            shown.push(column);
        }
    }
    shown.sort_unstable();
    let hidden = (0..table.columns.len()).filter(|column| !shown.contains(column));
    let hidden = hidden.map(|column| table.columns[column].heading.clone());
    (draw(table, &shown, usize::MAX), hidden.collect())
}

/// The heading of a column in lines as narrow as its longest word and its cells allow.
fn heading(table: &Table, column: usize) -> Vec<String> {
    let mark = if table.columns[column].internal {
        "*"
    } else {
        ""
    };
    let name = format!("{}{mark}", table.columns[column].heading);
    // An arrow never stands alone on a line.
    let name = ["↑", "↓", "→"].iter().fold(name, |name, arrow| {
        name.replace(&format!(" {arrow}"), &format!("\u{1}{arrow}"))
    });
    let cells = table.rows.iter().map(|row| row[column].chars().count());
    let words = name.split(' ').map(|word| word.chars().count());
    let width = cells.chain(words).max().unwrap_or(0);
    wrap(&name, width)
        .into_iter()
        .map(|line| line.replace('\u{1}', " "))
        .collect()
}

fn column_width(table: &Table, column: usize) -> usize {
    let heading = heading(table, column);
    let cells = table.rows.iter().map(|row| row[column].chars().count());
    let heading = heading.iter().map(|line| line.chars().count());
    cells.chain(heading).max().unwrap_or(0)
}

/// The columns of a table with one rule under their headings. The last one is broken into lines of at most `last`.
fn draw(table: &Table, columns: &[usize], last: usize) -> String {
    let widths: Vec<usize> = columns
        .iter()
        .map(|&column| column_width(table, column))
        .collect();
    let headings: Vec<Vec<String>> = columns
        .iter()
        .map(|&column| heading(table, column))
        .collect();
    let tall = headings.iter().map(Vec::len).max().unwrap_or(1);
    let line = |cells: &[&str]| {
        let mut text = String::new();
        for ((cell, &column), &width) in cells.iter().zip(columns).zip(&widths) {
            text.push_str(if text.is_empty() { " " } else { "  " });
            let space = " ".repeat(width.saturating_sub(cell.chars().count()));
            if table.columns[column].numeric {
                text.push_str(&space);
                text.push_str(cell);
            } else {
                text.push_str(cell);
                text.push_str(&space);
            }
        }
        text.trim_end().to_owned()
    };
    let mut lines = Vec::new();
    for at in 0..tall {
        // Headings stand on the rule.
        let cells: Vec<&str> = headings
            .iter()
            .map(|heading| {
                let skip = tall - heading.len();
                if at < skip {
                    ""
                } else {
                    heading[at - skip].as_str()
                }
            })
            .collect();
        lines.push(line(&cells));
    }
    let rule = lines.len();
    let (&end, front) = columns.split_last().expect("a table has a column");
    for row in &table.rows {
        let parts = if row[end].chars().count() > last {
            wrap(&row[end], last)
        } else {
            vec![row[end].clone()]
        };
        for (at, part) in parts.iter().enumerate() {
            let mut cells: Vec<&str> = front
                .iter()
                .map(|&column| if at == 0 { row[column].as_str() } else { "" })
                .collect();
            cells.push(part);
            lines.push(line(&cells));
        }
    }
    let widest = lines
        .iter()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0);
    lines.insert(rule, "-".repeat(widest));
    lines.join("\n")
}

/// Breaks a sentence into lines of at most `width` characters.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
