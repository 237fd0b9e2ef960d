//! An SVG builder: numbers are rounded, text is escaped, points say their value under the pointer.
//!
//! Marks are no stops of the keyboard: a matrix alone would be thirty-six of them. Each picture's values stand in a table.

use std::fmt::Write;

/// Width of every canvas, in units.
pub(crate) const WIDTH: f64 = 380.0;

/// A picture in the making.
#[derive(Debug)]
pub(crate) struct Svg {
    body: String,
    height: f64,
    width: f64,
    title: String,
    description: String,
}

/// Escapes text for HTML and SVG. Control characters become visible and directional ones harmless.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(visible(c)),
        }
    }
    escaped
}

/// The character, or a visible stand-in for one that would be invisible or turn the text around.
pub(crate) fn visible(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\0'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{fffe}'
        | '\u{ffff}' => '\u{fffd}',
        c => c,
    }
}

/// Text cut to so many characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

impl Svg {
    /// A canvas of [`WIDTH`]; the title names it, the description states what it shows.
    pub(crate) fn new(height: f64, title: &str, description: &str) -> Self {
        Self {
            body: String::new(),
            height,
            width: WIDTH,
            title: title.into(),
            description: description.into(),
        }
    }

    /// A canvas of another width.
    pub(crate) fn sized(width: f64, height: f64, title: &str, description: &str) -> Self {
        Self {
            width,
            ..Self::new(height, title, description)
        }
    }

    /// Raw elements; the caller has escaped them.
    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        self.body
            .write_fmt(element)
            .expect("writing to a string cannot fail");
        self.body.push('\n');
    }

    /// Text with an anchor (`start`, `middle`, `end`) and a class.
    pub(crate) fn text(&mut self, x: f64, y: f64, anchor: &str, class: &str, text: &str) {
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{}</text>",
            escape(text)
        ));
    }

    /// Text that rises to the right from its start.
    pub(crate) fn rising(&mut self, x: f64, y: f64, class: &str, text: &str) {
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" transform=\"rotate(-40 {x:.1} {y:.1})\" class=\"{class}\">{}</text>",
            escape(text)
        ));
    }

    /// Text in the middle of a width, drawn together where it would be wider.
    pub(crate) fn fitted(&mut self, x: f64, y: f64, width: f64, class: &str, text: &str) {
        let squeeze = if text.chars().count() as f64 * 7.4 > width {
            format!(" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\"")
        } else {
            String::new()
        };
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" class=\"{class}\"{squeeze}>{}</text>",
            escape(text)
        ));
    }

    pub(crate) fn line(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, class: &str) {
        self.push(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"
        ));
    }

    /// A line through points.
    pub(crate) fn path(&mut self, points: &[(f64, f64)], class: &str) {
        let mut d = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            write!(d, "{command}{x:.1} {y:.1}").expect("writing to a string cannot fail");
        }
        self.push(format_args!("<path d=\"{d}\" class=\"line {class}\"/>"));
    }

    /// A rectangle that says what it is.
    pub(crate) fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, class: &str, says: &str) {
        self.push(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" class=\"{class}\"><title>{}</title></rect>",
            width.max(0.5),
            height.max(0.5),
            escape(says)
        ));
    }

    /// A rectangle filled to a share of the accent colour.
    pub(crate) fn shade(
        &mut self,
        x: f64,
        y: f64,
        width: f64,
        height: f64,
        share: f64,
        says: &str,
    ) {
        self.push(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" class=\"cell\" fill-opacity=\"{share:.2}\"><title>{}</title></rect>",
            escape(says)
        ));
    }

    /// A mark: `disc`, `ring`, `diamond`, `triangle`, `triangle-open`, `square`; it says its value.
    pub(crate) fn mark(&mut self, x: f64, y: f64, kind: &str, class: &str, says: &str) {
        let shape = match kind {
            "diamond" => format!("<path d=\"M{x:.1} {:.1}l5 5l-5 5l-5 -5z\"", y - 5.0),
            "triangle" | "triangle-open" => {
                format!("<path d=\"M{:.1} {:.1}l5 9h-10z\"", x, y - 5.0)
            }
            "square" => format!(
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"8\" height=\"8\"",
                x - 4.0,
                y - 4.0
            ),
            "small" => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\""),
            _ => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\""),
        };
        self.push(format_args!(
            "{shape} class=\"mark {kind} {class}\"><title>{}</title></{}>",
            escape(says),
            match kind {
                "diamond" | "triangle" | "triangle-open" => "path",
                "square" => "rect",
                _ => "circle",
            }
        ));
    }

    pub(crate) fn finish(self, id: &str) -> String {
        format!(
            "<svg viewBox=\"0 0 {:.0} {:.0}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>\n{}</svg>",
            self.width,
            self.height,
            escape(&self.title),
            escape(&self.description),
            self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_through_unescaped() {
        let mut svg = Svg::new(10.0, "</title><script>", "a & b");
        svg.text(
            0.0,
            0.0,
            "start",
            "",
            "</text><script>alert(1)</script>\u{202e}\0",
        );
        let picture = svg.finish("x");
        assert!(!picture.contains("<script"));
        assert!(!picture.contains('\u{202e}') && !picture.contains('\0'));
        assert_eq!(cut("abcdef", 4), "abc…");
    }
}
