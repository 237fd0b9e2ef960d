//! What a user sees: the real binary on real files. One binary, one module per subject.

mod tidy;
