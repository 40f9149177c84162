//! [`InMemoryTransport`]: a fake service without sockets, for tests on a paused clock.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response as HttpResponse;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::time::{Sleep, sleep};

use super::script::{Answer, Head, Received, Script, Step};
use crate::transport::{
    Answering, Request, ResponseBody, Transport, TransportError, TransportErrorKind,
};

/// Answers requests from a [`Script`] without a network. All its waiting is done with tokio's
/// timers, so that a paused clock passes over it at once, and never over anything else.
///
/// ```
/// use experiment_client::test_kit::{Answer, InMemoryTransport, Script};
///
/// let script = Script::new();
/// script.on("/sdk/v2/flags", Answer::json("[]"));
/// let transport = InMemoryTransport::new(script.clone());
/// # let _ = transport;
/// ```
#[derive(Clone, Debug)]
pub struct InMemoryTransport(Script);

impl InMemoryTransport {
    /// Answers as `script` says.
    pub fn new(script: Script) -> Self {
        Self(script)
    }
}

impl Transport for InMemoryTransport {
    fn send(&self, request: Request) -> Answering<'_> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let target = head
                .uri
                .path_and_query()
                .map_or("/", |target| target.as_str());
            let answer = self
                .0
                .answer(&Received::new(head.method, target, head.headers, body));
            sleep(answer.delay).await;
            respond(answer).await
        })
    }
}

async fn respond(answer: Answer) -> Result<crate::transport::Response, TransportError> {
    let status = match answer.head {
        Head::Status(status) => status,
        Head::Refused => return Err(TransportError::new(TransportErrorKind::Connect)),
        Head::Silence => std::future::pending().await,
    };
    let mut response = HttpResponse::builder().status(status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response
        .body(body(answer.body))
        .map_err(|error| TransportError::with_source(TransportErrorKind::Protocol, error))
}

fn body(steps: Vec<Step>) -> ResponseBody {
    Scripted {
        steps: steps.into_iter(),
        waiting: None,
    }
    .boxed_unsync()
}

struct Scripted {
    steps: std::vec::IntoIter<Step>,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(context));
                self.waiting = None;
            }
            match self.steps.as_slice().first() {
                None => return Poll::Ready(None),
                Some(Step::Stall) => return Poll::Pending,
                Some(Step::Send(_) | Step::Wait(_) | Step::Reset) => {}
            }
            match self.steps.next() {
                Some(Step::Send(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                Some(Step::Wait(time)) => self.waiting = Some(Box::pin(sleep(time))),
                _ => {
                    let broken = TransportError::new(TransportErrorKind::Closed);
                    return Poll::Ready(Some(Err(broken)));
                }
            }
        }
    }
}
