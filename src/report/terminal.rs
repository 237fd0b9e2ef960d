//! A study on a terminal: the summary table, the claim, and where the rest is.

use super::claim;
use super::compare::Comparison;
use super::study::Study;
use super::table::{Column, Table, summary};
use comfy_table::{CellAlignment, ContentArrangement, Table as Grid};

/// What follows the marked columns.
const FOOTNOTE: &str = "* outside the guarantee: measured on private data, for internal use only";

/// The summary and the claim, at most `width` columns wide. Columns that do not fit are dropped from the right, and said.
pub fn render(study: &Study, width: usize) -> String {
    let table = summary(study);
    let (text, dropped) = fit(&table, width);
    let mut lines = vec![text, FOOTNOTE.to_owned()];
    if !dropped.is_empty() {
        lines.extend(wrap(
            &format!("not shown at {width} columns: {}", dropped.join(", ")),
            width,
        ));
    }
    lines.push(String::new());
    lines.extend(wrap(&claim::claim(study), width));
    for warning in claim::warnings(study) {
        lines.extend(wrap(&format!("! {warning}"), width));
    }
    lines.join("\n")
}

/// A comparison, at most about `width` columns wide.
pub fn comparison(found: &Comparison, width: usize) -> String {
    let (settings, changes) = found.tables();
    let mut parts = Vec::new();
    for (table, empty) in [
        (settings, "No setting differs."),
        (changes, "No figure differs."),
    ] {
        if table.rows.is_empty() {
            parts.push(empty.to_owned());
        } else {
            let mut table = table;
            for cell in table.rows.iter_mut().flatten() {
                *cell = shorten(cell, width / 3);
            }
            parts.push(format!(
                "{}:\n{}",
                table.caption,
                draw(&table, table.columns.len())
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

fn fit(table: &Table, width: usize) -> (String, Vec<String>) {
    let mut kept = table.columns.len();
    loop {
        let text = draw(table, kept);
        let widest = text
            .lines()
            .map(|line| line.chars().count())
            .max()
            .unwrap_or(0);
        if widest <= width || kept <= 2 {
            let dropped = table.columns[kept..]
                .iter()
                .map(|column| column.name.clone())
                .collect();
            return (text, dropped);
        }
        kept -= 1;
    }
}

/// A grid with one rule under its heading. Characters that a terminal may lack are only in the cells.
fn draw(table: &Table, kept: usize) -> String {
    let mut grid = Grid::new();
    grid.load_style(comfy_table::presets::NOTHING);
    grid.set_content_arrangement(ContentArrangement::Disabled);
    let heading = |column: &Column| {
        let mark = if column.internal { "*" } else { "" };
        format!("{}{mark}", column.name)
    };
    let headings: Vec<String> = table.columns[..kept].iter().map(heading).collect();
    grid.set_header(headings);
    for row in &table.rows {
        grid.add_row(row[..kept].to_vec());
    }
    for (index, column) in table.columns[..kept].iter().enumerate() {
        if column.numeric
            && let Some(column) = grid.column_mut(index)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = grid.to_string();
    let widest = text
        .lines()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0);
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.insert(1.min(lines.len()), "-".repeat(widest));
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
