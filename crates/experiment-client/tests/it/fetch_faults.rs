//! What a fetch makes of everything that can go wrong between it and the service, on real sockets.
//!
//! Each row fails as it says, and then the same client fetches from the same service, which is well
//! again. Times are not looked at; where something never comes, the client waits for a moment.

use std::{net::SocketAddr, time::Duration};

use experiment_client::{
    Endpoints, Error, FetchOptions, Fetched, HyperTransport, Phase, RemoteClient, RetryPolicy,
    TransportErrorKind, TransportOptions,
    test_kit::{Answer, Script, Service},
};
use experiment_model::User;
use tokio::net::{TcpSocket, TcpStream};

use crate::{
    front::{Authority, Identity, Setup, TlsFront},
    proxy::{Conduct, FakeProxy},
};

const VARDATA: &str = "/sdk/v2/vardata";
const VARIANTS: &str = r#"{"checkout": {"key": "on", "value": "on"}}"#;
const LIMIT: usize = 64 * 1024;
/// Long enough for any machine, where something does come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where nothing comes.
const MOMENT: Duration = Duration::from_millis(300);

/// Repeats once and without a pause worth speaking of.
fn twice(attempt: Duration) -> RetryPolicy {
    RetryPolicy::default()
        .with_retries(1)
        .with_backoff(Duration::ZERO, Duration::from_millis(1), 1.0)
        .with_attempt_timeout(attempt)
        .with_total_timeout(PATIENCE * 2)
}

fn direct() -> TransportOptions {
    TransportOptions::new()
        .without_proxy()
        .without_platform_roots()
}

fn client(url: &str, options: TransportOptions) -> RemoteClient {
    RemoteClient::builder("server-deployment-key")
        .endpoints(Endpoints::at(url).expect("an address"))
        .transport(HyperTransport::new(options).expect("options"))
        .body_limit(LIMIT)
        .build()
        .expect("a client")
}

async fn fetch(client: &RemoteClient, retry: RetryPolicy) -> Result<Fetched, Error> {
    let user = User::new().with_user_id("ada");
    client
        .fetch(&user, FetchOptions::new().with_retry(retry))
        .await
}

/// What came of it, in one line.
fn outcome(result: &Result<Fetched, Error>) -> String {
    match result {
        Ok(fetched) => {
            let flags: Vec<&str> = fetched.variants.iter().map(|(key, _)| &**key).collect();
            format!("{} after {}", flags.join(" "), fetched.attempts)
        }
        Err(Error::Status {
            status,
            retry_after,
            attempts,
        }) => match retry_after {
            None => format!("status {status} after {attempts}"),
            Some(time) => format!("status {status} for {} s after {attempts}", time.as_secs()),
        },
        Err(Error::Transport { kind, attempts, .. }) => format!("{kind:?} after {attempts}"),
        Err(Error::Timeout {
            phase: Phase::Head,
            attempts,
        }) => format!("no head after {attempts}"),
        Err(Error::Timeout {
            phase: Phase::Body,
            attempts,
        }) => format!("no end after {attempts}"),
        Err(Error::Malformed {
            reason, attempts, ..
        }) => format!("{reason} after {attempts}"),
        Err(Error::TooLarge { limit, .. }) => format!("more than {limit}"),
        Err(other) => format!("{other:?}"),
    }
}

async fn recovers(name: &str, client: &RemoteClient) {
    let fetched = fetch(client, RetryPolicy::once(PATIENCE)).await;
    let fetched = fetched.unwrap_or_else(|error| panic!("{name}: it is well again: {error:?}"));
    assert!(
        fetched
            .variants
            .get("checkout")
            .is_some_and(|variant| variant.is("on")),
        "{name}"
    );
}

struct Row {
    name: &'static str,
    /// What the service does, once for each attempt.
    answer: Answer,
    expected: &'static str,
    /// How long an attempt waits.
    wait: Duration,
}

fn row(name: &'static str, answer: Answer, expected: &'static str) -> Row {
    let wait = PATIENCE;
    Row {
        name,
        answer,
        expected,
        wait,
    }
}

fn silent_row(name: &'static str, answer: Answer, expected: &'static str) -> Row {
    let wait = MOMENT;
    Row {
        name,
        answer,
        expected,
        wait,
    }
}

pub(crate) fn packed(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut packer = flate2::read::GzEncoder::new(body, flate2::Compression::best());
    std::io::Read::read_to_end(&mut packer, &mut bytes).expect("memory");
    bytes
}

fn gzip(bytes: Vec<u8>) -> Answer {
    gzip_of(200, bytes)
}

fn gzip_of(status: u16, bytes: Vec<u8>) -> Answer {
    Answer::status(status)
        .header("content-encoding", "gzip")
        .send(bytes)
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

fn raw(rest: &str) -> Answer {
    Answer::raw(format!("{HEAD}{rest}"))
}

fn slow_head() -> Answer {
    HEAD.bytes().fold(Answer::raw(""), |answer, byte| {
        answer.send(vec![byte]).wait(Duration::from_millis(1))
    })
}

/// What breaks the connection.
fn connections() -> Vec<Row> {
    let huge_head = format!("x: {}\r\n\r\n{VARIANTS}", "x".repeat(400_000));
    vec![
        row(
            "closed before the head",
            Answer::refused(),
            "Closed after 2",
        ),
        row(
            "closed within the head",
            Answer::raw("HTTP/1.1 200 O"),
            "Closed after 2",
        ),
        row(
            "reset before the head",
            Answer::raw("").reset(),
            "Closed after 2",
        ),
        row(
            "reset in the body",
            Answer::json("{\"a\":").reset(),
            "Closed after 2",
        ),
        row(
            "garbage",
            Answer::raw("\x16\x03\x01 no HTTP\r\n\r\n"),
            "Protocol after 2",
        ),
        row("a huge head", raw(&huge_head), "Protocol after 2"),
        silent_row("no answer at all", Answer::silence(), "no head after 2"),
        silent_row(
            "a head that does not end",
            slow_head().stall(),
            "no head after 2",
        ),
        silent_row(
            "a body that does not begin",
            Answer::json("").stall(),
            "no end after 2",
        ),
        silent_row(
            "a body that stalls",
            Answer::json("{\"a\":").stall(),
            "no end after 2",
        ),
        row(
            "a head byte by byte",
            slow_head().send(format!("\r\n{VARIANTS}")),
            "checkout after 1",
        ),
    ]
}

/// What is wrong with a body.
fn bodies() -> Vec<Row> {
    let bomb = packed(&vec![b' '; 16 << 20]);
    let whole = packed(VARIANTS.as_bytes());
    let mut damaged = whole.clone();
    // Within the checksum, which is the first half of the last eight bytes.
    damaged[whole.len() - 6] ^= 0xff;
    let two = r#"{"checkout": {"key": "a"}, "other": {"key": "x"}, "checkout": {"key": "b"}}"#;
    let poisoned = r#"{"checkout": {"key": "a"}, "bad": 7, "other": {"key": "x"}}"#;
    vec![
        row(
            "a length too short",
            raw("content-length: 99\r\n\r\n{}"),
            "Closed after 2",
        ),
        row(
            "more than the length",
            raw(&format!(
                "content-length: {}\r\n\r\n{VARIANTS}}}}}",
                VARIANTS.len()
            )),
            "checkout after 1",
        ),
        row(
            "two lengths",
            raw("content-length: 2\r\ncontent-length: 3\r\n\r\n{} "),
            "Protocol after 2",
        ),
        row(
            "broken chunks",
            raw("transfer-encoding: chunked\r\n\r\n2\r\n{}\r\nx"),
            "Protocol after 2",
        ),
        row(
            "gzip",
            Answer::gzip(VARIANTS.as_bytes()),
            "checkout after 1",
        ),
        row("gzip cut off", gzip(whole[..20].to_vec()), CUT_OFF),
        row(
            "gzip without its checksum",
            gzip(whole[..whole.len() - 8].to_vec()),
            CUT_OFF,
        ),
        row(
            "gzip damaged",
            gzip(damaged),
            "cut off or damaged gzip after 2",
        ),
        row(
            "gzip that is none",
            gzip(VARIANTS.into()),
            "not gzip after 2",
        ),
        row("a gzip bomb", gzip(bomb), "more than 65536"),
        row(
            "an encoding not asked for",
            Answer::json(VARIANTS).header("content-encoding", "br"),
            "unknown content encoding after 2",
        ),
        row(
            "a large body",
            Answer::json(vec![b' '; LIMIT + 1]),
            "more than 65536",
        ),
        row(
            "HTML",
            Answer::json("<!doctype html><html>"),
            "not JSON at line 1 column 1 after 2",
        ),
        row("an empty body", Answer::json(""), "empty after 2"),
        row(
            "JSON cut off",
            Answer::json("{\"checkout\": {\"key\""),
            "ends too early after 2",
        ),
        row("a list", Answer::json("[]"), "not an object after 2"),
        row("null", Answer::json("null"), "not an object after 2"),
        row("no variants", Answer::json("{}"), " after 1"),
        row("a flag twice", Answer::json(two), "other checkout after 1"),
        row(
            "a poisoned flag",
            Answer::json(poisoned),
            "checkout other after 1",
        ),
    ]
}

/// What is no 200.
fn statuses(elsewhere: &str) -> Vec<Row> {
    let busy = |seconds: &str| Answer::status(429).header("retry-after", seconds);
    vec![
        row(
            "201",
            Answer::status(201).send(VARIANTS),
            "status 201 after 2",
        ),
        row("204", Answer::status(204), "status 204 after 2"),
        row(
            "206",
            Answer::status(206).send(VARIANTS),
            "status 206 after 2",
        ),
        row(
            "302 to another host",
            Answer::status(302).header("location", elsewhere),
            "status 302 after 2",
        ),
        row(
            "307 to another host",
            Answer::status(307).header("location", elsewhere),
            "status 307 after 2",
        ),
        row("304", Answer::status(304), "status 304 after 2"),
        row("400", Answer::status(400), "status 400 after 1"),
        row(
            "401, and then the key is good",
            Answer::status(401),
            "status 401 after 1",
        ),
        row("403", Answer::status(403), "status 403 after 1"),
        row("404", Answer::status(404), "status 404 after 1"),
        row("413", Answer::status(413), "status 413 after 1"),
        row("429", Answer::status(429), "status 429 after 2"),
        row("429 for no time", busy("0"), "status 429 for 0 s after 2"),
        row(
            "429 for an hour",
            busy("3600"),
            "status 429 for 3600 s after 1",
        ),
        row("429 for nonsense", busy("soon"), "status 429 after 2"),
        row("500", Answer::status(500), "status 500 after 2"),
        row("502", Answer::status(502), "status 502 after 2"),
        row("503", Answer::status(503), "status 503 after 2"),
        row("504", Answer::status(504), "status 504 after 2"),
        row(
            "500 with a body that stalls",
            Answer::status(500).send("x").stall(),
            "status 500 after 2",
        ),
        row(
            "503 with a body that breaks",
            Answer::status(503).send("x").reset(),
            "status 503 after 2",
        ),
        row(
            "400 with a large body",
            Answer::status(400).send(vec![b' '; 2 * LIMIT]),
            "status 400 after 1",
        ),
        row(
            "403 with a gzip bomb",
            gzip_of(403, packed(&vec![b' '; 16 << 20])),
            "status 403 after 1",
        ),
    ]
}

const CUT_OFF: &str = "cut off or damaged gzip after 2";

#[tokio::test]
async fn every_answer_of_a_broken_service_ends_as_it_should_and_the_next_fetch_succeeds() {
    let elsewhere = Script::new();
    let other = Service::start(elsewhere.clone()).await.expect("a service");
    let script = Script::new();
    let service = Service::start(script.clone()).await.expect("a service");
    let client = client(&service.url(), direct());
    let elsewhere_url = format!("{}{VARDATA}", other.url());
    let rows = [connections(), bodies(), statuses(&elsewhere_url)];
    for row in rows.into_iter().flatten() {
        script.on(VARDATA, row.answer);
        let before = script.requests().len();
        let result = fetch(&client, twice(row.wait)).await;
        assert_eq!(outcome(&result), row.expected, "{}: {result:?}", row.name);
        let attempts = result.map_or_else(|error| error.attempts(), |fetched| fetched.attempts);
        let sent = script.requests().len() - before;
        assert_eq!(sent, attempts as usize, "{}: requests", row.name);

        script.on(VARDATA, Answer::json(VARIANTS));
        recovers(row.name, &client).await;
    }
    assert!(elsewhere.requests().is_empty(), "a redirect was followed");
}

#[tokio::test]
async fn a_burst_of_failures_is_outlasted() {
    let script = Script::new();
    script.on(VARDATA, Answer::json(VARIANTS));
    let service = Service::start(script.clone()).await.expect("a service");
    let client = client(&service.url(), direct());
    let burst = [500, 502, 503, 504, 429, 302].map(Answer::status);
    let broken = [Answer::refused(), Answer::json("{").reset()];
    script.then(VARDATA, burst.into_iter().chain(broken));
    let policy = twice(PATIENCE).with_retries(8);
    let result = fetch(&client, policy).await;
    assert_eq!(outcome(&result), "checkout after 9");
}

#[tokio::test]
async fn a_refusal_does_not_cost_the_connection() {
    let script = Script::new();
    script.on(VARDATA, Answer::json(VARIANTS));
    script.then(
        VARDATA,
        [500, 503, 429].map(|status| {
            Answer::status(status)
                .send("busy")
                .wait(MOMENT / 100)
                .send("")
        }),
    );
    let service = Service::start(script).await.expect("a service");
    let client = client(&service.url(), direct());
    let result = fetch(&client, twice(PATIENCE).with_retries(3)).await;
    assert_eq!(outcome(&result), "checkout after 4");
    assert_eq!(service.connections(), 1);
}

#[tokio::test]
async fn a_service_that_is_down_refuses_and_comes_back() {
    let script = Script::new();
    script.on(VARDATA, Answer::json(VARIANTS));
    let mut service = Service::start(script).await.expect("a service");
    let client = client(&service.url(), direct());
    service.stop().await;
    let result = fetch(&client, twice(PATIENCE)).await;
    assert_eq!(outcome(&result), "Connect after 2");
    service.restart().await.expect("the same port");
    recovers("refused", &client).await;
}

/// Listens, accepts nobody, and has as many connections waiting as it takes.
pub(crate) struct BlackHole {
    address: SocketAddr,
    _listener: tokio::net::TcpListener,
    _waiting: Vec<TcpStream>,
}

impl BlackHole {
    /// At a free port, if it is 0.
    pub(crate) async fn at(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option");
        socket.bind(address).expect("the port");
        let address = socket.local_addr().expect("an address");
        let listener = socket.listen(1).expect("a listener");
        let mut waiting = Vec::new();
        // From some number on the system answers no more.
        while let Ok(stream) = tokio::time::timeout(MOMENT, TcpStream::connect(address)).await {
            waiting.push(stream.expect("a connection"));
            assert!(waiting.len() < 100, "this system has no limit");
        }
        Self {
            address,
            _listener: listener,
            _waiting: waiting,
        }
    }
}

#[tokio::test]
async fn a_black_hole_is_given_up_when_connecting_takes_too_long() {
    let hole = BlackHole::at(([127, 0, 0, 1], 0).into()).await;
    let address = hole.address;
    let client = client(
        &format!("http://{address}"),
        direct().with_connect_timeout(MOMENT),
    );
    let result = fetch(&client, twice(PATIENCE)).await;
    assert_eq!(outcome(&result), "Connect after 2");
    let result = fetch(&client, twice(MOMENT / 2)).await;
    assert_eq!(outcome(&result), "no head after 2");

    drop(hole);
    let script = Script::new();
    script.on(VARDATA, Answer::json(VARIANTS));
    let _service = Service::start_at(address, script).await.expect("the port");
    recovers("black hole", &client).await;
}

fn setup(identity: &Identity) -> Setup<'_> {
    Setup {
        identity,
        protocols: &["h2", "http/1.1"],
        clients: None,
    }
}

#[tokio::test]
async fn who_cannot_be_trusted_gets_no_key_and_the_right_one_does() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let script = Script::new();
    script.on(VARDATA, Answer::json(VARIANTS));
    let service = Service::start(script.clone()).await.expect("a service");
    let good = authority.sign("localhost");
    let front = TlsFront::start(service.address(), setup(&good)).await;
    let expired = |params: &mut rcgen::CertificateParams| {
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    };
    for (name, identity) in [
        ("wrong host", authority.sign("elsewhere.example")),
        ("expired", authority.sign_with("localhost", expired)),
        ("unknown authority", stranger.sign("localhost")),
    ] {
        let client = client(&front.url(), direct().with_ca_certificates(authority.pem()));
        front.set(setup(&identity));
        let before = script.requests().len();
        let result = fetch(&client, twice(PATIENCE)).await;
        assert_eq!(outcome(&result), "Tls after 2", "{name}");
        assert_eq!(script.requests().len(), before, "{name}: a key was sent");
        front.set(setup(&good));
        recovers(name, &client).await;
    }
    let lost = client(&front.url(), direct());
    let result = fetch(&lost, twice(PATIENCE)).await;
    assert_eq!(outcome(&result), "NoRoots after 2");
}

#[tokio::test]
async fn a_service_without_tls_where_tls_was_expected_is_not_trusted() {
    let script = Script::new();
    script.on(VARDATA, Answer::json(VARIANTS));
    let service = Service::start(script.clone()).await.expect("a service");
    let authority = Authority::new();
    let url = service.url().replace("http://", "https://");
    let client = client(&url, direct().with_ca_certificates(authority.pem()));
    let result = fetch(&client, twice(PATIENCE)).await;
    assert_eq!(outcome(&result), "Tls after 2");
    assert!(script.requests().is_empty());
}

#[tokio::test]
async fn a_proxy_that_denies_gets_no_key_and_may_change_its_mind() {
    const DENIED: &str = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";

    let authority = Authority::new();
    let script = Script::new();
    script.on(VARDATA, Answer::json(VARIANTS));
    let service = Service::start(script.clone()).await.expect("a service");
    let identity = authority.sign("localhost");
    let front = TlsFront::start(service.address(), setup(&identity)).await;
    for (url, address) in [
        (front.url(), front.address()),
        (service.url(), service.address()),
    ] {
        let proxy = FakeProxy::start(Conduct::Answer(DENIED)).await;
        let options = direct()
            .with_ca_certificates(authority.pem())
            .with_proxy(format!("http://user:password@{}", proxy.address()));
        let client = client(&url, options);
        let result = fetch(&client, twice(PATIENCE)).await;
        assert_eq!(outcome(&result), "Proxy(Some(407)) after 2");
        if url.starts_with("https") {
            let heads = proxy.heads().concat().to_lowercase();
            assert!(!heads.contains("api-key"), "{heads}");
        }
        proxy.set(Conduct::ConnectTo(address));
        recovers(&url, &client).await;
    }
}

#[tokio::test]
async fn an_unknown_host_is_told_from_one_that_is_down() {
    let client = client("http://nothing.invalid", direct());
    let result = fetch(&client, twice(PATIENCE)).await;
    let Err(Error::Transport { kind, attempts, .. }) = result else {
        panic!("{result:?}");
    };
    assert_eq!((kind, attempts), (TransportErrorKind::Resolve, 2));
}

/// A body of 64 KB that would unpack to 64 MB. What is counted is all that is allocated, freed or not;
/// unpacking 4 KB at a time makes 4 MB at most, in a buffer that grows to it by doubling.
#[test]
fn a_gzip_bomb_is_noticed_before_it_takes_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let bomb = gzip(packed(&vec![b' '; 64 << 20]));
        let script = Script::new();
        script.on(VARDATA, bomb);
        let service = Service::start(script).await.expect("a service");
        let client = client(&service.url(), direct());
        // The first fetch connects, which is not what is measured.
        for round in 0..2 {
            let fetching = fetch(&client, RetryPolicy::once(PATIENCE));
            let mut fetching = std::pin::pin!(fetching);
            let mut taken = 0;
            let result = std::future::poll_fn(|context| {
                let mut poll = std::task::Poll::Pending;
                let count = allocation_counter::measure(|| {
                    poll = fetching.as_mut().poll(context);
                });
                taken += count.bytes_total;
                poll
            })
            .await;
            assert_eq!(outcome(&result), "more than 65536");
            assert!(round == 0 || taken < 12 << 20, "{taken} bytes");
        }
    });
}
