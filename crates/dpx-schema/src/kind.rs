//! The kinds of stage and what each may read.

use serde::{Deserialize, Serialize};

/// What a stage does. The name in the experiment file is the lower-case name.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Reads a dataset, scrubs personal data, declares labels and prompt, writes the splits.
    Preprocess,
    /// Trains a tokenizer and a language model on public text, without privacy.
    Pretrain,
    /// Fine-tunes a language model on private texts with DP-SGD.
    Train,
    /// Releases noisy histograms over declared domains.
    Counts,
    /// Trains a differentially private classifier of the private texts.
    Teacher,
    /// Lets private texts vote for the texts of a pool, and releases the noisy votes.
    Select,
    /// Samples synthetic texts from a model, or bags of words from noisy counts.
    Sample,
    /// Trains a classifier on one artifact and tests it on the real test split.
    Classify,
    /// Compares synthetic with real texts.
    Score,
    /// Estimates a lower bound of epsilon from planted canaries.
    Audit,
}

impl Kind {
    /// All kinds, in the order in which a study uses them.
    pub const ALL: [Self; 10] = [
        Self::Preprocess,
        Self::Pretrain,
        Self::Train,
        Self::Counts,
        Self::Teacher,
        Self::Select,
        Self::Sample,
        Self::Classify,
        Self::Score,
        Self::Audit,
    ];

    /// The name used in experiment files, keys and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preprocess => "preprocess",
            Self::Pretrain => "pretrain",
            Self::Train => "train",
            Self::Counts => "counts",
            Self::Teacher => "teacher",
            Self::Select => "select",
            Self::Sample => "sample",
            Self::Classify => "classify",
            Self::Score => "score",
            Self::Audit => "audit",
        }
    }

    /// Raised whenever the meaning of a kind changes, so that records made before no longer count. What changes for some models alone,
    /// such as the rules of a tokenizer's class, stands in the keys of those, and costs no others their privacy budget.
    pub const fn version(self) -> u32 {
        match self {
            // `preprocess` 2: labels by name before index; quotation marks in tab-separated files; findings.json; 3: a number
            // is an index only where that is said; scrubbing leaves dates, amounts, versions and code; 4: turns with keys that
            // are not read are counted; truth values are no places; who says nothing moves nobody else's records; labels of
            // planted facts are balanced; rows without labels that a quotation mark would swallow, texts that show nothing, two
            // names of one file and numbers beside unusable stored names are refused; words of a turn under `refusal` or a
            // second key are read; scrubbing leaves amounts in groups of three, series and bindings of markup.
            // `score` 2: the perplexity of synthetic texts is taken under the model that `train` started from.
            // `train`, `teacher`, `counts` 2: a typed privacy record of what ran; internal files apart. `train` 3: what was
            // cut off texts is counted.
            // `pretrain`, `audit` 2: likewise.
            // `score` 3: a permutation null of the nearest texts; copies of as many held-out as training texts. `sample` 2:
            // texts with U+FFFD are written again.
            Self::Select => 1,
            Self::Counts | Self::Pretrain | Self::Audit | Self::Sample => 2,
            // `train`, `teacher` 3: the allowance for rounding follows the expected rows; micro-batches of fixed shapes.
            Self::Teacher => 3,
            // `train`, `score` 4: prompt and text are read as one string; special tokens that people typed are plain text.
            // `classify` 2: the penalty of the bag-of-words classifier was chosen anew; 3: probabilities of labels; 4: what
            // was cut off texts is counted; 5: whose each test text is, where people are protected; 6: a bag of words is fitted with
            // other sums, which round otherwise.
            Self::Preprocess | Self::Train | Self::Score => 4,
            Self::Classify => 6,
        }
    }

    /// Kinds whose artifacts a stage of this kind may read.
    pub const fn reads(self) -> &'static [Self] {
        match self {
            Self::Preprocess | Self::Pretrain => &[],
            Self::Train => &[Self::Preprocess, Self::Pretrain, Self::Counts],
            Self::Counts | Self::Teacher => &[Self::Preprocess],
            Self::Select => &[Self::Preprocess, Self::Sample],
            Self::Sample => &[
                Self::Train,
                Self::Pretrain,
                Self::Counts,
                Self::Teacher,
                Self::Select,
                Self::Sample,
            ],
            Self::Classify => &[Self::Preprocess, Self::Sample, Self::Teacher],
            Self::Score => &[
                Self::Preprocess,
                Self::Pretrain,
                Self::Sample,
                Self::Classify,
                Self::Train,
                Self::Teacher,
                Self::Counts,
                Self::Select,
                Self::Audit,
            ],
            Self::Audit => &[Self::Train],
        }
    }

    /// Whether a stage of this kind is given the internal parts of what it reads. Its own artifact is private in any case;
    /// all other kinds are given covered files alone, since what they write may be released.
    pub const fn reads_internal(self) -> bool {
        matches!(self, Self::Audit | Self::Score | Self::Classify)
    }

    /// Whether it looks at private texts through a mechanism of its own, and so spends privacy.
    pub const fn spends(self) -> bool {
        matches!(
            self,
            Self::Train | Self::Counts | Self::Teacher | Self::Select
        )
    }

    /// Kinds of which at least one must be among the needs; each of them where [`Kind::requires_all`] says so.
    pub const fn requires(self) -> &'static [Self] {
        match self {
            Self::Preprocess | Self::Pretrain => &[],
            Self::Train | Self::Counts | Self::Teacher | Self::Classify => &[Self::Preprocess],
            // Without a model, texts are drawn from the counts as bags of words, or are those of another stage.
            Self::Sample => &[Self::Train, Self::Pretrain, Self::Counts, Self::Sample],
            Self::Score | Self::Select => &[Self::Preprocess, Self::Sample],
            Self::Audit => &[Self::Train],
        }
    }

    /// Whether it needs every kind that it [requires](Kind::requires): real and synthetic texts to compare, private texts and a
    /// pool to vote for.
    pub const fn requires_all(self) -> bool {
        matches!(self, Self::Score | Self::Select)
    }

    /// Whether every stage of this kind computes with tensors and therefore holds a device slot while it runs.
    pub const fn uses_device(self) -> bool {
        !matches!(self, Self::Preprocess | Self::Counts)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}
