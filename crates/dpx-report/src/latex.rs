//! The summary as a LaTeX table for a paper: booktabs, one row per row of the study, each figure with its spread or interval.

use super::metric::{Direction, METRICS, Metric, metric_of};
use super::study::{GuaranteeKind, Row, Study};
use super::table::{NOTHING, bound, has, number};
use dpx_stages::metric::Interval;
use std::collections::BTreeSet;
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

/// A metric as a column of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its name in results-long.csv, such as `accuracy` or `f1.LABEL`.
    id: String,
    name: String,
    direction: Direction,
    decimals: usize,
}

impl Shown {
    fn of(study: &Study, metric: &Metric) -> Self {
        Self {
            id: metric.id.to_owned(),
            name: study.said(metric.name).into_owned(),
            direction: metric.direction,
            decimals: metric.decimals,
        }
    }

    /// A metric of one label, attribute or kind, such as `f1.LABEL`, where a row has it.
    fn of_part(study: &Study, id: &str) -> Option<Self> {
        let (metric, part) = id.split_once('.')?;
        let known = study
            .all_rows()
            .any(|row| row.values.contains_key(id) || row.figures.contains_key(id));
        let of = metric_of(metric);
        let name = match (of, metric.strip_prefix("f1")) {
            (Some(of), _) => study.said(of.name).into_owned(),
            (None, Some(role)) => format!("F1{}", role.replace('_', " ")),
            (None, None) => metric.to_owned(),
        };
        known.then(|| Self {
            id: id.to_owned(),
            name: format!("{name} ({part})"),
            direction: of.map_or(Direction::Higher, |of| of.direction),
            decimals: of.map_or(3, |of| of.decimals),
        })
    }
}

/// The metrics of these names, in their order; the usual ones that the study has where none are named.
///
/// # Errors
/// The first name that is no metric.
pub fn chosen(study: &Study, names: &[String]) -> Result<Vec<Shown>, String> {
    if names.is_empty() {
        let usual = USUAL.iter().filter(|id| has(study, id));
        return Ok(usual
            .filter_map(|id| metric_of(id))
            .map(|metric| Shown::of(study, metric))
            .collect());
    }
    names
        .iter()
        .map(|name| {
            metric_of(name)
                .map(|metric| Shown::of(study, metric))
                .or_else(|| Shown::of_part(study, name))
                .ok_or_else(|| name.clone())
        })
        .collect()
}

/// The ids of all metrics and of those of single labels, for messages about unknown ones.
pub fn metric_names(study: &Study) -> BTreeSet<String> {
    let of_rows = study.all_rows().flat_map(|row| row.values.keys().cloned());
    let all = METRICS.iter().map(|metric| metric.id.to_owned());
    all.chain(of_rows).collect()
}

/// The table, with what to load and what it holds as comments above it.
pub fn latex(study: &Study, metrics: &[Shown]) -> String {
    let rows: Vec<&Row> = study.all_rows().collect();
    let most = rows
        .iter()
        .map(|row| row.replicates_finished)
        .max()
        .unwrap_or(1);
    let single = rows
        .iter()
        .any(|row| metrics.iter().any(|metric| interval(row, metric).is_some()));
    let mut text = format!(
        "% Written by dpx {} from the study `{}`; needs \\usepackage{{booktabs}}.\n% Figures but epsilon are {}.\n\\begin{{table}}\n  \\centering\n",
        study.dpx_version,
        study.experiment.replace(char::is_control, " "),
        study.internal()
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
            format!("{} ${arrow}$", escaped(&metric.name))
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
            .map(|metric| match metric.id.as_str() {
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

/// The interval that stands in brackets: where one run has no deviation.
fn interval<'a>(row: &'a Row, metric: &Shown) -> Option<&'a Interval> {
    let found = row.figures.get(&metric.id)?;
    row.intervals.get(&metric.id).filter(|_| found.sd.is_none())
}

fn cell(row: &Row, metric: &Shown) -> String {
    let Some(found) = row.figures.get(&metric.id) else {
        return "--".into();
    };
    let shown = |value: f64| match number(value, metric.decimals) {
        text if text == NOTHING => "--".into(),
        text if text == "inf" => "\\infty".to_owned(),
        text => text,
    };
    match (found.sd, interval(row, metric)) {
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
    use dpx_schema::ReleaseLabel;

    #[test]
    fn a_table_for_a_paper() {
        let texts: Vec<String> = (0..9).map(|row| format!("text number {row}")).collect();
        let study = crate::tests::fake(&["anger", "joy"], &texts, ReleaseLabel::Dp).study();
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
    fn brackets_are_explained_where_some_stand() {
        let texts: Vec<String> = (0..9).map(|row| format!("text number {row}")).collect();
        let mut study = crate::tests::fake(&["anger", "joy"], &texts, ReleaseLabel::Dp).study();
        let single = dpx_stages::metric::Spread {
            mean: 0.5,
            sd: None,
            n: 1,
        };
        for row in study.rows.iter_mut().chain(&mut study.benchmark) {
            row.intervals.clear();
        }
        let row = &mut study.rows[0];
        let interval = Interval {
            low: 0.4,
            high: 0.6,
        };
        row.intervals.insert("accuracy".into(), interval);
        row.figures.insert("accuracy".into(), single);
        let table = |name: &str| latex(&study, &chosen(&study, &[name.to_owned()]).unwrap());
        let text = table("accuracy");
        assert!(
            text.contains("Brackets") && text.contains("[0.400, 0.600]"),
            "{text}"
        );
        let text = table("mauve");
        assert!(!text.contains("Brackets"), "{text}");
    }

    #[test]
    fn metrics_of_a_label_are_chosen_by_the_names_that_long_prints() {
        let texts: Vec<String> = (0..9).map(|row| format!("text number {row}")).collect();
        let study = crate::tests::fake(&["anger", "joy"], &texts, ReleaseLabel::Dp).study();
        let names = ["f1.joy".to_owned(), "accuracy".to_owned()];
        let all = crate::export::long_csv(&study, &[]).unwrap();
        assert!(all.contains(",f1.joy,"), "{all}");
        let long = crate::export::long_csv(&study, &names[..1]).unwrap();
        assert!(
            long.lines().skip(1).all(|line| line.contains(",f1.joy,")),
            "{long}"
        );
        assert!(long.lines().count() > 1);
        let text = latex(&study, &chosen(&study, &names).unwrap());
        assert!(
            text.contains("F1 (joy) $\\uparrow$") && text.contains("{lrrr}"),
            "{text}"
        );
        assert_eq!(
            chosen(&study, &["f1.nobody".into()]).unwrap_err(),
            "f1.nobody"
        );
        assert!(metric_names(&study).contains("f1.joy"));
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
