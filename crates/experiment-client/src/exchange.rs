//! [`Exchange`]: a request and its whole answer, within a deadline and a size.

use std::{io::Write, sync::Arc, time::Duration};

use bytes::Bytes;
use flate2::write::GzDecoder;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, RETRY_AFTER},
};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::{
    error::{Error, Phase},
    transport::{Request, ResponseBody, Transport, TransportError, TransportErrorKind},
};

/// How much compressed input is unpacked at once, so that a small body that unpacks to an endless
/// one is noticed in time: deflate makes at most 1,032 bytes of one.
const UNPACKED_AT_ONCE: usize = 4096;

/// How much of an answer that nobody wants is read, so that its connection can be used again, and
/// for how long. Beyond that a new connection is cheaper.
const DRAINED_BYTES: usize = 64 * 1024;
const DRAINED_FOR: Duration = Duration::from_millis(250);

/// Sends requests and reads their answers, whatever the transport.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    transport: Arc<dyn Transport>,
}

/// What an answer may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From sending to the last byte of the body.
    pub(crate) time: Duration,
    /// Of the body, unpacked.
    pub(crate) bytes: usize,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why an attempt gave no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    Timeout(Phase),
    Transport(TransportError),
    TooLarge(usize),
    /// The body cannot be unpacked.
    Encoding(&'static str),
}

impl Failure {
    /// The error to show after `attempts` requests for `what`.
    pub(crate) fn into_error(self, what: &'static str, attempts: u32) -> Error {
        match self {
            Self::Timeout(phase) => Error::Timeout { phase, attempts },
            Self::Transport(source) => Error::Transport {
                kind: source.kind(),
                attempts,
                source,
            },
            Self::TooLarge(limit) => Error::TooLarge { what, limit },
            Self::Encoding(reason) => Error::Malformed {
                what,
                reason: reason.to_owned(),
                attempts,
            },
        }
    }
}

impl Exchange {
    pub(crate) fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }

    /// What it sends with.
    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.transport)
    }

    /// Sends `request` and reads the whole answer, of any status. That of a refusal counts, with
    /// all that its head says, even if its body cannot be read; the body is empty then.
    pub(crate) async fn call(&self, request: Request, limits: Limits) -> Result<Reply, Failure> {
        let until = deadline(limits.time);
        let answer = self.open(request, until).await?;
        let (status, headers) = (answer.status, answer.headers.clone());
        match answer.whole(until, limits.bytes).await {
            Err(_) if !status.is_success() => Ok(Reply {
                status,
                headers,
                body: Bytes::new(),
            }),
            read => read,
        }
    }

    /// Sends `request` and returns the answer when its head has arrived.
    pub(crate) async fn open(
        &self,
        mut request: Request,
        until: Instant,
    ) -> Result<Answer, Failure> {
        request
            .headers_mut()
            .entry(ACCEPT_ENCODING)
            .or_insert(HeaderValue::from_static("gzip"));
        let response = timeout_at(until, self.transport.send(request))
            .await
            .map_err(|_| Failure::Timeout(Phase::Head))?
            .map_err(Failure::Transport)?;
        let (head, body) = response.into_parts();
        let unpacker = match head
            .headers
            .get(CONTENT_ENCODING)
            .map(HeaderValue::as_bytes)
        {
            None | Some(b"identity" | b"") => None,
            Some(encoding) if encoding.eq_ignore_ascii_case(b"gzip") => {
                Some(GzDecoder::new(Vec::new()))
            }
            // A refusal counts whatever its body.
            Some(_) if !head.status.is_success() => None,
            Some(_) => return Err(Failure::Encoding("unknown content encoding")),
        };
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
            unpacker,
            packed: Bytes::new(),
            read: 0,
        })
    }
}

/// An answer whose body is being read.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: ResponseBody,
    unpacker: Option<GzDecoder<Vec<u8>>>,
    /// What has arrived and is not unpacked yet.
    packed: Bytes,
    /// Bytes handed out.
    read: usize,
}

impl Answer {
    /// The answer with its whole body.
    pub(crate) async fn whole(mut self, until: Instant, limit: usize) -> Result<Reply, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk(until, limit).await? {
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            status: self.status,
            headers: self.headers,
            body: body.into(),
        })
    }

    /// Gets rid of the body. What is wrong with it does not matter.
    pub(crate) async fn drain(mut self, until: Instant) {
        let until = until.min(deadline(DRAINED_FOR));
        while let Ok(Some(_)) = self.chunk(until, DRAINED_BYTES).await {}
    }

    /// The next piece of the body, unpacked and never empty; `None` at its end.
    pub(crate) async fn chunk(
        &mut self,
        until: Instant,
        limit: usize,
    ) -> Result<Option<Bytes>, Failure> {
        loop {
            let chunk = if self.packed.is_empty() {
                match timeout_at(until, self.body.frame()).await {
                    Err(_) => return Err(Failure::Timeout(Phase::Body)),
                    Ok(None) => return self.end(limit),
                    Ok(Some(Err(error))) => return Err(Failure::Transport(error)),
                    Ok(Some(Ok(frame))) => match frame.into_data() {
                        Ok(data) => data,
                        Err(_trailers) => continue,
                    },
                }
            } else {
                std::mem::take(&mut self.packed)
            };
            let piece = self.unpack(chunk)?;
            if !piece.is_empty() {
                return self.hand_out(piece, limit).map(Some);
            }
        }
    }

    fn unpack(&mut self, mut chunk: Bytes) -> Result<Bytes, Failure> {
        let Some(unpacker) = &mut self.unpacker else {
            return Ok(chunk);
        };
        let now = chunk.split_to(chunk.len().min(UNPACKED_AT_ONCE));
        self.packed = chunk;
        unpacker
            .write_all(&now)
            .map_err(|_| Failure::Encoding("not gzip"))?;
        Ok(std::mem::take(unpacker.get_mut()).into())
    }

    fn end(&mut self, limit: usize) -> Result<Option<Bytes>, Failure> {
        let Some(mut unpacker) = self.unpacker.take() else {
            return Ok(None);
        };
        // Fails if the stream was cut off or its checksum is wrong.
        unpacker
            .try_finish()
            .map_err(|_| Failure::Encoding("cut off or damaged gzip"))?;
        let rest = std::mem::take(unpacker.get_mut());
        if rest.is_empty() {
            return Ok(None);
        }
        self.hand_out(rest.into(), limit).map(Some)
    }

    fn hand_out(&mut self, piece: Bytes, limit: usize) -> Result<Bytes, Failure> {
        self.read = self.read.saturating_add(piece.len());
        if self.read > limit {
            return Err(Failure::TooLarge(limit));
        }
        Ok(piece)
    }
}

/// `time` from now.
pub(crate) fn deadline(time: Duration) -> Instant {
    let now = Instant::now();
    // Some years are as good as for ever where adding overflows.
    now.checked_add(time)
        .or_else(|| now.checked_add(Duration::from_secs(86_400 * 365)))
        .unwrap_or(now)
}

/// How long the service asks to be left alone: seconds, or a date, which is compared with the
/// answer's own `Date` where it has one, so that a wrong clock here does not matter.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(text).ok()?;
    let now = headers
        .get(http::header::DATE)
        .and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok())
        .unwrap_or_else(std::time::SystemTime::now);
    Some(then.duration_since(now).unwrap_or(Duration::ZERO))
}

impl From<TransportErrorKind> for Failure {
    fn from(kind: TransportErrorKind) -> Self {
        Self::Transport(TransportError::new(kind))
    }
}
