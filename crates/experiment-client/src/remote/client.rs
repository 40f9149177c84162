//! [`RemoteClient`].

use std::{fmt, sync::Arc};

use experiment_model::User;
use http::{HeaderValue, StatusCode, Uri};
use tokio::time::Instant;
use tracing::{Instrument, Span, field::Empty};

use super::{
    answer::{self, Fetched},
    options::FetchOptions,
    request::fetch_request,
};
use crate::{
    endpoints::{Endpoints, ServerZone, paths},
    error::Error,
    exchange::{Exchange, Failure, Limits, deadline, retry_after},
    metrics::{Measurement, Meter, Metrics},
    retry::RetryPolicy,
    secret::Secret,
    transport::{HyperTransport, Request, Transport, TransportOptions},
};

/// Bytes of variants, unpacked, unless the builder says otherwise: some ten thousand variants with
/// a payload of 1 KB each.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// Fetches the variants of a user, evaluated by the service ("remote evaluation").
///
/// Cloning is cheap and shares the connections. Dropping the future of a fetch gives it up.
///
/// | what happens | what the caller sees |
/// |---|---|
/// | the user has no id | [`Error::MissingId`], nothing is sent |
/// | no connection, a broken one, no answer in time | tried again; then [`Error::Transport`] or [`Error::Timeout`] |
/// | 429, 5xx, and everything below 400 but 200 | tried again, not before `Retry-After`; then [`Error::Status`] |
/// | 400, 401, 403, 404, 413, … | [`Error::Status`] at once |
/// | 200 and no JSON, or not an object | tried again; then [`Error::Malformed`] |
/// | 200 and more than the body limit | [`Error::TooLarge`] at once |
/// | one variant of many is none | it is in [`Fetched::malformed`], the others are not affected |
/// | a redirect | an answer below 400, see above; it is never followed |
///
/// ```
/// use experiment_client::{Endpoints, FetchOptions, RemoteClient};
/// # use experiment_client::test_kit::{Answer, Script, Service};
/// use experiment_model::User;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let script = Script::new();
/// # script.on("/sdk/v2/vardata", Answer::json(r#"{"checkout": {"key": "on", "value": "on"}}"#));
/// # let service = Service::start(script).await?;
/// # let url = service.url();
/// let client = RemoteClient::builder("server-3cFg")
///     .endpoints(Endpoints::at(&url)?) // leave this out to ask Amplitude
///     .build()?;
/// let user = User::new().with_user_id("ada").with_user_property("plan", "pro");
/// let fetched = client.fetch(&user, FetchOptions::new().with_flag_keys(["checkout"])).await?;
/// if fetched.variants.get("checkout").is_some_and(|variant| variant.is("on")) {
///     // …
/// }
/// # assert!(fetched.variants.get("checkout").is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RemoteClient(Arc<Inner>);

struct Inner {
    exchange: Exchange,
    target: Uri,
    authorization: HeaderValue,
    retry: RetryPolicy,
    body_limit: usize,
    meter: Meter,
}

/// Makes a [`RemoteClient`].
#[derive(Debug)]
pub struct RemoteClientBuilder {
    deployment_key: Secret,
    endpoints: Endpoints,
    transport: Option<Arc<dyn Transport>>,
    retry: RetryPolicy,
    body_limit: usize,
    metrics: Option<Arc<dyn Metrics>>,
}

impl RemoteClient {
    /// A client of the deployment that this key belongs to.
    pub fn builder(deployment_key: impl Into<Secret>) -> RemoteClientBuilder {
        RemoteClientBuilder {
            deployment_key: deployment_key.into(),
            endpoints: Endpoints::default(),
            transport: None,
            retry: RetryPolicy::default(),
            body_limit: BODY_LIMIT,
            metrics: None,
        }
    }

    /// Fetches the variants of `user`, who is not changed.
    ///
    /// It needs a tokio runtime with timers, and with sockets unless the transport needs none.
    ///
    /// # Errors
    ///
    /// [`Error::MissingId`] if both `user_id` and `device_id` are absent or blank, [`Error::Config`]
    /// if the user cannot be sent (nested more than 127 levels deep), and otherwise as the table
    /// above says, with the number of requests sent ([`Error::attempts`]).
    pub async fn fetch(&self, user: &User, options: FetchOptions) -> Result<Fetched, Error> {
        let span = tracing::debug_span!("fetch", attempts = Empty, status = Empty);
        async {
            let started = Instant::now();
            let result = self.0.fetch(user, &options).await;
            let attempts = match &result {
                Ok(fetched) => fetched.attempts,
                Err(error) => error.attempts(),
            };
            Span::current().record("attempts", attempts);
            self.0.meter.record(match &result {
                Ok(_) => Measurement::Fetched {
                    attempts,
                    duration: started.elapsed(),
                },
                Err(error) => Measurement::FetchFailed {
                    attempts,
                    reason: error.reason(),
                },
            });
            result
        }
        .instrument(span)
        .await
    }
}

impl Inner {
    async fn fetch(&self, user: &User, options: &FetchOptions) -> Result<Fetched, Error> {
        if !user.has_id() {
            return Err(Error::MissingId);
        }
        let request = fetch_request(&self.target, &self.authorization, user, options)?;
        let retry = options.retry.unwrap_or(self.retry);
        retry
            .run(|attempts, time| {
                let limits = Limits {
                    time,
                    bytes: self.body_limit,
                };
                self.attempt(request.clone(), limits, attempts)
            })
            .await
    }

    async fn attempt(
        &self,
        request: Request,
        limits: Limits,
        attempts: u32,
    ) -> Result<Fetched, Error> {
        let result = self.answer(request, limits, attempts).await;
        if let Err(error) = &result {
            tracing::debug!(attempts, reason = error.reason(), "attempt failed");
        }
        result
    }

    async fn answer(
        &self,
        request: Request,
        limits: Limits,
        attempts: u32,
    ) -> Result<Fetched, Error> {
        let failed = |failure: Failure| failure.into_error("variants", attempts);
        let until = deadline(limits.time);
        let answer = self.exchange.open(request, until).await.map_err(failed)?;
        let status = answer.status;
        Span::current().record("status", status.as_u16());
        if status != StatusCode::OK {
            let retry_after = retry_after(&answer.headers);
            // The status is what counts, whatever comes behind it.
            answer.drain(until).await;
            return Err(Error::Status {
                status: status.as_u16(),
                retry_after,
                attempts,
            });
        }
        let reply = answer.whole(until, limits.bytes).await.map_err(failed)?;
        let fetched = answer::read(&reply.body).map_err(|reason| Error::Malformed {
            what: "variants",
            reason,
            attempts,
        })?;
        Ok(Fetched {
            attempts,
            ..fetched
        })
    }
}

impl fmt::Debug for RemoteClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteClient")
            .field("target", &self.0.target)
            .field("retry", &self.0.retry)
            .field("body_limit", &self.0.body_limit)
            .finish_non_exhaustive()
    }
}

impl RemoteClientBuilder {
    /// Where the data of the organization is. Default: US. It replaces all
    /// [`endpoints`](Self::endpoints).
    #[must_use]
    pub fn server_zone(self, zone: ServerZone) -> Self {
        self.endpoints(Endpoints::new(zone))
    }

    /// Where the services are; of these, [`Endpoints::evaluation`] is used. Default: those of the US.
    #[must_use]
    pub fn endpoints(mut self, endpoints: Endpoints) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// Sends requests with this transport. Default: a [`HyperTransport`] of its own with the default
    /// options.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// How often and how long to try. Default: [`RetryPolicy::default`], which has the numbers of
    /// the official SDKs: 10 s for an attempt, 8 repetitions, 500 ms to 10 s between them.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// How large an answer may be, in bytes, unpacked. Default: 16 MiB.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Tells this what happens.
    #[must_use]
    pub fn metrics(mut self, metrics: Arc<dyn Metrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// The client. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the key is blank or cannot stand in a header.
    pub fn build(self) -> Result<RemoteClient, Error> {
        let authorization = self.deployment_key.to_authorization()?;
        let target = self
            .endpoints
            .evaluation()
            .join(&format!("{}?v=0", paths::VARDATA))?;
        let transport = match self.transport {
            Some(transport) => transport,
            None => Arc::new(HyperTransport::new(TransportOptions::default())?),
        };
        Ok(RemoteClient(Arc::new(Inner {
            exchange: Exchange::new(transport),
            target,
            authorization,
            retry: self.retry,
            body_limit: self.body_limit,
            meter: Meter::new(self.metrics),
        })))
    }
}
