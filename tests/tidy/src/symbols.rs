//! Whether a source defines a symbol, or holds a test.

use crate::code::blank;

/// Words that stand before the name which they define.
const DEFINES: [&str; 9] = [
    "fn",
    "struct",
    "enum",
    "trait",
    "const",
    "static",
    "type",
    "union",
    "macro_rules!",
];

/// Whether the source defines the symbol: a re-export (`pub use`), a call or a comment does not count.
pub fn defines(text: &str, symbol: &str) -> bool {
    definition(&blank(text), symbol).is_some()
}

/// Whether the symbol is a function under a test attribute. A test written by `proptest!` has one as well.
pub fn is_test(text: &str, symbol: &str) -> bool {
    let code = blank(text);
    let Some(at) = definition(&code, symbol) else {
        return false;
    };
    // Attributes stand between the end of what comes before and the definition.
    let before = code[..at].rfind(['}', ';']).map_or(0, |end| end + 1);
    ["#[test]", "#[should_panic"]
        .iter()
        .any(|attribute| code[before..at].contains(attribute))
}

/// Where the symbol is defined, in a source without comments and strings.
fn definition(code: &str, symbol: &str) -> Option<usize> {
    code.match_indices(symbol).map(|(at, _)| at).find(|&at| {
        let ends = code[at + symbol.len()..]
            .chars()
            .next()
            .is_none_or(|next| !next.is_alphanumeric() && next != '_');
        let before = code[..at].trim_end();
        ends && before.len() < at
            && DEFINES.iter().any(|word| {
                before.strip_suffix(word).is_some_and(|rest| {
                    rest.is_empty() || rest.ends_with(|c: char| !c.is_alphanumeric() && c != '_')
                })
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_told_from_mentions() {
        let text = "pub use other::Reexported;\n// fn commented() {}\nfn real<T>() { called(); \"fn quoted()\"; }\npub(crate) struct Named;\n\
                    impl Named {\n    pub const fn method() {}\n    const BOUND: u8 = 1;\n}\nmacro_rules! made {\n}\n";
        for symbol in ["real", "Named", "method", "BOUND", "made"] {
            assert!(defines(text, symbol), "{symbol}");
        }
        for symbol in [
            "Reexported",
            "commented",
            "called",
            "quoted",
            "rea",
            "Name",
            "other",
        ] {
            assert!(!defines(text, symbol), "{symbol}");
        }
    }

    #[test]
    fn a_test_has_the_attribute_itself() {
        let text = "#[test]\n#[ignore = \"slow\"]\nfn yes() {}\nfn no() {}\n/// #[test]\nfn neither() {}\nproptest! {\n    #[test]\n    fn too(a in 0..1u8) {}\n}\n";
        assert!(is_test(text, "yes") && is_test(text, "too"));
        assert!(!is_test(text, "no") && !is_test(text, "neither") && !is_test(text, "missing"));
    }
}
