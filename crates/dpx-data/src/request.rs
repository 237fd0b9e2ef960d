//! What is asked of a dataset.

use super::facts::{self, Fact};
use dpx_schema::params::{Attribute, DeclaredLabels, LabelsBy, PreprocessParams, Quoting, RoleOf};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What is asked of a dataset.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// `builtin:NAME`, `hf:OWNER/NAME/CONFIG@REVISION` or a path.
    pub dataset: &'a str,
    /// Name of the column of the texts.
    pub text_column: &'a str,
    /// Name of the column of labels.
    pub label_column: &'a str,
    /// The declared labels; empty: those of a built-in dataset. Where there are attributes, every combination of their values.
    pub labels: Cow<'a, [String]>,
    /// Several columns of labels; none: the column of the label.
    pub attributes: Vec<Attribute>,
    /// Column of conversations, instead of that of the text.
    pub messages: Option<&'a str>,
    /// Whose turns those of other roles are.
    pub roles: BTreeMap<String, RoleOf>,
    /// How numbers in the label column are understood; none: by name, by index where no declared label is a number.
    pub labels_by: Option<LabelsBy>,
    /// Column of the people whose rows these are, where people are protected.
    pub unit_column: Option<&'a str>,
    /// Most training rows of one person.
    pub max_per_unit: Option<u64>,
    /// How files with delimiters are written.
    pub format: Format,
    /// Share of rows for validation where the dataset has no such split.
    pub validation_share: f64,
    /// Share of rows for testing where the dataset has no such split.
    pub test_share: f64,
    /// Most rows of each split.
    pub limit: Option<u64>,
    /// Made-up facts to plant in training texts.
    pub facts: Vec<Fact>,
}

/// How files with delimiters are written, as far as that is said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Format {
    /// What quotation marks mean; none: `double`, of tab-separated files what fits the whole file.
    pub quoting: Option<Quoting>,
    /// The escape character; none: there is none.
    pub escape: Option<char>,
    /// The delimiter; none: by the file's extension and header.
    pub delimiter: Option<char>,
}

impl<'a> From<&'a PreprocessParams> for Request<'a> {
    fn from(params: &'a PreprocessParams) -> Self {
        Self {
            dataset: &params.dataset,
            text_column: &params.text_column,
            label_column: &params.label_column,
            labels: declared(params),
            attributes: params.labels.attributes(),
            messages: params.messages.as_deref(),
            roles: params.roles.clone(),
            labels_by: params.labels_by,
            unit_column: params.unit_column.as_deref(),
            max_per_unit: params.max_per_unit(),
            format: Format {
                quoting: params.quoting,
                escape: params.escape,
                delimiter: params.delimiter,
            },
            validation_share: params.validation_share,
            test_share: params.test_share,
            limit: params.limit,
            facts: params
                .facts
                .map(|number| facts::facts(number, params.fact_copies()))
                .unwrap_or_default(),
        }
    }
}

/// The label of texts that have none.
pub const NO_LABEL: &str = "text";

/// The declared labels; of texts without labels one that stands for none.
fn declared(params: &PreprocessParams) -> Cow<'_, [String]> {
    if params.label_column.is_empty() && params.labels.is_empty() {
        return Cow::Owned(vec![NO_LABEL.to_owned()]);
    }
    match &params.labels {
        DeclaredLabels::List(list) => Cow::Borrowed(list),
        table @ DeclaredLabels::Table(_) => Cow::Owned(table.labels()),
    }
}
