//! What was cut off texts that are longer than a model, or the experiment, allows, and what of them is read otherwise than it
//! stands there: counted and told.

use dpx_schema::{StageContext, StageError, counted};
use serde::{Deserialize, Serialize};

/// Name of the counts in an artifact, in its internal part: they are functions of private texts.
pub const TRUNCATION_FILE: &str = "truncation.json";

/// Counts of texts and tokens that were cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truncation {
    /// Most tokens of a text by the experiment file.
    pub max_length: u64,
    /// Most tokens that the model reads at once.
    pub context: u64,
    /// Texts that were encoded, cut or not.
    pub texts: u64,
    /// Texts of which something was cut.
    pub texts_cut: u64,
    /// Tokens of all texts, the end token included, without their prompts.
    pub tokens: u64,
    /// Those of them that were cut.
    pub tokens_cut: u64,
    /// Conversations that were cut at a turn.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut_at_a_turn: u64,
    /// Turns that were cut off conversations.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub turns_cut: u64,
    /// Turns in which a mark of the chat template stood and was taken apart.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub marks_taken_apart: u64,
    /// Sequences without a token of the role that is learnt from: their gradients are zero.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub without_counted: u64,
    /// Texts in which a special token of the model is spelled: read as plain text.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub special_typed: u64,
    /// Texts that would share a token with their prompt if both were read at once: read one by one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub read_apart: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Truncation {
    /// Nothing counted yet.
    pub(crate) fn new(max_length: u64, context: usize) -> Self {
        Self {
            max_length,
            context: context as u64,
            ..Self::default()
        }
    }

    /// Counts a text of so many tokens, of which so many were cut.
    pub(crate) const fn add(&mut self, tokens: usize, cut: usize) {
        self.texts += 1;
        self.texts_cut += (cut > 0) as u64;
        self.tokens += tokens as u64;
        self.tokens_cut += cut as u64;
    }

    /// What to tell the user, a line each; internal, like the counts.
    pub fn messages(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.max_length > self.context {
            lines.push(format!(
                "`max_length` is {}, but the model reads at most {} tokens: that is where texts are cut",
                self.max_length, self.context
            ));
        }
        if self.cut_at_a_turn > 0 {
            lines.push(format!(
                "{} cut at a turn, where {} for the model: {} left out",
                counted(self.cut_at_a_turn, "conversation"),
                if self.cut_at_a_turn == 1 {
                    "it ends"
                } else {
                    "they end"
                },
                counted(self.turns_cut, "turn")
            ));
        }
        if self.marks_taken_apart > 0 {
            lines.push(format!(
                "a mark of the chat template, such as the one that ends a turn, stands in {}: a space was put into it",
                counted(self.marks_taken_apart, "turn")
            ));
        }
        if self.special_typed > 0 {
            lines.push(format!(
                "{} of {} texts ({}) spell a special token of the model, such as the one that ends a text: it was learned as the \
                 plain text that somebody typed",
                self.special_typed,
                self.texts,
                percent(self.special_typed, self.texts)
            ));
        }
        if self.read_apart > 0 {
            lines.push(format!(
                "{} of {} texts ({}) would share a token with their prompt: prompt and text were read one by one, as they are \
                 sampled; a space or line break before `{{text}}` in `prompt` avoids that",
                self.read_apart,
                self.texts,
                percent(self.read_apart, self.texts)
            ));
        }
        if self.without_counted > 0 {
            lines.push(format!(
                "{} of {} conversations ({}) hold no token of the role that `loss_on` names, or lost them to the cut: nothing is \
                 learned from them, and they count in full for the guarantee",
                self.without_counted,
                self.texts,
                percent(self.without_counted, self.texts)
            ));
        }
        if self.texts_cut > 0 {
            lines.push(format!(
                "{} of {} texts ({}) are longer than {} tokens with their prompt and were cut: {} of all tokens of the \
                 texts",
                self.texts_cut,
                self.texts,
                percent(self.texts_cut, self.texts),
                self.max_length.min(self.context),
                percent(self.tokens_cut, self.tokens)
            ));
        }
        lines
    }

    /// Logs the messages and writes the counts to the internal part of the artifact.
    pub(crate) fn save(&self, context: &StageContext<'_>) -> Result<(), StageError> {
        for line in self.messages() {
            context.progress.log(&line);
        }
        let text = format!("{:#}\n", serde_json::json!(self));
        Ok(std::fs::write(
            context.internal_path(TRUNCATION_FILE)?,
            text,
        )?)
    }
}

/// A share in percent: never 0 % of something, never 100 % of less than all.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if part == 0 || part == whole {
        return format!("{} %", if part == 0 { 0 } else { 100 });
    }
    let share = 100.0 * part as f64 / whole.max(1) as f64;
    match share {
        _ if share < 0.1 => "less than 0.1 %".into(),
        _ if share > 99.9 => "more than 99.9 %".into(),
        _ => format!("{share:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_texts_and_tokens_are_told() {
        let mut found = Truncation::new(128, 32);
        found.add(40, 8);
        found.add(10, 0);
        found.add(10, 0);
        let told = found.messages().join("\n");
        for part in [
            "`max_length` is 128, but the model reads at most 32",
            "1 of 3 texts (33.3 %) are longer than 32 tokens",
            "13.3 % of all tokens",
        ] {
            assert!(told.contains(part), "{told}");
        }
        assert!(Truncation::new(32, 32).messages().is_empty());
        assert_eq!(percent(1, 100_000), "less than 0.1 %");
        assert_eq!(percent(99_999, 100_000), "more than 99.9 %");
        assert_eq!(percent(0, 0), "0 %");
        assert_eq!(percent(3, 3), "100 %");
    }
}
