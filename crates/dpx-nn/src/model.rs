//! Language models and encoders in the Hugging Face layout: what `transformers` saves is read, what is written it loads.

mod adapter;
pub mod bag_of_words;
pub(crate) mod bert;
mod body;
mod causal;
mod causal_lm;
mod classifier;
pub mod config;
mod decoder;
mod encoder;
mod error;
pub mod generate;
mod head;
mod load;
mod memory;
mod sentence;
mod static_table;
pub mod weights;

pub use adapter::{
    ADAPTER_CONFIG, ADAPTER_FOLDER, ADAPTER_WEIGHTS, BASE_FOLDER, base_of, base_precision,
    copy_base,
};
pub(crate) use bert::Bert;
pub(crate) use body::Body;
pub use causal::CausalModel;
pub use causal_lm::{CausalLm, load_causal, load_frozen};
pub use classifier::{Classifier, classifier_from, load_classifier};
pub use config::{Architecture, Family, Head, ModelConfig};
pub use decoder::Decoder;

pub use encoder::{Embedding, Encoder, groups, load_encoder};
pub use error::ModelError;
pub use load::{Use, is_buffer, look, look_at_gguf, look_at_modules, look_for, suits};
pub use memory::{TrainingMemory, TrainingStep};
pub use sentence::MODULES_FILE;
pub(crate) use static_table::StaticTable;
pub use weights::Weights;

#[cfg(test)]
mod parity_tests;
