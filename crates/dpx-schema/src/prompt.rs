//! Joins a label and a text into one training sequence, in the way in which it is later generated.

use super::SchemaError;
use super::params::{Attribute, combined, values_at};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the model learns of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LabelIntegration {
    /// The label's word stands in the prompt.
    #[default]
    Prefix,
    /// Each label becomes one new token of the vocabulary.
    SpecialToken,
}

impl LabelIntegration {
    /// What stands for a label in the prompt: its word, or its special token such as `<|label:joy|>`.
    fn surface(self, label: &str) -> String {
        match self {
            Self::Prefix => label.to_owned(),
            Self::SpecialToken => format!("<|label:{label}|>"),
        }
    }
}

/// A parsed template such as `{label}: {text}`.
///
/// Space right before the text belongs to the text, not to the prompt: byte-level tokens carry the space before a word,
/// so that only then a prompt's tokens are the first tokens of the whole sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    head: Vec<Piece>,
    gap: String,
    suffix: String,
    integration: LabelIntegration,
    attributes: Vec<Attribute>,
    /// Every combination of the attributes' values.
    combined: Vec<String>,
}

/// A part of what stands before the text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Label,
    /// The value of the attribute at this place.
    Attribute(usize),
}

/// A sequence in its two parts: what the generator is given and what it learns to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptParts {
    /// What stands before the text, without space at its end.
    pub prefix: String,
    /// The text with the space before it and whatever the template puts behind it.
    pub body: String,
}

impl Prompt {
    /// Parses a template.
    ///
    /// # Errors
    /// Unless it holds `{label}` and after it `{text}`, each once.
    pub fn parse(template: &str, integration: LabelIntegration) -> Result<Self, SchemaError> {
        Self::parse_with(template, integration, &[])
    }

    /// Parses a template for texts with a value of each of several attributes.
    ///
    /// # Errors
    /// Unless it holds `{label}`, which stands for all values, or the name of each attribute, and after them `{text}`, each once.
    pub fn parse_with(
        template: &str,
        integration: LabelIntegration,
        attributes: &[Attribute],
    ) -> Result<Self, SchemaError> {
        let named: Vec<String> = attributes
            .iter()
            .map(|attribute| format!("{{{}}}", attribute.name))
            .collect();
        let fail = |problem: String| {
            Err(SchemaError::Prompt {
                template: template.to_owned(),
                problem,
                expected: expected(&named),
            })
        };
        let by_name = named.iter().any(|name| template.contains(name));
        let wanted: Vec<(&str, Piece)> = if by_name {
            let pieces = (0..named.len()).map(Piece::Attribute);
            named.iter().map(String::as_str).zip(pieces).collect()
        } else {
            vec![("{label}", Piece::Label)]
        };
        let known = |name: &str| {
            name == "{text}" || name == "{label}" || named.iter().any(|other| other == name)
        };
        if !named.is_empty()
            && let Some(unknown) = placeholders(template).find(|name| !known(name))
        {
            return fail(format!("holds `{unknown}`, which is no column of labels"));
        }
        if by_name && template.contains("{label}") {
            return fail("holds `{label}` beside the names of columns".to_owned());
        }
        if let Some((missing, _)) = wanted.iter().find(|(name, _)| !template.contains(name)) {
            return fail(format!("holds no `{missing}`"));
        }
        let first = template.find("{text}");
        let late = wanted.iter().find(|(name, _)| first < template.find(name));
        if let (Some(_), Some((late, _))) = (first, late) {
            return fail(format!("has `{{text}}` before `{late}`"));
        }
        let Some((head, suffix)) = template.split_once("{text}") else {
            return fail("holds no `{text}`".to_owned());
        };
        let mut all = wanted.iter().map(|(name, _)| *name).chain(["{text}"]);
        if let Some(twice) = all.find(|name| template.matches(name).count() > 1) {
            return fail(format!("holds `{twice}` twice"));
        }
        let trimmed = head.trim_end();
        Ok(Self {
            gap: head[trimmed.len()..].to_owned(),
            head: pieces(trimmed, &wanted),
            suffix: suffix.to_owned(),
            integration,
            attributes: attributes.to_vec(),
            combined: combined(attributes),
        })
    }

    /// The prompt of a label: what the generator is given. Ends without space.
    pub fn prefix(&self, label: &str) -> String {
        self.filled(label, None)
    }

    /// The prompt of a label with a keyword after it: `joy, hopeful:` for the template `{label}: {text}`.
    pub fn prefix_with_keyword(&self, label: &str, keyword: &str) -> String {
        self.filled(label, Some(keyword))
    }

    fn filled(&self, label: &str, keyword: Option<&str>) -> String {
        let values = self.values(label);
        let all = values.iter().map(|value| self.integration.surface(value));
        let all: Vec<String> = all.collect();
        let last = self
            .head
            .iter()
            .rposition(|piece| !matches!(piece, Piece::Text(_)));
        let mut prefix = String::new();
        for (place, piece) in self.head.iter().enumerate() {
            match piece {
                Piece::Text(text) => prefix.push_str(text),
                Piece::Label => prefix.push_str(&all.join(", ")),
                Piece::Attribute(at) => prefix.push_str(all.get(*at).map_or("", String::as_str)),
            }
            if let Some(keyword) = keyword.filter(|_| Some(place) == last) {
                prefix.push_str(", ");
                prefix.push_str(keyword);
            }
        }
        prefix
    }

    /// The value of each attribute in a label; the label itself where there are none.
    fn values<'a>(&'a self, label: &'a str) -> Vec<&'a str> {
        let place = self.combined.iter().position(|other| other == label);
        let Some(place) = place else {
            return vec![label];
        };
        let values = values_at(&self.attributes, place);
        let attributes = self.attributes.iter().zip(values);
        attributes
            .map(|(attribute, value)| attribute.values[value].as_str())
            .collect()
    }

    /// What stands between the prompt and the text.
    pub fn gap(&self) -> &str {
        &self.gap
    }

    /// What the generator learns to write after the prompt of a text.
    pub fn body(&self, text: &str) -> String {
        format!("{}{text}{}", self.gap, self.suffix)
    }

    /// The two parts of the sequence of a label and a text.
    pub fn parts(&self, label: &str, text: &str) -> PromptParts {
        PromptParts {
            prefix: self.prefix(label),
            body: self.body(text),
        }
    }

    /// The text in what a generator wrote after the prompt: space at its ends and the template's ending are cut off.
    pub fn text_of<'a>(&self, generated: &'a str) -> &'a str {
        let suffix = self.suffix.trim();
        let text = generated.trim();
        let text = match text.find(suffix) {
            Some(at) if !suffix.is_empty() => &text[..at],
            _ => text,
        };
        text.trim()
    }

    /// The special tokens that the labels need in the vocabulary: none where labels stand as words.
    pub fn special_tokens(&self, labels: &[String]) -> Vec<String> {
        match self.integration {
            LabelIntegration::Prefix => Vec::new(),
            LabelIntegration::SpecialToken => {
                let mut tokens = Vec::new();
                for value in labels.iter().flat_map(|label| self.values(label)) {
                    let token = self.integration.surface(value);
                    if !tokens.contains(&token) {
                        tokens.push(token);
                    }
                }
                tokens
            }
        }
    }
}

/// What a template must hold, with an example: the names of the columns of labels, or `{label}`.
fn expected(named: &[String]) -> String {
    let by_name = named.join(", ");
    if named.is_empty() {
        "`{label}` and after it `{text}`, each once, such as `{label}: {text}`".to_owned()
    } else {
        format!(
            "`{{label}}`, or each of {by_name}, and after them `{{text}}`, each once, such as `{by_name}: {{text}}`"
        )
    }
}

/// What stands in braces like the name of something that is filled in.
fn placeholders(template: &str) -> impl Iterator<Item = &str> {
    template.match_indices('{').filter_map(|(at, _)| {
        let name = &template[at..=at + template[at..].find('}')?];
        let inner = &name[1..name.len() - 1];
        let plain = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
        (!inner.is_empty() && inner.chars().all(plain)).then_some(name)
    })
}

/// A template cut at what is filled in, in the order in which it stands there.
fn pieces(template: &str, wanted: &[(&str, Piece)]) -> Vec<Piece> {
    let mut found: Vec<(usize, usize, &Piece)> = wanted
        .iter()
        .filter_map(|(name, piece)| Some((template.find(name)?, name.len(), piece)))
        .collect();
    found.sort_by_key(|(at, ..)| *at);
    let mut pieces = Vec::new();
    let mut done = 0;
    for (at, length, piece) in found {
        if at > done {
            pieces.push(Piece::Text(template[done..at].to_owned()));
        }
        pieces.push(piece.clone());
        done = at + length;
    }
    if done < template.len() {
        pieces.push(Piece::Text(template[done..].to_owned()));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(template: &str) -> Result<Prompt, SchemaError> {
        Prompt::parse(template, LabelIntegration::Prefix)
    }

    #[test]
    fn splits_a_template_around_the_text() {
        let parts = parse("{label}: {text}").unwrap().parts("joy", "i am glad");
        assert_eq!(parts.prefix, "joy:");
        assert_eq!(parts.body, " i am glad");
        let prompt = parse("Emotion <{label}>\nText: {text} </end>").unwrap();
        let parts = prompt.parts("fear", "help");
        assert_eq!(parts.prefix, "Emotion <fear>\nText:");
        assert_eq!(parts.body, " help </end>");
        assert_eq!(prompt.text_of(" help </end> more"), "help");
        let plain = parse("{label}: {text}").unwrap();
        assert_eq!(plain.text_of("  i am glad \n"), "i am glad");
        assert_eq!(plain.prefix_with_keyword("joy", "glad"), "joy, glad:");
    }

    #[test]
    fn refuses_templates_that_cannot_work() {
        for (template, problem) in [
            ("{text}", "holds no `{label}`"),
            ("{label}", "holds no `{text}`"),
            ("{text} is {label}", "has `{text}` before `{label}`"),
            ("{label} {text} {text}", "holds `{text}` twice"),
            ("{label} {label} {text}", "holds `{label}` twice"),
        ] {
            let message = parse(template).unwrap_err().to_string();
            assert!(message.contains(problem), "{template}: {message}");
        }
    }

    #[test]
    fn special_tokens_stand_for_labels() {
        let prompt = Prompt::parse("{label} {text}", LabelIntegration::SpecialToken).unwrap();
        assert_eq!(prompt.prefix("joy"), "<|label:joy|>");
        assert_eq!(prompt.special_tokens(&["joy".into()]), ["<|label:joy|>"]);
        assert!(
            parse("{label} {text}")
                .unwrap()
                .special_tokens(&["joy".into()])
                .is_empty()
        );
    }

    #[test]
    fn several_columns_of_labels_are_named_one_by_one_or_together() {
        let attribute = |name: &str, values: [&str; 2]| Attribute {
            name: name.into(),
            values: values.map(str::to_owned).to_vec(),
        };
        let both = [
            attribute("intent", ["refund", "other, please"]),
            attribute("mood", ["calm", "angry"]),
        ];
        let parse = |template| Prompt::parse_with(template, LabelIntegration::Prefix, &both);
        let label = "other, please, angry";
        let prompt = parse("[{mood}] wants {intent}: {text}").unwrap();
        assert_eq!(prompt.prefix(label), "[angry] wants other, please:");
        assert_eq!(
            prompt.prefix_with_keyword(label, "box"),
            "[angry] wants other, please, box:"
        );
        assert_eq!(
            parse("{label}: {text}").unwrap().prefix("refund, calm"),
            "refund, calm:"
        );
        for (template, problem) in [
            (
                "{mood}: {text}",
                "holds no `{intent}`: it must hold `{label}`, or each of {intent}, {mood}",
            ),
            (
                "{mood} {intent} {tone}: {text}",
                "holds `{tone}`, which is no column",
            ),
            (
                "{mood} {intent} {label}: {text}",
                "beside the names of columns",
            ),
            ("{mood} {intent} {mood}: {text}", "holds `{mood}` twice"),
            ("{mood}: {text} {intent}", "before `{intent}`"),
            ("{text}", "holds no `{label}`"),
        ] {
            let message = parse(template).unwrap_err().to_string();
            assert!(message.contains(problem), "{template}: {message}");
        }
        let special =
            Prompt::parse_with("{label} {text}", LabelIntegration::SpecialToken, &both).unwrap();
        assert_eq!(
            special.prefix("refund, calm"),
            "<|label:refund|>, <|label:calm|>"
        );
        assert_eq!(special.special_tokens(&combined(&both)).len(), 4);
    }
}
