//! From an experiment file to instances, keys and the reason for every re-run.
