//! Why the Hub's answer is no use, and what to do: one message for each case.

use super::http::{Failure, Reply, asked_pause, text};
use super::{DataError, Hub, HubName, Role};

#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) role: Role,
    pub(super) name: &'a HubName,
    /// A file of it; none for the repository itself.
    pub(super) file: Option<&'a str>,
}

impl Asked<'_> {
    pub(super) fn what(&self) -> String {
        let name = written(self.name);
        match self.file {
            Some(file) => format!("`{file}` of `{name}`"),
            None => format!("the {} `{name}`", self.role.what()),
        }
    }
}

/// A name with its revision, `main` or not.
pub(super) fn written(name: &HubName) -> String {
    let mut text = name.to_string();
    let revision = format!("@{}", name.revision);
    if !text.ends_with(&revision) {
        text += &revision;
    }
    text
}

impl Hub {
    /// An answer other than success.
    pub(super) fn refused(&self, reply: &Reply, asked: Asked<'_>) -> DataError {
        let endpoint = &self.settings.endpoint;
        let code = text(&reply.headers, "X-Error-Code").unwrap_or("");
        let status = reply.status;
        let reason = match status {
            _ if !reply.from_endpoint => format!(
                "{}, where {endpoint} keeps its files, answered with status {status}: try again later",
                reply.origin.host()
            ),
            401 | 403 => self.denied(code, asked),
            404 if code == "RevisionNotFound" => format!(
                "there is no branch, tag or commit `{}` in it",
                asked.name.revision
            ),
            404 => "there is no such repository, revision or file: check owner, name and revision"
                .to_owned(),
            429 | 503 => {
                let pause = asked_pause(&reply.headers).map_or_else(
                    || "later".to_owned(),
                    |pause| format!("in {} seconds", pause.as_secs().max(1)),
                );
                format!("{endpoint} answered with status {status}: try again {pause}")
            }
            _ => format!("{endpoint} answered with status {status}: try again later"),
        };
        DataError::other(format!("{}: {reason}", asked.what()))
    }

    fn denied(&self, code: &str, asked: Asked<'_>) -> String {
        let folder = if asked.role == Role::Model {
            ""
        } else {
            "datasets/"
        };
        let page = format!(
            "{}/{folder}{}",
            self.settings.endpoint, asked.name.repository
        );
        let has_token = self.settings.token.is_some();
        match (code, has_token) {
            ("GatedRepo", true) => format!(
                "access denied: it is gated; accept its license at {page} with the account of the token (HF_TOKEN), then try again"
            ),
            ("GatedRepo", false) => format!(
                "access denied: it is gated; accept its license at {page}, then set HF_TOKEN to a token of that account"
            ),
            (_, true) => format!(
                "access denied: HF_TOKEN may not read it, or it is misspelt; if it is gated, accept its license at {page}"
            ),
            (_, false) => format!(
                "access denied: it is private, gated or misspelt; set HF_TOKEN to a token that may read it, and if it is gated, accept its license at {page}"
            ),
        }
    }

    /// No answer at all.
    pub(super) fn failed(failure: &Failure, asked: Asked<'_>) -> DataError {
        let (Failure::Unreachable(why) | Failure::Broken(why) | Failure::Unusable(why)) = failure;
        let advice = match (failure, asked.file) {
            (Failure::Unusable(_), _) => "",
            (_, Some(_)) => "; it goes on from where it stopped when you try again",
            (_, None) => "; try again",
        };
        DataError::other(format!(
            "{}: the download failed: {why}{advice}",
            asked.what()
        ))
    }

    /// Neither on this machine nor to be had.
    pub(super) fn absent(&self, asked: Asked<'_>, why: &str) -> DataError {
        DataError::Absent {
            what: asked.what(),
            why: format!(
                "{why}; looked in `{}`; run `dpx fetch FILE` where there is network, set HF_HOME to a folder that holds it or HF_ENDPOINT to a mirror, or give the path of a folder with its files instead of the name on the Hub",
                self.settings.cache.display(),
            ),
        }
    }
}
