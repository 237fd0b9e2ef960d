//! Joins a label and a text into one training sequence, in the way in which it is later generated.

use super::SchemaError;
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
    pub fn surface(self, label: &str) -> String {
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
    before_label: String,
    between: String,
    gap: String,
    suffix: String,
    integration: LabelIntegration,
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
        let fail = |problem| {
            Err(SchemaError::Prompt {
                template: template.to_owned(),
                problem,
            })
        };
        let Some((before_label, rest)) = template.split_once("{label}") else {
            return fail("holds no `{label}`");
        };
        if before_label.contains("{text}") {
            return fail("has `{text}` before `{label}`");
        }
        let Some((between, suffix)) = rest.split_once("{text}") else {
            return fail("holds no `{text}`");
        };
        if rest.contains("{label}") {
            return fail("holds `{label}` twice");
        }
        if suffix.contains("{text}") {
            return fail("holds `{text}` twice");
        }
        let trimmed = between.trim_end();
        let prompt = Self {
            before_label: before_label.to_owned(),
            between: trimmed.to_owned(),
            gap: between[trimmed.len()..].to_owned(),
            suffix: suffix.to_owned(),
            integration,
        };
        Ok(prompt)
    }

    /// How labels stand in it.
    pub const fn integration(&self) -> LabelIntegration {
        self.integration
    }

    /// The prompt of a label: what the generator is given. Ends without space.
    pub fn prefix(&self, label: &str) -> String {
        let label = self.integration.surface(label);
        format!("{}{label}{}", self.before_label, self.between)
    }

    /// The prompt of a label with a keyword after it: `joy, hopeful:` for the template `{label}: {text}`.
    pub fn prefix_with_keyword(&self, label: &str, keyword: &str) -> String {
        let label = self.integration.surface(label);
        format!("{}{label}, {keyword}{}", self.before_label, self.between)
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
            LabelIntegration::SpecialToken => labels
                .iter()
                .map(|label| self.integration.surface(label))
                .collect(),
        }
    }
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
}
