//! Removing personal data from texts: rules and named entities.
