//! [`Services`] whose answers change all the time, and [`Model`]: what the client must make of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    time::Duration,
};

use experiment_client::{
    paths,
    test_kit::{Answer, Received},
};
use fastrand::Rng;
use tokio::time::Instant;

use super::STEPS;
use crate::{
    faults::services::{self, events},
    fetch_faults::packed,
};

/// The flags of a version. Writing them takes longer than reading them.
pub(super) fn flags(version: u32) -> String {
    static KNOWN: LazyLock<Vec<String>> =
        LazyLock::new(|| (0..).map(services::flags).take(2 * STEPS).collect());
    KNOWN[version as usize].clone()
}

pub(super) const FIRST_VERSION: u32 = 5;

/// How a service answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// As it should; streams go on for so many keep-alives.
    Good(u64),
    /// As it should, with one flag that cannot be read.
    Poisoned,
    /// No flags.
    Empty,
    /// Flags of three versions ago.
    Old,
    Html,
    Object,
    NoFlag,
    CutOff,
    BadGzip,
    Bomb,
    Silent,
    Late,
    Stalls,
    Resets,
    Refused,
    NotHttp,
    Status(u16),
    Busy(u16, u64),
    /// Accepts events and fails to say so.
    Forgets,
    /// Takes no more than two events at once.
    TooLarge,
    InvalidKey,
}

const BAD: [Mood; 26] = [
    Mood::Html,
    Mood::Object,
    Mood::NoFlag,
    Mood::CutOff,
    Mood::BadGzip,
    Mood::Bomb,
    Mood::Silent,
    Mood::Late,
    Mood::Stalls,
    Mood::Resets,
    Mood::Refused,
    Mood::NotHttp,
    Mood::Status(304),
    Mood::Status(302),
    Mood::Status(400),
    Mood::Status(401),
    Mood::Status(403),
    Mood::Status(404),
    Mood::Status(429),
    Mood::Status(500),
    Mood::Status(501),
    Mood::Status(502),
    Mood::Status(504),
    Mood::Busy(429, 7),
    Mood::Busy(503, 100),
    Mood::Busy(429, 99_999_999_999),
];

pub(super) fn mood_of_flags(rng: &mut Rng) -> Mood {
    match rng.u32(..10) {
        0..=3 => Mood::Good(rng.u64(..6)),
        4 => [Mood::Poisoned, Mood::Empty, Mood::Old][rng.usize(..3)],
        _ => BAD[rng.usize(..BAD.len())],
    }
}

pub(super) fn mood_of_events(rng: &mut Rng) -> Mood {
    match rng.u32(..10) {
        0..=2 => Mood::Good(0),
        3 => [Mood::Forgets, Mood::TooLarge, Mood::InvalidKey][rng.usize(..3)],
        _ => BAD[rng.usize(..BAD.len())],
    }
}

/// What the services do, and what they know of the client.
#[derive(Debug)]
pub(super) struct Services {
    pub(super) version: u32,
    pub(super) flags: Mood,
    pub(super) stream: Mood,
    pub(super) events: Mood,
    pub(super) model: Model,
    pub(super) requests: BTreeMap<&'static str, Vec<Instant>>,
    /// Insert ids.
    pub(super) accepted: BTreeSet<String>,
}

/// What the client must have made of all that it was sent.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// The configuration in use, and its version, if it has flags.
    pub(super) current: Option<(String, Option<u32>)>,
    /// What looked wrong and is taken if it comes again.
    held: Option<String>,
    pub(super) confirmed: Option<Instant>,
    /// When a stream will say that it is still there, while its flags are those in use.
    keep_alives: Vec<Instant>,
}

impl Model {
    /// A configuration arrives; whether it is in use then.
    fn arrives(&mut self, body: &str, version: Option<u32>) -> bool {
        let is_known = self
            .current
            .as_ref()
            .is_some_and(|(known, _)| known == body);
        if !is_known {
            let known = self.current.as_ref().and_then(|(_, version)| *version);
            let looks_wrong = known.is_some_and(|known| version.is_none_or(|it| it < known));
            if looks_wrong && self.held.as_deref() != Some(body) {
                self.held = Some(body.to_owned());
                return false;
            }
            self.current = Some((body.to_owned(), version));
        }
        self.held = None;
        self.confirmed = Some(Instant::now());
        true
    }

    /// The connections broke.
    pub(super) fn cut(&mut self) {
        self.settle();
        self.keep_alives.clear();
    }

    pub(super) fn settle(&mut self) {
        let now = Instant::now();
        let heard = self.keep_alives.iter().filter(|at| **at <= now).max();
        self.confirmed = self.confirmed.max(heard.copied());
        self.keep_alives.retain(|at| *at > now);
    }
}

impl Services {
    /// The configuration that a mood has, and its version.
    fn list(&self, mood: Mood) -> Option<(String, Option<u32>)> {
        match mood {
            Mood::Good(_) => Some((flags(self.version), Some(self.version))),
            Mood::Poisoned => {
                let good = flags(self.version);
                let all = good.replacen('[', r#"[{"key": "bad", "segments": 7},"#, 1);
                Some((all, Some(self.version)))
            }
            Mood::Empty => Some(("[]".to_owned(), None)),
            Mood::Old => Some((flags(self.version - 3), Some(self.version - 3))),
            _ => None,
        }
    }

    pub(super) fn flags(&mut self) -> Answer {
        self.note(paths::FLAGS);
        match self.list(self.flags) {
            Some((body, version)) => {
                self.model.arrives(&body, version);
                Answer::json(body)
            }
            None => bad(self.flags, Answer::json("")),
        }
    }

    pub(super) fn stream(&mut self) -> Answer {
        self.note(paths::FLAG_STREAM);
        let Some((body, version)) = self.list(self.stream) else {
            return bad(self.stream, Answer::stream());
        };
        let is_current = self.model.arrives(&body, version);
        let mut answer = Answer::stream().send(format!("data: {body}\n\n"));
        let Mood::Good(keep_alives) = self.stream else {
            return answer;
        };
        let every = Duration::from_secs(15);
        for number in 1..=keep_alives {
            answer = answer.wait(every).send("data:  \n\n");
            if is_current {
                let at = Instant::now() + every * u32::try_from(number).expect("few");
                self.model.keep_alives.push(at);
            }
        }
        // Nobody says that it is over, now and then.
        if keep_alives % 2 == 0 {
            answer
        } else {
            answer.stall()
        }
    }

    pub(super) fn upload(&mut self, request: &Received) -> Answer {
        self.note(paths::BATCH);
        let ids = events(request).into_iter();
        let ids = ids.map(|event| event["insert_id"].as_str().expect("an id").to_owned());
        let ids: Vec<String> = ids.collect();
        match self.events {
            Mood::TooLarge if ids.len() > 2 => return Answer::status(413),
            Mood::InvalidKey => {
                return Answer::status(400).send(r#"{"code": 400, "error": "Invalid API key"}"#);
            }
            Mood::Forgets | Mood::Good(_) | Mood::TooLarge => self.accepted.extend(ids),
            _ => {}
        }
        match self.events {
            Mood::Good(_) | Mood::TooLarge => Answer::json(r#"{"code": 200}"#),
            Mood::Forgets => Answer::status(504),
            mood => bad(mood, Answer::json("")),
        }
    }

    fn note(&mut self, path: &'static str) {
        let now = Instant::now();
        self.requests.entry(path).or_default().push(now);
    }
}

/// An answer without any use, which begins so if it is an answer.
fn bad(mood: Mood, head: Answer) -> Answer {
    let gzip = |body: Vec<u8>| head.clone().header("content-encoding", "gzip").send(body);
    match mood {
        Mood::Html => head.send("<html>canary</html>"),
        Mood::Object => head.send(r#"{"code": 500, "error": "canary"}"#),
        Mood::NoFlag => head.send(r#"[7, {"key": "checkout"}]"#),
        Mood::CutOff => head.send("data: [{\"key\": "),
        Mood::BadGzip => gzip(packed(b"[]")[..12].to_vec()),
        Mood::Bomb => gzip(packed(&vec![b'7'; 100_000])),
        Mood::Silent => Answer::silence(),
        Mood::Late => head.send("[]").after(Duration::from_secs(20)),
        Mood::Stalls => head.send("data: [").stall(),
        Mood::Resets => head.send("data: [").reset(),
        Mood::NotHttp => Answer::raw("canary"),
        Mood::Status(status) => Answer::status(status).send("[]"),
        Mood::Busy(status, seconds) => {
            Answer::status(status).header("retry-after", &seconds.to_string())
        }
        _ => Answer::refused(),
    }
}
