//! What goes wrong with a ledger: where, why, and what to do.

use dpx_accounting::{Claim, ClaimError};
use dpx_schema::Budget;
use std::io;
use std::path::PathBuf;

/// Why a ledger cannot be used, or refuses.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum LedgerError {
    /// Runs tell people apart by different columns.
    #[error(
        "`{instance}` protects the people that the column `{other}` tells apart, and what it stands beside those of `{one}`: who is one \
         person there is several here, so that nothing can be claimed of both together; release each in a study and with a ledger of its \
         own people, or let one column name them in all data sets"
    )]
    TwoColumns {
        instance: String,
        /// The column of the runs before.
        one: String,
        other: String,
    },
    /// The file system refused to read or write.
    #[error("cannot {action} `{}` of the ledger: {source}", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A file is not what was written: what was spent is unknown.
    #[error(
        "the ledger file `{}` is damaged{}: {reason}; restore the whole folder (`ledger.jsonl`, `head`, `secret`, `units`) from a \
         backup, or move it away and enter what the cache knows with `dpx ledger adopt FILE`",
        path.display(),
        line.map(|line| format!(" in line {line}")).unwrap_or_default()
    )]
    Damaged {
        path: PathBuf,
        /// The line, from 1, where the file has lines.
        line: Option<usize>,
        /// What was found, and what was expected.
        reason: String,
    },
    /// Written by another version of dpx.
    #[error("the ledger `{}` {what}", path.display())]
    Version {
        path: PathBuf,
        /// What it is, and what to do.
        what: String,
    },
    /// Nobody told the ledger whose records a data set holds.
    #[error(
        "the ledger `{}` does not know whose records the data of `{instance}` are, so that nothing can be charged to them; \
         `dpx run` or `dpx ledger adopt FILE` reads the raw data again and enters them",
        folder.display()
    )]
    UnknownPeople { folder: PathBuf, instance: String },
    /// A run behind a release is not in the ledger.
    #[error(
        "the ledger `{}` has no entry for `{instance}` (run {run}), so that its cost would be lost: the ledger is another one or \
         was lost; enter what the cache knows with `dpx ledger adopt FILE`, or name the ledger with `--ledger DIR`",
        folder.display()
    )]
    NoEntry {
        folder: PathBuf,
        instance: String,
        run: String,
    },
    /// The ledger and the record disagree about what a run did.
    #[error(
        "`{instance}` (run {run}) did something else than the ledger `{}` has entered: one of the two was changed; run the \
         instance again with `dpx run FILE --force {instance}`",
        folder.display()
    )]
    Disagrees {
        folder: PathBuf,
        instance: String,
        run: String,
    },
    /// A release without a guarantee: the instance that has none, and why.
    #[error("nothing can be released: {0}")]
    NotPrivate(String),
    /// A release would spend more of these people than the budget allows.
    #[error(
        "the budget of these people is ({}, {:e})-DP (`[privacy] budget`), and this release would exceed it: released before \
         {before}, this release alone {alone}, together {together}; {advice}",
        budget.epsilon, budget.delta
    )]
    OverBudget {
        budget: Budget,
        /// What was released before, at the budget's delta.
        before: Box<Claim>,
        /// What this release costs alone, selection included.
        alone: Box<Claim>,
        together: Box<Claim>,
        advice: &'static str,
    },
    /// A copy of the ledger that has forgotten entries.
    #[error(
        "the ledger `{}` is an older copy of itself: it has {entries} entries, and was seen with {seen}, or others since; what was \
         run and released in between would not be counted; put the newer copy back",
        folder.display()
    )]
    Older {
        folder: PathBuf,
        entries: u64,
        seen: u64,
    },
    /// A budget whose delta allows to publish a record whole.
    #[error(
        "`[privacy] budget` has delta {:e}, which is not below one over the {records} records of the data: publishing one of them \
         whole would stay within it; write a smaller delta",
        budget.delta
    )]
    BudgetDelta {
        budget: Budget,
        /// Records of the largest data set behind the budget.
        records: u64,
    },
    /// A run would spend more of these people than the budget allows, with `enforce = "train"`.
    #[error(
        "the budget of these people is ({}, {:e})-DP (`[privacy] budget` with `enforce = \"train\"`), and `{instance}` would exceed \
         it: run before {before}, together {together}; nothing was spent; plan fewer or noisier runs, or raise the budget",
        budget.epsilon, budget.delta
    )]
    RunOverBudget {
        budget: Budget,
        instance: String,
        before: String,
        together: String,
    },
    /// What was spent cannot be said as one claim.
    #[error("what these people have spent cannot be composed: {0}")]
    Claim(#[from] ClaimError),
}

impl LedgerError {
    /// Whether the user asked for what is refused, and nothing is broken.
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::NoEntry { .. }
                | Self::Disagrees { .. }
                | Self::NotPrivate(_)
                | Self::OverBudget { .. }
                | Self::BudgetDelta { .. }
                | Self::RunOverBudget { .. }
                | Self::UnknownPeople { .. }
                | Self::Claim(_)
        )
    }
}
