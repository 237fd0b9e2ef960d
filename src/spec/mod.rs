//! The experiment file: types, parsing, diagnostics.
