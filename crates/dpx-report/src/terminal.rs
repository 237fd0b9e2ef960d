//! A study on a terminal: the summary table, the claim, and where the rest is.

use super::claim;
use super::compare::Comparison;
use super::study::Study;
use super::table::{ColumnId, Table, interval_note, summary};
use dpx_schema::printable_lines;
use std::collections::BTreeMap;

pub(crate) const FLOOR_NOTE: &str = "word bags: the same classifier after bags of words from one private histogram at the row's budget; a model that does not beat them is not working yet";

/// The summary and the claim, at most `width` columns wide. Columns that do not fit are named below the table: the page and the
/// Markdown have all of them.
pub fn render(study: &Study, width: usize) -> String {
    let table = summary(study);
    let (drawn, hidden) = fitted(&table, width);
    let mut lines = vec![drawn];
    lines.extend(wrap(&format!("* {}", study.internal()), width));
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
    if let Some(note) = claim::few_texts(study) {
        lines.extend(wrap(&note, width));
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
        let whose = if study.rehearsal {
            "Data and texts of the stand-in:"
        } else {
            "Data and texts (internal):"
        };
        lines.push(whose.to_owned());
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

/// A comparison, at most `width` columns wide as far as names allow.
pub fn comparison(found: &Comparison, width: usize) -> String {
    let mut parts = Vec::new();
    if !found.warnings.is_empty() {
        let warnings = found.warnings.iter();
        let lines = warnings.flat_map(|warning| wrap(&format!("! {warning}"), width));
        parts.push(lines.collect::<Vec<_>>().join("\n"));
    }
    parts.push(settings(found.settings_table(), width));
    parts.push(changes(found, width));
    for (rows, which) in [(&found.only_old, "first"), (&found.only_new, "second")] {
        if !rows.is_empty() {
            let line = format!("only in the {which}: {}", rows.join(", "));
            parts.push(wrap(&line, width).join("\n"));
        }
    }
    parts.join("\n\n")
}

/// Settings that differ: values share what names leave, and are cut where they still differ.
fn settings(mut table: Table, width: usize) -> String {
    if table.rows.is_empty() {
        return "No setting differs.".to_owned();
    }
    for cells in &mut table.rows {
        // Names differ at their ends.
        cells[0] = shorten_front(&cells[0], width * 2 / 5);
    }
    let most = width.saturating_sub(column_width(&table, 0, usize::MAX) + 5) / 2;
    for cells in &mut table.rows {
        let [_, old, new] = cells.as_mut_slice() else {
            continue;
        };
        let same = old.chars().zip(new.chars());
        let same = same.take_while(|(old, new)| old == new).count();
        for cell in [old, new] {
            // What both begin with is left out where the difference would be cut off.
            if cell.chars().count() > most && same + 3 > most {
                let from = cell.chars().skip(same.saturating_sub(3));
                *cell = std::iter::once('…').chain(from).collect();
            }
            *cell = shorten(cell, most);
        }
    }
    format!(
        "{}:\n{}",
        table.caption,
        draw(&table, &[0, 1, 2], &Limits::default())
    )
}

/// Narrower than this no verdict is read.
const NARROWEST_VERDICT: usize = 12;

/// What the comparison did to each figure: intervals and deviations, then columns, are left out where there is no room, and told.
fn changes(found: &Comparison, width: usize) -> String {
    let [row, metric, old, new, verdict] = [0, 1, 2, 3, 4];
    let mut hidden = Vec::new();
    let mut table = found.changes_table(true);
    if table.rows.is_empty() {
        return "No figure differs.".to_owned();
    }
    let prepared = |table: &mut Table| {
        for cells in &mut table.rows {
            cells[row] = shorten_front(&cells[row], width * 2 / 5);
        }
    };
    prepared(&mut table);
    let room = |table: &Table, shown: &[usize]| {
        let used: usize = shown
            .iter()
            .map(|&column| column_width(table, column, usize::MAX) + 2)
            .sum();
        width.saturating_sub(used + 1)
    };
    if room(&table, &[row, metric, old, new]) < NARROWEST_VERDICT {
        table = found.changes_table(false);
        prepared(&mut table);
        hidden.push("deviations and intervals");
    }
    let mut shown = vec![row, metric, old, new];
    for column in [old, new] {
        if room(&table, &shown) < NARROWEST_VERDICT {
            shown.retain(|one| *one != column);
            hidden.push(if column == old { "old" } else { "new" });
        }
    }
    let limit = room(&table, &shown).max(NARROWEST_VERDICT);
    shown.push(verdict);
    let mut lines = wrap(&format!("{}:", table.caption), width);
    lines.push(draw(&table, &shown, &Limits::from([(verdict, limit)])));
    if !hidden.is_empty() {
        let words = format!(
            "not shown at {width} columns: {} (`--json` has all)",
            hidden.join(", ")
        );
        lines.extend(wrap(&words, width));
    }
    lines.join("\n")
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

/// The verdict is broken into lines of this width before it is left out.
const WRAPPED_VERDICT: usize = 14;

/// One table of the columns that fit, and the headings of those that do not.
fn fitted(table: &Table, width: usize) -> (String, Vec<String>) {
    let id = |column: usize| table.columns[column].id;
    let mut order: Vec<usize> = (1..table.columns.len()).collect();
    order.sort_by_key(|&column| {
        FIRST
            .iter()
            .position(|first| id(column) == Some(*first))
            .unwrap_or(FIRST.len())
    });
    let mut used = 1 + column_width(table, 0, usize::MAX);
    let mut shown = vec![0];
    let mut limits = Limits::default();
    let mut verdict_hidden = false;
    for column in order {
        // Word bags alone say less than the verdict, which knows of them.
        if id(column) == Some(ColumnId::Floor) && verdict_hidden {
            continue;
        }
        let whole = column_width(table, column, usize::MAX) + 2;
        if used + whole <= width {
            used += whole;
            shown.push(column);
            continue;
        }
        if id(column) == Some(ColumnId::Verdict) {
            let wrapped = column_width(table, column, WRAPPED_VERDICT) + 2;
            if used + wrapped <= width {
                used += wrapped;
                shown.push(column);
                limits.insert(column, WRAPPED_VERDICT);
            } else {
                verdict_hidden = true;
            }
        }
    }
    shown.sort_unstable();
    let hidden = (0..table.columns.len()).filter(|column| !shown.contains(column));
    let hidden = hidden.map(|column| table.columns[column].heading.clone());
    (draw(table, &shown, &limits), hidden.collect())
}

/// Columns whose cells are broken into lines, with the width of these.
type Limits = BTreeMap<usize, usize>;

fn broken(cell: &str, limit: usize) -> Vec<String> {
    if cell.chars().count() > limit {
        wrap(cell, limit)
    } else {
        vec![cell.to_owned()]
    }
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

/// Width of a column whose cells are broken into lines of at most `limit`.
fn column_width(table: &Table, column: usize, limit: usize) -> usize {
    let heading = heading(table, column);
    let cells = table
        .rows
        .iter()
        .flat_map(|row| broken(&row[column], limit));
    let lines = heading.into_iter().chain(cells);
    lines.map(|line| line.chars().count()).max().unwrap_or(0)
}

/// The columns of a table with one rule under their headings.
fn draw(table: &Table, columns: &[usize], limits: &Limits) -> String {
    let limit = |column: usize| limits.get(&column).copied().unwrap_or(usize::MAX);
    let widths: Vec<usize> = columns
        .iter()
        .map(|&column| column_width(table, column, limit(column)))
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
    for row in &table.rows {
        let cells: Vec<Vec<String>> = columns
            .iter()
            .map(|&column| broken(&row[column], limit(column)))
            .collect();
        let tall = cells.iter().map(Vec::len).max().unwrap_or(1);
        for at in 0..tall {
            let parts: Vec<&str> = cells
                .iter()
                .map(|parts| parts.get(at).map_or("", String::as_str))
                .collect();
            lines.push(line(&parts));
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

/// Text whose longer lines are broken between words. What follows of a line stands under its first column of words: behind the
/// last gap of two spaces or more in its first half, or four further than it begins.
pub fn wrapped(text: &str, width: usize) -> String {
    let lines = text.split('\n').flat_map(|line| wrapped_line(line, width));
    lines.collect::<Vec<_>>().join("\n")
}

fn wrapped_line(line: &str, width: usize) -> Vec<String> {
    let letters: Vec<char> = line.chars().collect();
    let start = letters.iter().take_while(|letter| **letter == ' ').count();
    let gap = (start + 3..letters.len().min(width / 2 + 1))
        .rfind(|&at| letters[at] != ' ' && letters[at - 1] == ' ' && letters[at - 2] == ' ');
    let hang = gap.unwrap_or(start + 4).min(width / 2);
    broken(&letters, width, gap.unwrap_or(start), hang)
}

/// A sentence, without the spaces it has too many, in lines of at most `width` characters.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let letters: Vec<char> = words.join(" ").chars().collect();
    broken(&letters, width, 0, 0)
}

/// A line broken at spaces, the first of them behind `begin`, so that each part fits where its words do; all parts but the first are
/// indented by `hang`.
fn broken(letters: &[char], width: usize, begin: usize, hang: usize) -> Vec<String> {
    if letters.len() <= width {
        return vec![letters.iter().collect()];
    }
    let mut lines = Vec::new();
    let mut rest = letters;
    let (mut indent, mut begin) = (0, begin);
    loop {
        let room = width.saturating_sub(indent);
        let cut = if rest.len() <= room {
            None
        } else {
            // The last space that fits; where a word is too long for that the first one behind it.
            let spaces = (begin + 1..rest.len()).filter(|&at| rest[at] == ' ');
            let fitting = spaces.clone().take_while(|at| *at <= room).last();
            fitting.or_else(|| spaces.min())
        };
        let part: String = rest[..cut.unwrap_or(rest.len())].iter().collect();
        lines.push(format!("{}{}", " ".repeat(indent), part.trim_end()));
        let Some(cut) = cut else {
            return lines;
        };
        let spaces = rest[cut..]
            .iter()
            .take_while(|letter| **letter == ' ')
            .count();
        rest = &rest[cut + spaces..];
        (indent, begin) = (hang, 0);
        if rest.is_empty() {
            return lines;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare::{Change, Verdict};
    use super::*;
    use dpx_stages::metric::{Interval, Spread};
    use serde_json::json;

    fn widest(text: &str) -> usize {
        text.lines().map(|line| line.chars().count()).max().unwrap()
    }

    #[test]
    fn a_comparison_fits_and_no_figure_is_cut() {
        let one = |mean| Spread {
            mean,
            sd: None,
            n: 1,
        };
        let interval = Interval {
            low: 0.875,
            high: 1.0,
        };
        let digests = ["a", "b"].map(|letter| json!(letter.repeat(64)));
        let [old, new] = digests;
        let found = Comparison {
            warnings: Vec::new(),
            settings: vec![
                (
                    "stage.preprocess.dataset (content)".into(),
                    Some(old),
                    Some(new),
                ),
                (
                    "stage.train.model".into(),
                    Some(json!(format!("{}one", "path/".repeat(30)))),
                    Some(json!(format!("{}two", "path/".repeat(30)))),
                ),
            ],
            only_old: (0..40).map(|row| format!("epsilon={row}")).collect(),
            only_new: Vec::new(),
            changes: vec![Change {
                row: "epsilon=inf".into(),
                figure: "accuracy_teacher_alone",
                old: Some(one(1.0)),
                new: Some(one(0.984)),
                old_interval: Some(interval),
                new_interval: Some(interval),
                verdict: Verdict::SingleRun,
                why: None,
            }],
        };
        for width in [60, 70, 100, 200] {
            let text = comparison(&found, width);
            assert!(widest(&text) <= width, "{width}: {text}");
            assert!(text.contains("one") && text.contains("two"), "{text}");
            let whole = text.contains("1.000 [0.875, 1.000]");
            assert_eq!(whole, !text.contains("not shown at"), "{width}: {text}");
            assert!(
                !text.contains("[0.875, …") && !text.contains("0.8…"),
                "{text}"
            );
            assert!(text.contains("0.984"), "{width}: {text}");
        }
        assert!(comparison(&found, 200).contains("1.000 [0.875, 1.000]"));
    }

    #[test]
    fn long_lines_are_broken_under_their_columns() {
        let line = "train@epsilon=8  run      `epochs` 3 -> 4; `label_column` \"category\" -> \"label\"; input `preprocess` changed";
        let text = wrapped(line, 60);
        assert!(widest(&text) <= 60, "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("train@epsilon=8  run      `epochs`"),
            "{text}"
        );
        assert!(lines[1].starts_with(&" ".repeat(26)), "{text}");
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&text), words(line));
        let advice = format!("  - {}", "word ".repeat(40));
        let text = wrapped(advice.trim_end(), 60);
        assert!(widest(&text) <= 60 && text.lines().nth(1).unwrap().starts_with("      word"));
        assert_eq!(wrapped("short\n\nlines", 60), "short\n\nlines");
        let path = format!("see {}", "x".repeat(90));
        assert_eq!(
            wrapped(&path, 60).replace([' ', '\n'], ""),
            path.replace(' ', "")
        );
    }
}
