//! [`Connector`]: from an address to a stream that speaks HTTP.

use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Uri, uri::Scheme};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{
        Connected, Connection, HttpConnector,
        dns::{GaiResolver, Name},
    },
    rt::TokioIo,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use super::{
    TransportError, TransportErrorKind, failure,
    options::TransportOptions,
    proxy::{self, Proxies},
    tls::Tls,
};

/// Bytes both ways, be it TCP or TLS on it.
pub(super) trait Plain: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Plain for T {}

/// Resolves, connects, passes the proxy and does the TLS handshake, all within one time.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector<Names>,
    proxies: Arc<Proxies>,
    tls: Arc<Tls>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(options: &TransportOptions, proxies: Arc<Proxies>, tls: Tls) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Names(GaiResolver::new()));
        // The schemes are told apart here, and proxies have one too.
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(options.tcp_keepalive);
        tcp.set_keepalive_interval(options.tcp_keepalive);
        // Divided among the addresses of a host, so that a dead first one leaves time for a second.
        tcp.set_connect_timeout(Some(options.connect_timeout));
        Self {
            tcp,
            proxies,
            tls: Arc::new(tls),
            timeout: options.connect_timeout,
        }
    }

    async fn connect(mut self, target: Uri) -> Result<Stream, TransportError> {
        let secure = target.scheme() == Some(&Scheme::HTTPS);
        let host = target.host().unwrap_or_default();
        let Some(proxy) = self.proxies.of(&target) else {
            let plain = self.tcp(target.clone()).await?;
            return if secure {
                let (io, h2) = self.tls.with_service(host, plain).await?;
                Ok(Stream::new(io, h2))
            } else {
                Ok(Stream::new(plain, false))
            };
        };
        if !proxy::is_http(proxy.uri()) {
            return Err(TransportError::with_source(
                TransportErrorKind::Proxy(None),
                "only http and https proxies are known",
            ));
        }
        let mut plain = self.tcp(proxy.uri().clone()).await?;
        if proxy.uri().scheme() == Some(&Scheme::HTTPS) {
            let proxy_host = proxy.uri().host().unwrap_or_default();
            plain = self.tls.with_proxy(proxy_host, plain).await?;
        }
        if !secure {
            return Ok(Stream {
                forwarded: true,
                ..Stream::new(plain, false)
            });
        }
        let tunnel = proxy::tunnel(plain, &target, proxy.basic_auth()).await?;
        let (io, h2) = self.tls.with_service(host, tunnel).await?;
        Ok(Stream::new(io, h2))
    }

    async fn tcp(&mut self, target: Uri) -> Result<Box<dyn Plain>, TransportError> {
        match self.tcp.call(target).await {
            Ok(stream) => Ok(Box::new(stream.into_inner())),
            Err(error) => {
                // A name that is not known is told from all else by the error of `Names`.
                let kind = std::error::Error::source(&error)
                    .and_then(|source| source.downcast_ref::<TransportError>())
                    .map_or(TransportErrorKind::Connect, TransportError::kind);
                Err(TransportError::with_source(kind, error))
            }
        }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, TransportError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connecting = self.clone().connect(target);
        let timeout = self.timeout;
        Box::pin(async move {
            tokio::time::timeout(timeout, connecting)
                .await
                .unwrap_or_else(|elapsed| {
                    Err(TransportError::with_source(
                        TransportErrorKind::Connect,
                        elapsed,
                    ))
                })
        })
    }
}

/// The resolver of the operating system, with an error that can be told apart.
#[derive(Clone)]
struct Names(GaiResolver);

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, TransportError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolving = self.0.call(name);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = resolving
                .await
                .map_err(|error| TransportError::with_source(TransportErrorKind::Resolve, error))?
                .collect();
            Ok(addresses.into_iter())
        })
    }
}

/// A connection that HTTP is spoken on.
pub(super) struct Stream {
    io: TokioIo<Box<dyn Plain>>,
    h2: bool,
    /// Whether a proxy at the other end reads the requests.
    forwarded: bool,
}

impl Stream {
    fn new(io: Box<dyn Plain>, h2: bool) -> Self {
        Self {
            io: TokioIo::new(io),
            h2,
            forwarded: false,
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.forwarded);
        if self.h2 {
            connected.negotiated_h2()
        } else {
            connected
        }
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io)
            .poll_read(context, buffer)
            .map_err(failure::marked)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, pieces)
    }
}
