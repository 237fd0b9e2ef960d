//! Addresses of HTTP requests: their origin, and where a redirect leads.

use std::fmt::{self, Write};

/// An absolute `http` or `https` address without user name, password and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    origin: Origin,
    /// From the first `/` on, with the query.
    path: String,
}

/// Who is talked to: the token is for one of these alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    secure: bool,
    /// Lower case; an IPv6 address in its brackets.
    host: String,
    port: u16,
}

impl Address {
    /// Parses an address.
    ///
    /// # Errors
    /// What is wrong with it; never the address itself, which may hold a password or a signature.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("it has no scheme")?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err("its scheme is neither https nor http"),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("it holds a user name or password");
        }
        let (host, port) = match authority
            .rfind(':')
            .filter(|at| !authority[*at..].contains(']'))
        {
            Some(at) => (&authority[..at], Some(&authority[at + 1..])),
            None => (authority, None),
        };
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let inner = host.trim_start_matches('[').trim_end_matches(']');
        let sound = if bracketed {
            inner.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            !host.is_empty() && host.chars().all(plain)
        };
        if !sound {
            return Err("its host is malformed");
        }
        let port = match port {
            None | Some("") => {
                if secure {
                    443
                } else {
                    80
                }
            }
            Some(port) => port.parse().map_err(|_| "its port is not a number")?,
        };
        let path = path.split('#').next().unwrap_or("");
        if path.chars().any(|c| c.is_control() || c == ' ') {
            return Err("it holds white space");
        }
        let path = match path.chars().next() {
            Some('/') => path.to_owned(),
            _ => format!("/{path}"),
        };
        let host = host.to_ascii_lowercase();
        Ok(Self {
            origin: Origin { secure, host, port },
            path,
        })
    }

    /// Where a `Location` in an answer from here leads.
    ///
    /// # Errors
    /// What is wrong with it; also where it leads from https to http.
    pub(super) fn join(&self, location: &str) -> Result<Self, &'static str> {
        let scheme = if self.origin.secure { "https" } else { "http" };
        let path = self.path.split('?').next().unwrap_or("/");
        // A scheme ends before the first `/`; a path may hold `://` later.
        let is_absolute = location
            .split_once("://")
            .is_some_and(|(scheme, _)| scheme.chars().all(|c| c.is_ascii_alphanumeric()));
        let next = if is_absolute {
            Self::parse(location)?
        } else if location.starts_with("//") {
            Self::parse(&format!("{scheme}:{location}"))?
        } else if location.starts_with('/') {
            Self::parse(&format!("{}{location}", self.origin))?
        } else if location.starts_with('?') {
            Self::parse(&format!("{}{path}{location}", self.origin))?
        } else if location.is_empty() {
            return Err("it is empty");
        } else {
            let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
            Self::parse(&format!("{}{folder}{location}", self.origin))?
        };
        if self.origin.secure && !next.origin.secure {
            return Err("it leads from https to http");
        }
        Ok(next)
    }

    pub(super) const fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl Origin {
    /// The host, and the port where it is not the usual one: for messages.
    pub(super) fn host(&self) -> String {
        let usual = if self.secure { 443 } else { 80 };
        if self.port == usual {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

/// A text with all but letters, digits and `-._~` percent-encoded; `/` too unless it is kept.
pub(super) fn encode(text: &str, keep_slash: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (keep_slash && byte == b'/') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(base: &str, location: &str) -> Result<String, &'static str> {
        let base = Address::parse(base).unwrap();
        base.join(location).map(|address| address.to_string())
    }

    #[test]
    fn origins_are_scheme_host_and_port() {
        let origin = |text: &str| Address::parse(text).unwrap().origin;
        let hub = origin("https://hub.example");
        for same in [
            "https://HUB.example:443/x?y#z",
            "HTTPS://hub.example/",
            "https://hub.example:",
        ] {
            assert_eq!(origin(same), hub, "{same}");
        }
        for other in [
            "http://hub.example",
            "https://hub.example:8443",
            "https://cdn.hub.example",
            "https://hub.example.",
            "https://hub.example.evil.example",
        ] {
            assert_ne!(origin(other), hub, "{other}");
        }
        assert_eq!(origin("http://[::1]:8080/a").host(), "[::1]:8080");
        for broken in [
            "hub.example",
            "ftp://hub.example",
            "https://",
            "https://user:secret@hub.example/",
            "https://hub.example:port/",
            "https://hub\\.example/",
            "https://[::1",
            "https://a b/",
            "https://hub.example/a b",
            "https://hub.example@evil.example/",
            "https://hub.example/\r\nX: y",
        ] {
            let problem = Address::parse(broken).unwrap_err();
            assert!(!problem.contains("secret"), "{problem}");
        }
    }

    #[test]
    fn redirects_lead_where_they_say() {
        let base = "https://hub.example/a/b?x=1";
        for (location, target) in [
            (
                "https://cdn.example/f?sig=a%2Fb",
                "https://cdn.example/f?sig=a%2Fb",
            ),
            ("//cdn.example/f", "https://cdn.example/f"),
            ("/c/d", "https://hub.example/c/d"),
            ("c", "https://hub.example/a/c"),
            ("?y=2", "https://hub.example/a/b?y=2"),
            ("/go?to=http://x", "https://hub.example/go?to=http://x"),
            ("go?to=http://x", "https://hub.example/a/go?to=http://x"),
        ] {
            assert_eq!(joined(base, location).unwrap(), target, "{location}");
        }
        assert_eq!(
            joined(base, "http://hub.example/c"),
            Err("it leads from https to http")
        );
        assert_eq!(joined(base, ""), Err("it is empty"));
        assert!(joined(base, "javascript://x").is_err());
        assert_eq!(joined("http://a/b", "https://a/c").unwrap(), "https://a/c");
    }

    #[test]
    fn names_are_encoded_for_addresses() {
        assert_eq!(
            encode("refs/convert/parquet", false),
            "refs%2Fconvert%2Fparquet"
        );
        assert_eq!(encode("a b/é?#%.csv", true), "a%20b/%C3%A9%3F%23%25.csv");
    }
}
