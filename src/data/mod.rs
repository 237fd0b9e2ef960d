//! Datasets: readers, the hub, the built-in corpora.
