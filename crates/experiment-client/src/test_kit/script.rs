//! [`Script`] and [`Answer`]: what the fake services answer, and what they were asked.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method};

/// What a fake service answers to each path, and a record of all it was asked.
///
/// Clones share both. One-time answers ([`then`](Self::then)) come first and in order, then the
/// standing one ([`on`](Self::on), [`respond`](Self::respond)); a path without either gets 404.
///
/// ```
/// use experiment_client::test_kit::{Answer, Script};
///
/// let script = Script::new();
/// script.on("/sdk/v2/flags", Answer::json("[]"));
/// script.then("/sdk/v2/flags", [Answer::status(503), Answer::refused()]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Script(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    requests: Vec<Received>,
}

struct Rule {
    path: String,
    once: VecDeque<Answer>,
    standing: Option<Responder>,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

type Responder = Arc<dyn Fn(&Received) -> Answer + Send + Sync>;

/// A request that a fake service was sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as it was sent.
    pub body: Bytes,
}

impl Received {
    /// A request of this method to this path and query.
    pub fn new(method: Method, target: impl Into<String>, headers: HeaderMap, body: Bytes) -> Self {
        Self {
            method,
            target: target.into(),
            headers,
            body,
        }
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The text of a header; `None` if it is absent or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON, unpacked if it is compressed; `None` if it is not JSON.
    pub fn json(&self) -> Option<serde_json::Value> {
        if self.header("content-encoding") == Some("gzip") {
            return serde_json::from_reader(flate2::read::GzDecoder::new(&*self.body)).ok();
        }
        serde_json::from_slice(&self.body).ok()
    }
}

impl Script {
    /// Answers everything with 404.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on answers requests whose path ends in `path` with `answer`, unless there are
    /// one-time answers left.
    pub fn on(&self, path: &str, answer: Answer) {
        self.respond(path, move |_| answer.clone());
    }

    /// As [`on`](Self::on), with an answer made for each request.
    pub fn respond(
        &self,
        path: &str,
        responder: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) {
        self.lock().rule(path).standing = Some(Arc::new(responder));
    }

    /// Answers the next requests whose path ends in `path` with `answers`, one each, behind those
    /// that are still to come.
    pub fn then(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.lock().rule(path).once.extend(answers);
    }

    /// Every request so far, in order.
    pub fn requests(&self) -> Vec<Received> {
        self.lock().requests.clone()
    }

    /// The requests so far whose path ends in `path`.
    pub fn requests_to(&self, path: &str) -> Vec<Received> {
        self.lock()
            .requests
            .iter()
            .filter(|received| received.path().ends_with(path))
            .cloned()
            .collect()
    }

    /// Notes the request and tells the answer to it.
    pub fn answer(&self, received: &Received) -> Answer {
        let mut state = self.lock();
        let path = received.path().to_owned();
        // The longest rule wins, so that "/flags" and "/v1/flags" can stand side by side.
        let rule = state
            .rules
            .iter_mut()
            .filter(|rule| path.ends_with(&rule.path))
            .max_by_key(|rule| rule.path.len());
        let (once, standing) = match rule {
            Some(rule) => (rule.once.pop_front(), rule.standing.clone()),
            None => (None, None),
        };
        state.requests.push(received.clone());
        drop(state);
        once.or_else(|| standing.map(|responder| responder(received)))
            .unwrap_or_else(|| Answer::status(404))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn rule(&mut self, path: &str) -> &mut Rule {
        let at = self.rules.iter().position(|rule| rule.path == path);
        let at = at.unwrap_or_else(|| {
            self.rules.push(Rule {
                path: path.to_owned(),
                once: VecDeque::new(),
                standing: None,
            });
            self.rules.len().saturating_sub(1)
        });
        #[expect(clippy::indexing_slicing, reason = "found or pushed just above")]
        &mut self.rules[at]
    }
}

/// What a fake service does with one request.
///
/// ```
/// use std::time::Duration;
/// use experiment_client::test_kit::Answer;
///
/// let stalls_in_the_body = Answer::json("[{\"key\": ").stall();
/// let slow = Answer::json("[]").after(Duration::from_secs(3));
/// let busy = Answer::status(429).header("retry-after", "7");
/// # let _ = (stalls_in_the_body, slow, busy);
/// ```
#[derive(Clone, Debug)]
pub struct Answer {
    pub(crate) head: Head,
    pub(crate) delay: Duration,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    Status(u16),
    /// The connection is closed before anything is sent; in memory: refused.
    Refused,
    /// Nothing ever comes.
    Silence,
    /// The body stands for all that is sent.
    Raw,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Send(Bytes),
    Wait(Duration),
    /// Nothing more ever comes, and the connection stays open.
    Stall,
    /// The connection breaks.
    Reset,
}

impl Answer {
    /// A status without a body.
    pub fn status(status: u16) -> Self {
        Self {
            head: Head::Status(status),
            delay: Duration::ZERO,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Status 200 with a JSON body.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::status(200)
            .header("content-type", "application/json")
            .send(body)
    }

    /// Status 200 with a JSON body, compressed.
    pub fn gzip(body: &[u8]) -> Self {
        let mut packed = flate2::read::GzEncoder::new(body, flate2::Compression::fast());
        let mut bytes = Vec::new();
        // Reading from memory into memory does not fail.
        let _ = std::io::Read::read_to_end(&mut packed, &mut bytes);
        Self::json(bytes).header("content-encoding", "gzip")
    }

    /// Status 200 and a stream of server-sent events, which [`send`](Self::send) fills.
    pub fn stream() -> Self {
        Self::status(200).header("content-type", "text/event-stream")
    }

    /// No connection.
    pub fn refused() -> Self {
        Self {
            head: Head::Refused,
            ..Self::status(0)
        }
    }

    /// A connection on which nothing ever comes.
    pub fn silence() -> Self {
        Self {
            head: Head::Silence,
            ..Self::status(0)
        }
    }

    /// Exactly these bytes instead of an answer, and then the end of the connection: for what no
    /// HTTP library sends. More follow with [`send`](Self::send), [`wait`](Self::wait),
    /// [`stall`](Self::stall) and [`reset`](Self::reset). In memory, where there are no bytes:
    /// an error of the protocol.
    ///
    /// ```
    /// use experiment_client::test_kit::Answer;
    ///
    /// let short = Answer::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[]");
    /// # let _ = short;
    /// ```
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self {
            head: Head::Raw,
            ..Self::status(0)
        }
        .send(bytes)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Waits before the head.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sends a piece of the body.
    #[must_use]
    pub fn send(mut self, piece: impl Into<Bytes>) -> Self {
        self.body.push(Step::Send(piece.into()));
        self
    }

    /// Waits within the body.
    #[must_use]
    pub fn wait(mut self, time: Duration) -> Self {
        self.body.push(Step::Wait(time));
        self
    }

    /// Sends nothing more and leaves the connection open.
    #[must_use]
    pub fn stall(mut self) -> Self {
        self.body.push(Step::Stall);
        self
    }

    /// Breaks the connection.
    #[must_use]
    pub fn reset(mut self) -> Self {
        self.body.push(Step::Reset);
        self
    }
}
