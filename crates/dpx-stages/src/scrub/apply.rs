//! Spans of personal data, and texts without them.

use dpx_schema::StageError;

/// A piece of personal data in a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// First byte in the text.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// What it is, in capitals: `EMAIL`, `PERSON`, ...
    pub kind: String,
}

/// Something that finds personal data in texts.
pub trait Scrubber {
    /// The spans of each text, sorted and without overlaps.
    ///
    /// # Errors
    /// When the model behind it fails; says so without quoting a text.
    fn find(&self, texts: &[&str]) -> Result<Vec<Vec<Span>>, StageError>;
}

/// A text with its spans replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrubbed {
    /// The text with `[KIND]` in the place of each span.
    pub text: String,
    /// The spans, as places in the text before.
    pub spans: Vec<Span>,
}

/// Replaces spans by `[KIND]`. Where spans of several scrubbers overlap, the earlier scrubber's stands and what is left of
/// the later one's around it is kept as a span of its own, so that no part of a found piece stays.
pub fn apply(text: &str, found: &[Vec<Span>]) -> Scrubbed {
    apply_named(text, found, |span, _| span.kind.clone())
}

/// As [`apply`], where the name in the brackets follows from a span and the piece of text that it covers.
pub(super) fn apply_named(
    text: &str,
    found: &[Vec<Span>],
    mut name: impl FnMut(&Span, &str) -> String,
) -> Scrubbed {
    let mut spans: Vec<Span> = Vec::new();
    for list in found {
        for span in list {
            let mut pieces = vec![(span.start, span.end)];
            for kept in &spans {
                pieces = pieces
                    .into_iter()
                    .flat_map(|(start, end)| {
                        [(start, end.min(kept.start)), (start.max(kept.end), end)]
                            .into_iter()
                            .filter(|(start, end)| start < end)
                            .collect::<Vec<_>>()
                    })
                    .collect();
            }
            let overlapped = pieces != [(span.start, span.end)];
            for (start, end) in pieces {
                let piece = &text[start..end];
                let trimmed = piece.trim_start();
                let start = end - trimmed.len();
                let end = start + trimmed.trim_end().len();
                if start < end
                    && (!overlapped || text[start..end].chars().any(char::is_alphanumeric))
                {
                    spans.push(Span {
                        start,
                        end,
                        kind: span.kind.clone(),
                    });
                }
            }
        }
        spans.sort();
    }
    let mut scrubbed = String::with_capacity(text.len());
    let mut done = 0;
    for span in &spans {
        scrubbed.push_str(&text[done..span.start]);
        scrubbed.push('[');
        scrubbed.push_str(&name(span, &text[span.start..span.end]));
        scrubbed.push(']');
        done = span.end;
    }
    scrubbed.push_str(&text[done..]);
    Scrubbed {
        text: scrubbed,
        spans,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: usize, end: usize, kind: &str) -> Span {
        Span {
            start,
            end,
            kind: kind.into(),
        }
    }

    #[test]
    fn replaces_spans_and_keeps_the_rest() {
        let text = "Zoë wrote to a@b.example, twice";
        let scrubbed = apply(
            text,
            &[vec![span(14, 25, "EMAIL")], vec![span(0, 4, "PERSON")]],
        );
        assert_eq!(scrubbed.text, "[PERSON] wrote to [EMAIL], twice");
        assert_eq!(apply(text, &[]).text, text);
    }

    #[test]
    fn the_earlier_scrubber_wins_an_overlap_and_nothing_found_stays() {
        let text = "ask anna at anna@b.example now";
        let rules = vec![span(12, 26, "EMAIL")];
        let names = vec![span(4, 16, "PERSON")];
        let scrubbed = apply(text, &[rules, names]);
        assert_eq!(scrubbed.text, "ask [PERSON] [EMAIL] now");
        assert_eq!(scrubbed.spans[0], span(4, 11, "PERSON"));
    }
}
