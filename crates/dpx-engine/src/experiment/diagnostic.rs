//! Mistakes in experiment files: what is wrong, where, and what to do.

use super::files::{Files, Origin};
use serde_json::json;

/// How bad a mistake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The experiment cannot be planned.
    Error,
    /// It can, but this is hardly what was meant.
    Warning,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// What kind of mistake; the name is stable and stands in the message and in `--json`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// In the order in which they are declared.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name that the message and `--json` show.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

codes! {
    /// A file that cannot be read, or is not UTF-8.
    Unreadable = "unreadable",
    /// The file is not TOML.
    Syntax = "syntax",
    /// `extends` names a file that is missing, or leads in a circle.
    Extends = "extends",
    /// A `--set` that is no `KEY=VALUE`, or whose key leads nowhere.
    BadOverride = "bad-override",
    /// A table that does not exist.
    UnknownTable = "unknown-table",
    /// A key that does not exist.
    UnknownKey = "unknown-key",
    /// A key that must be there is not.
    MissingKey = "missing-key",
    /// A value of the wrong type.
    WrongType = "wrong-type",
    /// A number outside its range.
    OutOfRange = "out-of-range",
    /// A word that is none of the allowed ones.
    UnknownWord = "unknown-word",
    /// A whole number above 2^53, which JSON and keys could not tell from its neighbours.
    IntegerTooLarge = "integer-too-large",
    /// A name of an experiment, stage or axis with characters that names cannot have.
    BadName = "bad-name",
    /// A kind that does not exist.
    UnknownKind = "unknown-kind",
    /// A need that is no stage.
    UnknownNeed = "unknown-need",
    /// A need listed twice.
    DuplicateNeed = "duplicate-need",
    /// Stages that need each other.
    Cycle = "cycle",
    /// A need of a kind that the stage cannot read.
    UnreadableNeed = "unreadable-need",
    /// A kind of need that the stage cannot do without.
    MissingNeed = "missing-need",
    /// Two needs of which the stage could only use one.
    AmbiguousNeed = "ambiguous-need",
    /// `$name` where the sweep has no such axis.
    UnknownAxis = "unknown-axis",
    /// An axis that nothing refers to.
    UnusedAxis = "unused-axis",
    /// An axis without values.
    EmptyAxis = "empty-axis",
    /// A value that an axis has twice.
    DuplicateValue = "duplicate-value",
    /// More combinations than anybody means.
    TooManyInstances = "too-many-instances",
    /// A prompt template that does not hold what it must.
    BadPrompt = "bad-prompt",
    /// Labels that are empty, repeated or not declared.
    BadLabel = "bad-label",
    /// A model, dataset or file that does not exist, or is written in a form that nothing reads.
    BadSource = "bad-source",
    /// Values that exclude each other.
    Conflict = "conflict",
    /// A value that has no effect.
    NoEffect = "no-effect",
    /// A split of the budget that names no private stage, or shares that are not positive.
    BadSplit = "bad-split",
    /// A budget of people that nothing can meet, or nothing that is held to one.
    BadBudget = "bad-budget",
    /// A row selected for release that the study does not have, or that was named before.
    BadSelection = "bad-selection",
    /// Stages of one split with different budgets.
    MixedBudget = "mixed-budget",
    /// What stands behind one set of texts cannot be claimed together.
    MixedClaim = "mixed-claim",
    /// A device that does not exist.
    BadDevice = "bad-device",
}

/// A place in a text, and what to say beside it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Label {
    pub origin: Origin,
    /// May be empty: then the place is underlined alone.
    pub text: String,
}

/// A replacement that would mend the mistake.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fix {
    /// The text that is replaced.
    pub origin: Origin,
    /// What stands there instead.
    pub replacement: String,
}

/// One mistake in an experiment file, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    /// What was found and what was expected.
    pub message: String,
    /// Where it stands; none: the file lacks something as a whole.
    pub primary: Option<Label>,
    /// Further places that explain it, such as the first of two definitions.
    pub context: Vec<Label>,
    /// What to do, a sentence each.
    pub help: Vec<String>,
    /// What to do, as an edit.
    pub fix: Option<Fix>,
}

impl Diagnostic {
    /// An error that stands nowhere in particular.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            primary: None,
            context: Vec::new(),
            help: Vec::new(),
            fix: None,
        }
    }

    /// An error at the place where it stands.
    pub fn at(code: Code, origin: Origin, message: impl Into<String>) -> Self {
        let mut diagnostic = Self::new(code, message);
        diagnostic.primary = Some(Label {
            origin,
            text: String::new(),
        });
        diagnostic
    }

    /// Makes it a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Sets the remark beside its place.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        if let Some(primary) = &mut self.primary {
            primary.text = text.into();
        }
        self
    }

    /// Adds a place that explains it.
    #[must_use]
    pub fn context(mut self, origin: Origin, text: impl Into<String>) -> Self {
        self.context.push(Label {
            origin,
            text: text.into(),
        });
        self
    }

    /// Adds a sentence that says what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// What to do, as an edit.
    #[must_use]
    pub(crate) fn fix(mut self, origin: Origin, replacement: impl Into<String>) -> Self {
        self.fix = Some(Fix {
            origin,
            replacement: replacement.into(),
        });
        self
    }

    /// As JSON, with positions that count lines and columns from 1.
    pub fn to_json(&self, files: &Files) -> serde_json::Value {
        let place = |origin: Origin, text: &str| {
            let (start, end) = files.positions(origin);
            json!({
                "file": files.file(origin).name,
                "line": start.line,
                "column": start.column,
                "end_line": end.line,
                "end_column": end.column,
                "label": text,
            })
        };
        json!({
            "code": self.code.name(),
            "severity": match self.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            "message": self.message,
            "at": self.primary.as_ref().map(|label| place(label.origin, &label.text)),
            "context": self
                .context
                .iter()
                .map(|label| place(label.origin, &label.text))
                .collect::<Vec<_>>(),
            "help": self.help,
            "fix": self.fix.as_ref().map(|fix| {
                let mut fix_place = place(fix.origin, "");
                fix_place["replacement"] = fix.replacement.as_str().into();
                fix_place
            }),
        })
    }
}
