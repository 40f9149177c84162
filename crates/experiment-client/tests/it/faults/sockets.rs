//! Faults below HTTP, on loopback. Time passes for real here, and nothing depends on how much.

use std::{sync::Arc, time::Duration};

use experiment_client::{
    Endpoints, HyperTransport, SpoolOptions, TransportOptions, Updates,
    test_kit::{self, Answer, Script},
};
use tempfile::TempDir;

use super::{
    Fault, Row, World, each, processes,
    services::{BEFORE, Services, everywhere, flags},
    stage::{MOMENT, PATIENCE, Pace, Place, Stage},
    survive,
};
use crate::{
    fetch_faults::BlackHole,
    front::{Authority, Identity, Setup, TlsFront},
    proxy::{Conduct, FakeProxy},
};

/// What is wrong with the way to the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// Nobody listens.
    Refused,
    /// Nobody answers when a connection is to be made.
    BlackHole,
    /// The certificate is for another host.
    WrongHost,
    /// It has expired.
    Expired,
    /// It is of an authority that nobody knows.
    UnknownAuthority,
    /// A proxy that is on the way answers with 407.
    ProxyDenies,
    /// All services are elsewhere, with this status.
    Moved(u16),
}

const DENIED: &str =
    "HTTP/1.1 407 Proxy Authentication Required\r\nx: canary\r\ncontent-length: 6\r\n\r\ncanary";

pub(super) fn rows() -> Vec<Row> {
    let network = |name, fault, cause| Row::new(name, Fault::Network(fault), cause);
    let services = |name, answer, cause| Row::new(name, Fault::Services(everywhere(answer)), cause);
    let raw = |rest: &str| Answer::raw(format!("{HEAD}{rest}"));
    let list = flags(BEFORE);
    let slow_head = HEAD.bytes().fold(Answer::raw(""), |answer, byte| {
        answer.send(vec![byte]).wait(Duration::from_millis(1))
    });
    vec![
        network("connection refused", Network::Refused, "Connect"),
        // Connections that are taken before the hole is full get no answer.
        network("black-holed connect", Network::BlackHole, "Connect|no head"),
        network("TLS wrong host", Network::WrongHost, "Tls"),
        network("TLS expired", Network::Expired, "Tls"),
        network("TLS unknown CA", Network::UnknownAuthority, "Tls"),
        network("proxy 407", Network::ProxyDenies, "Proxy(Some(407))"),
        network("302 to another host", Network::Moved(302), "status 302"),
        network("307 to another host", Network::Moved(307), "status 307"),
        services("closed before the head", Answer::refused(), "Closed"),
        services("slow headers", slow_head.stall(), "no head"),
        services(
            "stall in the body",
            raw("content-length: 99\r\n\r\n[{").stall(),
            "no end|no head",
        ),
        services(
            "reset in the body",
            raw("content-length: 99\r\n\r\n[{").reset(),
            "Closed",
        ),
        services(
            "Content-Length too large",
            raw("content-length: 9999\r\n\r\n[]"),
            "Closed",
        ),
        services(
            "Content-Length too small",
            raw(&format!("content-length: 50\r\n\r\n{list}")),
            "malformed: not JSON: EOF while parsing a string at line 1 column 50",
        )
        .fetch("malformed: not an object"),
        services(
            "two Content-Lengths",
            raw("content-length: 2\r\ncontent-length: 3\r\n\r\n[] "),
            "Protocol",
        ),
        services(
            "chunks cut off",
            raw("transfer-encoding: chunked\r\n\r\n2\r\n[]\r\n"),
            "Closed",
        ),
        services(
            "chunks that are none",
            raw("transfer-encoding: chunked\r\n\r\ncanary\r\n[]\r\n"),
            "Protocol",
        ),
        services(
            "garbage",
            Answer::raw("\x16\x03\x01 canary\r\n\r\n"),
            "Protocol",
        ),
        services(
            "a head without end",
            raw(&format!("x: {}", "x".repeat(500_000))),
            "Protocol",
        ),
    ]
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

pub(super) struct Loopback {
    service: test_kit::Service,
    /// Where nothing must ever arrive.
    elsewhere: test_kit::Service,
    front: TlsFront,
    proxy: FakeProxy,
    good: Identity,
    bad: Identity,
    hole: Option<BlackHole>,
    processes: processes::Others,
    _directory: TempDir,
}

impl World for Loopback {
    async fn begin(&mut self, fault: &Fault, stage: &mut Stage) {
        match fault {
            Fault::Services(conduct) => stage.services.misbehave(conduct.clone()),
            Fault::Network(network) => self.disturb(*network, stage).await,
            Fault::Process(ending) => self.processes.begin(*ending, stage).await,
            _ => unreachable!("a fault of the virtual clock"),
        }
    }

    async fn end(&mut self, fault: &Fault, stage: &mut Stage) {
        self.hole = None;
        self.front.set(setup(&self.good));
        self.proxy.set(Conduct::ConnectTo(self.front.address()));
        stage.services.recover();
        self.service.restart().await.expect("the same port");
        if matches!(fault, Fault::Process(_)) {
            self.processes.end(stage).await;
        }
        assert!(
            self.elsewhere.script().requests().is_empty(),
            "a redirect was followed"
        );
        assert_eq!(self.elsewhere.connections(), 0);
    }
}

impl Loopback {
    async fn start(row: &Row, script: Script) -> (Self, Place) {
        let service = test_kit::Service::start(script).await.expect("a service");
        let elsewhere = test_kit::Service::start(Script::new())
            .await
            .expect("a service");
        let (authority, stranger) = (Authority::new(), Authority::new());
        let good = authority.sign("localhost");
        let bad = match row.fault {
            Fault::Network(Network::WrongHost) => authority.sign("elsewhere.example"),
            Fault::Network(Network::Expired) => authority.sign_with("localhost", |params| {
                params.not_after = rcgen::date_time_ymd(2001, 1, 1);
            }),
            _ => stranger.sign("localhost"),
        };
        let front = TlsFront::start(service.address(), setup(&good)).await;
        let proxy = FakeProxy::start(Conduct::ConnectTo(front.address())).await;
        let mut options = TransportOptions::new()
            .without_proxy()
            .without_platform_roots()
            .with_ca_certificates(authority.pem());
        let mut url = service.url();
        if let Fault::Network(network) = row.fault {
            match network {
                Network::Refused | Network::Moved(_) => {}
                Network::BlackHole => options = options.with_connect_timeout(MOMENT / 2),
                Network::WrongHost | Network::Expired | Network::UnknownAuthority => {
                    url = front.url();
                }
                Network::ProxyDenies => {
                    url = front.url();
                    let proxy = format!("http://canary-name:canary-password@{}", proxy.address());
                    options = options.with_proxy(proxy);
                }
            }
        }
        let is_silent = row.cause.contains("no ") || matches!(row.fault, Fault::Process(_));
        let directory = tempfile::tempdir().expect("a directory");
        let place = Place {
            transport: Arc::new(HyperTransport::new(options).expect("options")),
            endpoints: Endpoints::at(&url).expect("an address"),
            updates: Updates::Polling {
                interval: Duration::from_millis(30),
            },
            pace: Pace::Real(if is_silent { MOMENT } else { PATIENCE }),
            spool: Some(SpoolOptions::new(directory.path().join("spool"))),
            file: None,
        };
        let loopback = Self {
            processes: processes::Others::new(&url),
            service,
            elsewhere,
            front,
            proxy,
            good,
            bad,
            hole: None,
            _directory: directory,
        };
        (loopback, place)
    }

    async fn disturb(&mut self, network: Network, stage: &Stage) {
        // Breaks what is open.
        self.service.stop().await;
        match network {
            Network::Refused => return,
            Network::BlackHole => {
                self.hole = Some(BlackHole::at(self.service.address()).await);
                return;
            }
            Network::WrongHost | Network::Expired | Network::UnknownAuthority => {
                self.front.set(setup(&self.bad));
            }
            Network::ProxyDenies => self.proxy.set(Conduct::Answer(DENIED)),
            Network::Moved(status) => {
                let there = format!("{}/sdk/v2/flags", self.elsewhere.url());
                let moved = Answer::status(status).header("location", &there);
                stage.services.misbehave(everywhere(moved));
            }
        }
        self.service.restart().await.expect("the same port");
    }
}

fn setup(identity: &Identity) -> Setup<'_> {
    Setup {
        identity,
        protocols: &["h2", "http/1.1"],
        clients: None,
    }
}

pub(super) fn run(row: &Row) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let services = Services::new();
        let (mut loopback, place) = Loopback::start(row, services.script.clone()).await;
        let mut stage = Stage::new(services, place);
        survive(row, &mut stage, &mut loopback).await;
    });
}

#[test]
fn every_fault_below_http_is_survived() {
    each(&rows(), run);
}
