//! Names of devices.

use crate::experiment::diagnostic::{Code, Diagnostic};
use crate::experiment::node::{Node, Table};
use crate::experiment::suggest::did_you_mean;
use dpx_schema::{Device, divided_devices};

/// Checks `device` and `devices` in the table `[run]`.
pub(in crate::experiment) fn devices(table: &Table, diagnostics: &mut Vec<Diagnostic>) {
    let known = diagnostics.len();
    let (device, divided) = (table.entry("device"), table.entry("devices"));
    if let Some(entry) = device {
        names(&entry.node, items(&entry.node).len() == 1, diagnostics);
    }
    let Some(divided) = divided else { return };
    names(&divided.node, false, diagnostics);
    if device.is_some() {
        diagnostics.push(
            Diagnostic::at(
                Code::Conflict,
                divided.key_origin,
                "`device` and `devices` exclude each other",
            )
            .help(
                "`devices` divides each training over all of them, a list in `device` gives every row of a sweep one of them: \
                 remove one",
            ),
        );
    }
    let list: Vec<&str> = items(&divided.node)
        .iter()
        .filter_map(Node::as_str)
        .collect();
    if diagnostics.len() > known {
        return;
    }
    if list.is_empty() {
        diagnostics.push(
            Diagnostic::at(Code::BadDevice, divided.node.origin, "`devices` is empty")
                .help("name at least one, or remove the key"),
        );
    } else if let Err(reason) = divided_devices(&list) {
        diagnostics.push(Diagnostic::at(Code::BadDevice, divided.node.origin, reason));
    }
}

fn items(node: &Node) -> &[Node] {
    node.as_array().unwrap_or(std::slice::from_ref(node))
}

/// Checks one name or each in a list; `auto` stands alone, where it may stand at all.
fn names(node: &Node, auto: bool, diagnostics: &mut Vec<Diagnostic>) {
    for item in items(node) {
        let Some(name) = item.as_str() else { continue };
        if (name == "auto" && auto) || name.parse::<Device>().is_ok() {
            continue;
        }
        let diagnostic = Diagnostic::at(
            Code::BadDevice,
            item.origin,
            if name == "auto" {
                "`auto` cannot stand in a list of devices".to_owned()
            } else {
                format!("unknown device `{name}`")
            },
        );
        diagnostics.push(match did_you_mean(name, ["auto", "cpu", "wgpu", "cuda"]) {
            Some(near) if name != "auto" => diagnostic
                .help(format!("did you mean `{near}`?"))
                .fix(item.origin, format!("\"{near}\"")),
            _ => diagnostic.help("devices: `auto`, `cpu`, `wgpu`, `wgpu:N`, `cuda` or `cuda:N`"),
        });
    }
}
