//! [`Proxies`]: through which proxy, and the tunnel through it.

use std::net::IpAddr;

use http::{HeaderValue, Uri, uri::Scheme};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{TransportError, TransportErrorKind, connector::Plain, failure, options::ProxyChoice};
use crate::error::Error;

/// How much a proxy may answer to `CONNECT`.
const MAX_TUNNEL_HEAD: usize = 16 * 1024;

const HTTPS_PORT: u16 = 443;

/// Which requests go through which proxy.
pub(super) enum Proxies {
    None,
    All(Matcher),
    /// Not for this machine itself.
    ButLoopback(Matcher),
}

impl Proxies {
    pub(super) fn new(choice: &ProxyChoice) -> Result<Self, Error> {
        match choice {
            ProxyChoice::Off => Ok(Self::None),
            ProxyChoice::Environment => Ok(Self::ButLoopback(Matcher::from_env())),
            ProxyChoice::Explicit(url) => {
                let matcher = Matcher::builder().all(url.expose()).build();
                // The matcher ignores what it cannot read, and sends all requests directly then.
                let reads = matcher
                    .intercept(&Uri::from_static("https://host/"))
                    .is_some_and(|proxy| is_http(proxy.uri()));
                if !reads {
                    return Err(Error::Config {
                        field: "proxy",
                        reason: "is not an http or https address",
                    });
                }
                Ok(Self::All(matcher))
            }
        }
    }

    /// The proxy for requests to `target`.
    pub(super) fn of(&self, target: &Uri) -> Option<Intercept> {
        match self {
            Self::None => None,
            Self::All(matcher) => matcher.intercept(target),
            Self::ButLoopback(matcher) => matcher
                .intercept(target)
                .filter(|_| !target.host().is_some_and(is_loopback)),
        }
    }

    /// The proxy that is handed requests to `target` themselves, not a tunnel.
    pub(super) fn forwarding(&self, target: &Uri) -> Option<Intercept> {
        if target.scheme() != Some(&Scheme::HTTP) {
            return None;
        }
        self.of(target)
    }
}

/// Whether the proxy is one that this crate can speak to.
pub(super) fn is_http(proxy: &Uri) -> bool {
    matches!(proxy.scheme_str(), Some("http" | "https"))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Asks the proxy at the other end of `stream` for a tunnel to `target`.
pub(super) async fn tunnel(
    mut stream: Box<dyn Plain>,
    target: &Uri,
    authorization: Option<&HeaderValue>,
) -> Result<Box<dyn Plain>, TransportError> {
    let refused = |status| TransportError::new(TransportErrorKind::Proxy(status));
    let host = target.host().unwrap_or_default();
    let port = target.port_u16().unwrap_or(HTTPS_PORT);
    let mut request =
        format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let closed = |error| match failure::of_io(error) {
        error if error.kind() == TransportErrorKind::Tls => error,
        error => TransportError::with_source(TransportErrorKind::Proxy(None), error),
    };
    stream.write_all(&request).await.map_err(closed)?;
    stream.flush().await.map_err(closed)?;

    let mut head = Vec::with_capacity(512);
    while !head.ends_with(b"\r\n\r\n") {
        // Byte by byte: what follows the head belongs to the tunnel. It is a few hundred bytes,
        // once for each connection.
        let byte = stream.read_u8().await.map_err(closed)?;
        head.push(byte);
        if head.len() > MAX_TUNNEL_HEAD {
            return Err(refused(None));
        }
    }
    match status_of(&head) {
        Some(200..=299) => Ok(stream),
        status => Err(refused(status)),
    }
}

/// The status of a head that starts with `HTTP/1.1 200 …`.
fn status_of(head: &[u8]) -> Option<u16> {
    let line = head.split(|&byte| byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words
        .next()
        .filter(|version| version.starts_with("HTTP/1."))?;
    words
        .next()
        .filter(|status| status.len() == 3)?
        .parse()
        .ok()
}
