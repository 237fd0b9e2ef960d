//! The cache: objects by digest, records by key, locks, garbage collection.
