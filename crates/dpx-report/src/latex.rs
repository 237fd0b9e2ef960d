//! The summary as a LaTeX table for a paper: booktabs, one row per row of the study, each figure with its spread or interval.

use super::metric::{Direction, METRICS, Metric, metric_of};
use super::study::{GuaranteeKind, Row, Study};
use super::table::{NOTHING, bound, has, number};
use std::fmt::Write;

/// The metrics of a table where none are named.
const USUAL: [&str; 6] = [
    "accuracy",
    "accuracy_with_teacher",
    "macro_f1",
    "macro_f1_with_teacher",
    "mauve",
    "audit_lower",
];

/// The metrics of these names, in their order; the usual ones that the study has where none are named.
///
/// # Errors
/// The first name that is no metric.
pub fn chosen(study: &Study, names: &[String]) -> Result<Vec<&'static Metric>, String> {
    if names.is_empty() {
        let usual = USUAL.iter().filter(|id| has(study, id));
        return Ok(usual.filter_map(|id| metric_of(id)).collect());
    }
    names
        .iter()
        .map(|name| metric_of(name).ok_or_else(|| name.clone()))
        .collect()
}

/// The ids of all metrics, for messages about unknown ones.
pub fn metric_names() -> impl Iterator<Item = &'static str> {
    METRICS.iter().map(|metric| metric.id)
}

/// The table, with what to load and what it holds as comments above it.
pub fn latex(study: &Study, metrics: &[&Metric]) -> String {
    let rows: Vec<&Row> = study.all_rows().collect();
    let most = rows
        .iter()
        .map(|row| row.replicates_finished)
        .max()
        .unwrap_or(1);
    let single = rows.iter().any(|row| !row.intervals.is_empty());
    let mut text = format!(
        "% Written by dpx {} from the study `{}`; needs \\usepackage{{booktabs}}.\n% Figures but epsilon are measured on private data: publishing them is not covered by the DP guarantee.\n\\begin{{table}}\n  \\centering\n",
        study.dpx_version,
        study.experiment.replace(char::is_control, " ")
    );
    let mut caption = format!("{}.", escaped(&study.title));
    if let Some(delta) = study.rows.iter().find_map(|row| row.guarantee.delta) {
        let _ = write!(
            caption,
            " Certified $\\varepsilon$ at $\\delta = {}$, rounded up.",
            scientific(&delta.to_string())
        );
    }
    if most > 1 {
        let _ = write!(
            caption,
            " Mean $\\pm$ standard deviation over up to {most} replicates."
        );
    }
    if single {
        caption.push_str(" Brackets: 95\\,\\% bootstrap intervals over the test texts of one run.");
    }
    let _ = writeln!(text, "  \\caption{{{caption}}}");
    let label: String = study
        .experiment
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
        .collect();
    let _ = writeln!(text, "  \\label{{tab:{label}}}");
    let _ = writeln!(
        text,
        "  \\begin{{tabular}}{{lr{}}}",
        "r".repeat(metrics.len())
    );
    let heads: Vec<String> = metrics
        .iter()
        .map(|metric| {
            let arrow = match metric.direction {
                Direction::Higher => "\\uparrow",
                Direction::Lower => "\\downarrow",
                Direction::Ceiling => "\\rightarrow",
            };
            format!("{} ${arrow}$", escaped(metric.name))
        })
        .collect();
    let _ = writeln!(
        text,
        "    \\toprule\n    Row & $\\varepsilon$ & {} \\\\\n    \\midrule",
        heads.join(" & ")
    );
    for row in rows {
        let mut cells = vec![escaped(&row.name), epsilon(row)];
        cells.extend(metrics.iter().map(|metric| cell(row, metric)));
        let _ = writeln!(text, "    {} \\\\", cells.join(" & "));
        if row.is_benchmark() {
            text.push_str("    \\midrule\n");
        }
    }
    if let Some(majority) = &study.majority {
        let cells: Vec<String> = metrics
            .iter()
            .map(|metric| match metric.id {
                "accuracy" => number(majority.accuracy, 3),
                "macro_f1" => number(majority.macro_f1, 3),
                _ => "--".into(),
            })
            .collect();
        let _ = writeln!(
            text,
            "    \\midrule\n    majority label & -- & {} \\\\",
            cells.join(" & ")
        );
    }
    text.push_str("    \\bottomrule\n  \\end{tabular}\n\\end{table}\n");
    text
}

fn epsilon(row: &Row) -> String {
    match (row.guarantee.kind, row.guarantee.epsilon) {
        _ if row.is_benchmark() => "--".into(),
        (GuaranteeKind::None, _) => "$\\infty$".into(),
        (GuaranteeKind::Seeded, _) => "none (seeded noise)".into(),
        (_, Some(epsilon)) if epsilon.is_finite() => bound(epsilon),
        (_, Some(_)) => "$\\infty$".into(),
        (_, None) => "--".into(),
    }
}

fn cell(row: &Row, metric: &Metric) -> String {
    let Some(found) = row.figures.get(metric.id) else {
        return "--".into();
    };
    let shown = |value: f64| match number(value, metric.decimals) {
        text if text == NOTHING => "--".into(),
        text if text == "inf" => "\\infty".to_owned(),
        text => text,
    };
    match (found.sd, row.intervals.get(metric.id)) {
        (Some(sd), _) => format!("${} \\pm {}$", shown(found.mean), shown(sd)),
        (None, Some(interval)) => format!(
            "${}$ \\small$[{}, {}]$",
            shown(found.mean),
            shown(interval.low),
            shown(interval.high)
        ),
        (None, None) => format!("${}$", shown(found.mean)),
    }
}

/// `4.2 \times 10^{-5}` of `4.2e-5`.
fn scientific(number: &str) -> String {
    match number.split_once('e') {
        Some((mantissa, exponent)) => format!("{mantissa} \\times 10^{{{exponent}}}"),
        None => number.to_owned(),
    }
}

/// Text with everything escaped that LaTeX would read as a command; control and directional characters are left out.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\textbackslash{}"),
            '{' | '}' | '$' | '&' | '#' | '_' | '%' => {
                out.push('\\');
                out.push(letter);
            }
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            letter if letter.is_control() || super::chart::svg::visible(letter) != letter => {
                out.push(' ');
            }
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpx_schema::Flow;

    #[test]
    fn a_table_for_a_paper() {
        let texts: Vec<String> = (0..9).map(|row| format!("text number {row}")).collect();
        let study = crate::tests::fake(&["anger", "joy"], &texts, Flow::Dp).study();
        let metrics = chosen(&study, &[]).unwrap();
        let text = latex(&study, &metrics);
        assert_eq!(
            text.matches("\\\\\n").count(),
            1 + 4 + 1,
            "head, rows, majority: {text}"
        );
        let lines: Vec<&str> = text.lines().filter(|line| line.ends_with("\\\\")).collect();
        for line in &lines {
            assert_eq!(line.matches(" & ").count(), metrics.len() + 1, "{line}");
        }
        assert!(
            text.contains("epsilon=8 & ") && text.contains(" \\pm "),
            "{text}"
        );
        assert!(text.contains("$\\infty$"), "{text}");
        assert_eq!(chosen(&study, &["nothing".into()]).unwrap_err(), "nothing");
        let one = chosen(&study, &["mauve".into()]).unwrap();
        assert!(latex(&study, &one).contains("{lrr}"));
    }

    #[test]
    fn names_cannot_command_latex() {
        assert_eq!(
            escaped("a_b & 50% \\input{x} #1 $y$ ~^\u{202e}\u{7}"),
            "a\\_b \\& 50\\% \\textbackslash{}input\\{x\\} \\#1 \\$y\\$ \\textasciitilde{}\\textasciicircum{}  "
        );
        assert_eq!(scientific("4.2e-5"), "4.2 \\times 10^{-5}");
    }
}
