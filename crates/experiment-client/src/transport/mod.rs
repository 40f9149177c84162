//! [`Transport`]: one HTTP request, one answer.

mod connector;
mod failure;
mod hyper_transport;
mod options;
mod proxy;
mod tls;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

pub use self::{
    hyper_transport::HyperTransport,
    options::{HttpVersion, TransportOptions},
};

/// A request with its whole body.
pub type Request = http::Request<Bytes>;

/// The body of an answer, read piece by piece.
pub type ResponseBody = UnsyncBoxBody<Bytes, TransportError>;

/// An answer whose head has arrived.
pub type Response = http::Response<ResponseBody>;

/// An answer to come.
pub type Answering<'a> =
    Pin<Box<dyn Future<Output = Result<Response, TransportError>> + Send + 'a>>;

/// Sends one request and returns the answer when its head has arrived.
///
/// Everything else is done above it, for every transport alike: deadlines, retries, compression,
/// limits of bodies. Dropping the future, or the body, gives the request up. A transport must not
/// follow redirects, since a request carries a key.
pub trait Transport: Send + Sync + fmt::Debug + 'static {
    /// Sends `request`.
    fn send(&self, request: Request) -> Answering<'_>;
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send(&self, request: Request) -> Answering<'_> {
        (**self).send(request)
    }
}

/// The service could not be reached, or the connection broke.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct TransportError {
    kind: TransportErrorKind,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl TransportError {
    /// An error without a cause.
    pub fn new(kind: TransportErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// An error with the cause that the library below gives. It must not contain a key.
    pub fn with_source(
        kind: TransportErrorKind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            source: Some(source.into()),
        }
    }

    /// What broke.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }
}

/// What broke below HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The name of the host is not known.
    Resolve,
    /// No connection: refused, unreachable, timed out.
    Connect,
    /// No trust: wrong host, expired, unknown authority, no common version.
    Tls,
    /// The machine has no root certificates that could be read, and none were given.
    NoRoots,
    /// The proxy did not make the connection; its status if it gave one.
    Proxy(Option<u16>),
    /// The connection ended before the answer did.
    Closed,
    /// What came is not HTTP.
    Protocol,
    /// Anything else.
    Other,
}

impl fmt::Display for TransportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve => f.write_str("the host is not known"),
            Self::Connect => f.write_str("could not connect"),
            Self::Tls => f.write_str("the TLS handshake failed"),
            Self::NoRoots => f.write_str("there are no root certificates"),
            Self::Proxy(Some(status)) => write!(f, "the proxy answered with status {status}"),
            Self::Proxy(None) => f.write_str("the proxy did not connect"),
            Self::Closed => f.write_str("the connection was closed"),
            Self::Protocol => f.write_str("the answer is not HTTP"),
            Self::Other => f.write_str("the transport failed"),
        }
    }
}
