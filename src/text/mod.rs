//! Tokenizers and prompts.
