//! [`TransportOptions`].

use std::{fmt, sync::Arc, time::Duration};

use zeroize::Zeroizing;

use crate::secret::Secret;

/// How a [`HyperTransport`](crate::HyperTransport) connects.
///
/// ```
/// use std::time::Duration;
/// use experiment_client::{HyperTransport, TransportOptions};
///
/// let options = TransportOptions::new()
///     .with_connect_timeout(Duration::from_secs(2))
///     .with_proxy("http://user:password@proxy.example:3128");
/// assert!(!format!("{options:?}").contains("password"));
/// let transport = HyperTransport::new(options)?;
/// # let _ = transport;
/// # Ok::<(), experiment_client::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct TransportOptions {
    /// How long connecting may take: name, TCP, proxy and TLS together. Default: 5 s, half of the
    /// default of an attempt and long enough for two lost packets, which TCP repeats after 1 s and
    /// after 3 s.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Default: 50 s; many load balancers hang up after 60 s,
    /// and a request must not meet that.
    pub pool_idle_timeout: Duration,
    /// How many unused connections are kept for one host. Default: 32. HTTP/2 needs one.
    pub pool_max_idle_per_host: usize,
    /// After how long a silence TCP asks whether the other side is still there, and how often it
    /// repeats the question. `None`: never. Default: 30 s.
    pub tcp_keepalive: Option<Duration>,
    /// Which versions of HTTP are spoken. Default: [`HttpVersion::Negotiated`].
    pub http_version: HttpVersion,
    /// Whether the certificates that the machine trusts are trusted, in addition to those of
    /// [`with_ca_certificates`](Self::with_ca_certificates). Default: yes. They are read at the
    /// first `https` request, where the operating system keeps them or where `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` say.
    pub platform_roots: bool,
    pub(super) proxy: ProxyChoice,
    pub(super) ca_certificates: Vec<Vec<u8>>,
    pub(super) client_certificate: Option<ClientCertificate>,
    pub(super) tls_config: Option<Arc<rustls::ClientConfig>>,
}

/// Which versions of HTTP are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpVersion {
    /// HTTP/2 where the service offers it during the TLS handshake (ALPN), HTTP/1.1 otherwise and
    /// without TLS. The default.
    #[default]
    Negotiated,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only, and without TLS too ("prior knowledge"). Not for `http` services behind a proxy,
    /// which reads HTTP/1.1.
    Http2,
}

#[derive(Clone, Default)]
pub(super) enum ProxyChoice {
    #[default]
    Environment,
    Explicit(Secret),
    Off,
}

/// What this side shows when the service asks who it is.
#[derive(Clone)]
pub(super) struct ClientCertificate {
    pub(super) chain: Vec<u8>,
    pub(super) key: Zeroizing<Vec<u8>>,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            pool_idle_timeout: Duration::from_secs(50),
            pool_max_idle_per_host: 32,
            tcp_keepalive: Some(Duration::from_secs(30)),
            http_version: HttpVersion::default(),
            platform_roots: true,
            proxy: ProxyChoice::default(),
            ca_certificates: Vec::new(),
            client_certificate: None,
            tls_config: None,
        }
    }
}

impl TransportOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces [`connect_timeout`](Self::connect_timeout).
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Replaces [`pool_idle_timeout`](Self::pool_idle_timeout) and
    /// [`pool_max_idle_per_host`](Self::pool_max_idle_per_host).
    #[must_use]
    pub fn with_pool(mut self, idle_timeout: Duration, max_idle_per_host: usize) -> Self {
        self.pool_idle_timeout = idle_timeout;
        self.pool_max_idle_per_host = max_idle_per_host;
        self
    }

    /// Replaces [`tcp_keepalive`](Self::tcp_keepalive).
    #[must_use]
    pub fn with_tcp_keepalive(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.tcp_keepalive = time.into();
        self
    }

    /// Replaces [`http_version`](Self::http_version).
    #[must_use]
    pub fn with_http_version(mut self, version: HttpVersion) -> Self {
        self.http_version = version;
        self
    }

    /// Sends everything through this proxy: `http://` or `https://`, host, optional port, and user
    /// and password in front of the host where it asks for them.
    ///
    /// Requests to `https` services go through a tunnel (`CONNECT`), so that the proxy sees nothing
    /// but the host. Those to `http` services are forwarded in plain, since many proxies refuse
    /// tunnels to other ports than 443.
    #[must_use]
    pub fn with_proxy(mut self, url: impl Into<Secret>) -> Self {
        self.proxy = ProxyChoice::Explicit(url.into());
        self
    }

    /// Uses the proxies that `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name, in upper
    /// or lower case, as they are when the transport is made. The default. A value that is no address
    /// is ignored, as are all of them in a CGI program, whose clients could set `HTTP_PROXY`.
    /// Requests to this very machine (`localhost`, `127.0.0.0/8`, `::1`) never go to such a proxy.
    #[must_use]
    pub fn with_proxy_of_environment(mut self) -> Self {
        self.proxy = ProxyChoice::Environment;
        self
    }

    /// Uses no proxy, whatever the environment says.
    #[must_use]
    pub fn without_proxy(mut self) -> Self {
        self.proxy = ProxyChoice::Off;
        self
    }

    /// Trusts these authorities too: PEM, any number of certificates, or one in DER.
    #[must_use]
    pub fn with_ca_certificates(mut self, pem_or_der: impl Into<Vec<u8>>) -> Self {
        self.ca_certificates.push(pem_or_der.into());
        self
    }

    /// Does not trust the certificates that the machine trusts
    /// ([`platform_roots`](Self::platform_roots)).
    #[must_use]
    pub fn without_platform_roots(mut self) -> Self {
        self.platform_roots = false;
        self
    }

    /// Shows this certificate to services that ask for one: the chain and its private key, each PEM
    /// or DER. The key may be PKCS #8, PKCS #1 or SEC 1.
    #[must_use]
    pub fn with_client_certificate(
        mut self,
        chain: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.client_certificate = Some(ClientCertificate {
            chain: chain.into(),
            key: Zeroizing::new(key.into()),
        });
        self
    }

    /// Uses this configuration of rustls 0.23 and ignores all other options of TLS. Where it offers
    /// no protocols (ALPN), those of [`http_version`](Self::http_version) are filled in.
    #[must_use]
    pub fn with_tls_config(mut self, config: impl Into<Arc<rustls::ClientConfig>>) -> Self {
        self.tls_config = Some(config.into());
        self
    }
}

impl fmt::Debug for TransportOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proxy = match self.proxy {
            ProxyChoice::Environment => "environment",
            ProxyChoice::Explicit(_) => "explicit",
            ProxyChoice::Off => "off",
        };
        f.debug_struct("TransportOptions")
            .field("connect_timeout", &self.connect_timeout)
            .field("pool_idle_timeout", &self.pool_idle_timeout)
            .field("pool_max_idle_per_host", &self.pool_max_idle_per_host)
            .field("tcp_keepalive", &self.tcp_keepalive)
            .field("http_version", &self.http_version)
            .field("proxy", &proxy)
            .field("platform_roots", &self.platform_roots)
            .field("ca_certificates", &self.ca_certificates.len())
            .field("client_certificate", &self.client_certificate.is_some())
            .field("tls_config", &self.tls_config.is_some())
            .finish()
    }
}
