//! [`HyperTransport`].

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{StatusCode, header::PROXY_AUTHORIZATION};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{CaptureConnection, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};

use super::{
    Answering, Request, Response, Transport, TransportError, TransportErrorKind,
    connector::Connector,
    failure,
    options::{HttpVersion, TransportOptions},
    proxy::Proxies,
    tls::Tls,
};
use crate::error::Error;

/// From how many bytes on the head of an answer is refused: far more than any service of Amplitude
/// sends, and little enough that nobody fills the memory with one. Over HTTP/1.1 it is looked at
/// after each piece that was read, and so up to twice as many may be read.
const MAX_HEAD: u32 = 64 * 1024;

/// The [`Transport`] over the network, and the default of every client: pooled connections,
/// HTTP/1.1 and HTTP/2, TLS, proxies.
///
/// - It follows **no redirects**. An answer of 3xx is an answer like any other, and so a key is
///   never sent to a host that the caller did not name.
/// - A connection on which a request was given up (timed out, dropped, its body not read to the
///   end) takes no other request: what is wrong with it, if anything, would be wrong for the next
///   one too. An HTTP/1.1 connection is closed then, an HTTP/2 connection when its other requests
///   are done.
/// - A request that met a pooled connection that was just being closed, and of which nothing was
///   sent yet, is sent again on another one.
/// - Where a host has addresses of IPv4 and IPv6, the second kind is tried when the first has not
///   answered for 300 ms.
/// - Cloning is cheap and shares the connections.
/// - [`send`](Transport::send) needs a tokio runtime, and a connection lives in the runtime that
///   made it: use a transport from one runtime. When that one is gone, so are its connections, and
///   the next request, from another runtime, makes its own.
/// - After a `fork` the child makes connections of its own and leaves those of its parent alone.
///
/// ```
/// use experiment_client::{HyperTransport, TransportOptions};
///
/// let transport = HyperTransport::new(TransportOptions::default())?;
/// # let _ = transport;
/// # Ok::<(), experiment_client::Error>(())
/// ```
#[derive(Clone)]
pub struct HyperTransport(Arc<Shared>);

struct Shared {
    options: TransportOptions,
    proxies: Arc<Proxies>,
    connections: ArcSwap<Connections>,
}

/// The connections of one process.
struct Connections {
    process: u32,
    client: Client<Connector, Full<Bytes>>,
}

impl HyperTransport {
    /// A transport without connections yet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if a certificate, a key or the address of the proxy cannot be read. That
    /// the machine has no root certificates shows at the first `https` request, as
    /// [`TransportErrorKind::NoRoots`].
    pub fn new(options: TransportOptions) -> Result<Self, Error> {
        let proxies = Arc::new(Proxies::new(&options.proxy)?);
        let connections = Connections::new(&options, Arc::clone(&proxies))?;
        Ok(Self(Arc::new(Shared {
            options,
            proxies,
            connections: ArcSwap::from_pointee(connections),
        })))
    }

    /// The connections of this process.
    fn connections(&self) -> Result<Arc<Connections>, TransportError> {
        let shared = &*self.0;
        let connections = shared.connections.load_full();
        if connections.process == std::process::id() {
            return Ok(connections);
        }
        let own = Connections::new(&shared.options, Arc::clone(&shared.proxies))
            .map_err(|error| TransportError::with_source(TransportErrorKind::Other, error))?;
        let own = Arc::new(own);
        // Not even dropped: the tasks of these connections live in the runtime of the parent, whose
        // threads this process does not have but whose locks it may have copied while they were held.
        std::mem::forget(shared.connections.swap(Arc::clone(&own)));
        std::mem::forget(connections);
        Ok(own)
    }
}

impl Connections {
    fn new(options: &TransportOptions, proxies: Arc<Proxies>) -> Result<Self, Error> {
        let connector = Connector::new(options, proxies, Tls::new(options)?);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(options.pool_idle_timeout)
            .pool_max_idle_per_host(options.pool_max_idle_per_host)
            .http1_max_buf_size(MAX_HEAD as usize)
            .http2_max_header_list_size(MAX_HEAD)
            .http2_only(options.http_version == HttpVersion::Http2)
            .build(connector);
        Ok(Self {
            process: std::process::id(),
            client,
        })
    }
}

impl Transport for HyperTransport {
    fn send(&self, request: Request) -> Answering<'_> {
        Box::pin(async move {
            let connections = self.connections()?;
            let proxy = self.0.proxies.forwarding(request.uri());
            let mut request = request.map(Full::new);
            if let Some(authorization) = proxy.as_ref().and_then(|proxy| proxy.basic_auth()) {
                request
                    .headers_mut()
                    .insert(PROXY_AUTHORIZATION, authorization.clone());
            }
            let in_use = InUse(Some(capture_connection(&mut request)));
            let response = connections
                .client
                .request(request)
                .await
                .map_err(failure::of_request)?;
            if proxy.is_some() && response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
                let status = Some(response.status().as_u16());
                return Err(TransportError::new(TransportErrorKind::Proxy(status)));
            }
            Ok(received(response, in_use))
        })
    }
}

fn received(response: http::Response<Incoming>, in_use: InUse) -> Response {
    let (head, incoming) = response.into_parts();
    let mut body = Receiving { incoming, in_use };
    if body.incoming.is_end_stream() {
        body.in_use.done();
    }
    Response::from_parts(head, body.boxed_unsync())
}

impl fmt::Debug for HyperTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransport")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

/// A request whose answer is not complete. Dropped before it is, it takes its connection out of the
/// pool.
struct InUse(Option<CaptureConnection>);

impl InUse {
    fn done(&mut self) {
        self.0 = None;
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        if let Some(captured) = &self.0
            && let Some(connected) = captured.connection_metadata().as_ref()
        {
            connected.poison();
        }
    }
}

/// The body of an answer.
struct Receiving {
    incoming: Incoming,
    in_use: InUse,
}

impl Body for Receiving {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(context));
        if frame.is_none() || self.incoming.is_end_stream() {
            self.in_use.done();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(failure::of_body)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use crate::test_kit::{Answer, Script, Service};

    use super::*;

    #[tokio::test]
    async fn connections_of_another_process_are_left_alone() {
        let script = Script::new();
        script.on("/", Answer::json("[]"));
        let service = Service::start(script).await.expect("a service");
        let transport = HyperTransport::new(TransportOptions::new()).expect("options");
        let fetch = async || {
            let request = http::Request::get(format!("{}/", service.url())).body(Bytes::new());
            let answer = transport
                .send(request.expect("a request"))
                .await
                .expect("an answer");
            answer.into_body().collect().await.expect("a body");
        };
        fetch().await;
        fetch().await;
        assert_eq!(service.connections(), 1);

        let parent = transport.0.connections.load_full();
        transport.0.connections.store(Arc::new(Connections {
            process: parent.process.wrapping_add(1),
            client: parent.client.clone(),
        }));
        fetch().await;
        fetch().await;
        assert_eq!(service.connections(), 2);
    }
}
