//! What each data set has spent.
