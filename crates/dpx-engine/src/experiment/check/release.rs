//! License and language of a release.

use crate::experiment::diagnostic::{Code, Diagnostic};
use crate::experiment::node::{Node, Table};
use dpx_schema::publication::{NO_LICENSE, check_language, check_license, check_license_name};

/// Checks `[release]`.
pub(crate) fn release(table: &Table, diagnostics: &mut Vec<Diagnostic>) {
    let mut check = |node: &Node, fits: fn(&str) -> Result<(), String>| {
        let Some(text) = node.as_str() else { return };
        if let Err(problem) = fits(text) {
            diagnostics.push(Diagnostic::at(Code::UnknownWord, node.origin, problem));
        }
    };
    let license = table.get("license");
    let name = table.get("license_name");
    for node in license {
        check(node, check_license);
    }
    for node in name {
        check(node, check_license_name);
    }
    for node in table.get("language") {
        for item in node.as_array().unwrap_or(std::slice::from_ref(node)) {
            check(item, check_language);
        }
    }
    if let (Some(name), Some(license)) = (name, license.and_then(Node::as_str))
        && license != NO_LICENSE
    {
        diagnostics.push(
            Diagnostic::at(
                Code::UnknownWord,
                name.origin,
                format!("`license_name` has no meaning beside `license = \"{license}\"`"),
            )
            .help("leave it out, or write `license = \"other\"`"),
        );
    }
}
