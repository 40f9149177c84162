//! [`ScriptedBody`]: the steps of an answer as a body.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::script::Step;
use crate::transport::{TransportError, TransportErrorKind};

pub(super) struct ScriptedBody {
    steps: std::vec::IntoIter<Step>,
    waiting: Option<Pin<Box<Sleep>>>,
    breaking: bool,
}

impl ScriptedBody {
    pub(super) fn new(steps: Vec<Step>) -> Self {
        Self {
            steps: steps.into_iter(),
            waiting: None,
            breaking: false,
        }
    }
}

impl Body for ScriptedBody {
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
                Some(Step::Reset) if !self.breaking => {
                    // What was sent before is flushed while nothing is to be sent.
                    self.breaking = true;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
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

    fn size_hint(&self) -> SizeHint {
        let size = self.steps.as_slice().iter().try_fold(0_u64, |size, step| {
            let Step::Send(piece) = step else { return None };
            size.checked_add(piece.len() as u64)
        });
        size.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
