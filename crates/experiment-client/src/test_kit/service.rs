//! [`Service`]: a fake service on loopback.

use std::{
    convert::Infallible,
    future::pending,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{rt::TokioExecutor, server::conn::auto};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{mpsc, oneshot},
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use super::{
    script::{Head, Received, Script, Step},
    scripted_body::ScriptedBody,
    socket::Socket,
};

const BACKLOG: u32 = 1024;

/// Answers requests on `127.0.0.1` as a [`Script`] says, over HTTP/1.1 and, for clients that know it
/// beforehand, HTTP/2. It speaks no TLS, so that the test kit needs no certificates.
///
/// Tests with it must not be timed: real sockets and tokio's paused clock do not go together. What
/// is about time goes to an [`InMemoryTransport`](super::InMemoryTransport).
///
/// ```
/// use experiment_client::{Endpoints, test_kit::{Answer, Script, Service}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let script = Script::new();
/// script.on("/sdk/v2/flags", Answer::json("[]"));
/// let mut service = Service::start(script.clone()).await?;
/// let endpoints = Endpoints::at(&service.url())?;
/// // … a client that uses these endpoints …
/// service.stop().await; // now connections are refused
/// service.restart().await?; // and here it is again, at the same address
/// assert_eq!(script.requests().len(), 0);
/// # let _ = endpoints;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Service {
    script: Script,
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// Bound, and not listening: keeps the port from being given to somebody else while the service
    /// is stopped.
    _reserved: Option<TcpSocket>,
    running: Option<Running>,
}

/// Stops when dropped.
#[derive(Debug)]
struct Running {
    _stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Service {
    /// Starts on a free port, in the current tokio runtime.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub async fn start(script: Script) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), script).await
    }

    /// Starts at this address. A service that is to come back is better
    /// [stopped](Self::stop) and [restarted](Self::restart), which keeps its port.
    ///
    /// # Errors
    ///
    /// Those of the operating system, such as that the address is in use.
    #[expect(clippy::unused_async, reason = "says that it needs a runtime")]
    pub async fn start_at(address: SocketAddr, script: Script) -> io::Result<Self> {
        let socket = bind(address)?;
        let address = socket.local_addr()?;
        let (listener, reserved) = match bind(address).and_then(|second| second.listen(BACKLOG)) {
            Ok(listener) => (listener, Some(socket)),
            // Not every system lets two sockets have one port; then the port is not kept.
            Err(_) => (socket.listen(BACKLOG)?, None),
        };
        let connections = Arc::default();
        let running = Running::new(listener, script.clone(), Arc::clone(&connections));
        Ok(Self {
            script,
            address,
            connections,
            _reserved: reserved,
            running: Some(running),
        })
    }

    /// The base address, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address it listens at.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it answers, and what it was asked.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// How many connections have been accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Breaks all connections and refuses new ones from when this returns. Dropping the service
    /// does the same, a moment later.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            let Running { _stop: stop, task } = running;
            drop(stop);
            let _ = task.await;
        }
    }

    /// Listens again at the same address after [`stop`](Self::stop).
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.stop().await;
        let listener = bind(self.address)?.listen(BACKLOG)?;
        self.running = Some(Running::new(
            listener,
            self.script.clone(),
            Arc::clone(&self.connections),
        ));
        Ok(())
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

impl Running {
    fn new(listener: TcpListener, script: Script, connections: Arc<AtomicUsize>) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self {
            _stop: stop,
            task: tokio::spawn(listen(listener, script, connections, stopped)),
        }
    }
}

async fn listen(
    listener: TcpListener,
    script: Script,
    count: Arc<AtomicUsize>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    count.fetch_add(1, Ordering::SeqCst);
                    connections.spawn(serve(Socket::new(stream), script.clone()));
                }
                // Out of files, for one; the next may be accepted.
                Err(_) => sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// How a connection ends before its time.
enum Ending {
    Close,
    Reset,
    Raw(Vec<Step>),
}

async fn serve(socket: Socket, script: Script) {
    let (end, mut ends) = mpsc::unbounded_channel();
    let service = service_fn(move |request| answer(request, script.clone(), end.clone()));
    let builder = auto::Builder::new(TokioExecutor::new());
    let ending = tokio::select! {
        biased;
        Some(ending) = ends.recv() => ending,
        served = builder.serve_connection(socket.clone(), service) => match served {
            Ok(()) => Ending::Close,
            Err(_) => Ending::Reset,
        },
    };
    match ending {
        Ending::Close => {}
        Ending::Reset => socket.reset_when_closed(),
        Ending::Raw(steps) => send_raw(&socket, steps).await,
    }
}

async fn send_raw(socket: &Socket, steps: Vec<Step>) {
    for step in steps {
        match step {
            Step::Send(bytes) => {
                if socket.send(&bytes).await.is_err() {
                    return;
                }
            }
            Step::Wait(time) => sleep(time).await,
            Step::Stall => pending().await,
            Step::Reset => return socket.reset_when_closed(),
        }
    }
}

async fn answer(
    request: http::Request<Incoming>,
    script: Script,
    end: mpsc::UnboundedSender<Ending>,
) -> Result<http::Response<ScriptedBody>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        // The client has gone.
        return pending().await;
    };
    let target = head
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let received = Received::new(head.method, target, head.headers, body.to_bytes());
    let answer = script.answer(&received);
    sleep(answer.delay).await;
    let ending = match answer.head {
        Head::Status(status) => {
            let mut response = http::Response::builder().status(status);
            for (name, value) in &answer.headers {
                response = response.header(name, value);
            }
            match response.body(ScriptedBody::new(answer.body)) {
                Ok(response) => return Ok(response),
                // No status, or a header that is none.
                Err(_) => Ending::Reset,
            }
        }
        Head::Silence => return pending().await,
        Head::Refused => Ending::Close,
        Head::Raw => Ending::Raw(answer.body),
    };
    // The connection takes it up and ends, and this with it.
    let _ = end.send(ending);
    pending().await
}
