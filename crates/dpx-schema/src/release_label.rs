//! Release labels: what an artifact may reveal, joined along the DAG.

use serde::{Deserialize, Serialize};

/// What an artifact may reveal about the private data. Only [`ReleaseLabel::Public`] and [`ReleaseLabel::Dp`] can ever be released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReleaseLabel {
    /// Depends on no private data.
    Public,
    /// Depends on private data through a differentially private mechanism with secret noise alone.
    Dp,
    /// Like [`ReleaseLabel::Dp`], but the noise is derived from the experiment's seed: anybody can subtract it.
    Seeded,
    /// Depends on private data without protection.
    Private,
}

impl ReleaseLabel {
    /// The label of something that depends on both.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        self.max(other)
    }

    /// Whether an artifact with this label may leave the organisation.
    pub const fn releasable(self) -> bool {
        matches!(self, Self::Public | Self::Dp)
    }
}
