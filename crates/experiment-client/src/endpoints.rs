//! [`Endpoints`]: where the services are.

use http::Uri;

use crate::error::Error;

/// How this library names itself to the services.
pub(crate) const LIBRARY: &str = concat!("experiment-rust/", env!("CARGO_PKG_VERSION"));

/// The paths of the services, the same for every host.
pub mod paths {
    /// Remote evaluation.
    pub const VARDATA: &str = "/sdk/v2/vardata";
    /// Flag configurations.
    pub const FLAGS: &str = "/sdk/v2/flags";
    /// Flag configurations as server-sent events.
    pub const FLAG_STREAM: &str = "/sdk/stream/v1/flags";
    /// One cohort; its id follows.
    pub const COHORT: &str = "/sdk/v1/cohort/";
    /// Events, up to 20 MB and 1,000 per second and user.
    pub const BATCH: &str = "/batch";
    /// Events, up to 1 MB and 30 per second and user.
    pub const HTTP_V2: &str = "/2/httpapi";
}

/// The region in which an Amplitude organization keeps its data. It sets every host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerZone {
    /// United States. The default.
    #[default]
    Us,
    /// European Union.
    Eu,
}

/// The base address of each service. A path of the base address is kept in front of the service's
/// own path, so that services can stand behind a gateway.
///
/// ```
/// use experiment_client::{Endpoints, ServerZone};
///
/// let endpoints = Endpoints::new(ServerZone::Eu).with_flags("https://proxy.example/experiment/")?;
/// assert_eq!(endpoints.flags().as_str(), "https://proxy.example/experiment");
/// assert_eq!(endpoints.cohorts().as_str(), "https://cohort-v2.lab.eu.amplitude.com");
/// # Ok::<(), experiment_client::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    evaluation: Endpoint,
    flags: Endpoint,
    app_flags: Endpoint,
    stream: Endpoint,
    cohorts: Endpoint,
    events: Endpoint,
}

impl Endpoints {
    /// The hosts of a zone.
    pub fn new(zone: ServerZone) -> Self {
        let known = |host: &str| Endpoint(format!("https://{host}"));
        match zone {
            ServerZone::Us => Self {
                evaluation: known("api.lab.amplitude.com"),
                flags: known("api.lab.amplitude.com"),
                app_flags: known("flag.lab.amplitude.com"),
                stream: known("stream.lab.amplitude.com"),
                cohorts: known("cohort-v2.lab.amplitude.com"),
                events: known("api2.amplitude.com"),
            },
            ServerZone::Eu => Self {
                evaluation: known("api.lab.eu.amplitude.com"),
                flags: known("flag.lab.eu.amplitude.com"),
                app_flags: known("flag.lab.eu.amplitude.com"),
                stream: known("stream.lab.eu.amplitude.com"),
                cohorts: known("cohort-v2.lab.eu.amplitude.com"),
                events: known("api.eu.amplitude.com"),
            },
        }
    }

    /// One address for every service, such as an evaluation server of one's own.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if it is not an absolute `http` or `https` address.
    pub fn at(base: &str) -> Result<Self, Error> {
        let endpoint = Endpoint::parse("endpoints", base)?;
        Ok(Self {
            evaluation: endpoint.clone(),
            flags: endpoint.clone(),
            app_flags: endpoint.clone(),
            stream: endpoint.clone(),
            cohorts: endpoint.clone(),
            events: endpoint,
        })
    }
}

/// Declares getter and `with_…` of every service.
macro_rules! services {
    ($($(#[$doc:meta])* $field:ident, $with:ident;)*) => {
        impl Endpoints {
            $(
                $(#[$doc])*
                pub fn $field(&self) -> &Endpoint {
                    &self.$field
                }

                /// Replaces this address and no other.
                ///
                /// # Errors
                ///
                /// [`Error::Config`] if it is not an absolute `http` or `https` address.
                pub fn $with(mut self, base: &str) -> Result<Self, Error> {
                    self.$field = Endpoint::parse(stringify!($field), base)?;
                    Ok(self)
                }
            )*
        }
    };
}

services! {
    /// Remote evaluation.
    evaluation, with_evaluation;
    /// Flag configurations for server-side deployments.
    flags, with_flags;
    /// Flag configurations for client-side deployments.
    app_flags, with_app_flags;
    /// Flag configurations as server-sent events.
    stream, with_stream;
    /// Cohorts.
    cohorts, with_cohorts;
    /// Ingestion of events.
    events, with_events;
}

impl Default for Endpoints {
    fn default() -> Self {
        Self::new(ServerZone::default())
    }
}

/// The base address of one service: scheme, host, optional port and path, no slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    fn parse(field: &'static str, base: &str) -> Result<Self, Error> {
        let invalid = |reason| Error::Config { field, reason };
        let uri: Uri = base.parse().map_err(|_| invalid("is not an address"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(invalid("is not an absolute http or https address"));
        }
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err(invalid("has a user name in it"));
        }
        if uri.query().is_some() {
            return Err(invalid("has a query"));
        }
        Ok(Self(base.trim_end_matches('/').to_owned()))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address with `path_and_query` behind it, which starts with a slash.
    pub(crate) fn join(&self, path_and_query: &str) -> Result<Uri, Error> {
        format!("{}{path_and_query}", self.0)
            .parse()
            .map_err(|_| Error::Config {
                field: "endpoints",
                reason: "does not make an address with the path of the service",
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_zone_switches_every_host() {
        let (us, eu) = (
            Endpoints::new(ServerZone::Us),
            Endpoints::new(ServerZone::Eu),
        );
        let hosts = |e: &Endpoints| {
            [
                e.evaluation(),
                e.flags(),
                e.app_flags(),
                e.stream(),
                e.cohorts(),
                e.events(),
            ]
            .map(|endpoint| endpoint.as_str().to_owned())
        };
        for (us, eu) in hosts(&us).iter().zip(&hosts(&eu)) {
            assert!(eu.contains(".eu."), "{eu}");
            assert!(!us.contains(".eu."), "{us}");
        }
    }

    #[test]
    fn a_base_path_is_kept() {
        let endpoints = Endpoints::at("http://127.0.0.1:8080/behind/").expect("an address");
        let uri = endpoints
            .flags()
            .join("/sdk/v2/flags?v=0")
            .expect("an address");
        assert_eq!(
            uri.to_string(),
            "http://127.0.0.1:8080/behind/sdk/v2/flags?v=0"
        );
    }

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        for base in [
            "",
            "nonsense",
            "/path",
            "ftp://host",
            "https://user:pass@host",
            "https://host?x=1",
        ] {
            let error = Endpoints::default()
                .with_stream(base)
                .expect_err("not an address");
            assert!(error.to_string().contains("stream"), "{error}");
        }
    }
}
