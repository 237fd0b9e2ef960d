//! The charts as files that stand alone, for papers and slides: SVG with its own style, and PDF.

mod pdf;

use super::chart::budget;
use super::page;
use super::study::Study;
use std::fmt::Write;

const CSS: &str = include_str!("../templates/report.css");

/// A chart of the page, as files that stand alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Name of its files, without ending.
    pub name: String,
    /// What it shows, as the page's caption has it.
    pub caption: String,
    /// SVG 1.1 with its style inside; light colors, no background.
    pub svg: String,
    /// PDF 1.4, one page of the picture's size.
    pub pdf: Vec<u8>,
    /// Characters that the fonts of every PDF reader lack; a question mark stands for each in the PDF.
    pub replaced: usize,
}

/// Every chart of the page, in its order.
pub fn pictures(study: &Study) -> Vec<Picture> {
    let mut charts = page::tradeoff(study);
    charts.extend(budget::draw(study).map(|svg| {
        let caption = "Certified upper bounds of epsilon with what each accountant gives, and what audits found.";
        (svg, caption.to_owned())
    }));
    charts.extend(page::epsilon_charts(study));
    charts.extend(page::fidelity_charts(study));
    let matrices = page::matrices(study);
    charts.extend(matrices.shown);
    charts.extend(matrices.others);
    charts.extend(page::leakage_charts(study));
    charts.extend(page::run_charts(study));
    charts
        .into_iter()
        .filter_map(|(svg, caption)| {
            let name = attribute(&svg, "aria-labelledby")?
                .split("-t ")
                .next()?
                .to_owned();
            let (pdf, replaced) = pdf::of(&svg)?;
            Some(Picture {
                name,
                caption,
                svg: alone(&svg)?,
                pdf,
                replaced,
            })
        })
        .collect()
}

/// The first value of an attribute.
fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let start = element.find(&format!(" {name}=\""))? + name.len() + 3;
    let end = element[start..].find('"')?;
    Some(&element[start..start + end])
}

/// Width and height of a picture.
fn size(svg: &str) -> Option<(f64, f64)> {
    let mut parts = attribute(svg, "viewBox")?.split(' ').skip(2);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// A picture of the page with its own style.
fn alone(svg: &str) -> Option<String> {
    let (width, height) = size(svg)?;
    let head = svg.find('>')?;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\"{}>\n<style>{}</style>{}\n",
        &svg[4..head],
        style(),
        &svg[head + 1..]
    ))
}

/// The rules of the page's style that pictures need, with the light colors in place of variables.
fn style() -> String {
    let mut rules: String = CSS.lines().filter(|line| line.starts_with("svg ")).fold(
        String::new(),
        |mut rules, line| {
            let _ = write!(rules, "{line}");
            rules
        },
    );
    for (name, color) in colors() {
        rules = rules.replace(&format!("var(--{name})"), color);
    }
    rules
}

/// The light colors by name.
fn colors() -> impl Iterator<Item = (&'static str, &'static str)> {
    let root = CSS.lines().next().unwrap_or_default();
    root.split(['{', ';', '}']).filter_map(|rule| {
        let (name, value) = rule.split_once(':')?;
        Some((name.strip_prefix("--")?, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpx_schema::ReleaseLabel;

    #[test]
    fn every_chart_stands_alone_as_svg_and_pdf() {
        let texts: Vec<String> = (0..9).map(|row| format!("text number {row}")).collect();
        let study = crate::tests::fake(
            &["anger", "joy", "\u{5d0}\u{5d1}"],
            &texts,
            ReleaseLabel::Dp,
        )
        .study();
        let pictures = pictures(&study);
        let mut names: Vec<&str> = pictures
            .iter()
            .map(|picture| picture.name.as_str())
            .collect();
        for name in [
            "utility-chart",
            "privacy-chart",
            "epsilon-chart",
            "fidelity-chart",
            "length-chart",
            "label-chart",
            "matrix-0",
            "dag-chart",
        ] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), pictures.len(), "each has a name of its own");
        for picture in &pictures {
            assert!(!picture.svg.contains("var("), "{}", picture.name);
            assert!(picture.svg.starts_with("<svg xmlns="), "{}", picture.svg);
            assert!(picture.pdf.starts_with(b"%PDF-1.4"));
            assert!(picture.pdf.ends_with(b"%%EOF\n"));
        }
        let matrix = pictures
            .iter()
            .find(|picture| picture.name == "matrix-0")
            .unwrap();
        assert_eq!(matrix.replaced, 4, "two letters of a label, twice");
        if let Ok(folder) = std::env::var("DPX_TEST_FIGURES") {
            for picture in &pictures {
                let path = std::path::Path::new(&folder).join(&picture.name);
                std::fs::write(path.with_extension("svg"), &picture.svg).unwrap();
                std::fs::write(path.with_extension("pdf"), &picture.pdf).unwrap();
            }
        }
    }
}
