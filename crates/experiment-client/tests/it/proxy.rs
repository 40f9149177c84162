//! [`FakeProxy`]: an HTTP proxy on loopback that tunnels, forwards or refuses.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What the proxy does with requests, whichever host they are for.
#[derive(Clone, Copy)]
pub(crate) enum Conduct {
    /// Connects to this address and passes everything on.
    ConnectTo(SocketAddr),
    /// Answers with this.
    Answer(&'static str),
}

pub(crate) struct FakeProxy {
    address: SocketAddr,
    conduct: Arc<Mutex<Conduct>>,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl FakeProxy {
    pub(crate) async fn start(conduct: Conduct) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let conduct = Arc::new(Mutex::new(conduct));
        let (noted, current) = (Arc::clone(&heads), Arc::clone(&conduct));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let conduct = *current.lock().expect("no panic");
                tokio::spawn(pass(stream, conduct, Arc::clone(&noted)));
            }
        });
        Self {
            address,
            conduct,
            heads,
            task,
        }
    }

    /// Treats new connections otherwise.
    pub(crate) fn set(&self, conduct: Conduct) {
        *self.conduct.lock().expect("no panic") = conduct;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The head of each connection's first request.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic").clone()
    }
}

impl Drop for FakeProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut client: TcpStream, conduct: Conduct, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    let text = String::from_utf8(head).expect("a head is text");
    heads.lock().expect("no panic").push(text.clone());
    match conduct {
        Conduct::Answer(answer) => {
            let _ = client.write_all(answer.as_bytes()).await;
        }
        Conduct::ConnectTo(address) => {
            let mut service = TcpStream::connect(address).await.expect("the service");
            if text.starts_with("CONNECT ") {
                let answer = b"HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n";
                client.write_all(answer).await.expect("the client waits");
            } else {
                service
                    .write_all(text.as_bytes())
                    .await
                    .expect("the service waits");
            }
            let _ = tokio::io::copy_bidirectional(&mut client, &mut service).await;
        }
    }
}
