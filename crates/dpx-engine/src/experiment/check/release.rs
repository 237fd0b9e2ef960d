//! License and language of a release.

use crate::experiment::diagnostic::{Code, Diagnostic};
use crate::experiment::node::{Node, Table};
use dpx_schema::publication::{NO_LICENSE, check_language, check_license, check_license_name};

pub(crate) fn release(table: &Table, diagnostics: &mut Vec<Diagnostic>) {
    let mut check = |node: Option<&Node>, fits: fn(&str) -> Result<(), String>| {
        let Some(node) = node else { return };
        for item in node.as_array().unwrap_or(std::slice::from_ref(node)) {
            // What is no string is told by its type.
            if let Some(Err(problem)) = item.as_str().map(fits) {
                diagnostics.push(Diagnostic::at(Code::UnknownWord, item.origin, problem));
            }
        }
    };
    let license = table.get("license");
    let name = table.get("license_name");
    check(license, check_license);
    check(name, check_license_name);
    check(table.get("language"), check_language);
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
