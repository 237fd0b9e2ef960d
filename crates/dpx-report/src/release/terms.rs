//! What the licenses of Llama and Gemma ask of whoever passes on a model that was made from theirs: words for the card, a name, and
//! a notice that comes with the files.

use std::fs;
use std::path::Path;

/// The file of the notice where the public model brings none.
const NOTICE_FILE: &str = "NOTICE";

/// What one license asks for, in its own words (meta-llama/llama-models, ai.google.dev/gemma/terms).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    /// To be displayed prominently.
    pub(super) display: Option<&'static str>,
    /// What the name of a model has to begin with that was made from theirs.
    pub(super) name: Option<&'static str>,
    notice: &'static str,
}

impl Terms {
    /// Those of a license by its identifier on the Hugging Face Hub; none where it asks for none of this.
    pub(super) fn of(license: &str) -> Option<Self> {
        let llama = |notice| Self {
            display: Some("Built with Llama"),
            name: Some("Llama"),
            notice,
        };
        let plain = |notice| Self {
            display: None,
            name: None,
            notice,
        };
        Some(match license {
            "llama2" => plain(
                "Llama 2 is licensed under the LLAMA 2 Community License, Copyright (c) Meta Platforms, Inc. All Rights Reserved.",
            ),
            "llama3" => Self {
                display: Some("Built with Meta Llama 3"),
                name: Some("Llama 3"),
                notice: "Meta Llama 3 is licensed under the Meta Llama 3 Community License, Copyright © Meta Platforms, Inc. All Rights \
                         Reserved.",
            },
            "llama3.1" => llama(
                "Llama 3.1 is licensed under the Llama 3.1 Community License, Copyright © Meta Platforms, Inc. All Rights Reserved.",
            ),
            "llama3.2" => llama(
                "Llama 3.2 is licensed under the Llama 3.2 Community License, Copyright © Meta Platforms, Inc. All Rights Reserved.",
            ),
            "llama3.3" => llama(
                "Llama 3.3 is licensed under the Llama 3.3 Community License, Copyright © Meta Platforms, Inc. All Rights Reserved.",
            ),
            "llama4" => llama(
                "Llama 4 is licensed under the Llama 4 Community License, Copyright © Meta Platforms, Inc. All Rights Reserved.",
            ),
            "gemma" => plain(
                "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms",
            ),
            _ => return None,
        })
    }

    /// Writes the notice into the folder of a model, unless one came with the public model.
    pub(super) fn write_notice(self, folder: &Path) -> std::io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name().to_string_lossy().to_uppercase();
            if name.starts_with(NOTICE_FILE) {
                return Ok(());
            }
        }
        fs::write(folder.join(NOTICE_FILE), format!("{}\n", self.notice))
    }

    /// The name of a model as the license wants it.
    pub(super) fn named(self, name: &str) -> String {
        match self.name {
            Some(begin) if !name.to_lowercase().starts_with(&begin.to_lowercase()) => {
                format!("{begin} {name}")
            }
            _ => name.to_owned(),
        }
    }

    /// What is left to whoever publishes the model; `files` are those beside its card.
    pub(super) fn duties(self, files: &[String]) -> String {
        let has_copy = files.iter().any(|file| {
            let name = file.to_uppercase();
            name.starts_with("LICENSE") || name.starts_with("LICENCE")
        });
        let mut duties = Vec::new();
        if let Some(begin) = self.name {
            duties.push(format!("a name that begins with \"{begin}\""));
        }
        if let Some(words) = self.display {
            duties.push(format!("the words \"{words}\" where the model is shown"));
        }
        if !has_copy {
            duties.push("a copy of the license beside the model, which the public model's folder did not hold".to_owned());
        }
        duties.push("its notice, which is the file whose name begins with `NOTICE`".to_owned());
        format!(
            "That license asks of whoever passes the model on: {}.",
            duties.join("; ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_notices_are_those_that_the_licenses_ask_for() {
        let terms = |license| Terms::of(license).unwrap();
        assert_eq!(Terms::of("apache-2.0"), None);
        assert_eq!(terms("llama3.2").named("chats"), "Llama chats");
        assert_eq!(terms("llama3.2").named("llama-chats"), "llama-chats");
        assert_eq!(terms("llama3").named("Llama chats"), "Llama 3 Llama chats");
        assert_eq!(terms("gemma").named("chats"), "chats");
        for (license, version) in [
            ("llama3.1", "Llama 3.1"),
            ("llama3.2", "Llama 3.2"),
            ("llama3.3", "Llama 3.3"),
            ("llama4", "Llama 4"),
        ] {
            let wanted = format!(
                "{version} is licensed under the {version} Community License, Copyright © Meta Platforms, Inc. All Rights Reserved."
            );
            assert_eq!(terms(license).notice, wanted);
        }
    }

    #[test]
    fn a_notice_of_the_public_model_stays() {
        let folder = tempfile::tempdir().unwrap();
        let terms = Terms::of("llama3.2").unwrap();
        fs::write(folder.path().join("Notice.txt"), "theirs").unwrap();
        terms.write_notice(folder.path()).unwrap();
        assert!(!folder.path().join(NOTICE_FILE).exists());
        fs::remove_file(folder.path().join("Notice.txt")).unwrap();
        terms.write_notice(folder.path()).unwrap();
        let written = fs::read_to_string(folder.path().join(NOTICE_FILE)).unwrap();
        assert_eq!(written, format!("{}\n", terms.notice));
        let without = terms.duties(&[NOTICE_FILE.to_owned()]);
        assert!(without.contains("a copy of the license"), "{without}");
        let with = terms.duties(&["LICENSE.txt".to_owned()]);
        assert!(!with.contains("a copy of the license"), "{with}");
    }
}
