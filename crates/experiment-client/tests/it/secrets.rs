//! Keys, passwords, ids and properties are in nothing that a program can show or log.

use std::{
    error::Error as _,
    fmt::{Debug, Write},
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use experiment_client::{
    Endpoints, Error, FetchOptions, HyperTransport, RemoteClient, RetryPolicy, TransportOptions,
    test_kit::{Answer, Script, Service},
};
use experiment_model::{User, Value};
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    front::{Authority, Setup, TlsFront},
    proxy::{Conduct, FakeProxy},
};

/// Part of everything that must not be seen.
const CANARY: &str = "canary";
const VARDATA: &str = "/sdk/v2/vardata";

#[derive(Clone, Default)]
pub(crate) struct Log(pub(crate) Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn canary_user() -> User {
    User::new()
        .with_user_id("canary-user-id")
        .with_device_id("canary-device-id")
        .with_user_property("canary-property", "canary-value")
        .with_group("canary-group", "canary-name")
}

fn client(url: &str, options: TransportOptions) -> RemoteClient {
    let retry = RetryPolicy::default()
        .with_retries(1)
        .with_backoff(Duration::ZERO, Duration::from_millis(1), 1.0)
        .with_total_timeout(Duration::from_secs(60));
    RemoteClient::builder("canary-deployment-key")
        .endpoints(Endpoints::at(url).expect("an address"))
        .transport(HyperTransport::new(options).expect("options"))
        .retry(retry)
        .body_limit(10_000)
        .build()
        .expect("a client")
}

/// Everything that an error shows, with all that caused it.
pub(crate) fn shown(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut next = error.source();
    while let Some(source) = next {
        write!(text, " <- {source} {source:?} {source:#?}").expect("memory");
        next = source.source();
    }
    text
}

pub(crate) fn clean(what: &str, shown: &str) {
    let at = shown.find(CANARY).or_else(|| shown.find("Y2FuYXJ5")); // base64 of it
    assert!(at.is_none(), "{what}: {shown}");
}

pub(crate) fn clean_debug(value: &impl Debug) {
    let shown = format!("{value:?} {value:#?}");
    clean("Debug", &shown);
}

/// Answers that end in an error and have the canary in all their parts.
fn bad_answers() -> Vec<Answer> {
    let echo = |status: u16| {
        Answer::status(status)
            .header("x-canary", "canary")
            .header("location", "http://canary:canary@127.0.0.1/canary")
            .send("canary")
    };
    vec![
        echo(200),
        echo(204),
        echo(302),
        echo(400),
        echo(401),
        echo(500),
        echo(429).header("retry-after", "canary"),
        Answer::json("{\"canary\": canary"),
        Answer::json("\"canary\""),
        Answer::json("[\"canary\"]"),
        Answer::json("canary".repeat(10_000)),
        Answer::json("{\"canary\"").reset(),
        Answer::json("canary").header("content-encoding", "gzip"),
        Answer::json("canary").header("content-encoding", "canary"),
        Answer::refused(),
        Answer::raw("canary canary\r\n\r\n"),
        Answer::raw("HTTP/1.1 200 OK\r\ncanary\r\n\r\n"),
        Answer::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\ncanary\r\n"),
    ]
}

#[tokio::test]
async fn no_error_no_debug_form_and_no_log_line_shows_a_secret_or_a_user() {
    let (log, _logging) = logging();
    let proxy_answer = "HTTP/1.1 407 canary\r\nx-canary: canary\r\ncontent-length: 6\r\n\r\ncanary";
    let proxy = FakeProxy::start(Conduct::Answer(proxy_answer)).await;
    let proxy_url = format!("http://canary-name:canary-password@{}", proxy.address());
    let authority = Authority::new();
    let identity = authority.sign("localhost");
    let script = Script::new();
    let mut service = Service::start(script.clone()).await.expect("a service");
    let setup = Setup {
        identity: &identity,
        protocols: &["h2"],
        clients: None,
    };
    let front = TlsFront::start(service.address(), setup).await;

    let direct = TransportOptions::new()
        .without_proxy()
        .without_platform_roots();
    let proxied = direct.clone().with_proxy(proxy_url);
    let trusting = direct.clone().with_ca_certificates(authority.pem());
    clean_debug(&proxied);
    clean_debug(&HyperTransport::new(proxied.clone()).expect("options"));
    clean_debug(&RemoteClient::builder("canary-deployment-key"));

    let options = FetchOptions::new().with_flag_keys(["checkout"]);
    let large = canary_user().with_user_property("long", "canary".repeat(2000));
    let too_deep = (0..200).fold(Value::from("canary"), |inner, _| Value::from(vec![inner]));
    let too_deep = canary_user().with_user_property("deep", too_deep);
    let no_id = User::new().with_user_property("canary", "canary");
    for user in [&large, &too_deep, &no_id] {
        clean_debug(user);
    }

    let mut errors = Vec::new();
    let clear = client(&service.url(), direct.clone());
    clean_debug(&clear);
    for answer in bad_answers() {
        script.on(VARDATA, answer);
        for user in [canary_user(), large.clone()] {
            let error = clear.fetch(&user, options.clone()).await;
            errors.push(error.expect_err("an error"));
        }
    }
    for user in [too_deep, no_id] {
        let error = clear.fetch(&user, options.clone()).await;
        errors.push(error.expect_err("an error"));
    }
    script.on(
        VARDATA,
        Answer::json(r#"{"bad": {"key": ["canary"]}, "checkout": {"key": "on"}}"#),
    );
    let secure = client(&front.url(), trusting);
    for client in [&clear, &secure] {
        for user in [canary_user(), large.clone()] {
            let fetched = client
                .fetch(&user, options.clone())
                .await
                .expect("variants");
            clean_debug(&fetched);
            clean("malformed", &fetched.malformed[0].to_string());
        }
    }
    let untrusting = client(&front.url(), direct.clone());
    let through_proxy = client(&service.url(), proxied.clone());
    let through_tunnel = client(&front.url(), proxied);
    let unknown = client("http://nothing.invalid", direct);
    service.stop().await;
    for client in [
        &untrusting,
        &through_proxy,
        &through_tunnel,
        &unknown,
        &clear,
    ] {
        let error = client.fetch(&canary_user(), options.clone()).await;
        errors.push(error.expect_err("an error"));
    }
    assert_eq!(errors.len(), 18 * 2 + 2 + 5);
    for error in &errors {
        clean("error", &shown(error));
    }
    clean_log(&log);
}

/// Captures what this thread logs while the guards live.
///
/// The second subscriber logs nothing. With a single one alive, `tracing` asks the thread that comes
/// by a line first whether anybody wants it, and another test's thread has nobody who does.
pub(crate) fn logging() -> (Log, [Box<dyn std::any::Any>; 2]) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let second = tracing::Dispatch::new(tracing_subscriber::registry());
    (log, [Box::new(guard), Box::new(second)])
}

fn clean_log(log: &Log) {
    let log = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    let own = log
        .lines()
        .filter(|line| line.contains("experiment_client"));
    let own: String = own.collect::<Vec<_>>().join("\n");
    assert!(own.contains("attempt failed"), "the log is empty");
    clean("log", &own);
    // The libraries below log too, at levels that nobody should have on.
    for line in log.lines() {
        clean("log of a library", line);
    }
}

#[test]
fn no_mistake_of_configuration_shows_a_secret() {
    for error in [
        RemoteClient::builder("canary\n")
            .build()
            .expect_err("no key"),
        HyperTransport::new(TransportOptions::new().with_proxy("canary://canary@canary"))
            .map(|_| ())
            .expect_err("no proxy"),
        Endpoints::at("http://canary:canary@127.0.0.1").expect_err("a user name"),
    ] {
        clean("error", &shown(&error));
    }
}
