//! [`TlsFront`]: puts TLS in front of a fake service, with certificates made for the test.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// An authority that nobody knows but the test.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) chain_pem: String,
    pub(crate) chain_der: Vec<u8>,
    pub(crate) key_pem: String,
    pub(crate) key_der: Vec<u8>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    /// A certificate for `name`.
    pub(crate) fn sign(&self, name: &str) -> Identity {
        self.sign_with(name, |_| {})
    }

    pub(crate) fn sign_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity {
            chain_pem: certificate.pem(),
            chain_der: certificate.der().to_vec(),
            key_pem: key.serialize_pem(),
            key_der: key.serialize_der(),
        }
    }
}

/// What the front asks and offers.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) protocols: &'a [&'a str],
    /// Only clients with a certificate of this authority may enter.
    pub(crate) clients: Option<&'a Authority>,
}

pub(crate) struct TlsFront {
    address: SocketAddr,
    acceptor: Arc<Mutex<TlsAcceptor>>,
    agreed: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl TlsFront {
    /// In front of `service`, with a certificate for `localhost`.
    pub(crate) async fn start(service: SocketAddr, setup: Setup<'_>) -> Self {
        let acceptor = Arc::new(Mutex::new(acceptor(&setup)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let agreed = Arc::<Mutex<Vec<String>>>::default();
        let (noted, current) = (Arc::clone(&agreed), Arc::clone(&acceptor));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = current.lock().expect("no panic").clone();
                let noted = Arc::clone(&noted);
                tokio::spawn(async move {
                    let Ok(mut client) = acceptor.accept(stream).await else {
                        return;
                    };
                    let protocol = client.get_ref().1.alpn_protocol().unwrap_or_default();
                    let protocol = String::from_utf8_lossy(protocol).into_owned();
                    noted.lock().expect("no panic").push(protocol);
                    let mut service = TcpStream::connect(service).await.expect("the service");
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut service).await;
                });
            }
        });
        Self {
            address,
            acceptor,
            agreed,
            task,
        }
    }

    /// Receives new connections otherwise.
    pub(crate) fn set(&self, setup: Setup<'_>) {
        *self.acceptor.lock().expect("no panic") = acceptor(&setup);
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The protocol that each connection agreed on; a handshake that failed is not among them.
    pub(crate) fn agreed(&self) -> Vec<String> {
        self.agreed.lock().expect("no panic").clone()
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn acceptor(setup: &Setup<'_>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match setup.clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().into()).expect("a root");
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .expect("a verifier"),
            )
        }
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(setup.identity.key_der.clone()));
    let mut config = builder
        .with_single_cert(vec![setup.identity.chain_der.clone().into()], key)
        .expect("an identity");
    config.alpn_protocols = setup
        .protocols
        .iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect();
    TlsAcceptor::from(Arc::new(config))
}
