//! Streams of seeded, reproducible random numbers by purpose (never for privacy noise).
