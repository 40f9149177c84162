//! The transport and the fake service, on loopback.

use std::{process::Command, time::Duration};

use bytes::Bytes;
use experiment_client::{
    Error, HttpVersion, HyperTransport, Request, Response, Transport, TransportError,
    TransportErrorKind, TransportOptions,
    test_kit::{Answer, Script, Service},
};
use http_body_util::BodyExt;

use crate::proxy::{Conduct, FakeProxy};

fn direct(version: HttpVersion) -> HyperTransport {
    let options = TransportOptions::new().without_proxy();
    HyperTransport::new(options.with_http_version(version)).expect("options")
}

fn get(url: &str) -> Request {
    http::Request::get(url)
        .body(Bytes::new())
        .expect("a request")
}

async fn text(response: Response) -> Result<String, TransportError> {
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Sends a request and reads the answer to its end.
async fn fetch(transport: &HyperTransport, url: &str) -> Result<String, TransportError> {
    text(transport.send(get(url)).await?).await
}

const VERSIONS: [HttpVersion; 2] = [HttpVersion::Negotiated, HttpVersion::Http2];

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    for version in VERSIONS {
        let script = Script::new();
        script.on("/a", Answer::json("[1]"));
        script.on(
            "/chunked",
            Answer::json("[").wait(Duration::ZERO).send("2]"),
        );
        let service = Service::start(script.clone()).await.expect("a service");
        let transport = direct(version);
        for _ in 0..5 {
            let answer = fetch(&transport, &format!("{}/a", service.url())).await;
            assert_eq!(answer.expect("an answer"), "[1]");
            let answer = fetch(&transport, &format!("{}/chunked", service.url())).await;
            assert_eq!(answer.expect("an answer"), "[2]");
        }
        assert_eq!(service.connections(), 1, "{version:?}");
        assert_eq!(script.requests().len(), 10);
    }
}

#[tokio::test]
async fn one_http2_connection_takes_many_requests_at_once() {
    let script = Script::new();
    script.on("/slow", Answer::json("{}").after(Duration::from_millis(50)));
    let service = Service::start(script).await.expect("a service");
    let transport = direct(HttpVersion::Http2);
    let url = format!("{}/slow", service.url());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (transport, url) = (transport.clone(), url.clone());
        tasks.spawn(async move { fetch(&transport, &url).await.expect("an answer") });
    }
    assert_eq!(tasks.join_all().await, vec!["{}"; 20]);
    assert_eq!(service.connections(), 1);
}

#[tokio::test]
async fn a_connection_whose_answer_was_not_read_to_its_end_takes_no_other_request() {
    for version in VERSIONS {
        let script = Script::new();
        script.then("/half", [Answer::json("[1,").stall()]);
        script.on("/silent", Answer::silence());
        script.on("/whole", Answer::json("[2]"));
        let service = Service::start(script.clone()).await.expect("a service");
        let transport = direct(version);
        let url = |path: &str| format!("{}{path}", service.url());

        let half = transport.send(get(&url("/half"))).await.expect("a head");
        drop(half);
        assert_eq!(
            fetch(&transport, &url("/whole")).await.expect("an answer"),
            "[2]"
        );
        assert_eq!(service.connections(), 2, "{version:?}: a body was dropped");

        let silent = transport.send(get(&url("/silent")));
        let seen = async {
            while script.requests_to("/silent").is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = silent => panic!("an answer out of silence"),
            () = seen => {}
        }
        assert_eq!(
            fetch(&transport, &url("/whole")).await.expect("an answer"),
            "[2]"
        );
        assert_eq!(
            service.connections(),
            3,
            "{version:?}: a request was given up"
        );
        assert_eq!(
            fetch(&transport, &url("/whole")).await.expect("an answer"),
            "[2]"
        );
        assert_eq!(
            service.connections(),
            3,
            "{version:?}: nothing was given up"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = Script::new();
    let other = Service::start(elsewhere.clone()).await.expect("a service");
    let script = Script::new();
    for status in [301, 302, 303, 307, 308] {
        let answer = Answer::status(status).header("location", &other.url());
        script.then("/moved", [answer]);
    }
    let service = Service::start(script).await.expect("a service");
    let transport = direct(HttpVersion::Negotiated);
    for status in [301, 302, 303, 307, 308] {
        let url = format!("{}/moved", service.url());
        let answer = transport.send(get(&url)).await.expect("an answer");
        assert_eq!(answer.status(), status);
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn every_way_to_break_has_its_kind() {
    use TransportErrorKind::{Closed, Connect, Protocol, Resolve};

    let huge = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n[]", "x".repeat(400_000));
    let rows = [
        ("closed before the head", Answer::refused(), Closed),
        (
            "closed within the head",
            Answer::raw("HTTP/1.1 200 OK\r\ncont"),
            Closed,
        ),
        ("reset before the head", Answer::raw("").reset(), Closed),
        ("reset in the body", Answer::json("[").reset(), Closed),
        (
            "shorter than it said",
            Answer::raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[]"),
            Closed,
        ),
        (
            "cut off between chunks",
            Answer::raw(CHUNKED).send("2\r\n[]\r\n"),
            Closed,
        ),
        (
            "chunks that are none",
            Answer::raw(CHUNKED).send("zz\r\n[]\r\n"),
            Protocol,
        ),
        (
            "garbage",
            Answer::raw("\0\x01\x02 garbage \r\n\r\n"),
            Protocol,
        ),
        (
            "another protocol",
            Answer::raw("SSH-2.0-OpenSSH_9.2\r\n"),
            Protocol,
        ),
        ("no status", Answer::raw("HTTP/1.1 abc\r\n\r\n"), Protocol),
        ("a huge head", Answer::raw(huge), Protocol),
        (
            "two lengths",
            Answer::raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n[] "),
            Protocol,
        ),
    ];
    let script = Script::new();
    let mut service = Service::start(script.clone()).await.expect("a service");
    let transport = direct(HttpVersion::Negotiated);
    let url = format!("{}/a", service.url());
    for (name, answer, kind) in rows {
        script.then("/a", [answer, Answer::json("[]")]);
        let error = fetch(&transport, &url).await.expect_err(name);
        assert_eq!(error.kind(), kind, "{name}: {error:?}");
        assert_eq!(fetch(&transport, &url).await.expect(name), "[]");
    }

    service.stop().await;
    // Another one, which has no connection yet.
    let transport = direct(HttpVersion::Negotiated);
    let error = fetch(&transport, &url).await.expect_err("nobody listens");
    assert_eq!(error.kind(), Connect, "{error:?}");
    service.restart().await.expect("the same port");
    script.then("/a", [Answer::json("[]")]);
    assert_eq!(fetch(&transport, &url).await.expect("it is back"), "[]");

    let error = fetch(&transport, "http://nothing.invalid/").await;
    assert_eq!(error.expect_err("no such host").kind(), Resolve);
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

#[tokio::test]
async fn a_head_is_limited_over_http2_too() {
    let script = Script::new();
    script.then("/a", [Answer::json("[]").header("x", &"x".repeat(400_000))]);
    script.on("/a", Answer::json("[]"));
    let service = Service::start(script).await.expect("a service");
    let transport = direct(HttpVersion::Http2);
    let url = format!("{}/a", service.url());
    assert!(fetch(&transport, &url).await.is_err());
    assert_eq!(fetch(&transport, &url).await.expect("a small head"), "[]");
}

#[tokio::test]
async fn what_comes_behind_the_stated_length_is_not_taken_for_the_next_answer() {
    let script = Script::new();
    let long = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]HTTP/1.1 200 OK\r\n\r\nforged";
    script.then("/a", [Answer::raw(long)]);
    script.on("/a", Answer::json("[1]"));
    let service = Service::start(script).await.expect("a service");
    let transport = direct(HttpVersion::Negotiated);
    let url = format!("{}/a", service.url());
    assert_eq!(fetch(&transport, &url).await.expect("an answer"), "[]");
    assert_eq!(fetch(&transport, &url).await.expect("an answer"), "[1]");
}

#[tokio::test]
async fn a_service_that_went_and_came_back_is_met_without_an_error() {
    for version in VERSIONS {
        let script = Script::new();
        script.on("/a", Answer::json("[]"));
        let mut service = Service::start(script.clone()).await.expect("a service");
        let transport = direct(version);
        let url = format!("{}/a", service.url());
        assert_eq!(fetch(&transport, &url).await.expect("an answer"), "[]");
        service.stop().await;
        service.restart().await.expect("the same port");
        // Lets the runtime look at its sockets: the pooled connection is dead.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let answer = fetch(&transport, &url).await;
        assert_eq!(answer.expect("a new connection"), "[]", "{version:?}");
        assert_eq!(script.requests().len(), 2);
    }
}

#[test]
fn a_transport_outlives_the_runtime_it_was_first_used_in() {
    let new_runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
    };
    for version in VERSIONS {
        let script = Script::new();
        script.on("/a", Answer::json("[]"));
        let keeper = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let service = keeper.block_on(Service::start(script)).expect("a service");
        let transport = direct(version);
        let url = format!("{}/a", service.url());
        for round in 1..=3 {
            let runtime = new_runtime();
            for _ in 0..2 {
                let answer = runtime.block_on(fetch(&transport, &url));
                assert_eq!(answer.expect("an answer"), "[]", "{version:?}");
            }
            assert_eq!(service.connections(), round, "{version:?}");
        }
    }
}

#[tokio::test]
async fn requests_to_http_services_are_handed_to_the_proxy_itself() {
    let script = Script::new();
    script.on("/sdk/v2/flags", Answer::json("[]"));
    let service = Service::start(script.clone()).await.expect("a service");
    let proxy = FakeProxy::start(Conduct::ConnectTo(service.address())).await;
    let url = format!("http://us%65r:p%40ss@{}", proxy.address());
    let options = TransportOptions::new().with_proxy(url);
    let transport = HyperTransport::new(options).expect("options");
    let answer = fetch(&transport, "http://service.invalid:81/sdk/v2/flags?v=0").await;
    assert_eq!(answer.expect("an answer"), "[]");
    let head = proxy.heads().concat().to_lowercase();
    assert!(
        head.starts_with("get http://service.invalid:81/sdk/v2/flags?v=0 http/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("host: service.invalid:81\r\n"), "{head}");
    // base64 of `user:p@ss`, in lower case
    assert!(
        head.contains("proxy-authorization: basic dxnlcjpwqhnz\r\n"),
        "{head}"
    );
    assert_eq!(script.requests()[0].target, "/sdk/v2/flags?v=0");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_with_its_status() {
    const DENIED: &str = "HTTP/1.1 407 Proxy Authentication Required\r\n\
        proxy-authenticate: Basic realm=\"x\"\r\ncontent-length: 0\r\n\r\n";

    for (answer, kind) in [
        (DENIED, TransportErrorKind::Proxy(Some(407))),
        (
            "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n",
            TransportErrorKind::Proxy(Some(503)),
        ),
        ("HTTP/1.1 200", TransportErrorKind::Proxy(None)),
        ("", TransportErrorKind::Proxy(None)),
        ("garbage\r\n\r\n", TransportErrorKind::Proxy(None)),
    ] {
        let proxy = FakeProxy::start(Conduct::Answer(answer)).await;
        let options = TransportOptions::new().with_proxy(format!("http://{}", proxy.address()));
        let transport = HyperTransport::new(options).expect("options");
        let error = fetch(&transport, "https://service.invalid/").await;
        let error = error.expect_err("no tunnel");
        assert_eq!(error.kind(), kind, "{answer:?}: {error:?}");
        assert!(proxy.heads()[0].starts_with("CONNECT service.invalid:443 HTTP/1.1\r\n"));
    }
    let proxy = FakeProxy::start(Conduct::Answer(DENIED)).await;
    let options = TransportOptions::new().with_proxy(format!("http://{}", proxy.address()));
    let transport = HyperTransport::new(options).expect("options");
    let error = fetch(&transport, "http://service.invalid/").await;
    let error = error.expect_err("not forwarded");
    assert_eq!(error.kind(), TransportErrorKind::Proxy(Some(407)));
}

#[test]
fn a_proxy_that_cannot_be_used_is_a_mistake_of_configuration() {
    for url in [
        "",
        "not an address",
        "socks5://127.0.0.1:1080",
        "ftp://127.0.0.1",
    ] {
        let error = HyperTransport::new(TransportOptions::new().with_proxy(url));
        let error = error.expect_err(url);
        assert!(
            matches!(error, Error::Config { field: "proxy", .. }),
            "{error}"
        );
    }
}

/// The environment of a process cannot be changed safely from within, so another one is started:
/// the test below, with this one's proxy.
#[tokio::test(flavor = "multi_thread")]
async fn proxies_of_the_environment_are_used_but_not_for_this_machine() {
    let script = Script::new();
    script.on("/a", Answer::json("[]"));
    let service = Service::start(script.clone()).await.expect("a service");
    let proxy = FakeProxy::start(Conduct::ConnectTo(service.address())).await;
    let url = format!("http://user:secret@{}", proxy.address());
    for [http, https, no] in [
        ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"],
        ["http_proxy", "https_proxy", "no_proxy"],
        ["ALL_PROXY", "ALL_PROXY", "NO_PROXY"],
        ["all_proxy", "all_proxy", "no_proxy"],
    ] {
        let mut child = Command::new(std::env::current_exe().expect("this program"));
        for name in [
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "NO_PROXY",
            "REQUEST_METHOD",
        ] {
            child.env_remove(name).env_remove(name.to_lowercase());
        }
        child
            .args([
                "--exact",
                "transport::in_an_environment_with_proxies",
                "--ignored",
            ])
            .env(http, &url)
            .env(https, &url)
            .env(no, "direct.invalid")
            .env(CHILD, service.url());
        let done = tokio::task::spawn_blocking(move || child.output());
        let done = done.await.expect("no panic").expect("a child process");
        let shown = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "{http}: {shown}");
        assert!(shown.contains("1 passed"), "{shown}");
    }
    let heads = proxy.heads();
    assert_eq!(heads.len(), 8, "{heads:?}");
    for head in heads {
        assert!(
            head.to_lowercase().contains("proxy-authorization: basic "),
            "{head}"
        );
        assert!(head.contains("proxied.invalid"), "{head}");
    }
}

const CHILD: &str = "EXPERIMENT_CLIENT_TEST_SERVICE";

#[tokio::test]
#[ignore = "the process that the test above starts"]
async fn in_an_environment_with_proxies() {
    let Ok(service) = std::env::var(CHILD) else {
        return;
    };
    let transport = HyperTransport::new(TransportOptions::new()).expect("options");
    let kind = |answer: Result<String, TransportError>| answer.map_err(|error| error.kind());
    let url = format!("{service}/a");
    assert_eq!(kind(fetch(&transport, &url).await), Ok("[]".to_owned()));
    let forwarded = fetch(&transport, "http://proxied.invalid/a").await;
    assert_eq!(kind(forwarded), Ok("[]".to_owned()));
    // A tunnel to a service without TLS: the handshake fails, behind the proxy.
    let tunnelled = fetch(&transport, "https://proxied.invalid/a").await;
    assert!(kind(tunnelled).is_err());
    let direct = fetch(&transport, "http://direct.invalid/a").await;
    assert_eq!(kind(direct), Err(TransportErrorKind::Resolve));
}

#[test]
fn debug_shows_neither_the_password_of_the_proxy_nor_a_private_key() {
    let authority = crate::front::Authority::new();
    let identity = authority.sign("client");
    let options = TransportOptions::new()
        .with_proxy("http://canary-user:canary-password@127.0.0.1:1")
        .with_client_certificate(identity.chain_pem.as_str(), identity.key_pem.as_str());
    let transport = HyperTransport::new(options.clone()).expect("options");
    let shown = format!("{options:?} {options:#?} {transport:?} {transport:#?}");
    assert!(!shown.contains("canary"), "{shown}");
    assert!(!shown.contains("PRIVATE"), "{shown}");
    let line = identity.key_pem.lines().nth(1).expect("a line of the key");
    assert!(!shown.contains(line), "{shown}");
}
