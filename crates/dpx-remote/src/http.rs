//! HTTP for `object_store` by way of ureq. Calls block; each thread that makes them has a runtime of its own for the pauses
//! between tries.

use bytes::Bytes;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use std::pin::Pin;
use std::time::Duration;
use ureq::Agent;
use ureq::http::header::{CONTENT_LENGTH, HOST};
use ureq::http::{Method, Request, Response};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

/// Names a file with certificates that count instead of the built-in ones, as for curl.
const CERTIFICATES: &str = "SSL_CERT_FILE";

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(15);

/// How long a store may take to answer, and how long one piece may take.
const ANSWER: Duration = Duration::from_secs(60);
const PIECE: Duration = Duration::from_mins(30);

/// Makes clients.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    agent: Agent,
}

impl Connector {
    pub(crate) fn new() -> Result<Self, String> {
        let mut tls = TlsConfig::builder();
        if let Some(path) = std::env::var_os(CERTIFICATES) {
            let path = std::path::PathBuf::from(path);
            let told = |what: String| {
                format!(
                    "the certificates `{}` ({CERTIFICATES}): {what}",
                    path.display()
                )
            };
            let bytes = std::fs::read(&path).map_err(|error| told(error.to_string()))?;
            let found: Vec<Certificate<'static>> = ureq::tls::parse_pem(&bytes)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            if found.is_empty() {
                return Err(told("hold no certificate".to_owned()));
            }
            tls = tls.root_certs(RootCerts::new_with_certs(&found));
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_global(Some(PIECE))
            .tls_config(tls.build())
            .build()
            .new_agent();
        Ok(Self { agent })
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service {
            agent: self.agent.clone(),
        }))
    }
}

#[derive(Debug)]
struct Service {
    agent: Agent,
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;

// What `#[async_trait]` would write.
impl HttpService for Service {
    fn call<'life, 'out>(&'life self, request: HttpRequest) -> Answer<'out>
    where
        'life: 'out,
        Self: 'out,
    {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = whole(body).await?;
            self.send(&parts, body)
        })
    }
}

/// The body of a request in one piece.
async fn whole(body: object_store::client::HttpRequestBody) -> Result<Bytes, HttpError> {
    if let Some(bytes) = body.as_bytes() {
        return Ok(bytes.clone());
    }
    use http_body_util::BodyExt;
    Ok(body.collect().await?.to_bytes())
}

impl Service {
    fn send(
        &self,
        parts: &ureq::http::request::Parts,
        body: Bytes,
    ) -> Result<HttpResponse, HttpError> {
        let mut request = Request::builder()
            .method(parts.method.clone())
            .uri(parts.uri.clone());
        for (name, value) in &parts.headers {
            // ureq says these itself, of the body and the address that it sends.
            if name != CONTENT_LENGTH && name != HOST {
                request = request.header(name, value);
            }
        }
        let has_body =
            matches!(parts.method, Method::PUT | Method::POST | Method::PATCH) || !body.is_empty();
        let wrong = |error: ureq::http::Error| HttpError::new(HttpErrorKind::Unknown, error);
        let answer: Result<Response<ureq::Body>, ureq::Error> = if has_body {
            self.agent.run(request.body(&body[..]).map_err(wrong)?)
        } else {
            self.agent.run(request.body(()).map_err(wrong)?)
        };
        let (parts, mut body) = answer.map_err(failed)?.into_parts();
        let read = body.with_config().limit(u64::MAX).read_to_vec();
        let bytes = read.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error))?;
        Ok(Response::from_parts(parts, HttpResponseBody::from(bytes)))
    }
}

fn failed(error: ureq::Error) -> HttpError {
    let kind = match &error {
        ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => HttpErrorKind::Connect,
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            HttpErrorKind::Connect
        }
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            HttpErrorKind::Connect
        }
        ureq::Error::Io(_) => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}
