//! Names of devices.

use crate::experiment::diagnostic::{Code, Diagnostic};
use crate::experiment::node::Node;
use crate::experiment::suggest::did_you_mean;
use dpx_schema::Device;

/// Checks `[run] device`.
pub(crate) fn devices(node: &Node, diagnostics: &mut Vec<Diagnostic>) {
    let items = node.as_array().unwrap_or(std::slice::from_ref(node));
    for item in items {
        let Some(name) = item.as_str() else { continue };
        let alone = items.len() == 1;
        if (name == "auto" && alone) || name.parse::<Device>().is_ok() {
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
