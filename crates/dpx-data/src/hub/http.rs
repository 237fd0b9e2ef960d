//! Requests to the Hub: redirects followed by hand, the token for the endpoint alone, patience with a busy server.

use super::address::{Address, Origin};
use super::settings::{Settings, Token};
use std::io::ErrorKind;
use std::time::Duration;
use ureq::http::HeaderMap;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body, Error};

/// Most redirects that are followed for one request.
const MAX_REDIRECTS: usize = 10;

/// How long a server is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Most attempts of one request.
    pub(super) attempts: u32,
    /// Pause after the first failure where the server names none; each further one is twice as long.
    pub(super) pause: Duration,
    /// Longest pause that a server may ask for.
    pub(super) longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 5,
            pause: Duration::from_millis(500),
            longest: Duration::from_mins(2),
        }
    }
}

impl Patience {
    /// The pause after so many failures, counted from 1.
    pub(super) fn after(self, failures: u32) -> Duration {
        self.pause * 2_u32.saturating_pow(failures.saturating_sub(1).min(8))
    }
}

/// What is told before a pause: why, and how long it is.
pub(super) type Waiting<'a> = dyn FnMut(&str, Duration) + 'a;

/// The part of a file that is asked for: all from a byte on, if it is still the same file.
#[derive(Debug, Clone)]
pub(super) struct Range {
    pub(super) from: u64,
    /// A strong entity tag of the bytes before.
    pub(super) if_range: Option<String>,
}

/// An answer after all redirects, whatever its status.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    pub(super) origin: Origin,
    /// Whether that is the endpoint, rather than a host that it redirects to.
    pub(super) from_endpoint: bool,
    /// The name under which the Hub stores the file, from the endpoint's own answer.
    pub(super) linked_etag: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// No connection: the name does not resolve, nobody listens, there is no route. Another attempt would end alike.
    Unreachable(String),
    /// The connection broke or stalled.
    Broken(String),
    /// Something that no further attempt mends: a certificate, a redirect, an answer that is not HTTP.
    Unusable(String),
}

/// Asks one endpoint, and whoever it redirects to.
#[derive(Debug, Clone)]
pub(super) struct Client {
    agent: Agent,
    endpoint: Address,
    token: Option<Token>,
    pub(super) patience: Patience,
}

impl Client {
    /// # Errors
    /// When the endpoint is not an address, the token cannot be sent, or the certificates cannot be read.
    pub(super) fn new(settings: &Settings, patience: Patience) -> Result<Self, String> {
        let endpoint = Address::parse(&settings.endpoint)
            .map_err(|problem| format!("HF_ENDPOINT is not the address of a server: {problem}"))?;
        if settings
            .token
            .as_ref()
            .is_some_and(|token| !token.is_sound())
        {
            return Err(
                "the token for the Hub (HF_TOKEN or its file) holds a character that no token has"
                    .into(),
            );
        }
        let mut tls = TlsConfig::builder();
        if let Some(path) = &settings.certificates {
            let failed =
                |problem: String| format!("certificates in `{}`: {problem}", path.display());
            tls = tls.root_certs(certificates(path).map_err(failed)?);
        }
        let agent = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("dpx/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(Duration::from_secs(15)))
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_recv_response(Some(Duration::from_mins(1)))
            .timeout_per_read(Some(Duration::from_mins(1)))
            .tls_config(tls.build())
            .build()
            .into();
        Ok(Self {
            agent,
            endpoint,
            token: settings.token.clone(),
            patience,
        })
    }

    /// Asks for an address, and again after a pause where the server is busy or the connection breaks.
    pub(super) fn get(
        &self,
        url: &str,
        range: Option<&Range>,
        waiting: &mut Waiting<'_>,
    ) -> Result<Reply, Failure> {
        let mut attempt = 1;
        loop {
            let last = attempt >= self.patience.attempts;
            let (why, pause) = match self.once(url, range) {
                Ok(reply) if is_busy(reply.status) && !last => {
                    let pause = asked_pause(&reply.headers);
                    if pause.is_some_and(|pause| pause > self.patience.longest) {
                        return Ok(reply);
                    }
                    let why = format!("{} answered with status {}", reply.origin, reply.status);
                    (why, pause)
                }
                Err(Failure::Broken(why)) if !last => (why, None),
                other => return other,
            };
            let pause = pause.unwrap_or_else(|| self.patience.after(attempt));
            waiting(&why, pause);
            std::thread::sleep(pause);
            attempt += 1;
        }
    }

    /// One attempt, redirects and all.
    fn once(&self, url: &str, range: Option<&Range>) -> Result<Reply, Failure> {
        let mut address = Address::parse(url)
            .map_err(|problem| Failure::Unusable(format!("an address is malformed: {problem}")))?;
        let mut linked_etag = None;
        for _ in 0..=MAX_REDIRECTS {
            let at_endpoint = address.origin() == self.endpoint.origin();
            let mut request = self
                .agent
                .get(address.to_string())
                .header("Accept-Encoding", "identity");
            if let (true, Some(token)) = (at_endpoint, &self.token) {
                request = request.header("Authorization", token.bearer());
            }
            if let Some(range) = range {
                request = request.header("Range", format!("bytes={}-", range.from));
                if let Some(tag) = &range.if_range {
                    request = request.header("If-Range", tag);
                }
            }
            let response = request
                .call()
                .map_err(|error| failure(error, address.origin()))?;
            let status = response.status().as_u16();
            if at_endpoint && linked_etag.is_none() {
                linked_etag = text(response.headers(), "X-Linked-Etag").map(str::to_owned);
            }
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                let (parts, body) = response.into_parts();
                return Ok(Reply {
                    status,
                    headers: parts.headers,
                    body,
                    origin: address.origin().clone(),
                    from_endpoint: at_endpoint,
                    linked_etag,
                });
            }
            let unusable = |problem: &str| {
                let from = address.origin();
                Failure::Unusable(format!("{from} sent a redirect that is refused: {problem}"))
            };
            let location = text(response.headers(), "Location")
                .ok_or_else(|| unusable("it says not where to"))?;
            address = address.join(location).map_err(unusable)?;
        }
        Err(Failure::Unusable(format!(
            "{} redirects more than {MAX_REDIRECTS} times",
            self.endpoint.origin()
        )))
    }
}

/// Whether another attempt after a while may succeed.
pub(super) const fn is_busy(status: u16) -> bool {
    matches!(status, 429 | 500 | 502 | 503 | 504)
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The pause that a server asks for, in seconds or as a date.
pub(super) fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    let asked = text(headers, "Retry-After")?;
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(asked)
        .ok()?;
    let wait = date.duration_since(jiff::Timestamp::now());
    // A date in the past asks for no pause.
    Some(wait.try_into().unwrap_or(Duration::ZERO))
}

fn certificates(path: &std::path::Path) -> Result<RootCerts, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let certificates: Vec<Certificate<'static>> = ureq::tls::parse_pem(&bytes)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
            Ok(_) => None,
            Err(error) => Some(Err(error.to_string())),
        })
        .collect::<Result<_, _>>()?;
    if certificates.is_empty() {
        return Err("expected certificates in PEM form, found none".into());
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

/// What an error of the connection means, without the address, whose query may hold a signature.
fn failure(error: Error, origin: &Origin) -> Failure {
    let host = origin.host();
    match error {
        Error::HostNotFound => Failure::Unreachable(format!("the name `{host}` does not resolve")),
        Error::ConnectionFailed => Failure::Unreachable(format!("no connection to {host}")),
        Error::ConnectProxyFailed(why) => Failure::Unreachable(format!("the proxy refuses: {why}")),
        Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
            Failure::Unreachable(format!("no connection to {host} in time"))
        }
        Error::Timeout(_) => Failure::Broken(format!("{host} did not answer in time")),
        Error::Io(error) => of_io(&error, &host),
        error => Failure::Unusable(format!("the connection to {host} cannot be used: {error}")),
    }
}

/// What an error while reading or writing means.
pub(super) fn of_io(error: &std::io::Error, host: &str) -> Failure {
    match error.kind() {
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof
        | ErrorKind::TimedOut
        | ErrorKind::WouldBlock
        | ErrorKind::Interrupted => {
            Failure::Broken(format!("the connection to {host} broke: {error}"))
        }
        // What rustls finds wrong with the other side.
        ErrorKind::InvalidData | ErrorKind::InvalidInput => Failure::Unusable(format!(
            "the connection to {host} is not secure: {error}; behind a proxy that reads along, set SSL_CERT_FILE to its certificate"
        )),
        // Names that do not resolve have no kind of their own.
        _ => Failure::Unreachable(format!("no connection to {host}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_asked_for_is_in_seconds_or_a_date() {
        let asked = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("Retry-After", value.parse().unwrap());
            asked_pause(&headers)
        };
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let later = jiff::Timestamp::now() + Duration::from_secs(90);
        let date = later.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let pause = asked(&date).unwrap().as_secs();
        assert!((85..=90).contains(&pause), "{pause}");
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-5"), None);
        assert_eq!(asked_pause(&HeaderMap::new()), None);
    }

    #[test]
    fn pauses_double_and_stay_bounded() {
        let patience = Patience::default();
        assert_eq!(patience.after(1), Duration::from_millis(500));
        assert_eq!(patience.after(3), Duration::from_secs(2));
        assert_eq!(patience.after(1000), Duration::from_secs(128));
    }

    #[test]
    fn a_name_that_does_not_resolve_is_not_tried_again() {
        let settings = Settings {
            endpoint: "http://no-such-host.invalid".into(),
            cache: "nowhere".into(),
            token: None,
            offline: false,
            certificates: None,
        };
        let client = Client::new(&settings, Patience::default()).unwrap();
        let mut paused = 0;
        let failure = client.get(&settings.endpoint, None, &mut |_, _| paused += 1);
        assert!(
            matches!(failure, Err(Failure::Unreachable(_))),
            "{failure:?}"
        );
        assert_eq!(paused, 0);
    }

    #[test]
    fn broken_settings_are_told_without_secrets() {
        let new = |endpoint: &str, token: &str, certificates: Option<&str>| {
            let settings = Settings {
                endpoint: endpoint.into(),
                cache: "nowhere".into(),
                token: Token::new(token),
                offline: false,
                certificates: certificates.map(Into::into),
            };
            Client::new(&settings, Patience::default()).unwrap_err()
        };
        let error = new("https://who:secret@hub", "", None);
        assert!(
            error.contains("HF_ENDPOINT") && !error.contains("secret"),
            "{error}"
        );
        let error = new("https://hub", "sec\u{e9}ret", None);
        assert!(
            error.contains("HF_TOKEN") && !error.contains("ret)"),
            "{error}"
        );
        let error = new("https://hub", "", Some("/no/such/file"));
        assert!(error.contains("certificates in `/no/such/file`"), "{error}");
    }
}
