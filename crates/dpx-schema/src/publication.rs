//! What a dataset card says that only its publisher knows: license and language.

/// The license of a card that names none: the reader has to ask.
pub const NO_LICENSE: &str = "other";

/// The identifiers of licenses that the Hugging Face Hub knows (the page on licenses of
/// repositories in huggingface/hub-docs, August 2026).
const LICENSES: [&str; 83] = [
    "afl-3.0",
    "agpl-3.0",
    "apache-2.0",
    "apple-amlr",
    "apple-ascl",
    "artistic-2.0",
    "bigcode-openrail-m",
    "bigscience-bloom-rail-1.0",
    "bigscience-openrail-m",
    "bsd",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsd-3-clause-clear",
    "bsl-1.0",
    "c-uda",
    "cc",
    "cc-by-2.0",
    "cc-by-2.5",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-nc-2.0",
    "cc-by-nc-3.0",
    "cc-by-nc-4.0",
    "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cc0-1.0",
    "cdla-permissive-1.0",
    "cdla-permissive-2.0",
    "cdla-sharing-1.0",
    "creativeml-openrail-m",
    "deepfloyd-if-license",
    "ecl-2.0",
    "epl-1.0",
    "epl-2.0",
    "etalab-2.0",
    "eupl-1.1",
    "eupl-1.2",
    "fair-noncommercial-research-license",
    "gemma",
    "gfdl",
    "gpl",
    "gpl-2.0",
    "gpl-3.0",
    "grok2-community",
    "h-research",
    "intel-research",
    "isc",
    "lgpl",
    "lgpl-2.1",
    "lgpl-3.0",
    "lgpl-lr",
    "llama2",
    "llama3",
    "llama3.1",
    "llama3.2",
    "llama3.3",
    "llama4",
    "lppl-1.3c",
    "mit",
    "mpl-2.0",
    "ms-pl",
    "ncsa",
    "odbl",
    "odc-by",
    "ofl-1.1",
    "openmdw-1.0",
    "openmdw-1.1",
    "openrail",
    "openrail++",
    "osl-3.0",
    "other",
    "pddl",
    "postgresql",
    "unknown",
    "unlicense",
    "wtfpl",
    "zlib",
];

/// Checks the identifier of a license.
///
/// # Errors
/// The Hub does not know it; says what to write.
pub fn check_license(license: &str) -> Result<(), String> {
    if LICENSES.contains(&license) {
        return Ok(());
    }
    let lower = license.to_lowercase();
    let near = LICENSES.iter().find(|known| **known == lower);
    Err(match near {
        Some(near) => format!("`{license}` is no license of the Hugging Face Hub: write `{near}`"),
        None => format!(
            "`{license}` is no license of the Hugging Face Hub: expected an identifier such as `cc-by-4.0`, or `other` with its name in `license_name`"
        ),
    })
}

/// Checks the name of a license that the Hub does not know: a slug, as the Hub wants it.
///
/// # Errors
/// It is empty, too long, or holds other characters.
pub fn check_license_name(name: &str) -> Result<(), String> {
    let fits = |character: char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || "-._".contains(character)
    };
    if !name.is_empty() && name.len() <= 64 && name.chars().all(fits) {
        return Ok(());
    }
    Err(format!(
        "`{name}` is no name of a license: expected lower-case letters, digits, `-`, `.` and `_`, such as `acme-data-license`"
    ))
}

/// Checks the code of a language.
///
/// # Errors
/// It has not the form of a code of ISO 639.
pub fn check_language(code: &str) -> Result<(), String> {
    let letters = code.chars().all(|letter| letter.is_ascii_lowercase());
    if matches!(code, "code" | "multilingual") || (letters && matches!(code.len(), 2 | 3)) {
        return Ok(());
    }
    Err(format!(
        "`{code}` is no code of a language: expected two or three lower-case letters of ISO 639, such as `en`, or `multilingual`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licenses_and_languages_are_codes() {
        assert!(LICENSES.is_sorted());
        assert!(LICENSES.contains(&NO_LICENSE));
        assert!(check_license("cc-by-4.0").is_ok());
        // Those of the models that people start from.
        for license in [
            "gemma", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4",
        ] {
            assert!(check_license(license).is_ok(), "{license}");
        }
        let error = check_license("Apache-2.0").unwrap_err();
        assert!(error.contains("write `apache-2.0`"), "{error}");
        assert!(check_license("mine").is_err());
        assert!(check_license_name("acme-data-license").is_ok());
        for name in ["", "Acme", "a b", "a\nb"] {
            assert!(check_license_name(name).is_err(), "{name:?}");
        }
        for code in ["en", "yue", "code", "multilingual"] {
            assert!(check_language(code).is_ok(), "{code}");
        }
        for code in ["", "EN", "english", "e", "e1", "en\n"] {
            assert!(check_language(code).is_err(), "{code:?}");
        }
    }
}
