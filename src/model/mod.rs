//! Language models and encoders in the Hugging Face layout.
