//! TLS against services with certificates made for the test.

use bytes::Bytes;
use experiment_client::{
    Error, HttpVersion, HyperTransport, Transport, TransportError, TransportErrorKind,
    TransportOptions,
    test_kit::{Answer, Script, Service},
};
use http_body_util::BodyExt;

use crate::{
    front::{Authority, Identity, Setup, TlsFront},
    proxy::{Conduct, FakeProxy},
};

const BOTH: &[&str] = &["h2", "http/1.1"];

async fn service() -> Service {
    let script = Script::new();
    script.on("/a", Answer::json("[]"));
    Service::start(script).await.expect("a service")
}

async fn front(service: &Service, identity: &Identity, protocols: &[&str]) -> TlsFront {
    let setup = Setup {
        identity,
        protocols,
        clients: None,
    };
    TlsFront::start(service.address(), setup).await
}

async fn fetch(options: TransportOptions, url: &str) -> Result<String, TransportError> {
    let transport = HyperTransport::new(options).expect("options");
    let request = http::Request::get(format!("{url}/a")).body(Bytes::new());
    let answer = transport.send(request.expect("a request")).await?;
    let body = answer.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Trusts nobody but those it is told to.
fn strict() -> TransportOptions {
    TransportOptions::new()
        .without_proxy()
        .without_platform_roots()
}

#[tokio::test]
async fn the_version_of_http_is_agreed_on_in_the_handshake() {
    let authority = Authority::new();
    let identity = authority.sign("localhost");
    let service = service().await;
    for (offered, version, agreed) in [
        (BOTH, HttpVersion::Negotiated, "h2"),
        (&["http/1.1"], HttpVersion::Negotiated, "http/1.1"),
        (&[], HttpVersion::Negotiated, ""),
        (BOTH, HttpVersion::Http1, "http/1.1"),
        (BOTH, HttpVersion::Http2, "h2"),
    ] {
        let front = front(&service, &identity, offered).await;
        let options = strict()
            .with_ca_certificates(authority.pem())
            .with_http_version(version);
        let answer = fetch(options, &front.url()).await.expect("an answer");
        assert_eq!(answer, "[]");
        assert_eq!(front.agreed(), [agreed], "{offered:?} {version:?}");
    }
}

#[tokio::test]
async fn an_authority_is_given_as_pem_or_der_alone_or_with_others() {
    let (other, authority) = (Authority::new(), Authority::new());
    let identity = authority.sign("localhost");
    let service = service().await;
    let front = front(&service, &identity, BOTH).await;
    for options in [
        strict().with_ca_certificates(authority.pem()),
        strict().with_ca_certificates(authority.der()),
        strict().with_ca_certificates(other.pem() + &authority.pem()),
        strict()
            .with_ca_certificates(other.der())
            .with_ca_certificates(authority.der()),
        TransportOptions::new()
            .without_proxy()
            .with_ca_certificates(authority.pem()),
    ] {
        let answer = fetch(options.clone(), &front.url()).await;
        assert_eq!(answer.expect("trust"), "[]", "{options:?}");
    }
}

#[tokio::test]
async fn who_cannot_be_trusted_is_told_nothing() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let service = service().await;
    let rows = [
        ("unknown authority", stranger.sign("localhost")),
        ("another host", authority.sign("elsewhere.example")),
        (
            "expired",
            authority.sign_with("localhost", |params| {
                params.not_after = rcgen::date_time_ymd(2001, 1, 1);
            }),
        ),
        (
            "not yet valid",
            authority.sign_with("localhost", |params| {
                params.not_before = rcgen::date_time_ymd(4000, 1, 1);
            }),
        ),
    ];
    for (name, identity) in rows {
        let front = front(&service, &identity, BOTH).await;
        let options = strict().with_ca_certificates(authority.pem());
        let error = fetch(options, &front.url()).await.expect_err(name);
        assert_eq!(error.kind(), TransportErrorKind::Tls, "{name}: {error:?}");
    }
    assert!(service.script().requests().is_empty());
}

#[tokio::test]
async fn a_machine_without_root_certificates_says_so_when_it_matters() {
    let service = service().await;
    let authority = Authority::new();
    let front = front(&service, &authority.sign("localhost"), BOTH).await;
    let error = fetch(strict(), &front.url()).await.expect_err("no trust");
    assert_eq!(error.kind(), TransportErrorKind::NoRoots);
    assert_eq!(error.to_string(), "there are no root certificates");
    let answer = fetch(strict(), &service.url()).await;
    assert_eq!(answer.expect("http needs no roots"), "[]");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let identity = authority.sign("localhost");
    let client = clients.sign("client");
    let service = service().await;
    let setup = Setup {
        identity: &identity,
        protocols: BOTH,
        clients: Some(&clients),
    };
    let front = TlsFront::start(service.address(), setup).await;
    let trusting = strict().with_ca_certificates(authority.pem());

    let error = fetch(trusting.clone(), &front.url()).await;
    let kind = error.expect_err("nobody enters without").kind();
    // TLS 1.3 tells the client after its handshake is done, which may be after the connection broke.
    assert!(
        matches!(kind, TransportErrorKind::Tls | TransportErrorKind::Closed),
        "{kind:?}"
    );
    for options in [
        trusting
            .clone()
            .with_client_certificate(client.chain_pem.as_str(), client.key_pem.as_str()),
        trusting.with_client_certificate(client.chain_der.clone(), client.key_der.clone()),
    ] {
        assert_eq!(fetch(options, &front.url()).await.expect("known"), "[]");
    }
}

#[test]
fn certificates_and_keys_that_cannot_be_used_are_refused_by_name() {
    let authority = Authority::new();
    let (one, other) = (authority.sign("one"), authority.sign("other"));
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let rows = [
        ("ca_certificates", strict().with_ca_certificates("nonsense")),
        ("ca_certificates", strict().with_ca_certificates("")),
        (
            "ca_certificates",
            strict().with_ca_certificates(one.key_pem.as_str()),
        ),
        ("ca_certificates", strict().with_ca_certificates(key)),
        (
            "client_certificate",
            strict().with_client_certificate("nonsense", one.key_pem.as_str()),
        ),
        (
            "client_certificate",
            strict().with_client_certificate(one.chain_pem.as_str(), "nonsense"),
        ),
        (
            "client_certificate",
            strict().with_client_certificate(one.chain_pem.as_str(), key),
        ),
        (
            "client_certificate",
            strict().with_client_certificate(one.chain_pem.as_str(), other.key_pem.as_str()),
        ),
    ];
    for (named, options) in rows {
        let error = HyperTransport::new(options).expect_err("unusable");
        assert!(
            matches!(error, Error::Config { field, .. } if field == named),
            "{named}: {error}"
        );
    }
}

#[tokio::test]
async fn a_configuration_of_ones_own_replaces_all_options_of_tls() {
    let authority = Authority::new();
    let service = service().await;
    let front = front(&service, &authority.sign("localhost"), BOTH).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der().into()).expect("a root");
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    for (protocols, agreed) in [(vec![], "h2"), (vec![b"http/1.1".to_vec()], "http/1.1")] {
        config.alpn_protocols = protocols;
        let options = strict().with_tls_config(config.clone());
        assert_eq!(fetch(options, &front.url()).await.expect("trust"), "[]");
        assert_eq!(front.agreed().last().expect("a connection"), agreed);
    }
}

#[tokio::test]
async fn https_goes_through_a_tunnel_of_a_proxy_with_or_without_tls_itself() {
    let authority = Authority::new();
    let identity = authority.sign("localhost");
    let service = service().await;
    let front = front(&service, &identity, BOTH).await;
    let proxy = FakeProxy::start(Conduct::ConnectTo(front.address())).await;
    let setup = Setup {
        identity: &identity,
        protocols: &["http/1.1"],
        clients: None,
    };
    let secure_proxy = TlsFront::start(proxy.address(), setup).await;
    for url in [
        format!("http://user:pass@{}", proxy.address()),
        secure_proxy.url().replace("https://", "https://user:pass@"),
    ] {
        let options = strict()
            .with_ca_certificates(authority.pem())
            .with_proxy(url);
        let answer = fetch(options, &front.url()).await.expect("an answer");
        assert_eq!(answer, "[]");
        let head = proxy.heads().pop().expect("a request");
        let port = front.address().port();
        assert!(
            head.starts_with(&format!("CONNECT localhost:{port} HTTP/1.1\r\n")),
            "{head}"
        );
        assert!(
            head.contains("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n"),
            "{head}"
        );
    }
    assert_eq!(front.agreed(), ["h2", "h2"]);
    assert_eq!(secure_proxy.agreed(), ["http/1.1"]);
    let request = &service.script().requests()[0];
    assert_eq!(request.header("proxy-authorization"), None);
}
