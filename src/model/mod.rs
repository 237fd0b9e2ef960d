//! Language models and encoders in the Hugging Face layout: what `transformers` saves is read, what is written it loads.

pub mod bag_of_words;
pub mod bert;
mod body;
mod causal;
pub mod config;
mod error;
pub mod generate;
pub mod gpt2;
pub mod llama;
pub mod weights;

pub use body::Body;
pub use causal::CausalModel;
pub use config::{Architecture, Head, ModelConfig};
pub use error::ModelError;
pub use weights::Weights;
