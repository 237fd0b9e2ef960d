//! From labels of word pieces to spans of a text: alignment on punctuation, casing and unicode.

use super::Span;
use dpx_nn::text::AlignedEncoding;

/// A label such as `B-PER`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    /// What a span of it is called; none outside of any entity.
    pub(super) kind: Option<String>,
    pub(super) begins: bool,
}

impl Tag {
    /// Takes a label apart. `O` is no entity; `B-`, `I-`, `E-`, `S-`, `L-`, `U-` are places in one; any other label is an
    /// entity by itself.
    pub(super) fn parse(label: &str) -> Self {
        if matches!(label, "O" | "0" | "OTHER") {
            return Self {
                kind: None,
                begins: false,
            };
        }
        let (place, name) = match label.split_once(['-', '_']) {
            Some((place, name)) if place.len() == 1 && "BIESLU".contains(place) => (place, name),
            _ => ("I", label),
        };
        Self {
            kind: Some(kind(name)),
            begins: matches!(place, "B" | "S" | "U"),
        }
    }
}

/// What stands in the brackets for a model's entity.
fn kind(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|letter| {
            if letter.is_alphanumeric() {
                letter.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    let known = match name.as_str() {
        "PER" | "PERSON" | "NAME" | "GIVEN_NAME" | "FIRST_NAME" | "GIVENNAME" | "SURNAME"
        | "LAST_NAME" => "PERSON",
        "LOC" | "LOCATION" | "GPE" | "CITY" | "STATE" | "STREET_NAME" | "BUILDING_NUMBER"
        | "SECONDARY_ADDRESS" | "ZIP_CODE" => "LOCATION",
        "ORG" | "ORGANIZATION" | "CORPORATION" | "COMPANY" => "ORGANIZATION",
        "PHONE" | "PHONE_NUMBER" | "TELEPHONE" => "PHONE",
        _ => return name,
    };
    known.to_owned()
}

/// The spans that the tags of the tokens make. A word takes the tag of its first piece, as such models are trained; parts
/// of one entity with only space or a joint (`-`, `'`, `.`) between them are one span.
pub(super) fn spans(text: &str, encoding: &AlignedEncoding, tags: &[&Tag]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut word = None;
    let mut tag: Option<&Tag> = None;
    for (token, own) in tags.iter().enumerate() {
        let (start, end) = encoding.offsets[token];
        if encoding.special[token] || start >= end {
            (word, tag) = (None, None);
            continue;
        }
        let same_word = word.is_some() && encoding.words[token] == word;
        if !same_word {
            tag = Some(own);
            word = encoding.words[token];
        }
        let Some(Tag {
            kind: Some(kind),
            begins,
        }) = tag
        else {
            continue;
        };
        if let Some(last) = spans.last_mut()
            && last.kind == *kind
            && joins(text, last.end, start, *begins && !same_word, kind)
        {
            last.end = end;
            continue;
        }
        spans.push(Span {
            start,
            end,
            kind: kind.clone(),
        });
    }
    for span in &mut spans {
        whole_words(text, span);
    }
    merged(spans)
}

/// Whether what stands between two parts lets them be one entity.
fn joins(text: &str, end: usize, start: usize, begins: bool, kind: &str) -> bool {
    let between = &text[end..start.max(end)];
    if between.is_empty() {
        return true;
    }
    let joint = between
        .chars()
        .all(|letter| letter.is_whitespace() || "-'’.".contains(letter));
    // Given name and surname are two entities of some models and one person here.
    joint && between.chars().count() <= 2 && (!begins || kind == "PERSON" && between == " ")
}

/// Lets a span cover whole words and the accents that a tokenizer took off.
fn whole_words(text: &str, span: &mut Span) {
    let part = |letter: char| letter.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&letter);
    if text[span.start..].starts_with(part) {
        for letter in text[..span.start]
            .chars()
            .rev()
            .take_while(|letter| part(*letter))
        {
            span.start -= letter.len_utf8();
        }
    }
    if text[..span.end].ends_with(part) {
        for letter in text[span.end..].chars().take_while(|letter| part(*letter)) {
            span.end += letter.len_utf8();
        }
    }
}

/// Spans that grew into each other become one.
fn merged(spans: Vec<Span>) -> Vec<Span> {
    let mut result: Vec<Span> = Vec::new();
    for span in spans {
        match result.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => result.push(span),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrub::apply;

    /// Words with tags; a piece that begins with `##` goes on with the word before it.
    fn scrubbed(text: &str, pieces: &[(&str, &str)]) -> String {
        let mut encoding = AlignedEncoding {
            ids: vec![0],
            offsets: vec![(0, 0)],
            words: vec![None],
            special: vec![true],
        };
        let mut tags = vec![Tag::parse("O")];
        let (mut at, mut word) = (0, 0);
        for (piece, label) in pieces {
            let bare = piece.trim_start_matches("##");
            if !piece.starts_with("##") {
                word += 1;
            }
            let start = at + text[at..].find(bare).unwrap();
            at = start + bare.len();
            encoding.ids.push(1);
            encoding.offsets.push((start, at));
            encoding.words.push(Some(word));
            encoding.special.push(false);
            tags.push(Tag::parse(label));
        }
        let tags: Vec<&Tag> = tags.iter().collect();
        apply(text, &[spans(text, &encoding, &tags)]).text
    }

    #[test]
    fn labels_are_taken_apart() {
        let parse = |label: &str| {
            let tag = Tag::parse(label);
            (tag.kind.unwrap_or_default(), tag.begins)
        };
        assert_eq!(parse("O"), (String::new(), false));
        assert_eq!(parse("B-PER"), ("PERSON".into(), true));
        assert_eq!(parse("I-LOC"), ("LOCATION".into(), false));
        assert_eq!(parse("B-GIVEN_NAME"), ("PERSON".into(), true));
        assert_eq!(parse("I-TAX_ID"), ("TAX_ID".into(), false));
        assert_eq!(parse("S-creative-work"), ("CREATIVE_WORK".into(), true));
        assert_eq!(parse("disease"), ("DISEASE".into(), false));
    }

    #[test]
    fn pieces_words_and_joints_make_one_span() {
        assert_eq!(
            scrubbed(
                "Jean-Luc O'Neill met Zoë.",
                &[
                    ("Jean", "B-PER"),
                    ("-", "I-PER"),
                    ("Luc", "I-PER"),
                    ("O", "I-PER"),
                    ("'", "I-PER"),
                    ("Neill", "I-PER"),
                    ("met", "O"),
                    ("Zo", "B-PER"),
                    ("##ë", "O"),
                    (".", "O")
                ],
            ),
            "[PERSON] met [PERSON]."
        );
        assert_eq!(
            scrubbed(
                "Anna, Paris and Rome",
                &[
                    ("Anna", "B-PER"),
                    (",", "O"),
                    ("Paris", "B-LOC"),
                    ("and", "O"),
                    ("Rome", "B-LOC")
                ]
            ),
            "[PERSON], [LOCATION] and [LOCATION]"
        );
        assert_eq!(
            scrubbed(
                "Ana Ruiz Anna",
                &[
                    ("Ana", "B-GIVEN_NAME"),
                    ("Ruiz", "B-SURNAME"),
                    ("Anna", "O")
                ]
            ),
            "[PERSON] Anna"
        );
        assert_eq!(
            scrubbed("Paris Rome", &[("Paris", "B-LOC"), ("Rome", "B-LOC")]),
            "[LOCATION] [LOCATION]"
        );
    }

    #[test]
    fn accents_and_cut_words_leave_no_rest() {
        // The accent is a character of its own, which the tokenizer leaves out.
        assert_eq!(
            scrubbed(
                "Zoe\u{308} is here",
                &[("Zoe", "B-PER"), ("is", "O"), ("here", "O")]
            ),
            "[PERSON] is here"
        );
        assert_eq!(
            scrubbed("McDonald's", &[("Donald", "B-PER"), ("'", "O"), ("s", "O")]),
            "[PERSON]'s"
        );
        assert_eq!(
            scrubbed("für ÄNNA!", &[("für", "O"), ("ÄNNA", "B-PER"), ("!", "O")]),
            "für [PERSON]!"
        );
    }
}
