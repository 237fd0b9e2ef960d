//! Layers with forward, backward and per-example records.
