//! Every tampering is found.
