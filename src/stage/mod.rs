//! The kinds of stage, one file each.
//!
//! A stage instance reads artifacts of earlier stages and writes one artifact: a folder. It always runs in a worker
//! process of its own and knows nothing of caches, plans or experiments: [`StageContext`] hands it folders.

mod allot;
mod audit;
mod classify;
pub mod context;
pub mod counts;
mod dispatch;
pub mod flow;
pub mod kind;
mod losses;
mod model_source;
pub mod params;
pub mod preprocess;
mod pretrain;
mod sample;
pub mod score;
pub mod teacher;
mod text_encoder;
mod train;

pub(crate) use allot::mechanisms;
use context::arithmetic;
pub use context::{Input, Progress, StageContext, StageError};
pub use dispatch::run;
pub use flow::Flow;
pub use kind::Kind;
use pretrain::schedule;
