//! Injected faults: ways to break the comparison of public with private texts on purpose, so that each privacy test can be shown to fail on one.
//!
//! A fault is chosen for the current thread. Outside tests `fault!(...)` is the constant `false`.

pub(crate) use dpx_schema::fault;

#[cfg(test)]
dpx_schema::faults! {
    /// A way to break it.
    pub(crate) enum Fault {
        /// Pieces that a line break cuts are not looked for (rule 54).
        LinesAlone,
        /// Texts of 8 to 12 words that a line break cuts are not looked for (rule 54).
        ShortLinesAlone,
        /// Texts of fewer than 13 words are not looked for (rule 54).
        ShortTextsIgnored,
        /// Escapes and tags of public lines stay between their words (rule 54).
        EscapesUnread,
        /// What no space parts is one word (rule 54).
        UnspacedAsOneWord,
    }
}
