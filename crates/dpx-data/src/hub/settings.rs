//! Where the Hub is, where its cache folder is, and who asks: from the environment, as `huggingface_hub` reads it.

use std::fmt;
use std::path::{Path, PathBuf};

/// The Hub of Hugging Face.
const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// How the Hub is reached.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Without `/` at its end.
    pub(super) endpoint: String,
    /// The folder that holds `models--OWNER--NAME` and its like.
    pub(super) cache: PathBuf,
    pub(super) token: Option<Token>,
    pub(super) offline: bool,
    /// A file of certificates in PEM form to trust instead of Mozilla's, as behind a proxy that reads along.
    pub(super) certificates: Option<PathBuf>,
}

/// A secret that never shows in messages or logs.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(String);

impl Token {
    /// Without the white space around it; none where nothing is left.
    pub(super) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// What the header `Authorization` holds.
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Whether it can stand in a header.
    pub(super) fn is_sound(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Settings {
    /// As the process's environment says.
    pub(super) fn from_env() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::read(&variable, std::env::home_dir().as_deref())
    }

    /// As `variable` says, which gives no empty values.
    fn read(variable: &dyn Fn(&str) -> Option<String>, home: Option<&Path>) -> Self {
        let folder = |name: &str| variable(name).map(|text| expand(&text, home));
        let root = folder("HF_HOME").unwrap_or_else(|| {
            let caches = folder("XDG_CACHE_HOME")
                .unwrap_or_else(|| home.unwrap_or(Path::new("")).join(".cache"));
            caches.join("huggingface")
        });
        let yes = |name: &str| {
            variable(name).is_some_and(|value| {
                !matches!(value.to_lowercase().as_str(), "0" | "false" | "no" | "off")
            })
        };
        let token = || {
            let file = folder("HF_TOKEN_PATH").unwrap_or_else(|| root.join("token"));
            variable("HF_TOKEN")
                .or_else(|| variable("HUGGING_FACE_HUB_TOKEN"))
                .and_then(|text| Token::new(&text))
                .or_else(|| Token::new(&std::fs::read_to_string(file).ok()?))
        };
        Self {
            endpoint: variable("HF_ENDPOINT")
                .unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned())
                .trim_end_matches('/')
                .to_owned(),
            cache: folder("HF_HUB_CACHE")
                .or_else(|| folder("HUGGINGFACE_HUB_CACHE"))
                .unwrap_or_else(|| root.join("hub")),
            token: if yes("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
                None
            } else {
                token()
            },
            offline: yes("HF_HUB_OFFLINE") || yes("TRANSFORMERS_OFFLINE"),
            certificates: folder("REQUESTS_CA_BUNDLE").or_else(|| folder("SSL_CERT_FILE")),
        }
    }
}

/// A path with `~` for the home folder.
fn expand(text: &str, home: Option<&Path>) -> PathBuf {
    match (text.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            home.join(rest.trim_start_matches('/'))
        }
        _ => PathBuf::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)], home: &Path) -> Settings {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::read(&variable, Some(home))
    }

    #[test]
    fn the_cache_folder_is_where_hugging_face_keeps_it() {
        let home = Path::new("/home/who");
        for (variables, cache) in [
            (&[][..], "/home/who/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (&[("HF_HOME", "/hf"), ("XDG_CACHE_HOME", "/x")], "/hf/hub"),
            (&[("HF_HOME", "~/hf")], "/home/who/hf/hub"),
            (&[("HF_HUB_CACHE", "/c"), ("HF_HOME", "/hf")], "/c"),
            (
                &[("HUGGINGFACE_HUB_CACHE", "~"), ("HF_HOME", "/hf")],
                "/home/who",
            ),
        ] {
            assert_eq!(
                read(variables, home).cache,
                Path::new(cache),
                "{variables:?}"
            );
        }
    }

    #[test]
    fn the_token_comes_from_a_variable_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("elsewhere");
        let (home, path_text) = (
            folder.path().display().to_string(),
            path.display().to_string(),
        );
        std::fs::write(folder.path().join("token"), "stored\n").unwrap();
        std::fs::write(&path, " other \n").unwrap();
        let token = |variables: &[(&str, &str)]| {
            let mut all = vec![("HF_HOME", home.as_str())];
            all.extend(variables);
            read(&all, folder.path()).token.map(|token| token.bearer())
        };
        assert_eq!(token(&[]).unwrap(), "Bearer stored");
        assert_eq!(
            token(&[("HF_TOKEN_PATH", &path_text)]).unwrap(),
            "Bearer other"
        );
        assert_eq!(token(&[("HF_TOKEN", "mine")]).unwrap(), "Bearer mine");
        assert_eq!(
            token(&[("HF_TOKEN", " "), ("HF_TOKEN_PATH", "/nowhere")]),
            None
        );
        assert_eq!(token(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
        let settings = read(&[("HF_TOKEN", "secret")], folder.path());
        assert!(!format!("{settings:?}").contains("secret"));
        assert!(!Token::new("a\u{e9}b").unwrap().is_sound());
    }

    #[test]
    fn offline_and_endpoint_are_heeded() {
        let home = Path::new("/");
        let settings = read(&[("HF_ENDPOINT", "http://mirror/hf/")], home);
        assert_eq!(
            (settings.endpoint.as_str(), settings.offline),
            ("http://mirror/hf", false)
        );
        assert!(read(&[("HF_HUB_OFFLINE", "1")], home).offline);
        assert!(read(&[("TRANSFORMERS_OFFLINE", "yes")], home).offline);
        assert!(!read(&[("HF_HUB_OFFLINE", "False")], home).offline);
        assert_eq!(read(&[], home).endpoint, DEFAULT_ENDPOINT);
    }
}
