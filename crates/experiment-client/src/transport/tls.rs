//! [`Tls`]: who is trusted, and the handshake.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use super::{
    TransportError, TransportErrorKind,
    connector::Plain,
    failure,
    options::{HttpVersion, TransportOptions},
};
use crate::error::Error;

const PEM_START: &[u8] = b"-----BEGIN ";

/// Everything that TLS needs to know.
pub(super) struct Tls {
    roots: Vec<CertificateDer<'static>>,
    platform_roots: bool,
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    given: Option<Arc<ClientConfig>>,
    protocols: Vec<Vec<u8>>,
    connectors: OnceCell<Connectors>,
}

struct Connectors {
    service: TlsConnector,
    /// A proxy is spoken to in HTTP/1.1.
    proxy: TlsConnector,
}

impl Tls {
    pub(super) fn new(options: &TransportOptions) -> Result<Self, Error> {
        let mut roots = Vec::new();
        for pem_or_der in &options.ca_certificates {
            roots.extend(certificates("ca_certificates", pem_or_der)?);
        }
        let client = match &options.client_certificate {
            None => None,
            Some(client) => Some((
                certificates("client_certificate", &client.chain)?,
                private_key(&client.key)?,
            )),
        };
        let tls = Self {
            roots,
            platform_roots: options.platform_roots,
            client,
            given: options.tls_config.clone(),
            protocols: match options.http_version {
                HttpVersion::Negotiated => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
                HttpVersion::Http1 => vec![b"http/1.1".to_vec()],
                HttpVersion::Http2 => vec![b"h2".to_vec()],
            },
            connectors: OnceCell::new(),
        };
        // Made once for nothing, so that mistakes are found here and not at the first request.
        tls.config(RootCertStore::empty())?;
        Ok(tls)
    }

    /// The handshake with a service; says whether HTTP/2 was agreed on.
    pub(super) async fn with_service(
        &self,
        host: &str,
        plain: Box<dyn Plain>,
    ) -> Result<(Box<dyn Plain>, bool), TransportError> {
        handshake(&self.connectors().await?.service, host, plain).await
    }

    /// The handshake with a proxy.
    pub(super) async fn with_proxy(
        &self,
        host: &str,
        plain: Box<dyn Plain>,
    ) -> Result<Box<dyn Plain>, TransportError> {
        let (stream, _) = handshake(&self.connectors().await?.proxy, host, plain).await?;
        Ok(stream)
    }

    async fn connectors(&self) -> Result<&Connectors, TransportError> {
        self.connectors
            .get_or_try_init(|| async {
                let config = match &self.given {
                    Some(given) => (**given).clone(),
                    None => self.config(self.all_roots().await?).map_err(|error| {
                        TransportError::with_source(TransportErrorKind::Tls, error)
                    })?,
                };
                Ok(self.connectors_of(config))
            })
            .await
    }

    fn connectors_of(&self, mut config: ClientConfig) -> Connectors {
        let mut with_proxy = config.clone();
        with_proxy.alpn_protocols = vec![b"http/1.1".to_vec()];
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols.clone_from(&self.protocols);
        }
        Connectors {
            service: TlsConnector::from(Arc::new(config)),
            proxy: TlsConnector::from(Arc::new(with_proxy)),
        }
    }

    async fn all_roots(&self) -> Result<RootCertStore, TransportError> {
        let mut store = RootCertStore::empty();
        if self.platform_roots {
            // Reads files.
            let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
                .await
                .map_err(|error| TransportError::with_source(TransportErrorKind::Other, error))?;
            store.add_parsable_certificates(found.certs);
        }
        store.add_parsable_certificates(self.roots.iter().cloned());
        if store.is_empty() {
            return Err(TransportError::new(TransportErrorKind::NoRoots));
        }
        Ok(store)
    }

    fn config(&self, roots: RootCertStore) -> Result<ClientConfig, Error> {
        let unusable = |_| Error::Config {
            field: "client_certificate",
            reason: "cannot be used with its key",
        };
        // The provider is named, because rustls cannot choose where another crate of the build
        // switches on a second one.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| Error::Config {
                field: "tls_config",
                reason: "has no version of TLS in common with its provider",
            })?
            .with_root_certificates(roots);
        match &self.client {
            None => Ok(builder.with_no_client_auth()),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(unusable),
        }
    }
}

async fn handshake(
    connector: &TlsConnector,
    host: &str,
    plain: Box<dyn Plain>,
) -> Result<(Box<dyn Plain>, bool), TransportError> {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(name.to_owned())
        .map_err(|error| TransportError::with_source(TransportErrorKind::Tls, error))?;
    let stream = connector
        .connect(name, plain)
        .await
        .map_err(failure::of_io)?;
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok((Box::new(stream), h2))
}

fn certificates(
    field: &'static str,
    pem_or_der: &[u8],
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let none = Error::Config {
        field,
        reason: "is not a certificate in PEM or DER",
    };
    let found = if is_pem(pem_or_der) {
        CertificateDer::pem_slice_iter(pem_or_der)
            .collect::<Result<Vec<_>, _>>()
            .unwrap_or_default()
    } else {
        vec![CertificateDer::from(pem_or_der.to_vec())]
    };
    let mut readable = RootCertStore::empty();
    if found.is_empty() || found.iter().any(|one| readable.add(one.clone()).is_err()) {
        return Err(none);
    }
    Ok(found)
}

fn private_key(pem_or_der: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    let none = Error::Config {
        field: "client_certificate",
        reason: "has a key that is neither PEM nor DER",
    };
    if is_pem(pem_or_der) {
        return PrivateKeyDer::from_pem_slice(pem_or_der).map_err(|_| none);
    }
    PrivateKeyDer::try_from(pem_or_der.to_vec()).map_err(|_| none)
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes
        .windows(PEM_START.len())
        .any(|window| window == PEM_START)
}
