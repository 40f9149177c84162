//! Flags as the service sends them.

use std::{sync::Arc, time::Duration};

use http::{
    HeaderValue, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    endpoints::paths,
    error::Error,
    exchange::{Failure, deadline, retry_after},
    flags::{request, sse},
    local::{
        freshness::FlagSource,
        loading::Applied,
        shared::{Running, Shared},
    },
    metrics::Measurement,
};

/// Until the head of the answer, as in the official SDKs (`streamFlagConnTimeout`).
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);

/// From then until the first flags.
const FIRST_FLAGS_TIMEOUT: Duration = Duration::from_millis(1500);

/// The service sends a space every 15 s; silence for longer means that nobody is there.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(17);

/// A stream is opened anew after this time, so that it follows when servers are replaced.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Up to this much earlier or later.
const LIFETIME_JITTER: Duration = Duration::from_secs(5);

/// Until the next attempt after a stream broke.
const RETRY: Duration = Duration::from_secs(15);

/// Up to this much earlier or later.
const RETRY_JITTER: Duration = Duration::from_secs(1);

/// The status of a service that has no stream.
const NOT_IMPLEMENTED: u16 = 501;

/// `time` plus or minus up to `by`.
fn around(time: Duration, by: Duration) -> Duration {
    time.saturating_sub(by)
        .saturating_add(by.mul_f64(2.0 * fastrand::f64()))
}

impl Shared {
    /// Keeps a stream open, and polls while there is none.
    pub(crate) async fn stream(self: &Arc<Self>, running: &Running, fallback: Duration) {
        let (polling, wanted) = watch::channel(false);
        let streaming = async {
            loop {
                let wait = match self.stream_once(running, &polling).await {
                    // Its time was over: the next one takes its place.
                    Ok(()) => continue,
                    // No stream here; but one day there might be.
                    Err(Error::Status {
                        status: NOT_IMPLEMENTED,
                        ..
                    }) => around(LIFETIME, LIFETIME_JITTER),
                    Err(error) => {
                        let asked = error.retry_after().unwrap_or_default();
                        self.failed(running, FlagSource::Stream, error);
                        around(RETRY, RETRY_JITTER).max(asked)
                    }
                };
                polling.send_replace(true);
                sleep(wait).await;
            }
        };
        tokio::join!(streaming, self.poll_while(running, fallback, wanted));
    }

    /// One stream, from opening it to its end.
    async fn stream_once(
        self: &Arc<Self>,
        running: &Running,
        polling: &watch::Sender<bool>,
    ) -> Result<(), Error> {
        let settings = &self.settings;
        let malformed = |reason: &str| Error::Malformed {
            what: "flag stream",
            reason: reason.to_owned(),
            attempts: 1,
        };
        let mut request = request(
            settings.endpoints.stream(),
            paths::FLAG_STREAM,
            &settings.authorization,
        )?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // A compressor in between would hold events back.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let show = |failure: Failure| failure.into_error("flag stream", 1);
        let mut answer = settings
            .exchange
            .open(request, deadline(CONNECT_TIMEOUT))
            .await
            .map_err(show)?;
        if answer.status != StatusCode::OK {
            return Err(Error::Status {
                status: answer.status.as_u16(),
                retry_after: retry_after(&answer.headers),
                attempts: 1,
            });
        }
        let is_stream = answer.headers.get(CONTENT_TYPE).is_some_and(|kind| {
            kind.as_bytes()
                .get(..17)
                .is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"))
        });
        if !is_stream {
            return Err(malformed("the content type is not text/event-stream"));
        }
        settings.meter.record(Measurement::StreamOpened);
        let end = deadline(around(LIFETIME, LIFETIME_JITTER));
        let mut first_flags = Some(deadline(FIRST_FLAGS_TIMEOUT));
        let mut reader = sse::EventReader::new(settings.body_limit);
        // Whether the flags in use are those that this stream sent last.
        let mut is_current = false;
        loop {
            let until = first_flags
                .unwrap_or_else(|| deadline(KEEP_ALIVE_TIMEOUT))
                .min(end);
            let chunk = match answer.chunk(until, usize::MAX).await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Err(malformed("the service has ended it")),
                Err(Failure::Timeout(_)) if first_flags.is_none() && Instant::now() >= end => {
                    return Ok(());
                }
                Err(failure) => return Err(show(failure)),
            };
            let mut input = &*chunk;
            while let Some(event) = reader.next(&mut input)? {
                if event.is_keep_alive() {
                    if is_current {
                        Self::confirmed(running);
                    }
                    continue;
                }
                let applied = self
                    .apply(running, event.data.into(), FlagSource::Stream)
                    .await?;
                is_current = matches!(applied, Applied::Changed | Applied::Unchanged);
                if applied == Applied::Held {
                    // A second opinion.
                    self.poll_once(running, RETRY).await;
                }
                first_flags = None;
                polling.send_replace(false);
            }
        }
    }
}
