//! [`CohortDownloader`]: brings a store of cohorts up to date.

use std::{collections::BTreeMap, fmt::Write, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use experiment_model::Text;
use http::{
    HeaderValue, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION},
};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::Instant,
};
use zeroize::Zeroizing;

use super::{
    options::CohortOptions,
    parse::{CohortReadError, CohortReader},
    references::References,
    store::{Cohort, CohortStore},
};
use crate::{
    clock::Clock,
    endpoints::{Endpoint, LIBRARY, paths},
    error::{Error, Phase},
    exchange::{Exchange, deadline, retry_after},
    metrics::{Measurement, Meter},
    transport::Request,
};

/// What errors call the body.
const WHAT: &str = "cohort";

/// Downloads cohorts. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct CohortDownloader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    exchange: Exchange,
    endpoint: Endpoint,
    options: CohortOptions,
    clock: Arc<dyn Clock>,
    meter: Meter,
}

/// What a download came to.
enum Download {
    Loaded(Cohort),
    /// As it was, and confirmed.
    Unchanged(Cohort),
}

impl CohortDownloader {
    /// A downloader from the service at `endpoint`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if a key is missing.
    pub(crate) fn new(
        exchange: Exchange,
        endpoint: Endpoint,
        options: CohortOptions,
        clock: Arc<dyn Clock>,
        meter: Meter,
    ) -> Result<Self, Error> {
        options.check()?;
        Ok(Self(Arc::new(Inner {
            exchange,
            endpoint,
            options,
            clock,
            meter,
        })))
    }

    /// The cohorts that flags refer to, as they are now, and what could not be loaded and why.
    ///
    /// New ones are loaded, known ones are asked for changes and stay as they are if that fails,
    /// those that no flag refers to are left out. No download goes on after `until`. Dropping the
    /// future ends all downloads.
    pub(crate) async fn sync(
        &self,
        wanted: &References,
        current: &CohortStore,
        until: Instant,
    ) -> (CohortStore, Vec<(Text, Error)>) {
        let inner = &self.0;
        let mut cohorts: BTreeMap<Text, Cohort> = wanted
            .ids()
            .filter_map(|id| Some((Text::new(id), current.get(id)?.clone())))
            .collect();
        let mut errors = Vec::new();
        let mut waiting = wanted.ids();
        let mut running = JoinSet::new();
        loop {
            while running.len() < inner.options.concurrency {
                let Some(id) = waiting.next() else { break };
                let (this, id) = (Arc::clone(inner), Text::new(id));
                let known = cohorts.get(&id).cloned();
                running.spawn(async move {
                    let download = this.download(&id, known.as_ref(), until).await;
                    (id, download)
                });
            }
            let Some(ended) = running.join_next().await else {
                break;
            };
            // A task ends without a result only while the runtime shuts down.
            let Ok((id, download)) = ended else { continue };
            match download {
                Ok(Download::Loaded(cohort) | Download::Unchanged(cohort)) => {
                    cohorts.insert(id, cohort);
                }
                Err(error) => errors.push((id, error)),
            }
        }
        let store: CohortStore = cohorts.into_iter().collect();
        inner.tell_age(&store);
        (store, errors)
    }
}

impl Inner {
    /// One cohort, with retries. `known` is what is there of it.
    async fn download(
        &self,
        id: &str,
        known: Option<&Cohort>,
        until: Instant,
    ) -> Result<Download, Error> {
        let start = Instant::now();
        let left = until.saturating_duration_since(start);
        let total = left.min(self.options.retry.total_timeout);
        let policy = self.options.retry.with_total_timeout(total);
        let download = if left.is_zero() {
            Err(Error::Timeout {
                phase: Phase::Backoff,
                attempts: 0,
            })
        } else {
            policy
                .run(|attempt, time| self.attempt(id, known, attempt, time))
                .await
        };
        match &download {
            Ok(Download::Loaded(cohort)) => {
                let members = cohort.members().len();
                tracing::debug!(cohort = id, members, "cohort loaded");
                self.meter.record(Measurement::CohortLoaded {
                    cohort: id,
                    members,
                    duration: start.elapsed(),
                });
            }
            Ok(Download::Unchanged(_)) => {
                self.meter
                    .record(Measurement::CohortUnchanged { cohort: id });
            }
            Err(error) => {
                tracing::warn!(cohort = id, %error, known = known.is_some(), "cohort not loaded");
                self.meter.record(Measurement::CohortFailed {
                    cohort: id,
                    reason: error.reason(),
                });
            }
        }
        download
    }

    async fn attempt(
        &self,
        id: &str,
        known: Option<&Cohort>,
        attempts: u32,
        time: Duration,
    ) -> Result<Download, Error> {
        let until = deadline(time);
        let request = self.request(id, known.and_then(Cohort::last_modified))?;
        let failed = |failure: crate::exchange::Failure| failure.into_error(WHAT, attempts);
        let mut answer = self.exchange.open(request, until).await.map_err(failed)?;
        match (answer.status, known) {
            (StatusCode::OK, _) => {}
            (StatusCode::NO_CONTENT, Some(known)) => {
                let confirmed = known.clone().confirmed(self.clock.now());
                return Ok(Download::Unchanged(confirmed));
            }
            (StatusCode::PAYLOAD_TOO_LARGE, _) => {
                return Err(Error::CohortTooLarge {
                    cohort: id.to_owned(),
                    limit: self.options.max_cohort_size,
                });
            }
            (status, _) => {
                return Err(Error::Status {
                    status: status.as_u16(),
                    retry_after: retry_after(&answer.headers),
                    attempts,
                });
            }
        }
        let malformed = |reason: String| Error::Malformed {
            what: WHAT,
            reason,
            attempts,
        };
        let read_failed = |error: CohortReadError| malformed(error.to_string());
        let mut reader = CohortReader::new();
        let limit = self.options.max_body_bytes;
        while let Some(piece) = answer.chunk(until, limit).await.map_err(failed)? {
            reader.push(&piece).map_err(read_failed)?;
        }
        let body = reader.finish().map_err(read_failed)?;
        // Something in between may answer with an object of its own, which has no members either.
        if !body.is_cohort {
            return Err(malformed(
                "neither `cohortId` nor `memberIds` is there".to_owned(),
            ));
        }
        if body.id.is_some_and(|named| named != id) {
            return Err(malformed("`cohortId` is that of another cohort".to_owned()));
        }
        // Sorting millions would hold up whatever else this thread is to do.
        let members = spawn_blocking(|| body.members.finish())
            .await
            .map_err(|_| Error::Closed)?;
        let cohort = Cohort::new(body.group_type, members, self.clock.now());
        Ok(Download::Loaded(
            cohort.with_last_modified(body.last_modified),
        ))
    }

    fn request(&self, id: &str, last_modified: Option<i64>) -> Result<Request, Error> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = self.uri(id, last_modified)?;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization()?);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert("x-amp-exp-library", HeaderValue::from_static(LIBRARY));
        Ok(request)
    }

    fn uri(&self, id: &str, last_modified: Option<i64>) -> Result<Uri, Error> {
        let mut target = paths::COHORT.to_owned();
        percent_encode(id, &mut target);
        // Writing to a string does not fail.
        let _ = write!(target, "?maxCohortSize={}", self.options.max_cohort_size);
        if let Some(millis) = last_modified {
            let _ = write!(target, "&lastModified={millis}");
        }
        self.endpoint.join(&target)
    }

    fn authorization(&self) -> Result<HeaderValue, Error> {
        let CohortOptions {
            api_key,
            secret_key,
            ..
        } = &self.options;
        let keys = Zeroizing::new(format!("{}:{}", api_key.expose(), secret_key.expose()));
        let header = Zeroizing::new(format!("Basic {}", STANDARD.encode(keys.as_bytes())));
        let mut header = HeaderValue::from_str(&header).map_err(|_| Error::Config {
            field: "api_key",
            reason: "does not make a header",
        })?;
        header.set_sensitive(true);
        Ok(header)
    }

    /// Tells how long ago the service last confirmed the cohort of which that is longest ago.
    fn tell_age(&self, store: &CohortStore) {
        let oldest = store.iter().map(|(_, cohort)| cohort.confirmed_at()).min();
        if let Some(oldest) = oldest {
            let age = self.clock.now().saturating_since(oldest);
            self.meter.record(Measurement::CohortAge(age));
        }
    }
}

/// Writes `text` as one segment of a path: all but unreserved characters (RFC 3986, section 2.3) are
/// encoded.
fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests;
