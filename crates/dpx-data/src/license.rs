//! What the folder of a model says of its license: in its card, or by files of that name.

use crate::card::{MAX_README, front_matter};
use serde_json::Value;
use std::io::Read;
use std::path::Path;

/// Beginnings of the names of files that hold a license or belong to one.
const FILES: [&str; 5] = ["LICENSE", "LICENCE", "NOTICE", "COPYING", "USE_POLICY"];

/// A license as far as a folder states it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatedLicense {
    /// `license` of the card: an identifier of the Hugging Face Hub.
    pub id: Option<String>,
    /// `license_name` of the card, where the Hub has no identifier.
    pub name: Option<String>,
    /// Files of the folder that hold it, sorted.
    pub files: Vec<String>,
}

/// Reads what a folder states; a card that cannot be read states nothing.
pub fn stated_license(folder: &Path) -> StatedLicense {
    let card = card(folder).unwrap_or(Value::Null);
    let text = |key: &str| {
        let first = match &card[key] {
            Value::Array(all) => all.first()?,
            one => one,
        };
        let text = first.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<String> = names
        .filter(|entry| entry.path().is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| {
            FILES
                .iter()
                .any(|known| name.to_uppercase().starts_with(known))
        })
        .collect();
    files.sort();
    StatedLicense {
        id: text("license"),
        name: text("license_name"),
        files,
    }
}

fn card(folder: &Path) -> Option<Value> {
    let mut text = String::new();
    let file = std::fs::File::open(folder.join("README.md")).ok()?;
    file.take(MAX_README).read_to_string(&mut text).ok()?;
    front_matter(&text).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_and_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(stated_license(folder.path()), StatedLicense::default());
        write("README.md", "no front matter\nlicense: mit\n");
        assert_eq!(stated_license(folder.path()).id, None);
        write(
            "README.md",
            "---\nlanguage: en\nlicense:\n- apache-2.0\n- mit\n---\n# Model\n",
        );
        write("LICENSE.txt", "text");
        write("Notice", "text");
        write("licenses.md.bak", "text");
        let found = stated_license(folder.path());
        assert_eq!(found.id.as_deref(), Some("apache-2.0"));
        assert_eq!(found.files, ["LICENSE.txt", "Notice", "licenses.md.bak"]);
        write(
            "README.md",
            "---\nlicense: other\nlicense_name: \"gemma-terms\"\n---\n",
        );
        let found = stated_license(folder.path());
        assert_eq!(
            (found.id.as_deref(), found.name.as_deref()),
            (Some("other"), Some("gemma-terms"))
        );
    }
}
