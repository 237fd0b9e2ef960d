//! The kinds of stage, one file each.
//!
//! A stage instance reads artifacts of earlier stages and writes one artifact: a folder. It always runs in a worker
//! process of its own and knows nothing of caches, plans or experiments: [`StageContext`] hands it folders.

mod arithmetic;
pub mod audit;
mod classify;
mod counts;
pub mod device_test;
mod dispatch;
pub mod export;
mod fault;
#[cfg(test)]
mod fault_table;
pub mod floor;
mod keyed_run;
mod losses;
mod members;
pub mod memory;
pub mod metric;
mod model_outputs;
mod model_source;
pub mod people;
pub mod preprocess;
mod pretrain;
mod private;
mod public_inputs;
pub mod sample;
pub mod score;
pub mod scrub;
mod select;
mod teacher;
mod text_encoder;
mod train;
pub mod truncation;

use arithmetic::arithmetic;
pub use dispatch::run;
pub use keyed_run::destroy_orphaned_keys;
pub use model_outputs::{Inputs, model_outputs};
pub use private::{PrivatePlan, Spending, plan};
