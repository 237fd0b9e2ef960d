//! The parameters of each kind of stage: what can change a result in `*Params`, what only changes speed in `*Performance`.
//!
//! These types are the schema of the experiment file: `dpx schema`, the diagnostics and the keys come from them. In the
//! file both kinds of parameters stand side by side in `[stage.NAME]`. Doc comments are shown to users.

mod audit;
mod classify;
mod counts;
mod labels;
mod preprocess;
mod pretrain;
mod privacy;
mod sample;
mod score;
mod select;
mod teacher;
mod train;
mod value;

pub use audit::AuditParams;
pub use classify::{ClassifyParams, ClassifyPerformance, DEFAULT_INVERSE_PENALTY};
pub use counts::{AttributeCounts, CountsParams};
pub use labels::{
    Attribute, DeclaredLabels, MAX_COMBINATIONS, combinations, combined, is_column_of_labels,
    place_of, values_at,
};
pub use preprocess::{
    LabelIntegration, LabelsBy, MOST_COPIES, PreprocessParams, Quoting, RoleOf, Scrub,
};
pub use pretrain::{PretrainParams, PretrainPerformance};
pub use privacy::{BudgetComponent, BudgetParams};
pub use sample::{
    ChoiceOrder, Contrast, DuplicatePolicy, EmptyPolicy, KeywordSource, LabelCounts, SampleParams,
    SamplePerformance, TeacherPolicy, UnparsedPolicy,
};
pub use score::{ScoreParams, ScorePerformance};
pub use select::{SelectParams, SelectPerformance, VoteFor};
pub use teacher::{TeacherKind, TeacherParams, TeacherPerformance};
pub use train::{
    ActivationCheckpointing, Averaging, BasePrecision, ChatFormat, Clipping, Denoising, LossOn,
    NoiseMode, Precision, Schedule, TrainParams, TrainPerformance, Trainable,
};
pub use value::{Delta, Epsilon};

/// A kind without parameters that only change speed.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct NoPerformance {}
