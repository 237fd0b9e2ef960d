//! The tensor alias and the choice of backend.
