//! Figures about texts and predictions: utility, fidelity, diversity, leakage.
