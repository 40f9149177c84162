//! [`Wire`]: services in memory whose open connections can break, or go silent.

use std::{
    fmt,
    future::pending,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use experiment_client::{
    Answering, Request, ResponseBody, Transport, TransportError, TransportErrorKind,
    test_kit::{InMemoryTransport, Script},
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::watch;

#[derive(Clone)]
pub(crate) struct Wire {
    services: InMemoryTransport,
    cuts: Arc<watch::Sender<Cut>>,
}

/// How often the connections were cut, and how the last time.
#[derive(Clone, Copy, Debug, Default)]
struct Cut {
    number: u32,
    silent: bool,
}

impl Wire {
    pub(crate) fn new(script: &Script) -> Self {
        Self {
            services: InMemoryTransport::new(script.clone()),
            cuts: Arc::default(),
        }
    }

    /// Breaks every answer that is under way; silently if nobody is told.
    pub(crate) fn cut(&self, silent: bool) {
        self.cuts.send_modify(|cut| {
            cut.number += 1;
            cut.silent = silent;
        });
    }
}

impl fmt::Debug for Wire {
    /// Without what the services were asked, which is about users.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Transport for Wire {
    fn send(&self, request: Request) -> Answering<'_> {
        Box::pin(async move {
            let mut cuts = self.cuts.subscribe();
            let before = cuts.borrow().number;
            let response = self.services.send(request).await?;
            let cut = async move {
                let cut = cuts.wait_for(|cut| cut.number > before).await;
                let silent = cut.ok().map(|cut| cut.silent);
                match silent {
                    Some(silent) => silent,
                    None => pending().await,
                }
            };
            Ok(response.map(|body| {
                let body = Line {
                    body,
                    cut: Box::pin(cut),
                    is_silent: false,
                };
                body.boxed_unsync()
            }))
        })
    }
}

/// A body that ends when the wire is cut.
struct Line {
    body: ResponseBody,
    /// Ready when it is cut; whether silently.
    cut: Pin<Box<dyn Future<Output = bool> + Send>>,
    is_silent: bool,
}

impl Body for Line {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        if self.is_silent {
            return Poll::Pending;
        }
        match self.cut.as_mut().poll(context) {
            Poll::Pending => Pin::new(&mut self.body).poll_frame(context),
            Poll::Ready(true) => {
                self.is_silent = true;
                Poll::Pending
            }
            Poll::Ready(false) => {
                let broken = TransportError::new(TransportErrorKind::Closed);
                Poll::Ready(Some(Err(broken)))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
