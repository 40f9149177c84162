//! [`InMemoryTransport`]: a fake service without sockets, for tests on a paused clock.

use http::Response as HttpResponse;
use http_body_util::BodyExt;
use tokio::time::sleep;

use super::{
    script::{Answer, Head, Received, Script},
    scripted_body::ScriptedBody,
};
use crate::transport::{Answering, Request, Transport, TransportError, TransportErrorKind};

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
        Head::Raw => return Err(TransportError::new(TransportErrorKind::Protocol)),
    };
    let mut response = HttpResponse::builder().status(status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response
        .body(ScriptedBody::new(answer.body).boxed_unsync())
        .map_err(|error| TransportError::with_source(TransportErrorKind::Protocol, error))
}
