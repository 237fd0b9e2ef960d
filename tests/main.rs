//! What a user sees: the real binary on real files. One binary, one module per subject.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod tidy;
