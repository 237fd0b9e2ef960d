//! A chart of ours as PDF: it reads the few elements that `chart::svg` writes, and draws them with fonts that every reader has.

use super::{attribute, colors, size};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Size of text, as in the page's style.
const FONT_SIZE: f64 = 11.6;

/// A quarter circle's control points lie so far out (the usual approximation).
const KAPPA: f64 = 0.552_284_8;

/// Widths of Helvetica's characters from space to tilde, in thousandths of its size (Adobe Core 14 metrics).
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// How something is drawn.
#[derive(Debug, Clone, PartialEq, Default)]
struct Style {
    fill: Option<[f64; 3]>,
    stroke: Option<[f64; 3]>,
    width: f64,
    dash: &'static str,
}

/// The picture, and how many characters have no sign in its fonts; nothing where it is none of ours.
pub(super) fn of(svg: &str) -> Option<(Vec<u8>, usize)> {
    let (width, height) = size(svg)?;
    let palette: BTreeMap<&str, [f64; 3]> = colors()
        .filter_map(|(name, value)| Some((name, hexadecimal(value)?)))
        .collect();
    let mut page = Page {
        height,
        palette,
        out: String::new(),
        replaced: 0,
    };
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>')?;
        let element = &rest[start..=end];
        rest = &rest[end + 1..];
        let content = &rest[..rest.find('<').unwrap_or(rest.len())];
        page.element(element, content);
    }
    Some((document(width, height, page.out.as_bytes()), page.replaced))
}

/// `#1f5fa8` or `#fff`.
fn hexadecimal(value: &str) -> Option<[f64; 3]> {
    let digits = value.strip_prefix('#')?;
    let digits = match digits.len() {
        3 => digits.chars().flat_map(|digit| [digit, digit]).collect(),
        _ => digits.to_owned(),
    };
    let part =
        |at: usize| Some(f64::from(u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?) / 255.0);
    Some([part(0)?, part(2)?, part(4)?])
}

struct Page<'a> {
    height: f64,
    palette: BTreeMap<&'a str, [f64; 3]>,
    out: String,
    replaced: usize,
}

impl Page<'_> {
    fn color(&self, name: &str) -> [f64; 3] {
        self.palette.get(name).copied().unwrap_or([0.0; 3])
    }

    /// A color over white paper.
    fn faint(&self, name: &str, share: f64) -> [f64; 3] {
        self.color(name).map(|part| 1.0 - share * (1.0 - part))
    }

    /// The style of an element by its classes, as the page's sheet has it.
    fn style(&self, tag: &str, classes: &str, element: &str) -> Style {
        let is = |class: &str| classes.split(' ').any(|own| own == class);
        let series = ["s1", "s2", "s3", "s4"].into_iter().find(|class| is(class));
        let own = series.map_or_else(|| self.color("fg"), |class| self.color(class));
        let mut style = Style {
            width: 1.0,
            ..Style::default()
        };
        if is("mark") {
            let color = if is("published") {
                self.color("soft")
            } else {
                own
            };
            let hollow = is("ring") || is("triangle-open") || is("published");
            style.fill = Some(if hollow { self.color("card") } else { color });
            style.stroke = (!is("small")).then_some(color);
            style.width = 1.6;
            if is("small") {
                style.fill = Some(color.map(|part| 1.0 - 0.55 * (1.0 - part)));
            }
            return style;
        }
        match tag {
            "text" => {
                let color = match classes {
                    _ if is("cell-high") => self.color("bg"),
                    _ if is("tick") || is("axis") || is("note") => self.color("soft"),
                    _ => own,
                };
                style.fill = Some(color);
            }
            "line" | "path" => {
                style.stroke = Some(match classes {
                    _ if is("grid") => self.color("line"),
                    _ if is("reference") || is("edge") => self.color("soft"),
                    _ if is("rdp") => self.color("s3"),
                    _ => own,
                });
                style.width = match classes {
                    _ if is("rdp") => 2.5,
                    _ if is("ceiling") || tag == "path" => 2.0,
                    _ => 1.0,
                };
                style.dash = match series {
                    _ if is("reference") => "2 4",
                    Some("s2") if tag == "path" => "6 3",
                    Some("s3") if tag == "path" => "2 3",
                    Some("s4") if tag == "path" => "8 3 2 3",
                    _ => "",
                };
            }
            _ => {
                let share = attribute(element, "fill-opacity").and_then(|share| share.parse().ok());
                style.fill = Some(match classes {
                    _ if is("band") => self.faint("s1", 0.35),
                    _ if is("cell") => self.faint("s1", share.unwrap_or(1.0)),
                    _ if is("fill1") => self.color("s1"),
                    _ if is("fill2") => self.color("s2"),
                    _ => self.color("card"),
                });
                if is("cell") {
                    style.stroke = Some(self.color("line"));
                    style.width = 0.5;
                } else if is("fill-open") || is("box") {
                    style.stroke = Some(if is("missing") {
                        self.color("soft")
                    } else {
                        self.color("s1")
                    });
                    style.width = if is("failed") { 3.0 } else { 1.5 };
                    style.dash = if is("missing") { "4 3" } else { "" };
                }
            }
        }
        style
    }

    fn element(&mut self, element: &str, content: &str) {
        let tag = element[1..]
            .split([' ', '>', '/'])
            .next()
            .unwrap_or_default();
        if !["text", "line", "path", "rect", "circle"].contains(&tag) {
            return;
        }
        let style = self.style(
            tag,
            attribute(element, "class").unwrap_or_default(),
            element,
        );
        let number = |name: &str| {
            attribute(element, name)
                .and_then(|value| value.parse::<f64>().ok())
                .unwrap_or(0.0)
        };
        match tag {
            "text" => self.text(element, content, &style),
            "line" => {
                let (from, to) = ((number("x1"), number("y1")), (number("x2"), number("y2")));
                self.shape(&style, |page| {
                    page.point(from, "m");
                    page.point(to, "l");
                });
            }
            "rect" => {
                let (x, y) = (number("x"), number("y"));
                let (width, height) = (number("width"), number("height"));
                self.shape(&style, |page| {
                    let bottom = page.height - y - height;
                    let _ = writeln!(page.out, "{x:.2} {bottom:.2} {width:.2} {height:.2} re");
                });
            }
            "circle" => {
                let (x, y, r) = (number("cx"), number("cy"), number("r"));
                self.shape(&style, |page| page.circle(x, y, r));
            }
            _ => {
                let d = attribute(element, "d").unwrap_or_default().to_owned();
                self.shape(&style, |page| page.path(&d));
            }
        }
    }

    fn point(&mut self, (x, y): (f64, f64), operator: &str) {
        let y = self.height - y;
        let _ = writeln!(self.out, "{x:.2} {y:.2} {operator}");
    }

    fn circle(&mut self, x: f64, y: f64, r: f64) {
        let k = KAPPA * r;
        self.point((x + r, y), "m");
        for [a, b, end] in [
            [(x + r, y + k), (x + k, y + r), (x, y + r)],
            [(x - k, y + r), (x - r, y + k), (x - r, y)],
            [(x - r, y - k), (x - k, y - r), (x, y - r)],
            [(x + k, y - r), (x + r, y - k), (x + r, y)],
        ] {
            let turned = |(x, y): (f64, f64)| (x, self.height - y);
            let ((ax, ay), (bx, by), (ex, ey)) = (turned(a), turned(b), turned(end));
            let _ = writeln!(
                self.out,
                "{ax:.2} {ay:.2} {bx:.2} {by:.2} {ex:.2} {ey:.2} c"
            );
        }
    }

    /// Moves, lines (absolute and relative), horizontal lines, and the way back: all that our pictures have.
    fn path(&mut self, d: &str) {
        let mut at = (0.0, 0.0);
        let mut rest = d;
        while let Some(command) = rest.chars().next() {
            rest = &rest[command.len_utf8()..];
            let end = rest
                .find(|letter: char| letter.is_ascii_alphabetic())
                .unwrap_or(rest.len());
            let numbers: Vec<f64> = rest[..end]
                .split([' ', ','])
                .filter_map(|number| number.parse().ok())
                .collect();
            rest = &rest[end..];
            match (command, numbers.as_slice()) {
                ('M', [x, y]) => {
                    at = (*x, *y);
                    self.point(at, "m");
                }
                ('L', [x, y]) => {
                    at = (*x, *y);
                    self.point(at, "l");
                }
                ('l', [x, y]) => {
                    at = (at.0 + x, at.1 + y);
                    self.point(at, "l");
                }
                ('h', [x]) => {
                    at.0 += x;
                    self.point(at, "l");
                }
                ('z' | 'Z', _) => self.out.push_str("h\n"),
                _ => {}
            }
        }
    }

    fn shape(&mut self, style: &Style, draw: impl FnOnce(&mut Self)) {
        self.out.push_str("q\n");
        if let Some([r, g, b]) = style.fill {
            let _ = writeln!(self.out, "{r:.3} {g:.3} {b:.3} rg");
        }
        if let Some([r, g, b]) = style.stroke {
            let _ = writeln!(
                self.out,
                "{r:.3} {g:.3} {b:.3} RG {:.2} w [{}] 0 d",
                style.width, style.dash
            );
        }
        draw(self);
        self.out.push_str(match (style.fill, style.stroke) {
            (Some(_), Some(_)) => "B\nQ\n",
            (Some(_), None) => "f\nQ\n",
            _ => "S\nQ\n",
        });
    }

    fn text(&mut self, element: &str, content: &str, style: &Style) {
        let number =
            |name: &str| attribute(element, name).and_then(|value| value.parse::<f64>().ok());
        let (x, y) = (number("x").unwrap_or(0.0), number("y").unwrap_or(0.0));
        let text = unescaped(content);
        let bold = attribute(element, "class")
            .is_some_and(|class| class.split(' ').any(|own| own == "name"));
        let mut runs: Vec<(Font, Vec<u8>)> = Vec::new();
        let mut length = 0.0;
        for letter in text.chars() {
            let (font, byte) = sign(letter, bold).unwrap_or_else(|| {
                self.replaced += 1;
                (if bold { Font::Bold } else { Font::Plain }, b'?')
            });
            length += width(byte, font) * FONT_SIZE;
            match runs.last_mut() {
                Some((last, bytes)) if *last == font => bytes.push(byte),
                _ => runs.push((font, vec![byte])),
            }
        }
        // As wide as it may be, where the picture says so.
        let squeeze = number("textLength").map_or(1.0, |most| (most / length.max(1.0)).min(1.0));
        let before = match attribute(element, "text-anchor") {
            Some("middle") => length * squeeze / 2.0,
            Some("end") => length * squeeze,
            _ => 0.0,
        };
        let [r, g, b] = style.fill.unwrap_or([0.0; 3]);
        let place = if attribute(element, "transform").is_some() {
            // The one turn that there is: 40 degrees up.
            let (sin, cos) = 40_f64.to_radians().sin_cos();
            format!(
                "{cos:.4} {sin:.4} {:.4} {cos:.4} {x:.2} {:.2} Tm",
                -sin,
                self.height - y
            )
        } else {
            format!("1 0 0 1 {:.2} {:.2} Tm", x - before, self.height - y)
        };
        let _ = writeln!(
            self.out,
            "BT {r:.3} {g:.3} {b:.3} rg {:.1} Tz {place}",
            squeeze * 100.0
        );
        for (font, bytes) in runs {
            let _ = write!(self.out, "/{} {FONT_SIZE} Tf <", font.name());
            for byte in bytes {
                let _ = write!(self.out, "{byte:02x}");
            }
            self.out.push_str("> Tj\n");
        }
        self.out.push_str("ET\n");
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Font {
    Plain,
    Bold,
    Symbol,
}

impl Font {
    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "F1",
            Self::Bold => "F2",
            Self::Symbol => "F3",
        }
    }
}

/// Font and code of a character: WinAnsi, else Adobe's Symbol.
fn sign(letter: char, bold: bool) -> Option<(Font, u8)> {
    let plain = if bold { Font::Bold } else { Font::Plain };
    let code = letter as u32;
    Some(match letter {
        ' '..='~' | '\u{a0}'..='\u{ff}' => (plain, code as u8),
        '\n' | '\t' => (plain, b' '),
        '–' => (plain, 0x96),
        '—' => (plain, 0x97),
        '…' => (plain, 0x85),
        '‘' => (plain, 0x91),
        '’' => (plain, 0x92),
        '“' => (plain, 0x93),
        '”' => (plain, 0x94),
        '€' => (plain, 0x80),
        '≤' => (Font::Symbol, 0xa3),
        '≥' => (Font::Symbol, 0xb3),
        '∞' => (Font::Symbol, 0xa5),
        '←' => (Font::Symbol, 0xac),
        '↑' => (Font::Symbol, 0xad),
        '→' => (Font::Symbol, 0xae),
        '↓' => (Font::Symbol, 0xaf),
        '◇' => (Font::Symbol, 0xe0),
        _ => return None,
    })
}

/// Width of a character over the size of its font.
fn width(byte: u8, font: Font) -> f64 {
    match (font, byte) {
        (Font::Symbol, 0xa3 | 0xb3) => 0.549,
        (Font::Symbol, 0xad | 0xaf) => 0.603,
        (Font::Symbol, 0xac | 0xae) => 0.987,
        (Font::Symbol, 0xe0) => 0.494,
        (Font::Symbol, _) => 0.7,
        // Bold letters are a little wider.
        (Font::Bold, 32..=126) => f64::from(WIDTHS[usize::from(byte) - 32]) / 1000.0 * 1.06,
        (_, 32..=126) => f64::from(WIDTHS[usize::from(byte) - 32]) / 1000.0,
        (_, 0x85 | 0x97) => 1.0,
        _ => 0.556,
    }
}

fn unescaped(text: &str) -> String {
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (escaped, letter)| {
        text.replace(escaped, letter)
    })
}

fn document(width: f64, height: f64, content: &[u8]) -> Vec<u8> {
    let font = |name: &str, encoding: &str| {
        format!("<< /Type /Font /Subtype /Type1 /BaseFont /{name}{encoding} >>").into_bytes()
    };
    let mut stream = format!("<< /Length {} >>\nstream\n", content.len()).into_bytes();
    stream.extend_from_slice(content);
    stream.extend_from_slice(b"endstream");
    let page = format!(
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents 4 0 R /Resources << /Font << /F1 5 0 R /F2 6 0 R /F3 7 0 R >> >> >>"
    );
    let objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        page.into_bytes(),
        stream,
        font("Helvetica", " /Encoding /WinAnsiEncoding"),
        font("Helvetica-Bold", " /Encoding /WinAnsiEncoding"),
        font("Symbol", ""),
    ];
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut places = Vec::new();
    for (at, object) in objects.iter().enumerate() {
        places.push(file.len());
        file.extend_from_slice(format!("{} 0 obj\n", at + 1).as_bytes());
        file.extend_from_slice(object);
        file.extend_from_slice(b"\nendobj\n");
    }
    let table = file.len();
    let mut end = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for place in places {
        let _ = writeln!(end, "{place:010} 00000 n ");
    }
    let _ = write!(
        end,
        "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n",
        objects.len() + 1
    );
    file.extend_from_slice(end.as_bytes());
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::svg::Svg;

    #[test]
    fn shapes_and_words_are_where_the_picture_has_them() {
        let mut svg = Svg::new(100.0, "t", "d");
        svg.line(10.0, 20.0, 30.0, 20.0, "grid");
        svg.text(50.0, 40.0, "end", "tick", "a (b) ≤ & \u{5d0}");
        svg.mark(60.0, 70.0, "diamond", "s2", "says <this>");
        svg.shade(0.0, 0.0, 10.0, 10.0, 0.5, "x");
        let (pdf, replaced) = of(&svg.finish("id")).unwrap();
        let text = String::from_utf8_lossy(&pdf);
        assert_eq!(replaced, 1);
        assert!(text.contains("10.00 80.00 m\n30.00 80.00 l"), "{text}");
        // "a (b) " in Helvetica, then the sign of Symbol.
        assert!(
            text.contains("/F1 11.6 Tf <612028622920> Tj\n/F3 11.6 Tf <a3> Tj"),
            "{text}"
        );
        assert!(!text.contains("says"), "titles are not drawn");
        assert!(text.contains("0.00 90.00 10.00 10.00 re"), "{text}");
        // Offsets of the table lead to their objects.
        let start: usize = text
            .rsplit("startxref\n")
            .next()
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(pdf[start..].starts_with(b"xref"));
        let third: usize = text[start..].lines().nth(5).unwrap()[..10].parse().unwrap();
        assert!(pdf[third..].starts_with(b"3 0 obj"), "{third}");
        assert_eq!(hexadecimal("#fff"), Some([1.0, 1.0, 1.0]));
    }
}
